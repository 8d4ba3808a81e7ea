//! Every word of every closed list, frozen. The exhaustive match makes the compiler point here when
//! a variant is added.

use crate::golden::fixture;
use chiasm_proto::{
    AcuityCondition, Base, ClockState, Correction, CylinderMode, Eye, FlagCode, InstanceStatus,
    Integrity, Light, ProcedureStepStatus, RefractionKind, TonometryMethod, Vision,
    fleet::{LinkStatus, Status},
    lane_page::SessionEnd,
};

macro_rules! words {
    ($frozen:expr, $name:ident: $($variant:ident),+) => {{
        fn all() -> Vec<$name> {
            // Fails to compile when a variant is missing from the list.
            let _exhaustive = |word: $name| match word { $($name::$variant => ()),+ };
            vec![$($name::$variant),+]
        }
        let written = serde_json::to_value(all()).expect("plain data always serialises");
        assert_eq!($frozen, written, stringify!($name));
        let read: Vec<$name> = serde_json::from_value($frozen.clone()).expect("known words");
        assert_eq!(read, all(), stringify!($name));
    }};
}

#[test]
fn no_word_is_renamed_or_removed() {
    let frozen = fixture("words.json");
    words!(frozen["eye"], Eye: Right, Left, Both, NotGiven);
    words!(frozen["refraction_kind"], RefractionKind: Autorefraction, ContactLensEquivalent,
        TrialLens, NightMinusDay, Subjective, Final, PreviousPrescription);
    words!(frozen["light"], Light: Day, Night);
    words!(frozen["cylinder_mode"], CylinderMode: Minus, Plus, Mixed);
    words!(frozen["base"], Base: In, Out, Up, Down, Unverified);
    words!(frozen["tonometry_method"], TonometryMethod: NonContact, Goldmann, Rebound, TonoPen,
        OcularResponse, NotGiven);
    words!(frozen["integrity"], Integrity: Checksum, None, Structure);
    words!(frozen["flag_code"], FlagCode: ShotFailed, LowConfidence, Unusual, Implausible,
        SideNotGiven, UnknownRecord, Inconsistent, ClockUnset, PrismDirectionUnverified,
        NoRepresentative, InstrumentError, NoChecksum, Converted);
    words!(frozen["vision"], Vision: Far, Near);
    words!(frozen["correction"], Correction: Unaided, Wearing, Objective, Subjective, Final,
        Corrected);
    words!(frozen["acuity_condition"], AcuityCondition: Standard, Pinhole, Low, Glare,
        WithAddition);
    words!(frozen["clock_state"], ClockState: Synced, Unsynced);
    words!(frozen["status"], Status: Online, Stopped, Lost);
    words!(frozen["instance_status"], InstanceStatus: Incomplete, Filed, Damaged);
    words!(frozen["procedure_step_status"], ProcedureStepStatus: InProgress, Completed,
        Discontinued);
    words!(frozen["session_end"], SessionEnd: Person, Time);
    words!(frozen["link_status"], LinkStatus: Up, Down);
}
