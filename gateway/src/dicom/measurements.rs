//! Small objects that hold measurements become readings, as what a serial instrument sends. The
//! object itself goes to the cloud like every other.

use super::{Node, association::AssociationError, classes};
use crate::{
    clock,
    config::Imager,
    drivers,
    instances::Held,
    journal::{Arrival, Position},
    session::document::{self, Source},
    spool::{Document, Entry},
};
use chiasm_drivers::{DriverOptions, DriverSpec, Event};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Longest object that is read, in bytes: real ones have some thousands.
pub const MEASUREMENTS_LEN_MAX: u64 = 1024 * 1024;
/// The driver that reads a whole DICOM file.
pub const DRIVER: &str = "dicom_measurements";

/// Puts an object's readings into the spool, once: the file's hash is noted with them, so that an
/// object that comes again, after a crash or out of habit, gives no second reading.
pub(super) async fn read(
    node: &Node,
    imager: &Imager,
    held: &Held,
) -> Result<(), AssociationError> {
    let class = held.head.sop_class_uid.as_str();
    let is_report = classes::may_hold_measurements(class);
    let is_read = is_report || classes::holds_measurements(class);
    if !is_read || held.len_bytes > MEASUREMENTS_LEN_MAX {
        return Ok(());
    }
    let Some(driver) = drivers::find(DRIVER) else { return Ok(()) };
    if node.shared.spool.is_imported(&imager.id, held.sha256).await? {
        return Ok(());
    }
    let bytes = match whole(node, held).await {
        Ok(bytes) => bytes,
        Err(error) => {
            tracing::error!(link = %imager.id, %error, "an object cannot be read back");
            return Ok(());
        }
    };
    let arrival = Arrival { at: held.received_at, clock: held.clock, may_bind: true };
    let source = Source { link: &imager.id, lane: &imager.lane, driver };
    let documents: Vec<Document> = events(driver, bytes)
        .into_iter()
        // A report about something else is no fault; it goes to the cloud as an object.
        .filter(|event| !(is_report && matches!(event, Event::Rejected { .. })))
        .filter_map(|event| document::from_event(source, &node.shared, arrival, event))
        .collect();
    let entry = Entry {
        link: imager.id.clone(),
        documents,
        // An imager has no journal: its bytes are durable as an instance.
        position: Position::default(),
        imported: Some(held.sha256),
    };
    Ok(node.shared.spool.commit(entry).await?)
}

async fn whole(node: &Node, held: &Held) -> anyhow::Result<Vec<u8>> {
    let content = node.instances.content(held).await?;
    let len = usize::try_from(held.len_bytes)?;
    Ok(tokio::task::spawn_blocking(move || content.read_at(0, len)).await??)
}

/// Runs the driver over a whole file.
fn events(driver: &DriverSpec, bytes: Vec<u8>) -> Vec<Event> {
    let now = clock::monotonic();
    let run = || {
        let mut decoder = (driver.new)(&DriverOptions::default());
        decoder.handle_input(now, &bytes);
        decoder.handle_end(now);
        std::iter::from_fn(|| decoder.poll_event()).collect()
    };
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| vec![document::driver_fault(bytes)])
}
