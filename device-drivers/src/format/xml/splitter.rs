//! Cuts a stream into XML documents: each ends with the tag that closes its root element.
//!
//! Works on bytes. No byte of a multi-byte character in Shift_JIS or UTF-8 looks like one of the
//! characters that make up tags, and UTF-16 is recognised by its NUL bytes. Nothing is nested in
//! memory: how deep a document is, is a number.

/// What became of a stretch of input, in order.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece {
    /// From the first `<` (or byte order mark) to the `>` that closes the root.
    Document(Vec<u8>),
    /// Not empty, before any `<`.
    Noise(Vec<u8>),
    /// White space at the end of the stream.
    Blank(Vec<u8>),
    /// A document that has not ended.
    Incomplete(Vec<u8>),
    /// The beginning of a document that is too long.
    TooLong(Vec<u8>),
    /// What follows it.
    Overflow(Vec<u8>),
}

/// Where in the syntax the next character stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the document's first `<`.
    Before,
    Text,
    /// After `<`.
    Open,
    Tag {
        closes: bool,
        quote: Option<u8>,
        last: u8,
    },
    /// After `<?`.
    Instruction {
        last: u8,
    },
    /// After `<!` and so many characters of `[CDATA[`.
    Bang {
        matched: usize,
    },
    /// After `<!-`.
    Dash,
    /// Inside `<!-- -->` or `<![CDATA[ ]]>`; so many of the closing characters stood last.
    Opaque {
        mark: u8,
        run: usize,
    },
    /// Inside `<!DOCTYPE` and the like.
    Declaration,
    /// After a document that was too long.
    Overflow,
}

pub struct Splitter {
    buffer: Vec<u8>,
    /// How much of the buffer the state accounts for.
    scanned: usize,
    /// Bytes per character: 2 in UTF-16.
    width: usize,
    is_big_endian: bool,
    depth: u64,
    state: State,
    /// Something else than white space stands before the document.
    is_noisy: bool,
    len_max: usize,
}

impl Splitter {
    /// `len_max`: bytes of the longest document.
    pub fn new(len_max: usize) -> Self {
        Self {
            buffer: vec![],
            scanned: 0,
            width: 1,
            is_big_endian: false,
            depth: 0,
            state: State::Before,
            is_noisy: false,
            len_max,
        }
    }

    /// Whether something is pending that silence makes incomplete.
    pub fn is_inside(&self) -> bool {
        self.state != State::Before || self.is_noisy
    }

    pub fn push(&mut self, bytes: &[u8]) -> Vec<Piece> {
        self.buffer.extend_from_slice(bytes);
        let mut pieces = vec![];
        while let Some(piece) = self.next_piece() {
            pieces.push(piece);
        }
        pieces
    }

    /// The stream has ended; what is pending becomes a piece.
    pub fn end(&mut self) -> Vec<Piece> {
        let state = self.state;
        let rest = self.take(self.buffer.len());
        self.state = State::Before;
        match state {
            State::Before if rest.iter().all(|byte| is_blank(*byte)) => {
                non_empty(Piece::Blank, rest)
            }
            State::Before => non_empty(Piece::Noise, rest),
            _ => non_empty(Piece::Incomplete, rest),
        }
    }

    fn next_piece(&mut self) -> Option<Piece> {
        if self.state == State::Overflow {
            let rest = self.take(self.buffer.len());
            self.state = State::Overflow;
            return (!rest.is_empty()).then_some(Piece::Overflow(rest));
        }
        if self.state == State::Before {
            if let Some(noise) = self.find_start() {
                return Some(noise);
            }
            if self.state == State::Before {
                return None;
            }
        }
        let end = self.buffer.len().min(self.len_max);
        while self.scanned + self.width <= end {
            let unit = self.unit_at(self.scanned);
            self.scanned += self.width;
            if self.is_closed_by(unit) {
                return Some(Piece::Document(self.take(self.scanned)));
            }
        }
        if self.buffer.len() <= self.len_max {
            return None;
        }
        let beginning = self.take(self.len_max);
        self.state = State::Overflow;
        Some(Piece::TooLong(beginning))
    }

    /// The first `len` bytes; the state begins anew after them.
    fn take(&mut self, len: usize) -> Vec<u8> {
        let rest = self.buffer.split_off(len);
        (self.scanned, self.depth, self.width, self.state) = (0, 0, 1, State::Before);
        self.is_noisy = false;
        std::mem::replace(&mut self.buffer, rest)
    }

    /// Looks for the first `<`. What stands before it, but for white space and a byte order mark,
    /// is noise.
    fn find_start(&mut self) -> Option<Piece> {
        let new = &self.buffer[self.scanned..];
        let found = new.iter().position(|byte| *byte == b'<');
        let searched = found.unwrap_or(new.len());
        self.is_noisy |= new[..searched].iter().any(|byte| !is_blank(*byte));
        self.scanned += searched;
        if found.is_none() {
            let is_long = self.buffer.len() > self.len_max;
            return is_long.then(|| Piece::Noise(self.take(self.len_max)));
        }
        let found = self.scanned;
        let after = *self.buffer.get(found + 1)?; // NUL or not: wait until it is known
        let before = &self.buffer[..found];
        // `<` is followed by a NUL in both orders; blanks before it begin with one in big endian.
        let first = before.iter().find(|byte| !is_mark(**byte));
        let is_big_endian = after == 0 && first == Some(&0);
        let head = found - usize::from(is_big_endian);
        let mark = before[..head].iter().rev().take_while(|byte| is_mark(**byte)).count();
        let noise = head - mark;
        if before[..noise].iter().any(|byte| !is_blank(*byte)) {
            return Some(Piece::Noise(self.take(noise)));
        }
        self.is_big_endian = is_big_endian;
        self.width = if after == 0 { 2 } else { 1 };
        self.state = State::Open;
        self.scanned = head + self.width;
        None
    }

    /// The character at this position, where it is one that syntax is made of.
    fn unit_at(&self, at: usize) -> u8 {
        match (self.width, self.is_big_endian) {
            (1, _) => self.buffer[at],
            (_, true) if self.buffer[at] == 0 => self.buffer[at + 1],
            (_, false) if self.buffer[at + 1] == 0 => self.buffer[at],
            _ => b'x',
        }
    }

    /// Takes one character; whether it ends the document.
    fn is_closed_by(&mut self, unit: u8) -> bool {
        self.state = match (self.state, unit) {
            (State::Text, b'<') => State::Open,
            (State::Open, b'/') => State::Tag { closes: true, quote: None, last: 0 },
            (State::Open, b'?') => State::Instruction { last: 0 },
            (State::Open, b'!') => State::Bang { matched: 0 },
            (State::Open, last) => State::Tag { closes: false, quote: None, last },
            (State::Tag { closes, quote: None, last }, b'>') => {
                self.state = State::Text;
                return self.tag_ends(closes, last);
            }
            (State::Tag { closes, quote: None, last }, quote @ (b'"' | b'\'')) if last != 0 => {
                State::Tag { closes, quote: Some(quote), last: quote }
            }
            (State::Tag { closes, quote: Some(quote), .. }, last) if last == quote => {
                State::Tag { closes, quote: None, last }
            }
            (State::Tag { closes, quote, .. }, last) => State::Tag { closes, quote, last },
            (State::Instruction { last: b'?' }, b'>') => State::Text,
            (State::Instruction { .. }, last) => State::Instruction { last },
            (State::Bang { matched: 0 }, b'-') => State::Dash,
            (State::Dash, b'-') => State::Opaque { mark: b'-', run: 0 },
            (State::Bang { matched: 6 }, b'[') => State::Opaque { mark: b']', run: 0 },
            (State::Bang { matched }, unit) if b"[CDATA".get(matched) == Some(&unit) => {
                State::Bang { matched: matched + 1 }
            }
            (State::Bang { .. } | State::Dash | State::Declaration, b'>') => State::Text,
            (State::Bang { .. } | State::Dash | State::Declaration, _) => State::Declaration,
            (State::Opaque { run, .. }, b'>') if run >= 2 => State::Text,
            (State::Opaque { mark, run }, unit) if unit == mark => {
                State::Opaque { mark, run: run + 1 }
            }
            (State::Opaque { mark, .. }, _) => State::Opaque { mark, run: 0 },
            (state @ (State::Text | State::Before | State::Overflow), _) => state,
        };
        false
    }

    fn tag_ends(&mut self, closes: bool, last: u8) -> bool {
        match (closes, last) {
            (true, _) => self.depth = self.depth.saturating_sub(1),
            (false, b'/') => {}
            (false, _) => self.depth += 1,
        }
        self.depth == 0
    }
}

fn non_empty(piece: fn(Vec<u8>) -> Piece, bytes: Vec<u8>) -> Vec<Piece> {
    if bytes.is_empty() { vec![] } else { vec![piece(bytes)] }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | 0)
}

/// Bytes of a byte order mark.
fn is_mark(byte: u8) -> bool {
    matches!(byte, 0xEF | 0xBB | 0xBF | 0xFE | 0xFF)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEN_MAX: usize = 64;

    fn split(bytes: &[u8], chunk: usize) -> Vec<Piece> {
        let mut splitter = Splitter::new(LEN_MAX);
        let mut pieces: Vec<Piece> =
            bytes.chunks(chunk).flat_map(|chunk| splitter.push(chunk)).collect();
        pieces.extend(splitter.end());
        assert!(!splitter.is_inside());
        pieces
    }

    fn document(text: &str) -> Piece {
        Piece::Document(text.as_bytes().to_vec())
    }

    #[test]
    fn documents_end_with_their_root() {
        let text = "\n<?x a='>'?><!-- <b> --><a b='>' c=\"/>\"><![CDATA[</a>]]><b/><c></c></a>";
        let stream = format!("{text}\r\n<b/>  ");
        for chunk in 1..stream.len() {
            let mut splitter = Splitter::new(200);
            let mut pieces: Vec<Piece> =
                stream.as_bytes().chunks(chunk).flat_map(|chunk| splitter.push(chunk)).collect();
            pieces.extend(splitter.end());
            let expected = [document(text), document("\r\n<b/>"), Piece::Blank(b"  ".to_vec())];
            assert_eq!(pieces, expected, "in pieces of {chunk}");
        }
    }

    #[test]
    fn two_byte_characters_are_seen() {
        let wide =
            |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
        let big =
            |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_be_bytes).collect() };
        // U+3E3C holds the bytes of `<` and `>`.
        let text = "<a>\u{3e3c}</a>";
        for document in [
            wide(text),
            big(text),
            [vec![0xFF, 0xFE], wide(text)].concat(),
            [vec![0xFE, 0xFF], big(text)].concat(),
        ] {
            for chunk in 1..document.len() {
                assert_eq!(split(&document, chunk), [Piece::Document(document.clone())]);
            }
        }
    }

    #[test]
    fn noise_and_the_unfinished_are_told_apart() {
        let noise = Piece::Noise(b"\0\xFFQ7".to_vec());
        assert_eq!(split(b"\0\xFFQ7<a/>", 3), [noise, document("<a/>")]);
        assert_eq!(split(b"<a><b></b>", 2), [Piece::Incomplete(b"<a><b></b>".to_vec())]);
        assert_eq!(split(b"xyz", 1), [Piece::Noise(b"xyz".to_vec())]);
        assert_eq!(split(b"", 1), []);
    }

    #[test]
    fn too_long_is_cut_and_the_rest_counted() {
        let long = "<a>".repeat(30);
        for chunk in 1..long.len() {
            let pieces = split(long.as_bytes(), chunk);
            assert_eq!(pieces[0], Piece::TooLong(long.as_bytes()[..LEN_MAX].to_vec()));
            let rest: usize = pieces[1..]
                .iter()
                .map(|piece| match piece {
                    Piece::Overflow(bytes) => bytes.len(),
                    other => panic!("{other:?}"),
                })
                .sum();
            assert_eq!(rest, long.len() - LEN_MAX);
        }
        let full = format!("<a>{}</a>", "x".repeat(LEN_MAX - 7));
        assert_eq!(split(full.as_bytes(), 5), [document(&full)]);
    }
}
