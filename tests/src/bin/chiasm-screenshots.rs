//! Pictures of every page over a made-up practice, to look at: `make screenshots`.
//!
//! Desktop in light and dark, a tablet, the lane's screen on the wall, and what is printed.

use anyhow::{Context, Result};
use chiasm_cloud::app::principal::Role;
use chiasm_testbed::{
    person::Person,
    practice::{Page, Practice},
    story::program,
};
use serde_json::json;
use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Name, width, height and colours of what people look at pages with.
const SCREENS: [(&str, u32, u32, &str); 3] =
    [("light", 1440, 900, "light"), ("dark", 1440, 900, "dark"), ("tablet", 820, 1180, "light")];
/// The screen on the wall of a lane.
const WALL: (u32, u32) = (1920, 1080);
/// A4 and letter at 96 dots per inch are about this wide without their margins.
const PAPER: (u32, u32) = (740, 1000);

fn main() -> ExitCode {
    program(async {
        let folder = PathBuf::from(std::env::args().nth(1).context("say where: FOLDER [WORD]")?);
        let word = std::env::args().nth(2).unwrap_or_default();
        fs::create_dir_all(&folder)?;
        let practice = Practice::open().await?;
        take_all(&practice, practice.pages()?, &word, &folder).await?;
        let mut pages = Practice::general_pages();
        for page in &mut pages {
            page.name = format!("first-day-{}", page.name);
        }
        take_all(&Practice::on_its_first_day().await?, pages, &word, &folder).await?;
        Ok(ExitCode::SUCCESS)
    })
}

async fn take_all(
    practice: &Practice,
    mut pages: Vec<Page>,
    word: &str,
    folder: &Path,
) -> Result<()> {
    pages.retain(|page| page.name.contains(word));
    for role in [Role::Doctor, Role::Technician, Role::ClinicIt] {
        let of_role: Vec<_> = pages.iter().filter(|it| seen_by(it) == role).collect();
        let person = practice.person(role).await?;
        for page in of_role {
            take(&person, page, folder).await.with_context(|| page.path.clone())?;
        }
    }
    Ok(())
}

/// Whose eyes a page is looked at with. The technician's are those of the lane.
fn seen_by(page: &Page) -> Role {
    match page.roles.contains(&Role::Doctor) {
        _ if page.roles.is_empty() => Role::Doctor,
        true if page.path.starts_with("/lanes/") => Role::Technician,
        true if !page.roles.contains(&Role::ClinicIt) => Role::Doctor,
        _ => Role::ClinicIt,
    }
}

async fn take(person: &Person, page: &Page, folder: &Path) -> Result<()> {
    for (screen, width, height, colours) in SCREENS {
        person.browser.prefer_colours(colours).await?;
        save(person, page, folder, screen, (width, height)).await?;
    }
    person.browser.prefer_colours("light").await?;
    if page.path.starts_with("/lanes/") {
        save(person, page, folder, "wall", WALL).await?;
    }
    if ["-letter", "-prescription", "-slip"].iter().any(|word| page.name.ends_with(word)) {
        person.browser.devtools("Emulation.setEmulatedMedia", json!({ "media": "print" })).await?;
        save(person, page, folder, "print", PAPER).await?;
        person.browser.devtools("Emulation.setEmulatedMedia", json!({ "media": "" })).await?;
    }
    Ok(())
}

async fn save(
    person: &Person,
    page: &Page,
    folder: &Path,
    screen: &str,
    (width, height): (u32, u32),
) -> Result<()> {
    person.open(&page.path).await?;
    let name = if page.name.is_empty() { "start" } else { &page.name };
    let file = folder.join(format!("{name}-{screen}.png"));
    fs::write(&file, person.browser.picture(width, height).await?)?;
    println!("{}", file.display());
    Ok(())
}
