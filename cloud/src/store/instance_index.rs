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

crate::row! {
    /// A study, or a series of one: its first instance, which speaks for all, and what it holds.
    pub struct Group {
        pub study_instance_uid: String,
        pub series_instance_uid: String,
        pub modality: String,
        pub eye: String,
        pub series_number: Option<i64>,
        pub patient_id: String,
        pub birth_date: Option<String>,
        pub accession: String,
        pub header: String,
        pub series: i64,
        pub instances: i64,
        pub first_acquired_at: Option<String>,
        /// Separated by blanks, in order.
        pub modalities: String,
        /// Exams in which its instances lie, separated by blanks.
        pub encounters: String,
    }
}

/// One statement, however many groups there are: those with a match are found and cut to the page,
/// then everything in them is counted, whether it matches or not.
macro_rules! groups {
    ([$uids:literal, $order:literal], [$same:literal, $same_inner:literal, $order_outer:literal]) => {
        concat!(
            "WITH hit AS (SELECT ",
            $uids,
            ", MAX(i.received_at_us) AS latest, MIN(i.series_number) AS number FROM instance i",
            matching!("", "GROUP BY "),
            $uids,
            $order,
            " LIMIT $12 OFFSET $13),
            inside AS (SELECT i.*, h.latest, h.number, ROW_NUMBER() OVER (PARTITION BY ",
            $uids,
            " ORDER BY i.series_number, i.series_instance_uid, i.instance_number,
                    i.sop_instance_uid, i.filed_at_us, i.instance_id) AS place_in_group
                FROM hit h JOIN instance i ON ",
            $same,
            " WHERE i.tenant_id = $1 AND i.place IN ('exam', 'inbox', 'held')),
            counted AS (SELECT ",
            $uids,
            ", COUNT(DISTINCT i.series_instance_uid) AS series,
                COUNT(DISTINCT i.sop_instance_uid) AS instances,
                MIN(i.acquired_at) AS first_acquired_at FROM inside i GROUP BY ",
            $uids,
            ")
            SELECT i.study_instance_uid, i.series_instance_uid, i.modality, i.eye,
                i.series_number, i.patient_id, i.birth_date, i.accession, i.header,
                h.series, h.instances, h.first_acquired_at,
                COALESCE((SELECT STRING_AGG(m.modality, ' ') FROM (SELECT DISTINCT n.modality
                    FROM inside n WHERE ",
            $same_inner,
            " ORDER BY n.modality) m), '') AS modalities,
                COALESCE((SELECT STRING_AGG(m.encounter_id, ' ') FROM (SELECT DISTINCT
                    n.encounter_id FROM inside n WHERE ",
            $same_inner,
            " AND n.encounter_id IS NOT NULL) m), '') AS encounters
            FROM inside i JOIN counted h ON ",
            $same,
            " WHERE i.place_in_group = 1 ORDER BY ",
            $order_outer
        )
    };
}

/// Studies with a match, latest first.
pub async fn studies(
    tx: &mut Tx,
    tenant: &str,
    filter: &Filter,
    (limit, offset): (i64, i64),
) -> Result<Vec<Group>, StoreError> {
    let sql = groups!(
        ["i.study_instance_uid", " ORDER BY 2 DESC, 1"],
        [
            "i.study_instance_uid = h.study_instance_uid",
            "n.study_instance_uid = i.study_instance_uid",
            "i.latest DESC, i.study_instance_uid"
        ]
    );
    tx.fetch_all(sql, filter.args(tenant, limit, offset)).await
}

/// Series with a match, in their order within their study.
pub async fn series(
    tx: &mut Tx,
    tenant: &str,
    filter: &Filter,
    (limit, offset): (i64, i64),
) -> Result<Vec<Group>, StoreError> {
    let sql = groups!(
        ["i.study_instance_uid, i.series_instance_uid", " ORDER BY 1, 4, 2"],
        [
            "i.study_instance_uid = h.study_instance_uid
                AND i.series_instance_uid = h.series_instance_uid",
            "n.study_instance_uid = i.study_instance_uid
                AND n.series_instance_uid = i.series_instance_uid",
            "i.study_instance_uid, i.number, i.series_instance_uid"
        ]
    );
    tx.fetch_all(sql, filter.args(tenant, limit, offset)).await
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
