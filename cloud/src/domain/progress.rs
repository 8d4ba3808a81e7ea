//! How far a gateway's numbers have come, and which are missing. Everything the acknowledgement
//! says is read from here.

use chiasm_proto::{
    Ack, Epoch, Rejection, Seq,
    ack::{ABOVE_MAX, IdDigest, MISSING_MAX},
};
use uuid::Uuid;

/// Separate gaps that are kept for one epoch. A document that would open one more is not taken; the
/// gateway sends it again when the earlier ones have come.
pub const GAPS_MAX: usize = 1024;

/// The numbers from 1 to `highest` but for the gaps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    highest: Seq,
    /// First and last missing number of each gap, ascending.
    gaps: Vec<(Seq, Seq)>,
    /// Of the documents with these numbers. None once one came whose identifier is not known.
    ids: Option<IdDigest>,
}

impl Default for Progress {
    fn default() -> Self {
        Self { highest: 0, gaps: Vec::new(), ids: Some(IdDigest::default()) }
    }
}

/// There are [`GAPS_MAX`] gaps already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("more than {GAPS_MAX} gaps")]
pub struct TooManyGaps;

impl Progress {
    pub fn new(highest: Seq, gaps: Vec<(Seq, Seq)>, ids: Option<IdDigest>) -> Self {
        Self { highest, gaps, ids }
    }
    pub fn ids(&self) -> Option<IdDigest> {
        self.ids
    }
    pub fn highest(&self) -> Seq {
        self.highest
    }
    pub fn gaps(&self) -> &[(Seq, Seq)] {
        &self.gaps
    }
    /// Everything up to this number has arrived.
    pub fn upto(&self) -> Seq {
        self.gaps.first().map_or(self.highest, |gap| gap.0 - 1)
    }
    pub fn missing_count(&self) -> u64 {
        self.gaps.iter().map(|(first, last)| last - first + 1).sum()
    }

    pub fn contains(&self, seq: Seq) -> bool {
        seq <= self.highest && self.gap_of(seq).is_err()
    }

    fn gap_of(&self, seq: Seq) -> Result<usize, usize> {
        self.gaps.binary_search_by(|(first, last)| {
            if *last < seq {
                std::cmp::Ordering::Less
            } else if *first > seq {
                std::cmp::Ordering::Greater
            } else {
                std::cmp::Ordering::Equal
            }
        })
    }

    /// Notes that a number has arrived (from 1), with the identifier of its document; nothing changes
    /// if it had.
    pub fn add(&mut self, seq: Seq, id: Option<Uuid>) -> Result<(), TooManyGaps> {
        if !self.contains(seq) {
            self.add_number(seq)?;
            self.ids = self.ids.zip(id).map(|(ids, id)| ids.with(id));
        }
        Ok(())
    }

    fn add_number(&mut self, seq: Seq) -> Result<(), TooManyGaps> {
        if seq > self.highest {
            if seq > self.highest + 1 {
                if self.gaps.len() >= GAPS_MAX {
                    return Err(TooManyGaps);
                }
                self.gaps.push((self.highest + 1, seq - 1));
            }
            self.highest = seq;
            return Ok(());
        }
        let Ok(at) = self.gap_of(seq) else { return Ok(()) };
        let (first, last) = self.gaps[at];
        match (first == seq, last == seq) {
            (true, true) => drop(self.gaps.remove(at)),
            (true, false) => self.gaps[at].0 = seq + 1,
            (false, true) => self.gaps[at].1 = seq - 1,
            (false, false) if self.gaps.len() >= GAPS_MAX => return Err(TooManyGaps),
            (false, false) => {
                self.gaps[at].1 = seq - 1;
                self.gaps.insert(at + 1, (seq + 1, last));
            }
        }
        Ok(())
    }

    /// The acknowledgement: lists at most [`MISSING_MAX`] missing numbers, and lowers `upto` to
    /// before the first that does not fit.
    pub fn ack(&self, epoch: Epoch, rejected: Vec<Rejection>) -> Ack {
        let mut numbers = self.gaps.iter().flat_map(|(first, last)| *first..=*last);
        let missing: Vec<Seq> = numbers.by_ref().take(MISSING_MAX).collect();
        let upto = numbers.next().map_or(self.highest, |next| next - 1);
        // Where the list of missing numbers ends early, nobody could say of which documents it is.
        let ids = self.ids.filter(|_| upto == self.highest);
        Ack { epoch, upto, missing, above: self.ranges_above(upto), ids, rejected }
    }

    /// What lies between the gaps beyond `upto`, the highest ranges first found.
    fn ranges_above(&self, upto: Seq) -> Vec<(Seq, Seq)> {
        let mut ranges = Vec::new();
        let mut last = self.highest;
        for (gap_first, gap_last) in self.gaps.iter().rev() {
            if last <= upto || ranges.len() == ABOVE_MAX {
                return ranges;
            }
            let first = (gap_last + 1).max(upto + 1);
            if first <= last {
                ranges.push((first, last));
            }
            last = gap_first - 1;
        }
        ranges
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn is_the_set_of_what_arrived(arrived in prop::collection::vec(1_u64..400, 0..300)) {
            let mut progress = Progress::default();
            let mut model = BTreeSet::new();
            for seq in arrived {
                progress.add(seq, Some(Uuid::from_u128(seq.into()))).unwrap();
                model.insert(seq);
            }
            let highest = model.last().copied().unwrap_or(0);
            prop_assert_eq!(progress.highest(), highest);
            for seq in 1..=highest {
                prop_assert_eq!(progress.contains(seq), model.contains(&seq));
            }
            let ack = progress.ack(Epoch(uuid::Uuid::nil()), vec![]);
            let missing: Vec<Seq> = (1..=ack.upto).filter(|seq| !model.contains(seq)).collect();
            prop_assert_eq!(&ack.missing, &missing, "complete up to `upto`");
            let ids = model.iter().fold(IdDigest::default(), |ids, seq| {
                ids.with(Uuid::from_u128((*seq).into()))
            });
            prop_assert_eq!(ack.ids, (ack.upto == highest).then_some(ids));
            prop_assert!(ack.missing.len() <= MISSING_MAX);
            prop_assert!(ack.upto == highest || ack.missing.len() == MISSING_MAX);
            for seq in 1..=highest + 2 {
                prop_assert!(!ack.settles(seq) || model.contains(&seq), "{seq} is not there");
                prop_assert!(ack.settles(seq) || !model.contains(&seq)
                    || ack.above.len() == ABOVE_MAX, "{seq} is there");
            }
        }
    }

    #[test]
    fn gaps_are_limited() {
        let mut progress = Progress::default();
        for n in 1..=GAPS_MAX as u64 {
            progress.add(2 * n, None).unwrap();
        }
        assert_eq!(progress.add(2 * GAPS_MAX as u64 + 2, None), Err(TooManyGaps));
        progress.add(1, None).unwrap();
        progress.add(2 * GAPS_MAX as u64 + 2, None).unwrap();
        assert_eq!(progress.upto(), 2);
    }
}
