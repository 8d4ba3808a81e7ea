//! Tomey instruments on a serial line, and their twins under Rodenstock's name.
//!
//! | file         | instruments                        | form                                   |
//! |--------------|------------------------------------|----------------------------------------|
//! | `form.rs`    | RC-5000, CX 2000, RC-800 in "Form" | lines `[TAG],value,…`                  |
//! | `rc.rs`      | RC-5000, CX 2000 in "standard"     | columns between SOH `*` and EOT        |
//! | `tl_csv.rs`  | TL-6100, TL-2000C, AL 6400 …       | lines `[POWER_R],S,C,A`                |
//! | `rt6000.rs`  | RT-6000                            | lines `Ref_R*,S,C,A`                   |
//! | `tl3000c.rs` | TL-3000C                           | columns behind two letters             |
//! | `tap.rs`     | TAP-2000, TAP-6000, Phoromat 2000  | records between `PC_RCV_S` and `_E`    |
//!
//! None of them sends a checksum. Where the shape of a number is known it is demanded exactly, so
//! that a comma that became a point, or a lost digit, refuses the transmission.

mod form;
mod form_cornea;
mod rc;
mod rt6000;
mod tap;
mod tap_section;
mod tl3000c;
mod tl_csv;
mod values;

pub use form::SPEC as FORM;
pub use rc::SPEC as RC;
pub use rt6000::SPEC as RT6000;
pub use tap::SPEC as TAP;
pub use tl_csv::SPEC as TL_CSV;
pub use tl3000c::SPEC as TL3000C;
