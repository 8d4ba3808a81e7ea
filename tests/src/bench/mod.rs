//! Performance: one file per measurement. Every figure stands beside what the same machine does
//! without us, measured in the same run, because a number alone says more about the machine.
//!
//! | module | measures |
//! |---|---|
//! | [`machine`] | what the figures were measured on |
//! | [`report`] | the table |

pub mod machine;
pub mod report;
