//! Readings as drivers make them of what the instruments of a lane send.

use chiasm_proto::{
    Base, ClaimedPatient, ClockState, Confidence, CornealSize, CylinderMode, Decoded, Epoch, Eye,
    Flag, FlagCode, Hundredths, Instrument, InstrumentTime, Integrity, IopValue, Keratometry,
    KeratometryValue, LaneId, Lensometry, LinkId, Measured, Measurement, Meridian, Pachymetry,
    Prism, PrismComponent, PupilSize, PupillaryDistance, Refraction, RefractionKind,
    RefractionValue, Representative, Shot, Tonometry, TonometryMethod,
    fleet::{LinkState, LinkStatus, SpoolState, Telemetry},
    refraction::Light,
};
use jiff::Timestamp;

pub fn d(text: &str) -> Hundredths {
    text.parse().unwrap()
}

pub fn of(eye: Eye, measured: Measured) -> Measurement {
    Measurement::without_token(eye, measured)
}

pub fn decoded(vendor: &str, model: &str, measurements: Vec<Measurement>) -> Decoded {
    Decoded {
        instrument: Instrument {
            vendor: vendor.into(),
            model: model.into(),
            serial: Some("12345".into()),
            software: Some("1.04".into()),
        },
        instrument_time: None,
        running_number: None,
        claimed_patient: None,
        integrity: Integrity::Checksum,
        measurements,
        flags: vec![],
        unknown_records: vec![],
    }
}

pub fn value(text: &str) -> RefractionValue {
    let parts: Vec<&str> = text.split(' ').collect();
    RefractionValue {
        sphere: d(parts[0]),
        cylinder: d(parts[1]),
        axis_deg: parts.get(2).map(|axis| axis.parse().unwrap()),
        spherical_equivalent: parts.get(3).map(|se| d(se)),
    }
}

pub fn refraction(
    kind: RefractionKind,
    light: Light,
    shots: &[(&str, &str)],
    median: &str,
) -> Measured {
    let shot = |(text, confidence): &(&str, &str)| Shot {
        confidence: Some(Confidence {
            as_sent: (*confidence).into(),
            scale: "NIDEK 1-9".into(),
            low: *confidence < "6",
        }),
        ..Shot::of(value(text))
    };
    Measured::Refraction(Refraction {
        light,
        vertex_distance_mm: Some(d("12")),
        dioptre_step: Some(d("0.25")),
        axis_step_deg: Some(1),
        cylinder_mode: Some(CylinderMode::Minus),
        representative: Some(Representative { label: "median".into(), value: value(median) }),
        shots: shots.iter().map(shot).collect(),
        ..Refraction::new(kind)
    })
}

fn keratometry(
    r1: (&str, &str, i16),
    r2: (&str, &str, i16),
    avg: (&str, &str),
    cyl: &str,
) -> Measured {
    let meridian = |(mm, power, axis): (&str, &str, i16)| Meridian {
        radius_mm: Some(d(mm)),
        power: Some(d(power)),
        axis_deg: Some(axis),
    };
    let value = KeratometryValue {
        r1: meridian(r1),
        r2: meridian(r2),
        average_mm: Some(d(avg.0)),
        average_power: Some(d(avg.1)),
        cylinder: Some(d(cyl)),
        cylinder_axis_deg: Some(r1.2),
    };
    Measured::Keratometry(Keratometry {
        mire: None,
        refractive_index: Some("1.3375".into()),
        dioptre_step: None,
        representative: Some(Representative { label: "median".into(), value: value.clone() }),
        shots: vec![Shot::of(value.clone()), Shot::of(value)],
    })
}

/// An auto refractor and keratometer with night values and PD.
pub fn ark() -> Decoded {
    use RefractionKind::{Autorefraction, ContactLensEquivalent};
    let right = [("-4.25 -0.75 175", "8"), ("-4.25 -0.50 178", "9"), ("-4.50 -0.75 175", "8")];
    let left = [("-3.75 -1.25 5", "9"), ("-3.75 -1.25 3", "9"), ("-3.50 -1.25 5", "8")];
    let mut it = decoded(
        "NIDEK",
        "ARK-1a",
        vec![
            of(Eye::Right, refraction(Autorefraction, Light::Day, &right, "-4.25 -0.75 175 -4.62")),
            of(Eye::Left, refraction(Autorefraction, Light::Day, &left, "-3.75 -1.25 5 -4.37")),
            of(
                Eye::Right,
                refraction(Autorefraction, Light::Night, &right[..1], "-4.50 -0.75 174"),
            ),
            of(Eye::Left, refraction(Autorefraction, Light::Night, &left[..1], "-4.00 -1.25 4")),
            of(Eye::Right, refraction(ContactLensEquivalent, Light::Day, &[], "-4.00 -0.75 175")),
            of(Eye::Left, refraction(ContactLensEquivalent, Light::Day, &[], "-3.75 -1.00 5")),
            of(
                Eye::Right,
                keratometry(
                    ("7.80", "43.25", 175),
                    ("7.65", "44.12", 85),
                    ("7.73", "43.62"),
                    "-0.87",
                ),
            ),
            of(
                Eye::Left,
                keratometry(
                    ("7.84", "43.00", 4),
                    ("7.60", "44.37", 94),
                    ("7.72", "43.75"),
                    "-1.37",
                ),
            ),
            of(
                Eye::Both,
                Measured::PupillaryDistance(PupillaryDistance {
                    far_mm: Some(d("62.5")),
                    right_mm: Some(d("31")),
                    left_mm: Some(d("31.5")),
                    ..PupillaryDistance::default()
                }),
            ),
            of(Eye::Right, Measured::CornealSize(CornealSize { diameter_mm: d("12.1") })),
            of(Eye::Left, Measured::CornealSize(CornealSize { diameter_mm: d("12") })),
            of(
                Eye::Right,
                Measured::PupilSize(PupilSize { diameter_mm: d("4.8"), state_as_sent: None }),
            ),
            of(
                Eye::Left,
                Measured::PupilSize(PupilSize { diameter_mm: d("4.7"), state_as_sent: None }),
            ),
        ],
    );
    it.instrument_time = Some(InstrumentTime { as_sent: "2026/11/23 10.03".into(), local: None });
    it
}

/// An earlier print with one shot that the instrument is not sure of.
pub fn ark_low() -> Decoded {
    let right = [("-4.00 -0.50 170", "4"), ("-4.25 -0.75 172", "7")];
    let left = [("-3.75 -1.00 8", "8")];
    let kind = RefractionKind::Autorefraction;
    let mut it = decoded(
        "NIDEK",
        "ARK-1a",
        vec![
            of(Eye::Right, refraction(kind, Light::Day, &right, "-4.25 -0.50 171")),
            of(Eye::Left, refraction(kind, Light::Day, &left, "-3.75 -1.00 8")),
        ],
    );
    it.flags = vec![Flag {
        code: FlagCode::LowConfidence,
        detail: "right eye, shot 1: confidence 4 of NIDEK 1-9 is low".into(),
    }];
    it
}

fn puffs(values: &[(&str, bool)], error: bool, average: &str) -> Measured {
    let mut shots: Vec<Shot<IopValue>> = values
        .iter()
        .map(|(mmhg, low)| Shot {
            confidence: low.then(|| Confidence {
                as_sent: "*".into(),
                scale: "NIDEK *".into(),
                low: true,
            }),
            ..Shot::of(IopValue { iop_mmhg: d(mmhg), iop_kpa: None })
        })
        .collect();
    if error {
        shots.push(Shot::failed("ERR"));
    }
    let value = IopValue { iop_mmhg: d(average), iop_kpa: None };
    Measured::Tonometry(Tonometry {
        method: TonometryMethod::NonContact,
        count_as_sent: Some(values.len() as u32),
        representative: Some(Representative { label: "average".into(), value }),
        shots,
        corrected: vec![],
    })
}

/// Three puffs and one error on the right eye (T4), and pachymetry.
pub fn tonometer() -> Decoded {
    let thickness = |um: &[u16]| {
        Measured::Pachymetry(Pachymetry {
            count_as_sent: None,
            representative_um: Some(Representative { label: "average".into(), value: um[0] }),
            shots_um: um.iter().map(|um| Shot::of(*um)).collect(),
        })
    };
    let right = [("17", false), ("16", true), ("18", false)];
    let mut it = decoded(
        "NIDEK",
        "NT-530P",
        vec![
            of(Eye::Right, puffs(&right, true, "17")),
            of(Eye::Left, puffs(&[("15", false), ("16", false), ("15", false)], false, "15.3")),
            of(Eye::Right, thickness(&[548, 547, 550])),
            of(Eye::Left, thickness(&[552, 551, 552])),
        ],
    );
    it.flags = vec![
        Flag { code: FlagCode::LowConfidence, detail: "right eye, shot 2 is marked *".into() },
        Flag { code: FlagCode::ShotFailed, detail: "right eye: 1 shot failed (ERR)".into() },
    ];
    it
}

/// The patient's spectacles with prism and addition.
pub fn lensmeter() -> Decoded {
    let lens = |sphere, cylinder, axis, add, horizontal, vertical| {
        let component = |(amount, base)| PrismComponent { amount: d(amount), base };
        Measured::Lensometry(Lensometry {
            sphere: Some(d(sphere)),
            cylinder: Some(d(cylinder)),
            axis_deg: Some(axis),
            cylinder_mode: Some(CylinderMode::Minus),
            add: Some(d(add)),
            prism: Some(Prism {
                horizontal: Some(component(horizontal)),
                vertical: Some(component(vertical)),
                ..Prism::default()
            }),
            ..Lensometry::default()
        })
    };
    let mut it = decoded(
        "NIDEK",
        "LM-1800P",
        vec![
            of(
                Eye::Right,
                lens("-4.00", "-0.75", 175, "2.00", ("2.50", Base::In), ("2.00", Base::Down)),
            ),
            of(
                Eye::Left,
                lens("-3.50", "-1.25", 0, "2.00", ("0.50", Base::Out), ("0.25", Base::Up)),
            ),
        ],
    );
    it.integrity = Integrity::None;
    it.flags = vec![Flag {
        code: FlagCode::NoChecksum,
        detail: "the transmission carries no checksum".into(),
    }];
    it
}

/// One lens, for which the instrument sent no side.
pub fn single_lens() -> Decoded {
    let mut it = lensmeter();
    it.measurements.truncate(1);
    it.measurements[0].eye = Eye::NotGiven;
    let detail = "the instrument did not say which eye the lens is of".into();
    it.flags.push(Flag { code: FlagCode::SideNotGiven, detail });
    it
}

/// A combined instrument that sends the patient's id.
pub fn with_id(id: &str) -> Decoded {
    let kind = RefractionKind::Autorefraction;
    let mut it = decoded(
        "Topcon",
        "KR-800",
        vec![
            of(
                Eye::Right,
                refraction(kind, Light::Day, &[("+1.25 -0.50 90", "9")], "+1.25 -0.50 90"),
            ),
            of(Eye::Left, refraction(kind, Light::Day, &[("+1.00 0 0", "9")], "+1.00 0 0")),
        ],
    );
    it.claimed_patient =
        Some(ClaimedPatient { id: id.into(), found_in: "nsCommon:Patient/ID".into() });
    it
}

/// Bytes that look like what such an instrument sends.
pub fn raw_of(model: &str) -> Vec<u8> {
    format!("\u{1}DRM\u{2}OR-04.25-00.75175\u{17}OL-03.75-01.25005\u{17}ID{model}\u{17}\u{4}7F9D\r")
        .into_bytes()
}

/// What a gateway with three instruments says of itself.
pub fn telemetry(epoch: Epoch, last_seq: u64, at_us: i64, depth: u64) -> Telemetry {
    let time = Timestamp::from_microsecond(at_us).unwrap();
    let link =
        |link: &str, lane: &str, driver: &str, endpoint: &str, fault: Option<&str>| LinkState {
            link: LinkId::new(link).unwrap(),
            lane: LaneId::new(lane).unwrap(),
            driver: driver.into(),
            endpoint: endpoint.into(),
            status: if fault.is_some() { LinkStatus::Down } else { LinkStatus::Up },
            detail: fault.map(Into::into),
            last_reading_at: Some(time),
            readings: 18,
            failures: u64::from(fault.is_some()),
        };
    let unplugged = (depth > 0).then_some("the adapter is not plugged in");
    Telemetry {
        time,
        software_version: "0.1.0".into(),
        started_at: time,
        clock: ClockState::Synced,
        spool: SpoolState {
            epoch,
            last_seq,
            depth,
            oldest_at: (depth > 0).then_some(time),
            quarantined: 0,
        },
        links: vec![
            link("ark-1a", "lane-1", "nidek-serial", "/dev/serial/by-id/usb-FTDI_A50285BI", None),
            link("nt-530p", "lane-1", "nidek-serial", "/dev/serial/by-id/usb-FTDI_A5028AAA", None),
            link("lm-1800p", "lane-2", "nidek-serial", "0.0.0.0:4001", unplugged),
        ],
        disk_free_bytes: Some(21_400_000_000),
        certificate_expires_at: None,
        has_lane_page: false,
    }
}
