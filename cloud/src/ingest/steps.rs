//! What an imager says of a procedure (MPPS): images of a visit are on their way (D7).

use super::{filing::Filing, parse::Checked};
use crate::{
    app::accession,
    store::{
        StoreError, Tx, encounter,
        live::{Kind, NewEvent},
        procedure_step::{self, StepRow},
    },
};
use chiasm_proto::{
    GatewayId,
    worklist::{ProcedureStep, ProcedureStepStatus},
};

/// Longest list of instances that is kept, in bytes of its JSON.
const INSTANCES_BYTES_MAX: usize = 256 * 1024;

impl Filing<'_> {
    pub(super) async fn take_step(
        &mut self,
        tx: &mut Tx,
        gateway: &GatewayId,
        (checked, step): (&Checked, &ProcedureStep),
    ) -> Result<(), StoreError> {
        let status = match step.status {
            ProcedureStepStatus::InProgress => "in_progress",
            ProcedureStepStatus::Completed => "completed",
            ProcedureStepStatus::Discontinued => "discontinued",
        };
        let encounter_id = visit(tx, self.tenant, step).await?;
        let instances = serde_json::to_string(&step.instances).expect("texts always serialise");
        let is_short = instances.len() <= INSTANCES_BYTES_MAX;
        let row = StepRow {
            gateway_id: gateway.to_string(),
            step_uid: text(&step.sop_instance_uid),
            link_id: step.link.to_string(),
            lane_id: step.lane.to_string(),
            status: status.to_owned(),
            study_instance_uid: step.study_instance_uid.as_deref().map(text),
            encounter_id,
            instances: if is_short { text(&instances) } else { "[]".into() },
            begun_at_us: checked.captured_at_us,
            said_at_us: checked.captured_at_us,
        };
        if procedure_step::put(tx, self.tenant, &row).await?
            && let Some(encounter) = row.encounter_id
        {
            self.events.push(NewEvent {
                encounter_id: Some(encounter.clone()),
                subject: Some(encounter),
                ..NewEvent::new(self.now_us, Kind::ExamChanged)
            });
        }
        Ok(())
    }
}

/// The visit that the step names by what we issued. Where both name one, they name the same.
async fn visit(
    tx: &mut Tx,
    tenant: &str,
    step: &ProcedureStep,
) -> Result<Option<String>, StoreError> {
    let mut named = Vec::new();
    let of_study = step.study_instance_uid.as_deref().and_then(accession::visit_of_study);
    if let Some(id) = of_study {
        named.extend(encounter::by_id(tx, tenant, &id).await?.map(|it| it.encounter_id));
    }
    let number = step.accession.as_deref().map(str::trim);
    if let Some(number) = number.filter(|it| accession::is_valid(it)) {
        named.extend(encounter::id_of_accession(tx, tenant, number).await?);
    }
    named.dedup();
    Ok(if named.len() == 1 { named.pop() } else { None })
}

/// Text that every database takes.
fn text(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}
