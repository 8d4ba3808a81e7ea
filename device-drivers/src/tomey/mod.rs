//! Tomey instruments on a serial line, and their twins under Rodenstock's name.
//!
//! | file         | instruments                        | form                                   |
//! |--------------|------------------------------------|----------------------------------------|
//! | `form.rs`    | RC-5000, CX 2000, RC-800 in "Form" | lines `[TAG],value,…`                  |
//! | `rc.rs`      | RC-5000, CX 2000 in "standard"     | columns between SOH `*` and EOT        |
//! | `rt6000.rs`  | RT-6000                            | lines `Ref_R*,S,C,A`                   |
//!
//! None of them sends a checksum. Where the shape of a number is known it is demanded exactly, so
//! that a comma that became a point, or a lost digit, refuses the transmission.

mod form;
mod form_cornea;
mod rc;
mod rt6000;
mod values;

pub use form::SPEC as FORM;
pub use rc::SPEC as RC;
pub use rt6000::SPEC as RT6000;
