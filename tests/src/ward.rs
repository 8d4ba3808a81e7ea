//! Where bad input is tried: an instrument under test, and one on another lane that must not notice.

use crate::{
    clinic::{Clinic, Neighbours},
    ledger::Ledger,
    station::{Print, Station, Wire},
    wait,
};
use anyhow::{Context, Result, ensure};
use chiasm_proto::Capture;

/// What a gateway may need at most while it is fed nonsense.
pub const PSS_BYTES_MAX: u64 = 96 * 1024 * 1024;

/// A clinic with one instrument under test and a tonometer beside it.
pub struct Ward {
    pub clinic: Clinic,
    pub ledger: Ledger,
}

impl Ward {
    pub async fn open(model: &str, wire: Wire) -> Result<Self> {
        let mut clinic = Clinic::open(Neighbours::NONE, &["lane-1", "lane-2"], 1).await?;
        let folder = clinic.folder();
        let stations = vec![
            Station::attach(folder, "lane-1", model, wire).await?,
            Station::attach(folder, "lane-2", "NT-530", Wire::Serial).await?,
        ];
        clinic.add_gateway("gw-1", stations).await?;
        let ledger = Ledger::open(clinic.cloud.store_url()).await?;
        Ok(Self { clinic, ledger })
    }

    /// The instrument under test.
    pub fn patient(&mut self) -> &mut Station {
        &mut self.clinic.stations[0]
    }

    pub async fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.patient().attachment.send(bytes).await
    }

    pub fn next_print(&mut self) -> Result<Print> {
        self.patient().next_print()
    }

    /// Waits for a capture with this code that names link and driver.
    pub async fn captured(&self, code: &str) -> Result<Capture> {
        let link = &self.clinic.stations[0].link;
        let what = format!("a capture with the code {code}");
        let capture = wait::until(&what, wait::USUAL_MAX, async || {
            let captures = self.ledger.captures().await?;
            Ok(captures.into_iter().find(|capture| capture.code == code))
        })
        .await?;
        for word in [link.id.as_str(), link.driver.as_str()] {
            ensure!(capture.detail.contains(word), "`{}` does not name {word}", capture.detail);
        }
        Ok(capture)
    }

    /// The same, of bytes of which the first offending one is known.
    pub async fn captured_with_position(&self, code: &str) -> Result<Capture> {
        let capture = self.captured(code).await?;
        ensure!(capture.offset.is_some(), "`{}` has no position", capture.detail);
        Ok(capture)
    }

    pub async fn filed(&self, station: usize, print: &Print) -> Result<()> {
        self.ledger.wait_filed(&self.clinic.stations[station].link.id, print).await
    }

    /// The instrument under test and its neighbour work as before.
    pub async fn is_well(&mut self) -> Result<()> {
        for station in 0..self.clinic.stations.len() {
            let (print, _) = self.clinic.stations[station].press_print().await?;
            self.filed(station, &print).await.context("after the bad input")?;
        }
        let pss = self.clinic.gateways[0].process()?.pss_bytes()?;
        ensure!(pss < PSS_BYTES_MAX, "the gateway holds {pss} bytes");
        Ok(())
    }
}
