//! The watch over all gateways: each look compares what they tell with the incidents that are open.
//! Every replica looks; a change that another one made first is left to it.

use super::{notices, notices::Item};
use crate::{
    Core,
    app::local_time,
    domain::{
        incident::{self, Count, Incident, Kind, Look, Step},
        opening::Opening,
    },
    store::{
        StoreError, Tx,
        fleet_watch::{self, GatewayRow, LinkWatch},
        incident::{self as store, IncidentRow},
        live::{self, NewEvent},
    },
};
use chiasm_proto::{
    ClockState,
    fleet::{LinkStatus, Telemetry},
};
use std::collections::{BTreeMap, HashMap};
use uuid::Uuid;

const SECOND_US: i64 = 1_000_000;
const DAY_US: i64 = 24 * 3600 * SECOND_US;
/// A gateway that is online speaks at least so often, whatever its interval: one that came to its end
/// while nobody listened left no will.
pub const SILENT_MAX_US: i64 = 65 * 60 * SECOND_US;
/// An instrument's clock may be so far from the gateway's (I6).
pub const CLOCK_OFFSET_MAX_US: i64 = 120 * SECOND_US;
/// What an instrument's clock showed says nothing after so long.
const CLOCK_KNOWN_US: i64 = 7 * DAY_US;
/// Certificates renew themselves after a third of their time: one that ends so soon did not.
pub const CERTIFICATE_LEFT_MIN_US: i64 = 30 * DAY_US;
/// So much of a gateway's disk has to be free.
pub const DISK_FREE_MIN_BYTES: u64 = 1_000_000_000;
/// Links that a text names.
const NAMED_MAX: usize = 5;

/// What is looked at in one round.
struct World {
    gateways: Vec<GatewayRow>,
    openings: HashMap<(String, String), Opening>,
    links: HashMap<(String, String), Vec<LinkWatch>>,
    at_location: HashMap<(String, String), Count>,
    everywhere: Count,
    open: HashMap<(String, String, String), IncidentRow>,
}

/// One kind of trouble of one gateway, as it is seen now.
struct Finding {
    kind: Kind,
    look: Look,
    detail: String,
}

/// One look at all gateways of all tenants.
pub async fn watch_once(core: &Core, now_us: i64) -> Result<(), StoreError> {
    let world = World::load(core, now_us).await?;
    let mut changes: BTreeMap<&str, Vec<(&GatewayRow, Finding, Step)>> = BTreeMap::new();
    for gateway in &world.gateways {
        for finding in world.findings(gateway, now_us) {
            let open = world.open_of(gateway, finding.kind).map(IncidentRow::incident);
            let step = incident::step(open, finding.look, now_us);
            if step != Step::Nothing {
                let of_tenant = changes.entry(&gateway.tenant_id).or_default();
                of_tenant.push((gateway, finding, step));
            }
        }
    }
    for (tenant, changes) in changes {
        let mut tx = core.db.tenant(tenant).await?;
        let (mut items, mut events) = (Vec::new(), Vec::new());
        for (gateway, finding, step) in changes {
            let open = world.open_of(gateway, finding.kind);
            let Some(id) = write(&mut tx, gateway, open, &finding, step, now_us).await? else {
                continue;
            };
            events.push(NewEvent {
                location_id: Some(gateway.location_id.clone()),
                gateway_id: Some(gateway.gateway_id.clone()),
                subject: Some(id.clone()),
                ..NewEvent::new(now_us, live::Kind::GatewayChanged)
            });
            items.extend(item(gateway, id, finding, step));
        }
        notices::queue(&mut tx, &core.config.notices, tenant, items, now_us).await?;
        live::append(&mut tx, tenant, &events).await?;
        tx.commit().await?;
        if !events.is_empty() {
            core.live.announce(tenant);
        }
    }
    Ok(())
}

/// Writes one step; gives the incident's id, and nothing where another replica was first.
async fn write(
    tx: &mut Tx,
    gateway: &GatewayRow,
    open: Option<&IncidentRow>,
    finding: &Finding,
    step: Step,
    now_us: i64,
) -> Result<Option<String>, StoreError> {
    let (next, closed_at_us) = match step {
        Step::Nothing => return Ok(None),
        Step::Changed(next) | Step::Raised(next) => (next, None),
        Step::Closed(next, _) => (next, Some(now_us)),
    };
    let Some(row) = open else {
        let id = Uuid::now_v7().to_string();
        let what = (gateway.gateway_id.as_str(), finding.kind.as_str());
        let key = (gateway.tenant_id.as_str(), id.as_str());
        return Ok(store::add(tx, key, what, &next, &finding.detail).await?.then_some(id));
    };
    // What it was stays when it is over.
    let is_bad = matches!(finding.look, Look::Bad { .. });
    let detail = if is_bad { &finding.detail } else { &row.detail };
    let saved = store::save(tx, row, &next, (detail, closed_at_us)).await?;
    Ok(saved.then(|| row.incident_id.clone()))
}

/// What people outside are told of a step.
fn item(gateway: &GatewayRow, id: String, finding: Finding, step: Step) -> Option<Item> {
    let (state, incident): (_, Incident) = match step {
        Step::Raised(incident) => ("raised", incident),
        Step::Closed(incident, true) => ("over", incident),
        _ => return None,
    };
    Some(Item {
        incident: id,
        state,
        kind: finding.kind,
        gateway: gateway.gateway_id.clone(),
        location: gateway.location_id.clone(),
        since_us: incident.opened_at_us,
        times: incident.times,
        text: if state == "raised" { finding.detail } else { String::new() },
    })
}

fn is_offline(row: &GatewayRow, now_us: i64) -> bool {
    row.status != "online" || now_us.saturating_sub(heard_us(row)) > SILENT_MAX_US
}

fn heard_us(row: &GatewayRow) -> i64 {
    row.status_at_us.max(row.telemetry_at_us).unwrap_or(0)
}

impl World {
    async fn load(core: &Core, now_us: i64) -> Result<Self, StoreError> {
        let mut tx = core.db.all_tenants_read().await?;
        let gateways = fleet_watch::gateways(&mut tx).await?;
        let openings = openings(&mut tx).await?;
        let mut links: HashMap<_, Vec<LinkWatch>> = HashMap::new();
        for link in fleet_watch::links(&mut tx).await? {
            let key = (link.tenant_id.clone(), link.gateway_id.clone());
            links.entry(key).or_default().push(link);
        }
        let open = store::open(&mut tx)
            .await?
            .into_iter()
            .map(|row| ((row.tenant_id.clone(), row.gateway_id.clone(), row.kind.clone()), row));
        let open = open.collect();
        let (mut at_location, mut everywhere) = (HashMap::<_, Count>::new(), Count::default());
        for row in &gateways {
            let key = (row.tenant_id.clone(), row.location_id.clone());
            let is_offline = is_offline(row, now_us);
            at_location.entry(key).or_default().add(is_offline);
            everywhere.add(is_offline);
        }
        Ok(Self { gateways, openings, links, at_location, everywhere, open })
    }

    fn open_of(&self, gateway: &GatewayRow, kind: Kind) -> Option<&IncidentRow> {
        let key = (gateway.tenant_id.clone(), gateway.gateway_id.clone(), kind.as_str().to_owned());
        self.open.get(&key)
    }

    /// Every kind of trouble, seen or not.
    fn findings(&self, row: &GatewayRow, now_us: i64) -> Vec<Finding> {
        let told = super::telemetry(row.telemetry.as_deref());
        let told = told.filter(|_| !is_offline(row, now_us));
        let at = (row.tenant_id.clone(), row.location_id.clone());
        let opening = self.openings.get(&at);
        let zone = local_time::zone(&row.time_zone);
        // Where nobody has said when it is open, instruments are expected to be there always, and
        // none of them is called quiet.
        let is_open = opening.is_none_or(|it| it.is_open(local_time::local(now_us, &zone)));
        let key = (row.tenant_id.clone(), row.gateway_id.clone());
        let watched = self.links.get(&key).map_or(&[][..], Vec::as_slice);
        let told = told.as_ref();
        vec![
            self.offline(row, now_us),
            certificate(row, now_us),
            disk(told, now_us),
            clock(told, now_us),
            links_down(told.filter(|_| is_open), now_us),
            clock_offset(told, watched, now_us),
            quiet(told.filter(|_| is_open), watched, now_us),
        ]
    }

    fn offline(&self, row: &GatewayRow, now_us: i64) -> Finding {
        let kind = Kind::Offline;
        if !is_offline(row, now_us) {
            return Finding { kind, look: Look::Good, detail: String::new() };
        }
        let at = (row.tenant_id.clone(), row.location_id.clone());
        let at_location = self.at_location.get(&at).copied().unwrap_or_default();
        let cause = incident::cause(row.status == "stopped", at_location, self.everywhere);
        let since_us = match row.status.as_str() {
            "online" => heard_us(row),
            _ => row.status_at_us.unwrap_or(now_us),
        };
        Finding { kind, look: Look::Bad { since_us }, detail: cause.text().to_owned() }
    }
}

/// Opening hours by practice and location, of those who have said any.
pub async fn openings(tx: &mut Tx) -> Result<HashMap<(String, String), Opening>, StoreError> {
    let mut openings: HashMap<_, Opening> = HashMap::new();
    for (tenant, location, weekday, opens, closes) in fleet_watch::hours(tx).await? {
        openings.entry((tenant, location)).or_default().week.insert(weekday, (opens, closes));
    }
    for (tenant, location, day, _) in fleet_watch::holidays(tx).await? {
        if let (Some(opening), Ok(day)) = (openings.get_mut(&(tenant, location)), day.parse()) {
            opening.holidays.insert(day);
        }
    }
    Ok(openings)
}

/// A finding from what is wrong in words; nothing is wrong with `""`, and what nobody tells is
/// unknown.
fn found(kind: Kind, wrong: Option<String>, now_us: i64) -> Finding {
    match wrong {
        None => Finding { kind, look: Look::Unknown, detail: String::new() },
        Some(detail) if detail.is_empty() => Finding { kind, look: Look::Good, detail },
        Some(detail) => Finding { kind, look: Look::Bad { since_us: now_us }, detail },
    }
}

fn certificate(row: &GatewayRow, now_us: i64) -> Finding {
    let wrong = row.certificate_expires_at_us.map(|at_us| {
        let left_us = at_us.saturating_sub(now_us);
        match left_us {
            ..=0 => "It has ended: the gateway has to enrol again.".to_owned(),
            _ if left_us < CERTIFICATE_LEFT_MIN_US => {
                let zone = local_time::zone(&row.time_zone);
                let day = local_time::date(at_us, &zone);
                format!("It ends on {day} and was not renewed: look at the gateway's log.")
            }
            _ => String::new(),
        }
    });
    found(Kind::CertificateEnds, wrong, now_us)
}

fn disk(told: Option<&Telemetry>, now_us: i64) -> Finding {
    let wrong = told.and_then(|told| told.disk_free_bytes).map(|free| {
        if free >= DISK_FREE_MIN_BYTES {
            return String::new();
        }
        "Less than 1 GB is free on its disk: it will stop to take images, then readings.".to_owned()
    });
    found(Kind::DiskLow, wrong, now_us)
}

fn clock(told: Option<&Telemetry>, now_us: i64) -> Finding {
    let wrong = told.map(|told| match told.clock {
        ClockState::Synced => String::new(),
        ClockState::Unsynced => {
            "It finds no time server: the times of its readings may be wrong.".to_owned()
        }
    });
    found(Kind::ClockUnsynced, wrong, now_us)
}

fn links_down(told: Option<&Telemetry>, now_us: i64) -> Finding {
    let wrong = told.map(|told| {
        let down = told.links.iter().filter(|link| link.status == LinkStatus::Down);
        named(down.map(|link| format!("{} ({})", link.link, link.lane)).collect())
    });
    found(Kind::LinkDown, wrong, now_us)
}

fn clock_offset(told: Option<&Telemetry>, watched: &[LinkWatch], now_us: i64) -> Finding {
    let wrong = told.map(|told| {
        let off = watched.iter().filter_map(|link| {
            let is_there = told.links.iter().any(|it| it.link.as_str() == link.link_id);
            let is_known = link.clock_at_us.is_some_and(|at_us| now_us - at_us < CLOCK_KNOWN_US);
            let offset_us = link.clock_offset_us.filter(|_| is_there && is_known)?;
            (offset_us.saturating_abs() > CLOCK_OFFSET_MAX_US)
                .then(|| format!("{} is {}", link.link_id, offset_text(offset_us)))
        });
        named(off.collect())
    });
    found(Kind::ClockOffset, wrong, now_us)
}

/// `47 min behind`.
pub fn offset_text(offset_us: i64) -> String {
    let minutes = offset_us.saturating_abs().saturating_add(30 * SECOND_US) / (60 * SECOND_US);
    let word = if offset_us < 0 { "behind" } else { "ahead" };
    match minutes {
        0..120 => format!("{minutes} min {word}"),
        120..2880 => format!("{} h {word}", minutes / 60),
        _ => format!("{} days {word}", minutes / (24 * 60)),
    }
}

fn quiet(told: Option<&Telemetry>, watched: &[LinkWatch], now_us: i64) -> Finding {
    let mut since_us = now_us;
    let wrong = told.map(|told| {
        let silent = watched.iter().filter_map(|link| {
            let is_there = told.links.iter().any(|it| it.link.as_str() == link.link_id);
            let quiet_us = link.quiet_since_us.filter(|_| is_there)?;
            since_us = since_us.min(quiet_us);
            Some(match link.usual {
                Some(usual) => format!("{}: none today, usually {usual} by now", link.link_id),
                None => format!("{}: none today", link.link_id),
            })
        });
        named(silent.collect())
    });
    let mut finding = found(Kind::Quiet, wrong, now_us);
    if let Look::Bad { since_us: at_us } = &mut finding.look {
        *at_us = since_us;
    }
    finding
}

fn named(mut names: Vec<String>) -> String {
    names.sort();
    let more = names.len().saturating_sub(NAMED_MAX);
    names.truncate(NAMED_MAX);
    let text = names.join("; ");
    if more > 0 { format!("{text}; and {more} more") } else { text }
}
