//! Studies, series and instances as DICOMweb asks for them (QIDO-RS). What cannot be read has no
//! UIDs and is not found here; what was rejected is nobody's.

use super::{StoreError, Tx, instance::InstanceRow};
use crate::{args, instance_rows};

/// Most instances of one answer.
pub const INSTANCES_MAX: i64 = 5_000;

/// What is asked for; empty is everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    pub study: String,
    pub series: String,
    pub sop: String,
    pub patient_id: String,
    /// A pattern of LIKE in small letters, with `\` before what stands for itself.
    pub patient_name: String,
    pub accession: String,
    pub modality: String,
    pub sop_class: String,
    /// First and last date, `YYYY-MM-DD`.
    pub dates: (String, String),
}

/// The conditions of a [`Filter`], as `$1` to `$11`.
macro_rules! matching {
    ($select:literal, $rest:literal) => {
        concat!(
            $select,
            " WHERE i.tenant_id = $1 AND i.place IN ('exam', 'inbox', 'held')
                AND ($2 = '' OR i.study_instance_uid = $2)
                AND ($3 = '' OR i.series_instance_uid = $3)
                AND ($4 = '' OR i.sop_instance_uid = $4)
                AND ($5 = '' OR i.patient_id = $5)
                AND ($6 = '' OR i.patient_name_folded LIKE $6 ESCAPE '\\')
                AND ($7 = '' OR i.accession = $7)
                AND ($8 = '' OR i.modality = $8)
                AND ($9 = '' OR i.sop_class_uid = $9)
                AND ($10 = '' OR i.acquired_at >= $10)
                AND ($11 = '' OR i.acquired_at <= $11) ",
            $rest
        )
    };
}

impl Filter {
    fn args(&self, tenant: &str, limit: i64, offset: i64) -> [super::db::Arg; 13] {
        let last = match self.dates.1.as_str() {
            "" => String::new(),
            date => format!("{date}T99"),
        };
        args![
            tenant,
            &self.study,
            &self.series,
            &self.sop,
            &self.patient_id,
            &self.patient_name,
            &self.accession,
            &self.modality,
            &self.sop_class,
            &self.dates.0,
            last,
            limit,
            offset,
        ]
    }
}

/// Study UIDs with a match, latest first.
pub async fn studies(
    tx: &mut Tx,
    tenant: &str,
    filter: &Filter,
    (limit, offset): (i64, i64),
) -> Result<Vec<String>, StoreError> {
    let sql = matching!(
        "SELECT i.study_instance_uid, MAX(i.received_at_us) FROM instance i",
        "GROUP BY i.study_instance_uid ORDER BY 2 DESC, 1 LIMIT $12 OFFSET $13"
    );
    let rows: Vec<(String, i64)> = tx.fetch_all(sql, filter.args(tenant, limit, offset)).await?;
    Ok(rows.into_iter().map(|(uid, _)| uid).collect())
}

/// Study and series UIDs with a match, in the order of the series.
pub async fn series(
    tx: &mut Tx,
    tenant: &str,
    filter: &Filter,
    (limit, offset): (i64, i64),
) -> Result<Vec<(String, String)>, StoreError> {
    let sql = matching!(
        "SELECT i.study_instance_uid, i.series_instance_uid, MIN(i.series_number)
            FROM instance i",
        "GROUP BY i.study_instance_uid, i.series_instance_uid ORDER BY 1, 3, 2
        LIMIT $12 OFFSET $13"
    );
    let rows: Vec<(String, String, Option<i64>)> =
        tx.fetch_all(sql, filter.args(tenant, limit, offset)).await?;
    Ok(rows.into_iter().map(|(study, series, _)| (study, series)).collect())
}

/// Instances with a match, in the order of their series; of several with one UID the first that
/// came stands first.
pub async fn instances(
    tx: &mut Tx,
    tenant: &str,
    filter: &Filter,
    (limit, offset): (i64, i64),
) -> Result<Vec<InstanceRow>, StoreError> {
    let sql = concat!(
        instance_rows!(""),
        matching!(
            "",
            "ORDER BY i.study_instance_uid, i.series_number, i.series_instance_uid,
                i.instance_number, i.sop_instance_uid, i.filed_at_us, i.instance_id
            LIMIT $12 OFFSET $13"
        )
    );
    tx.fetch_all(sql, filter.args(tenant, limit, offset)).await
}

crate::row! {
    /// What a study or a series holds.
    pub struct Counted {
        pub series: i64,
        pub instances: i64,
        pub first_acquired_at: Option<String>,
    }
}

pub async fn counted(tx: &mut Tx, tenant: &str, filter: &Filter) -> Result<Counted, StoreError> {
    let sql = matching!(
        "SELECT COUNT(DISTINCT i.series_instance_uid) AS series,
            COUNT(DISTINCT i.sop_instance_uid) AS instances,
            MIN(i.acquired_at) AS first_acquired_at
            FROM instance i",
        "LIMIT $12 OFFSET $13"
    );
    tx.fetch_one(sql, filter.args(tenant, 1, 0)).await
}

/// The modalities of what matches.
pub async fn modalities(
    tx: &mut Tx,
    tenant: &str,
    filter: &Filter,
) -> Result<Vec<String>, StoreError> {
    let sql = matching!(
        "SELECT DISTINCT i.modality FROM instance i",
        "ORDER BY i.modality LIMIT $12 OFFSET $13"
    );
    let rows: Vec<(String,)> = tx.fetch_all(sql, filter.args(tenant, 100, 0)).await?;
    Ok(rows.into_iter().map(|(modality,)| modality).collect())
}
