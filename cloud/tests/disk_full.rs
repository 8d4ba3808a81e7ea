//! A disk that fills up: uploads wait, what else needs the disk goes on, and so do they when there
//! is room again.

mod common;
#[path = "world/dicom.rs"]
mod dicom;
#[path = "common/imager.rs"]
mod imager;

use chiasm_proto::{InstanceStatus, instance::PART_LEN_MAX};
use common::{Cloud, Kind, Store, gateway::enrol};
use imager::{Object, Sender, offer};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Names the disk to the process that has it.
const DISK: &str = "CHIASM_TEST_DISK";
const NAME: &str = "uploads_wait_for_room";
const MIB: usize = 1024 * 1024;

/// The test runs itself once more, where a folder is a file system of its own, of 24 MiB.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn uploads_wait_for_room() {
    if let Some(disk) = std::env::var_os(DISK) {
        return on_small_disk(&PathBuf::from(disk)).await;
    }
    let disk = tempfile::tempdir().unwrap();
    let script =
        "mount -t tmpfs -o size=24m tmpfs \"$1\" && exec \"$2\" --exact \"$3\" --nocapture";
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--mount", "sh", "-c", script, "sh"]);
    command.arg(disk.path()).arg(std::env::current_exe().unwrap()).arg(NAME);
    let output = command.env(DISK, disk.path()).output();
    let output = output.expect("unshare is installed (apt-get install util-linux)");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

async fn on_small_disk(disk: &Path) {
    let config = format!("[images]\nfolder = {:?}\ndisk_reserve_mb = 8\n", disk.join("instances"));
    let store = Store::new(Kind::Sqlite).await;
    let cloud = Cloud::start_on(store, "127.0.0.1:0", &config).await;
    let sender = Sender::new(&cloud, &enrol(&cloud, "acme", "gw-1").await);
    // 24 MiB with a reserve of 8.
    let large = vec![7; 17 * MIB];
    let refused = sender.offer_response(&offer(&large)).await;
    assert_eq!(refused.status().as_u16(), 507);
    assert_eq!(refused.headers()["retry-after"], "60");
    let answer: serde_json::Value = refused.json().await.unwrap();
    assert_eq!(answer["code"], "disk_full");
    let small = Object::default().file();
    sender.filed(&offer(&small), &small).await;
    // It fills up in the middle.
    let file = vec![8; 6 * MIB];
    let it = offer(&file);
    sender.offer(&it).await;
    let (_, begun) = sender.part(it.sha256, 0, &file[..PART_LEN_MAX]).await;
    assert_eq!(begun.unwrap().offset, PART_LEN_MAX as u64);
    fs::write(disk.join("filler"), vec![0; 9 * MIB]).unwrap();
    let status = sender.part(it.sha256, PART_LEN_MAX as u64, &file[PART_LEN_MAX..]).await.0;
    // Refused unread, the connection may be gone before the answer is.
    assert!(status == 507 || status == 0, "{status}");
    assert_eq!(sender.offer(&it).await.0, 200, "what is still missing of it would fit");
    fs::write(disk.join("filler"), vec![0; 11 * MIB]).unwrap();
    assert_eq!(sender.offer(&it).await.0, 507);
    fs::remove_file(disk.join("filler")).unwrap();
    let (_, progress) = sender.offer(&it).await;
    let progress = progress.unwrap();
    assert_eq!(
        (progress.status, progress.offset),
        (InstanceStatus::Incomplete, PART_LEN_MAX as u64)
    );
    let (_, filed) = sender.send(&it, &file, PART_LEN_MAX).await;
    assert_eq!(filed.unwrap().status, InstanceStatus::Filed);
}
