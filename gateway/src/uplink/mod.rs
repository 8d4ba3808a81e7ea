//! The connection to the cloud.
//!
//! | module | holds |
//! |---|---|
//! | [`delivery`] | what to send next; pure |
//! | [`identity`] | certificate, key, TLS configuration |
//! | `mqtt` | the MQTT client library, wrapped |
//! | `talk` | one connection from its birth to its end |
//! | `fault` | faults in words |

pub mod delivery;
mod fault;
pub mod identity;
mod mqtt;
mod talk;

use crate::{
    clock,
    dicom::worklist::WorklistCache,
    health::Health,
    lane_page::{Reach, StaffCache},
    listening::Listening,
    remote,
    spool::{Owner, SharedLanes, Spool},
};
use identity::Credentials;
use rand::Rng;
use std::{
    path::PathBuf,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};
use talk::Ending;
pub use talk::try_out;
use tokio::{sync::watch, time::sleep};
use tokio_util::sync::CancellationToken;

/// Shortest and longest pause before the next attempt to connect.
pub const RECONNECT_MIN: Duration = Duration::from_millis(200);
pub const RECONNECT_MAX: Duration = Duration::from_secs(30);
/// How often a gateway that is not enrolled looks whether it has been.
const ENROL_CHECK_INTERVAL: Duration = Duration::from_secs(2);

/// The uplink task and what it shares with the links.
pub struct Uplink {
    pub data_dir: PathBuf,
    pub telemetry_interval: Duration,
    pub spool: Spool,
    pub health: Arc<Health>,
    pub lanes: SharedLanes,
    pub worklist: WorklistCache,
    pub staff: StaffCache,
    /// Tells the gateway's page whether the cloud answers.
    pub reach: Reach,
    /// Whose documents the spool holds, if it was enrolled when it was opened.
    pub owner: Option<Owner>,
    /// Whether everything was sent again in this run because the cloud had other documents under
    /// the same numbers. It cannot be so twice, and must not go on for ever.
    pub has_numbered_anew: AtomicBool,
    /// Changes when a renewed certificate is in use.
    pub renewed: watch::Receiver<u32>,
    pub configuration: remote::Handle,
    pub listening: Listening,
}

impl Uplink {
    /// Connects, delivers, connects again, until it is told to stop.
    pub async fn run(self, stop: CancellationToken) {
        let mut pause = RECONNECT_MIN;
        let mut last_fault = String::new();
        while !stop.is_cancelled() {
            let fault = match identity::load(&self.data_dir) {
                Ok(Some(credentials)) if !self.owns(&credentials) => {
                    pause = RECONNECT_MAX;
                    "enrolled as another gateway while running; restart it, so that what is kept \
                     here is not sent as another's"
                        .into()
                }
                Ok(Some(credentials)) => {
                    warn_of_clock(&credentials);
                    match self.talk(&credentials, &stop).await {
                        Ending::Stopped => return,
                        Ending::Lost { reason, was_good } => {
                            if was_good {
                                pause = RECONNECT_MIN;
                                last_fault.clear();
                            }
                            format!("{}:{}: {reason}", credentials.host, credentials.port)
                        }
                    }
                }
                Ok(None) => {
                    pause = ENROL_CHECK_INTERVAL;
                    "not enrolled, readings are kept here; run `chiasm-gateway enrol`".into()
                }
                Err(error) => error.to_string(),
            };
            if fault != last_fault {
                tracing::warn!(fault, "no connection to the cloud; trying again");
                last_fault = fault;
            }
            tokio::select! {
                () = sleep(jittered(pause)) => {}
                () = stop.cancelled() => return,
            }
            pause = (pause * 2).min(RECONNECT_MAX);
        }
    }
}

impl Uplink {
    fn owns(&self, credentials: &Credentials) -> bool {
        let identity = &credentials.identity;
        self.owner.as_ref().is_none_or(|owner| {
            owner.tenant == identity.tenant && owner.gateway == identity.gateway
        })
    }
}

/// Half to all of a pause, so that a thousand gateways do not come back at the same moment.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(rand::rng().random_range(0.5..=1.0))
}

fn warn_of_clock(credentials: &Credentials) {
    let now = clock::wall();
    if now < credentials.valid_from {
        tracing::warn!(%now, valid_from = %credentials.valid_from,
            "this gateway's clock stands before the start of its certificate; set the clock");
    }
    if now >= credentials.expires_at {
        tracing::warn!(expired_at = %credentials.expires_at,
            "the gateway's certificate has expired; enrol it again");
    }
}
