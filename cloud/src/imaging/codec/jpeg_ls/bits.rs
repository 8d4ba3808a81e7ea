//! Bits of a scan: after a byte of ones the next has only seven, so that no marker arises.

pub struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
    held: u64,
    held_count: u32,
    was_ones: bool,
}

impl<'a> Bits<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Bits { bytes, at: 0, held: 0, held_count: 0, was_ones: false }
    }

    /// Bytes that were taken up to here.
    pub fn used_bytes(&self) -> usize {
        self.at
    }

    fn fill(&mut self) -> Option<()> {
        let byte = *self.bytes.get(self.at)?;
        if self.was_ones && byte >= 0x80 {
            return None;
        }
        let count = if self.was_ones { 7 } else { 8 };
        self.held = (self.held << count) | u64::from(byte);
        self.held_count += count;
        self.was_ones = byte == 0xFF;
        self.at += 1;
        Some(())
    }

    /// Up to 32 bits, the first the most significant.
    pub fn take(&mut self, count: u32) -> Option<u32> {
        while self.held_count < count {
            self.fill()?;
        }
        self.held_count -= count;
        let bits = self.held >> self.held_count;
        self.held &= (1u64 << self.held_count) - 1;
        Some(bits as u32)
    }

    /// Zeros before the next one, which is taken too; at most `most`.
    pub fn zeros(&mut self, most: u32) -> Option<u32> {
        for count in 0..=most {
            if self.take(1)? == 1 {
                return Some(count);
            }
        }
        None
    }
}
