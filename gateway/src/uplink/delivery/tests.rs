//! A model of the cloud and of a bad network: whatever happens, in the end everything is filed.

use super::*;
use chiasm_proto::{Epoch, Rejection};
use proptest::prelude::*;
use uuid::Uuid;

fn ack(upto: Seq, missing: &[Seq], rejected: &[Seq]) -> Ack {
    let rejected = rejected
        .iter()
        .map(|seq| Rejection { seq: *seq, code: "malformed".into(), detail: String::new() })
        .collect();
    Ack {
        epoch: Epoch(Uuid::nil()),
        upto,
        missing: missing.to_vec(),
        above: vec![],
        ids: None,
        rejected,
    }
}

/// Spool, network and cloud around the machine.
struct World {
    delivery: Delivery,
    now: Instant,
    pending: BTreeSet<Seq>,
    last_seq: Seq,
    received: BTreeSet<Seq>,
    rejects: BTreeSet<Seq>,
    sends: Vec<Seq>,
    reconnects: usize,
}

impl World {
    fn new(backlog: Seq) -> Self {
        let now = Instant::now();
        Self {
            delivery: Delivery::new(now),
            now,
            pending: (1..=backlog).collect(),
            last_seq: backlog,
            received: BTreeSet::new(),
            rejects: BTreeSet::new(),
            sends: Vec::new(),
            reconnects: 0,
        }
    }

    fn commit(&mut self, count: u64) {
        let first = self.last_seq + 1;
        self.last_seq += count;
        self.pending.extend(first..=self.last_seq);
        self.delivery.committed(first, self.last_seq);
    }

    fn reconnect(&mut self) {
        self.reconnects += 1;
        self.delivery = Delivery::new(self.now);
    }

    /// Lets the machine act until it waits; each message is lost if `lost` says so.
    fn run(&mut self, mut lost: impl FnMut() -> bool) {
        for _ in 0..10_000 {
            match self.delivery.next(self.now) {
                Action::Send(seq) if self.pending.contains(&seq) => {
                    self.delivery.sent(seq, self.now);
                    self.sends.push(seq);
                    if !lost() {
                        self.received.insert(seq);
                    }
                }
                Action::Send(seq) => self.delivery.gone(seq),
                Action::LookUp { after, limit } => {
                    let found: Vec<Seq> =
                        self.pending.range(after + 1..).take(limit).copied().collect();
                    self.delivery.backlog(&found, limit);
                }
                Action::Reconnect => self.reconnect(),
                Action::Wait(_) => {
                    assert!(self.delivery.in_flight() <= WINDOW_MAX);
                    return;
                }
            }
        }
        panic!("the machine never waits");
    }

    fn acknowledge(&mut self) {
        let upto = self.received.last().copied().unwrap_or(0);
        let missing: Vec<Seq> =
            (1..=upto).filter(|seq| !self.received.contains(seq)).take(256).collect();
        let upto = match missing.len() {
            256 => missing[255],
            _ => upto,
        };
        let rejected: Vec<Seq> =
            self.rejects.iter().copied().filter(|seq| self.received.contains(seq)).collect();
        self.pending
            .retain(|seq| (*seq > upto || missing.contains(seq)) && !rejected.contains(seq));
        self.delivery.acknowledged(&ack(upto, &missing, &rejected), self.now);
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
    }
}

#[test]
fn live_goes_before_the_backlog() {
    let mut world = World::new(1000);
    world.acknowledge();
    world.run(|| false);
    assert_eq!(world.sends, (1..=48).collect::<Vec<_>>());
    world.commit(2);
    world.run(|| false);
    assert_eq!(world.sends[48..], [1001, 1002]);
}

#[test]
fn the_backlog_waits_for_the_clouds_first_word_but_not_for_long() {
    let mut world = World::new(3);
    world.run(|| false);
    assert!(world.sends.is_empty());
    assert_eq!(world.delivery.next(world.now), Action::Wait(Some(world.now + FIRST_ACK_WAIT)));
    world.pass(FIRST_ACK_WAIT);
    world.run(|| false);
    assert_eq!(world.sends, [1, 2, 3]);
}

#[test]
fn what_is_not_acknowledged_is_sent_again_and_then_the_connection_is_dropped() {
    let mut world = World::new(0);
    world.commit(1);
    world.run(|| true);
    world.pass(RESEND_AFTER);
    world.run(|| true);
    assert_eq!(world.sends, [1, 1]);
    world.pass(STUCK_AFTER - RESEND_AFTER);
    assert_eq!(world.delivery.next(world.now), Action::Reconnect);
}

#[test]
fn what_the_cloud_misses_is_sent_again_unless_it_is_on_its_way() {
    let mut world = World::new(0);
    world.commit(3);
    world.run(|| false);
    world.delivery.acknowledged(&ack(3, &[2], &[]), world.now);
    world.pending = [2].into();
    world.run(|| false);
    assert_eq!(world.sends, [1, 2, 3]);
    world.pass(MISSING_AFTER);
    world.delivery.acknowledged(&ack(3, &[2], &[]), world.now);
    assert_eq!(world.delivery.next(world.now), Action::Send(2));
}

#[test]
fn a_rejected_document_blocks_nothing() {
    let mut world = World::new(0);
    world.rejects.insert(1);
    world.commit(2);
    world.run(|| false);
    world.acknowledge();
    assert_eq!(world.delivery.in_flight(), 0);
    assert_eq!(world.pending.len(), 0);
}

#[derive(Debug, Clone)]
enum Step {
    Commit(u8),
    Run { lost_per_16: u8 },
    Acknowledge,
    Reconnect,
    Pass { ms: u16 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (1u8..40).prop_map(Step::Commit),
        (0u8..16).prop_map(|lost_per_16| Step::Run { lost_per_16 }),
        Just(Step::Acknowledge),
        Just(Step::Reconnect),
        (1u16..20_000).prop_map(|ms| Step::Pass { ms }),
    ]
}

proptest! {
    #[test]
    fn everything_is_filed_in_the_end(
        backlog in 0u64..300,
        rejects in proptest::collection::btree_set(1u64..200, 0..5),
        steps in proptest::collection::vec(step(), 0..60),
        mut luck in any::<u32>(),
    ) {
        let mut world = World::new(backlog);
        world.rejects = rejects;
        for step in steps {
            match step {
                Step::Commit(count) => world.commit(count.into()),
                Step::Run { lost_per_16 } => world.run(|| {
                    luck = luck.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (luck >> 28) < u32::from(lost_per_16)
                }),
                Step::Acknowledge => world.acknowledge(),
                Step::Reconnect => world.reconnect(),
                Step::Pass { ms } => world.pass(Duration::from_millis(ms.into())),
            }
        }
        // The network is good again.
        for _ in 0..200 {
            world.run(|| false);
            world.acknowledge();
            world.pass(Duration::from_secs(3));
        }
        prop_assert!(world.pending.is_empty(), "left: {:?}", world.pending);
        prop_assert_eq!(world.delivery.in_flight(), 0);
    }

    #[test]
    fn without_faults_nothing_is_sent_twice(backlog in 0u64..500, live in 0u64..1500) {
        let mut world = World::new(backlog);
        world.acknowledge();
        world.commit(live);
        while !world.pending.is_empty() {
            let before = world.sends.len();
            world.run(|| false);
            world.acknowledge();
            prop_assert!(world.sends.len() > before || world.pending.is_empty(), "it hangs");
        }
        let unique: BTreeSet<Seq> = world.sends.iter().copied().collect();
        prop_assert_eq!(unique.len(), world.sends.len());
        prop_assert_eq!(unique.len() as u64, backlog + live);
    }
}

#[test]
fn a_live_document_is_settled_over_a_long_backlog() {
    let mut delivery = Delivery::new(Instant::now());
    let now = delivery.connected_at;
    delivery.acknowledged(&ack(0, &[], &[]), now);
    delivery.committed(5000, 5000);
    assert_eq!(delivery.next(now), Action::Send(5000));
    delivery.sent(5000, now);
    delivery.acknowledged(&Ack { above: vec![(5000, 5000)], ..ack(0, &[], &[]) }, now);
    assert_eq!(delivery.in_flight(), 0);
}
