//! Vision screeners: handheld cameras that refract both eyes of a child at once and write one row
//! per exam into a table.

mod eye;
mod plusoptix;
mod sheet;
mod spot;
mod two_win;

pub use plusoptix::SPEC as PLUSOPTIX;
pub use spot::SPEC as SPOT;
pub use two_win::SPEC as TWO_WIN;
