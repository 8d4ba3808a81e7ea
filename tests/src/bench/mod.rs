//! Performance: one file per measurement. Every figure stands beside what the same machine does
//! without us, measured in the same run, because a number alone says more about the machine.
//!
//! | module | measures |
//! |---|---|
//! | [`floor`] | the least that one reading could cost here |
//! | [`bare`] | what the database alone can take |
//! | [`machine`] | what the figures were measured on |
//! | [`report`] | the table |

pub mod bare;
pub mod floor;
pub mod machine;
pub mod report;
