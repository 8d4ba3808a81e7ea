//! What instruments, cables and networks do to a gateway. Each time: no number, an error that names
//! link, driver and position, the bytes kept, and everything else as if nothing had happened.

use anyhow::{Context, Result, ensure};
use chiasm_proto::Capture;
use chiasm_testbed::{
    clinic::{Clinic, Neighbours},
    instrument::Attachment,
    ledger::Ledger,
    pty::Pty,
    station::{Model, Print, Station, Wire},
    story::story,
    wait,
};
use rand::{RngCore, SeedableRng, rngs::StdRng};

/// What a gateway may need at most while it is fed nonsense.
const PSS_BYTES_MAX: u64 = 96 * 1024 * 1024;
/// An attack of this length is read, refused and not kept whole.
const HUGE_LEN: usize = 10 * 1024 * 1024;

/// A clinic with one instrument under test and one that must not notice.
struct Ward {
    clinic: Clinic,
    ledger: Ledger,
}

impl Ward {
    async fn open() -> Result<Self> {
        Self::of(Model::Ark, Wire::Serial).await
    }

    async fn of(model: Model, wire: Wire) -> Result<Self> {
        let mut clinic = Clinic::open(Neighbours::NONE, &["lane-1", "lane-2"], 1).await?;
        let folder = clinic.folder();
        let stations = vec![
            Station::attach(folder, "lane-1", model, wire).await?,
            Station::attach(folder, "lane-2", Model::Tonometer, Wire::Serial).await?,
        ];
        clinic.add_gateway("gw-1", stations).await?;
        let ledger = Ledger::open(clinic.cloud.store_url()).await?;
        Ok(Self { clinic, ledger })
    }

    fn patient(&mut self) -> &mut Station {
        &mut self.clinic.stations[0]
    }

    async fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.patient().attachment.send(bytes).await
    }

    fn next_print(&mut self) -> Result<Print> {
        self.patient().next_print()
    }

    /// Waits for a capture with this code on the link under test.
    async fn captured(&self, code: &str) -> Result<Capture> {
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
        ensure!(capture.offset.is_some(), "`{}` has no position", capture.detail);
        Ok(capture)
    }

    async fn filed(&self, station: usize, print: &Print) -> Result<()> {
        let link = self.clinic.stations[station].link.id.clone();
        self.ledger.wait_filed(&link, print).await
    }

    /// The link under test and its neighbour work as before.
    async fn is_well(&mut self) -> Result<()> {
        for station in 0..self.clinic.stations.len() {
            let (print, _) = self.clinic.stations[station].press_print().await?;
            self.filed(station, &print).await.context("after the bad input")?;
        }
        let pss = self.clinic.gateways[0].process()?.pss_bytes()?;
        ensure!(pss < PSS_BYTES_MAX, "the gateway holds {pss} bytes");
        Ok(())
    }
}

#[test]
fn a_wrong_checksum_gives_no_number() {
    story("checksum", async {
        let mut ward = Ward::open().await?;
        let print = ward.next_print()?;
        let mut bytes = print.transmission.bytes;
        let last = bytes.last_mut().context("a print is not empty")?;
        *last = if *last == b'0' { b'1' } else { b'0' };
        ward.send(&bytes).await?;
        let capture = ward.captured("checksum").await?;
        ensure!(capture.raw.bytes == bytes, "the capture is not what was sent");
        ward.is_well().await?;
        ensure!(ward.ledger.readings().await?.len() == 2, "the bad frame gave a reading");
        Ok(())
    });
}

#[test]
fn half_a_frame_is_kept_and_never_continued_by_the_next() {
    story("half a frame", async {
        let mut ward = Ward::open().await?;
        let print = ward.next_print()?;
        let half = &print.transmission.bytes[..print.transmission.bytes.len() / 2];
        ward.send(half).await?;
        let capture = ward.captured("incomplete").await?;
        ensure!(capture.raw.bytes == half, "the capture is not what was sent");
        ward.is_well().await
    });
}

#[test]
fn frames_in_one_piece_and_noise_around_them_are_told_apart() {
    story("noise", async {
        let mut ward = Ward::open().await?;
        let (first, second) = (ward.next_print()?, ward.next_print()?);
        let noise = [0x00, 0xFF, 0x51, 0x37, 0x80];
        let bytes =
            [&noise[..], &first.transmission.bytes, &noise, &second.transmission.bytes, &noise]
                .concat();
        ward.send(&bytes).await?;
        ward.filed(0, &first).await?;
        ward.filed(0, &second).await?;
        let capture = ward.captured("noise").await?;
        ensure!(capture.raw.bytes == noise, "kept {:?}", capture.raw.bytes);
        ward.is_well().await
    });
}

#[test]
fn a_wrong_baud_rate_gives_no_number() {
    story("wrong baud rate", async {
        let mut ward = Ward::open().await?;
        // What a receiver at another speed makes of a print has nothing to do with its bytes.
        let mut garbage = vec![0; 700];
        StdRng::seed_from_u64(7).fill_bytes(&mut garbage);
        garbage.retain(|byte| *byte != 0x01);
        ward.send(&garbage).await?;
        ward.captured("noise").await?;
        ward.is_well().await?;
        ensure!(ward.ledger.readings().await?.len() == 2, "the garbage gave a reading");
        Ok(())
    });
}

#[test]
fn a_frame_of_ten_megabytes_is_refused_in_bounded_memory() {
    story("ten megabytes", async {
        let mut ward = Ward::open().await?;
        ward.send(b"\x01DRM\x02").await?;
        let piece = [b'A'; 64 * 1024];
        for _ in 0..HUGE_LEN / piece.len() {
            ward.send(&piece).await?;
        }
        ward.captured("too_long").await?;
        ward.send(&[0x04]).await?;
        let pss = ward.clinic.gateways[0].process()?.pss_bytes()?;
        ensure!(pss < PSS_BYTES_MAX, "the gateway holds {pss} bytes");
        ward.is_well().await
    });
}

#[test]
fn a_pulled_cable_is_noticed_and_a_new_one_found_without_a_restart() {
    story("cable", async {
        let mut ward = Ward::open().await?;
        let print = ward.next_print()?;
        let half = &print.transmission.bytes[..print.transmission.bytes.len() / 2];
        ward.send(half).await?;
        let path = ward.clinic.folder().join("lane-1-ark.tty");
        let nothing = Attachment::connecting(0);
        let Attachment::Serial(pty) = std::mem::replace(&mut ward.patient().attachment, nothing)
        else {
            anyhow::bail!("the instrument is on a serial line")
        };
        ward.clinic.gateways[0].has_journaled("lane-1-ark", half.len()).await?;
        pty.pull_out()?;
        ward.clinic.gateways[0].process()?.says("link is down", wait::USUAL_MAX).await?;
        ward.captured("incomplete").await?;
        // The neighbour prints while the cable is out.
        let (print, _) = ward.clinic.stations[1].press_print().await?;
        ward.filed(1, &print).await?;
        ward.patient().attachment = Attachment::Serial(Pty::plug_in(&path)?);
        let (print, _) = ward.patient().press_print().await?;
        ward.filed(0, &print).await?;
        ward.is_well().await
    });
}
