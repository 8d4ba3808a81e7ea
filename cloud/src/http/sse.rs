//! `GET /live`: server-sent events. An event says that something changed, by identifiers only; the
//! page then asks for what it may see.

use super::{Fault, Web, Who};
use crate::{
    app::{principal::Principal, sign_in},
    clock,
    live::Subscription,
    store::live::{self, LiveEvent},
};
use axum::{
    extract::{Query, State},
    http::{HeaderMap, StatusCode},
    response::sse::{Event, Sse},
};
use futures_util::stream::{self, Stream};
use serde::Deserialize;
use serde_json::json;
use std::{collections::VecDeque, convert::Infallible, time::Duration};
use tokio::sync::OwnedSemaphorePermit;

/// Open streams of one replica.
pub const STREAMS_MAX: usize = 2_000;
/// A comment at least so often, so that proxies and browsers see that the stream lives.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Events read at once.
const BATCH_MAX: i64 = 200;
/// A page that was away for longer than so many events is told to load itself anew.
const REPLAY_MAX: i64 = 1_000;

/// Which events a page wants; all that are given must fit.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Filter {
    location: Option<String>,
    lane: Option<String>,
    encounter: Option<String>,
    /// For clients that cannot set `Last-Event-ID`.
    after: Option<i64>,
}

struct Page {
    web: Web,
    who: Principal,
    token: String,
    filter: Filter,
    subscription: Subscription,
    last: i64,
    queue: VecDeque<Event>,
    _permit: OwnedSemaphorePermit,
}

pub async fn live(
    State(web): State<Web>,
    who: Who,
    headers: HeaderMap,
    Query(filter): Query<Filter>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Fault> {
    let permit = web.streams.clone().try_acquire_owned().map_err(|_| {
        Fault::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_streams", "Try again in a minute.")
    })?;
    // Before the database is asked, so that nothing falls between.
    let subscription = web.core.live.subscribe();
    let mut tx = web.core.db.tenant_read(&who.tenant).await?;
    let newest = live::last_event_id(&mut tx, &who.tenant).await?;
    let given = headers.get("last-event-id").and_then(|value| value.to_str().ok()?.parse().ok());
    let asked: Option<i64> = given.or(filter.after);
    let can_replay = match asked {
        Some(asked) if (newest - REPLAY_MAX..newest).contains(&asked) => {
            // Old events are forgotten.
            let next = live::after(&mut tx, &who.tenant, asked, 1).await?;
            next.first().is_some_and(|event| event.event_id == asked + 1)
        }
        Some(asked) => asked == newest,
        None => false,
    };
    drop(tx);
    let mut queue = VecDeque::new();
    let last = match asked {
        Some(asked) if can_replay => asked,
        Some(_) => {
            queue.push_back(reload(newest));
            newest
        }
        None => newest,
    };
    queue.push_back(Event::default().comment("open").retry(Duration::from_secs(2)));
    let token = who.token_sha256.clone();
    let state = Page { web, who: who.0, token, filter, subscription, last, queue, _permit: permit };
    Ok(Sse::new(stream::unfold(state, next)))
}

/// The stream's next event. The stream ends when the sign-in does or the database does not answer;
/// the browser then comes again with the last id it saw.
async fn next(mut state: Page) -> Option<(Result<Event, Infallible>, Page)> {
    loop {
        if let Some(event) = state.queue.pop_front() {
            return Some((Ok(event), state));
        }
        if let Err(error) = state.fill().await {
            tracing::warn!(error = %error, "a live stream ends: the database did not answer");
            return None;
        }
        if !state.queue.is_empty() {
            continue;
        }
        let changed = state.subscription.changed(&state.who.tenant);
        if tokio::time::timeout(KEEP_ALIVE, changed).await.is_err() {
            let is_valid =
                sign_in::is_valid(&state.web.core.db, &state.token, clock::now_us()).await;
            if !is_valid.unwrap_or(false) {
                return None;
            }
            state.queue.push_back(Event::default().comment("alive"));
        }
    }
}

impl Page {
    async fn fill(&mut self) -> Result<(), crate::store::StoreError> {
        let mut tx = self.web.core.db.tenant_read(&self.who.tenant).await?;
        let events = live::after(&mut tx, &self.who.tenant, self.last, BATCH_MAX).await?;
        drop(tx);
        for event in events {
            self.last = event.event_id;
            if self.wants(&event) {
                self.queue.push_back(to_sse(&event, self.who.role.is_optical()));
            }
        }
        Ok(())
    }

    fn wants(&self, event: &LiveEvent) -> bool {
        let is_of_fleet = matches!(event.kind.as_str(), "gateway_changed" | "refusal");
        let fits = |wanted: &Option<String>, is: &Option<String>| wanted.is_none() || wanted == is;
        let Filter { location, lane, encounter, .. } = &self.filter;
        // The fleet page counts readings, so it hears of them, but not whose they are.
        (self.who.role.is_optical() || is_of_fleet || event.kind == "reading_filed")
            && fits(location, &event.location_id)
            && fits(lane, &event.lane_id)
            && fits(encounter, &event.encounter_id)
    }
}

fn to_sse(event: &LiveEvent, knows_patients: bool) -> Event {
    let encounter = event.encounter_id.as_deref().filter(|_| knows_patients);
    let subject = event.subject.as_deref().filter(|_| knows_patients);
    let data = json!({
        "kind": event.kind,
        "at_us": event.at_us,
        "location": event.location_id,
        "lane": event.lane_id,
        "encounter": encounter,
        "gateway": event.gateway_id,
        "subject": subject,
    });
    Event::default().id(event.event_id.to_string()).event("change").data(data.to_string())
}

fn reload(newest: i64) -> Event {
    Event::default().id(newest.to_string()).event("reload").data("{}")
}
