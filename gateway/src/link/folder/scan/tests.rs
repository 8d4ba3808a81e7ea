use super::*;
use std::{fs, os::unix::fs::symlink};

fn stable(candidates: &[Candidate]) -> Vec<&Candidate> {
    candidates.iter().filter(|candidate| candidate.is_stable).collect()
}

/// Looks, and settles what has come to rest, as the link does.
fn look(scanner: &mut Scanner, folder: &Path) -> Vec<Candidate> {
    let found = scanner.scan(folder).unwrap();
    let at_rest: Vec<Candidate> = stable(&found).into_iter().cloned().collect();
    for candidate in &at_rest {
        scanner.settle(candidate);
    }
    at_rest
}

#[test]
fn a_file_is_at_rest_after_two_looks_without_a_change() {
    let dir = tempfile::tempdir().unwrap();
    let mut scanner = Scanner::new("xml");
    assert!(look(&mut scanner, dir.path()).is_empty());
    let path = dir.path().join("a.XmL");
    fs::write(&path, b"<a>").unwrap();
    assert!(look(&mut scanner, dir.path()).is_empty());
    assert!(look(&mut scanner, dir.path()).is_empty());
    fs::write(&path, b"<a></a>").unwrap();
    assert!(look(&mut scanner, dir.path()).is_empty());
    assert!(look(&mut scanner, dir.path()).is_empty());
    let found = look(&mut scanner, dir.path());
    assert_eq!(found[0].content, Content::Bytes(b"<a></a>".to_vec()));
    assert!(found[0].may_bind);
    assert!(look(&mut scanner, dir.path()).is_empty());
    fs::write(&path, b"<a>2</a>").unwrap();
    for _ in 0..2 {
        assert!(look(&mut scanner, dir.path()).is_empty());
    }
    assert_eq!(look(&mut scanner, dir.path()).len(), 1);
}

#[test]
fn what_lay_there_before_anybody_looked_may_not_be_bound() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("old.xml"), b"<a/>").unwrap();
    let mut scanner = Scanner::new("xml");
    look(&mut scanner, dir.path());
    fs::write(dir.path().join("new.xml"), b"<b/>").unwrap();
    let mut found = Vec::new();
    for _ in 0..3 {
        found.extend(look(&mut scanner, dir.path()));
    }
    let by_content = |content: &[u8]| {
        let bytes = Content::Bytes(content.to_vec());
        found.iter().find(|candidate| candidate.content == bytes).unwrap()
    };
    assert!(!by_content(b"<a/>").may_bind);
    assert!(by_content(b"<b/>").may_bind);
}

#[test]
fn a_folder_that_was_away_is_looked_at_as_for_the_first_time() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("share");
    let mut scanner = Scanner::new("xml");
    assert!(scanner.scan(&folder).is_err());
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("while-away.xml"), b"<a/>").unwrap();
    let found = scanner.scan(&folder).unwrap();
    assert!(!found[0].may_bind);
}

#[test]
fn links_folders_other_kinds_empty_and_giant_files_are_not_read() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("in");
    fs::create_dir(&folder).unwrap();
    fs::write(dir.path().join("secret.xml"), b"secret").unwrap();
    symlink("../secret.xml", folder.join("link.xml")).unwrap();
    symlink(dir.path(), folder.join("up.xml")).unwrap();
    fs::create_dir(folder.join("dir.xml")).unwrap();
    fs::write(folder.join("notes.txt"), b"text").unwrap();
    fs::write(folder.join("xml"), b"no extension").unwrap();
    fs::write(folder.join("empty.xml"), b"").unwrap();
    rustix::fs::mknodat(CWD, folder.join("pipe.xml"), FileType::Fifo, Mode::RUSR, 0).unwrap();
    let long = File::create(folder.join("long.xml")).unwrap();
    long.set_len(FILE_LEN_MAX + 1).unwrap();
    let mut scanner = Scanner::new(".XML");
    let mut found = Vec::new();
    for _ in 0..4 {
        found.extend(scanner.scan(&folder).unwrap());
    }
    assert!(!found.is_empty());
    for candidate in &found {
        assert!(matches!(candidate.content, Content::Refused { code: "too_long", .. }));
    }
}

#[test]
fn a_name_that_becomes_a_link_between_look_and_reading_is_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("secret"), b"secret").unwrap();
    symlink(dir.path().join("secret"), dir.path().join("a.xml")).unwrap();
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    let folder = openat(CWD, dir.path(), flags, Mode::empty()).unwrap();
    assert!(read(&folder, c"a.xml").is_err());
}

#[test]
fn ten_thousand_files_are_taken_in_bounded_steps_each_once() {
    const FILES: usize = 10_000;
    let dir = tempfile::tempdir().unwrap();
    for number in 0..FILES {
        fs::write(dir.path().join(format!("{number}.xml")), number.to_string()).unwrap();
    }
    let mut scanner = Scanner::new("xml");
    let mut taken = std::collections::BTreeSet::new();
    for _ in 0..FILES {
        let found = scanner.scan(dir.path()).unwrap();
        assert!(found.len() <= READS_PER_SCAN_MAX);
        for candidate in found.iter().filter(|candidate| candidate.is_stable) {
            assert!(taken.insert(candidate.content_bytes()), "taken twice");
            scanner.settle(candidate);
        }
        if taken.len() == FILES {
            break;
        }
    }
    assert_eq!(taken.len(), FILES);
    // A new one does not wait until the old ones have had their turn.
    fs::write(dir.path().join("new.xml"), b"new").unwrap();
    let found = scanner.scan(dir.path()).unwrap();
    assert!(found.iter().any(|candidate| candidate.content_bytes() == b"new"));
    // One that is written again is found in the round over the others.
    fs::write(dir.path().join("77.xml"), b"changed").unwrap();
    let looks = FILES / (SETTLED_PER_SCAN - 1) + 2;
    let changed = Content::Bytes(b"changed".to_vec());
    let is_found = (0..looks).any(|_| {
        let found = scanner.scan(dir.path()).unwrap();
        found.iter().any(|candidate| candidate.content == changed)
    });
    assert!(is_found);
}

impl Candidate {
    fn content_bytes(&self) -> Vec<u8> {
        match &self.content {
            Content::Bytes(bytes) => bytes.clone(),
            Content::Refused { .. } => panic!("refused"),
        }
    }
}
