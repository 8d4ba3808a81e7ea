//! Every page of every role against the rules of WCAG 2.2 AA that a machine can check, light and
//! dark, with everything unfolded; and none makes the browser complain.

use anyhow::{Context, Result, bail, ensure};
use chiasm_cloud::app::principal::Role;
use chiasm_testbed::{person::Person, practice::Practice, story::story};
use serde_json::Value;
use std::path::PathBuf;

/// Fewest pages that a clinical role sees: a list that has shrunk would make this test easy.
const PAGES_MIN: usize = 20;

/// A colour scheme, and whether only its colours are judged: the rest does not depend on it.
const LIGHT: (&str, bool) = ("light", false);
const DARK: (&str, bool) = ("dark", true);

/// Gives back what is wrong, each as `rule (impact): elements: why`.
const JUDGE: &str = "
    const [colours, done] = arguments;
    for (const it of document.querySelectorAll('details')) it.open = true;
    // What has just arrived glows for a moment, in no colour that stays.
    document.getAnimations().forEach((it) => it.finish());
    const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'];
    const runOnly = colours ? { type: 'rule', values: ['color-contrast'] }
        : { type: 'tag', values: tags };
    const ask = { runOnly, resultTypes: ['violations'] };
    axe.run(document, ask).then(
        ({ violations, passes }) => done({
            checked: passes.length,
            bad: violations
                .filter(({ impact }) => impact === 'serious' || impact === 'critical')
                .map(({ id, impact, nodes }) => `${id} (${impact}): ` + nodes.slice(0, 4)
                    .map((it) => `${it.target.join(' ')}: ${it.any.concat(it.all, it.none)
                        .map((why) => why.message).join('; ')}`).join(' | ')),
        }),
        (error) => done({ checked: 0, bad: [String(error)] }),
    );";

/// The pinned one that `tests/axe/install.sh` installs.
fn axe() -> Result<String> {
    let mut folder: PathBuf = std::env::current_exe()?;
    while folder.pop() {
        let file = folder.join("axe/node_modules/axe-core/axe.min.js");
        if file.is_file() {
            return Ok(std::fs::read_to_string(file)?);
        }
    }
    bail!("axe-core is not installed: run tests/axe/install.sh (make test does)")
}

/// Judges the page that is open.
async fn judge(person: &Person, path: &str, only_colours: bool) -> Result<Vec<String>> {
    let arguments = vec![Value::Bool(only_colours)];
    let judged = person.browser.client().execute_async(JUDGE, arguments).await?;
    let checked = judged["checked"].as_u64().context("the judge counts")?;
    let bad = judged["bad"].as_array().context("the judge lists")?;
    let mut bad: Vec<String> = bad.iter().filter_map(Value::as_str).map(Into::into).collect();
    bad.extend(person.browser.complaints().await?);
    let checked_min = if only_colours { 1 } else { 6 };
    ensure!(checked >= checked_min || !bad.is_empty(), "{path}: {checked} rules were checked");
    Ok(bad)
}

async fn role_sees_nothing_that_excludes(
    role: Role,
    pages_min: usize,
    schemes: &[(&str, bool)],
) -> Result<()> {
    let practice = Practice::open().await?;
    let pages = practice.pages()?;
    let person = practice.person(role).await?;
    person.browser.before_each_page(&axe()?).await?;
    let seen: Vec<_> =
        pages.iter().filter(|page| page.roles.is_empty() || page.roles.contains(&role)).collect();
    ensure!(seen.len() >= pages_min, "{role} sees {} pages only", seen.len());
    let mut bad = Vec::new();
    for page in &seen {
        // Loading costs most, and a page takes on another scheme as it stands.
        for (at, (scheme, only_colours)) in schemes.iter().enumerate() {
            person.browser.prefer_colours(scheme).await?;
            if at == 0 {
                person.open(&page.path).await?;
            }
            let of_page = judge(&person, &page.path, *only_colours).await?;
            bad.extend(of_page.into_iter().map(|what| format!("{} ({scheme}): {what}", page.name)));
        }
    }
    ensure!(bad.is_empty(), "{} violations:\n{}", bad.len(), bad.join("\n"));
    Ok(())
}

/// The same pages as the doctor's, with other buttons on some: once is enough.
#[test]
fn a_technicians_pages_exclude_nobody() {
    story("technician", role_sees_nothing_that_excludes(Role::Technician, PAGES_MIN, &[LIGHT]));
}

#[test]
fn a_doctors_pages_exclude_nobody() {
    story("doctor", role_sees_nothing_that_excludes(Role::Doctor, PAGES_MIN, &[LIGHT, DARK]));
}

#[test]
fn pages_of_those_who_run_the_fleet_exclude_nobody() {
    story("fleet", async {
        role_sees_nothing_that_excludes(Role::ClinicIt, 4, &[LIGHT, DARK]).await?;
        role_sees_nothing_that_excludes(Role::CloudStaff, 4, &[LIGHT]).await
    });
}
