//! Journals that versions before have written in clear: read once, then sealed.
//!
//! Records like those of [`super::sealed`], but mark, clock, length, time and payload stand in the
//! file as they are.

use super::{
    Record,
    sealed::{FIELDS_LEN, Fields},
};

/// All whole records, and what is there of a last one that was being written when the process
/// was killed.
pub(super) fn read(bytes: &[u8]) -> Vec<Record> {
    let (mut records, mut rest) = (Vec::new(), bytes);
    while let Some((fields, behind)) = rest.split_at_checked(FIELDS_LEN) {
        let Some(fields) = Fields::parse(fields) else { break };
        let (payload, after) = behind.split_at(fields.length.min(behind.len()));
        let is_whole = payload.len() == fields.length;
        if is_whole || (fields.is_data() && !payload.is_empty()) {
            records.push(fields.record(payload.to_vec()));
        }
        if !is_whole {
            break;
        }
        rest = after;
    }
    records
}
