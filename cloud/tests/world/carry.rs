//! What carries on from the signed exam, to look at: an order whose first glasses were wrong, and
//! proposals in several states.

use super::{
    Put, TENANT, World, past,
    readings::{d, lensmeter},
    who,
};
use chiasm_cloud::{
    app::{
        accept, assign, charges,
        check_in::{self, Decision},
        order,
        principal::{Principal, Role},
        work::Work,
    },
    domain::{check_in::Tolerances, order::Choice},
};
use chiasm_proto::{Eye, Measured, Prism};
use std::collections::BTreeMap;

impl World {
    /// Needs the signed visit.
    pub async fn carried(&mut self, visits: &BTreeMap<String, String>) -> String {
        let siobhan = visits["A-11203"].as_str();
        let nils = Principal { name: "Nils Aalto".into(), ..who(TENANT, "nils", Role::Optician) };
        let pair = Put {
            lane: "lane-2",
            place: "exam",
            reason: "the lane session of lane 2",
            encounter: Some(siobhan),
            ago_s: 2_000,
            sent_count: 1,
        };
        let old = past::spectacles("-4.25 +0.50 92", "-4.75 +1.00 96");
        self.file(TENANT, old, pair).await;
        let begin = async || Work::begin(&self.core, &nils, self.now_us).await.unwrap();
        let mut work = begin().await;
        let choice = Choice {
            lens_use: "multifocal".into(),
            eyes: "both".into(),
            pd_right: "31.5".into(),
            pd_left: "31".into(),
            note: "Frame 52-18, high index".into(),
            ..Choice::default()
        };
        let made = order::make(&mut work, siobhan, ("LAB-4711", &choice)).await.unwrap();
        work.commit().await.unwrap();
        let (right, left) = (finished(4), finished(177));
        for (version, decoded) in [(1, right), (2, left)] {
            let put = Put {
                lane: "lane-3",
                place: "inbox",
                reason: "no session was open in the lane",
                encounter: None,
                ago_s: 300 - version * 100,
                sent_count: 1,
            };
            let reading = self.file(TENANT, decoded, put).await;
            let begin = async || Work::begin(&self.core, &nils, self.now_us).await.unwrap();
            let mut work = begin().await;
            let take = (reading.as_str(), &assign::Choice::default());
            check_in::take_reading(&mut work, &made, take).await.unwrap();
            if version == 1 {
                let decision = Decision {
                    order_version: 1,
                    reading_version: 2,
                    accepts: false,
                    reason: "the axis of the right lens".into(),
                };
                let of = (made.as_str(), reading.as_str());
                check_in::decide(&mut work, of, &decision, &Tolerances::default()).await.unwrap();
            }
            work.commit().await.unwrap();
        }
        self.proposed(visits).await;
        made
    }

    async fn proposed(&mut self, visits: &BTreeMap<String, String>) {
        for (chart, ago_s) in [("A-11203", 2_650), ("A-10977", 80)] {
            let exam = visits[chart].as_str();
            let put = Put {
                lane: "lane-1",
                place: "exam",
                reason: "the lane session of lane 1",
                encounter: Some(exam),
                ago_s,
                sent_count: 1,
            };
            let reading = self.file(TENANT, past::pachymeter(545, 551), put).await;
            let mut work = self.work().await;
            accept::accept(&mut work, exam, &reading, None).await.unwrap();
            if chart == "A-10977" {
                charges::say(&mut work, (exam, "76514"), ("ordered", "before the visit"))
                    .await
                    .unwrap();
            }
            work.commit().await.unwrap();
        }
    }
}

/// Glasses as ordered, but for the axis of the right lens.
fn finished(axis_deg: i16) -> chiasm_proto::Decoded {
    let mut it = lensmeter();
    for measurement in &mut it.measurements {
        let Measured::Lensometry(lens) = &mut measurement.measured else { continue };
        let prism = lens.prism.as_mut().unwrap();
        if measurement.eye == Eye::Right {
            lens.axis_deg = Some(axis_deg);
            prism.horizontal.as_mut().unwrap().amount = d("1.25");
            prism.vertical = None;
        } else {
            lens.sphere = Some(d("-3.62"));
            lens.axis_deg = Some(3);
            *prism = Prism::default();
        }
    }
    it
}
