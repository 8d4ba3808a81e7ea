//! The audit as people ask it: by patient, by person, by time, latest first, a page at a time.

use super::{StoreError, Tx};
use crate::{args, store::db::Arg};

crate::row! {
    /// An entry with the names that belong to its identifiers today.
    pub struct Listed {
        /// 0 for entries from before there was a chain.
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
        pub account_name: Option<String>,
        pub chart_number: Option<String>,
        pub family_name: Option<String>,
        pub given_name: Option<String>,
    }
}

/// Which entries. What is empty is not asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// The chart that the person's charts are merged into.
    pub patient: String,
    pub account: String,
    /// From this moment on, and before that one.
    pub from_us: i64,
    pub until_us: i64,
    /// One kind of values.
    pub kind: String,
    pub is_look: Option<bool>,
}

/// Where a page begins: behind this entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    pub at_us: i64,
    pub audit_entry_id: String,
}

/// The entries that fit; `$first` and `$where` say what an index leads to.
macro_rules! entries {
    ($first:literal, $where:literal) => {
        concat!(
            "SELECT COALESCE(a.seq, 0) AS seq, a.audit_entry_id, a.at_us, a.account_id, a.role,
                a.address, a.is_look, a.action, a.subject, a.patient_id, a.encounter_id,
                a.reading_id, a.kinds, a.value_before, a.value_after, a.why, a.sha256,
                p.display_name AS account_name, x.chart_number, x.family_name, x.given_name
            FROM ",
            $first,
            "audit_entry a
            LEFT JOIN account p ON p.tenant_id = a.tenant_id AND p.account_id = a.account_id
            LEFT JOIN patient x ON x.tenant_id = a.tenant_id AND x.patient_id = a.patient_id
            WHERE a.tenant_id = $1 AND a.at_us >= $2 AND a.at_us < $3
                AND (a.at_us, a.audit_entry_id) < ($4, $5)
                AND ($6 = '' OR ' ' || a.kinds || ' ' LIKE '% ' || $6 || ' %')
                AND ($7 = '' OR a.is_look = ($7 = 'looked')) ",
            $where,
            " ORDER BY a.at_us DESC, a.audit_entry_id DESC LIMIT $8"
        )
    };
}

/// The entries behind a position, latest first.
pub async fn page(
    tx: &mut Tx,
    tenant: &str,
    filter: &Filter,
    before: Option<&Position>,
    limit: i64,
) -> Result<Vec<Listed>, StoreError> {
    let (at_us, id) = before.map_or((i64::MAX, ""), |it| (it.at_us, it.audit_entry_id.as_str()));
    let only = match filter.is_look {
        None => "",
        Some(true) => "looked",
        Some(false) => "changed",
    };
    let Filter { patient, account, from_us, until_us, kind, .. } = filter;
    let common = args![tenant, *from_us, *until_us, at_us, id, kind, only, limit];
    let with = |more: &[&String]| -> Vec<Arg> {
        common.iter().cloned().chain(more.iter().map(|text| Arg::from(*text))).collect()
    };
    match (patient.as_str(), account.as_str()) {
        ("", "") => tx.fetch_all(entries!("", ""), with(&[])).await,
        ("", _) => tx.fetch_all(entries!("", "AND a.account_id = $9"), with(&[account])).await,
        _ => {
            // From the charts to their entries: SQLite keeps to the order of a cross join, where it
            // would otherwise walk through all entries by time.
            let sql = entries!(
                "patient c CROSS JOIN ",
                "AND ($9 = '' OR a.account_id = $9) AND a.patient_id = c.patient_id
                    AND c.tenant_id = $1 AND (c.patient_id = $10 OR c.merged_into = $10)"
            );
            tx.fetch_all(sql, with(&[account, patient])).await
        }
    }
}
