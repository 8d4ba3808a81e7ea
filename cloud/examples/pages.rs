//! Serves the pages over a practice that is made up, to look at them:
//! `cargo run -p chiasm-cloud --example pages -- 127.0.0.1:8099 DIRECTORY`.
//! Every login (ana, okafor, nils, it, staff) has the password `a password for tests`.

#[path = "../tests/world/mod.rs"]
mod world;

use chiasm_cloud::fleet;
use std::{net::SocketAddr, path::PathBuf};

#[tokio::main]
async fn main() {
    let mut args = std::env::args().skip(1);
    let listen: SocketAddr = args.next().and_then(|it| it.parse().ok()).expect("give HOST:PORT");
    let directory = PathBuf::from(args.next().expect("give a directory"));
    std::fs::create_dir_all(&directory).expect("cannot make the directory");
    let url = format!("sqlite:{}", directory.join("pages.db").display());
    let mut world = world::World::new(&url, &directory).await;
    let visits = world.day().await;
    world.past(&visits).await;
    world.signed(&visits).await;
    world.carried(&visits).await;
    chiasm_cloud::app::report::count_all(&world.core.db, world.now_us).await.expect("counts");
    fleet::volume::count_once(&world.core, world.now_us).await.expect("counts");
    for minutes in [0, 5] {
        let at_us = world.now_us + minutes * 60_000_000;
        fleet::watch::watch_once(&world.core, at_us).await.expect("looks");
    }
    let router = chiasm_cloud::http::router(world.core.clone());
    let listener = tokio::net::TcpListener::bind(listen).await.expect("cannot listen");
    println!("http://{listen}/sign-in");
    chiasm_cloud::http::serve::serve(listener, None, router, 64).await;
}
