//! NIDEK instruments on a serial line: autorefractors, lensmeters, tonometers.
//!
//! All send the same frame (see [`crate::format::framing`]) of blocks, and blocks of segments:
//!
//! | part    | bytes                        | meaning                                         |
//! |---------|------------------------------|-------------------------------------------------|
//! | block   | SOH `Dxy` STX … (SOH or EOT) | `xy`: RM refraction, WF wavefront, KM cornea,   |
//! |         |                              | LM lenses, NT pressure, PM thickness; lower     |
//! |         |                              | case: night                                     |
//! | segment | text ETB, CR, LF             | two characters of code, then fixed columns      |
//!
//! Two modes of the instrument are read: **NCP10** (sends at once, checksum behind EOT; the better
//! one for a gateway) and **NIDEK** (asks `C**` `RS` and waits for `SD`, no checksum). NCP20, a
//! binary block protocol, is not: no capture of it is public.
//!
//! Refractors write to a host in a frame of their own, see [`RT`].

mod ark;
mod block;
mod keratometry;
mod link;
mod lm;
mod nt;
mod refraction;
mod rt;
mod tonoref;
mod values;

/// How the instruments of these families are attached.
const WIRING: &str = "DIN-8 socket behind the instrument, NIDEK cable OPIF-11 to D-sub 9 female; \
                      newer models have USB and appear as a serial port. The gateway holds DTR and \
                      RTS high.";

pub use ark::SPEC as ARK;
pub use lm::SPEC as LM;
pub use nt::SPEC as NT;
pub use rt::SPEC as RT;
pub use tonoref::SPEC as TONOREF;

#[cfg(test)]
mod tests;
