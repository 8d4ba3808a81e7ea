//! Arbitrary readings, captures and events, in their envelope.

use super::{civil_time, maybe_text, measured::measurement, slug, text, timestamp, uuid};
use chiasm_proto::*;
use proptest::{collection::vec, option, prelude::*, sample::select};

pub fn decoded() -> BoxedStrategy<Decoded> {
    let instrument_time = option::of(
        (text(), option::of(civil_time()))
            .prop_map(|(as_sent, local)| InstrumentTime { as_sent, local }),
    );
    let claimed_patient =
        option::of((text(), text()).prop_map(|(id, found_in)| ClaimedPatient { id, found_in }));
    let integrity = select(vec![Integrity::Checksum, Integrity::None, Integrity::Structure]);
    let unknown = (any::<u32>(), text())
        .prop_map(|(offset, text)| UnknownRecord { offset: offset as usize, text });
    let head = (instrument(), instrument_time, maybe_text(), claimed_patient);
    let content = (integrity, vec(measurement(), 0..5), vec(flag(), 0..4), vec(unknown, 0..3));
    let decoded = (head.boxed(), content.boxed()).prop_map(|(head, content)| Decoded {
        instrument: head.0,
        instrument_time: head.1,
        running_number: head.2,
        claimed_patient: head.3,
        integrity: content.0,
        measurements: content.1,
        flags: content.2,
        unknown_records: content.3,
    });
    decoded.boxed()
}

fn instrument() -> impl Strategy<Value = Instrument> {
    (text(), text(), maybe_text(), maybe_text()).prop_map(|(vendor, model, serial, software)| {
        Instrument { vendor, model, serial, software }
    })
}

fn flag() -> impl Strategy<Value = Flag> {
    let code = select(vec![
        FlagCode::ShotFailed,
        FlagCode::LowConfidence,
        FlagCode::Unusual,
        FlagCode::Implausible,
        FlagCode::SideNotGiven,
        FlagCode::UnknownRecord,
        FlagCode::Inconsistent,
        FlagCode::ClockUnset,
        FlagCode::PrismDirectionUnverified,
        FlagCode::NoRepresentative,
        FlagCode::InstrumentError,
        FlagCode::NoChecksum,
    ]);
    (code, text()).prop_map(|(code, detail)| Flag { code, detail })
}

fn raw() -> impl Strategy<Value = Raw> {
    vec(any::<u8>(), 0..40).prop_map(Raw::new)
}

fn place() -> impl Strategy<Value = (LinkId, LaneId, ClockState)> {
    (link(), lane(), select(vec![ClockState::Synced, ClockState::Unsynced]))
}

pub fn link() -> impl Strategy<Value = LinkId> {
    slug().prop_map(|slug| LinkId::new(slug).expect("a slug"))
}

pub fn lane() -> impl Strategy<Value = LaneId> {
    slug().prop_map(|slug| LaneId::new(slug).expect("a slug"))
}

fn driver() -> impl Strategy<Value = DriverRef> {
    (text(), text()).prop_map(|(id, version)| DriverRef { id, version })
}

fn reading() -> impl Strategy<Value = Reading> {
    let session = (option::of(uuid().prop_map(LaneSessionId)), any::<bool>());
    (place(), session, driver(), decoded(), raw()).prop_map(
        |((link, lane, clock), lane_session, driver, decoded, raw)| Reading {
            link,
            lane,
            lane_session: lane_session.0,
            is_lane_empty: lane_session.1,
            clock,
            driver,
            decoded,
            raw,
        },
    )
}

fn capture() -> impl Strategy<Value = Capture> {
    let why = (text(), text(), option::of(any::<u32>()));
    (place(), option::of(driver()), why, raw()).prop_map(
        |((link, lane, clock), driver, (code, detail, offset), raw)| Capture {
            link,
            lane,
            driver,
            code,
            detail,
            offset: offset.map(|offset| offset as usize),
            clock,
            raw,
        },
    )
}

fn event() -> impl Strategy<Value = GatewayEvent> {
    (text(), option::of(link()), text()).prop_map(|(code, link, detail)| GatewayEvent {
        code,
        link,
        detail,
    })
}

pub fn envelope() -> impl Strategy<Value = Envelope> {
    let body = prop_oneof![
        4 => reading().prop_map(|reading| Body::Reading(Box::new(reading))).boxed(),
        1 => capture().prop_map(Body::Capture).boxed(),
        1 => event().prop_map(Body::Event).boxed(),
        1 => super::imaging::procedure_step().prop_map(Body::ProcedureStep).boxed(),
        1 => super::lane_page::act().prop_map(Body::LaneAct).boxed(),
    ];
    let owner = (slug(), slug());
    let number = (uuid(), uuid(), any::<u64>());
    (owner, number, timestamp(), body).prop_map(|(owner, number, time, body)| {
        let tenant = TenantId::new(owner.0).expect("a slug");
        let gateway = GatewayId::new(owner.1).expect("a slug");
        let (id, epoch, seq) = (ReadingId(number.0), Epoch(number.1), number.2);
        Envelope::new((&tenant, &gateway), (epoch, seq), id, time, body)
    })
}
