//! What may lie in a folder that an instrument writes to, or that somebody else can write to.

use anyhow::{Context, Result, ensure};
use chiasm_testbed::{instrument::Attachment, station::Wire, story::story, wait, ward::Ward};
use std::{
    fs::{self, OpenOptions},
    io::Write,
    os::unix::fs::symlink,
    path::PathBuf,
    time::Duration,
};

const MODEL: &str = "KR-800S";

/// A ward whose instrument under test writes files.
struct Share {
    ward: Ward,
    folder: PathBuf,
}

impl Share {
    async fn open() -> Result<Self> {
        let ward = Ward::open(MODEL, Wire::Folder).await?;
        let Attachment::Folder(folder) = &ward.clinic.stations[0].attachment else {
            anyhow::bail!("the instrument writes files")
        };
        let folder = folder.clone();
        Ok(Self { ward, folder })
    }

    /// Puts a whole file there at once.
    fn put(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let partial = self.folder.join(".partial");
        fs::write(&partial, bytes)?;
        Ok(fs::rename(partial, self.folder.join(name))?)
    }
}

#[test]
fn external_entities_are_hostile_and_reach_nothing() {
    story("entities", async {
        let mut share = Share::open().await?;
        let print = share.ward.next_print()?;
        let text = String::from_utf8_lossy(&print.transmission.bytes).into_owned();
        let begin = text.find("?>").context("a document begins with its declaration")? + 2;
        let secret = share.ward.clinic.folder().join("secret");
        fs::write(&secret, "the gateway must never read this")?;
        let doctype = format!("<!DOCTYPE x [<!ENTITY e SYSTEM \"file://{}\">]>", secret.display());
        let text = format!("{}{doctype}{}", &text[..begin], &text[begin..]);
        share.put("entity.xml", text.as_bytes())?;
        let capture = share.ward.captured("hostile").await?;
        ensure!(capture.offset.is_some(), "`{}` has no position", capture.detail);
        ensure!(!capture.detail.contains("must never"), "the file was read: {}", capture.detail);
        share.ward.is_well().await?;
        ensure!(share.ward.ledger.readings().await?.len() == 2, "the document gave a reading");
        Ok(())
    });
}

#[test]
fn a_document_nested_a_million_deep_is_refused_in_bounded_memory() {
    story("nesting", async {
        let mut share = Share::open().await?;
        share.put("deep.xml", "<a>".repeat(1_000_000).as_bytes())?;
        let what = "the deep document to be refused";
        let capture = wait::until(what, wait::USUAL_MAX, async || {
            Ok(share.ward.ledger.captures().await?.pop())
        })
        .await?;
        ensure!(capture.detail.contains("joia_xml"), "{}", capture.detail);
        share.ward.is_well().await
    });
}

#[test]
fn a_file_that_is_still_being_written_is_waited_for() {
    story("slow writer", async {
        let mut share = Share::open().await?;
        let print = share.ward.next_print()?;
        let path = share.folder.join(&print.transmission.file_name);
        let mut file = OpenOptions::new().create_new(true).append(true).open(path)?;
        for piece in print.transmission.bytes.chunks(print.transmission.bytes.len() / 12 + 1) {
            file.write_all(piece)?;
            // An instrument on a slow share.
            tokio::time::sleep(Duration::from_millis(400)).await;
        }
        drop(file);
        share.ward.filed(0, &print).await?;
        ensure!(share.ward.ledger.captures().await?.is_empty(), "a half file was taken");
        share.ward.is_well().await
    });
}

#[test]
fn names_and_links_lead_nowhere() {
    story("names", async {
        let mut share = Share::open().await?;
        let outside = share.ward.clinic.folder().join("outside.xml");
        let stolen = share.ward.next_print()?;
        fs::write(&outside, &stolen.transmission.bytes)?;
        symlink(&outside, share.folder.join("link.xml"))?;
        symlink("/dev/zero", share.folder.join("endless.xml"))?;
        fs::create_dir(share.folder.join("folder.xml"))?;
        // No name with a slash can stand in a folder; these are what a share of another system
        // makes of one.
        for name in ["..\\..\\evil.xml", "..%2F..%2Fevil.xml", "$(reboot).xml", "\u{202e}lmx.xml"] {
            let print = share.ward.next_print()?;
            share.put(name, &print.transmission.bytes)?;
            share.ward.filed(0, &print).await.with_context(|| name.to_owned())?;
        }
        share.ward.is_well().await?;
        let filed = share.ward.ledger.readings().await?;
        let key = (share.ward.clinic.stations[0].link.id.clone(), stolen.number);
        ensure!(!filed.contains_key(&key), "a link out of the folder was followed");
        let log = share.ward.clinic.gateways[0].log();
        ensure!(!log.contains("evil"), "a file's name stands in the log");
        Ok(())
    });
}

#[test]
fn ten_thousand_old_files_do_not_keep_a_new_one_waiting() {
    story("ten thousand files", async {
        let mut share = Share::open().await?;
        let old = share.ward.next_print()?;
        for number in 0..10_000 {
            fs::write(share.folder.join(format!("old-{number}.xml")), &old.transmission.bytes)?;
        }
        share.ward.filed(0, &old).await?;
        let new = share.ward.next_print()?;
        share.put("new.xml", &new.transmission.bytes)?;
        share.ward.filed(0, &new).await?;
        share.ward.is_well().await?;
        let copies = share.ward.ledger.readings().await?.len();
        ensure!(copies == 4, "{copies} readings of four prints");
        Ok(())
    });
}

/// A topographer's export carries megabytes of matrices beside the few values that are read: it is
/// filed whole, raw bytes included.
#[test]
fn an_export_with_megabytes_of_matrices_is_filed() {
    story("matrices", async {
        let mut ward = Ward::open("MYAH", Wire::Folder).await?;
        let mut print = ward.next_print()?;
        let (text, _, _) = encoding_rs::UTF_16LE.decode(&print.transmission.bytes);
        let row = "<Row>7.8123 7.8234 -1.0 7.9345 8.0456 8.1567 8.2678 8.3789 8.4890 8.5901 \
                   7.1 7.2 7.3 7.4 7.5 7.6</Row>";
        let map = format!("<Map>{}</Map></Data>", row.repeat(18_000));
        let large = text.replacen("</Data>", &map, 1);
        let mut bytes = vec![0xFF, 0xFE];
        bytes.extend(large.encode_utf16().flat_map(u16::to_le_bytes));
        ensure!(bytes.len() > 3_000_000, "{} bytes", bytes.len());
        print.transmission.bytes = bytes;
        ward.patient().send(&print).await?;
        ward.filed(0, &print).await?;
        ward.is_well().await
    });
}
