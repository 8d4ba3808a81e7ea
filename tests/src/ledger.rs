//! The cloud's database as a witness: what was filed, read with the product's own store.

use crate::{cloud::TENANT, station::Print, wait};
use anyhow::{Context, Result, bail, ensure};
use chiasm_cloud::store::Db;
use chiasm_proto::{Body, Envelope};
use std::collections::BTreeMap;

/// One reading as the ledger holds it.
#[derive(Debug, Clone)]
pub struct Filed {
    pub envelope: Envelope,
    /// `exam`, `tray`, `inbox`, `held` or `duplicate`.
    pub place: String,
}

impl Filed {
    /// Whether this is what the instrument on that link printed.
    pub fn is_print(&self, link: &str, print: &Print) -> bool {
        match &self.envelope.body {
            Body::Reading(reading) => {
                reading.link.as_str() == link && print.is_raw(&reading.raw.bytes)
            }
            Body::Capture(_) | Body::Event(_) | Body::ProcedureStep(_) | Body::LaneAct(_) => false,
        }
    }

    /// Fails with the first value that is not what the instrument sent.
    pub fn check(&self, print: &Print) -> Result<()> {
        let Body::Reading(reading) = &self.envelope.body else { bail!("it is no reading") };
        print.check(&reading.decoded.measurements)
    }
}

/// A reading by where it came from and the instrument's own number.
pub type Number = (String, String);

pub struct Ledger {
    db: Db,
}

impl Ledger {
    pub async fn open(store_url: &str) -> Result<Self> {
        Ok(Self { db: Db::open(store_url).await? })
    }

    /// Every reading that is filed, by link and running number. A number that stands twice is a
    /// reading that was filed twice.
    pub async fn readings(&self) -> Result<BTreeMap<Number, Vec<Filed>>> {
        let mut tx = self.db.tenant_read(TENANT).await?;
        let rows: Vec<(String, Option<String>)> = tx
            .fetch_all(
                "SELECT d.body, r.place FROM document d LEFT JOIN reading r \
                 ON r.tenant_id = d.tenant_id AND r.reading_id = d.document_id \
                 WHERE d.tenant_id = $1 AND d.kind = 'reading'",
                chiasm_cloud::args![TENANT],
            )
            .await?;
        let mut readings: BTreeMap<Number, Vec<Filed>> = BTreeMap::new();
        for (body, place) in rows {
            let envelope: Envelope = serde_json::from_str(&body)?;
            let Body::Reading(reading) = &envelope.body else { continue };
            let number = reading.decoded.running_number.clone().unwrap_or_default();
            let place = place.context("a document of kind reading has no row in reading")?;
            let key = (reading.link.to_string(), number);
            readings.entry(key).or_default().push(Filed { envelope, place });
        }
        Ok(readings)
    }

    /// Marks of the reports and streams of the fleet page that no job has counted yet.
    pub async fn uncounted(&self) -> Result<i64> {
        let mut tx = self.db.tenant_read(TENANT).await?;
        let sql = "SELECT (SELECT COUNT(*) FROM report_stale WHERE tenant_id = $1)
            + (SELECT COUNT(*) FROM stream WHERE tenant_id = $1 AND counted_upto < upto)";
        Ok(tx.fetch_one::<(i64,)>(sql, chiasm_cloud::args![TENANT]).await?.0)
    }

    /// Waits until a print is filed, and checks every value against what the instrument sent.
    pub async fn wait_filed(&self, link: &str, print: &Print) -> Result<()> {
        let what = format!("print {} of {link} to be filed", print.number);
        let times = wait::until(&what, wait::USUAL_MAX, async || {
            let all = self.readings().await?.into_values().flatten();
            let times: Vec<Filed> = all.filter(|it| it.is_print(link, print)).collect();
            Ok((!times.is_empty()).then_some(times))
        })
        .await?;
        let count = times.len();
        ensure!(count == 1, "print {} of {link} is filed {count} times", print.number);
        times[0].check(print)
    }

    /// How many documents of a kind are filed: `reading`, `capture`, `event`.
    pub async fn count(&self, kind: &str) -> Result<u64> {
        let mut tx = self.db.tenant_read(TENANT).await?;
        let (count,): (i64,) = tx
            .fetch_one(
                "SELECT COUNT(*) FROM document WHERE tenant_id = $1 AND kind = $2",
                chiasm_cloud::args![TENANT, kind],
            )
            .await?;
        Ok(count.try_into()?)
    }

    /// How many documents of a gateway are filed.
    pub async fn documents_of(&self, gateway: &str) -> Result<u64> {
        let mut tx = self.db.tenant_read(TENANT).await?;
        let sql = "SELECT COUNT(*) FROM document WHERE tenant_id = $1 AND gateway_id = $2";
        let (count,): (i64,) = tx.fetch_one(sql, chiasm_cloud::args![TENANT, gateway]).await?;
        Ok(count.try_into()?)
    }

    /// How many documents of any kind are filed.
    pub async fn documents(&self) -> Result<u64> {
        let mut tx = self.db.tenant_read(TENANT).await?;
        let sql = "SELECT COUNT(*) FROM document WHERE tenant_id = $1";
        let (count,): (i64,) = tx.fetch_one(sql, chiasm_cloud::args![TENANT]).await?;
        Ok(count.try_into()?)
    }

    /// The captures that gave no reading, as `(code, detail)`, oldest first.
    pub async fn captures(&self) -> Result<Vec<chiasm_proto::Capture>> {
        let mut tx = self.db.tenant_read(TENANT).await?;
        let rows: Vec<(String,)> = tx
            .fetch_all(
                "SELECT body FROM document WHERE tenant_id = $1 AND kind = 'capture' ORDER BY seq",
                chiasm_cloud::args![TENANT],
            )
            .await?;
        let mut captures = Vec::new();
        for (body,) in rows {
            if let Body::Capture(capture) = serde_json::from_str::<Envelope>(&body)?.body {
                captures.push(capture);
            }
        }
        Ok(captures)
    }
}
