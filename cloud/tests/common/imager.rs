//! DICOM objects as imagers make them, and a gateway that sends them to the cloud.
#![allow(dead_code, reason = "each test binary uses its part")]

use crate::{
    common::{Cloud, gateway::Credentials},
    dicom::{EXPLICIT, Set},
};
use chiasm_proto::{
    ClockState, InstanceOffer, InstanceProgress, InstanceStatus, Sha256,
    instance::{INSTANCES_PATH, PART_SHA256_HEADER},
};
use jiff::Timestamp;

pub const OPT: &str = "1.2.840.10008.5.1.4.1.1.77.1.5.4";

/// What is different from one object to the next.
#[derive(Debug, Clone)]
pub struct Object<'a> {
    pub study: &'a str,
    pub series: &'a str,
    pub sop: &'a str,
    pub patient_id: &'a str,
    pub birth_date: &'a str,
    pub accession: &'a str,
    /// `20261130100500`.
    pub acquired: &'a str,
    pub pixel: u8,
}

impl Default for Object<'_> {
    fn default() -> Self {
        Self {
            study: "1.2.3.1",
            series: "1.2.3.1.1",
            sop: "1.2.3.1.1.1",
            patient_id: "",
            birth_date: "",
            accession: "",
            acquired: "20200101100500",
            pixel: 7,
        }
    }
}

impl Object<'_> {
    /// An OCT volume of the right eye: 4 frames of 16 by 8.
    pub fn set(&self) -> Set {
        Set::default()
            .text(0x0008_0016, "UI", OPT)
            .text(0x0008_0018, "UI", self.sop)
            .text(0x0008_002A, "DT", self.acquired)
            .text(0x0008_0050, "SH", self.accession)
            .text(0x0008_0060, "CS", "OPT")
            .text(0x0008_0070, "LO", "Testmaker")
            .text(0x0008_1090, "LO", "OCT-1")
            .text(0x0010_0010, "PN", "Somebody^Else")
            .text(0x0010_0020, "LO", self.patient_id)
            .text(0x0010_0030, "DA", self.birth_date)
            .text(0x0020_000D, "UI", self.study)
            .text(0x0020_000E, "UI", self.series)
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
            .pixels(8, &[self.pixel; 16 * 8 * 4])
    }
    pub fn file(&self) -> Vec<u8> {
        self.set().file(EXPLICIT)
    }
}

/// What a gateway says of a file.
pub fn offer(file: &[u8]) -> InstanceOffer {
    InstanceOffer {
        sha256: Sha256::of(file),
        len_bytes: file.len() as u64,
        link: "oct-1".parse().unwrap(),
        lane: "lane-1".parse().unwrap(),
        lane_session: None,
        received_at: Timestamp::now(),
        clock: ClockState::Synced,
        calling_ae: "OCT1".into(),
        sop_class_uid: OPT.into(),
        sop_instance_uid: "1.2.3.1.1.1".into(),
        transfer_syntax_uid: EXPLICIT.into(),
        contradicts_earlier: false,
    }
}

/// A gateway's side of the endpoint. Cheap to clone.
#[derive(Clone)]
pub struct Sender {
    client: reqwest::Client,
    base: String,
}

/// Status, and the answer if it is one. 0 where the connection was closed in the middle of the body:
/// what is refused unread may end so.
pub type Answer = (u16, Option<InstanceProgress>);

impl Sender {
    pub fn new(cloud: &Cloud, credentials: &Credentials) -> Self {
        Self::with(cloud, credentials.tls())
    }
    pub fn with(cloud: &Cloud, tls: rustls::ClientConfig) -> Self {
        let client = reqwest::Client::builder().tls_backend_preconfigured(tls).build().unwrap();
        let port = cloud.running.gateway_endpoint.port();
        Self { client, base: format!("https://127.0.0.1:{port}{INSTANCES_PATH}") }
    }

    pub async fn try_offer(&self, offer: &InstanceOffer) -> reqwest::Result<Answer> {
        let response = self.client.post(&self.base).json(offer).send().await?;
        Ok((response.status().as_u16(), response.json().await.ok()))
    }
    pub async fn offer_response(&self, offer: &InstanceOffer) -> reqwest::Response {
        self.client.post(&self.base).json(offer).send().await.unwrap()
    }
    /// Offers, again if the connection was one that the cloud just closed behind a refusal.
    pub async fn offer(&self, offer: &InstanceOffer) -> Answer {
        match self.try_offer(offer).await {
            Err(error) if error.is_request() => self.try_offer(offer).await.unwrap(),
            answer => answer.unwrap(),
        }
    }
    pub async fn part(&self, sha256: Sha256, offset: u64, bytes: &[u8]) -> Answer {
        self.part_as(sha256, offset, bytes, Sha256::of(bytes)).await
    }
    pub async fn part_as(&self, of: Sha256, offset: u64, bytes: &[u8], part: Sha256) -> Answer {
        let url = format!("{}/{of}/{offset}", self.base);
        let request = self.client.put(url).header(PART_SHA256_HEADER, part.to_string());
        match request.body(bytes.to_vec()).send().await {
            Ok(response) => (response.status().as_u16(), response.json().await.ok()),
            Err(_) => (0, None),
        }
    }

    /// Everything, in parts; the last answer.
    pub async fn send(&self, offer: &InstanceOffer, file: &[u8], part_len: usize) -> Answer {
        let mut answer = self.offer(offer).await;
        while let (200, Some(progress)) = &answer
            && progress.status == InstanceStatus::Incomplete
        {
            let at = usize::try_from(progress.offset).unwrap();
            if at >= file.len() {
                return answer;
            }
            let end = (at + part_len).min(file.len());
            answer = self.part(offer.sha256, progress.offset, &file[at..end]).await;
        }
        answer
    }

    /// The same for what has to be filed.
    pub async fn filed(&self, offer: &InstanceOffer, file: &[u8]) {
        let (status, progress) = self.send(offer, file, 100_000).await;
        assert_eq!(status, 200);
        assert_eq!(progress.unwrap().status, InstanceStatus::Filed);
    }
}
