//! How long pages take with little and with much data, on both databases: what may grow at most is
//! the depth of an index. The whole way through the product as it runs, over loopback.

mod much;
mod store;

use super::report::{Aim, Figure};
use crate::{
    cloud::{Cloud, Setup, TENANT},
    http::Http,
    ledger::Ledger,
    postgres::Postgres,
    process,
    stats::millis,
    wait,
};
use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use much::{Kind, Much};
use reqwest::Method;
use std::{
    collections::BTreeMap,
    path::Path,
    time::{Duration, Instant},
};
use store::Store;

const PASSWORD: &str = "a password for tests";
const WARM_UP: usize = 5;
const REQUESTS: usize = 30;
/// With a hundred times the data a page may take so many times as long: an index of ten times the
/// depth there is not, but two more levels, colder caches, and twelve locations for one.
const GROWTH_MAX: f64 = 2.5;
/// Pages that list every location or gateway: of them there are twelve for one.
const OF_ALL_LOCATIONS: [&str; 5] =
    ["all lanes", "all inboxes", "fleet", "report, all", "conservation"];
/// Longest wait until the product has counted what came at once.
const COUNTED_MAX: Duration = Duration::from_secs(1800);

/// Medians and 95th percentiles of one size.
type Times = BTreeMap<&'static str, (Duration, Duration)>;

/// Measures each size on each database. `only` is one of the two.
pub async fn measure(sizes: &[i64], only: Option<&str>, folder: &Path) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for kind in [Kind::Sqlite, Kind::Postgres] {
        let name = if kind == Kind::Sqlite { "sqlite" } else { "postgres" };
        if only.is_some_and(|only| only != name) {
            continue;
        }
        let mut all: Vec<(i64, Times)> = Vec::new();
        for size in sizes {
            let (times, more) = of_size(kind, Much::of(*size), folder).await?;
            figures.extend(more);
            all.push((*size, times));
        }
        figures.extend(compare(kind, &all)?);
    }
    Ok(figures)
}

fn title(kind: Kind) -> &'static str {
    match kind {
        Kind::Sqlite => "SQLite",
        Kind::Postgres => "PostgreSQL",
    }
}

/// One line for each page: its median with the most data beside that with the least.
fn compare(kind: Kind, all: &[(i64, Times)]) -> Result<Vec<Figure>> {
    let (first, last) = (all.first().context("no size")?, all.last().context("no size")?);
    let mut figures = Vec::new();
    for (page, (least, _)) in &first.1 {
        let medians = all.iter().map(|(_, times)| {
            let (p50, p95) = times[page];
            format!("{} ({})", millis(p50), millis(p95))
        });
        let medians: Vec<_> = medians.collect();
        let growth = last.1[page].0.as_secs_f64() / least.as_secs_f64();
        let what = format!("{}, {page}", title(kind));
        let figure = Figure::plain(what, format!("{} ms", medians.join("  ")));
        let sizes: Vec<_> = all.iter().map(|(size, _)| format!("{size}x")).collect();
        let figure = figure.beside(sizes.join(", "));
        figures.push(match OF_ALL_LOCATIONS.contains(page) {
            true => figure.judged(growth, Aim::AtMost(GROWTH_MAX * 12.0)),
            false => figure.judged(growth, Aim::AtMost(GROWTH_MAX)),
        });
    }
    Ok(figures)
}

async fn of_size(kind: Kind, much: Much, folder: &Path) -> Result<(Times, Vec<Figure>)> {
    let name = format!("{}, {}x", title(kind), much.size);
    eprintln!("pages: {name}: {much:?}, {} readings", much.readings());
    let dir = tempfile::Builder::new().prefix("chiasm-pages-").tempdir_in(folder)?;
    let postgres = match kind {
        Kind::Postgres => Some(Postgres::start().await?),
        Kind::Sqlite => None,
    };
    let url = postgres.as_ref().map(|it| it.create_database("much")).transpose()?;
    let mut cloud = Cloud::new(dir.path(), &Setup { store_url: url, ..Setup::default() })?;
    cloud.run(&["admin", "tenant", "add", TENANT, "--name", "Acme Eye Care"])?;
    let mut user = cloud.command();
    user.args(["admin", "user", "add", TENANT, "doctor", "--role", "doctor", "--name", "Doctor"]);
    user.arg("--password-stdin");
    process::output_of_input(user, PASSWORD)?;
    let began = Instant::now();
    let now = Timestamp::now().as_microsecond();
    let midnight_us = now - now.rem_euclid(86_400_000_000);
    let mut store = match &postgres {
        Some(postgres) => Store::Postgres(postgres),
        None => Store::sqlite(cloud.store_url()).await?,
    };
    load(&mut store, kind, &much, midnight_us).await?;
    let bytes = store.bytes(cloud.store_url()).await?;
    drop(store);
    let loaded = began.elapsed();
    let began = Instant::now();
    cloud.start().await?;
    counted(&cloud).await?;
    let counting = began.elapsed();
    let times = pages(&cloud, &much).await?;
    cloud.stop().await?;
    let figure = |what: &str, measured: String| Figure::plain(format!("{name}, {what}"), measured);
    Ok((
        times,
        vec![
            figure("readings", much.readings().to_string()),
            figure("size of the database", format!("{:.2} GB", bytes as f64 / 1e9)),
            figure("made in", format!("{:.0} s", loaded.as_secs_f64())),
            figure("ledger and reports counted in", format!("{:.0} s", counting.as_secs_f64())),
        ],
    ))
}

/// Readings that are made in one statement.
const STEP: i64 = 100_000;

async fn load(store: &mut Store<'_>, kind: Kind, much: &Much, midnight_us: i64) -> Result<()> {
    let samples = much::samples()?;
    let indexes = store.without_indexes().await?;
    store
        .run("CREATE TABLE sample (n BIGINT PRIMARY KEY, vendor TEXT, model TEXT, body TEXT)")
        .await?;
    for (n, it) in samples.iter().enumerate() {
        let [vendor, model, body] = [&it.vendor, &it.model, &it.body].map(|it| much::quoted(it));
        store.run(&format!("INSERT INTO sample VALUES ({n}, {vendor}, {model}, {body})")).await?;
    }
    for sql in much::set_up(kind, much, midnight_us) {
        store.run(&sql).await?;
    }
    let mut from = 0;
    while from < much.readings() {
        let to = (from + STEP).min(much.readings());
        let a_visit = much::READINGS_A_VISIT;
        for sql in much::visits(kind, much, midnight_us, (from / a_visit, to / a_visit)) {
            store.run(&sql).await?;
        }
        let of = (midnight_us, samples.len() as i64, much::short(&samples));
        for sql in much::readings(kind, much, of, (from, to)) {
            store.run(&sql).await?;
        }
        from = to;
        eprintln!("pages: {from} of {} readings made", much.readings());
    }
    for index in &indexes {
        store.run(index).await?;
    }
    eprintln!("pages: {} indexes made", indexes.len());
    for sql in much::reports(kind, much, midnight_us) {
        store.run(&sql).await?;
    }
    store.run("DROP TABLE sample").await?;
    store.settle().await
}

/// Waits until the jobs have counted what came all at once.
async fn counted(cloud: &Cloud) -> Result<()> {
    let ledger = Ledger::open(cloud.store_url()).await?;
    let mut shown = Instant::now();
    wait::until("the product to count everything", COUNTED_MAX, async || {
        let left = ledger.uncounted().await?;
        if shown.elapsed() > Duration::from_secs(10) {
            eprintln!("pages: {left} marks and streams are not counted yet");
            shown = Instant::now();
        }
        Ok((left == 0).then_some(()))
    })
    .await
}

async fn pages(cloud: &Cloud, much: &Much) -> Result<Times> {
    let http = Http::sign_in(cloud.http_port(), "doctor", PASSWORD).await?;
    let visits = much.visits();
    let visit = |round: i64| format!("/exams/visit-{:030}", visits - 1 - round * 3);
    let letter = |round: i64| ["Abe", "Ber", "Cos", "Dan"][(round % 4) as usize];
    type Address<'a> = Box<dyn Fn(i64) -> String + 'a>;
    let paths: Vec<(&'static str, Address<'_>)> = vec![
        ("exam", Box::new(visit)),
        ("lane", Box::new(|round| format!("/lanes/lane-0-{}", round % much::LANES))),
        ("all lanes", Box::new(|_| "/lanes".into())),
        ("all inboxes", Box::new(|_| "/api/v1/inboxes".into())),
        ("inbox", Box::new(|_| "/inbox/loc-0".into())),
        ("history", Box::new(|round| format!("/patients/patient-{}", round * 7))),
        ("search, one letter", Box::new(|round| format!("/patients?q={}", &letter(round)[..1]))),
        (
            "search, a name",
            Box::new(move |round| format!("/patients?q={}00{round}", letter(round))),
        ),
        (
            "search, birth date",
            Box::new(|round| format!("/patients?born=1970-02-{:02}", round % 28 + 1)),
        ),
        ("report, one", Box::new(|_| "/reports?location=loc-0".into())),
        ("report, all", Box::new(|_| "/reports".into())),
        ("fleet", Box::new(|_| "/fleet".into())),
        ("conservation", Box::new(|_| "/api/v1/conservation".into())),
    ];
    let mut times = Times::new();
    for (name, path) in paths {
        eprintln!("pages: {name}");
        let mut durations = Vec::new();
        for round in 0..WARM_UP + REQUESTS {
            let began = Instant::now();
            let path = path(round as i64);
            let response = http.send(Method::GET, &path, None).await?;
            let (status, body) = (response.status(), response.bytes().await?);
            ensure!(status.is_success() && !body.is_empty(), "{path} answers {status}");
            if round >= WARM_UP {
                durations.push(began.elapsed());
            }
        }
        durations.sort();
        let rank = |percent: usize| durations[(durations.len() * percent).div_ceil(100) - 1];
        times.insert(name, (rank(50), rank(95)));
    }
    Ok(times)
}
