//! Small objects that hold measurements become readings, as what a serial instrument sends. The
//! object itself goes to the cloud like every other.

use super::{Node, classes};
use crate::{
    clock, drivers,
    instances::Held,
    journal::Arrival,
    session::document::{self, Source},
    spool::Document,
};
use chiasm_drivers::{DriverOptions, DriverSpec, Event};
use chiasm_proto::Body;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Longest object that is read, in bytes: real ones have some thousands.
pub const MEASUREMENTS_LEN_MAX: u64 = 1024 * 1024;
/// The driver that reads a whole DICOM file.
pub const DRIVER: &str = "dicom_measurements";

/// Whether an object is read.
pub(super) fn is_read(sop_class_uid: &str) -> bool {
    classes::may_hold_measurements(sop_class_uid) || classes::holds_measurements(sop_class_uid)
}

/// An object's readings, and what of it could not be read.
pub(super) async fn documents(node: &Node, held: &Held, small: Option<Vec<u8>>) -> Vec<Document> {
    let class = held.head.sop_class_uid.as_str();
    if !is_read(class) || held.len_bytes > MEASUREMENTS_LEN_MAX {
        return vec![];
    }
    let Some(driver) = drivers::find(DRIVER) else { return vec![] };
    let (link, lane) = (&held.head.link, &held.head.lane);
    let bytes = match small {
        Some(bytes) => bytes,
        None => match whole(node, held).await {
            Ok(bytes) => bytes,
            Err(error) => {
                tracing::error!(%link, %error, "an object cannot be read back");
                return vec![];
            }
        },
    };
    let arrival = Arrival { at: held.received_at, clock: held.clock, may_bind: true };
    let source = Source { link, lane, driver };
    let is_report = classes::may_hold_measurements(class);
    events(driver, bytes)
        .into_iter()
        // A report about something else is no fault; it goes to the cloud as an object.
        .filter(|event| !(is_report && matches!(event, Event::Rejected { .. })))
        .filter_map(|event| document::from_event(source, &node.shared, arrival, event))
        .map(|mut document| {
            // As it was when the object came: this may be later, even after a restart.
            if let Body::Reading(reading) = &mut document.body {
                reading.lane_session = held.lane_session;
            }
            document
        })
        .collect()
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
