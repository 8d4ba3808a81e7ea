//! Several people and several lanes at the same time.

mod site;

use axum::http::Method;
use chiasm_cloud::{app::session, store::shared_lane};
use futures_util::future::join_all;
use serde_json::{Value, json};
use site::{
    Site,
    world::{Put, TENANT, readings},
};

on_both!(
    t9_a_shared_instrument_asks_on_every_print,
    two_people_decide_about_one_reading,
    two_people_open_one_lane,
    two_people_assign_one_waiting_reading,
);

const LARS: &str = "A-10977";
const SIOBHAN: &str = "A-11203";

fn tray(lane: &str) -> Put<'_> {
    let reason = "no lane session was open";
    Put { lane, place: "tray", reason, encounter: None, ago_s: 5, sent_count: 1 }
}

impl Site {
    async fn form(&self, token: &str, path: &str, form: &str) -> u16 {
        let kind = "application/x-www-form-urlencoded";
        let headers = [("authorization", token), ("content-type", kind)];
        self.send(Method::POST, path, &headers, form).await.0
    }
    async fn page(&self, token: &str, path: &str) -> String {
        let (status, _, page) = self.send(Method::GET, path, &[("authorization", token)], "").await;
        assert_eq!(status, 200, "{path}: {page}");
        page
    }
    /// Statuses of the same requests, all under way at once.
    async fn at_once(&self, token: &str, requests: &[(String, Value)]) -> Vec<u16> {
        let send = async |(path, body): &(String, Value)| {
            self.api(token, Method::POST, path, body.clone()).await.0
        };
        let mut statuses = join_all(requests.iter().map(send)).await;
        statuses.sort_unstable();
        statuses
    }
    /// How many versions a reading had before the one of now.
    async fn versions(&self, reading: &str) -> i64 {
        let sql = "SELECT COUNT(*) FROM reading_version WHERE tenant_id = $1 AND reading_id = $2";
        let mut tx = self.world.core.db.tenant_read(TENANT).await.unwrap();
        let (count,): (i64,) =
            tx.fetch_one(sql, chiasm_cloud::args![TENANT, reading]).await.unwrap();
        count
    }
}

async fn t9_a_shared_instrument_asks_on_every_print(mut site: Site) {
    let ana = site.token("ana").await;
    // Lane 3 is the lensmeter on the corridor: lanes 1 and 2 share it.
    let sharers = ["lane-1".to_owned(), "lane-2".to_owned()];
    let mut tx = site.world.core.db.tenant(TENANT).await.unwrap();
    shared_lane::put(&mut tx, TENANT, "lane-3", &sharers).await.unwrap();
    tx.commit().await.unwrap();
    let open = json!({"encounter_id": site.visits[LARS]});
    let path = "/api/v1/lanes/lane-3/session";
    let (status, fault) = site.api(&ana, Method::POST, path, open).await;
    assert_eq!(status, 422, "nobody sits at a shared instrument: {fault}");
    let mut work = site.world.work().await;
    session::open(&mut work, "lane-2", &site.visits[SIOBHAN]).await.unwrap();
    work.commit().await.unwrap();

    let reading = site.world.file(TENANT, readings::lensmeter(), tray("lane-3")).await;
    let own = site.page(&ana, "/lanes/lane-3").await;
    assert!(own.contains("Whose is it?"), "{own}");
    for lane in ["Lane 1", "Lane 2"] {
        assert!(own.contains(&format!("in {lane}</button>")), "{lane} is offered");
    }
    for lane in ["lane-1", "lane-2"] {
        let page = site.page(&ana, &format!("/lanes/{lane}")).await;
        assert!(page.contains(&format!("waiting-{reading}")), "{lane} asks too");
        assert!(page.contains("shared, Lane 3"));
    }
    let form = format!("encounter={}&version=1", site.visits[SIOBHAN]);
    let foreign = format!("/lanes/lane-1/tray/{reading}/assign");
    let (before, path) = (site.exam(&ana, &site.visits[SIOBHAN]).await.len(), "/lanes/lane-2/tray");
    assert_eq!(site.form(&ana, &format!("{path}/{reading}/assign"), &form).await, 303);
    assert_eq!(site.exam(&ana, &site.visits[SIOBHAN]).await.len(), before + 1);
    assert_eq!(site.form(&ana, &foreign, &form).await, 409, "somebody was first");
    // The next print asks again, although both lanes have a patient.
    let next = site.world.file(TENANT, readings::lensmeter(), tray("lane-3")).await;
    assert!(site.page(&ana, "/lanes/lane-2").await.contains(&format!("waiting-{next}")));
    // What is in lane 1's own tray is none of lane 2's business.
    let own = site.world.file(TENANT, readings::tonometer(), tray("lane-1")).await;
    let form = format!("encounter={}&version=1", site.visits[SIOBHAN]);
    let path = format!("/lanes/lane-2/tray/{own}/assign");
    assert_eq!(site.form(&ana, &path, &form).await, 404);
}

async fn two_people_decide_about_one_reading(site: Site) {
    let (ana, lars) = (site.token("ana").await, &site.visits[LARS]);
    let all = site.exam(&ana, lars).await;
    let pending: Vec<_> = all.iter().filter(|it| it["acceptance"] == "pending").collect();
    let id = pending[0]["reading_id"].as_str().unwrap();
    let before = site.versions(id).await;
    let seen = pending[0]["version"].as_i64().unwrap();
    let path = |what: &str| format!("/api/v1/encounters/{lars}/readings/{id}/{what}");
    let statuses = site
        .at_once(
            &ana,
            &[
                (path("accept"), json!({"version": seen})),
                (path("reject"), json!({"version": seen, "reason": "blink"})),
                (
                    path("move"),
                    json!({"version": seen, "reason": "wrong patient active",
                        "encounter_id": site.visits[SIOBHAN]}),
                ),
            ],
        )
        .await;
    assert_eq!(statuses.iter().filter(|it| **it == 204).count(), 1, "one wins: {statuses:?}");
    // The others are told: changed meanwhile, or gone from this exam.
    assert!(statuses[1..].iter().all(|it| [404, 409, 422].contains(it)), "{statuses:?}");
    assert_eq!(site.versions(id).await, before + 1, "one change, one version");
    let (ours, theirs) =
        (site.exam(&ana, lars).await, site.exam(&ana, &site.visits[SIOBHAN]).await);
    let places = ours.iter().chain(&theirs).filter(|it| it["reading_id"] == id).count();
    assert_eq!(places, 1, "it stands in one exam");
}

async fn two_people_open_one_lane(site: Site) {
    let ana = site.token("ana").await;
    let path = "/api/v1/lanes/lane-2/session".to_owned();
    let open = |chart: &str| (path.clone(), json!({"encounter_id": site.visits[chart]}));
    let statuses = site.at_once(&ana, &[open(LARS), open(SIOBHAN)]).await;
    assert!(statuses.iter().all(|it| [200, 422].contains(it)), "{statuses:?}");
    assert_eq!(statuses[0], 200);
    let sql = "SELECT COUNT(*) FROM lane_session
        WHERE tenant_id = $1 AND lane_id = $2 AND closed_at_us IS NULL";
    let mut tx = site.world.core.db.tenant_read(TENANT).await.unwrap();
    let (count,): (i64,) = tx.fetch_one(sql, chiasm_cloud::args![TENANT, "lane-2"]).await.unwrap();
    assert_eq!(count, 1, "one patient in a lane");
}

async fn two_people_assign_one_waiting_reading(mut site: Site) {
    let ana = site.token("ana").await;
    let id = site.world.file(TENANT, readings::tonometer(), tray("lane-2")).await;
    let path = format!("/api/v1/waiting/{id}/assign");
    let to =
        |chart: &str| (path.clone(), json!({"encounter_id": site.visits[chart], "version": 1}));
    let statuses = site.at_once(&ana, &[to(LARS), to(SIOBHAN)]).await;
    assert_eq!(statuses[0], 204);
    assert!([404, 409].contains(&statuses[1]), "{statuses:?}");
    let mut places = 0;
    for chart in [LARS, SIOBHAN] {
        let exam = site.exam(&ana, &site.visits[chart]).await;
        places += exam.iter().filter(|it| it["reading_id"] == id.as_str()).count();
    }
    assert_eq!(places, 1);
}
