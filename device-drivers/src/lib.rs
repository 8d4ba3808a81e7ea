//! One sans-IO decoder per instrument family.
//!
//! # How to add a driver
//!
//! Three places: a file, a line in [`registry::DRIVERS`], and a folder of fixtures.
//!
//! 1. **The file** `src/<vendor>/<family>.rs` begins with a doc comment that says what it was
//!    proved against, the frame as a table, its traps, and what is not known. It exports `pub
//!    static SPEC: DriverSpec` and implements [`Decoder`]. Helpers: [`framing`] for SOH…EOT,
//!    [`fields`] for fixed columns, [`xml`] for documents, [`flags`] for everything a person should
//!    look at. Call [`flags::complete`] on every [`chiasm_proto::Decoded`] before it becomes an
//!    event.
//! 2. **The line** in `src/registry.rs`.
//! 3. **The fixtures** `fixtures/<driver id>/NN_what.{raw,json,md}`: `.raw` is exactly what the
//!    port or the file gave; `.md` says where it comes from and which values a person expects;
//!    `.json` is written by `UPDATE_GOLDEN=1 cargo test -p chiasm-drivers` and then *read against
//!    the .md*.
//!
//! A simulator in `src/sim`, written from the layout without the code above, lets tests compare
//! what was sent with what was read.
//!
//! At the end of the file stands `golden_tests!(SPEC)`: each fixture whole, in pieces of every
//! size, cut short at every byte, with every single bit flipped, twice in a row, and after noise.
//!
//! Rules that the tests hold a driver to:
//! * every byte given in stands in exactly one event's `raw` (or is still pending);
//! * nothing that comes in panics, and no more than [`registry::PENDING_LEN_MAX`] bytes are
//!   pending;
//! * a wrong checksum or a malformed known record refuses the whole transmission, with the
//!   position;
//! * a well-formed record of unknown kind is kept in `unknown_records`;
//! * values are kept as sent: nothing rounded, converted, averaged or left out.

#[macro_use]
mod golden;

pub mod decoder;
pub mod detect;
pub mod fields;
pub mod flags;
pub mod framing;
pub mod joia;
pub mod nidek;
pub mod range;
pub mod registry;
pub mod sim;
pub mod xml;

pub use decoder::{
    DecodeError, Decoder, DriverOptions, DriverSpec, ErrorCode, Event, Evidence, LineSettings,
    Parity, Sniff, Transport,
};
