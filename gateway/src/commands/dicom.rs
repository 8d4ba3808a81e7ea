//! `worklist` and `echo`.

use crate::{
    cli::WorklistArgs,
    dicom::{
        data_set::DataSet,
        query::{self, Asker, Model},
        requestor,
        tls::Tls,
        worklist,
    },
    seal,
};
use anyhow::{Context, bail};
use dicom_dictionary_std::tags;
use std::{
    io::{self, Write},
    path::Path,
};

/// What an imager would be answered: the same code answers it.
pub(super) fn worklist(path: &Path, args: &WorklistArgs) -> anyhow::Result<()> {
    let (config, _) = crate::remote::load(path)?;
    let Some(key) = seal::load(&config.spool_key)? else {
        bail!("there is no key yet; the gateway makes it at its first start");
    };
    let stored = worklist::read(&config.data_dir, &key)
        .with_context(|| format!("{}: the worklist cannot be read", config.data_dir.display()))?;
    let Some(worklist) = stored else {
        bail!("no worklist has come from the cloud yet");
    };
    let enrolled: Vec<String> =
        config.imagers.iter().map(|imager| imager.calling_ae.clone()).collect();
    let Some(calling_ae) = args.ae.as_ref().or(enrolled.first()) else {
        bail!("no imager is configured; name an AE title with --ae");
    };
    let mut step = DataSet::default();
    step.put(tags::SCHEDULED_STATION_AE_TITLE, calling_ae);
    if let Some(date) = &args.date {
        step.put(tags::SCHEDULED_PROCEDURE_STEP_START_DATE, &day(date));
    }
    let mut keys = DataSet::default();
    keys.put(tags::PATIENT_NAME, args.name.as_deref().unwrap_or(""));
    keys.put_items(tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE, vec![step]);
    let own_ae = config.dicom.unwrap_or_default().ae_title;
    let asker = Asker { calling_ae, enrolled: &enrolled, station: calling_ae, own_ae: &own_ae };
    if !enrolled.contains(calling_ae) {
        eprintln!("no imager with the AE title {calling_ae} is configured; it would be refused");
    }
    let mut out = io::stdout().lock();
    for answer in query::answers(Model::Worklist, &keys, &worklist, asker)? {
        let steps = answer.items(tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE);
        let said = |tag| steps.first().map(|step| step.text(tag, "")).unwrap_or_default();
        writeln!(
            out,
            "{} {}  {:<12} {:<14} {:<32} {}  {}",
            said(tags::SCHEDULED_PROCEDURE_STEP_START_DATE),
            said(tags::SCHEDULED_PROCEDURE_STEP_START_TIME),
            answer.ascii(tags::ACCESSION_NUMBER),
            answer.text(tags::PATIENT_ID, ""),
            answer.text(tags::PATIENT_NAME, ""),
            answer.ascii(tags::PATIENT_BIRTH_DATE),
            said(tags::SCHEDULED_PROCEDURE_STEP_DESCRIPTION),
        )?;
    }
    eprintln!("the cloud told it at {}", worklist.generated_at);
    Ok(())
}

/// Asks an imager whether it is there.
pub(super) async fn echo(path: &Path, id: &str) -> anyhow::Result<()> {
    let (config, _) = crate::remote::load(path)?;
    let known = || config.imagers.iter().map(|imager| imager.id.as_str());
    let Some(imager) = config.imagers.iter().find(|imager| imager.id.as_str() == id) else {
        bail!(
            "there is no imager `{id}`; configured are: {}",
            known().collect::<Vec<_>>().join(", ")
        );
    };
    let begun = std::time::Instant::now();
    let dicom = config.dicom.clone().unwrap_or_default();
    let tls = Tls::new(dicom.tls.clone(), &config.data_dir);
    requestor::echo(&dicom, &tls, imager).await?;
    println!("{id} ({}) answers after {} ms", imager.calling_ae, begun.elapsed().as_millis());
    Ok(())
}

/// A day as people write it, as DICOM writes it; a range stays one.
fn day(text: &str) -> String {
    match text.parse::<jiff::civil::Date>() {
        Ok(date) => date.strftime("%Y%m%d").to_string(),
        Err(_) => text.to_owned(),
    }
}
