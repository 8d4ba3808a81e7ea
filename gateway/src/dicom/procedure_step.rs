//! MPPS (PS3.4 F): an imager says that it has begun or ended, and the cloud that images are on
//! their way.

use super::{
    association::{Association, AssociationError},
    command::{AFFECTED_SOP_INSTANCE_UID, REQUESTED_SOP_INSTANCE_UID, is_uid, status},
    data_set::DataSet,
    messages::Message,
};
use crate::{
    clock,
    journal::Position,
    spool::{Document, Entry},
};
use chiasm_proto::{Body, ProcedureStep, ProcedureStepStatus};
use dicom_dictionary_std::tags;

/// Most instances that are named in one document.
pub const NAMED_INSTANCES_MAX: usize = 10_000;

/// N-CREATE: begun.
pub(super) async fn create(
    association: &mut Association,
    message: &Message,
) -> Result<(), AssociationError> {
    let mut uid = message.command.uid(AFFECTED_SOP_INSTANCE_UID);
    if uid.is_empty() {
        // PS3.7 10.1.5.1.4: who is asked names it.
        uid = format!("2.25.{}", uuid::Uuid::new_v4().as_u128());
    }
    if !is_uid(&uid) {
        return refuse(association, message, status::INVALID_ARGUMENT, "a UID that is none").await;
    }
    let set = match association.messages.data_set(message).await? {
        Ok(set) => set,
        Err(unusable) => {
            let why = unusable.to_string();
            return association.decline(message, status::INVALID_ARGUMENT, &why).await;
        }
    };
    if association.node.instances.step(&uid).await?.is_some() {
        let why = "this procedure step exists";
        return association.decline(message, status::DUPLICATE_INSTANCE, why).await;
    }
    let Some(progress) = progress(&set) else {
        let why = "a procedure step must say its status";
        return association.decline(message, status::INVALID_ARGUMENT, why).await;
    };
    let scheduled = set.items(tags::SCHEDULED_STEP_ATTRIBUTES_SEQUENCE).first();
    let said = |tag| {
        let value = scheduled.map(|item| item.ascii(tag)).unwrap_or_default();
        (!value.is_empty()).then_some(value)
    };
    let step = ProcedureStep {
        link: association.imager.id.clone(),
        lane: association.imager.lane.clone(),
        sop_instance_uid: uid.clone(),
        status: progress,
        accession: said(tags::ACCESSION_NUMBER),
        study_instance_uid: said(tags::STUDY_INSTANCE_UID).filter(|uid| is_uid(uid)),
        instances: instances(&set),
        clock: clock::state(),
    };
    pass_on(association, step).await?;
    let answer = message.command.answer(status::SUCCESS);
    let answer = answer.with_uid(AFFECTED_SOP_INSTANCE_UID, &uid);
    Ok(association.messages.send(message.context_id, &answer).await?)
}

/// N-SET: it goes on, or has ended.
pub(super) async fn set(
    association: &mut Association,
    message: &Message,
) -> Result<(), AssociationError> {
    let uid = message.command.uid(REQUESTED_SOP_INSTANCE_UID);
    if !is_uid(&uid) {
        return refuse(association, message, status::INVALID_ARGUMENT, "a UID that is none").await;
    }
    let set = match association.messages.data_set(message).await? {
        Ok(set) => set,
        Err(unusable) => {
            let why = unusable.to_string();
            return association.decline(message, status::INVALID_ARGUMENT, &why).await;
        }
    };
    let before = association.node.instances.step(&uid).await?;
    if before.as_ref().is_some_and(|step| step.status != ProcedureStepStatus::InProgress) {
        let why = "this procedure step has ended and may no longer be changed";
        return association.decline(message, status::PROCESSING_FAILURE, why).await;
    }
    let step = ProcedureStep {
        link: association.imager.id.clone(),
        lane: association.imager.lane.clone(),
        sop_instance_uid: uid,
        status: progress(&set).unwrap_or(ProcedureStepStatus::InProgress),
        accession: before.as_ref().and_then(|step| step.accession.clone()),
        study_instance_uid: before.and_then(|step| step.study_instance_uid),
        instances: instances(&set),
        clock: clock::state(),
    };
    pass_on(association, step).await?;
    association.answer(message, status::SUCCESS).await
}

async fn refuse(
    association: &mut Association,
    message: &Message,
    status: u16,
    why: &str,
) -> Result<(), AssociationError> {
    association.skip_data(message).await?;
    association.decline(message, status, why).await
}

/// Answered when it is in the spool. Remembered after that: an imager that got no answer says it
/// again, and must not be told that it has been said.
async fn pass_on(association: &Association, step: ProcedureStep) -> Result<(), AssociationError> {
    let entry = Entry {
        link: step.link.clone(),
        documents: vec![Document::new(clock::wall(), Body::ProcedureStep(step.clone()))],
        position: Position::default(),
        imported: None,
    };
    association.node.shared.spool.commit(entry).await?;
    Ok(association.node.instances.keep_step(&step).await?)
}

fn progress(set: &DataSet) -> Option<ProcedureStepStatus> {
    match set.ascii(tags::PERFORMED_PROCEDURE_STEP_STATUS).as_str() {
        "IN PROGRESS" => Some(ProcedureStepStatus::InProgress),
        "COMPLETED" => Some(ProcedureStepStatus::Completed),
        "DISCONTINUED" => Some(ProcedureStepStatus::Discontinued),
        _ => None,
    }
}

/// The images and other objects that the imager says it made.
fn instances(set: &DataSet) -> Vec<String> {
    set.items(tags::PERFORMED_SERIES_SEQUENCE)
        .iter()
        .flat_map(|series| {
            let images = series.items(tags::REFERENCED_IMAGE_SEQUENCE);
            let others = series.items(tags::REFERENCED_NON_IMAGE_COMPOSITE_SOP_INSTANCE_SEQUENCE);
            images.iter().chain(others)
        })
        .map(|item| item.ascii(tags::REFERENCED_SOP_INSTANCE_UID))
        .filter(|uid| is_uid(uid))
        .take(NAMED_INSTANCES_MAX)
        .collect()
}
