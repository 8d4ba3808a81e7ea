//! Arbitrary acknowledgements, states, sessions and enrolment documents.

use super::{
    maybe_text,
    reading::{lane, link},
    slug, text, timestamp, uuid,
};
use chiasm_proto::{
    Ack, ClockState, Epoch, GatewayId, LaneSessionId, ReadingId, Rejection, TenantId,
    ack::IdDigest,
    enrol::{ClaimError, ClaimRequest, ClaimResponse},
    fleet::{
        HeardAct, LinkState, LinkStatus, OpenSession, Sessions, SpoolState, State, Status,
        Telemetry,
    },
};
use proptest::{collection::vec, option, prelude::*, sample::select};

pub fn ack() -> impl Strategy<Value = Ack> {
    let rejection = (any::<u64>(), text(), text()).prop_map(|(seq, code, detail)| Rejection {
        seq,
        code,
        detail,
    });
    let numbers = vec(any::<u64>(), 0..5);
    let ranges = vec(any::<(u64, u64)>(), 0..3);
    let ids = option::of(uuid().prop_map(|id| IdDigest::default().with(id)));
    (uuid(), any::<u64>(), numbers, ranges, ids, vec(rejection, 0..3)).prop_map(
        |(epoch, upto, missing, above, ids, rejected)| {
            let epoch = Epoch(epoch);
            Ack { epoch, upto, missing, above, ids, rejected }
        },
    )
}

pub fn state() -> impl Strategy<Value = State> {
    let status = select(vec![Status::Online, Status::Stopped, Status::Lost]);
    (uuid(), status, maybe_text(), option::of(telemetry())).prop_map(
        |(session, status, detail, telemetry)| State { session, status, detail, telemetry },
    )
}

pub fn telemetry() -> impl Strategy<Value = Telemetry> {
    let times = (timestamp(), timestamp(), option::of(timestamp()));
    let clock = select(vec![ClockState::Synced, ClockState::Unsynced]);
    let rest = (option::of(any::<u64>()), any::<bool>());
    (times, text(), clock, spool(), vec(link_state().boxed(), 0..3), rest).prop_map(
        |(times, software_version, clock, spool, links, rest)| Telemetry {
            time: times.0,
            software_version,
            started_at: times.1,
            clock,
            spool,
            links,
            disk_free_bytes: rest.0,
            certificate_expires_at: times.2,
            has_lane_page: rest.1,
        },
    )
}

fn spool() -> impl Strategy<Value = SpoolState> {
    (uuid(), any::<[u64; 3]>(), option::of(timestamp())).prop_map(
        |(epoch, [last_seq, depth, quarantined], oldest_at)| SpoolState {
            epoch: Epoch(epoch),
            last_seq,
            depth,
            oldest_at,
            quarantined,
        },
    )
}

fn link_state() -> impl Strategy<Value = LinkState> {
    let status = select(vec![LinkStatus::Up, LinkStatus::Down]);
    let names = (link(), lane(), text(), text());
    let condition = (status, maybe_text(), option::of(timestamp()), any::<[u64; 2]>());
    (names, condition).prop_map(|(names, condition)| LinkState {
        link: names.0,
        lane: names.1,
        driver: names.2,
        endpoint: names.3,
        status: condition.0,
        detail: condition.1,
        last_reading_at: condition.2,
        readings: condition.3[0],
        failures: condition.3[1],
    })
}

pub fn sessions() -> impl Strategy<Value = Sessions> {
    let session = (lane(), uuid(), timestamp(), any::<u32>()).prop_map(
        |(lane, session, opened_at, idle_timeout_s)| OpenSession {
            lane,
            session: LaneSessionId(session),
            opened_at,
            idle_timeout_s,
        },
    );
    let heard = (lane(), uuid()).prop_map(|(lane, act)| HeardAct { lane, act: ReadingId(act) });
    (vec(session, 0..4), vec(heard, 0..3))
        .prop_map(|(sessions, heard)| Sessions { sessions, heard })
}

/// A claim, its answer, its refusal.
pub fn claim() -> impl Strategy<Value = (ClaimRequest, ClaimResponse, ClaimError)> {
    ((slug(), slug()), proptest::array::uniform8(text())).prop_map(
        |((tenant, gateway), [code, csr, version, certificate, authority, url, error, message])| {
            let request =
                ClaimRequest { claim_code: code, csr_pem: csr, software_version: version };
            let response = ClaimResponse {
                tenant: TenantId::new(tenant).expect("a slug"),
                gateway: GatewayId::new(gateway).expect("a slug"),
                certificate_pem: certificate,
                authority_pem: authority,
                broker_url: url,
            };
            (request, response, ClaimError { code: error, message })
        },
    )
}
