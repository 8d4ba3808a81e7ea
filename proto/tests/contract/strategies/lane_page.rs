//! Arbitrary staff and acts at a gateway's page.

use super::{reading::lane, text, timestamp, uuid};
use chiasm_proto::{
    ClockState, Deed, LaneAct, LaneSessionId, ReadingId, Staff,
    lane_page::{NamedLane, SessionEnd, StaffMember},
};
use proptest::{collection::vec, option, prelude::*, sample::select};

pub fn act() -> impl Strategy<Value = LaneAct> {
    let clock = select(vec![ClockState::Synced, ClockState::Unsynced]);
    (lane(), text(), clock, deed()).prop_map(|(lane, account, clock, deed)| LaneAct {
        lane,
        account,
        clock,
        deed,
    })
}

fn deed() -> impl Strategy<Value = Deed> {
    let end = select(vec![SessionEnd::Person, SessionEnd::Time]);
    prop_oneof![
        (uuid(), text(), option::of(uuid())).prop_map(|(session, accession, ends)| {
            let (session, ends) = (LaneSessionId(session), ends.map(LaneSessionId));
            Deed::SessionOpened { session, accession, ends }
        }),
        (uuid(), end).prop_map(|(id, why)| Deed::SessionEnded { session: LaneSessionId(id), why }),
        (uuid(), text()).prop_map(|(id, accession)| {
            Deed::ReadingAssigned { reading: ReadingId(id), accession }
        }),
        (uuid(), text()).prop_map(|(id, accession)| {
            Deed::ReadingAccepted { reading: ReadingId(id), accession }
        }),
    ]
}

pub fn staff() -> impl Strategy<Value = Staff> {
    let named = (lane(), text()).prop_map(|(lane, name)| NamedLane { lane, name });
    let member = proptest::array::uniform4(text()).prop_map(|[account, login, name, pin_hash]| {
        StaffMember { account, login, name, pin_hash }
    });
    (timestamp(), text(), text(), vec(named, 0..3), vec(member, 0..3)).prop_map(
        |(generated_at, location, time_zone, lanes, people)| Staff {
            generated_at,
            location,
            time_zone,
            lanes,
            people,
        },
    )
}
