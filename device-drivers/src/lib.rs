//! One sans-IO decoder per instrument family.
//!
//! # How to add a driver
//!
//! Four places: a file, a line in [`registry::DRIVERS`], a simulator with a line in
//! [`sim::SIMULATORS`], and a folder of fixtures.
//!
//! 1. **The file** `src/<vendor>/<family>.rs` begins with a doc comment that says what it was
//!    proved against, the frame as a table, its traps, and what is not known. It exports `pub
//!    static SPEC: DriverSpec`. What comes in is cut by
//!    * [`nidek`]'s own framer for SOH…EOT with a checksum behind it,
//!    * [`stream::StreamDecoder`] for other transmissions on a line,
//!    * [`xml::XmlDecoder`] for XML documents, walked with [`xml::El`], which remembers what was
//!      not read,
//!    * [`file::FileDecoder`] for files that are read as a whole, such as tables,
//!      with [`sheet::Sheet`] for tables whose rows are readings of their own,
//!
//!    or by an own [`Decoder`] where none of them fits. [`fields`] reads columns, lines and
//!    numbers with their positions; [`flags::complete`] adds everything a person should look at:
//!    call it on every [`chiasm_proto::Decoded`] before it becomes an event.
//! 2. **The line** in `src/registry.rs`.
//! 3. **The simulator** in `src/sim/<vendor>.rs` or `src/sim/<driver>.rs`, written from the layout
//!    without the code above, so that tests can compare what was sent with what was read.
//! 4. **The fixtures** `fixtures/<driver id>/NN_what.{raw,json,md}`, at least three: typical, one
//!    eye or errors, extremes. `.raw` is exactly what the port or the file gave; `.md` says where
//!    it comes from and which values a person expects; `.json` is written by `UPDATE_GOLDEN=1
//!    cargo test -p chiasm-drivers` and then *read against the .md*.
//!
//! An instrument of which nothing is known yet is a name in [`captures`]: its bytes are kept until
//! they have taught us the format, and it needs none of the other three.
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
//! * a last line without its line end is refused, for it may have been cut in the middle of a
//!   number;
//! * a well-formed record of unknown kind is kept in `unknown_records`;
//! * values are kept as sent: nothing rounded, converted, averaged or left out. A number with more
//!   decimals than the types hold is kept as text ([`chiasm_proto::OtherTest`]);
//! * no driver reads another's fixtures, so a format without a mark of its own is recognised by
//!   its whole shape and refused if anything is missing.

#[macro_use]
mod golden;

pub mod biometer;
pub mod canon;
pub mod captures;
pub mod civil_time;
pub mod decoder;
pub mod detect;
pub mod fields;
pub mod file;
pub mod flags;
pub mod framing;
pub mod haag_streit;
pub mod handbook;
pub mod huvitz;
pub mod joia;
pub mod nidek;
pub mod nidek_rt_xml;
pub mod nidek_xml;
pub mod oculus;
pub mod range;
pub mod registry;
pub mod reichert;
pub mod screener;
pub mod screening;
pub mod sheet;
pub mod sim;
pub mod stream;
pub mod table;
pub mod tomey;
pub mod top1000;
pub mod topcon;
pub mod topcon_myah;
pub mod visionix;
pub mod xml;
pub mod zeiss;

pub use decoder::{
    DateOrder, DecodeError, Decoder, DriverOptions, DriverSpec, Ending, ErrorCode, Event, Evidence,
    LineSettings, Parity, Setup, Sniff, Transport,
};
