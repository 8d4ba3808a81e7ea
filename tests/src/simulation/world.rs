//! People, instruments, faults and time.

use super::{
    Outcome, Print,
    cloud::{Cloud, Session, Up},
    gateway::{Connection, Gateway, State},
    oracle::{self, Excuses},
    pipe::{Down, Message, Pipe, Weather},
};
use chiasm_gateway::uplink::delivery::{Action, Delivery};
use chiasm_proto::{ClockState, Epoch, LaneSessionId};
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

const SECOND_US: i64 = 1_000_000;
/// 2026-12-01T08:00:00Z.
const BEGIN_US: i64 = 1_796_112_000 * SECOND_US;
/// How long faults go on.
const TROUBLE_US: i64 = 40 * 60 * SECOND_US;
/// When everything works again, all has to be filed within this time.
const HEALED_US_MAX: i64 = 20 * 60 * SECOND_US;
/// As in the product.
const BIRTH_AGAIN_US: i64 = 10 * SECOND_US;
/// Nobody measures so shortly after a change of patients.
const SETTLE_US: i64 = 2 * SECOND_US;
const STEPS_MAX: u64 = 2_000_000;

struct World {
    rng: StdRng,
    now_us: i64,
    origin: Instant,
    gateways: Vec<Gateway>,
    cut_off: Vec<bool>,
    cloud: Cloud,
    pipe: Pipe,
    prints: Vec<Print>,
    /// Who sits in each lane, and since when.
    seated: Vec<(Option<u64>, i64)>,
    /// When each lane had its last print.
    printed_us: Vec<i64>,
    excuses: Excuses,
    faults: BTreeMap<&'static str, u64>,
    ids: u64,
    /// Which faults this schedule has, so that schedules differ in kind.
    kinds: Vec<Fault>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    GatewayKilled,
    PowerLost,
    DiskLied,
    SpoolDamaged,
    SpoolRestored,
    DiskFull,
    ClockJumped,
    CutOff,
    BadWeather,
    BrokerForgot,
    CloudKilled,
    AnswersLost,
    DatabaseAway,
    CloudRestored,
}

const FAULTS: [(Fault, &str); 14] = [
    (Fault::GatewayKilled, "gateway killed"),
    (Fault::PowerLost, "gateway lost power"),
    (Fault::DiskLied, "gateway's disk lied"),
    (Fault::SpoolDamaged, "spool damaged"),
    (Fault::SpoolRestored, "spool restored from a copy"),
    (Fault::DiskFull, "gateway's disk full"),
    (Fault::ClockJumped, "clock jumped"),
    (Fault::CutOff, "network cut"),
    (Fault::BadWeather, "loss, doubling, reordering"),
    (Fault::BrokerForgot, "broker forgot everything"),
    (Fault::CloudKilled, "cloud killed"),
    (Fault::AnswersLost, "cloud killed after its commit"),
    (Fault::DatabaseAway, "database failed over"),
    (Fault::CloudRestored, "cloud restored from a backup"),
];

/// Runs one schedule. The error says what does not hold.
pub fn run(seed: u64) -> Result<Outcome, String> {
    let mut world = World::new(seed);
    let end_us = world.now_us + TROUBLE_US;
    let mut steps = 0;
    while world.now_us < end_us {
        world.people();
        world.maybe_fault();
        world.step();
        steps += 1;
        if steps > STEPS_MAX {
            return Err("the schedule does not end".into());
        }
    }
    world.heal();
    let limit_us = world.now_us + HEALED_US_MAX;
    while !world.is_quiet() {
        world.step();
        if world.now_us > limit_us {
            return Err(world.stuck());
        }
    }
    let judged = oracle::judge(&world.prints, &world.gateways, &world.cloud, &world.excuses);
    let mut outcome = judged.map_err(|wrong| format!("{wrong}\nfaults: {:?}", world.faults))?;
    outcome.faults = world.faults;
    Ok(outcome)
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut kinds: Vec<Fault> = FAULTS.iter().map(|(fault, _)| *fault).collect();
        kinds.retain(|_| rng.random_bool(0.4));
        let count = rng.random_range(1..=3);
        let mut lanes = 0;
        let gateways: Vec<Gateway> = (0..count)
            .map(|_| {
                let own = rng.random_range(1..=2);
                lanes += own;
                Gateway::new((lanes - own..lanes).collect(), kinds.contains(&Fault::DiskLied))
            })
            .collect();
        Self {
            now_us: BEGIN_US,
            origin: Instant::now(),
            cut_off: vec![false; gateways.len()],
            gateways,
            cloud: Cloud::running(),
            pipe: Pipe::default(),
            prints: Vec::new(),
            seated: vec![(None, BEGIN_US); lanes],
            printed_us: vec![BEGIN_US; lanes],
            excuses: Excuses::default(),
            faults: BTreeMap::new(),
            ids: 0,
            kinds,
            rng,
        }
    }

    fn instant(&self) -> Instant {
        let passed_us = u64::try_from(self.now_us - BEGIN_US).expect("time goes on");
        self.origin + Duration::from_micros(passed_us)
    }

    fn id(&mut self) -> u64 {
        self.ids += 1;
        self.ids
    }

    /// Patients come and go, and are measured.
    fn people(&mut self) {
        let lane = self.rng.random_range(0..self.seated.len());
        match self.rng.random_range(0..100) {
            0..6 if self.cloud.is_up && self.cloud.is_database_up => self.change_patient(lane),
            6..40 => self.print(lane),
            _ => {}
        }
    }

    fn change_patient(&mut self, lane: usize) {
        if self.now_us - self.printed_us[lane] < SETTLE_US {
            return;
        }
        let (database, now_us) = (&mut self.cloud.database, self.now_us);
        database.close(lane, now_us);
        let patient = self.rng.random_bool(0.8).then(|| self.id());
        if let Some(patient) = patient {
            let id = LaneSessionId(uuid::Uuid::from_u128(self.id().into()));
            let session = Session { id, lane, patient, opened_at_us: now_us, closed_at_us: None };
            self.cloud.database.sessions.push(session);
        }
        self.seated[lane] = (patient, now_us);
        let gateway = self.gateways.iter().position(|it| it.lanes.contains(&lane));
        if let Some(gateway) = gateway {
            self.tell_sessions(gateway);
        }
    }

    fn tell_sessions(&mut self, gateway: usize) {
        let sessions = self.cloud.database.sessions_of(&self.gateways[gateway].lanes);
        let Some(connection) = self.gateways[gateway].connection.as_ref() else { return };
        let to = (gateway, connection.id);
        self.pipe.send(&mut self.rng, self.now_us, to, || {
            Message::Down(Down::Sessions(sessions.clone()))
        });
    }

    fn print(&mut self, lane: usize) {
        let (patient, since_us) = self.seated[lane];
        if self.now_us - since_us < SETTLE_US {
            return;
        }
        let id = self.id();
        let claimed = match self.rng.random_range(0..10) {
            0..3 => patient,
            // What was typed for somebody else still stands on the instrument.
            3 => Some(id + 1_000_000),
            _ => None,
        };
        let print = Print { id, lane, patient, claimed };
        let gateway = self.gateways.iter_mut().find(|it| it.lanes.contains(&lane));
        let Some(gateway) = gateway.filter(|it| it.is_up && !it.is_disk_full) else { return };
        let captured_at_us = self.now_us + gateway.clock_offset_us;
        gateway.journal.push((print, captured_at_us, gateway.clock));
        self.prints.push(print);
        self.printed_us[lane] = self.now_us;
    }

    fn maybe_fault(&mut self) {
        if self.kinds.is_empty() || !self.rng.random_bool(0.04) {
            return;
        }
        let fault = self.kinds[self.rng.random_range(0..self.kinds.len())];
        let gateway = self.rng.random_range(0..self.gateways.len());
        if self.inject(fault, gateway) {
            let name = FAULTS.iter().find(|(it, _)| *it == fault).expect("every fault has a name");
            *self.faults.entry(name.1).or_default() += 1;
        }
    }

    /// False if it does not apply at the moment.
    fn inject(&mut self, fault: Fault, number: usize) -> bool {
        let coin = self.rng.random_bool(0.5);
        let gateway = &mut self.gateways[number];
        match fault {
            Fault::GatewayKilled => {
                self.pipe.forget(number);
                gateway.restart();
            }
            Fault::PowerLost => {
                let gone = gateway.lose_power();
                self.excuses.unshown.extend(gone.iter().map(|print| print.id));
                gateway.restart();
            }
            Fault::DiskLied => {
                self.excuses.may_disk_forget = true;
                gateway.forget_commits(self.rng.random_range(1..=3));
                gateway.restart();
            }
            Fault::SpoolDamaged => {
                gateway.damage();
                gateway.restart();
            }
            Fault::SpoolRestored if coin => gateway.backup = Some(gateway.spool.clone()),
            Fault::SpoolRestored => {
                if !gateway.restore_backup() {
                    return false;
                }
                self.excuses.may_disk_forget = true;
                gateway.restart();
            }
            Fault::DiskFull => gateway.is_disk_full = !gateway.is_disk_full,
            Fault::ClockJumped if gateway.clock == ClockState::Synced => {
                gateway.clock = ClockState::Unsynced;
                gateway.clock_offset_us = self.rng.random_range(-7200..7200) * SECOND_US;
            }
            Fault::ClockJumped => {
                gateway.clock = ClockState::Synced;
                gateway.clock_offset_us = self.rng.random_range(-500_000..500_000);
            }
            Fault::CutOff => {
                self.cut_off[number] = !self.cut_off[number];
                self.pipe.forget(number);
            }
            Fault::BadWeather if coin => self.pipe.weather = Weather::default(),
            Fault::BadWeather => {
                self.pipe.weather = Weather {
                    loss: self.rng.random_range(0..400),
                    doubling: self.rng.random_range(0..300),
                    delay_ms_max: self.rng.random_range(0..5000),
                };
            }
            Fault::BrokerForgot => self.drop_connections(),
            Fault::CloudKilled if self.cloud.is_up => {
                self.cloud.kill();
                self.drop_connections();
            }
            Fault::CloudKilled => self.cloud.is_up = true,
            Fault::AnswersLost => {
                drop(self.cloud.commit());
                self.cloud.kill();
                self.cloud.is_up = true;
                self.drop_connections();
            }
            Fault::DatabaseAway => self.cloud.is_database_up = !self.cloud.is_database_up,
            Fault::CloudRestored if coin || !self.cloud.is_up => {
                self.cloud.backup = Some((self.cloud.database.clone(), self.now_us));
            }
            Fault::CloudRestored => {
                if !self.cloud.restore_backup() {
                    return false;
                }
                // Nobody sits anywhere until a person says so again.
                self.seated.fill((None, self.now_us));
                self.drop_connections();
            }
        }
        true
    }

    /// The embedded broker goes with the cloud; an external one may forget what it holds.
    fn drop_connections(&mut self) {
        self.pipe.forget_all();
        for gateway in &mut self.gateways {
            gateway.connection = None;
        }
    }

    fn heal(&mut self) {
        self.cut_off.fill(false);
        self.pipe.weather = Weather::default();
        self.cloud.is_up = true;
        self.cloud.is_database_up = true;
        for gateway in &mut self.gateways {
            gateway.is_disk_full = false;
            gateway.clock = ClockState::Synced;
            gateway.clock_offset_us = 0;
        }
    }

    /// A little time passes, and everybody does what is due.
    fn step(&mut self) {
        let until_us = self.now_us + self.rng.random_range(1..=2 * SECOND_US);
        let next_us = self.pipe.next_us().unwrap_or(until_us).max(self.now_us + 1);
        self.now_us = until_us.min(next_us);
        for (gateway, connection, message) in self.pipe.arrived(self.now_us) {
            if self.cut_off[gateway] {
                continue;
            }
            match message {
                Message::Up(up) => self.cloud.take(gateway, up),
                Message::Down(down) => self.take_down(gateway, connection, down),
            }
        }
        for (gateway, ack, is_birth) in self.cloud.commit() {
            let Some(connection) = self.gateways[gateway].connection.as_ref() else { continue };
            let to = (gateway, connection.id);
            self.pipe
                .send(&mut self.rng, self.now_us, to, || Message::Down(Down::Ack(ack.clone())));
            if is_birth {
                self.tell_sessions(gateway);
            }
        }
        for number in 0..self.gateways.len() {
            self.gateways[number].file_journal();
            self.connect(number);
            self.birth_again(number);
            self.deliver(number);
        }
    }

    fn connect(&mut self, number: usize) {
        if self.gateways[number].connection.is_some()
            || self.cut_off[number]
            || !self.cloud.is_up
            || !self.gateways[number].is_up
        {
            return;
        }
        let (id, now) = (self.id(), self.instant());
        let gateway = &mut self.gateways[number];
        let (epoch, told) = (gateway.spool.epoch, gateway.spool.last_seq);
        let delivery = Delivery::new(now);
        let born_at_us = self.now_us;
        gateway.connection = Some(Connection { id, delivery, epoch, told, born_at_us });
        self.publish_birth(number, id, epoch);
    }

    fn publish_birth(&mut self, gateway: usize, connection: u64, epoch: Epoch) {
        self.pipe.send(&mut self.rng, self.now_us, (gateway, connection), || {
            Message::Up(Up::Birth { epoch })
        });
    }

    fn birth_again(&mut self, number: usize) {
        let Some(connection) = self.gateways[number].connection.as_mut() else { return };
        let is_due = self.now_us - connection.born_at_us > BIRTH_AGAIN_US;
        if is_due && !connection.delivery.has_first_ack() {
            connection.born_at_us = self.now_us;
            let (id, epoch) = (connection.id, connection.epoch);
            self.publish_birth(number, id, epoch);
        }
    }

    fn take_down(&mut self, number: usize, connection: u64, down: Down) {
        let now = self.instant();
        let gateway = &mut self.gateways[number];
        let Some(current) = gateway.connection.as_mut().filter(|it| it.id == connection) else {
            return;
        };
        match down {
            Down::Sessions(sessions) => gateway.sessions(sessions),
            Down::Ack(ack) if ack.epoch == gateway.spool.epoch && !gateway.is_disk_full => {
                let is_first = !current.delivery.has_first_ack();
                current.delivery.acknowledged(&ack, now);
                if !gateway.acknowledge(&ack, is_first) {
                    gateway.connection = None;
                }
            }
            Down::Ack(_) => {}
        }
    }

    fn deliver(&mut self, number: usize) {
        let now = self.instant();
        let gateway = &mut self.gateways[number];
        let Some(connection) = gateway.connection.as_mut() else { return };
        let spool = &gateway.spool;
        if spool.epoch != connection.epoch {
            gateway.connection = None;
            return;
        }
        if spool.last_seq > connection.told {
            connection.delivery.committed(connection.told + 1, spool.last_seq);
            connection.told = spool.last_seq;
        }
        let (id, epoch) = (connection.id, connection.epoch);
        loop {
            match connection.delivery.next(now) {
                Action::Wait(_) => return,
                Action::Reconnect => {
                    gateway.connection = None;
                    return;
                }
                Action::LookUp { after, limit } => {
                    let found: Vec<_> =
                        spool.pending().filter(|seq| *seq > after).take(limit).collect();
                    connection.delivery.backlog(&found, limit);
                }
                Action::Send(seq) => match spool.documents.get(&seq) {
                    Some(document) if document.state == State::Pending => {
                        connection.delivery.sent(seq, now);
                        self.pipe.send(&mut self.rng, self.now_us, (number, id), || {
                            let document = document.clone();
                            Message::Up(Up::Reading { epoch, seq, document })
                        });
                    }
                    _ => connection.delivery.gone(seq),
                },
            }
        }
    }

    fn is_quiet(&self) -> bool {
        self.gateways.iter().all(|gateway| {
            let consumed = usize::try_from(gateway.spool.consumed).unwrap_or(usize::MAX);
            gateway.spool.pending().next().is_none()
                && consumed >= gateway.journal.len()
                && gateway.connection.as_ref().is_some_and(|it| it.delivery.has_first_ack())
        })
    }

    fn stuck(&self) -> String {
        let left: Vec<usize> =
            self.gateways.iter().map(|gateway| gateway.spool.pending().count()).collect();
        format!("not all is filed {HEALED_US_MAX} us after the last fault; pending: {left:?}")
    }
}
