//! Any bytes, in pieces, as an imager might send them: units, the association request, commands,
//! data sets, queries.
#![no_main]

use chiasm_gateway::{
    config::{Dicom, Imager, ImagerTls},
    dicom::{
        command::Command,
        data_set::{DataSet, Syntax},
        negotiation::{self, Caller},
        query::{self, Asker, Model},
        units::{Received, Units},
    },
};
use chiasm_proto::{LaneId, LinkId, ScheduledVisit, Worklist};
use dicom_ul::pdu::Pdu;
use libfuzzer_sys::fuzz_target;
use std::sync::Arc;

fuzz_target!(|input: &[u8]| {
    let Some((size, bytes)) = input.split_first() else { return };
    let mut units = Units::default();
    let (mut command, mut data) = (Vec::new(), Vec::new());
    let step = usize::from(*size).max(1) * 8;
    let mut left = bytes;
    'stream: while !left.is_empty() {
        let room = units.room();
        let (chunk, behind) = left.split_at(left.len().min(step).min(room.len()));
        room[..chunk.len()].copy_from_slice(chunk);
        units.filled(chunk.len());
        left = behind;
        loop {
            match units.receive() {
                Ok(Some(Received::Piece(piece))) => {
                    let part = if piece.is_command { &mut command } else { &mut data };
                    part.extend(units.bytes(&piece));
                    if piece.is_last && piece.is_command {
                        take_command(&command);
                        command.clear();
                    } else if piece.is_last {
                        take_data_set(&data);
                        data.clear();
                    }
                }
                Ok(Some(Received::Unit(unit))) => take_unit(&unit),
                Ok(None) => break,
                Err(_) => break 'stream,
            }
        }
    }
    // Most inputs are no units; the inner layers shall be reached all the same.
    take_command(bytes);
    take_data_set(bytes);
});

fn take_unit(unit: &Pdu) {
    let Pdu::AssociationRQ(request) = unit else { return };
    let imager = Imager {
        id: LinkId::new("oct-1").unwrap(),
        lane: LaneId::new("lane-1").unwrap(),
        calling_ae: "OCT".into(),
        address: None,
        peer_ip: None,
        tls: ImagerTls::Required,
        certificate_sha256: None,
    };
    let caller = Caller { ip: [127, 0, 0, 1].into(), is_tls: true, certificate: None };
    let imagers = [Arc::new(imager)];
    let admitted = negotiation::admit(request, caller, &Dicom::default(), &imagers);
    if let Err(refusal) = admitted {
        write(&Pdu::AssociationRJ(refusal.unit()));
    }
    write(&Pdu::AssociationAC(negotiation::agree(request).0));
}

fn write(unit: &Pdu) {
    let _ = dicom_ul::pdu::write_pdu(&mut Vec::new(), unit);
}

fn take_command(bytes: &[u8]) {
    if let Ok(command) = Command::parse(bytes) {
        let answer = command.answer(0xC000).because("no").encode();
        Command::parse(&answer).expect("what we write can be read");
    }
}

fn take_data_set(bytes: &[u8]) {
    let worklist = worklist();
    let asker = Asker { calling_ae: "OCT", enrolled: &[], station: "oct-1", own_ae: "CHIASM" };
    for syntax in [Syntax::ImplicitLittleEndian, Syntax::ExplicitLittleEndian] {
        let Ok(keys) = DataSet::parse(bytes, syntax) else { continue };
        for model in [Model::Worklist, Model::Patient] {
            let Ok(answers) = query::answers(model, &keys, &worklist, asker) else { continue };
            for answer in answers {
                let bytes = answer.encode(syntax);
                DataSet::parse(&bytes, syntax).expect("what we write can be read");
            }
        }
    }
}

fn worklist() -> Worklist {
    Worklist {
        generated_at: "2026-11-30T07:00:00Z".parse().unwrap(),
        location: "Straße".into(),
        visits: vec![ScheduledVisit {
            accession: "A1B2C3D4E5".into(),
            study_instance_uid: "2.25.1".into(),
            scheduled_at: "2026-11-30T09:00:00".parse().unwrap(),
            reason: String::new(),
            chart_number: "P-1".into(),
            family_name: "Müller".into(),
            given_name: "Anna".into(),
            birth_date: "1961-02-03".parse().unwrap(),
        }],
    }
}
