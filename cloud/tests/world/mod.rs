//! A small practice with people, a schedule and readings as instruments send them, for tests of the
//! pages and for looking at them.
#![allow(dead_code, reason = "each test uses its part")]

pub mod carry;
pub mod dicom;
pub mod gateways;
pub mod images;
pub mod oct;
pub mod past;
pub mod readings;

use chiasm_cloud::{
    Core,
    app::{
        accept, import_schedule, password,
        prescribe::{self, Kind},
        principal::{Principal, Role},
        reject, session, sign,
        work::Work,
    },
    args,
    config::Config,
    store::{Db, account, encounter, fleet, parse_failure, report},
};
use chiasm_proto::{
    Body, Capture, ClockState, Decoded, DriverRef, Envelope, Epoch, GatewayId, LaneId, LinkId, Raw,
    Reading, ReadingId, TenantId,
};
use jiff::{Timestamp, tz::TimeZone};
use std::{collections::BTreeMap, path::Path};
use uuid::Uuid;

pub const PASSWORD: &str = "a password for tests";
pub const TENANT: &str = "lakeside";
pub const OTHER: &str = "elsewhere";

pub struct World {
    pub core: Core,
    pub now_us: i64,
    seq: i64,
    epoch: Epoch,
}

/// Where a reading is put, as placement would.
pub struct Put<'a> {
    pub lane: &'a str,
    pub place: &'a str,
    pub reason: &'a str,
    pub encounter: Option<&'a str>,
    pub ago_s: i64,
    pub sent_count: i64,
}

impl World {
    pub async fn new(url: &str, data_dir: &Path) -> Self {
        let db = Db::open(url).await.unwrap();
        db.migrate().await.unwrap();
        let text = format!("data_dir = {:?}", data_dir);
        let config = Config::parse(Path::new("cloud.toml"), &text).unwrap();
        let now_us = Timestamp::now().as_microsecond();
        let epoch = Epoch(Uuid::now_v7());
        let mut world = Self { core: Core::new(db, config).unwrap(), now_us, seq: 0, epoch };
        world.seed().await;
        world
    }

    /// Bytes that a link's driver could not read; gives the document that holds them.
    pub async fn unread(&mut self, link: &str, driver: &str, bytes: &[u8]) -> String {
        self.seq += 1;
        let id = ReadingId(Uuid::now_v7());
        let capture = Capture {
            link: LinkId::new(link).unwrap(),
            lane: LaneId::new("lane-1").unwrap(),
            driver: Some(DriverRef { id: driver.into(), version: "1".into() }),
            code: "noise".into(),
            detail: "DOE_JANE.xml begins with something unknown".into(),
            offset: Some(0),
            clock: ClockState::Synced,
            raw: Raw::new(bytes.to_vec()),
        };
        let envelope = Envelope::new(
            (&TenantId::new(TENANT).unwrap(), &GatewayId::new("gw-main").unwrap()),
            (self.epoch, self.seq.unsigned_abs()),
            id,
            Timestamp::from_microsecond(self.now_us).unwrap(),
            Body::Capture(capture),
        );
        let json = serde_json::to_string(&envelope).unwrap();
        let mut tx = self.core.db.tenant(TENANT).await.unwrap();
        tx.execute(
            "INSERT INTO document (tenant_id, gateway_id, epoch, seq, document_id, kind, sha256,
                captured_at_us, received_at_us, body)
             VALUES ($1, 'gw-main', $2, $3, $4, 'capture', $5, $6, $6, $7)",
            args![
                TENANT,
                self.epoch.to_string(),
                self.seq,
                id.to_string(),
                "0".repeat(64),
                self.now_us,
                json
            ],
        )
        .await
        .unwrap();
        let failure = parse_failure::NewFailure {
            document_id: &id.to_string(),
            gateway_id: "gw-main",
            link_id: link,
            driver: Some(&DriverRef { id: driver.into(), version: "1".into() }),
            code: "noise",
            first_byte: Some(0),
            captured_at_us: self.now_us,
        };
        parse_failure::add(&mut tx, TENANT, failure).await.unwrap();
        tx.commit().await.unwrap();
        id.to_string()
    }

    async fn seed(&mut self) {
        for (tenant, name) in [(TENANT, "Lakeside Eye Care"), (OTHER, "Elsewhere Optometry")] {
            let mut tx = self.core.db.tenant(tenant).await.unwrap();
            fleet::put_tenant(&mut tx, tenant, name, self.now_us).await.unwrap();
            let zone = "America/New_York";
            fleet::put_location(&mut tx, tenant, "main", "Main Street", zone).await.unwrap();
            for (lane, name) in [("lane-1", "Lane 1"), ("lane-2", "Lane 2"), ("lane-3", "Lane 3")] {
                fleet::put_lane(&mut tx, tenant, lane, "main", name).await.unwrap();
            }
            let gateway = "Main Street gateway";
            fleet::put_gateway(&mut tx, tenant, "gw-main", "main", gateway, self.now_us)
                .await
                .unwrap();
            tx.commit().await.unwrap();
        }
        let hash = password::hash(PASSWORD).unwrap();
        let people = [
            (TENANT, "ana", "Ana Ruiz", "technician"),
            (TENANT, "okafor", "Dr. Okafor", "doctor"),
            (TENANT, "nils", "Nils Aalto", "optician"),
            (TENANT, "it", "Sam Lee", "clinic_it"),
            (TENANT, "staff", "Kim Berg", "cloud_staff"),
            (OTHER, "bea", "Bea Lindt", "technician"),
            (OTHER, "theo", "Theo Grund", "clinic_it"),
        ];
        for (tenant, login, name, role) in people {
            let mut tx = self.core.db.tenant(tenant).await.unwrap();
            let account = account::Account {
                tenant_id: tenant.into(),
                account_id: format!("{tenant}-{login}"),
                login: login.into(),
                display_name: name.into(),
                role: role.into(),
                password_hash: hash.clone(),
            };
            assert!(account::insert(&mut tx, &account, self.now_us).await.unwrap());
            tx.commit().await.unwrap();
        }
    }

    /// Files a reading as ingest would, with its document.
    pub async fn file(&mut self, tenant: &str, decoded: Decoded, put: Put<'_>) -> String {
        let driver = DriverRef {
            id: format!("{}-serial", decoded.instrument.vendor.to_lowercase()),
            version: "1".into(),
        };
        let raw = readings::raw_of(&decoded.instrument.model);
        self.file_as(tenant, decoded, (driver, raw), put).await
    }

    /// The same as one driver has read it in these bytes.
    pub async fn file_as(
        &mut self,
        tenant: &str,
        decoded: Decoded,
        (driver, raw): (DriverRef, Vec<u8>),
        put: Put<'_>,
    ) -> String {
        self.seq += 1;
        let at_us = self.now_us - put.ago_s * 1_000_000;
        let id = ReadingId(Uuid::now_v7());
        let content = decoded.content_sha256().to_string();
        let claimed = decoded.claimed_patient.as_ref().map(|claimed| claimed.id.clone());
        let needs_a_look = decoded.flags.iter().any(|flag| flag.code.needs_a_look());
        let (vendor, model) = (decoded.instrument.vendor.clone(), decoded.instrument.model.clone());
        let link = model.to_lowercase().replace(|char: char| !char.is_ascii_alphanumeric(), "-");
        let raw = Raw::new(raw);
        let reading = Reading {
            link: LinkId::new(link.clone()).unwrap(),
            lane: LaneId::new(put.lane).unwrap(),
            lane_session: None,
            is_lane_empty: false,
            clock: ClockState::Synced,
            driver,
            decoded,
            raw,
        };
        let names = (TenantId::new(tenant).unwrap(), GatewayId::new("gw-main").unwrap());
        let time = Timestamp::from_microsecond(at_us).unwrap();
        let number = (self.epoch, self.seq as u64);
        let body = Body::Reading(Box::new(reading));
        let envelope = Envelope::new((&names.0, &names.1), number, id, time, body);
        let json = serde_json::to_string(&envelope).unwrap();
        let mut tx = self.core.db.tenant(tenant).await.unwrap();
        tx.execute(
            "INSERT INTO document (tenant_id, gateway_id, epoch, seq, document_id, kind, sha256,
                captured_at_us, received_at_us, body)
             VALUES ($1, 'gw-main', $2, $3, $4, 'reading', $5, $6, $7, $8)",
            args![
                tenant,
                self.epoch.to_string(),
                self.seq,
                id.to_string(),
                "0".repeat(64),
                at_us,
                at_us + 400_000,
                json,
            ],
        )
        .await
        .unwrap();
        tx.execute(
            "INSERT INTO reading (tenant_id, reading_id, gateway_id, epoch, seq, location_id,
                lane_id, link_id, vendor, model, content_sha256, captured_at_us, received_at_us,
                claimed_patient, place, reason, encounter_id, needs_a_look, sent_count)
             VALUES ($1, $2, 'gw-main', $3, $4, 'main', $5, $6, $7, $8, $9, $10, $11, $12, $13,
                $14, $15, $16, $17)",
            args![
                tenant,
                id.to_string(),
                self.epoch.to_string(),
                self.seq,
                put.lane,
                link,
                vendor,
                model,
                content,
                at_us,
                at_us + 400_000,
                claimed,
                put.place,
                put.reason,
                put.encounter,
                needs_a_look,
                put.sent_count,
            ],
        )
        .await
        .unwrap();
        let mut stale = report::Stale::default();
        stale.add("main", at_us);
        report::mark(&mut tx, tenant, &stale).await.unwrap();
        tx.commit().await.unwrap();
        id.to_string()
    }
}

impl World {
    /// Gives a patient the birth date of another.
    pub async fn same_birth_date(&self, patient: &str, of: &str) {
        let mut tx = self.core.db.tenant(TENANT).await.unwrap();
        let sql = "UPDATE patient SET birth_date = (SELECT p.birth_date FROM patient p
                WHERE p.tenant_id = $1 AND p.patient_id = $3)
            WHERE tenant_id = $1 AND patient_id = $2";
        tx.execute(sql, args![TENANT, patient, of]).await.unwrap();
        tx.commit().await.unwrap();
    }
    /// A reading that waits and whose data names a chart.
    pub async fn waiting_reading(&self, claimed: &str) -> String {
        let mut tx = self.core.db.tenant_read(TENANT).await.unwrap();
        let sql = "SELECT reading_id FROM reading WHERE tenant_id = $1 AND claimed_patient = $2
            AND place = 'held'";
        let (id,): (String,) = tx.fetch_one(sql, args![TENANT, claimed]).await.unwrap();
        id
    }
}

/// A principal as the guard would find it.
pub fn who(tenant: &str, login: &str, role: Role) -> Principal {
    Principal {
        tenant: tenant.into(),
        account: format!("{tenant}-{login}"),
        name: login.into(),
        role,
        csrf_token: String::new(),
        address: String::new(),
        must_change_password: false,
        token_sha256: String::new(),
    }
}

impl World {
    pub async fn work(&self) -> Work {
        let now_us = Timestamp::now().as_microsecond();
        Work::begin(&self.core, &who(TENANT, "ana", Role::Technician), now_us).await.unwrap()
    }

    /// Today's schedule; gives the encounters by chart number.
    pub async fn schedule(&mut self, tenant: &str) -> BTreeMap<String, String> {
        let zone = TimeZone::get("America/New_York").unwrap();
        let now = Timestamp::from_microsecond(self.now_us).unwrap().to_zoned(zone);
        let today = now.date();
        let patients = [
            ("A-10482", "Okonkwo", "Ngozi", "1961-03-04", "09:00", "Annual exam"),
            ("A-10977", "Bergström", "Lars", "1948-12-30", "09:20", "Glaucoma follow-up"),
            ("A-11203", "O'Neill", "Siobhán", "1992-07-19", "09:40", "Contact lens fitting"),
            ("A-11317", "Nguyen", "Thi Mai", "2016-05-02", "10:00", "School screening"),
            ("A-11390", "García Márquez", "Lucía", "1975-10-11", "10:20", "Annual exam"),
            ("A-11452", "Abdullah", "Yusuf", "1983-01-25", "10:40", "Blurred vision, right eye"),
            ("A-11460", "Kowalska", "Zofia", "1957-08-08", "11:00", "Cataract assessment"),
            ("A-11502", "Smith", "Jordan", "2001-02-14", "11:20", "New glasses"),
        ];
        let mut csv = "appointment_key,location,scheduled_at,chart_number,family_name,given_name,\
            birth_date,reason\n"
            .to_owned();
        for (index, (chart, family, given, born, time, reason)) in patients.iter().enumerate() {
            csv.push_str(&format!(
                "{today}-{index},main,{today}T{time},{chart},{family},{given},{born},\"{reason}\"\n"
            ));
        }
        let principal = who(tenant, "it", Role::ClinicIt);
        let mut work = Work::begin(&self.core, &principal, self.now_us).await.unwrap();
        let imported = import_schedule::import(&mut work, &csv).await.unwrap();
        assert_eq!(imported.faults, []);
        work.commit().await.unwrap();
        let mut tx = self.core.db.tenant_read(tenant).await.unwrap();
        let day = encounter::of_day(&mut tx, tenant, "main", &today.to_string()).await.unwrap();
        day.into_iter().map(|it| (it.chart_number, it.encounter_id)).collect()
    }

    /// A morning as it looks in the middle: one exam under way, things that wait, a fleet.
    pub async fn day(&mut self) -> BTreeMap<String, String> {
        let visits = self.schedule(TENANT).await;
        let lars = visits["A-10977"].as_str();
        let mut work = self.work().await;
        session::open(&mut work, "lane-1", lars).await.unwrap();
        work.commit().await.unwrap();
        let exam = |ago_s, sent_count| Put {
            lane: "lane-1",
            place: "exam",
            reason: "the lane session of lane 1",
            encounter: Some(lars),
            ago_s,
            sent_count,
        };
        let lens = self.file(TENANT, readings::lensmeter(), exam(560, 2)).await;
        self.file(TENANT, readings::ark_low(), exam(420, 1)).await;
        self.file(TENANT, readings::ark(), exam(330, 1)).await;
        self.file(TENANT, readings::tonometer(), exam(95, 1)).await;
        let mut work = self.work().await;
        accept::accept(&mut work, lars, &lens, None).await.unwrap();
        work.commit().await.unwrap();
        let waits = |lane, place, reason, ago_s| Put {
            lane,
            place,
            reason,
            encounter: None,
            ago_s,
            sent_count: 1,
        };
        let no_session = "no session was open in the lane";
        self.file(TENANT, readings::tonometer(), waits("lane-1", "tray", no_session, 42)).await;
        self.file(TENANT, readings::lensmeter(), waits("lane-2", "tray", no_session, 130)).await;
        let old = "it waited 15 minutes in the tray of lane 2";
        self.file(TENANT, readings::ark_low(), waits("lane-2", "inbox", old, 2_900)).await;
        let differs = "the id in the data is not that of the patient in the lane";
        let held = waits("lane-1", "held", differs, 610);
        self.file(TENANT, readings::with_id("A-11203"), held).await;
        self.fleet().await;
        visits
    }

    /// One visit whose exam is signed, with what doctors write.
    pub async fn signed(&mut self, visits: &BTreeMap<String, String>) {
        let siobhan = visits["A-11203"].as_str();
        let exam = |ago_s| Put {
            lane: "lane-2",
            place: "exam",
            reason: "the lane session of lane 2",
            encounter: Some(siobhan),
            ago_s,
            sent_count: 1,
        };
        let lens = self.file(TENANT, readings::lensmeter(), exam(3_000)).await;
        let ark = self.file(TENANT, readings::ark(), exam(2_900)).await;
        self.file(TENANT, readings::tonometer(), exam(2_700)).await;
        let mut work = self.work().await;
        for reading in [&lens, &ark] {
            accept::accept(&mut work, siobhan, reading, None).await.unwrap();
        }
        work.commit().await.unwrap();
        let doctor = Principal { name: "Dr. Okafor".into(), ..who(TENANT, "okafor", Role::Doctor) };
        let begin = async || Work::begin(&self.core, &doctor, self.now_us).await.unwrap();
        let draft = |fields: &[(&str, &str)]| {
            fields.iter().map(|(name, text)| ((*name).into(), (*text).into())).collect()
        };
        let acuity = draft(&[
            ("unaided_far_right", "20/400"),
            ("unaided_far_left", "20/300"),
            ("wearing_far_right", "20/25"),
            ("wearing_far_left", "20/20-2"),
            ("wearing_far_both", "20/20"),
        ]);
        let rx = draft(&[
            ("right_sphere", "-4.00"),
            ("right_cylinder", "-0.75"),
            ("right_axis", "178"),
            ("right_add", "2.00"),
            ("right_prism_horizontal", "1.00"),
            ("right_base_horizontal", "in"),
            ("right_acuity", "20/20"),
            ("left_sphere", "-3.50"),
            ("left_cylinder", "-1.25"),
            ("left_axis", "4"),
            ("left_add", "2.00"),
            ("left_acuity", "20/20-1"),
            ("both_acuity", "20/15"),
            ("vertex_distance_mm", "12"),
        ]);
        let mut work = begin().await;
        prescribe::save(&mut work, siobhan, Kind::Acuity, &acuity, 0).await.unwrap();
        prescribe::save(&mut work, siobhan, Kind::Subjective, &rx, 0).await.unwrap();
        prescribe::finalise(&mut work, siobhan, 0).await.unwrap();
        let zone = TimeZone::get("America/New_York").unwrap();
        let content = sign::content(&mut work.tx, TENANT, siobhan, &zone).await.unwrap();
        sign::sign(&mut work, siobhan, &content.digest()).await.unwrap();
        work.commit().await.unwrap();
        let mut work = self.work().await;
        let why = ("the frame was held the wrong way round", None);
        reject::reject_in_exam(&mut work, siobhan, &lens, why).await.unwrap();
        work.commit().await.unwrap();
    }
}

impl World {
    /// Three gateways: one that works, one that lost its connection, one that never came.
    async fn fleet(&mut self) {
        let mut tx = self.core.db.tenant(TENANT).await.unwrap();
        for (id, name) in [("gw-annex", "Annex gateway"), ("gw-spare", "Spare in the cupboard")] {
            fleet::put_gateway(&mut tx, TENANT, id, "main", name, self.now_us).await.unwrap();
        }
        let at = |ago_s: i64| self.now_us - ago_s * 1_000_000;
        for (id, status, ago_s, depth) in
            [("gw-main", "online", 7, 0), ("gw-annex", "lost", 4_210, 6)]
        {
            let telemetry = readings::telemetry(self.epoch, self.seq as u64, at(ago_s), depth);
            tx.execute(
                "UPDATE gateway SET status = $3, status_at_us = $4, telemetry = $5,
                    telemetry_at_us = $4, enrolled_at_us = $4, certificate_expires_at_us = $6
                 WHERE tenant_id = $1 AND gateway_id = $2",
                args![
                    TENANT,
                    id,
                    status,
                    at(ago_s),
                    serde_json::to_string(&telemetry).unwrap(),
                    at(-90 * 86_400),
                ],
            )
            .await
            .unwrap();
        }
        tx.execute(
            "INSERT INTO stream (tenant_id, gateway_id, epoch, upto, highest, first_at_us,
                last_at_us) VALUES ($1, 'gw-main', $2, $3, $3, $4, $4)",
            args![TENANT, self.epoch.to_string(), self.seq, at(7)],
        )
        .await
        .unwrap();
        tx.execute(
            "INSERT INTO refusal (tenant_id, gateway_id, action, topic, first_at_us, last_at_us,
                times) VALUES ($1, 'gw-annex', 'publish', 'chiasm/v1/elsewhere/gw/up/reading',
                $2, $2, 3)",
            args![TENANT, at(5_000)],
        )
        .await
        .unwrap();
        gateways::configured(&mut tx, self.now_us).await;
        tx.commit().await.unwrap();
    }
}
