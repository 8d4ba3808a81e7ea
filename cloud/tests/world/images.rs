//! Images of the made-up practice, filed as those of gateways are.

use super::{World, dicom::EXPLICIT, dicom::Set};
use chiasm_cloud::app::intake::{self, Arrived, Source};
use chiasm_proto::{ClockState, Sha256};
use uuid::Uuid;

/// The Study Instance UID that the cloud issues for a visit.
pub fn study_of(encounter: &str) -> String {
    let id: Uuid = encounter.parse().unwrap();
    format!("2.25.{}", id.as_u128())
}

/// A small OCT volume of the right eye.
pub fn oct(study: &str, series: &str, sop: &str) -> Set {
    let pixels: Vec<u8> = (0..4 * 8 * 16_u16).map(|at| (at % 251) as u8).collect();
    Set::default()
        .text(0x0008_0016, "UI", "1.2.840.10008.5.1.4.1.1.77.1.5.4")
        .text(0x0008_0018, "UI", sop)
        .text(0x0008_002A, "DT", "20261130100500")
        .text(0x0008_0060, "CS", "OPT")
        .text(0x0008_0070, "LO", "Testmaker")
        .text(0x0008_1090, "LO", "OCT-1")
        .text(0x0008_103E, "LO", "Macular cube")
        .text(0x0010_0010, "PN", "Somebody^Else")
        .text(0x0020_000D, "UI", study)
        .text(0x0020_000E, "UI", series)
        .text(0x0020_0062, "CS", "R")
        .us(0x0028_0002, &[1])
        .text(0x0028_0004, "CS", "MONOCHROME2")
        .text(0x0028_0008, "IS", "4")
        .us(0x0028_0010, &[8])
        .us(0x0028_0011, &[16])
        .us(0x0028_0100, &[8])
        .us(0x0028_0101, &[8])
        .us(0x0028_0102, &[7])
        .us(0x0028_0103, &[0])
        .pixels(8, &pixels)
}

impl World {
    /// Files an object that arrived at `gw-main` from the imager of lane 3; gives its identifier.
    pub async fn image(&self, tenant: &str, set: &Set) -> String {
        self.image_file(tenant, &set.file(EXPLICIT)).await
    }

    pub async fn image_file(&self, tenant: &str, file: &[u8]) -> String {
        let sha256 = Sha256::of(file);
        let archive = &self.core.archive;
        std::fs::write(archive.incoming(tenant, &sha256).await.unwrap(), file).unwrap();
        archive.take_in(tenant, &sha256).await.unwrap();
        let now_us = jiff::Timestamp::now().as_microsecond();
        let arrived = Arrived {
            tenant: tenant.to_owned(),
            source: Source::Dicom,
            sender: "gw-main".into(),
            location: "main".into(),
            link: "oct-1".into(),
            lane: "lane-3".into(),
            lane_session: None,
            clock: ClockState::Synced,
            received_at_us: now_us,
            calling_ae: "OCT1".into(),
            sha256,
            len_bytes: file.len() as u64,
            sop_class_uid: String::new(),
            sop_instance_uid: String::new(),
            transfer_syntax_uid: EXPLICIT.into(),
            contradicts_earlier: false,
        };
        intake::file(&self.core, &arrived, now_us).await.unwrap()
    }
}
