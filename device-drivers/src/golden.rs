//! Every driver's tests: its fixtures whole, in pieces, cut short, damaged, repeated, after noise.
//!
//! `golden_tests!(SPEC)` at the end of a driver file makes one test per check. A check names the
//! fixture and the position at which it failed; with `UPDATE_GOLDEN=1` the first one rewrites the
//! `.json` files, which then have to be read against what the `.md` says.

macro_rules! golden_tests {
    ($spec:expr) => {
        #[cfg(test)]
        mod golden_tests {
            use super::*;

            #[test]
            fn whole() {
                crate::golden::whole(&$spec);
            }
            #[test]
            fn every_chunk_size() {
                crate::golden::every_chunk_size(&$spec);
            }
            #[test]
            fn every_prefix() {
                crate::golden::every_prefix(&$spec);
            }
            #[test]
            fn every_bit_flip() {
                crate::golden::every_bit_flip(&$spec);
            }
            #[test]
            fn back_to_back() {
                crate::golden::back_to_back(&$spec);
            }
            #[test]
            fn noise_before() {
                crate::golden::noise_before(&$spec);
            }
            #[test]
            fn alone_with_its_context() {
                crate::golden::alone_with_its_context(&$spec);
            }
        }
    };
}

#[cfg(test)]
mod checks;
#[cfg(test)]
mod outcome;

#[cfg(test)]
pub use checks::*;
#[cfg(test)]
pub use outcome::*;
