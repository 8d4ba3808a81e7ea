//! Filing of a DICOM instance that lies whole in the archive: its place, its row, the addendum to a
//! signed exam, the audit and the live event, in one transaction. Filing the same bytes again
//! changes nothing.

mod facts;

use crate::{
    Core,
    domain::image_placement::{Place, Placement, place},
    imaging::{
        Header, WalkError,
        archive::{Archive, ArchiveError},
        header, object_reader,
    },
    store::{
        StoreError, Tx,
        audit::{self, About, Entry},
        instance::{self, InstanceRow},
        lane_open,
        live::{self, Kind, NewEvent},
        notice, signature, upload,
    },
};
use chiasm_proto::{ClockState, Eye, Sha256};
use facts::Gathered;
use object_store::path::Path as Key;
use std::{io::BufReader, path::PathBuf};
use uuid::Uuid;

/// Longest text of the data that is taken into a column, in characters; the header has it whole.
const COLUMN_LEN_MAX: usize = 200;

/// Where an instance came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// From an imager, through a gateway.
    Dicom,
    /// From a program, by DICOMweb.
    Stow,
}

impl Source {
    pub fn as_str(self) -> &'static str {
        match self {
            Source::Dicom => "dicom",
            Source::Stow => "stow",
        }
    }
}

/// An instance that lies whole in the archive, with what is known without reading it.
#[derive(Debug, Clone)]
pub struct Arrived {
    pub tenant: String,
    pub source: Source,
    /// The gateway, or the account that stored it.
    pub sender: String,
    pub location: String,
    /// Empty where there is none.
    pub link: String,
    pub lane: String,
    pub lane_session: Option<String>,
    pub clock: ClockState,
    pub received_at_us: i64,
    pub calling_ae: String,
    pub sha256: Sha256,
    pub len_bytes: u64,
    /// As the sender named it, for what cannot be read.
    pub sop_class_uid: String,
    pub sop_instance_uid: String,
    pub transfer_syntax_uid: String,
    pub contradicts_earlier: bool,
}

/// Why an instance could not be filed. It lies in the archive, and can be filed again.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Archive(#[from] ArchiveError),
}

/// Reads the header of an object of the archive. Why the object cannot be read is for people; a
/// store that does not give it says nothing against the object and is an error.
async fn read_header(
    core: &Core,
    key: &Key,
    len_bytes: u64,
) -> Result<Result<Header, String>, ArchiveError> {
    let reader = core.archive.reader(key, len_bytes)?;
    let read = tokio::task::spawn_blocking(move || header::read(BufReader::new(reader)));
    match read.await {
        Ok(Err(WalkError::Read(source) | WalkError::Inflate(source)))
            if object_reader::is_of_the_store(&source) =>
        {
            Err(ArchiveError::Read(source))
        }
        Ok(read) => Ok(read.map_err(|error| error.to_string()).and_then(with_uids)),
        Err(error) => Ok(Err(error.to_string())),
    }
}

/// Reads the header of any file.
pub async fn read_header_of(path: PathBuf) -> Result<Header, String> {
    let read = tokio::task::spawn_blocking(move || {
        let file = std::fs::File::open(&path).map_err(|error| error.to_string())?;
        header::read(BufReader::new(file)).map_err(|error| error.to_string())
    });
    read.await.map_err(|error| error.to_string()).flatten().and_then(with_uids)
}

fn with_uids(header: Header) -> Result<Header, String> {
    for (uid, name) in [
        (&header.sop_instance_uid, "SOP Instance UID"),
        (&header.study_instance_uid, "Study Instance UID"),
        (&header.series_instance_uid, "Series Instance UID"),
    ] {
        if uid.is_none() {
            return Err(format!("it has no valid {name}"));
        }
    }
    Ok(header)
}

/// Files it and tells of it; gives its identifier.
pub async fn file(core: &Core, arrived: &Arrived, now_us: i64) -> Result<String, IntakeError> {
    let key = Archive::key(&arrived.tenant, &arrived.sha256);
    let read = read_header(core, &key, arrived.len_bytes).await?;
    let mut tx = core.db.tenant(&arrived.tenant).await?;
    let sha256 = arrived.sha256.to_string();
    if let Some(known) = instance::id_of_content(&mut tx, &arrived.tenant, &sha256).await? {
        upload::remove(&mut tx, &arrived.tenant, &sha256).await?;
        tx.commit().await?;
        return Ok(known);
    }
    let instance_id = Uuid::now_v7().to_string();
    let (placed, gathered, header) = match read {
        Ok(header) => {
            let gathered = Gathered::of(&mut tx, arrived, &header, (&instance_id, now_us)).await?;
            (place(gathered.facts()), gathered, header)
        }
        Err(why) => {
            let reason = format!("it cannot be read: {why}");
            let placed = Placement { place: Place::Quarantined, reason, encounter_id: None };
            (placed, Gathered::default(), Header::default())
        }
    };
    let mut row = row(arrived, &header, placed, now_us);
    row.instance_id = instance_id;
    row.object_key = key.to_string();
    row.contradicts = gathered.contradicts.clone();
    let mut filing = Filing { tx, tenant: &arrived.tenant, now_us };
    if let Some(session) = gathered.session_of(row.encounter_id.as_deref()) {
        row.lane_session_id = Some(session.to_owned());
        let at_us = arrived.received_at_us.min(now_us);
        lane_open::touch(&mut filing.tx, &arrived.tenant, session, at_us).await?;
    }
    filing.note_late(&mut row, &header).await?;
    instance::insert(&mut filing.tx, &arrived.tenant, &row).await?;
    upload::remove(&mut filing.tx, &arrived.tenant, &sha256).await?;
    filing.finish(&row, arrived.source).await?;
    core.live.announce(&arrived.tenant);
    tracing::info!(
        tenant = arrived.tenant,
        instance = row.instance_id,
        place = row.place,
        len_bytes = row.len_bytes,
        "an instance is filed"
    );
    Ok(row.instance_id)
}

struct Filing<'a> {
    tx: Tx,
    tenant: &'a str,
    now_us: i64,
}

impl Filing<'_> {
    /// An exam that is signed takes it as an addendum, one for each series, and its signer is told
    /// (D7).
    async fn note_late(
        &mut self,
        row: &mut InstanceRow,
        header: &Header,
    ) -> Result<(), StoreError> {
        let Some(encounter) = row.encounter_id.clone() else { return Ok(()) };
        signature::lock(&mut self.tx, self.tenant, &encounter).await?;
        let Some(signer) = signature::signer(&mut self.tx, self.tenant, &encounter).await? else {
            return Ok(());
        };
        row.is_late = true;
        let series = (encounter.as_str(), row.series_instance_uid.as_str());
        if instance::is_series_late(&mut self.tx, self.tenant, series).await? {
            return Ok(());
        }
        let text = format!("{}: arrived after the signature", words(header));
        let by = ("system", true);
        let exam = (self.tenant, encounter.as_str());
        signature::add(&mut self.tx, exam, by, &text, self.now_us).await?;
        let whom = (signer.as_str(), encounter.as_str());
        notice::tell(&mut self.tx, self.tenant, whom, ("late", &text), self.now_us).await
    }

    async fn finish(mut self, row: &InstanceRow, source: Source) -> Result<(), StoreError> {
        let about = About { encounter_id: row.encounter_id.clone(), ..About::default() };
        let about = about.of_patient(&mut self.tx, self.tenant).await?;
        let is_person = source == Source::Stow;
        let entry = Entry {
            at_us: self.now_us,
            account_id: if is_person { row.gateway_id.clone() } else { "system".into() },
            role: if is_person { "program".into() } else { "gateway".into() },
            address: String::new(),
            is_look: false,
            action: "image_filed".into(),
            subject: row.instance_id.clone(),
            about: About { value_after: row.place.clone(), why: row.reason.clone(), ..about },
        };
        audit::append(&mut self.tx, self.tenant, &[entry]).await?;
        let event = NewEvent {
            location_id: Some(row.location_id.clone()),
            lane_id: Some(row.lane_id.clone()).filter(|lane| !lane.is_empty()),
            encounter_id: row.encounter_id.clone(),
            gateway_id: (!is_person).then(|| row.gateway_id.clone()),
            subject: Some(row.instance_id.clone()),
            ..NewEvent::new(self.now_us, Kind::ImageFiled)
        };
        live::append(&mut self.tx, self.tenant, &[event]).await?;
        self.tx.commit().await
    }
}

/// An instance in words: `OCT volume, OD, ZEISS CIRRUS`.
pub fn words(header: &Header) -> String {
    let eye = header.laterality.eye;
    let eye = if eye == Eye::NotGiven { "" } else { eye.abbreviation() };
    let instrument = [&header.manufacturer, &header.model].map(|it| it.as_deref().unwrap_or(""));
    let parts = [header.kind.label(), eye, instrument.join(" ").trim()].map(str::to_owned);
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
}

/// The same of an instance that is filed.
pub fn words_of(row: &InstanceRow) -> String {
    words(&serde_json::from_str(&row.header).unwrap_or_default())
}

fn row(arrived: &Arrived, header: &Header, placed: Placement, now_us: i64) -> InstanceRow {
    let or = |uid: &Option<String>, otherwise: &str| column(uid.as_deref().unwrap_or(otherwise));
    let syntax = Some(header.transfer_syntax_uid.clone()).filter(|it| !it.is_empty());
    InstanceRow {
        instance_id: String::new(),
        sha256: arrived.sha256.to_string(),
        len_bytes: i64::try_from(arrived.len_bytes).unwrap_or(i64::MAX),
        object_key: String::new(),
        source: arrived.source.as_str().to_owned(),
        gateway_id: arrived.sender.clone(),
        link_id: arrived.link.clone(),
        lane_id: arrived.lane.clone(),
        location_id: arrived.location.clone(),
        lane_session_id: arrived.lane_session.clone(),
        calling_ae: column(&arrived.calling_ae),
        received_at_us: arrived.received_at_us,
        filed_at_us: now_us,
        sop_instance_uid: or(&header.sop_instance_uid, &arrived.sop_instance_uid),
        sop_class_uid: or(&header.sop_class_uid, &arrived.sop_class_uid),
        transfer_syntax_uid: or(&syntax, &arrived.transfer_syntax_uid),
        study_instance_uid: or(&header.study_instance_uid, ""),
        series_instance_uid: or(&header.series_instance_uid, ""),
        modality: or(&header.modality, ""),
        eye: letter(header.laterality.eye).to_owned(),
        eye_disagreement: header.laterality.disagreement.as_deref().map(column),
        frames: i64::from(header.frames),
        series_number: header.series_number.map(i64::from),
        instance_number: header.instance_number.map(i64::from),
        concatenation_uid: header.concatenation_uid.as_deref().map(column),
        acquired_at: header.acquired_at.map(|at| at.to_string()),
        patient_id: or(&header.patient_id, "").trim().to_owned(),
        patient_name_folded: or(&header.patient_name, "").to_lowercase(),
        birth_date: header.birth_date.map(|date| date.to_string()),
        accession: or(&header.accession, "").trim().to_owned(),
        header: serde_json::to_string(header).expect("plain data always serialises"),
        place: placed.place.as_str().to_owned(),
        reason: column(&placed.reason),
        encounter_id: placed.encounter_id,
        is_late: false,
        contradicts: None,
        version: 1,
        changed_at_us: None,
        changed_by: None,
        change_reason: None,
    }
}

/// The standard's letter.
fn letter(eye: Eye) -> &'static str {
    match eye {
        Eye::Right => "R",
        Eye::Left => "L",
        Eye::Both => "B",
        Eye::NotGiven => "",
    }
}

/// Text that every database takes: no NUL, not too long.
fn column(text: &str) -> String {
    text.chars().take(COLUMN_LEN_MAX).map(|c| if c == '\0' { '\u{fffd}' } else { c }).collect()
}
