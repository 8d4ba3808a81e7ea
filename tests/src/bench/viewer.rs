//! How soon the first scan of a volume is seen, and how fast it is scrolled through, in a real
//! browser from the real cloud: with nothing kept anywhere, and with frames kept in the cloud only.

use super::{
    Plan,
    report::{Aim, Figure},
};
use crate::{
    cloud::{Cloud, Setup},
    person::{APPEARS_MAX, Person},
    practice::world::{PASSWORD, TENANT, World},
    wait,
};
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::path::Path;

/// Longest wait for the first scan, in milliseconds, and least frames in a second. A screen shows
/// 60 of them.
const FIRST_MAX_MS: f64 = 1_000.0;
const FRAMES_MIN: f64 = 30.0;

/// Notes when the first frame is drawn, from the moment at which the page was asked for.
const WATCH: &str = "
    new MutationObserver(() => {
        const shown = document.querySelector('[data-pane][data-shown]');
        if (shown) window.firstShown ??= performance.now();
    }).observe(document, { subtree: true, childList: true, attributes: true });";

/// Presses the arrow as soon as a frame is drawn and the screen has shown it.
const SCROLL: &str = "
    const [done] = arguments;
    const pane = document.querySelector('[data-pane]');
    const stage = pane.querySelector('[data-stage]');
    const count = Number(pane.dataset.frames);
    const press = (key) => stage.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }));
    const drawn = (number) => new Promise((shown) => {
        const look = () => {
            if (pane.dataset.shown === String(number)) shown();
            else requestAnimationFrame(look);
        };
        requestAnimationFrame(look);
    });
    const scroll = async () => {
        stage.focus();
        press('Home');
        await drawn(1);
        const start = performance.now();
        for (let number = 2; number <= count; number += 1) {
            press('ArrowDown');
            await drawn(number);
        }
        done((count - 1) * 1000 / (performance.now() - start));
    };
    scroll();";

/// Measures and gives the lines of the table.
pub async fn measure(plan: &Plan, folder: &Path) -> Result<Vec<Figure>> {
    let (frames, rows, columns) = plan.volume;
    eprintln!("viewer: drawing a volume of {frames} frames, {columns} x {rows}");
    let folder = tempfile::Builder::new().prefix("chiasm-bench-viewer-").tempdir_in(folder)?;
    let mut cloud = Cloud::new(folder.path(), &Setup::default())?;
    let mut world = World::new(cloud.store_url(), &cloud.data_dir()).await;
    let visits = world.schedule(TENANT).await;
    let taken = world.taken(&visits["A-10977"], "R", "2.25.8001").await;
    world.image(TENANT, &taken.fundus(false)).await;
    let volume = world.image(TENANT, &taken.volume(plan.volume)).await;
    world.core.db.close().await;
    cloud.start().await?;
    let person = Person::sign_in_at(cloud.http_port(), "okafor", PASSWORD).await?;
    person.browser.devtools("Network.enable", json!({})).await?;
    person.browser.devtools("Network.setCacheDisabled", json!({ "cacheDisabled": true })).await?;
    person.browser.before_each_page(WATCH).await?;
    let mut figures = Vec::new();
    for state in ["nothing kept", "frames kept in the cloud"] {
        let (first_ms, per_second) = look(&person, &format!("/instances/{volume}")).await?;
        let what = format!("viewer, {frames} frames of {columns} x {rows}, {state}");
        figures.push(
            Figure::plain(format!("{what}: first scan seen"), format!("{first_ms:.0} ms"))
                .judged(first_ms, Aim::AtMost(FIRST_MAX_MS)),
        );
        figures.push(
            Figure::plain(format!("{what}: scrolling"), format!("{per_second:.0} frames/s"))
                .beside("60, the screen")
                .judged(per_second, Aim::AtLeast(FRAMES_MIN)),
        );
    }
    Ok(figures)
}

/// Milliseconds until the first scan is seen, and frames in a second while scrolling.
async fn look(person: &Person, path: &str) -> Result<(f64, f64)> {
    person.open(path).await?;
    let first = wait::until("the first scan to be drawn", APPEARS_MAX, async || {
        Ok(person.browser.script("return window.firstShown ?? null").await?.as_f64())
    })
    .await?;
    let scrolled: Value = person.browser.client().execute_async(SCROLL, vec![]).await?;
    Ok((first, scrolled.as_f64().context("a speed is a number")?))
}
