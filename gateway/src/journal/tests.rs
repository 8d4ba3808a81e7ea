use super::*;
use proptest::prelude::*;
use std::fs;

fn arrival() -> Arrival {
    let at = Timestamp::from_microsecond(1_790_000_000_000_001).unwrap();
    Arrival { at, clock: ClockState::Synced, may_bind: true }
}
fn link() -> LinkId {
    LinkId::new("ark").unwrap()
}
fn key() -> Key {
    Key::from_bytes(&[7; 32])
}
fn data(bytes: &[u8]) -> Record {
    Record::Data { arrival: arrival(), bytes: bytes.to_vec() }
}
fn open(dir: &Path, position: Option<Position>) -> (Journal, Vec<Record>) {
    Journal::open(dir, &link(), position, &key()).unwrap()
}
fn at(consumed: u64) -> Option<Position> {
    Some(Position { generation: 0, consumed })
}
/// The file with records of these bytes.
fn written(dir: &Path, records: &[&[u8]]) -> PathBuf {
    let (mut journal, _) = open(dir, at(0));
    records.iter().for_each(|bytes| journal.append(arrival(), bytes).unwrap());
    journal.path
}
fn set_aside_files(dir: &Path) -> usize {
    let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name());
    names.filter(|name| name.to_string_lossy().ends_with(".set-aside")).count()
}
/// All data, one piece after the other.
fn joined(records: &[Record]) -> Vec<u8> {
    let bytes = |record: &Record| match record {
        Record::Data { bytes, .. } => bytes.clone(),
        Record::End { .. } => vec![],
    };
    records.iter().flat_map(bytes).collect()
}

#[test]
fn gives_back_what_was_written_and_says_nothing_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, records) = open(dir.path(), None);
    assert_eq!(records, []);
    journal.append(arrival(), b"MILLER").unwrap();
    journal.append_end(arrival(), Some(Sha256::of(b"MILLER"))).unwrap();
    journal.append(Arrival { may_bind: false, ..arrival() }, b"de").unwrap();
    let bytes = fs::read(&journal.path).unwrap();
    assert!(!bytes.windows(6).any(|window| window == b"MILLER"));
    assert_eq!(journal.read_back().unwrap().len(), 3);
    drop(journal);
    let (_, records) = open(dir.path(), at(0));
    assert_eq!(records[..2], [data(b"MILLER"), Record::End { file: Some(Sha256::of(b"MILLER")) }]);
    assert!(matches!(&records[2], Record::Data { arrival, .. } if !arrival.may_bind));
}

#[test]
fn a_torn_record_loses_none_before_it_and_writing_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = written(dir.path(), &[b"whole", b"torn"]);
    let len = fs::metadata(&path).unwrap().len();
    OpenOptions::new().write(true).open(&path).unwrap().set_len(len - 2).unwrap();
    let (mut journal, records) = open(dir.path(), at(0));
    assert_eq!(records, [data(b"whole")]);
    journal.append(arrival(), b"next").unwrap();
    let (_, records) = open(dir.path(), at(0));
    assert_eq!(records, [data(b"whole"), data(b"next")]);
}

/// A kill may hit in the middle of a long write: what stands there whole is not lost with the rest.
#[test]
fn of_a_long_chunk_less_than_a_piece_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let chunk: Vec<u8> = (0..4096).map(|at| (at % 251) as u8).collect();
    let path = written(dir.path(), &[&chunk]);
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(HEADER_LEN as u64 + 3000).unwrap();
    let kept = joined(&open(dir.path(), at(0)).1);
    assert!(kept.len() > 3000 - PIECE_LEN && chunk.starts_with(&kept), "{} bytes", kept.len());
}

#[test]
fn an_interrupted_rotation_leaves_one_truth() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) = open(dir.path(), None);
    journal.append(arrival(), b"consumed, rest").unwrap();
    let next = journal.prepare_next(&[data(b"rest")]).unwrap();
    drop(next);
    // The spool never took the new position: the old generation counts.
    let (mut journal, records) = open(dir.path(), at(10));
    assert_eq!(records, [data(b"consumed, rest")]);
    let next = journal.prepare_next(&[data(b"rest")]).unwrap();
    journal.switch(next).unwrap();
    let position = Some(Position { generation: 1, consumed: 0 });
    assert_eq!(open(dir.path(), position).1, [data(b"rest")]);
}

#[test]
fn links_whose_names_begin_alike_do_not_share_files() {
    let dir = tempfile::tempdir().unwrap();
    let other = LinkId::new("ark-2").unwrap();
    let (mut journal, _) = Journal::open(dir.path(), &other, None, &key()).unwrap();
    journal.append(arrival(), b"abc").unwrap();
    assert_eq!(open(dir.path(), None).1, []);
}

#[test]
fn a_journal_in_clear_is_sealed_and_counts_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let clear = |mark: u8, bytes: &[u8]| {
        let mut record = vec![mark, 1];
        record.extend((bytes.len() as u32).to_le_bytes());
        record.extend(arrival().at.as_microsecond().to_le_bytes());
        record.extend(bytes);
        record
    };
    let mut torn = clear(b'D', b"torn");
    torn.truncate(torn.len() - 2);
    let file = [clear(b'D', b"MILLER"), clear(b'E', b""), torn].concat();
    fs::write(dir.path().join("ark.0.journal"), &file).unwrap();
    let expected = [data(b"MILLER"), Record::End { file: None }, data(b"to")];
    assert_eq!(open(dir.path(), at(3)).1, expected);
    assert!(!dir.path().join("ark.0.journal").exists());
    // Killed before the old file was gone: the sealed one counts.
    fs::write(dir.path().join("ark.0.journal"), &file[..20]).unwrap();
    assert_eq!(open(dir.path(), at(3)).1, expected);
    for entry in fs::read_dir(dir.path()).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(6).any(|window| window == b"MILLER"));
    }
}

#[test]
fn a_journal_of_another_key_is_set_aside() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), &[b"abc"]);
    let other = Key::from_bytes(&[8; 32]);
    let (mut journal, records) = Journal::open(dir.path(), &link(), None, &other).unwrap();
    assert_eq!((records.len(), set_aside_files(dir.path())), (0, 1));
    journal.append(arrival(), b"next").unwrap();
    let (_, records) = Journal::open(dir.path(), &link(), None, &other).unwrap();
    assert_eq!(records, [data(b"next")]);
}

/// A power cut took the end of the journal, which the spool had counted. What comes now must not
/// be taken for it after the next start.
#[test]
fn a_journal_that_ends_before_the_spools_position_swallows_nothing() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), &[b"0123"]);
    let (mut journal, records) = open(dir.path(), at(10));
    assert_eq!(joined(&records).len(), 10);
    journal.append(arrival(), b"next").unwrap();
    assert_eq!(joined(&open(dir.path(), at(10)).1)[10..], *b"next");
}

#[test]
fn no_more_than_some_damaged_files_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    for _ in 0..SET_ASIDE_MAX + 3 {
        let path = written(dir.path(), &[b"abc"]);
        fs::write(&path, vec![9; 100]).unwrap();
    }
    open(dir.path(), at(0));
    assert_eq!(set_aside_files(dir.path()), SET_ASIDE_MAX);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever byte is changed, no other byte is ever given out: a record comes back as it was, or
    /// not at all, and those before the change are all there.
    #[test]
    fn a_changed_byte_is_found(
        lens in proptest::collection::vec(1..40_usize, 1..8),
        place in any::<prop::sample::Index>(),
        flip in 1..=255_u8,
        consumed in 0..60_u64,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut next = 1_u8;
        let records: Vec<Vec<u8>> = lens
            .iter()
            .map(|len| {
                let bytes = vec![next; *len];
                next += 1;
                bytes
            })
            .collect();
        let total: usize = lens.iter().sum();
        let consumed = consumed.min(total as u64);
        let slices: Vec<&[u8]> = records.iter().map(Vec::as_slice).collect();
        let path = written(dir.path(), &slices);
        let mut bytes = fs::read(&path).unwrap();
        let changed = place.index(bytes.len());
        bytes[changed] ^= flip;
        fs::write(&path, &bytes).unwrap();
        let (mut journal, found) = open(dir.path(), at(consumed));
        prop_assert_eq!(set_aside_files(dir.path()), 1);
        // Which record the byte lay in.
        let mut end = HEADER_LEN;
        let hit = lens.iter().position(|len| {
            end += len + 42;
            changed < end
        });
        let hit = if changed < HEADER_LEN { None } else { hit };
        let unread = |records: &[Record]| joined(records).split_off(consumed as usize);
        let rest = unread(&found);
        let original: Vec<u8> = records.concat().split_off(consumed as usize);
        let mut from = 0;
        for byte in &rest {
            // A part of the original, in its order.
            let at = original[from..].iter().position(|it| it == byte);
            prop_assert!(at.is_some(), "{rest:?} of {original:?}");
            from += at.unwrap();
        }
        if let Some(hit) = hit {
            let before: usize = lens[..hit].iter().sum();
            let before = before.saturating_sub(consumed as usize);
            prop_assert!(rest.starts_with(&original[..before]));
            // Its length is sealed as well: unless that was hit, what comes behind is there too.
            let fields = HEADER_LEN + lens[..hit].iter().map(|len| len + 42).sum::<usize>();
            let is_behind = hit + 1 < lens.len() && (consumed as usize) < total;
            if changed >= fields + 14 && is_behind {
                prop_assert!(rest.ends_with(&records[lens.len() - 1][..1]));
            }
        }
        journal.append(arrival(), b"\xff").unwrap();
        let again = unread(&open(dir.path(), at(consumed)).1);
        prop_assert_eq!(again, [&rest[..], b"\xff"].concat());
        prop_assert_eq!(set_aside_files(dir.path()), 1);
    }
}
