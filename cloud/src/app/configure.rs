//! What a gateway reads, changed by a person: a new version, which the gateway is sent, tries, and
//! keeps or gives up (I2, I7). Going back is a new version with the content of an older one.

use super::{AppError, REASON_LEN_MAX, work::Work};
use crate::{
    domain::configuration::{self, Change, Difference},
    store::{
        StoreError, Tx,
        audit::About,
        fleet,
        gateway_config::{self, VersionRow},
        site,
    },
};
use chiasm_proto::{
    LaneId, Sha256,
    config::{DOCUMENT_LEN_MAX, Document},
};
use std::collections::BTreeSet;

/// Longest name of a lane, in characters.
const LANE_NAME_LEN_MAX: usize = 100;

/// What a person changes, and what it is to become.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Draft {
    /// The newest version when the person began.
    pub base: i64,
    pub document: Document,
    /// Lanes that the location gets with it.
    pub lanes: Vec<(LaneId, String)>,
}

/// The versions of a gateway and the one that changes begin with.
pub struct Standing {
    pub rows: Vec<VersionRow>,
    /// The newest number; 0 before the first.
    pub newest: i64,
    pub document: Document,
}

/// Where a gateway stands. What was refused or given up is nothing to go on from.
pub async fn standing(tx: &mut Tx, key: (&str, &str)) -> Result<Standing, StoreError> {
    let rows = gateway_config::versions(tx, key).await?;
    let newest = rows.first().map_or(0, |row| row.version);
    let is_good = |row: &&VersionRow| !matches!(row.state.as_str(), "refused" | "reverted");
    let document = match rows.iter().find(is_good) {
        Some(row) => document_of(row)?,
        None => Document::default(),
    };
    Ok(Standing { rows, newest, document })
}

pub fn document_of(row: &VersionRow) -> Result<Document, StoreError> {
    Document::from_json(&row.document).map_err(|_| StoreError::Corrupt {
        table: "gateway_config",
        what: "configuration",
        value: row.version.to_string(),
    })
}

/// What is wrong with a draft, for people; empty if nothing is.
pub async fn faults(
    tx: &mut Tx,
    (tenant, location): (&str, &str),
    draft: &Draft,
) -> Result<Vec<String>, StoreError> {
    let all = site::lanes(tx, tenant).await?;
    let mut faults = Vec::new();
    let mut lanes: BTreeSet<String> = BTreeSet::new();
    for lane in &all {
        if lane.location_id == location {
            lanes.insert(lane.lane_id.clone());
        } else if draft.lanes.iter().any(|(id, _)| id.as_str() == lane.lane_id) {
            faults.push(format!("Lane {} belongs to {}.", lane.lane_id, lane.location_name));
        }
    }
    lanes.extend(draft.lanes.iter().map(|(id, _)| id.to_string()));
    faults.extend(configuration::faults(&draft.document, &lanes));
    if draft.document.to_json().len() > DOCUMENT_LEN_MAX {
        faults.push(format!("All together it is longer than {DOCUMENT_LEN_MAX} bytes."));
    }
    Ok(faults)
}

/// Makes a draft the gateway's newest version and sends it. Gives its number.
pub async fn apply(
    work: &mut Work,
    gateway: &str,
    draft: &Draft,
    why: &str,
) -> Result<i64, AppError> {
    let tenant = work.who.tenant.clone();
    let locations = fleet::gateway_locations(&mut work.tx, &tenant, &[gateway]).await?;
    let location = locations.get(gateway).ok_or(AppError::NotFound("gateway"))?;
    let key = (tenant.as_str(), gateway);
    let before = standing(&mut work.tx, key).await?;
    if before.newest != draft.base {
        let message = "somebody else changed this gateway meanwhile: look at it again";
        return Err(AppError::Refused(message.into()));
    }
    let faults = faults(&mut work.tx, (&tenant, location), draft).await?;
    if !faults.is_empty() {
        return Err(AppError::Refused(faults.join(" ")));
    }
    let differences = configuration::difference(&before.document, &draft.document);
    if differences.is_empty() && draft.lanes.is_empty() && !before.rows.is_empty() {
        return Err(AppError::Refused("nothing is different".into()));
    }
    for (lane, name) in &draft.lanes {
        let name: String = name.chars().take(LANE_NAME_LEN_MAX).collect();
        fleet::put_lane(&mut work.tx, &tenant, lane.as_str(), location, &name).await?;
    }
    let document = draft.document.to_json();
    let version = before.newest + 1;
    let row = VersionRow {
        version,
        sha256: Sha256::of(document.as_bytes()).to_string(),
        document,
        made_at_us: work.now_us,
        made_by: work.who.account.clone(),
        why: why.trim().chars().take(REASON_LEN_MAX).collect(),
        state: "waiting".into(),
        state_detail: String::new(),
        state_at_us: work.now_us,
        is_in_use: false,
    };
    if !gateway_config::insert(&mut work.tx, key, &row).await? {
        return Err(AppError::Conflict);
    }
    work.tell_configuration(location, gateway);
    let summary = format!("version {version}: {}", in_words(&differences));
    let about = About::default().values(("", &summary));
    work.audit_about(("gateway_configured", gateway), about).await?;
    Ok(version)
}

/// Makes an older version the newest one again.
pub async fn restore(work: &mut Work, gateway: &str, version: i64) -> Result<i64, AppError> {
    let tenant = work.who.tenant.clone();
    let key = (tenant.as_str(), gateway);
    let found = gateway_config::version(&mut work.tx, key, version).await?;
    let row = found.ok_or(AppError::NotFound("version"))?;
    let base = standing(&mut work.tx, key).await?.newest;
    let draft = Draft { base, document: document_of(&row)?, lanes: Vec::new() };
    apply(work, gateway, &draft, &format!("Back to version {version}")).await
}

/// `2 added, 1 changed`
pub fn in_words(differences: &[Difference]) -> String {
    let count = |change| differences.iter().filter(|it| it.change == change).count();
    let parts: Vec<String> = [Change::Added, Change::Changed, Change::Removed]
        .into_iter()
        .filter(|change| count(*change) > 0)
        .map(|change| format!("{} {}", count(change), change.in_words()))
        .collect();
    if parts.is_empty() { "nothing is different".into() } else { parts.join(", ") }
}
