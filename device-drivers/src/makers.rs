//! The drivers, in a folder for each maker or for a format that several makers share.
//!
//! | module | reads |
//! |---|---|
//! | [`nidek`] | NIDEK on a serial line |
//! | [`nidek_xml`], [`nidek_rt_xml`] | the documents that NIDEK instruments write, and their relatives |
//! | [`joia`] | JOIA documents, as Topcon instruments write them |
//! | [`topcon`] | Topcon on a serial line, and the MYAH |
//! | [`huvitz`] | Huvitz and its relatives |
//! | [`tomey`], [`top1000`] | Tomey and its Rodenstock twins |
//! | [`visionix`], [`reichert`], [`canon`], [`zeiss`], [`oculus`], [`haag_streit`] | as they are called |
//! | [`autorefractors`] | autorefractors of smaller makers |
//! | [`screeners`] | vision screeners |
//! | [`dicom_measurements`] | DICOM objects of measurements, of any maker |
//! | [`captures`] | instruments whose format is not known: their bytes are kept |

pub mod autorefractors;
pub mod canon;
pub mod captures;
pub mod dicom_measurements;
pub mod haag_streit;
pub mod huvitz;
pub mod joia;
pub mod nidek;
pub mod nidek_rt_xml;
pub mod nidek_xml;
pub mod oculus;
pub mod reichert;
pub mod screeners;
pub mod tomey;
pub mod top1000;
pub mod topcon;
pub mod visionix;
pub mod zeiss;
