//! Performance: one file per measurement. Every figure stands beside what the same machine does
//! without us, measured in the same run, because a number alone says more about the machine.
//!
//! | module | measures |
//! |---|---|
//! | [`latency`] | from an instrument's last byte to the acknowledgement and to the open page |
//! | [`floor`] | the least that one reading could cost here |
//! | [`backlog`] | how fast readings are filed after an outage |
//! | [`bare`] | what the database alone can take |
//! | [`flood`] | what a reading waits beside an instrument that never stops |
//! | [`idle`] | what a gateway costs while nobody measures |
//! | [`imaging`] | how fast images are taken, beside other receivers |
//! | [`pages`] | how pages and reports take more data |
//! | [`viewer`] | how soon a scan is seen, and how fast a volume is scrolled through |
//! | [`edge`], [`gateway_log`] | the gateway, and the moments that its log tells |
//! | [`prints`], [`load`] | what is sent |
//! | [`machine`], [`report`] | what the figures were measured on, and the table |

pub mod backlog;
pub mod bare;
pub mod edge;
pub mod flood;
pub mod floor;
pub mod gateway_log;
pub mod idle;
pub mod imaging;
pub mod latency;
pub mod load;
pub mod machine;
pub mod pages;
pub mod prints;
pub mod report;
pub mod viewer;

use crate::{gateway::Gateway, mqtt::Identity};
use anyhow::Result;
use std::time::Duration;

/// What enrolment left in a gateway's folder.
fn identity_of(gateway: &Gateway) -> Result<Identity> {
    let folder = gateway.data_dir().join("identity");
    let file = |name: &str| folder.join(name);
    let [authority, certificate, key] = ["authority.pem", "certificate.pem", "key.pem"].map(file);
    Identity::read(&gateway.id, &authority, &certificate, &key)
}

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    pub latency_readings: u32,
    /// Gateways at once, and readings of each.
    pub backlogs: [(u32, u32); 2],
    pub idle_warm_up: Duration,
    pub idle_samples: u64,
    pub idle_sample_every: Duration,
    /// Frames, rows and columns of the volume that is looked at.
    pub volume: (u32, u16, u16),
}

impl Plan {
    /// What figures for a document need.
    pub const FULL: Self = Self {
        latency_readings: 2_000,
        backlogs: [(1, 20_000), (50, 1_000)],
        idle_warm_up: Duration::from_secs(30),
        idle_samples: 6,
        idle_sample_every: Duration::from_secs(10),
        volume: (128, 1024, 512),
    };
    /// Enough to show that the program works; the figures say nothing.
    pub const QUICK: Self = Self {
        latency_readings: 40,
        backlogs: [(1, 300), (5, 60)],
        idle_warm_up: Duration::from_secs(1),
        idle_samples: 2,
        idle_sample_every: Duration::from_secs(1),
        volume: (16, 128, 96),
    };
}
