//! Who looked at what and who changed it: a chain per tenant that only grows. Each entry carries
//! the hash of the entry before it together with its own content, so a change, a gap and an
//! insertion break the chain from there on.

use super::{StoreError, Tx};
use crate::args;
use chiasm_proto::Sha256;
use serde::Serialize;
use uuid::Uuid;

/// What an entry is about, beyond its subject. Everything may be absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct About {
    pub patient_id: Option<String>,
    pub encounter_id: Option<String>,
    pub reading_id: Option<String>,
    /// Kinds of values, in alphabetical order with a space between them.
    pub kinds: String,
    pub value_before: String,
    pub value_after: String,
    pub why: String,
}

/// An entry before it has its number.
#[derive(Debug, Clone)]
pub struct Entry {
    pub at_us: i64,
    pub account_id: String,
    pub role: String,
    /// Where the request came from; empty where that is not known.
    pub address: String,
    pub is_look: bool,
    /// A word such as `exam_seen`.
    pub action: String,
    /// A thing by its identifier, never a person by name.
    pub subject: String,
    pub about: About,
}

crate::row! {
    /// An entry as it is kept.
    pub struct Stored {
        pub seq: i64,
        pub audit_entry_id: String,
        pub at_us: i64,
        pub account_id: String,
        pub role: String,
        pub address: String,
        pub is_look: bool,
        pub action: String,
        pub subject: String,
        pub patient_id: Option<String>,
        pub encounter_id: Option<String>,
        pub reading_id: Option<String>,
        pub kinds: String,
        pub value_before: String,
        pub value_after: String,
        pub why: String,
        pub sha256: String,
    }
}

/// The content that is hashed. Neither names nor order ever change: a further column would need a
/// further version, told by `v`.
#[derive(Serialize)]
struct Canonical<'a> {
    v: u8,
    tenant_id: &'a str,
    seq: i64,
    audit_entry_id: &'a str,
    at_us: i64,
    account_id: &'a str,
    role: &'a str,
    address: &'a str,
    is_look: bool,
    action: &'a str,
    subject: &'a str,
    patient_id: Option<&'a str>,
    encounter_id: Option<&'a str>,
    reading_id: Option<&'a str>,
    kinds: &'a str,
    value_before: &'a str,
    value_after: &'a str,
    why: &'a str,
    previous_sha256: &'a str,
}

impl Stored {
    /// The hash that the entry must have behind the one with the given hash.
    pub fn hash(&self, tenant: &str, previous_sha256: &str) -> String {
        let content = Canonical {
            v: 1,
            tenant_id: tenant,
            seq: self.seq,
            audit_entry_id: &self.audit_entry_id,
            at_us: self.at_us,
            account_id: &self.account_id,
            role: &self.role,
            address: &self.address,
            is_look: self.is_look,
            action: &self.action,
            subject: &self.subject,
            patient_id: self.patient_id.as_deref(),
            encounter_id: self.encounter_id.as_deref(),
            reading_id: self.reading_id.as_deref(),
            kinds: &self.kinds,
            value_before: &self.value_before,
            value_after: &self.value_after,
            why: &self.why,
            previous_sha256,
        };
        let json = serde_json::to_string(&content).expect("plain data always serialises");
        Sha256::of(json.as_bytes()).to_string()
    }
}

/// Numbers the entries and adds them. The chain's end stays locked until the commit: do this after
/// every other change but the live events, which lock the tenant's row.
pub async fn append(tx: &mut Tx, tenant: &str, entries: &[Entry]) -> Result<(), StoreError> {
    if entries.is_empty() {
        return Ok(());
    }
    let (mut seq, mut sha256) = lock_head(tx, tenant).await?;
    for entry in entries {
        seq += 1;
        let mut stored = stored(entry.clone(), seq);
        stored.sha256 = stored.hash(tenant, &sha256);
        insert(tx, tenant, &stored).await?;
        sha256 = stored.sha256;
    }
    let sql = "UPDATE audit_head SET last_seq = $2, last_sha256 = $3 WHERE tenant_id = $1";
    tx.execute(sql, args![tenant, seq, sha256]).await?;
    Ok(())
}

fn stored(entry: Entry, seq: i64) -> Stored {
    let Entry { at_us, account_id, role, address, is_look, action, subject, about } = entry;
    let About { patient_id, encounter_id, reading_id, kinds, value_before, value_after, why } =
        about;
    Stored {
        seq,
        audit_entry_id: Uuid::now_v7().to_string(),
        at_us,
        account_id,
        role,
        address,
        is_look,
        action,
        subject,
        patient_id,
        encounter_id,
        reading_id,
        kinds,
        value_before,
        value_after,
        why,
        sha256: String::new(),
    }
}

async fn lock_head(tx: &mut Tx, tenant: &str) -> Result<(i64, String), StoreError> {
    let lock = "UPDATE audit_head SET last_seq = last_seq WHERE tenant_id = $1
        RETURNING last_seq, last_sha256";
    if let Some(head) = tx.fetch_optional(lock, args![tenant]).await? {
        return Ok(head);
    }
    let begin = "INSERT INTO audit_head (tenant_id, last_seq, last_sha256) VALUES ($1, 0, '')
        ON CONFLICT DO NOTHING";
    tx.execute(begin, args![tenant]).await?;
    tx.fetch_one(lock, args![tenant]).await
}

async fn insert(tx: &mut Tx, tenant: &str, it: &Stored) -> Result<(), StoreError> {
    let sql = "INSERT INTO audit_entry (tenant_id, seq, audit_entry_id, at_us, account_id, role,
            address, is_look, action, subject, patient_id, encounter_id, reading_id, kinds,
            value_before, value_after, why, sha256)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)";
    let args = args![
        tenant,
        it.seq,
        &it.audit_entry_id,
        it.at_us,
        &it.account_id,
        &it.role,
        &it.address,
        it.is_look,
        &it.action,
        &it.subject,
        it.patient_id.clone(),
        it.encounter_id.clone(),
        it.reading_id.clone(),
        &it.kinds,
        &it.value_before,
        &it.value_after,
        &it.why,
        &it.sha256,
    ];
    tx.execute(sql, args).await?;
    Ok(())
}

/// The kinds of values in each time that the account has done this to the subject since a moment;
/// empty if it has not.
pub async fn kinds_since(
    tx: &mut Tx,
    tenant: &str,
    account: &str,
    (action, subject): (&str, &str),
    encounter: Option<&str>,
    since_us: i64,
) -> Result<Vec<String>, StoreError> {
    let sql = "SELECT DISTINCT kinds FROM audit_entry WHERE tenant_id = $1 AND subject = $2
        AND at_us >= $3 AND account_id = $4 AND action = $5
        AND COALESCE(encounter_id, '') = $6";
    let args = args![tenant, subject, since_us, account, action, encounter.unwrap_or_default()];
    let rows: Vec<(String,)> = tx.fetch_all(sql, args).await?;
    Ok(rows.into_iter().map(|(kinds,)| kinds).collect())
}

/// The end of the chain: the number of the latest entry and its hash.
pub async fn head(tx: &mut Tx, tenant: &str) -> Result<Option<(i64, String)>, StoreError> {
    let sql = "SELECT last_seq, last_sha256 FROM audit_head WHERE tenant_id = $1";
    tx.fetch_optional(sql, args![tenant]).await
}

/// Entries from before there was a chain.
pub async fn unchained(tx: &mut Tx, tenant: &str) -> Result<i64, StoreError> {
    let sql = "SELECT COUNT(*) FROM audit_entry WHERE tenant_id = $1 AND seq IS NULL";
    Ok(tx.fetch_one::<(i64,)>(sql, args![tenant]).await?.0)
}

/// Entries of the chain after a number, in its order.
pub async fn after(
    tx: &mut Tx,
    tenant: &str,
    seq: i64,
    limit: i64,
) -> Result<Vec<Stored>, StoreError> {
    let sql = "SELECT seq, audit_entry_id, at_us, account_id, role, address, is_look, action,
            subject, patient_id, encounter_id, reading_id, kinds, value_before, value_after, why,
            sha256
        FROM audit_entry WHERE tenant_id = $1 AND seq > $2 ORDER BY seq LIMIT $3";
    tx.fetch_all(sql, args![tenant, seq, limit]).await
}
