//! Arbitrary instances, worklists and procedure steps.

use super::{
    civil_time, maybe_text,
    reading::{lane, link},
    text, timestamp, uuid,
};
use chiasm_proto::{
    ClockState, InstanceOffer, InstanceProgress, InstanceStatus, LaneSessionId, ProcedureStep,
    ProcedureStepStatus, ScheduledVisit, Sha256, Worklist,
};
use proptest::{collection::vec, option, prelude::*, sample::select};

fn clock() -> impl Strategy<Value = ClockState> {
    select(vec![ClockState::Synced, ClockState::Unsynced])
}

pub fn offer() -> impl Strategy<Value = InstanceOffer> {
    let content = (vec(any::<u8>(), 0..8), any::<u64>(), any::<bool>());
    let origin = (link(), lane(), option::of(uuid()), timestamp(), clock());
    (content, origin, proptest::array::uniform4(text())).prop_map(
        |(content, origin, [calling_ae, class, instance, syntax])| InstanceOffer {
            sha256: Sha256::of(&content.0),
            len_bytes: content.1,
            link: origin.0,
            lane: origin.1,
            lane_session: origin.2.map(LaneSessionId),
            received_at: origin.3,
            clock: origin.4,
            calling_ae,
            sop_class_uid: class,
            sop_instance_uid: instance,
            transfer_syntax_uid: syntax,
            contradicts_earlier: content.2,
        },
    )
}

pub fn progress() -> impl Strategy<Value = InstanceProgress> {
    let status =
        select(vec![InstanceStatus::Incomplete, InstanceStatus::Filed, InstanceStatus::Damaged]);
    (status, any::<u64>(), maybe_text()).prop_map(|(status, offset, detail)| InstanceProgress {
        status,
        offset,
        detail,
    })
}

pub fn worklist() -> impl Strategy<Value = Worklist> {
    let dates = (civil_time(), civil_time());
    let visit = (dates, proptest::array::uniform6(text())).prop_map(
        |(dates, [accession, study, reason, chart, family, given])| ScheduledVisit {
            accession,
            study_instance_uid: study,
            scheduled_at: dates.0,
            reason,
            chart_number: chart,
            family_name: family,
            given_name: given,
            birth_date: dates.1.date(),
        },
    );
    (timestamp(), text(), vec(visit, 0..3)).prop_map(|(generated_at, location, visits)| Worklist {
        generated_at,
        location,
        visits,
    })
}

pub fn procedure_step() -> impl Strategy<Value = ProcedureStep> {
    let status = select(vec![
        ProcedureStepStatus::InProgress,
        ProcedureStepStatus::Completed,
        ProcedureStepStatus::Discontinued,
    ]);
    let names = (link(), lane(), text(), maybe_text(), maybe_text());
    (names, status, vec(text(), 0..3), clock()).prop_map(|(names, status, instances, clock)| {
        ProcedureStep {
            link: names.0,
            lane: names.1,
            sop_instance_uid: names.2,
            status,
            accession: names.3,
            study_instance_uid: names.4,
            instances,
            clock,
        }
    })
}
