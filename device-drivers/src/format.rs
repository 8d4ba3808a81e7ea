//! What formats of many makers have in common: cutting a stream into transmissions, and reading
//! columns, lines, numbers, tables and documents with their positions.
//!
//! | module | for |
//! |---|---|
//! | [`framing`] | SOH … EOT with a checksum behind it, as NIDEK sends |
//! | [`stream`] | other transmissions of text on a line |
//! | [`mod@file`] | files that are read as a whole |
//! | [`xml`] | XML documents, walked so that nothing unread vanishes |
//! | [`table`], [`sheet`] | separated values; tables whose rows are readings of their own |
//! | [`fields`] | fixed columns, lines and numbers |
//! | [`civil_time`] | dates whose order is a setting of the instrument |
//! | [`biometer`] | lengths, thickness and meridians with any number of decimals |

pub mod biometer;
pub mod civil_time;
pub mod fields;
pub mod file;
pub mod framing;
pub mod sheet;
pub mod stream;
pub mod table;
pub mod xml;
