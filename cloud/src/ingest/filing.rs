//! One transaction of one tenant: documents, readings with their places, states, progress.

use super::{
    known::Known,
    parse::{ActFacts, Checked, Content, Document, Rejected},
    sessions, staff, worklists,
};
use crate::{
    Core,
    app::record,
    domain::placement,
    metrics::Filed,
    store::{
        StoreError, Tx,
        document::{self, NewDocument, NewReading, NewRejection, Print},
        fleet,
        lane_act::{self, NewAct},
        lane_open::{self, Lane},
        live::{self, Kind, NewEvent},
        parse_failure::{self, NewFailure},
        refusal,
        report::{self, Stale},
        stream::{self, Stream, StreamRow},
    },
};
use chiasm_proto::{
    Ack, ClockState, Epoch, GatewayId, LaneId, Staff, TenantId,
    config::Configuration,
    fleet::{Sessions, State, Status, Telemetry},
    worklist::Worklist,
};
use std::collections::{BTreeMap, HashMap, btree_map::Entry};

/// What gateways are told once the transaction is committed.
#[derive(Default)]
pub struct Answers {
    pub acks: Vec<(GatewayId, Ack)>,
    pub sessions: Vec<(GatewayId, Sessions)>,
    pub worklists: Vec<(GatewayId, Worklist)>,
    pub configurations: Vec<(GatewayId, Configuration)>,
    pub staff: Vec<(GatewayId, Staff)>,
    pub has_events: bool,
    /// Something that was done at a gateway's page is to be carried out.
    pub has_acts: bool,
    /// For monitoring.
    pub filed: Filed,
}

/// Everything that the transaction has looked up and is going to write.
pub(super) struct Filing<'b> {
    pub(super) tenant: &'b str,
    pub(super) now_us: i64,
    lanes: BTreeMap<&'b LaneId, Option<Lane>>,
    known: Known<'b>,
    documents: Vec<NewDocument<'b>>,
    pub(super) readings: Vec<NewReading>,
    acts: Vec<NewAct<'b>>,
    pub(super) has_acts: bool,
    /// Readings by content, of which one of the batch may be a second print.
    pub(super) prints: HashMap<String, Vec<Print>>,
    /// When each lane session had its last reading.
    pub(super) touched: BTreeMap<String, i64>,
    pub(super) events: Vec<NewEvent>,
    /// What the reports have to count again.
    pub(super) stale: Stale,
    /// Exam and instrument of readings that come after the exam was signed.
    pub(super) late: Vec<(String, String)>,
    births: Vec<(&'b GatewayId, Epoch)>,
    /// What gateways that told of their configuration are sent.
    pub(super) configurations: Vec<(GatewayId, Configuration)>,
    pub(super) filed: Filed,
    /// Unknown or revoked gateways and the number of their messages.
    refused: Vec<(&'b GatewayId, usize)>,
}

/// Files a batch, sorted by gateway and number, and commits.
pub async fn file(
    core: &Core,
    tenant: &TenantId,
    batch: &[(GatewayId, Content)],
    now_us: i64,
) -> Result<Answers, StoreError> {
    let mut tx = core.db.tenant(tenant.as_str()).await?;
    let known = Known::of(&mut tx, tenant.as_str(), batch, now_us).await?;
    let mut filing = Filing {
        tenant: tenant.as_str(),
        now_us,
        lanes: BTreeMap::new(),
        known,
        documents: Vec::new(),
        readings: Vec::new(),
        acts: Vec::new(),
        has_acts: false,
        prints: HashMap::new(),
        touched: BTreeMap::new(),
        events: Vec::new(),
        stale: Stale::default(),
        late: Vec::new(),
        births: Vec::new(),
        configurations: Vec::new(),
        filed: Filed::default(),
        refused: Vec::new(),
    };
    filing.look_up_lanes(&mut tx, batch).await?;
    filing.look_up_prints(&mut tx, batch).await?;
    for of_one in batch.chunk_by(|a, b| a.0 == b.0) {
        let gateway = &of_one[0].0;
        match filing.known.locations.get(gateway.as_str()).cloned() {
            Some(location) => filing.take(&mut tx, gateway, &location, of_one).await?,
            // Another broker may still let a revoked gateway in.
            None => filing.refused.push((gateway, of_one.len())),
        }
    }
    filing.write(tx).await
}

impl<'b> Filing<'b> {
    /// Each lane once, with its sessions around all captures of the batch.
    async fn look_up_lanes(
        &mut self,
        tx: &mut Tx,
        batch: &'b [(GatewayId, Content)],
    ) -> Result<(), StoreError> {
        let mut spans: BTreeMap<&LaneId, (i64, i64)> = BTreeMap::new();
        for (_, content) in batch {
            let Content::Document(document) = content else { continue };
            let Ok(Checked { lane: Some(lane), captured_at_us: at, .. }) = &document.checked else {
                continue;
            };
            let span = spans.entry(lane).or_insert((*at, *at));
            *span = (span.0.min(*at), span.1.max(*at));
        }
        for (lane, (first_us, last_us)) in spans {
            // A session may be stamped a little before it was opened, and long after by a gateway
            // whose clock is not set.
            let until = last_us.saturating_add(placement::CLOCK_BEHIND_MAX_US).max(self.now_us);
            let found =
                lane_open::lane_between(tx, self.tenant, lane.as_str(), (first_us, until)).await?;
            self.lanes.insert(lane, found);
        }
        Ok(())
    }

    async fn take(
        &mut self,
        tx: &mut Tx,
        gateway: &'b GatewayId,
        location: &str,
        contents: &'b [(GatewayId, Content)],
    ) -> Result<(), StoreError> {
        for (_, content) in contents {
            match content {
                Content::Document(document) => {
                    self.take_document(tx, gateway, location, document).await?;
                }
                Content::State(state) => self.take_state(tx, gateway, state).await?,
                Content::Reply(reply) => self.take_reply(tx, gateway, reply).await?,
                Content::Telemetry(telemetry) => {
                    self.take_telemetry(tx, gateway, telemetry).await?;
                    self.gateway_changed(gateway);
                }
            }
        }
        Ok(())
    }

    async fn take_document(
        &mut self,
        tx: &mut Tx,
        gateway: &'b GatewayId,
        location: &str,
        document: &'b Document,
    ) -> Result<(), StoreError> {
        let key = (self.tenant, gateway.as_str());
        let epoch = document.epoch;
        // Taken out while the document is looked at, and put back below.
        let mut stream = self.known.streams.remove(&(gateway, epoch)).unwrap_or_default();
        let seq = number(document.seq);
        let known = match stream.progress.contains(document.seq) || document.seq == 0 {
            true => self.known_sha256(tx, gateway, epoch, seq).await?,
            false => None,
        };
        let checked = match (&document.checked, known) {
            (_, Some(sha256)) if sha256 == document.sha256 => None,
            (_, Some(_)) => Some(Err(content_differs(gateway, document))),
            (Ok(checked), None) => {
                Some(self.lane_of(location, checked).map(|lane| (checked, lane)))
            }
            (Err(rejected), None) => Some(Err(rejected.clone())),
        };
        let is_counted =
            document.seq == 0 || stream.progress.add(document.seq, document.id).is_ok();
        match checked {
            _ if !is_counted => {
                tracing::warn!(tenant = key.0, gateway = key.1, "too many gaps, a number waits");
            }
            None => {}
            Some(Ok((checked, lane))) => self.add(tx, gateway, document, checked, lane).await?,
            Some(Err(rejected)) => {
                stream.rejected += i64::from(self.reject(tx, gateway, document, &rejected).await?);
            }
        }
        self.known.streams.insert((gateway, epoch), stream);
        Ok(())
    }

    /// The hash under a number, of this transaction or an earlier one.
    async fn known_sha256(
        &self,
        tx: &mut Tx,
        gateway: &GatewayId,
        epoch: Epoch,
        seq: i64,
    ) -> Result<Option<String>, StoreError> {
        let name = epoch.to_string();
        let here = self
            .documents
            .iter()
            .find(|new| new.gateway_id == gateway.as_str() && new.seq == seq && new.epoch == name);
        match here {
            Some(new) => Ok(Some(new.sha256.to_owned())),
            None => document::sha256(tx, (self.tenant, gateway.as_str()), epoch, seq).await,
        }
    }

    /// The document's lane, if it has one; it must be one of the gateway's location.
    fn lane_of(&self, location: &str, checked: &Checked) -> Result<Option<Lane>, Rejected> {
        let Some(name) = &checked.lane else { return Ok(None) };
        match self.lanes.get(name) {
            Some(Some(lane)) if lane.location_id == location => Ok(Some(lane.clone())),
            _ => {
                let detail = format!("the gateway's location {location} has no lane {name}");
                Err(Rejected::new("unknown_lane", detail))
            }
        }
    }

    async fn add(
        &mut self,
        tx: &mut Tx,
        gateway: &'b GatewayId,
        document: &'b Document,
        checked: &'b Checked,
        lane: Option<Lane>,
    ) -> Result<(), StoreError> {
        *self.filed.documents.entry(checked.kind).or_default() += 1;
        self.documents.push(NewDocument {
            gateway_id: gateway.as_str(),
            epoch: document.epoch.to_string(),
            seq: number(document.seq),
            document_id: &checked.document_id,
            kind: checked.kind,
            sha256: &document.sha256,
            captured_at_us: checked.captured_at_us,
            received_at_us: document.received_at_us,
            body: &document.body,
        });
        match (&checked.reading, lane) {
            (Some(facts), Some(lane)) => {
                self.add_reading(tx, gateway, document, (checked, facts), lane).await
            }
            (_, lane) => {
                if let Some(failure) = &checked.failure {
                    let failure = NewFailure {
                        document_id: &checked.document_id,
                        gateway_id: gateway.as_str(),
                        link_id: &failure.link,
                        driver: failure.driver.as_ref(),
                        code: &failure.code,
                        first_byte: failure.first_byte,
                        captured_at_us: checked.captured_at_us,
                    };
                    parse_failure::add(tx, self.tenant, failure).await?;
                }
                if let Some(step) = &checked.step {
                    self.take_step(tx, gateway, (checked, step)).await?;
                }
                if let (Some(act), Some(lane)) = (&checked.act, &lane) {
                    self.add_act(gateway, document, (checked, act), lane);
                }
                let event = NewEvent {
                    // The lane's page says that something could not be read.
                    location_id: lane.map(|lane| lane.location_id),
                    gateway_id: Some(gateway.to_string()),
                    lane_id: checked.lane.as_ref().map(ToString::to_string),
                    subject: Some(checked.document_id.clone()),
                    ..NewEvent::new(self.now_us, Kind::GatewayChanged)
                };
                self.events.push(event);
                Ok(())
            }
        }
    }

    fn add_act(
        &mut self,
        gateway: &'b GatewayId,
        document: &'b Document,
        (checked, act): (&'b Checked, &ActFacts),
        lane: &Lane,
    ) {
        self.has_acts = true;
        self.acts.push(NewAct {
            document_id: &checked.document_id,
            gateway_id: gateway.as_str(),
            epoch: document.epoch.to_string(),
            seq: number(document.seq),
            location_id: lane.location_id.clone(),
            lane_id: checked.lane.as_ref().map(LaneId::as_str).unwrap_or_default(),
            lane_session_id: act.lane_session.clone(),
            received_at_us: document.received_at_us,
        });
    }

    pub(super) async fn flush(&mut self, tx: &mut Tx) -> Result<(), StoreError> {
        document::insert(tx, self.tenant, &self.documents, &self.readings).await?;
        for act in &self.acts {
            lane_act::insert(tx, self.tenant, act).await?;
        }
        self.acts.clear();
        self.documents.clear();
        self.readings.clear();
        Ok(())
    }

    /// Keeps a document that cannot be filed; false if it was kept before.
    async fn reject(
        &mut self,
        tx: &mut Tx,
        gateway: &GatewayId,
        document: &Document,
        rejected: &Rejected,
    ) -> Result<bool, StoreError> {
        let rejection = NewRejection {
            gateway_id: gateway.as_str(),
            epoch: document.epoch.to_string(),
            seq: number(document.seq),
            sha256: &document.sha256,
            code: rejected.code,
            detail: &rejected.detail,
            received_at_us: document.received_at_us,
            body: &document.body,
        };
        let is_new = document::reject(tx, self.tenant, rejection).await?;
        if is_new {
            self.filed.rejected += 1;
            let (tenant, seq, code) = (self.tenant, document.seq, rejected.code);
            tracing::warn!(tenant, %gateway, seq, code, "a document is rejected");
            self.gateway_changed(gateway);
        }
        Ok(is_new)
    }

    async fn take_state(
        &mut self,
        tx: &mut Tx,
        gateway: &'b GatewayId,
        state: &State,
    ) -> Result<(), StoreError> {
        let status = match state.status {
            Status::Online => "online",
            Status::Stopped => "stopped",
            Status::Lost => "lost",
        };
        let key = (self.tenant, gateway.as_str());
        let session = state.session.to_string();
        let detail = state.detail.as_deref();
        if fleet::put_state(tx, key, status, &session, detail, self.now_us).await? {
            self.gateway_changed(gateway);
        }
        if let Some(telemetry) = &state.telemetry {
            self.take_telemetry(tx, gateway, telemetry).await?;
            if state.status == Status::Online {
                self.births.push((gateway, telemetry.spool.epoch));
            }
        }
        Ok(())
    }

    async fn take_telemetry(
        &mut self,
        tx: &mut Tx,
        gateway: &GatewayId,
        telemetry: &Telemetry,
    ) -> Result<(), StoreError> {
        let json = serde_json::to_string(telemetry).expect("plain data always serialises");
        // What a gateway says whose clock is ahead must not outlive what it says later.
        let at_us = match telemetry.clock {
            ClockState::Synced => telemetry.time.as_microsecond().min(self.now_us),
            ClockState::Unsynced => self.now_us,
        };
        fleet::put_telemetry(tx, (self.tenant, gateway.as_str()), &json, at_us).await
    }

    pub(super) fn gateway_changed(&mut self, gateway: &GatewayId) {
        self.events.push(NewEvent {
            gateway_id: Some(gateway.to_string()),
            ..NewEvent::new(self.now_us, Kind::GatewayChanged)
        });
    }

    /// Writes and commits; only then are there answers.
    async fn write(mut self, mut tx: Tx) -> Result<Answers, StoreError> {
        self.flush(&mut tx).await?;
        report::mark(&mut tx, self.tenant, &self.stale).await?;
        for (session, at_us) in &self.touched {
            lane_open::touch(&mut tx, self.tenant, session, *at_us).await?;
        }
        for (encounter, instrument) in &self.late {
            let what = (encounter.as_str(), instrument.as_str());
            record::arrived_late(&mut tx, self.tenant, what, self.now_us).await?;
        }
        let mut answers = Answers {
            configurations: std::mem::take(&mut self.configurations),
            has_events: !self.events.is_empty() || !self.refused.is_empty(),
            has_acts: self.has_acts,
            filed: std::mem::take(&mut self.filed),
            ..Answers::default()
        };
        let row = |((gateway, epoch), stream): (&(&'b GatewayId, Epoch), &Stream)| {
            StreamRow::new(gateway.as_str(), *epoch, stream)
        };
        let rows: Vec<StreamRow> = self.known.streams.iter().map(row).collect();
        stream::save_all(&mut tx, self.tenant, &rows).await?;
        for (gateway, epoch) in std::mem::take(&mut self.births) {
            let key = (self.tenant, gateway.as_str());
            if let Entry::Vacant(unseen) = self.known.streams.entry((gateway, epoch)) {
                unseen.insert(stream::get(&mut tx, key, epoch).await?);
            }
            let open = sessions::of_gateway(&mut tx, key.0, key.1).await?;
            answers.sessions.push((gateway.clone(), open));
            let worklist = worklists::of_gateway(&mut tx, key, self.now_us).await?;
            answers.worklists.extend(worklist.map(|it| (gateway.clone(), it)));
            let staff = staff::of_gateway(&mut tx, key, self.now_us).await?;
            answers.staff.extend(staff.map(|it| (gateway.clone(), it)));
        }
        // Without a number there is no epoch, and nothing to acknowledge.
        for ((gateway, epoch), stream) in self.known.streams.iter().filter(|s| !s.0.1.0.is_nil()) {
            let key = (self.tenant, gateway.as_str());
            let rejected = match stream.rejected {
                0 => Vec::new(),
                _ => stream::rejections(&mut tx, key, *epoch).await?,
            };
            answers.acks.push(((*gateway).clone(), stream.progress.ack(*epoch, rejected)));
        }
        self.write_refusals(&mut tx).await?;
        // Last: it locks the tenant's row until the commit.
        live::append(&mut tx, self.tenant, &self.events).await?;
        tx.commit().await?;
        Ok(answers)
    }
}

impl Filing<'_> {
    /// Nothing of an unknown or revoked gateway is filed or acknowledged; that it tried is written
    /// down.
    async fn write_refusals(&mut self, tx: &mut Tx) -> Result<(), StoreError> {
        if self.refused.is_empty() || !fleet::tenant_exists(tx, self.tenant).await? {
            return Ok(());
        }
        for (gateway, messages) in &self.refused {
            let (key, now_us) = ((self.tenant, gateway.as_str()), self.now_us);
            tracing::warn!(tenant = key.0, gateway = key.1, messages, "an unknown gateway sends");
            let times = i64::try_from(*messages).unwrap_or(i64::MAX);
            self.events.push(refusal::count(tx, key, "message", "", now_us, times).await?);
        }
        Ok(())
    }
}

/// The same number with other content: an alarm, and never an overwrite.
fn content_differs(gateway: &GatewayId, document: &Document) -> Rejected {
    tracing::error!(%gateway, seq = document.seq, "a number came again with other content");
    Rejected::new("content_differs", "other content is filed under this number")
}

pub(super) fn number(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}
