//! MPPS by pynetdicom, the worklist by a real broker, and what a person at the gateway sees of it.

mod support;

use chiasm_proto::{Body, ProcedureStepStatus};
use support::dicom::{OCT, World, python, said, visit, worklist};

#[tokio::test]
async fn a_procedure_that_begins_and_ends_is_passed_on() {
    let world = World::new().await;
    let output = python("step.py")
        .args([&world.port.to_string(), "1.2.50", "2.25.7", "ACC0000001", "1.2.3.1", "1.2.3.2"])
        .output()
        .await
        .unwrap();
    // Begun, begun twice, ended, ended twice, and one that says nothing.
    let statuses: Vec<u16> =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", said(&output)));
    assert_eq!(statuses, [0x0000, 0x0111, 0x0000, 0x0110, 0x0115]);
    let steps: Vec<_> = world
        .documents()
        .await
        .into_iter()
        .map(|body| match body {
            Body::ProcedureStep(step) => step,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(steps.len(), 2);
    assert_eq!(steps[0].status, ProcedureStepStatus::InProgress);
    assert_eq!(steps[1].status, ProcedureStepStatus::Completed);
    assert_eq!(steps[1].instances, ["1.2.3.1", "1.2.3.2"]);
    for step in steps {
        assert_eq!(step.link, World::link());
        assert_eq!(step.sop_instance_uid, "1.2.50");
        assert_eq!(step.accession.as_deref(), Some("ACC0000001"));
        assert_eq!(step.study_instance_uid.as_deref(), Some("2.25.7"));
    }
}

/// The end names neither patient nor study: they are known from the beginning.
#[tokio::test]
async fn a_procedure_that_ends_after_a_restart_is_still_known() {
    let world = World::new().await;
    let ask = async |world: &World, part: &str| {
        let output = python("step.py")
            .args([&world.port.to_string(), "1.2.50", "2.25.7", "ACC0000001", "1.2.3.1"])
            .env("STEP_PART", part)
            .output()
            .await
            .unwrap();
        serde_json::from_slice::<Vec<u16>>(&output.stdout)
            .unwrap_or_else(|_| panic!("{}", said(&output)))
    };
    assert_eq!(ask(&world, "begin").await, [0x0000]);
    let dir = world.kill().await;
    let world = World::in_dir(dir, OCT).await;
    assert_eq!(ask(&world, "end").await, [0x0000, 0x0110], "it ends once");
    let steps = world.documents().await;
    let Some(Body::ProcedureStep(end)) = steps.last() else { panic!("{steps:?}") };
    assert_eq!(end.status, ProcedureStepStatus::Completed);
    assert_eq!(end.accession.as_deref(), Some("ACC0000001"));
    assert_eq!(end.study_instance_uid.as_deref(), Some("2.25.7"));
    assert_eq!(end.instances, ["1.2.3.1"]);
}

#[tokio::test]
async fn the_clouds_worklist_reaches_the_disk_and_the_command_line() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let dir = tempfile::tempdir().unwrap();
    let authority = support::pki::Authority::new();
    let broker = support::cloud::Broker::start(dir.path(), &authority).await;
    let cloud = support::cloud::Cloud::start(&broker, &authority).await;
    let data_dir = dir.path().join("data");
    authority.enrol(&data_dir, broker.port);
    let gateway = support::Gateway::with_tcp_server(&data_dir, support::free_port());
    cloud.until_state("a birth", |state| state.telemetry.is_some()).await;
    cloud.tell_worklist(&worklist(vec![
        visit("ACC0000001", "2026-11-30T09:00:00", "Müller", "Bo"),
        visit("ACC0000002", "2026-12-01T09:00:00", "Smith", "Al"),
    ]));
    let stored = data_dir.join("worklist.sealed");
    support::until("the worklist", async || stored.exists().then_some(())).await;
    gateway.stop().await;
    // Beside the key.
    let config = data_dir.join("gateway.toml");
    std::fs::write(&config, format!("data_dir = \"{}\"\n", data_dir.display())).unwrap();
    let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_chiasm-gateway"))
        .arg("--config")
        .arg(&config)
        .args(["worklist", "--ae", "OCT", "--date", "2026-11-30"])
        .output()
        .await
        .unwrap();
    let out = String::from_utf8(output.stdout).unwrap();
    assert!(out.contains("ACC0000001") && out.contains("Müller^Bo"), "{out}");
    assert!(!out.contains("Smith"), "{out}");
}
