//! What may lie in a folder that an instrument writes to, or that somebody else can write to.

use anyhow::{Context, Result, ensure};
use chiasm_drivers::joia::sim as joia;
use chiasm_proto::Capture;
use chiasm_testbed::{
    clinic::{Clinic, Neighbours},
    instrument::Attachment,
    ledger::Ledger,
    station::{Model, Print, Station, Wire},
    story::story,
    wait,
};
use std::{
    fs::{self, OpenOptions},
    io::Write,
    os::unix::fs::symlink,
    path::PathBuf,
    time::Duration,
};

/// What a gateway may need at most while it is fed nonsense.
const PSS_BYTES_MAX: u64 = 96 * 1024 * 1024;
const MODEL: Model = Model::Joia(joia::Model::Kr800S);

/// A clinic with one instrument that writes files and one on a line that must not notice.
struct Share {
    clinic: Clinic,
    ledger: Ledger,
    folder: PathBuf,
}

impl Share {
    async fn open() -> Result<Self> {
        let mut clinic = Clinic::open(Neighbours::NONE, &["lane-1", "lane-2"], 1).await?;
        let folder = clinic.folder();
        let stations = vec![
            Station::attach(folder, "lane-1", MODEL, Wire::Folder).await?,
            Station::attach(folder, "lane-2", Model::Tonometer, Wire::Serial).await?,
        ];
        clinic.add_gateway("gw-1", stations).await?;
        let ledger = Ledger::open(clinic.cloud.store_url()).await?;
        let Attachment::Folder(folder) = &clinic.stations[0].attachment else {
            anyhow::bail!("the instrument writes files")
        };
        let folder = folder.clone();
        Ok(Self { clinic, ledger, folder })
    }

    /// Puts a whole file there at once.
    fn put(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let partial = self.folder.join(".partial");
        fs::write(&partial, bytes)?;
        Ok(fs::rename(partial, self.folder.join(name))?)
    }

    fn next_print(&mut self) -> Result<Print> {
        self.clinic.stations[0].next_print()
    }

    async fn filed(&self, station: usize, print: &Print) -> Result<()> {
        self.ledger.wait_filed(&self.clinic.stations[station].link.id, print).await
    }

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
        Ok(capture)
    }

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
fn external_entities_are_hostile_and_reach_nothing() {
    story("entities", async {
        let mut share = Share::open().await?;
        let print = share.next_print()?;
        let text = String::from_utf8_lossy(&print.transmission.bytes).into_owned();
        let begin = text.find("?>").context("a document begins with its declaration")? + 2;
        let secret = share.clinic.folder().join("secret");
        fs::write(&secret, "the gateway must never read this")?;
        let doctype = format!("<!DOCTYPE x [<!ENTITY e SYSTEM \"file://{}\">]>", secret.display());
        let text = format!("{}{doctype}{}", &text[..begin], &text[begin..]);
        share.put("entity.xml", text.as_bytes())?;
        let capture = share.captured("hostile").await?;
        ensure!(capture.offset.is_some(), "`{}` has no position", capture.detail);
        ensure!(!capture.detail.contains("must never"), "the file was read: {}", capture.detail);
        share.is_well().await?;
        ensure!(share.ledger.readings().await?.len() == 2, "the document gave a reading");
        Ok(())
    });
}

#[test]
fn a_document_nested_a_million_deep_is_refused_in_bounded_memory() {
    story("nesting", async {
        let mut share = Share::open().await?;
        share.put("deep.xml", "<a>".repeat(1_000_000).as_bytes())?;
        let what = "the deep document to be refused";
        let capture =
            wait::until(what, wait::USUAL_MAX, async || Ok(share.ledger.captures().await?.pop()))
                .await?;
        ensure!(capture.detail.contains("joia_xml"), "{}", capture.detail);
        share.is_well().await
    });
}

#[test]
fn a_file_that_is_still_being_written_is_waited_for() {
    story("slow writer", async {
        let mut share = Share::open().await?;
        let print = share.next_print()?;
        let path = share.folder.join(&print.transmission.file_name);
        let mut file = OpenOptions::new().create_new(true).append(true).open(path)?;
        for piece in print.transmission.bytes.chunks(print.transmission.bytes.len() / 12 + 1) {
            file.write_all(piece)?;
            // An instrument on a slow share.
            tokio::time::sleep(Duration::from_millis(400)).await;
        }
        drop(file);
        share.filed(0, &print).await?;
        ensure!(share.ledger.captures().await?.is_empty(), "a half file was taken");
        share.is_well().await
    });
}

#[test]
fn names_and_links_lead_nowhere() {
    story("names", async {
        let mut share = Share::open().await?;
        let outside = share.clinic.folder().join("outside.xml");
        let stolen = share.next_print()?;
        fs::write(&outside, &stolen.transmission.bytes)?;
        symlink(&outside, share.folder.join("link.xml"))?;
        symlink("/dev/zero", share.folder.join("endless.xml"))?;
        fs::create_dir(share.folder.join("folder.xml"))?;
        // No name with a slash can stand in a folder; these are what a share of another system
        // makes of one.
        for name in ["..\\..\\evil.xml", "..%2F..%2Fevil.xml", "$(reboot).xml", "\u{202e}lmx.xml"] {
            let print = share.next_print()?;
            share.put(name, &print.transmission.bytes)?;
            share.filed(0, &print).await.with_context(|| name.to_owned())?;
        }
        share.is_well().await?;
        let filed = share.ledger.readings().await?;
        let key = (share.clinic.stations[0].link.id.clone(), stolen.number);
        ensure!(!filed.contains_key(&key), "a link out of the folder was followed");
        let log = share.clinic.gateways[0].log();
        ensure!(!log.contains("evil"), "a file's name stands in the log");
        Ok(())
    });
}

#[test]
fn ten_thousand_old_files_do_not_keep_a_new_one_waiting() {
    story("ten thousand files", async {
        let mut share = Share::open().await?;
        let old = share.next_print()?;
        for number in 0..10_000 {
            fs::write(share.folder.join(format!("old-{number}.xml")), &old.transmission.bytes)?;
        }
        share.filed(0, &old).await?;
        let new = share.next_print()?;
        share.put("new.xml", &new.transmission.bytes)?;
        share.filed(0, &new).await?;
        share.is_well().await?;
        let copies = share.ledger.readings().await?.len();
        ensure!(copies == 4, "{copies} readings of four prints");
        Ok(())
    });
}
