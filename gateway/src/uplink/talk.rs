//! One connection, from its birth to its end.

use super::{
    Uplink,
    delivery::{Action, Delivery},
    identity::Credentials,
    mqtt::{self, Connection, Incoming, Offer},
};
use crate::{binding::LocalLane, clock, listening::ports, spool::Again};
use chiasm_proto::{
    Ack, Down, Epoch, LaneId, Seq, Staff, Topic, Up, Worklist,
    ack::{ABOVE_MAX, FILED_BEFORE, MISSING_MAX},
    config::Reply,
    fleet::{HeardAct, Sessions, State, Status},
    lane_page::PEOPLE_MAX,
    listening::Ports,
    topic::Leaf,
    worklist::VISITS_MAX,
};
use std::{
    future::pending,
    sync::{PoisonError, atomic::Ordering},
    time::Duration,
};
use tokio::{
    task::JoinHandle,
    time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Longest wait for the broker to take the connection and the subscription.
const HANDSHAKE_WAIT_MAX: Duration = Duration::from_secs(30);
/// Pause when the connection takes nothing.
const FULL_PAUSE: Duration = Duration::from_millis(50);
/// A link that went up or down is told so long after, together with what else happened.
const CHANGE_DELAY: Duration = Duration::from_millis(500);
/// Longest wait for the good-bye to go out.
const GOODBYE_WAIT_MAX: Duration = Duration::from_secs(2);
/// A connection that lived so long, or carried an acknowledgement, was a good one: the next attempt
/// need not wait.
const GOOD_AFTER: Duration = Duration::from_secs(30);
/// Without the cloud's first word for so long the birth is published again: brokers may drop it,
/// and with it everything that the cloud would tell us.
const BIRTH_AGAIN_AFTER: Duration = Duration::from_secs(10);
/// Most refusals in one acknowledgement, and most open lane sessions, that are believed.
pub const REJECTED_MAX: usize = 4096;
pub const SESSIONS_MAX: usize = 1024;
/// Room that topic and header take in a packet.
const PACKET_OVERHEAD: usize = 512;

/// How a connection ended.
pub(super) enum Ending {
    Stopped,
    Lost { reason: String, was_good: bool },
}

fn lost(reason: impl Into<String>) -> Ending {
    Ending::Lost { reason: reason.into(), was_good: false }
}

impl Uplink {
    pub(super) async fn talk(&self, credentials: &Credentials, stop: &CancellationToken) -> Ending {
        let session = Uuid::now_v7();
        let identity = &credentials.identity;
        let state_topic = Topic::state(&identity.tenant, &identity.gateway);
        let will = State { session, status: Status::Lost, detail: None, telemetry: None };
        let mut connection = mqtt::connect(credentials, &state_topic, to_json(&will));
        let offer = tokio::select! {
            offer = timeout(HANDSHAKE_WAIT_MAX, handshake(&mut connection, credentials)) => {
                match offer {
                    Ok(Ok(offer)) => offer,
                    Ok(Err(reason)) => return lost(reason),
                    Err(_) => return lost("the broker took the connection but says nothing"),
                }
            }
            () = stop.cancelled() => return Ending::Stopped,
        };
        let epoch = self.spool.progress().borrow().epoch;
        let delivery = Delivery::new(clock::monotonic());
        let mut talk = Talk {
            uplink: self,
            credentials,
            connection,
            offer,
            session,
            epoch,
            delivery,
            state_topic,
            told_ports: None,
            looking: None,
        };
        let ending = talk.run(stop).await;
        self.reach.lost(clock::wall());
        ending
    }
}

/// Whether the broker takes a connection with these credentials; if not, why.
pub async fn try_out(credentials: &Credentials) -> Result<(), String> {
    let mut connection = mqtt::connect_for_trial(credentials);
    let tried = timeout(HANDSHAKE_WAIT_MAX, handshake(&mut connection, credentials)).await;
    tried.map_err(|_| "the broker took the connection but says nothing".to_owned())??;
    let _ = connection.disconnect();
    Ok(())
}

async fn handshake(
    connection: &mut Connection,
    credentials: &Credentials,
) -> Result<Offer, String> {
    let mut offer = None;
    loop {
        match connection.incoming.recv().await {
            Some(Incoming::Connected(offered)) => {
                offer = Some(offered);
                connection.subscribe(credentials).map_err(|error| error.to_string())?;
            }
            Some(Incoming::Subscribed { is_granted: true }) => {
                return offer.ok_or_else(|| "the broker broke the order of MQTT".into());
            }
            Some(Incoming::Subscribed { is_granted: false }) => {
                return Err("the broker refused our subscription; enrol the gateway again".into());
            }
            // What is retained comes again with the birth's answer.
            Some(Incoming::Message { .. }) => {}
            Some(Incoming::Failed(reason)) => return Err(reason),
            None => return Err("the connection ended".into()),
        }
    }
}

/// What was found, when it was; never while nobody looks.
async fn looked(looking: &mut Option<JoinHandle<Option<Ports>>>) -> Option<Ports> {
    let Some(task) = looking else { return std::future::pending().await };
    let found = task.await;
    *looking = None;
    found.ok().flatten()
}

struct Talk<'a> {
    uplink: &'a Uplink,
    credentials: &'a Credentials,
    connection: Connection,
    offer: Offer,
    session: Uuid,
    epoch: Epoch,
    delivery: Delivery,
    state_topic: Topic,
    /// What the cloud was told in this connection.
    told_ports: Option<Ports>,
    /// Looking for what is plugged in takes a tenth of a second: readings do not wait for it.
    looking: Option<JoinHandle<Option<Ports>>>,
}

impl Talk<'_> {
    async fn run(&mut self, stop: &CancellationToken) -> Ending {
        let begun = Instant::now();
        // Marked as seen before the birth is written, so that nothing falls between.
        let mut progress = self.uplink.spool.progress();
        let mut told = progress.borrow_and_update().last_seq;
        let mut changes = self.uplink.health.changes();
        let mut renewed = self.uplink.renewed.clone();
        renewed.mark_unchanged();
        let mut configuration = self.uplink.configuration.report.clone();
        configuration.mark_unchanged();
        let mut heard = self.uplink.listening.told();
        if let Err(reason) = self.birth().await {
            return lost(reason);
        }
        let uplink = self.uplink;
        let counts = &uplink.health.uplink;
        counts.connections.fetch_add(1, Ordering::Relaxed);
        counts.is_connected.store(true, Ordering::Relaxed);
        tracing::info!(broker = self.credentials.host, session = %self.session, "online");
        let period = self.uplink.telemetry_interval;
        let mut telemetry = interval_at(Instant::now() + period, period);
        telemetry.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut tell_changes_at: Option<Instant> = None;
        let mut tell_heard_at: Option<Instant> = None;
        let mut birth_again_at = Instant::now() + BIRTH_AGAIN_AFTER;
        let reason = loop {
            let wake = match self.send_what_is_due().await {
                Ok(wake) => wake,
                Err(reason) => break reason,
            };
            let step = tokio::select! {
                incoming = self.connection.incoming.recv() => self.receive(incoming).await,
                changed = progress.changed() => match changed {
                    Ok(()) => {
                        let now = progress.borrow_and_update().clone();
                        self.committed(&mut told, now.epoch, now.last_seq)
                    }
                    Err(_) => Err("the spool has stopped".into()),
                },
                _ = changes.changed() => {
                    tell_changes_at.get_or_insert(Instant::now() + CHANGE_DELAY);
                    Ok(())
                }
                () = at(tell_changes_at) => {
                    tell_changes_at = None;
                    self.tell().await
                }
                _ = telemetry.tick() => {
                    // Until the cloud has heard of it.
                    if configuration.borrow().is_on_trial {
                        self.tell_configuration();
                    }
                    self.look_for_ports();
                    self.tell().await
                }
                ports = looked(&mut self.looking) => {
                    self.tell_ports(ports);
                    Ok(())
                }
                Ok(()) = heard.changed() => {
                    tell_heard_at.get_or_insert(Instant::now() + CHANGE_DELAY);
                    Ok(())
                }
                () = at(tell_heard_at) => {
                    tell_heard_at = None;
                    let heard = heard.borrow_and_update().clone();
                    heard.into_iter().for_each(|heard| self.reply(&Reply::Heard(heard)));
                    Ok(())
                }
                Ok(()) = configuration.changed() => {
                    self.tell_configuration();
                    Ok(())
                }
                () = sleep_until(birth_again_at), if !self.delivery.has_first_ack() => {
                    birth_again_at = Instant::now() + BIRTH_AGAIN_AFTER;
                    self.birth().await
                }
                () = at(wake) => Ok(()),
                Ok(()) = renewed.changed() => Err("the certificate was renewed".into()),
                () = stop.cancelled() => {
                    self.say_goodbye().await;
                    return Ending::Stopped;
                }
            };
            if let Err(reason) = step {
                break reason;
            }
        };
        counts.is_connected.store(false, Ordering::Relaxed);
        let was_good = self.delivery.has_first_ack() || begun.elapsed() >= GOOD_AFTER;
        Ending::Lost { reason, was_good }
    }

    /// Sends until nothing is due; gives the moment when something will be.
    async fn send_what_is_due(&mut self) -> Result<Option<Instant>, String> {
        loop {
            match self.delivery.next(clock::monotonic()) {
                Action::Wait(wake) => return Ok(wake.map(Instant::from_std)),
                Action::Reconnect => return Err("nothing is acknowledged any more".into()),
                Action::LookUp { after, limit } => {
                    let found = self.uplink.spool.pending_after(after, limit).await;
                    self.delivery.backlog(&found.map_err(|error| error.to_string())?, limit);
                }
                Action::Send(seq) => {
                    if !self.send(seq).await? {
                        return Ok(Some(Instant::now() + FULL_PAUSE));
                    }
                }
            }
        }
    }

    /// Sends a document, if it is still pending. False if the connection takes nothing.
    async fn send(&mut self, seq: Seq) -> Result<bool, String> {
        let document = match self.uplink.spool.pending(seq).await {
            Ok(Some(document)) => document,
            Ok(None) => {
                self.delivery.gone(seq);
                return Ok(true);
            }
            Err(error) if error.is_damaged_document() => {
                self.quarantine(seq, error.to_string()).await?;
                return Ok(true);
            }
            Err(error) => return Err(error.to_string()),
        };
        let identity = &self.credentials.identity;
        let json = document.envelope(&identity.tenant, &identity.gateway, self.epoch);
        let len_max = self.offer.packet_len_max as usize;
        if json.len() + PACKET_OVERHEAD > len_max {
            let reason = format!("{} bytes; the broker takes {len_max}", json.len());
            self.quarantine(seq, reason).await?;
            return Ok(true);
        }
        let topic = Topic::up(&identity.tenant, &identity.gateway, document.up);
        if self.connection.publish(&topic, false, json).is_err() {
            return Ok(false);
        }
        self.uplink.health.uplink.sent.fetch_add(1, Ordering::Relaxed);
        self.delivery.sent(seq, clock::monotonic());
        Ok(true)
    }

    /// A document that can never be sent must not stop the others.
    async fn quarantine(&mut self, seq: Seq, reason: String) -> Result<(), String> {
        tracing::error!(seq, reason, "a document cannot be sent and goes to quarantine");
        let moved = self.uplink.spool.quarantine(seq, reason).await;
        self.delivery.gone(seq);
        moved.map_err(|error| error.to_string())
    }

    fn committed(&mut self, told: &mut u64, epoch: Epoch, last_seq: u64) -> Result<(), String> {
        if epoch != self.epoch {
            return Err("the spool has begun a new epoch".into());
        }
        if last_seq > *told {
            self.delivery.committed(*told + 1, last_seq);
            *told = last_seq;
        }
        Ok(())
    }

    async fn receive(&mut self, incoming: Option<Incoming>) -> Result<(), String> {
        match incoming {
            Some(Incoming::Message { topic, payload }) => self.message(&topic, &payload).await,
            Some(Incoming::Failed(reason)) => Err(reason),
            Some(Incoming::Connected(_) | Incoming::Subscribed { .. }) => Ok(()),
            None => Err("the connection ended".into()),
        }
    }

    async fn message(&mut self, topic: &str, payload: &[u8]) -> Result<(), String> {
        let identity = &self.credentials.identity;
        let is_ours =
            |topic: &Topic| topic.tenant == identity.tenant && topic.gateway == identity.gateway;
        let leaf = topic.parse::<Topic>().ok().filter(is_ours).map(|topic| topic.leaf);
        let malformed = |error: serde_json::Error| {
            tracing::warn!(topic, %error, "a message of the cloud is malformed and ignored");
        };
        match leaf {
            Some(Leaf::Down(Down::Ack)) => match serde_json::from_slice(payload) {
                Ok(ack) => return self.acknowledged(ack).await,
                Err(error) => malformed(error),
            },
            Some(Leaf::Down(Down::Session)) => match serde_json::from_slice(payload) {
                Ok(sessions) => return self.sessions(sessions).await,
                Err(error) => malformed(error),
            },
            Some(Leaf::Down(Down::Worklist)) => match serde_json::from_slice(payload) {
                Ok(worklist) => self.worklist(worklist),
                Err(error) => malformed(error),
            },
            Some(Leaf::Down(Down::Config)) => match serde_json::from_slice(payload) {
                Ok(configuration) => self.uplink.configuration.offer(configuration),
                Err(error) => malformed(error),
            },
            Some(Leaf::Down(Down::Command)) => match serde_json::from_slice(payload) {
                Ok(command) => {
                    self.uplink.listening.begin(command, &self.uplink.health.links());
                }
                Err(error) => malformed(error),
            },
            Some(Leaf::Down(Down::Staff)) => match serde_json::from_slice(payload) {
                Ok(staff) => self.staff(staff),
                Err(error) => malformed(error),
            },
            _ => tracing::debug!(topic, "a message of another kind is ignored"),
        }
        Ok(())
    }

    async fn acknowledged(&mut self, ack: Ack) -> Result<(), String> {
        if ack.epoch != self.epoch {
            tracing::info!(epoch = %ack.epoch, "an acknowledgement of another epoch is ignored");
            return Ok(());
        }
        if ack.missing.len() > MISSING_MAX
            || ack.above.len() > ABOVE_MAX
            || ack.rejected.len() > REJECTED_MAX
        {
            tracing::error!("an acknowledgement is longer than any of ours and ignored");
            return Ok(());
        }
        let spool = &self.uplink.spool;
        let last_seq = spool.progress().borrow().last_seq;
        let highest = ack.above.iter().map(|(_, last)| *last).fold(ack.upto, Seq::max);
        if highest > last_seq {
            let reason = format!(
                "the spool ends at number {last_seq} but the cloud has {}: the spool was restored \
                 from a backup",
                highest
            );
            let begun = spool.begin_epoch(reason.clone(), Again::Pending).await;
            begun.map_err(|error| error.to_string())?;
            return Err(reason);
        }
        if spool.contradicts(&ack).await.map_err(|error| error.to_string())? {
            if !self.uplink.has_numbered_anew.swap(true, Ordering::Relaxed) {
                return self.number_anew().await;
            }
            tracing::error!("the cloud still has other documents under the numbers of this spool");
        }
        for rejection in ack.rejected.iter().filter(|it| it.code != FILED_BEFORE) {
            tracing::error!(
                seq = rejection.seq,
                code = rejection.code,
                detail = rejection.detail,
                "the cloud refused a document; it is in quarantine"
            );
        }
        let is_first = !self.delivery.has_first_ack();
        let taken = spool.acknowledge(ack.clone(), is_first).await;
        taken.map_err(|error| error.to_string())?;
        self.uplink.health.uplink.acks.fetch_add(1, Ordering::Relaxed);
        self.delivery.acknowledged(&ack, clock::monotonic());
        self.uplink.reach.reached(clock::wall());
        tracing::debug!(upto = ack.upto, missing = ?ack.missing, "the cloud has filed");
        Ok(())
    }

    /// The cloud has other documents under our numbers: the disk was put back to an earlier state
    /// and the numbers were given out twice. Everything that is kept here is sent again under new
    /// ones; the cloud knows by their identifiers what it has.
    async fn number_anew(&mut self) -> Result<(), String> {
        let reason = "the cloud has other documents under the numbers of this spool: the spool was \
                      restored from a backup, or its disk forgot what it had written";
        tracing::error!(reason, "everything that is kept is sent again");
        let begun = self.uplink.spool.begin_epoch(reason.into(), Again::Everything).await;
        begun.map_err(|error| error.to_string())?;
        Err(reason.into())
    }

    async fn sessions(&mut self, sessions: Sessions) -> Result<(), String> {
        let open = sessions.sessions.len();
        if open > SESSIONS_MAX {
            tracing::error!(open, "more lane sessions than a location has lanes; ignored");
            return Ok(());
        }
        let Sessions { sessions, mut heard } = sessions;
        tracing::debug!(open, "the cloud told the open lane sessions");
        heard.extend(self.refused_acts().await?);
        {
            let mut lanes = self.uplink.lanes.lock().unwrap_or_else(PoisonError::into_inner);
            lanes.replace(sessions.clone());
            lanes.heard(&heard);
        }
        let stored = self.uplink.spool.store_sessions(sessions, heard).await;
        stored.map_err(|error| error.to_string())
    }

    /// What was done at the gateway's page about lanes and is in quarantine: the cloud will never
    /// carry it out.
    async fn refused_acts(&self) -> Result<Vec<HeardAct>, String> {
        let acts: Vec<HeardAct> = {
            let lanes = self.uplink.lanes.lock().unwrap_or_else(PoisonError::into_inner);
            let act = |(lane, local): (&LaneId, &LocalLane)| HeardAct {
                lane: lane.clone(),
                act: local.act,
            };
            lanes.local().map(act).collect()
        };
        let mut refused = Vec::new();
        for act in acts {
            let is_rejected = self.uplink.spool.is_rejected(act.act).await;
            if is_rejected.map_err(|error| error.to_string())? {
                refused.push(act);
            }
        }
        Ok(refused)
    }

    fn staff(&self, staff: Staff) {
        if staff.people.len() > PEOPLE_MAX {
            tracing::error!(people = staff.people.len(), "the staff is too many and ignored");
            return;
        }
        tracing::debug!(people = staff.people.len(), "the cloud told who may use the lane page");
        if let Err(error) = self.uplink.staff.store(staff) {
            tracing::error!(%error, "the staff cannot be written; a restart would lose it");
        }
    }

    fn worklist(&self, worklist: Worklist) {
        if worklist.visits.len() > VISITS_MAX {
            tracing::error!(visits = worklist.visits.len(), "a worklist is too long and ignored");
            return;
        }
        tracing::debug!(visits = worklist.visits.len(), "the cloud told the worklist");
        if let Err(error) = self.uplink.worklist.store(worklist) {
            tracing::error!(%error, "the worklist cannot be written; a restart would lose it");
        }
    }

    async fn birth(&mut self) -> Result<(), String> {
        self.publish_state(Status::Online).await?;
        self.tell_configuration();
        self.look_for_ports();
        Ok(())
    }

    async fn publish_state(&mut self, status: Status) -> Result<(), String> {
        let telemetry = self.telemetry().await?;
        let state =
            State { session: self.session, status, detail: None, telemetry: Some(telemetry) };
        let is_retained = self.offer.is_retain_available;
        self.connection
            .publish(&self.state_topic, is_retained, to_json(&state))
            .map_err(|error| error.to_string())
    }

    async fn telemetry(&self) -> Result<chiasm_proto::fleet::Telemetry, String> {
        let expires_at = Some(self.credentials.expires_at);
        let told = self.uplink.health.telemetry(&self.uplink.spool, expires_at).await;
        told.map_err(|error| error.to_string())
    }

    async fn tell(&mut self) -> Result<(), String> {
        let telemetry = self.telemetry().await?;
        let identity = &self.credentials.identity;
        let topic = Topic::up(&identity.tenant, &identity.gateway, Up::Telemetry);
        // If nothing goes out at the moment, the next interval tells.
        if self.connection.publish(&topic, false, to_json(&telemetry)).is_err() {
            tracing::debug!("telemetry is left out: the connection takes nothing");
        }
        Ok(())
    }

    fn tell_configuration(&mut self) {
        let report = self.uplink.configuration.report.borrow().clone();
        self.reply(&Reply::Configuration(report));
    }

    fn look_for_ports(&mut self) {
        let links = self.uplink.health.links();
        self.looking
            .get_or_insert_with(|| tokio::task::spawn_blocking(move || ports::look(&links).ok()));
    }

    /// What is plugged in, if the cloud was not told that before.
    fn tell_ports(&mut self, ports: Option<Ports>) {
        let Some(ports) = ports else { return };
        if self.told_ports.as_ref() != Some(&ports) {
            self.told_ports = Some(ports.clone());
            self.reply(&Reply::Ports(ports));
        }
    }

    /// If nothing goes out at the moment, the next connection tells.
    fn reply(&mut self, reply: &Reply) {
        let identity = &self.credentials.identity;
        let topic = Topic::up(&identity.tenant, &identity.gateway, Up::Reply);
        if self.connection.publish(&topic, false, to_json(reply)).is_err() {
            tracing::warn!("a reply is not told: the connection takes nothing");
        }
    }

    async fn say_goodbye(&mut self) {
        let told = self.publish_state(Status::Stopped).await.is_ok();
        if told && self.connection.disconnect().is_ok() {
            let ended = async {
                while let Some(incoming) = self.connection.incoming.recv().await {
                    if matches!(incoming, Incoming::Failed(_)) {
                        return;
                    }
                }
            };
            let _ = timeout(GOODBYE_WAIT_MAX, ended).await;
        }
    }
}

async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => pending().await,
    }
}

fn to_json<T: serde::Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("plain data always serialises")
}
