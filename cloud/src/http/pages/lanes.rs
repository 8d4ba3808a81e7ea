//! Choosing a lane.

use super::{
    Fault, Web, Who,
    frame::{Frame, page},
};
use crate::{
    clock,
    store::{site, waiting},
};
use askama::Template;
use axum::{extract::State, response::Response};

#[derive(Template)]
#[template(path = "lanes.html")]
struct LanesPage {
    frame: Frame,
    locations: Vec<LocationTile>,
}

struct LocationTile {
    id: String,
    name: String,
    in_inbox: i64,
    lanes: Vec<LaneTile>,
}

struct LaneTile {
    id: String,
    name: String,
    is_busy: bool,
    waiting: usize,
}

pub async fn show(State(web): State<Web>, who: Who) -> Result<Response, Fault> {
    let mut tx = web.core.db.tenant_read(&who.tenant).await?;
    let locations = site::locations(&mut tx, &who.tenant).await?;
    let lanes = site::lanes(&mut tx, &who.tenant).await?;
    let in_inbox = waiting::counts(&mut tx, &who.tenant, clock::now_us()).await?;
    let in_inbox: Vec<_> = in_inbox.into_iter().map(|it| (it.location_id, it.waiting)).collect();
    let in_trays = waiting::in_trays(&mut tx, &who.tenant).await?;
    drop(tx);
    let tile = |location: site::Location| {
        let of_location = lanes.iter().filter(|lane| lane.location_id == location.location_id);
        let lanes = of_location
            .map(|lane| LaneTile {
                id: lane.lane_id.clone(),
                name: lane.lane_name.clone(),
                is_busy: lane.lane_session_id.is_some(),
                waiting: count(&in_trays, &lane.lane_id) as usize,
            })
            .collect();
        LocationTile {
            in_inbox: count(&in_inbox, &location.location_id),
            id: location.location_id,
            name: location.name,
            lanes,
        }
    };
    let locations = locations.into_iter().map(tile).collect();
    page(LanesPage { frame: Frame::new("Lanes", Some(&who), "any=1"), locations })
}

fn count(counts: &[(String, i64)], id: &str) -> i64 {
    counts.iter().find(|(of, _)| of == id).map_or(0, |(_, count)| *count)
}
