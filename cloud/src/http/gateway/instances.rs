//! DICOM instances from gateways: offered, sent in parts, filed. Who sends is what the verified
//! certificate says, and nothing else.

use super::{
    super::serve::PeerCertificate,
    Endpoint,
    peer::{NotLetIn, Peer, identify},
};
use crate::{
    Core,
    app::intake::{self, Arrived, IntakeError, Source},
    broker::Identity,
    clock,
    imaging::{
        archive::{Archive, ArchiveError},
        upload::{self, Arrived as Part, PartError, Turn, Upload},
    },
    store::{
        StoreError, encounter, instance,
        live::{self, Kind, NewEvent},
        upload::{self as uploads, UploadRow},
    },
};
use axum::{
    Extension, Json,
    body::Body,
    extract::{Path, State},
    http::{
        HeaderMap, StatusCode,
        header::{CONTENT_LENGTH, RETRY_AFTER},
    },
    response::{IntoResponse, Response},
};
use chiasm_proto::{
    Sha256,
    enrol::ClaimError,
    instance::{
        INSTANCE_LEN_MAX, InstanceOffer, InstanceProgress, InstanceStatus, PART_LEN_MAX,
        PART_SHA256_HEADER,
    },
};

/// When a gateway may ask again that was told to wait.
const RETRY_AFTER_S: &str = "60";
/// Largest offer.
pub const OFFER_BYTES_MAX: usize = 16 * 1024;
/// Uploads of one gateway that are begun and not filed.
pub const UPLOADS_MAX: i64 = 64;
/// Longest identifier in an offer, in characters.
const TEXT_LEN_MAX: usize = 200;

/// Why nothing was taken. The gateway keeps what it has.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error(transparent)]
    Peer(#[from] NotLetIn),
    #[error("{0}")]
    Malformed(String),
    #[error("offer it first: nobody here knows of such an upload")]
    NotOffered,
    #[error("an instance has 1 to {INSTANCE_LEN_MAX} bytes")]
    WrongLength,
    #[error("{UPLOADS_MAX} uploads of this gateway are not finished: finish them first")]
    TooMany,
    #[error(transparent)]
    Part(#[from] PartError),
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<IntakeError> for Refusal {
    fn from(error: IntakeError) -> Self {
        match error {
            IntakeError::Store(error) => error.into(),
            IntakeError::Archive(error) => error.into(),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, code) = match &self {
            Refusal::Peer(refusal) => refusal.status(),
            Refusal::Malformed(_) | Refusal::Part(PartError::Cut(_)) => {
                (StatusCode::BAD_REQUEST, "malformed")
            }
            Refusal::NotOffered => (StatusCode::NOT_FOUND, "not_offered"),
            Refusal::WrongLength | Refusal::Part(PartError::TooLong) => {
                (StatusCode::PAYLOAD_TOO_LARGE, "wrong_length")
            }
            Refusal::TooMany => (StatusCode::TOO_MANY_REQUESTS, "too_many"),
            Refusal::Archive(ArchiveError::Full { .. }) => {
                (StatusCode::INSUFFICIENT_STORAGE, "disk_full")
            }
            Refusal::Part(PartError::File { .. }) | Refusal::Archive(_) | Refusal::Store(_) => {
                (StatusCode::SERVICE_UNAVAILABLE, "unavailable")
            }
        };
        if status.is_server_error() {
            tracing::error!(error = %self, "cannot take an instance");
        }
        let message = match status {
            StatusCode::SERVICE_UNAVAILABLE => {
                "the cloud cannot take instances at the moment: try again".to_owned()
            }
            StatusCode::INSUFFICIENT_STORAGE => {
                "the cloud's disk for images is full: whoever runs it has to make room".to_owned()
            }
            _ => self.to_string(),
        };
        let answer = (status, Json(ClaimError { code: code.into(), message }));
        if status.is_server_error() {
            return ([(RETRY_AFTER, RETRY_AFTER_S)], answer).into_response();
        }
        answer.into_response()
    }
}

pub(super) async fn offer(
    State(endpoint): State<Endpoint>,
    Extension(shown): Extension<PeerCertificate>,
    body: Body,
) -> Result<Json<InstanceProgress>, Refusal> {
    let core = &endpoint.core;
    // Before the body is read: strangers send nothing.
    let sender = identify(core, &shown).await?;
    let body = axum::body::to_bytes(body, OFFER_BYTES_MAX).await;
    let body = body.map_err(|error| Refusal::Malformed(error.to_string()))?;
    let offer = parse(&body)?;
    let tenant = sender.identity.tenant.as_str();
    let turn = core.uploads.lock(tenant, offer.sha256).await;
    if is_filed(core, tenant, &offer).await? {
        core.uploads.forget(tenant, offer.sha256);
        return Ok(Json(progress(InstanceStatus::Filed, offer.len_bytes)));
    }
    let at = Receiving { core, sender: &sender, offer: &offer };
    at.note().await?;
    at.go_on(turn).await.map(Json)
}

fn parse(body: &[u8]) -> Result<InstanceOffer, Refusal> {
    let offer: InstanceOffer =
        serde_json::from_slice(body).map_err(|error| Refusal::Malformed(error.to_string()))?;
    if offer.len_bytes == 0 || offer.len_bytes > INSTANCE_LEN_MAX {
        return Err(Refusal::WrongLength);
    }
    let texts = [
        &offer.calling_ae,
        &offer.sop_class_uid,
        &offer.sop_instance_uid,
        &offer.transfer_syntax_uid,
    ];
    if texts.iter().any(|it| it.len() > TEXT_LEN_MAX || it.contains('\0')) {
        return Err(Refusal::Malformed("a text is too long or holds a NUL character".into()));
    }
    Ok(offer)
}

async fn is_filed(core: &Core, tenant: &str, offer: &InstanceOffer) -> Result<bool, StoreError> {
    let mut tx = core.db.tenant_read(tenant).await?;
    let sha256 = offer.sha256.to_string();
    Ok(instance::id_of_content(&mut tx, tenant, &sha256).await?.is_some())
}

pub(super) async fn part(
    State(endpoint): State<Endpoint>,
    Extension(shown): Extension<PeerCertificate>,
    Path((sha256, offset)): Path<(String, String)>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<InstanceProgress>, Refusal> {
    let core = &endpoint.core;
    let sender = identify(core, &shown).await?;
    let malformed = |what: &str| Refusal::Malformed(what.to_owned());
    let sha256: Sha256 = sha256.parse().map_err(|_| malformed("the path names no SHA-256"))?;
    let offset: u64 = offset.parse().map_err(|_| malformed("the path names no offset"))?;
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let part_sha256 = text(PART_SHA256_HEADER).and_then(|text| text.parse().ok());
    let part_sha256 = part_sha256.ok_or_else(|| {
        Refusal::Malformed(format!("give the part's SHA-256 in the header {PART_SHA256_HEADER}"))
    })?;
    let len = text(CONTENT_LENGTH.as_str()).and_then(|text| text.parse::<u64>().ok());
    if len.is_some_and(|len| len > PART_LEN_MAX as u64) {
        return Err(PartError::TooLong.into());
    }
    let tenant = sender.identity.tenant.as_str();
    // Before the turn is asked for: that would cut whoever writes it now.
    own_offer(core, &sender, &sha256).await?;
    let mut turn = core.uploads.lock(tenant, sha256).await;
    // It may have been filed while this one waited.
    let offer = own_offer(core, &sender, &sha256).await;
    if matches!(offer, Err(Refusal::NotOffered)) {
        core.uploads.forget(tenant, sha256);
    }
    let offer = offer?;
    let at = Receiving { core, sender: &sender, offer: &offer };
    let path = core.archive.incoming(tenant, &sha256).await?;
    core.archive.has_room(PART_LEN_MAX as u64)?;
    let upload = Upload { path: &path, sha256, len_bytes: offer.len_bytes };
    let taken = upload.write(&mut turn, (offset, part_sha256), body.into_data_stream()).await?;
    at.answer(taken, turn).await.map(Json)
}

/// What this gateway has offered. Another one of the practice may offer the same bytes, but not go
/// on with this one's upload.
async fn own_offer(core: &Core, sender: &Peer, sha256: &Sha256) -> Result<InstanceOffer, Refusal> {
    let Identity { tenant, gateway, .. } = &sender.identity;
    let mut tx = core.db.tenant_read(tenant.as_str()).await?;
    let row = uploads::get(&mut tx, tenant.as_str(), &sha256.to_string()).await?;
    row.filter(|row| row.gateway_id == gateway.as_str())
        .and_then(|row| serde_json::from_str(&row.offer).ok())
        .ok_or(Refusal::NotOffered)
}

fn progress(status: InstanceStatus, offset: u64) -> InstanceProgress {
    InstanceProgress { status, offset, detail: None }
}

/// One upload of one gateway, under its lock.
struct Receiving<'a> {
    core: &'a Core,
    sender: &'a Peer,
    offer: &'a InstanceOffer,
}

impl Receiving<'_> {
    /// Writes the offer down: a part that comes after a restart is understood by it.
    async fn note(&self) -> Result<(), Refusal> {
        let (tenant, now_us) = (self.sender.identity.tenant.as_str(), clock::now_us());
        let gateway = self.sender.identity.gateway.as_str();
        let sha256 = self.offer.sha256.to_string();
        let mut tx = self.core.db.tenant(tenant).await?;
        let known = uploads::get(&mut tx, tenant, &sha256).await?;
        let known_bytes = known.map(|known| known.received_bytes);
        if known_bytes.is_none() && uploads::count(&mut tx, tenant, gateway).await? >= UPLOADS_MAX {
            return Err(Refusal::TooMany);
        }
        let encounter_id = match &self.offer.lane_session {
            Some(session) => encounter::of_session(&mut tx, tenant, &session.to_string()).await?,
            None => None,
        };
        let row = UploadRow {
            sha256,
            gateway_id: gateway.to_owned(),
            offer: serde_json::to_string(self.offer).expect("plain data always serialises"),
            len_bytes: i64::try_from(self.offer.len_bytes).unwrap_or(i64::MAX),
            received_bytes: known_bytes.unwrap_or(0),
            sop_instance_uid: self.offer.sop_instance_uid.clone(),
            encounter_id,
            offered_at_us: now_us,
        };
        uploads::put(&mut tx, tenant, &row).await?;
        // The exam shows that something arrives.
        let event = row.encounter_id.filter(|_| known_bytes.is_none()).map(|encounter| NewEvent {
            encounter_id: Some(encounter.clone()),
            subject: Some(encounter),
            ..NewEvent::new(now_us, Kind::ExamChanged)
        });
        live::append(&mut tx, tenant, event.as_slice()).await?;
        tx.commit().await?;
        if event.is_some() {
            self.core.live.announce(tenant);
        }
        Ok(())
    }

    /// How far it has come; whole if nothing is missing.
    async fn go_on(&self, mut turn: Turn) -> Result<InstanceProgress, Refusal> {
        let (tenant, sha256) = (self.sender.identity.tenant.as_str(), self.offer.sha256);
        // It was moved into the archive, and the process ended before its row was committed.
        let there = self.core.archive.len_of(&Archive::key(tenant, &sha256)).await?;
        if there == Some(self.offer.len_bytes) {
            return self.file().await;
        }
        let path = self.core.archive.incoming(tenant, &sha256).await?;
        let upload = Upload { path: &path, sha256, len_bytes: self.offer.len_bytes };
        let arrived = upload.look(&mut turn).await?;
        if let Part::Upto(offset) = arrived {
            self.core.archive.has_room(self.offer.len_bytes - offset)?;
        }
        self.answer(arrived, turn).await
    }

    async fn answer(
        &self,
        arrived: upload::Arrived,
        turn: Turn,
    ) -> Result<InstanceProgress, Refusal> {
        let (tenant, sha256) = (self.sender.identity.tenant.as_str(), self.offer.sha256);
        match arrived {
            Part::Upto(offset) => {
                let mut tx = self.core.db.tenant(tenant).await?;
                let at = (i64::try_from(offset).unwrap_or(i64::MAX), clock::now_us());
                uploads::moved(&mut tx, tenant, &sha256.to_string(), at).await?;
                tx.commit().await?;
                Ok(progress(InstanceStatus::Incomplete, offset))
            }
            Part::NotTaken(offset, why) => {
                let detail = Some(why.to_owned());
                Ok(InstanceProgress { status: InstanceStatus::Incomplete, offset, detail })
            }
            Part::Damaged => {
                tracing::warn!(%tenant, %sha256, "an upload is not what was offered");
                let mut tx = self.core.db.tenant(tenant).await?;
                let at = (0, clock::now_us());
                uploads::moved(&mut tx, tenant, &sha256.to_string(), at).await?;
                tx.commit().await?;
                let detail = Some("the bytes are not those whose hash was offered".to_owned());
                Ok(InstanceProgress { status: InstanceStatus::Damaged, offset: 0, detail })
            }
            Part::Whole => {
                let _turn = self.core.archive.take_in_under(turn, tenant, sha256).await?;
                self.file().await
            }
        }
    }

    async fn file(&self) -> Result<InstanceProgress, Refusal> {
        let (identity, location) = (&self.sender.identity, self.sender.location());
        let offer = self.offer;
        let arrived = Arrived {
            tenant: identity.tenant.to_string(),
            source: Source::Dicom,
            sender: identity.gateway.to_string(),
            location: location.to_owned(),
            link: offer.link.to_string(),
            lane: offer.lane.to_string(),
            lane_session: offer.lane_session.map(|session| session.to_string()),
            clock: offer.clock,
            received_at_us: offer.received_at.as_microsecond(),
            calling_ae: offer.calling_ae.clone(),
            sha256: offer.sha256,
            len_bytes: offer.len_bytes,
            sop_class_uid: offer.sop_class_uid.clone(),
            sop_instance_uid: offer.sop_instance_uid.clone(),
            transfer_syntax_uid: offer.transfer_syntax_uid.clone(),
            contradicts_earlier: offer.contradicts_earlier,
        };
        intake::file(self.core, &arrived, clock::now_us()).await?;
        self.core.uploads.forget(&arrived.tenant, offer.sha256);
        Ok(progress(InstanceStatus::Filed, offer.len_bytes))
    }
}
