//! Earlier visits of a patient: years of pressures by several methods, refractions by instruments
//! and by people, keratometry by two instruments.

use super::{
    Put, TENANT, World,
    readings::{d, decoded, of, refraction, value},
};
use chiasm_cloud::{app::accept, args};
use chiasm_proto::{
    Correction, Decoded, Eye, Keratometry, KeratometryValue, Lensometry, Measured, Meridian,
    Pachymetry, Refraction, RefractionKind, Representative, Shot, Tonometry, TonometryMethod,
    Vision, VisualAcuity,
    acuity::AcuityCondition,
    refraction::{CylinderMode, Light},
    tonometry::IopValue,
};
use std::collections::BTreeMap;

/// Pressures of both eyes by a method, as averages of the instrument.
pub fn pressure(method: TonometryMethod, right: &str, left: &str) -> Decoded {
    let eye = |mmhg: &str| {
        let value = IopValue { iop_mmhg: d(mmhg), iop_kpa: None };
        let representative = Some(Representative { label: "average".into(), value });
        Measured::Tonometry(Tonometry { representative, ..Tonometry::new(method) })
    };
    let (vendor, model) = match method {
        TonometryMethod::Goldmann => ("Haag-Streit", "AT 900D"),
        TonometryMethod::Rebound => ("Icare", "ic200"),
        _ => ("NIDEK", "NT-530P"),
    };
    decoded(vendor, model, vec![of(Eye::Right, eye(right)), of(Eye::Left, eye(left))])
}

/// What a refractor sends: subjective and final with the acuity reached.
pub fn refractor(right: &str, left: &str) -> Decoded {
    let of_kind = |kind, text: &str| {
        Measured::Refraction(Refraction {
            vertex_distance_mm: Some(d("13.75")),
            cylinder_mode: Some(CylinderMode::Plus),
            representative: Some(Representative { label: "final".into(), value: value(text) }),
            add: (kind == RefractionKind::Final).then(|| d("2.00")),
            ..Refraction::new(kind)
        })
    };
    let acuity = |text: &str| {
        Measured::VisualAcuity(VisualAcuity {
            correction: Correction::Final,
            vision: Vision::Far,
            condition: AcuityCondition::Standard,
            as_sent: text.into(),
            letters_as_sent: None,
            notation: None,
        })
    };
    let (subjective, last) = (RefractionKind::Subjective, RefractionKind::Final);
    decoded(
        "Topcon",
        "CV-5000",
        vec![
            of(Eye::Right, of_kind(subjective, right)),
            of(Eye::Left, of_kind(subjective, left)),
            of(Eye::Right, of_kind(last, right)),
            of(Eye::Left, of_kind(last, left)),
            of(Eye::Right, acuity("20/20")),
            of(Eye::Left, acuity("20/25")),
        ],
    )
}

/// An autorefraction of both eyes.
pub fn autorefraction(right: &str, left: &str) -> Decoded {
    let kind = RefractionKind::Autorefraction;
    let eye = |text: &str| refraction(kind, Light::Day, &[(text, "9")], text);
    decoded("NIDEK", "ARK-1a", vec![of(Eye::Right, eye(right)), of(Eye::Left, eye(left))])
}

/// Keratometry in millimetres only, as some instruments send it.
pub fn keratometer(vendor: &str, model: &str, r1: &str, r2: &str) -> Decoded {
    let meridian = |mm: &str| Meridian { radius_mm: Some(d(mm)), ..Meridian::default() };
    let value =
        KeratometryValue { r1: meridian(r1), r2: meridian(r2), ..KeratometryValue::default() };
    let measured = Measured::Keratometry(Keratometry {
        shots: vec![Shot::of(value)],
        ..Keratometry::default()
    });
    decoded(vendor, model, vec![of(Eye::Right, measured.clone()), of(Eye::Left, measured)])
}

/// Thickness of both corneas.
pub fn pachymeter(right: u16, left: u16) -> Decoded {
    let eye = |um| {
        Measured::Pachymetry(Pachymetry {
            representative_um: Some(Representative { label: "average".into(), value: um }),
            ..Pachymetry::default()
        })
    };
    decoded("NIDEK", "NT-530P", vec![of(Eye::Right, eye(right)), of(Eye::Left, eye(left))])
}

/// Spectacles in plus cylinder.
pub fn spectacles(right: &str, left: &str) -> Decoded {
    let eye = |text: &str| {
        let it = value(text);
        Measured::Lensometry(Lensometry {
            sphere: Some(it.sphere),
            cylinder: Some(it.cylinder),
            axis_deg: it.axis_deg,
            cylinder_mode: Some(CylinderMode::Plus),
            ..Lensometry::default()
        })
    };
    decoded("NIDEK", "LM-1800P", vec![of(Eye::Right, eye(right)), of(Eye::Left, eye(left))])
}

impl World {
    /// A visit some time ago at the patient's usual place.
    pub async fn visit(&mut self, chart: &str, ago_s: i64, reason: &str) -> String {
        let id = format!("visit-{chart}-{ago_s}");
        let at_us = self.now_us - ago_s * 1_000_000;
        let zone = jiff::tz::TimeZone::get("America/New_York").unwrap();
        let at = jiff::Timestamp::from_microsecond(at_us).unwrap().to_zoned(zone);
        let mut tx = self.core.db.tenant(TENANT).await.unwrap();
        tx.execute(
            "INSERT INTO encounter (tenant_id, encounter_id, patient_id, location_id, visit_date,
                scheduled_at_us, reason, appointment_key, created_at_us)
             SELECT tenant_id, $3, patient_id, 'main', $4, $5, $6, $3, $5 FROM patient
             WHERE tenant_id = $1 AND chart_number = $2",
            args![TENANT, chart, &id, at.date().to_string(), at_us, reason],
        )
        .await
        .unwrap();
        tx.commit().await.unwrap();
        id
    }

    /// Files a reading into a visit that many seconds ago.
    pub async fn file_at(&mut self, visit: &str, decoded: Decoded, ago_s: i64) -> String {
        let put = Put {
            lane: "lane-1",
            place: "exam",
            reason: "the lane session of lane 1",
            encounter: Some(visit),
            ago_s,
            sent_count: 1,
        };
        self.file(TENANT, decoded, put).await
    }

    /// The same, accepted.
    pub async fn accepted_at(&mut self, visit: &str, decoded: Decoded, ago_s: i64) -> String {
        let reading = self.file_at(visit, decoded, ago_s).await;
        let mut work = self.work().await;
        accept::accept(&mut work, visit, &reading, None).await.unwrap();
        work.commit().await.unwrap();
        reading
    }

    /// Seconds from a time of day at the clinic, some days ago, until now.
    pub fn ago(&self, days: i64, hour: i8, minute: i8) -> i64 {
        let zone = jiff::tz::TimeZone::get("America/New_York").unwrap();
        let now = jiff::Timestamp::from_microsecond(self.now_us).unwrap().to_zoned(zone);
        let day = now.date().checked_sub(jiff::Span::new().days(days)).unwrap();
        let at = day.at(hour, minute, 0, 0).to_zoned(now.time_zone().clone()).unwrap();
        (self.now_us - at.timestamp().as_microsecond()) / 1_000_000
    }

    /// Seven visits over three years of Lars Bergström, and one of Yusuf Abdullah, whose refraction
    /// is another one today. `visits` are today's by chart number.
    pub async fn past(&mut self, visits: &BTreeMap<String, String>) {
        use TonometryMethod::{Goldmann, NonContact, Rebound};
        let pressures = [
            (1_100, "21", "19", Some(("22", "20"))),
            (910, "24", "22", Some(("25", "21"))),
            (720, "18", "17", None),
            (540, "17.3", "16", Some(("17", "16"))),
            (365, "19", "18", None),
            (180, "16", "15.7", Some(("16", "15"))),
            (60, "31", "16", Some(("33", "15"))),
        ];
        for (index, (days, right, left, goldmann)) in pressures.into_iter().enumerate() {
            let ago = self.ago(days, [9, 15, 11, 8, 10, 14, 16][index], 10);
            let visit = self.visit("A-10977", ago, "Glaucoma follow-up").await;
            self.accepted_at(&visit, pressure(NonContact, right, left), ago - 600).await;
            if let Some((right, left)) = goldmann {
                self.accepted_at(&visit, pressure(Goldmann, right, left), ago - 1_800).await;
            }
            if index == 6 {
                self.file_at(&visit, pressure(Rebound, "29", "14"), ago - 2_400).await;
            }
            if index % 2 == 0 {
                self.refracted(&visit, index, ago).await;
            }
            if index == 0 {
                self.accepted_at(&visit, pachymeter(546, 551), ago - 700).await;
            }
        }
        let ago = self.ago(390, 10, 40);
        let visit = self.visit("A-11452", ago, "Annual exam").await;
        self.accepted_at(&visit, autorefraction("-1.00 -0.50 90", "-1.25 0 0"), ago - 300).await;
        self.accepted_at(&visit, spectacles("-1.25 +0.50 180", "-1.00 0 0"), ago - 200).await;
        let today = visits["A-11452"].clone();
        self.file_at(&today, autorefraction("-4.00 -0.50 90", "-1.50 0 0"), 900).await;
    }

    /// What instruments and people found at a visit, a little more each year.
    async fn refracted(&mut self, visit: &str, index: usize, ago: i64) {
        let years = index / 3;
        let right = format!("-{}.25 -0.50 {}", 2 + years, 170 + index);
        let left = format!("-{}.00 -1.00 {}", 2 + years, 2 + index);
        self.accepted_at(visit, autorefraction(&right, &left), ago - 300).await;
        let keratometer = keratometer("Topcon", "KR-800", "7.81", "7.66");
        self.accepted_at(visit, keratometer, ago - 290).await;
        let right = format!("-{}.50 +0.50 85", 2 + years);
        let left = format!("-{}.00 +1.00 95", 3 + years);
        self.accepted_at(visit, refractor(&right, &left), ago - 2_000).await;
    }
}
