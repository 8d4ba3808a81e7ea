//! The wire format's contract: what was written once can always be read, and what is written today
//! says the same as before.

mod decimal;
mod golden;
mod roundtrip;
mod strategies;
mod topics;
mod words;
