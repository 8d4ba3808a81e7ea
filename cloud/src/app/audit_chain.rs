//! Walking a practice's audit from its first entry to its end, and saying where it was bent.

use super::AppError;
use crate::store::{Db, audit};

/// Entries that are read at once.
const PAGE_MAX: i64 = 1_000;

/// What a walk has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Entries that follow each other as they should.
    pub entries: i64,
    /// Entries from before there was a chain; nothing is said about them.
    pub unchained: i64,
    /// The hash of the last good entry. Whoever keeps it elsewhere can show later that the chain
    /// was not made anew.
    pub last_sha256: String,
    pub broken: Option<Break>,
}

/// The first place where the chain does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Break {
    pub seq: i64,
    pub what: &'static str,
}

/// An end of the chain that was noted earlier: number and hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Noted {
    pub seq: i64,
    pub sha256: String,
}

impl std::str::FromStr for Noted {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once(':').and_then(|(seq, hash)| Some((seq.parse().ok()?, hash)));
        let is_hash = |hash: &str| hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit());
        match parts {
            Some((seq, hash)) if is_hash(hash) => Ok(Self { seq, sha256: hash.to_lowercase() }),
            _ => Err("give NUMBER:HASH as an earlier run printed it".into()),
        }
    }
}

/// Walks the chain as it stands now; what is written meanwhile is left for the next time.
pub async fn verify(db: &Db, tenant: &str, noted: Option<&Noted>) -> Result<Verdict, AppError> {
    let mut tx = db.tenant_read(tenant).await?;
    let unchained = audit::unchained(&mut tx, tenant).await?;
    let (end, end_sha256) = audit::head(&mut tx, tenant).await?.unwrap_or_default();
    drop(tx);
    let mut verdict = Verdict { entries: 0, unchained, last_sha256: String::new(), broken: None };
    let broken = |seq, what| Some(Break { seq, what });
    loop {
        let mut tx = db.tenant_read(tenant).await?;
        let page = audit::after(&mut tx, tenant, verdict.entries, PAGE_MAX).await?;
        drop(tx);
        let is_last = page.len() < PAGE_MAX as usize;
        for entry in page {
            if entry.seq != verdict.entries + 1 {
                verdict.broken = broken(verdict.entries + 1, "the entry is missing");
                return Ok(verdict);
            }
            if entry.hash(tenant, &verdict.last_sha256) != entry.sha256 {
                let what = "the entry, or the one before it, was changed";
                verdict.broken = broken(entry.seq, what);
                return Ok(verdict);
            }
            if noted.is_some_and(|it| it.seq == entry.seq && it.sha256 != entry.sha256) {
                let what = "the entry is another one than was noted earlier";
                verdict.broken = broken(entry.seq, what);
                return Ok(verdict);
            }
            if entry.seq == end && entry.sha256 != end_sha256 {
                verdict.broken = broken(entry.seq, "the end of the chain was changed");
                return Ok(verdict);
            }
            verdict.entries = entry.seq;
            verdict.last_sha256 = entry.sha256;
        }
        if is_last {
            break;
        }
    }
    let known_end = noted.map_or(end, |it| it.seq.max(end));
    if verdict.entries < known_end {
        verdict.broken = broken(verdict.entries + 1, "the entries from here on are missing");
    }
    Ok(verdict)
}
