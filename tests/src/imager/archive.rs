//! What the cloud has of an imager's objects.

use crate::{clinic::Clinic, cloud::TENANT};
use anyhow::{Context, Result, ensure};
use chiasm_cloud::store::Db;
use chiasm_proto::Sha256;
use std::collections::BTreeMap;

/// The data set behind a file's header, which gateway and test write differently.
pub fn data_set(file: &[u8]) -> Result<&[u8]> {
    let len = file.get(140..144).context("no group length")?;
    let len = usize::try_from(u32::from_le_bytes(len.try_into()?))?;
    file.get(144 + len..).context("the file ends in its header")
}

/// What is filed: place and stored bytes, by SOP Instance UID.
pub async fn filed(clinic: &Clinic) -> Result<BTreeMap<String, Vec<(String, Vec<u8>)>>> {
    let db = Db::open(clinic.cloud.store_url()).await?;
    let mut tx = db.tenant_read(TENANT).await?;
    let sql = "SELECT sop_instance_uid, place, object_key, sha256 FROM instance
        WHERE tenant_id = $1";
    let rows: Vec<(String, String, String, String)> =
        tx.fetch_all(sql, chiasm_cloud::args![TENANT]).await?;
    drop(tx);
    db.close().await;
    let mut filed: BTreeMap<String, Vec<(String, Vec<u8>)>> = BTreeMap::new();
    for (sop, place, key, sha256) in rows {
        let bytes = std::fs::read(clinic.cloud.data_dir().join("instances").join(key))?;
        ensure!(Sha256::of(&bytes).to_string() == sha256, "{sop} is damaged in the archive");
        filed.entry(sop).or_default().push((place, bytes));
    }
    Ok(filed)
}
