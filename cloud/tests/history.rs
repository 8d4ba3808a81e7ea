//! A patient over all visits, comparison and notation, over the real router, on both kinds of
//! database.

#[path = "common/postgres.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod postgres;
mod world;

use axum::{Router, body::Body, http::Method};
use chiasm_cloud::{app::reject, args, http};
use chiasm_proto::TonometryMethod;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tower::ServiceExt;
use world::{PASSWORD, TENANT, World, past};

struct Site {
    world: World,
    router: Router,
    visits: BTreeMap<String, String>,
    _dir: tempfile::TempDir,
}

impl Site {
    async fn new(is_postgres: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let sqlite = format!("sqlite:{}", dir.path().join("db").display());
        let url = if is_postgres { postgres::fresh_database().await } else { sqlite };
        let mut world = World::new(&url, dir.path()).await;
        let visits = world.day().await;
        let router = http::router(world.core.clone());
        Self { world, router, visits, _dir: dir }
    }

    async fn send(&self, method: Method, path: &str, token: &str, form: &str) -> (u16, String) {
        let mut request = axum::http::Request::builder().method(method).uri(path);
        if !token.is_empty() {
            request = request.header("authorization", token);
        }
        let kind = if form.starts_with('{') { "json" } else { "x-www-form-urlencoded" };
        request = request.header("content-type", format!("application/{kind}"));
        let request = request.body(Body::from(form.to_owned())).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8_lossy(&body).into_owned())
    }

    async fn token(&self, login: &str) -> String {
        let body = json!({"login": login, "password": PASSWORD}).to_string();
        let (status, body) = self.send(Method::POST, "/api/v1/sign-in", "", &body).await;
        assert_eq!(status, 200, "{body}");
        let answer: Value = serde_json::from_str(&body).unwrap();
        format!("Bearer {}", answer["token"].as_str().unwrap())
    }

    async fn get(&self, token: &str, path: &str) -> String {
        let (status, body) = self.send(Method::GET, path, token, "").await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    async fn json(&self, token: &str, path: &str) -> Value {
        serde_json::from_str(&self.get(token, path).await).unwrap()
    }

    async fn patient(&self, token: &str, chart: &str) -> String {
        let found = self.json(token, &format!("/api/v1/patients?q={chart}")).await;
        found[0]["patient_id"].as_str().unwrap().to_owned()
    }

    fn exam(&self, chart: &str) -> String {
        format!("/exams/{}", self.visits[chart])
    }
}

macro_rules! on_both {
    ($($name:ident),+ $(,)?) => { $(
        mod $name {
            #[tokio::test]
            async fn sqlite() {
                super::$name(super::Site::new(false).await).await;
            }
            #[tokio::test]
            async fn postgres() {
                super::$name(super::Site::new(true).await).await;
            }
        }
    )+ };
}
on_both!(
    r6_each_person_reads_cylinders_their_own_way,
    d3_refractions_are_compared_in_one_notation,
    d4_iop_trend_per_method,
    d6_rejected_readings_are_in_no_trend,
    d10_visits_under_a_merged_chart_are_named,
    d11_a_value_far_from_the_last_visits_is_noted,
    r20_each_pressure_has_its_own_time_of_day,
    r22_extremes_are_drawn_within_the_axis,
    r28_keratometry_is_followed_per_instrument,
    visits_come_in_pages,
    practices_never_meet,
    patients_are_found,
);

/// The drawing of one eye: from its id to its end.
fn drawing<'a>(page: &'a str, id: &str) -> &'a str {
    let start = page.find(&format!("<svg class=\"plot\" id=\"{id}\"")).expect("the plot");
    let end = page[start..].find("</svg>").unwrap();
    &page[start..start + end]
}

/// Series by name with the values of their points, oldest first.
fn series(drawing: &str) -> Vec<(String, Vec<f64>)> {
    let quoted = |text: &str| text.split('"').next().unwrap().to_owned();
    let one = |text: &str| {
        let name = quoted(text.split("data-series=\"").nth(1).unwrap());
        let values = text.split("data-y=\"").skip(1);
        (name, values.map(|it| quoted(it).parse().unwrap()).collect())
    };
    drawing.split("<g class=\"series").skip(1).map(one).collect()
}

/// The row of a table that begins with its id.
fn row<'a>(page: &'a str, id: &str) -> &'a str {
    let start = page.find(&format!("<tr id=\"{id}\"")).unwrap_or_else(|| panic!("no row {id}"));
    let end = page[start..].find("</tr>").unwrap();
    &page[start..start + end]
}

async fn r6_each_person_reads_cylinders_their_own_way(mut site: Site) {
    site.world.past(&site.visits).await;
    let (doctor, technician) = (site.token("okafor").await, site.token("ana").await);
    let patient = site.patient(&doctor, "A-10977").await;
    let path = format!("/patients/{patient}");
    let note = "shown in minus cylinder; sent as plus: -4.50 +0.50 \u{d7} 085";
    assert!(!site.get(&doctor, &path).await.contains("shown in"), "as sent until they choose");
    let form = "notation=minus&back=/patients/x";
    assert_eq!(site.send(Method::POST, "/preferences", &doctor, form).await.0, 303);
    assert!(site.get(&doctor, &path).await.contains(note));
    assert!(!site.get(&technician, &path).await.contains("shown in"), "each their own");
    let exam = site.get(&doctor, &site.exam("A-10977")).await;
    assert!(exam.contains("<option value=\"minus\" selected>"));
    // Today's values came in minus: nothing is turned, nothing is claimed.
    assert!(!exam.contains("shown in minus"));
    let form = "notation=plus";
    assert_eq!(site.send(Method::POST, "/preferences", &doctor, form).await.0, 303);
    let exam = site.get(&doctor, &site.exam("A-10977")).await;
    assert!(exam.contains("shown in plus cylinder; sent as minus: -4.25 -0.75 \u{d7} 175"));
    // At the instruments, values are what the strip of paper says.
    let lane = site.get(&doctor, "/lanes/lane-1").await;
    assert!(lane.contains("-4.25") && !lane.contains("shown in"));
    let (status, body) = site.send(Method::POST, "/preferences", &doctor, "notation=best").await;
    assert!((400..500).contains(&status) && body.contains("Choose minus cylinder"), "{body}");
    let it = site.token("it").await;
    assert_eq!(site.send(Method::POST, "/preferences", &it, form).await.0, 303);
}

async fn d3_refractions_are_compared_in_one_notation(mut site: Site) {
    site.world.past(&site.visits).await;
    let token = site.token("okafor").await;
    let page = site.get(&token, &site.exam("A-10977")).await;
    let last = row(&page, "compare-last-final");
    assert!(last.contains("is-base") && last.contains("Topcon CV-5000"), "{last}");
    assert!(last.contains("-4.00 -0.50 \u{d7} 175"), "{last}");
    assert!(last.contains("sent as -4.50 +0.50 \u{d7} 085"), "{last}");
    let today = row(&page, "compare-autorefraction");
    assert!(today.contains("-4.25 -0.75 \u{d7} 175") && today.contains("not accepted"));
    assert!(today.contains("converted from VD 12 to 13.75 mm"), "{today}");
    let wearing = row(&page, "compare-wearing");
    assert!(wearing.contains("VD not given: compared as it stands"), "{wearing}");
    for key in ["last-subjective", "last-autorefraction"] {
        row(&page, &format!("compare-{key}"));
    }
    let page = site.get(&token, &format!("{}?base=wearing", site.exam("A-10977"))).await;
    assert!(row(&page, "compare-wearing").contains("is-base"));
    let last = row(&page, "compare-last-final");
    for part in ["</abbr> 0.00</span>", "</abbr> +0.25</span>", "</abbr> 0\u{b0}</span>"] {
        assert!(last.contains(part), "OD is 0.00, +0.25 and 0 degrees from -4.00 -0.75: {last}");
    }
    // Left: 180 and 5 degrees.
    assert!(last.contains("</abbr> 5\u{b0}</span>"), "{last}");
    let page = site.get(&token, &format!("{}?base=nonsense", site.exam("A-10977"))).await;
    assert!(row(&page, "compare-last-final").contains("is-base"));
    let page = site.get(&token, &site.exam("A-11502")).await;
    assert!(!page.contains("id=\"compare\""), "nothing to compare");
}

async fn d4_iop_trend_per_method(mut site: Site) {
    site.world.past(&site.visits).await;
    let token = site.token("okafor").await;
    let patient = site.patient(&token, "A-10977").await;
    let page = site.get(&token, &format!("/patients/{patient}")).await;
    let right = [
        ("Non-contact (air puff)", vec![21.0, 24.0, 18.0, 17.3, 19.0, 16.0, 31.0, 17.0]),
        ("Goldmann", vec![22.0, 25.0, 17.0, 16.0, 33.0]),
        ("Rebound", vec![29.0]),
    ];
    let found = series(drawing(&page, "plot-pressure-od"));
    let found: Vec<_> = found.iter().map(|(name, it)| (name.as_str(), it.clone())).collect();
    assert_eq!(found, right, "a series of each method, oldest first");
    let left = series(drawing(&page, "plot-pressure-os"));
    assert_eq!(left[2], ("Rebound".into(), vec![14.0]));
    // The same on the exam, and both eyes on the same scale.
    let exam = site.get(&token, &site.exam("A-10977")).await;
    let beside = series(drawing(&exam, "plot-pressure-od"));
    assert_eq!(beside.len(), 3);
    assert_eq!(beside[0].1.len(), 8);
    let ticks = |drawing: &str| drawing.matches("tick-y").count();
    let (od, os) = (drawing(&page, "plot-pressure-od"), drawing(&page, "plot-pressure-os"));
    assert_eq!(ticks(od), ticks(os));
    // CCT stands once beside; the latest of each eye; nothing is corrected.
    assert_eq!(page.matches("class=\"beside\"").count(), 1);
    assert!(page.contains("OD 548 \u{b5}m (average") && page.contains("OS 552 \u{b5}m (average"));
    assert!(!page.contains("OD 546"), "the older one stands in the table only");
    assert_eq!(page.matches("546 <span class=\"unit\">\u{b5}m").count(), 1);
}

async fn d6_rejected_readings_are_in_no_trend(mut site: Site) {
    let ago = site.world.ago(200, 9, 0);
    let visit = site.world.visit("A-11390", ago, "Annual exam").await;
    let reading = past::pressure(TonometryMethod::Goldmann, "44", "43");
    let wrong = site.world.file_at(&visit, reading, ago - 60).await;
    let reading = past::pressure(TonometryMethod::Goldmann, "14", "13");
    site.world.file_at(&visit, reading, ago - 90).await;
    let token = site.token("okafor").await;
    let patient = site.patient(&token, "A-11390").await;
    let path = format!("/patients/{patient}");
    let before = series(drawing(&site.get(&token, &path).await, "plot-pressure-od"));
    assert_eq!(before, [("Goldmann".into(), vec![44.0, 14.0])]);
    let mut work = site.world.work().await;
    reject::reject_in_exam(&mut work, &visit, &wrong, ("wrong patient", None)).await.unwrap();
    work.commit().await.unwrap();
    let page = site.get(&token, &path).await;
    assert_eq!(series(drawing(&page, "plot-pressure-od")), [("Goldmann".into(), vec![14.0])]);
    assert!(!page.contains(">44 "), "nor in the table");
    let answer = site.json(&token, &format!("/api/v1{path}/history")).await;
    let of_visit = answer["visits"].as_array().unwrap().iter();
    let of_visit = of_visit.clone().find(|it| it["encounter_id"] == visit.as_str()).unwrap();
    assert_eq!(of_visit["readings"].as_array().unwrap().len(), 1);
}

async fn d10_visits_under_a_merged_chart_are_named(mut site: Site) {
    site.world.past(&site.visits).await;
    let token = site.token("okafor").await;
    let (one, other) =
        (site.patient(&token, "A-11390").await, site.patient(&token, "A-11452").await);
    let mut tx = site.world.core.db.tenant(TENANT).await.unwrap();
    let merge = "UPDATE patient SET merged_into = $2 WHERE tenant_id = $1 AND patient_id = $3";
    tx.execute(merge, args![TENANT, &one, &other]).await.unwrap();
    tx.commit().await.unwrap();
    let page = site.get(&token, &format!("/patients/{one}")).await;
    assert_eq!(page.matches("under chart A-11452").count(), 2, "today's and the earlier one");
    assert_eq!(
        series(drawing(&page, "plot-se-od")),
        [("Autorefraction".into(), vec![-1.25, -4.25])]
    );
    let answer = site.json(&token, &format!("/api/v1/patients/{one}/history")).await;
    assert_eq!(answer["visits"].as_array().unwrap().len(), 3);
}

async fn d11_a_value_far_from_the_last_visits_is_noted(mut site: Site) {
    site.world.past(&site.visits).await;
    let token = site.token("okafor").await;
    let page = site.get(&token, &site.exam("A-11452")).await;
    assert_eq!(page.matches("differs from").count(), 1, "the right eye only");
    assert!(page.contains("(then -1.00 -0.50 \u{d7} 090)"), "both facts");
    let page = site.get(&token, &site.exam("A-10977")).await;
    assert!(!page.contains("differs from"));
}

async fn r20_each_pressure_has_its_own_time_of_day(mut site: Site) {
    site.world.past(&site.visits).await;
    let token = site.token("okafor").await;
    let patient = site.patient(&token, "A-10977").await;
    let page = site.get(&token, &format!("/patients/{patient}")).await;
    // 16:10 plus half an hour of Goldmann, on its point and in the table, with the offset.
    let right = drawing(&page, "plot-pressure-od");
    let label = right.split("aria-label=\"").find(|it| it.starts_with("33 mmHg")).unwrap();
    let label = label.split('"').next().unwrap();
    assert!(label.contains("Goldmann (average)") && label.contains(", 16:40 UTC-0"), "{label}");
    assert!(page.contains(">16:40</time><small>UTC-0"));
    let hours = drawing(&page, "plot-pressure-hours-od");
    assert_eq!(series(hours).len(), 3);
    assert!(!hours.contains("<polyline"), "times of day of different days are not connected");
    let at = hours.split("data-x=\"").skip(1).filter_map(|it| it.split('"').next());
    let at: Vec<f64> = at.map(|it| it.parse().unwrap()).collect();
    assert!(at.iter().any(|hour| (hour - (16.0 + 40.0 / 60.0)).abs() < 1e-6), "{at:?}");
}

async fn r22_extremes_are_drawn_within_the_axis(mut site: Site) {
    let ago = site.world.ago(30, 9, 0);
    let visit = site.world.visit("A-11460", ago, "Pain").await;
    let reading = past::pressure(TonometryMethod::Goldmann, "68", "2");
    site.world.file_at(&visit, reading, ago - 60).await;
    let token = site.token("okafor").await;
    let patient = site.patient(&token, "A-11460").await;
    let page = site.get(&token, &format!("/patients/{patient}")).await;
    let (od, os) = (drawing(&page, "plot-pressure-od"), drawing(&page, "plot-pressure-os"));
    assert_eq!(series(od)[0].1, [68.0]);
    assert_eq!(series(os)[0].1, [2.0]);
    assert!(od.contains(">80</text>") && os.contains(">80</text>"), "the axis reaches beyond");
    assert!(od.contains("class=\"point pending\""), "nobody has accepted it");
    let text = |eye: &str| page.contains(&format!("{eye} <span class=\"unit\">mmHg</span>"));
    assert!(text("68") && text("2"));
}

async fn r28_keratometry_is_followed_per_instrument(mut site: Site) {
    site.world.past(&site.visits).await;
    let token = site.token("okafor").await;
    let patient = site.patient(&token, "A-10977").await;
    let page = site.get(&token, &format!("/patients/{patient}")).await;
    let right = drawing(&page, "plot-keratometry-od");
    let found = series(right);
    let names: Vec<_> = found.iter().map(|(name, _)| name.as_str()).collect();
    let (topcon, nidek) = ("Topcon KR-800 #12345", "NIDEK ARK-1a #12345");
    let expected = [
        format!("flat, {topcon}"),
        format!("steep, {topcon}"),
        format!("flat, {nidek}"),
        format!("steep, {nidek}"),
    ];
    assert_eq!(names, expected);
    // 337.5 / 7.81 and what the other one sent itself.
    assert_eq!((found[0].1[0], found[2].1[0]), (43.21, 43.25));
    assert!(right.contains("43.21 D flat, Topcon KR-800 #12345, converted, n = 1.3375"));
    assert!(!right.contains("#12345, converted, n = 1.3375, 25 D"));
    assert!(right.contains("43.25 D flat, NIDEK ARK-1a #12345, "));
}

async fn visits_come_in_pages(mut site: Site) {
    let mut filed = Vec::new();
    for days in 1..=23 {
        let ago = site.world.ago(days * 20, 9, 0);
        let visit = site.world.visit("A-11203", ago, "Contact lens check").await;
        let reading = past::pressure(TonometryMethod::NonContact, &(10 + days).to_string(), "12");
        site.world.file_at(&visit, reading, ago - 60).await;
        filed.push(visit);
    }
    let token = site.token("okafor").await;
    let patient = site.patient(&token, "A-11203").await;
    let path = format!("/api/v1/patients/{patient}/history");
    let (mut seen, mut before, mut sizes) = (Vec::new(), String::new(), Vec::new());
    loop {
        let answer = site.json(&token, &format!("{path}?before={before}")).await;
        let visits = answer["visits"].as_array().unwrap().clone();
        sizes.push(visits.len());
        for visit in visits {
            let id = visit["encounter_id"].as_str().unwrap().to_owned();
            let readings = visit["readings"].as_array().unwrap();
            assert_eq!(readings.len(), usize::from(filed.contains(&id)), "{visit}");
            seen.push(id);
        }
        let Some(older) = answer["older"].as_str() else { break };
        before = older.to_owned();
    }
    assert_eq!(sizes, [10, 10, 4]);
    assert_eq!(seen[1..], filed, "each visit once, latest first");
    let page = site.get(&token, &format!("/patients/{patient}?before={before}")).await;
    assert!(page.contains("Latest visits") && !page.contains("Older visits"));
    assert_eq!(series(drawing(&page, "plot-pressure-od"))[0].1, [33.0, 32.0, 31.0, 30.0]);
    let first = site.get(&token, &format!("/patients/{patient}")).await;
    assert!(first.contains("Older visits") && !first.contains("Latest visits"));
    let (status, _) = site.send(Method::GET, &format!("{path}?before=yesterday"), &token, "").await;
    assert_eq!(status, 400);
    let mut tx = site.world.core.db.tenant_read(TENANT).await.unwrap();
    let looks = "SELECT COUNT(*) FROM audit_entry WHERE tenant_id = $1 AND subject = $2
        AND action = 'patient_history_seen'";
    let (count,): (i64,) = tx.fetch_one(looks, args![TENANT, &patient]).await.unwrap();
    assert_eq!(count, 1, "looking again at once is the same look");
}

async fn practices_never_meet(site: Site) {
    let (ours, theirs) = (site.token("ana").await, site.token("bea").await);
    let patient = site.patient(&ours, "A-10977").await;
    let paths = [format!("/patients/{patient}"), format!("/api/v1/patients/{patient}/history")];
    for path in paths {
        site.get(&ours, &path).await;
        assert_eq!(site.send(Method::GET, &path, &theirs, "").await.0, 404, "{path}");
    }
    let page = site.get(&theirs, "/patients?q=A-10977").await;
    assert!(page.contains("Nobody is found"));
    for path in ["/patients/none", "/api/v1/patients/none/history"] {
        assert_eq!(site.send(Method::GET, path, &ours, "").await.0, 404);
    }
}

async fn patients_are_found(site: Site) {
    let token = site.token("ana").await;
    let lars = "Bergstr\u{f6}m, Lars";
    for (query, expected) in [
        ("q=berg", Some(lars)),
        ("q=BERG", Some(lars)),
        ("q=lars", Some(lars)),
        ("q=A-10977", Some(lars)),
        ("born=1948-12-30", Some(lars)),
        ("q=berg&born=1948-12-30", Some(lars)),
        ("q=Garc%C3%ADa", Some("Garc\u{ed}a M\u{e1}rquez, Luc\u{ed}a")),
        ("q=o%27neill", Some("O&#39;Neill, Siobh\u{e1}n")),
        ("q=berg&born=1948-12-31", None),
        ("q=10977", None),
        ("q=%25", None),
        ("q=_", None),
        ("born=tomorrow", None),
    ] {
        let page = site.get(&token, &format!("/patients?{query}")).await;
        let found = page.matches("<th scope=\"row\">").count();
        assert_eq!(found, usize::from(expected.is_some()), "{query}");
        assert!(expected.is_none_or(|name| page.contains(name)), "{query}: {page}");
    }
    let page = site.get(&token, "/patients?born=tomorrow").await;
    assert!(page.contains("aria-invalid=\"true\"") && page.contains("such as 1961-03-04"));
    let page = site.get(&token, "/patients").await;
    assert!(!page.contains("Nobody is found"), "nothing was asked");
}
