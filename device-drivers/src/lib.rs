//! One sans-IO decoder per instrument family.

pub mod decoder;

pub use decoder::{
    DecodeError, Decoder, DriverOptions, DriverSpec, ErrorCode, Event, Evidence, LineSettings,
    Parity, Sniff, Transport,
};
