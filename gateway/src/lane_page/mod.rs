//! The gateway's own page, by which a clinic works on while the internet is down (T12).
//!
//! | module | holds |
//! |---|---|
//! | [`board`] | readings and acts of the last hours as the page shows them; pure |
//! | `show` | measurements in words and numbers, as sent |
//! | [`desk`] | what people may do there, and how it gets into the spool |
//! | [`sign_in`] | who they are: PINs that the cloud sent, idle sign-outs, limits |
//! | [`certificate`] | the certificate that browsers see |
//! | `http` | the server and its pages |
//!
//! What people do is documents in the spool, like readings: numbered, and kept until the cloud has
//! committed them. The page holds nothing that a restart would lose but who is signed in.

pub mod board;
pub mod certificate;
pub mod desk;
mod http;
mod show;
pub mod sign_in;

use crate::{
    kept::{Kept, Slot},
    seal::{Key, Purpose},
};
use chiasm_proto::Staff;
pub use http::{LanePage, serve};
use jiff::Timestamp;
use std::{path::Path, sync::Arc};
use tokio::sync::watch;

/// Who may use the page, as the cloud last told it.
pub type StaffCache = Kept<Staff>;

const STAFF: Slot = Slot { purpose: Purpose::Staff, file: "staff.sealed", clear: None };

/// Takes up what a run before has stored.
pub fn open_staff(data_dir: &Path, key: &Key) -> StaffCache {
    Kept::open(data_dir, key, STAFF)
}

/// Whether the cloud answers, and since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reached {
    pub is_connected: bool,
    pub since: Timestamp,
}

/// Set by the uplink, read by the page.
#[derive(Debug, Clone)]
pub struct Reach(Arc<watch::Sender<Reached>>);

impl Reach {
    pub fn new(now: Timestamp) -> Self {
        Self(Arc::new(watch::Sender::new(Reached { is_connected: false, since: now })))
    }

    pub fn now(&self) -> Reached {
        *self.0.borrow()
    }

    /// The cloud has answered.
    pub fn reached(&self, now: Timestamp) {
        self.set(true, now);
    }

    /// The connection is gone.
    pub fn lost(&self, now: Timestamp) {
        self.set(false, now);
    }

    fn set(&self, is_connected: bool, now: Timestamp) {
        self.0.send_if_modified(|reached| {
            let is_new = reached.is_connected != is_connected;
            if is_new {
                *reached = Reached { is_connected, since: now };
            }
            is_new
        });
    }
}
