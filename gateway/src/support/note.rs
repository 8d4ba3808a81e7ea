//! A note that somebody took patient data out of the gateway. The command may run beside the gateway,
//! and only one process writes the spool: so the note lies in a folder until the gateway makes an
//! event of it, which the cloud files as it files readings.

use super::WithData;
use crate::{clock, spool::Spool};
use chiasm_proto::GatewayEvent;
use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::time::sleep;
use uuid::Uuid;

const FOLDER: &str = "support-notes";
const LOOK_INTERVAL: Duration = Duration::from_secs(5);
/// Notes that are taken at once, and longest note.
const NOTES_MAX: usize = 100;
const NOTE_LEN_MAX: usize = 1024;

/// Leaves a note for the gateway.
pub fn leave(data_dir: &Path, with_data: &WithData) -> io::Result<()> {
    let folder = data_dir.join(FOLDER);
    std::fs::create_dir_all(&folder)?;
    let WithData { person, reason } = with_data;
    let mut text = format!("{}: taken by {person}: {reason}", clock::wall());
    text.truncate(text.floor_char_boundary(NOTE_LEN_MAX));
    let name = Uuid::now_v7().to_string();
    let fresh = folder.join(format!("{name}.new"));
    std::fs::write(&fresh, text)?;
    // A note is there whole or not at all.
    std::fs::rename(&fresh, folder.join(format!("{name}.txt")))
}

/// Makes events of notes, for ever.
pub async fn tell(data_dir: PathBuf, spool: Spool) {
    loop {
        for path in notes(&data_dir) {
            let Ok(detail) = std::fs::read_to_string(&path) else { continue };
            let code = "support_bundle_with_data".into();
            if spool.event(GatewayEvent { code, link: None, detail }).await.is_err() {
                return;
            }
            if let Err(error) = std::fs::remove_file(&path) {
                tracing::error!(%error, "a note of a support bundle cannot be removed");
                sleep(LOOK_INTERVAL * 100).await;
            }
        }
        sleep(LOOK_INTERVAL).await;
    }
}

/// Those that lie there, the oldest first.
fn notes(data_dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(data_dir.join(FOLDER)) else { return vec![] };
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let is_note = |path: &PathBuf| path.extension().is_some_and(|it| it == "txt");
    let mut notes: Vec<PathBuf> = paths.filter(is_note).take(NOTES_MAX).collect();
    notes.sort();
    notes
}
