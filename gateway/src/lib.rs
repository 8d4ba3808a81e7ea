//! The edge gateway: reads the instruments of a clinic and hands every reading to the cloud.
//!
//! | module | holds |
//! |---|---|
//! | [`config`] | the configuration file |
//! | [`remote`] | links and imagers that the cloud sends: limits, trial, what is kept |
//! | [`listening`] | what comes over a link or a port just now, told to the cloud without values |
//! | [`supervisor`] | the task tree: links, uplink, what starts again after a fault |
//! | [`link`] | how bytes come in: serial ports, TCP, folders |
//! | [`session`] | the one pump that drives any decoder |
//! | [`journal`] | the capture journal: bytes are on disk before they are understood |
//! | [`binding`] | which lane session stamps a reading; pure |
//! | [`spool`] | everything that waits for the cloud, and all SQL |
//! | [`forward`] | how DICOM instances get to the cloud |
//! | [`dicom`] | the DICOM node: imagers send studies and find their patients |
//! | [`instances`] | the DICOM instances that it holds, and their SQL |
//! | [`uplink`] | the connection to the broker, and what to send next |
//! | [`seal`] | encryption at rest: the key, sealed texts and files |
//! | [`lane_page`] | the page by which the clinic works on while the internet is down |
//! | [`kept`] | what the cloud told and a restart must not lose |
//! | [`enrol`] | how a gateway gets its certificate |
//! | [`wipe`] | how it destroys what it holds, with a signed record |
//! | [`health`] | what the gateway tells about itself |
//! | [`metrics`] | the same for monitoring |
//! | [`support`] | the bundle for whoever helps from afar |
//! | [`clock`] | the only place that reads a clock |

pub mod binding;
pub mod cli;
pub mod clock;
pub mod commands;
pub mod config;
pub mod dicom;
pub mod drivers;
pub mod enrol;
pub mod forward;
pub mod health;
pub mod instances;
pub mod journal;
pub mod kept;
pub mod lane_page;
pub mod link;
pub mod listening;
pub mod metrics;
pub mod remote;
pub mod seal;
pub mod session;
pub mod spool;
pub mod supervisor;
pub mod support;
pub mod uplink;
pub mod wipe;
