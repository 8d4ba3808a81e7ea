//! C-FIND, asked by dcmtk: the worklist and Patient Root, from what the cloud told last.

mod support;

use chiasm_gateway::dicom::ANSWERS_MAX;
use chiasm_proto::ScheduledVisit;
use std::process::Output;
use support::dicom::{World, said, visit, worklist};

fn visits() -> Vec<ScheduledVisit> {
    vec![
        visit("ACC0000001", "2026-11-30T09:00:00", "Miller", "Anna"),
        visit("ACC0000002", "2026-11-30T10:30:00", "Müller", "Bo"),
        visit("ACC0000003", "2026-12-01T09:00:00", "Millard", "Cy"),
    ]
}

async fn world() -> World {
    let world = World::new().await;
    world.worklist.store(worklist(visits())).unwrap();
    world
}

/// Asks with keys; gives the accession numbers that came.
async fn ask(world: &World, keys: &[&str]) -> Vec<String> {
    let mut args = vec!["-v", "-W", "-k", "0008,0050"];
    args.extend(keys.iter().flat_map(|key| ["-k", key]));
    let output = world.dcmtk("findscu", "OCT", &args).await;
    assert!(said(&output).contains("Received Final Find Response (Success)"), "{}", said(&output));
    accessions(&output)
}

fn accessions(output: &Output) -> Vec<String> {
    // Behind the request, which is printed too.
    let text = said(output);
    let answers = text.split_once("Find Response: 1 ").map_or("", |(_, answers)| answers);
    answers
        .lines()
        .filter(|line| line.contains("(0008,0050)") && line.contains("[ACC"))
        .map(|line| line.split(['[', ']']).nth(1).unwrap().trim().to_owned())
        .collect()
}

const ALL: [&str; 3] = ["ACC0000001", "ACC0000002", "ACC0000003"];
const DATE: &str = "(0040,0100)[0].(0040,0002)";
const AE: &str = "(0040,0100)[0].(0040,0001)";
const MODALITY: &str = "(0040,0100)[0].(0008,0060)";

#[tokio::test]
async fn an_imager_finds_its_day_and_its_patient() {
    let world = world().await;
    assert_eq!(ask(&world, &[]).await, ALL);
    assert_eq!(ask(&world, &[&format!("{DATE}=20261130")]).await, ALL[..2]);
    assert_eq!(ask(&world, &[&format!("{DATE}=20261201-")]).await, ALL[2..]);
    assert_eq!(ask(&world, &[&format!("{DATE}=20261101-20261130")]).await, ALL[..2]);
    assert_eq!(ask(&world, &[&format!("{AE}=OCT"), &format!("{MODALITY}=OP")]).await, ALL);
    assert_eq!(ask(&world, &[&format!("{AE}=STRANGER")]).await, [""; 0]);
    assert_eq!(ask(&world, &["0010,0010=mill*"]).await, [ALL[0], ALL[2]]);
    assert_eq!(ask(&world, &["0010,0010=MILLER^A?NA"]).await, ALL[..1]);
    assert_eq!(ask(&world, &["0010,0020=p-miller"]).await, ALL[..1]);
    assert_eq!(ask(&world, &["0010,0010=M?ller*"]).await, ALL[..2]);
    assert_eq!(ask(&world, &["0008,0050=ACC0000003"]).await, ALL[2..]);
}

#[tokio::test]
async fn names_travel_in_any_character_set() {
    let world = world().await;
    let output = world
        .dcmtk(
            "findscu",
            "OCT",
            // UTF-8 bytes under a declaration of Latin 1, as some imagers send.
            &["-v", "-W", "-k", "0008,0005=ISO_IR 100", "-k", "0010,0010=MÜLL*", "-k", "0008,0050"],
        )
        .await;
    assert_eq!(accessions(&output), ["ACC0000002"]);
    let text = said(&output);
    assert!(text.contains("[ISO_IR 192]"), "{text}");
    assert!(text.contains("[Müller^Bo]"), "{text}");
}

#[tokio::test]
async fn an_answer_has_our_identifiers_and_what_was_asked() {
    let world = world().await;
    let output = world
        .dcmtk(
            "findscu",
            "OCT",
            &[
                "-v",
                "-W",
                "-k",
                "0010,0020=P-Miller",
                "-k",
                "0020,000d",
                "-k",
                "0010,0040",
                "-k",
                "0040,1001",
                "-k",
                "0032,1064",
                "-k",
                "(0040,0100)[0].(0040,0011)",
            ],
        )
        .await;
    let text = said(&output);
    for line in [
        "[ACC0000001]",
        "[2.25.",
        "[Main street ",
        "[20261130]",
        "[090000]",
        "[Macula]",
        "(0010,0040) CS (no value available)",
        "(0032,1064) SQ",
        "[19610203]",
    ] {
        assert!(text.contains(line), "{line} is missing in {text}");
    }
}

#[tokio::test]
async fn patients_and_visits_are_found_by_patient_root() {
    let world = world().await;
    let find = async |level: &str| {
        let level = format!("0008,0052={level}");
        let args = [
            "-v",
            "-P",
            "-k",
            &level,
            "-k",
            "0010,0020",
            "-k",
            "0008,0050",
            "-k",
            "0010,0010=Mil*",
        ];
        world.dcmtk("findscu", "OCT", &args).await
    };
    assert_eq!(accessions(&find("STUDY").await), [ALL[0], ALL[2]]);
    assert!(said(&find("PATIENT").await).contains("[P-Millard"));
    let wrong = find("DEPARTMENT").await;
    assert!(said(&wrong).contains("Failed"), "{}", said(&wrong));
}

/// An empty list would read as "nobody comes today".
#[tokio::test]
async fn without_a_schedule_the_imager_is_told_so() {
    let world = World::new().await;
    let output = world.dcmtk("findscu", "OCT", &["-v", "-W", "-k", "0010,0010"]).await;
    let text = said(&output);
    assert!(text.contains("Final Find Response (Failed: UnableToProcess)"), "{text}");
}

/// The internet is down and the gateway starts again: imagers still find their patients.
#[tokio::test]
async fn the_worklist_outlives_a_restart() {
    let world = world().await;
    let dir = world.kill().await;
    let imager = "[[imager]]\nid = \"oct-1\"\nlane = \"lane-1\"\ncalling_ae = \"OCT\"\n";
    let world = World::in_dir(dir, imager).await;
    assert_eq!(ask(&world, &[]).await, ALL);
}

#[tokio::test]
async fn a_query_is_cancelled_and_a_wide_one_is_cut() {
    let world = World::new().await;
    let many = (0..=ANSWERS_MAX).map(|index| {
        visit(&format!("ACC{index:07}"), "2026-11-30T09:00:00", &format!("Name{index}"), "X")
    });
    world.worklist.store(worklist(many.collect())).unwrap();
    let args = ["-v", "-W", "-k", "0008,0050", "-k", "0010,0010"];
    let wide = world.dcmtk("findscu", "OCT", &args).await;
    assert_eq!(accessions(&wide).len(), ANSWERS_MAX);
    assert!(said(&wide).contains("Final Find Response (Refused: OutOfResources)"));
    let mut args = args.to_vec();
    args.extend(["--cancel", "3"]);
    let cancelled = world.dcmtk("findscu", "OCT", &args).await;
    let count = accessions(&cancelled).len();
    assert!((3..ANSWERS_MAX).contains(&count), "{count} answers");
    let text = said(&cancelled);
    assert!(text.to_lowercase().contains("cancel"), "{text}");
    assert!(!text.contains("Abort"), "{text}");
}
