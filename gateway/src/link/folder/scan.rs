//! One look at a folder: which files are there, which have come to rest.
//!
//! Bounded in every look: so many names, so many files examined, so many bytes read. What is known
//! of a file is a few numbers, so that ten thousand cost a megabyte.

use chiasm_proto::Sha256;
use rustix::{
    fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, fstat, openat, statat},
    io::Errno,
};
use std::{
    collections::{HashMap, HashSet},
    ffi::{CStr, CString},
    fs::File,
    hash::{DefaultHasher, Hash, Hasher},
    io::{self, Read},
    os::fd::OwnedFd,
    path::Path,
    sync::Arc,
};

/// Most files of one folder.
pub const FILES_MAX: usize = 20_000;
/// Longest file, in bytes.
pub const FILE_LEN_MAX: u64 = 8 * 1024 * 1024;
/// Most files not at rest whose size and time one look asks for.
pub const STATS_PER_SCAN_MAX: usize = 1024;
/// Most files that one look reads, and most bytes.
pub const READS_PER_SCAN_MAX: usize = 256;
pub const READ_LEN_PER_SCAN_MAX: u64 = 16 * 1024 * 1024;
/// Settled files whose size and time one look asks for in turn.
const SETTLED_PER_SCAN: usize = 256;
/// A listing whose folder has not changed is used again for so many looks. Not for longer, because
/// shares keep a folder's time only roughly.
const LISTING_USES_MAX: u8 = 5;
/// Looks without a change after which a file is at rest.
const STABLE_SCANS: u8 = 2;

/// A file to take, or to take if it is already whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    name: u64,
    print: Print,
    pub is_stable: bool,
    /// False for what lay there at the first look.
    pub may_bind: bool,
    pub content: Content,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    Bytes(Vec<u8>),
    /// Not read. The reason names no file.
    Refused {
        code: &'static str,
        why: String,
    },
}

impl Candidate {
    /// Stands for a refused file's content, which is not read to hash it.
    pub fn refusal_mark(&self) -> Sha256 {
        Sha256::of(format!("refused {:?}", (self.name, self.print)).as_bytes())
    }
}

/// What tells whether a file has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Print {
    len: u64,
    modified: (i64, i64),
    inode: u64,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    print: Print,
    /// Looks at which it had not changed.
    unchanged: u8,
    is_settled: bool,
    was_there_first: bool,
}

type Names = Arc<[(u64, CString)]>;

/// The names in a folder when it had this time.
struct Listing {
    modified: (i64, i64),
    names: Names,
    uses: u8,
}

/// What is known of a folder.
pub struct Scanner {
    extension: String,
    known: HashMap<u64, Known>,
    /// Whether the next look is the first, at the start or after the folder was away.
    is_first: bool,
    /// What lay there at the first look: nobody saw when it came.
    first_names: HashSet<u64>,
    listing: Option<Listing>,
    /// Where the next round over settled files goes on.
    round: usize,
}

impl Scanner {
    /// Looks for files with this extension, in any case of letters.
    pub fn new(extension: &str) -> Self {
        let extension = extension.trim_start_matches('.').to_ascii_lowercase();
        Self {
            extension,
            known: HashMap::new(),
            is_first: true,
            first_names: HashSet::new(),
            listing: None,
            round: 0,
        }
    }

    /// The file needs no more looks until it changes.
    pub fn settle(&mut self, candidate: &Candidate) {
        if let Some(known) = self.known.get_mut(&candidate.name)
            && known.print == candidate.print
        {
            known.is_settled = true;
        }
    }

    /// Looks once.
    pub fn scan(&mut self, folder: &Path) -> io::Result<Vec<Candidate>> {
        let found = self.look(folder);
        self.is_first = found.is_err();
        found
    }

    fn look(&mut self, folder: &Path) -> io::Result<Vec<Candidate>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = openat(CWD, folder, flags, Mode::empty())?;
        let names = self.listed(&dir)?;
        if self.listing.as_ref().is_some_and(|listing| listing.uses == 0) {
            self.forget_absent(&names);
        }
        let mut candidates = Vec::new();
        let (mut reads, mut read_len) = (0, 0);
        for index in self.order(&names) {
            let (name, file_name) = &names[index];
            let Some(stat) = self.look_at(&dir, *name, file_name)? else { continue };
            if reads >= READS_PER_SCAN_MAX || read_len >= READ_LEN_PER_SCAN_MAX {
                continue;
            }
            reads += 1;
            let known = self.known[name];
            let content = if stat.len > FILE_LEN_MAX {
                let why =
                    format!("a file of {} bytes; at most {FILE_LEN_MAX} bytes are read", stat.len);
                Content::Refused { code: "too_long", why }
            } else {
                match read(&dir, file_name) {
                    Ok(Some(bytes)) => Content::Bytes(bytes),
                    // Gone, or still locked by its writer: looked at again.
                    Ok(None) | Err(_) => continue,
                }
            };
            if let Content::Bytes(bytes) = &content {
                read_len += bytes.len() as u64;
            }
            candidates.push(Candidate {
                name: *name,
                print: stat,
                is_stable: known.unchanged >= STABLE_SCANS,
                may_bind: !known.was_there_first,
                content,
            });
        }
        Ok(candidates)
    }

    fn forget_absent(&mut self, names: &[(u64, CString)]) {
        let present: HashSet<u64> = names.iter().map(|(name, _)| *name).collect();
        self.known.retain(|name, _| present.contains(name));
        self.first_names.retain(|name| present.contains(name));
        if self.is_first {
            let unknown = present.iter().filter(|name| !self.known.contains_key(name));
            self.first_names.extend(unknown);
        }
    }

    /// The names: read anew if the folder has changed, or for good measure.
    fn listed(&mut self, dir: &OwnedFd) -> io::Result<Names> {
        let stat = fstat(dir)?;
        let modified = modified(&stat);
        if let Some(listing) = &mut self.listing
            && !self.is_first
            && listing.modified == modified
            && listing.uses < LISTING_USES_MAX
        {
            listing.uses += 1;
            return Ok(listing.names.clone());
        }
        let names: Names = self.names(dir)?.into();
        self.listing = Some(Listing { modified, names: names.clone(), uses: 0 });
        Ok(names)
    }

    fn names(&self, dir: &OwnedFd) -> io::Result<Vec<(u64, CString)>> {
        let mut names = Vec::new();
        for entry in Dir::read_from(dir)? {
            let entry = entry?;
            if !matches!(entry.file_type(), FileType::RegularFile | FileType::Unknown) {
                continue;
            }
            if self.has_extension(entry.file_name().to_bytes()) {
                let mut hasher = DefaultHasher::new();
                entry.file_name().hash(&mut hasher);
                names.push((hasher.finish(), entry.file_name().to_owned()));
            }
            if names.len() > FILES_MAX {
                let problem = format!("more than {FILES_MAX} files; move old ones elsewhere");
                return Err(io::Error::other(problem));
            }
        }
        Ok(names)
    }

    fn has_extension(&self, name: &[u8]) -> bool {
        let Some(dot) = name.iter().rposition(|byte| *byte == b'.') else { return false };
        name[dot + 1..].eq_ignore_ascii_case(self.extension.as_bytes())
    }

    /// New files first, then those not at rest, then a part of the others in turn.
    fn order(&mut self, names: &[(u64, CString)]) -> Vec<usize> {
        let (mut new, mut moving, mut settled) = (Vec::new(), Vec::new(), Vec::new());
        for (index, (name, _)) in names.iter().enumerate() {
            match self.known.get(name) {
                None => new.push(index),
                Some(known) if known.is_settled => settled.push(index),
                Some(_) => moving.push(index),
            }
        }
        // Newly come names must not keep those that wait from being taken.
        moving.extend(new);
        moving.truncate(STATS_PER_SCAN_MAX);
        let rest = SETTLED_PER_SCAN.min(settled.len());
        if !settled.is_empty() {
            self.round %= settled.len();
            settled.rotate_left(self.round);
            self.round += rest;
        }
        moving.extend(settled.into_iter().take(rest));
        moving
    }

    /// Notes size and time. Gives them if the file is worth reading: it is new, or has changed, or
    /// has come to rest.
    fn look_at(&mut self, dir: &OwnedFd, name: u64, file_name: &CStr) -> io::Result<Option<Print>> {
        let stat = match statat(dir, file_name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Ok(None);
        }
        let print = Print {
            len: u64::try_from(stat.st_size).unwrap_or(0),
            modified: modified(&stat),
            inode: stat.st_ino,
        };
        let was_there_first = self.first_names.contains(&name);
        let fresh = Known { print, unchanged: 0, is_settled: false, was_there_first };
        let Some(known) = self.known.get_mut(&name) else {
            self.known.insert(name, fresh);
            return Ok((print.len > 0).then_some(print));
        };
        if known.print != print {
            // Written to again: it no longer is what lay there at the first look.
            *known = Known { was_there_first: false, ..fresh };
            return Ok((print.len > 0).then_some(print));
        }
        if known.is_settled || print.len == 0 {
            return Ok(None);
        }
        known.unchanged = known.unchanged.saturating_add(1);
        Ok((known.unchanged >= STABLE_SCANS).then_some(print))
    }
}

/// Seconds and nanoseconds.
fn modified(stat: &Stat) -> (i64, i64) {
    (stat.st_mtime, i64::try_from(stat.st_mtime_nsec).unwrap_or(0))
}

/// The content, unless the name is a link or not a file.
fn read(dir: &OwnedFd, file_name: &CStr) -> io::Result<Option<Vec<u8>>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(openat(dir, file_name, flags, Mode::empty())?);
    let meta = file.metadata()?;
    if !meta.is_file() || meta.len() > FILE_LEN_MAX {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    file.take(FILE_LEN_MAX).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 == meta.len()).then_some(bytes))
}

#[cfg(test)]
mod tests;
