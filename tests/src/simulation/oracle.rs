//! What has to hold when everything works again: conservation (C5), once, and nobody else's exam
//! (R31).

use super::{
    Outcome, Print,
    cloud::Cloud,
    gateway::{Gateway, State},
};
use chiasm_cloud::domain::placement::Place;
use std::collections::{BTreeMap, BTreeSet};

/// What happened to prints that no program could keep.
#[derive(Default)]
pub struct Excuses {
    pub unshown: BTreeSet<u64>,
    /// Some disk lied or was restored in this schedule.
    pub may_disk_forget: bool,
}

/// Counts, or says what is wrong.
pub fn judge(
    prints: &[Print],
    gateways: &[Gateway],
    cloud: &Cloud,
    excuses: &Excuses,
) -> Result<Outcome, String> {
    let mut outcome = Outcome { schedules: 1, prints: prints.len() as u64, ..Outcome::default() };
    let database = &cloud.database;
    let mut filed: BTreeMap<u64, Vec<&super::cloud::Filed>> = BTreeMap::new();
    for it in database.ledger.values() {
        filed.entry(it.print).or_default().push(it);
    }
    let rejected: BTreeSet<u64> = database.differing.values().copied().collect();
    let set_aside: BTreeSet<u64> =
        gateways.iter().flat_map(|it| &it.set_aside).map(|print| print.id).collect();
    for print in prints {
        match filed.get(&print.id).map(Vec::as_slice) {
            Some([one]) => match one.place {
                Place::Exam if one.patient.is_some() && one.patient == print.patient => {
                    outcome.in_exams += 1;
                }
                Place::Exam => {
                    let (was, is) = (print.patient, one.patient);
                    return Err(format!("misfiled: {print:?} is of {was:?}, filed to {is:?}"));
                }
                _ => outcome.waiting += 1,
            },
            Some(several) => return Err(format!("{} times: {print:?}", several.len())),
            None if rejected.contains(&print.id) => outcome.quarantined += 1,
            None if set_aside.contains(&print.id) => outcome.set_aside += 1,
            None if excuses.unshown.contains(&print.id) => outcome.unshown += 1,
            None if excuses.may_disk_forget && !is_held(gateways, print.id) => {
                outcome.forgotten_by_disk += 1;
            }
            None => return Err(format!("lost: {print:?}, {}", whereabouts(gateways, print.id))),
        }
    }
    for (number, gateway) in gateways.iter().enumerate() {
        let of_epoch = database.streams.get(&(number, gateway.spool.epoch));
        let highest = of_epoch.map_or(0, chiasm_cloud::domain::progress::Progress::highest);
        let missing = of_epoch.map_or(0, chiasm_cloud::domain::progress::Progress::missing_count);
        if highest != gateway.spool.last_seq || missing > 0 {
            let last = gateway.spool.last_seq;
            return Err(format!(
                "conservation: gateway {number} gave out {last}, the cloud has {highest} but for \
                 {missing}"
            ));
        }
    }
    Ok(outcome)
}

/// Whether a gateway believes that it has it, or that the cloud has.
fn is_held(gateways: &[Gateway], print: u64) -> bool {
    let mut documents = gateways.iter().flat_map(|gateway| gateway.spool.documents.values());
    documents.any(|document| document.print.id == print && document.state != State::Rejected)
}

fn whereabouts(gateways: &[Gateway], print: u64) -> String {
    for (number, gateway) in gateways.iter().enumerate() {
        for (seq, document) in &gateway.spool.documents {
            if document.print.id == print {
                let (epoch, state) = (gateway.spool.epoch.0.as_u128(), document.state);
                return format!("at gateway {number} as {seq} of epoch {epoch}: {state:?}");
            }
        }
    }
    "at no gateway".into()
}
