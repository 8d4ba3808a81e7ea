//! The spool against a list in memory, over any order of operations, openings anew and backups.

use chiasm_gateway::{
    journal::Position,
    seal::Key,
    spool::{Again, Document, Entry, Owner, Spool},
};
use chiasm_proto::{Ack, Body, GatewayEvent, GatewayId, LinkId, Rejection, Seq, Sha256, TenantId};
use proptest::prelude::*;
use std::{collections::BTreeMap, path::Path};

fn key() -> Key {
    Key::from_bytes(&[7; 32])
}

fn link() -> LinkId {
    LinkId::new("ark").unwrap()
}

fn entry(number: u64, documents: usize) -> Entry {
    let body = |index| {
        Body::Event(GatewayEvent {
            code: "test".into(),
            link: Some(link()),
            detail: format!("{number}.{index}"),
        })
    };
    let documents =
        (0..documents).map(|index| Document::new(jiff::Timestamp::now(), body(index))).collect();
    let position = Position { generation: 0, consumed: number };
    let imported = Some(Sha256::of(&number.to_le_bytes()));
    Entry { link: link(), documents, position, imported }
}

struct Open {
    spool: Spool,
    writer: chiasm_gateway::spool::WriterTask,
}

impl Open {
    async fn new(dir: &Path) -> Self {
        let (spool, writer) = Spool::open(dir, None, &key()).await.unwrap();
        Self { spool, writer }
    }
    async fn close(self) {
        drop(self.spool);
        self.writer.await.unwrap().unwrap();
    }
    async fn all_pending(&self) -> Vec<Seq> {
        self.spool.pending_after(0, usize::MAX).await.unwrap()
    }
    /// Everything that was asked before is committed.
    async fn settle(&self, number: u64) {
        self.spool.commit(entry(number, 0)).await.unwrap();
    }
}

#[derive(Debug, Clone)]
enum Step {
    Store { documents: usize },
    Acknowledge { upto: u64, missing: Vec<u64>, rejected: Option<u64> },
    Reopen,
    Kill,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0usize..4).prop_map(|documents| Step::Store { documents }),
        2 => (0u64..20, proptest::collection::vec(1u64..20, 0..4), proptest::option::of(1u64..20))
            .prop_map(|(upto, missing, rejected)| Step::Acknowledge { upto, missing, rejected }),
        1 => Just(Step::Reopen),
        1 => Just(Step::Kill),
    ]
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Pending,
    Filed,
    Rejected,
}

async fn check(steps: Vec<Step>) {
    let dir = tempfile::tempdir().unwrap();
    let mut open = Open::new(dir.path()).await;
    let epoch = open.spool.progress().borrow().epoch;
    let mut model: BTreeMap<Seq, (Fate, String)> = BTreeMap::new();
    let mut consumed = 0;
    for step in steps {
        consumed += 1;
        match step {
            Step::Store { documents } => {
                let entry = entry(consumed, documents);
                for document in &entry.documents {
                    let seq = model.len() as u64 + 1;
                    let body = serde_json::to_string(&document.body).unwrap();
                    model.insert(seq, (Fate::Pending, body));
                }
                open.spool.commit(entry).await.unwrap();
            }
            Step::Acknowledge { upto, missing, rejected } => {
                let upto = upto.min(model.len() as u64);
                for (seq, (fate, _)) in &mut model {
                    if *fate != Fate::Pending {
                        continue;
                    }
                    if rejected == Some(*seq) {
                        *fate = Fate::Rejected;
                    } else if *seq <= upto && !missing.contains(seq) {
                        *fate = Fate::Filed;
                    }
                }
                let rejected = rejected
                    .into_iter()
                    .map(|seq| Rejection { seq, code: "x".into(), detail: String::new() })
                    .collect();
                let ack = Ack { epoch, upto, missing, above: vec![], ids: None, rejected };
                open.spool.acknowledge(ack, false).await.unwrap();
                open.settle(consumed).await;
            }
            Step::Reopen => {
                open.settle(consumed).await;
                open.close().await;
                open = Open::new(dir.path()).await;
            }
            Step::Kill => {
                open.settle(consumed).await;
                open.writer.abort();
                drop(open);
                open = Open::new(dir.path()).await;
            }
        }
        assert_eq!(
            open.spool.position(&link()).await.unwrap().map(|at| at.consumed),
            Some(consumed)
        );
        let progress = open.spool.progress().borrow().clone();
        assert_eq!((progress.epoch, progress.last_seq), (epoch, model.len() as u64));
        let pending: Vec<Seq> = model
            .iter()
            .filter(|(_, (fate, _))| *fate == Fate::Pending)
            .map(|(seq, _)| *seq)
            .collect();
        assert_eq!(open.all_pending().await, pending);
        for seq in pending {
            let stored = open.spool.pending(seq).await.unwrap().unwrap();
            assert_eq!(stored.body, model[&seq].1);
        }
        let state = open.spool.state().await.unwrap();
        let rejected = model.values().filter(|(fate, _)| *fate == Fate::Rejected).count();
        assert_eq!(state.quarantined, rejected as u64);
    }
    open.close().await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn agrees_with_a_list(steps in proptest::collection::vec(step(), 1..25)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(check(steps));
    }
}

async fn filled(dir: &Path, documents: usize) -> Open {
    let open = Open::new(dir).await;
    open.spool.commit(entry(1, documents)).await.unwrap();
    open
}

#[tokio::test]
async fn a_damaged_database_is_set_aside_and_a_new_epoch_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let open = filled(dir.path(), 3).await;
    let old = open.spool.progress().borrow().epoch;
    open.close().await;
    std::fs::write(dir.path().join("spool.sqlite"), vec![b'x'; 40_000]).unwrap();
    let open = Open::new(dir.path()).await;
    open.settle(2).await;
    assert_ne!(open.spool.progress().borrow().epoch, old);
    let event = open.spool.pending(1).await.unwrap().unwrap();
    assert!(event.body.contains("epoch_started") && event.body.contains("set aside"), "{event:?}");
    let aside = std::fs::read_dir(dir.path()).unwrap().filter(|entry| {
        entry.as_ref().unwrap().file_name().to_string_lossy().contains("set-aside")
    });
    assert_eq!(aside.count(), 1);
    open.close().await;
}

#[tokio::test]
async fn a_database_from_a_backup_never_gives_a_number_twice() {
    let dir = tempfile::tempdir().unwrap();
    let backup = tempfile::tempdir().unwrap();
    let open = filled(dir.path(), 2).await;
    let old = open.spool.progress().borrow().epoch;
    open.close().await;
    std::fs::copy(dir.path().join("spool.sqlite"), backup.path().join("copy")).unwrap();
    let open = Open::new(dir.path()).await;
    open.spool.commit(entry(2, 1)).await.unwrap();
    open.close().await;
    std::fs::copy(backup.path().join("copy"), dir.path().join("spool.sqlite")).unwrap();
    let open = Open::new(dir.path()).await;
    open.settle(3).await;
    assert_ne!(open.spool.progress().borrow().epoch, old);
    // What waited in the backup, numbered anew, and the event.
    assert_eq!(open.all_pending().await, [1, 2, 3]);
    let bodies: Vec<String> = [
        open.spool.pending(1).await.unwrap().unwrap().body,
        open.spool.pending(2).await.unwrap().unwrap().body,
        open.spool.pending(3).await.unwrap().unwrap().body,
    ]
    .into();
    assert!(bodies[0].contains("1.0") && bodies[1].contains("1.1"), "{bodies:?}");
    assert!(bodies[2].contains("backup"), "{bodies:?}");
    open.close().await;
}

#[tokio::test]
async fn a_running_spool_begins_an_epoch_with_what_is_pending() {
    let dir = tempfile::tempdir().unwrap();
    let open = filled(dir.path(), 3).await;
    let old = open.spool.progress().borrow().epoch;
    let ack =
        Ack { epoch: old, upto: 2, missing: vec![], above: vec![], ids: None, rejected: vec![] };
    open.spool.acknowledge(ack.clone(), true).await.unwrap();
    open.spool.begin_epoch("the cloud is ahead".into(), Again::Pending).await.unwrap();
    // Of the old epoch: says nothing about the new numbers.
    open.spool.acknowledge(ack, false).await.unwrap();
    open.settle(2).await;
    assert_ne!(open.spool.progress().borrow().epoch, old);
    assert_eq!(open.all_pending().await, [1, 2]);
    open.close().await;
}

#[tokio::test]
async fn what_is_settled_beyond_a_gap_is_filed_and_stays_so() {
    let dir = tempfile::tempdir().unwrap();
    let open = filled(dir.path(), 6).await;
    let epoch = open.spool.progress().borrow().epoch;
    let ack =
        Ack { epoch, upto: 2, missing: vec![2], above: vec![(4, 5)], ids: None, rejected: vec![] };
    open.spool.acknowledge(ack.clone(), false).await.unwrap();
    open.settle(6).await;
    assert_eq!(open.all_pending().await, [2, 3, 6]);
    // The first word of a new connection puts back only what the cloud does not have.
    open.spool.acknowledge(ack, true).await.unwrap();
    assert_eq!(open.all_pending().await, [2, 3, 6]);
    let lost =
        Ack { epoch, upto: 1, missing: vec![], above: vec![(5, 5)], ids: None, rejected: vec![] };
    open.spool.acknowledge(lost, true).await.unwrap();
    assert_eq!(open.all_pending().await, [2, 3, 4, 6]);
    open.close().await;
}

#[tokio::test]
async fn another_gateways_documents_are_not_sent_as_ours() {
    let dir = tempfile::tempdir().unwrap();
    let owner = |gateway: &str| Owner {
        tenant: TenantId::new("t").unwrap(),
        gateway: GatewayId::new(gateway).unwrap(),
    };
    let (spool, writer) = Spool::open(dir.path(), Some(&owner("g-1")), &key()).await.unwrap();
    spool.commit(entry(1, 1)).await.unwrap();
    drop(spool);
    writer.await.unwrap().unwrap();
    let (spool, writer) = Spool::open(dir.path(), Some(&owner("g-2")), &key()).await.unwrap();
    spool.commit(entry(1, 0)).await.unwrap();
    assert_eq!(spool.state().await.unwrap().last_seq, 1);
    let body = spool.pending(1).await.unwrap().unwrap().body;
    assert!(body.contains("another gateway"), "{body}");
    drop(spool);
    writer.await.unwrap().unwrap();
}
