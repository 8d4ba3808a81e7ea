//! The words Chiasm's parts speak with each other: values with units, the reading, the
//! acknowledgement, a gateway's state, and the topics they travel on.
//!
//! | module | holds |
//! |---|---|
//! | [`ids`] | newtypes for everything that has a name or a number |
//! | [`decimal`] | fixed-point numbers: dioptres, millimetres, mmHg |
//! | [`eye`], [`refraction`], [`keratometry`], [`lens`], [`tonometry`], [`pachymetry`], [`acuity`], [`biometry`], [`distance`], [`other_test`] | what instruments measure |
//! | [`shot`] | one repetition inside a measurement, confidence, representative value |
//! | [`reading`] | what a driver made of one capture, and what a gateway sends of it |
//! | [`envelope`] | the CloudEvents-shaped wrapping of everything a gateway numbers and sends |
//! | [`ack`] | what the cloud answers after its commit |
//! | [`config`] | a gateway's links and imagers, sent down, and what became of them |
//! | [`listening`] | what comes over a link just now, without values, and a gateway's ports |
//! | [`fleet`] | birth, telemetry, lane sessions sent down |
//! | [`instance`] | the HTTPS documents by which DICOM instances reach the cloud |
//! | [`worklist`] | the schedule sent down to imagers, and what they tell of their procedures |
//! | [`lane_page`] | who may use a gateway's own page, and what they did there |
//! | [`enrol`] | the HTTPS documents by which a gateway gets its certificate |
//! | [`wipe`] | what a gateway says before it destroys everything it holds |
//! | [`mask`] | bytes without what they say, to show how they are built |
//! | [`exposition`] | numbers for monitoring, as text |
//! | [`topic`] | the only place where a topic is built or parsed |
//!
//! Wire format v1 is JSON and frozen by the documents in `fixtures/v1`. Unknown fields are ignored
//! on reading, so that fields can be added; nothing may be renamed or change its meaning.
//! This crate does no I/O and reads no clock.

pub mod ack;
pub mod acuity;
pub mod biometry;
pub mod config;
pub mod decimal;
pub mod distance;
pub mod enrol;
pub mod envelope;
pub mod exposition;
pub mod eye;
pub mod fleet;
pub mod ids;
pub mod instance;
pub mod keratometry;
pub mod lane_page;
pub mod lens;
pub mod listening;
pub mod mask;
pub mod measurement;
pub mod other_test;
pub mod pachymetry;
pub mod raw;
pub mod reading;
pub mod refraction;
pub mod shot;
pub mod tonometry;
pub mod topic;
pub mod wipe;
pub mod worklist;

pub use ack::{Ack, Rejection};
pub use acuity::{AcuityCondition, Correction, VisualAcuity};
pub use biometry::Biometry;
pub use decimal::{Dioptres, Hundredths};
pub use distance::{CornealSize, PupilSize, PupillaryDistance};
pub use envelope::{Body, Envelope};
pub use eye::Eye;
pub use ids::{
    Epoch, GatewayId, LaneId, LaneSessionId, LinkId, LocationId, ReadingId, Seq, TenantId,
};
pub use instance::{InstanceOffer, InstanceProgress, InstanceStatus};
pub use keratometry::{Keratometry, KeratometryValue, Meridian};
pub use lane_page::{Deed, LaneAct, Staff};
pub use lens::{Base, Lensometry, Prism, PrismComponent};
pub use mask::mask;
pub use measurement::{Measured, Measurement};
pub use other_test::{OtherTest, OtherValue};
pub use pachymetry::Pachymetry;
pub use raw::{Raw, Sha256};
pub use reading::{
    CAPTURE_LEN_MAX, Capture, ClaimedPatient, ClockState, Decoded, DriverRef, Flag, FlagCode,
    GatewayEvent, Instrument, InstrumentTime, Integrity, Reading, UnknownRecord,
};
pub use refraction::{CylinderMode, Light, Refraction, RefractionKind, RefractionValue, Vision};
pub use shot::{Confidence, Representative, Shot};
pub use tonometry::{CorrectedIop, IopValue, Tonometry, TonometryMethod};
pub use topic::{Down, Topic, Up};
pub use worklist::{ProcedureStep, ProcedureStepStatus, ScheduledVisit, Worklist};

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
pub(crate) fn is_false(flag: &bool) -> bool {
    !flag
}
