//! Numbers of one eye must never run into those of the other, and no page is wider than the window,
//! from a tablet to the screen on a wall.

use anyhow::ensure;
use chiasm_cloud::app::principal::Role;
use chiasm_testbed::{practice::Practice, story::story};
use serde_json::Value;

/// Tablets both ways round, laptops, and the screen on a lane's wall.
const WIDTHS: [u32; 6] = [820, 1024, 1180, 1280, 1440, 1920];
const HEIGHT: u32 = 900;

/// What sticks out of where it belongs. What scrolls by itself may be wider than it is shown.
const MEASURE: &str = "
    const bad = [];
    const page = document.documentElement;
    if (page.scrollWidth > innerWidth + 1) bad.push(`the page is ${page.scrollWidth} wide`);
    for (const it of document.querySelectorAll('.eye, .eyes, .tile, .panel, .entry, .card')) {
        if (getComputedStyle(it).overflowX === 'auto') continue;
        const over = it.scrollWidth - it.clientWidth;
        if (over > 1) bad.push(`${it.className} by ${over}: ${it.innerText.slice(0, 60)}`);
    }
    // A class of something else on the page would move a plot.
    for (const it of document.querySelectorAll('main svg')) {
        const { position } = getComputedStyle(it);
        if (position !== 'static') bad.push(`a picture (${it.id}) is ${position}`);
    }
    return bad;";

#[test]
fn nothing_sticks_out_on_any_screen() {
    story("layout", async {
        let practice = Practice::open().await?;
        let doctor = practice.person(Role::Doctor).await?;
        let mut bad = Vec::new();
        for page in practice.pages()? {
            if !page.roles.contains(&Role::Doctor) {
                continue;
            }
            doctor.open(&page.path).await?;
            for width in WIDTHS {
                doctor.browser.resize(width, HEIGHT).await?;
                let found = doctor.browser.script(MEASURE).await?;
                let found = found.as_array().into_iter().flatten().filter_map(Value::as_str);
                bad.extend(found.map(|what| format!("{} at {width}: {what}", page.name)));
            }
        }
        ensure!(bad.is_empty(), "{} stick out:\n{}", bad.len(), bad.join("\n"));
        Ok(())
    });
}
