//! The simulated clinic: real processes, real pseudo-terminals, real TCP, real certificates. Only
//! the instruments are played.
//!
//! | module | plays |
//! |---|---|
//! | [`story`] | one test or program on a runtime of its own, logs shown on failure |
//! | [`process`] | child processes that are killed, stopped and never left behind |
//! | [`ward`] | a clinic to try bad input in |
//! | [`wait`], [`net`] | conditions, free ports |
//! | [`pty`] | serial lines |
//! | [`cut`], [`network`] | connections and networks that break off |
//! | [`postgres`], [`mosquitto`] | the neighbours that a larger installation has |

pub mod bench;
pub mod browser;
pub mod clinic;
pub mod cloud;
pub mod cut;
pub mod gateway;
pub mod http;
pub mod imager;
pub mod instrument;
pub mod lane_page;
pub mod ledger;
pub mod mosquitto;
pub mod mqtt;
pub mod net;
pub mod network;
pub mod outage;
pub mod person;
pub mod postgres;
pub mod practice;
pub mod process;
pub mod pty;
pub mod simulation;
pub mod station;
pub mod stats;
pub mod story;
pub mod table;
pub mod uart;
pub mod visit;
pub mod wait;
pub mod ward;

/// One cryptography provider for the whole process, as in the product.
pub fn use_ring() {
    // A second call finds the first one's provider, which is the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
