//! Images in a real browser: scrolled, brightened, compared; what is drawn is what was stored.

use anyhow::{Context, Result, ensure};
use chiasm_cloud::app::principal::Role;
use chiasm_testbed::{
    person::{APPEARS_MAX, Person},
    practice::Practice,
    story::story,
    wait,
};
use serde_json::{Value, json};

/// As WebDriver names the keys.
const PAGE_UP: &str = "\u{e00e}";
const END: &str = "\u{e010}";
const HOME: &str = "\u{e011}";
const ARROW_DOWN: &str = "\u{e015}";
const FRAMES: u64 = 24;

/// The sum of the first pane's brightness, different for every frame and every window.
const SUM: &str = "
    const it = document.querySelector('[data-pane] canvas');
    const { data } = it.getContext('2d').getImageData(0, 0, it.width, it.height);
    let sum = 0;
    for (let at = 0; at < data.length; at += 4) sum = (sum * 31 + data[at]) % 1000000007;
    return sum;";

/// What the first pane shows: the frame that is drawn, and the window it was drawn with.
const SHOWN: &str = "
    const panes = [...document.querySelectorAll('[data-pane]')];
    return panes.map(({ dataset: { shown, shownQuery } }) => [Number(shown), shownQuery]);";

struct Viewer {
    person: Person,
}

impl Viewer {
    async fn script(&self, script: &str) -> Result<Value> {
        self.person.browser.script(script).await
    }
    async fn sum(&self) -> Result<u64> {
        self.script(SUM).await?.as_u64().context("a sum is a number")
    }

    /// Waits until a pane has drawn a frame.
    async fn draws(&self, pane: usize, frame: u64, query: &str) -> Result<()> {
        let what = format!("pane {pane} to draw frame {frame} with `{query}`");
        wait::until(&what, APPEARS_MAX, async || {
            let shown = self.script(SHOWN).await?;
            let is_so = shown[pane][0] == frame && shown[pane][1] == query;
            Ok(is_so.then_some(()))
        })
        .await
    }

    async fn press(&self, key: &str) -> Result<()> {
        self.person.browser.type_blindly(key).await
    }

    /// Real input of a mouse in the middle of the first picture.
    async fn mouse(&self, kind: &str, (right, down): (f64, f64), more: Value) -> Result<()> {
        let middle = "
            const it = document.querySelector('[data-stage]').getBoundingClientRect();
            return [it.x + it.width / 2, it.y + it.height / 2];";
        let middle = self.script(middle).await?;
        let at = |axis: usize| middle[axis].as_f64().context("a place is a number");
        let mut event = json!({ "type": kind, "x": at(0)? + right, "y": at(1)? + down });
        for (name, value) in more.as_object().context("more is an object")? {
            event[name] = value.clone();
        }
        self.person.browser.devtools("Input.dispatchMouseEvent", event).await.map(drop)
    }
}

#[test]
fn a_volume_is_scrolled_brightened_and_compared() {
    story("viewer", async {
        let practice = Practice::open().await?;
        let viewer = Viewer { person: practice.person(Role::Doctor).await? };
        viewer.person.browser.resize(1440, 900).await?;
        let path = format!("/instances/{}", practice.images["volume"]);
        viewer.person.open(&path).await?;
        viewer.draws(0, 13, "").await?;
        scrolls(&viewer).await?;
        brightens(&viewer).await?;
        compares(&viewer).await?;
        let complaints = viewer.person.browser.complaints().await?;
        ensure!(complaints.is_empty(), "the browser complains: {complaints:?}");
        Ok(())
    });
}

async fn scrolls(viewer: &Viewer) -> Result<()> {
    let browser = &viewer.person.browser;
    browser.shows("[data-counter]", "13 / 24", APPEARS_MAX).await?;
    // 6 mm wide, 2 mm deep, in 192 by 320 pixels.
    let shape = "
        const it = document.querySelector('[data-pane] canvas').getBoundingClientRect();
        return it.width / it.height;";
    let shape = viewer.script(shape).await?.as_f64().context("a shape is a number")?;
    ensure!((shape - 3.0).abs() < 0.02, "the picture is {shape} times as wide as high");
    let line = "return document.querySelector('.view-line').getAttribute('points')";
    let (first_sum, first_line) = (viewer.sum().await?, viewer.script(line).await?);
    viewer.press(ARROW_DOWN).await?;
    viewer.draws(0, 14, "").await?;
    browser.shows("[data-counter]", "14 / 24", APPEARS_MAX).await?;
    ensure!(viewer.sum().await? != first_sum, "another frame looks the same");
    ensure!(viewer.script(line).await? != first_line, "the line on the map does not move");
    for (key, frame) in [(END, FRAMES), (PAGE_UP, FRAMES - 10), (HOME, 1)] {
        viewer.press(key).await?;
        viewer.draws(0, frame, "").await?;
    }
    let turn = json!({ "deltaX": 0, "deltaY": 36 * 12 });
    viewer.mouse("mouseWheel", (0.0, 0.0), turn).await?;
    viewer.draws(0, 13, "").await?;
    ensure!(viewer.sum().await? == first_sum, "the same frame looks different");
    // A click on the map leads to the scan that lies there.
    let click = "
        const map = document.querySelector('[data-map]');
        const box = map.getBoundingClientRect();
        const event = { clientX: box.x + box.width / 2, clientY: box.y + box.height * .17 };
        map.dispatchEvent(new MouseEvent('click', event));";
    viewer.script(click).await?;
    viewer.draws(0, 1, "").await?;
    viewer.press(HOME).await
}

async fn brightens(viewer: &Viewer) -> Result<()> {
    let browser = &viewer.person.browser;
    let plain = viewer.sum().await?;
    browser.fill("[data-width]", "60").await?;
    browser.fill("[data-center]", "90").await?;
    browser.click("[data-counter] ~ *, .view-head h2").await?;
    viewer.draws(0, 1, "?center=90&width=60").await?;
    ensure!(viewer.sum().await? != plain, "another window looks the same");
    viewer.press("r").await?;
    viewer.draws(0, 1, "").await?;
    ensure!(viewer.sum().await? == plain, "the first window looks different");
    let held = json!({ "button": "left", "buttons": 1, "clickCount": 1 });
    viewer.mouse("mousePressed", (0.0, 0.0), held.clone()).await?;
    for step in 1..=5 {
        let to = (f64::from(step) * 25.0, f64::from(step) * -10.0);
        viewer.mouse("mouseMoved", to, held.clone()).await?;
    }
    viewer.mouse("mouseReleased", (125.0, -50.0), held).await?;
    let width = "return Number(document.querySelector('[data-width]').value)";
    let width = viewer.script(width).await?.as_f64().context("a width is a number")?;
    ensure!((170.0..200.0).contains(&width), "dragged to the right the window is {width} wide");
    let sees = "return document.querySelector('[data-pane]').dataset.shownQuery";
    wait::until("the dragged window to be drawn", APPEARS_MAX, async || {
        let query = viewer.script(sees).await?;
        Ok(query.as_str().is_some_and(|it| it.contains(&format!("width={width}"))).then_some(()))
    })
    .await?;
    ensure!(viewer.sum().await? != plain, "dragging changes nothing");
    browser.click("[data-reset]").await?;
    viewer.draws(0, 1, "").await
}

async fn compares(viewer: &Viewer) -> Result<()> {
    let browser = &viewer.person.browser;
    let other = "
        const links = [...document.querySelectorAll('.session-actions a')];
        return links.find((it) => it.textContent === 'Beside the other eye').getAttribute('href')";
    let other = viewer.script(other).await?;
    viewer.person.open(other.as_str().context("there is another eye")?).await?;
    viewer.draws(1, 13, "").await?;
    browser.shows(".view-eye", "OD", APPEARS_MAX).await?;
    browser.shows(".view-eye", "OS", APPEARS_MAX).await?;
    viewer.press(END).await?;
    viewer.draws(0, FRAMES, "").await?;
    viewer.draws(1, FRAMES, "").await?;
    browser.click("[data-linked]").await?;
    // Keys go to the picture that has the focus.
    viewer.script("document.querySelectorAll('[data-stage]')[1].focus()").await?;
    viewer.press(HOME).await?;
    viewer.draws(1, 1, "").await?;
    viewer.draws(0, FRAMES, "").await
}
