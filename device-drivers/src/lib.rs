//! One sans-IO decoder per instrument family.
//!
//! # How to add a driver
//!
//! Four places: a file, a line in [`registry::DRIVERS`], a simulator with a line in
//! [`sim::SIMULATORS`], and a folder of fixtures.
//!
//! 1. **The file** `src/makers/<maker>/<family>.rs` begins with a doc comment that says what it was
//!    proved against, the frame as a table, its traps, and what is not known. It exports `pub
//!    static SPEC: DriverSpec`. What comes in is cut by
//!    * [`makers::nidek`]'s own framer for SOH…EOT with a checksum behind it,
//!    * [`format::stream::StreamDecoder`] for other transmissions on a line,
//!    * [`format::xml::XmlDecoder`] for XML documents, walked with [`format::xml::El`], which
//!      remembers what was not read,
//!    * [`format::file::FileDecoder`] for files that are read as a whole, such as tables,
//!      with [`format::sheet::Sheet`] for tables whose rows are readings of their own,
//!
//!    * [`dicom::part10`] for DICOM objects, with [`dicom::Node`], which remembers it as well,
//!
//!    or by an own [`Decoder`] where none of them fits. [`format::fields`] reads columns, lines and
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
//! An instrument of which nothing is known yet is a name in [`makers::captures`]: its bytes are
//! kept until a capture teaches its format, and it needs none of the other three.
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
//!   number, unless its last field is whole by its shape (two decimals as everywhere in this file, a
//!   code of one digit);
//! * a well-formed record of unknown kind is kept in `unknown_records`;
//! * values are kept as sent: nothing rounded, converted, averaged or left out. A number with more
//!   decimals than the types hold is kept as text ([`chiasm_proto::OtherTest`]);
//! * no driver reads another's fixtures, so a format without a mark of its own is recognised by
//!   its whole shape and refused if anything is missing.

#[macro_use]
mod golden;

pub mod decoder;
pub mod detect;
pub mod dicom;
pub mod flags;
pub mod format;
pub mod handbook;
pub mod makers;
pub mod range;
pub mod registry;
pub mod sim;

pub use decoder::{
    DateOrder, DecodeError, Decoder, DriverOptions, DriverSpec, Ending, ErrorCode, Event, Evidence,
    LineSettings, Parity, Setup, Sniff, Transport,
};
