//! What carries on from a signed exam: the prescription for opticians, orders, finished glasses and
//! charge proposals, on both kinds of database.

#[path = "carry/fhir.rs"]
mod fhir;
#[macro_use]
mod site;

use axum::http::Method;
use chiasm_proto::{Decoded, Eye, Measured, Prism};
use serde_json::{Value, json};
use site::{
    Site,
    world::{Put, TENANT, past, readings},
};

on_both!(
    a_signed_prescription_goes_out_in_the_standard_form,
    an_unsigned_exam_gives_no_prescription,
    r25_a_check_in_is_never_worn,
    a_prescription_is_received_and_ordered,
    d9_an_order_is_told_when_its_ground_moves,
    finished_glasses_are_compared_and_decided,
    an_order_number_is_never_guessed,
    opticians_see_no_charts,
    c11_what_optical_and_billing_do_is_found_by_patient,
    programs_order_and_check_in_as_people_do,
    charges_are_proposed_from_evidence,
    a_billed_proposal_warns_when_its_evidence_goes,
    a_day_of_proposals_is_a_page_a_file_and_an_answer,
);

const LARS: &str = "A-10977";
/// The visit whose exam is signed.
const SIOBHAN: &str = "A-11203";

impl Site {
    /// The practice with one signed exam.
    async fn sign_one(&mut self) {
        let visits = self.visits.clone();
        self.world.signed(&visits).await;
    }
    fn url(&self, chart: &str, what: &str) -> String {
        format!("/api/v1/encounters/{}/{what}", self.visits[chart])
    }
    async fn get(&self, token: &str, path: &str) -> (u16, Value) {
        self.api(token, Method::GET, path, json!({})).await
    }
    async fn post(&self, token: &str, path: &str, body: Value) -> (u16, Value) {
        self.api(token, Method::POST, path, body).await
    }
    async fn page(&self, token: &str, path: &str) -> (u16, String) {
        let headers = [("authorization", token)];
        let (status, _, body) = self.send(Method::GET, path, &headers, "").await;
        (status, body)
    }
    async fn form(&self, token: &str, path: &str, body: &str) -> (u16, String, String) {
        let kind = ("content-type", "application/x-www-form-urlencoded");
        let headers = [("authorization", token), kind];
        let (status, headers, page) = self.send(Method::POST, path, &headers, body).await;
        let to = headers.get("location").map(|to| to.to_str().unwrap().to_owned());
        (status, page, to.unwrap_or_default())
    }
    /// Orders glasses from the signed prescription; gives the path of the order.
    async fn order(&self, token: &str, number: &str) -> String {
        let path = format!("/optical/{}/orders", self.visits[SIOBHAN]);
        let body =
            format!("lens_use=multifocal&eyes=both&pd_right=31.5&pd_left=31&number={number}");
        let (status, page, to) = self.form(token, &path, &body).await;
        assert_eq!(status, 303, "{page}");
        to
    }
    /// A reading in a lane or an exam, just now.
    async fn measure(&mut self, decoded: Decoded, place: &str, encounter: Option<&str>) -> String {
        let put = Put {
            lane: "lane-3",
            place,
            reason: "for the test",
            encounter,
            ago_s: 1,
            sent_count: 1,
        };
        self.world.file(TENANT, decoded, put).await
    }
    /// The id of an exam's reading of a model.
    async fn reading_of(&self, token: &str, chart: &str, model: &str) -> String {
        let readings = self.exam(token, &self.visits[chart]).await;
        let is_of = |it: &&Value| it["document"]["data"]["instrument"]["model"] == model;
        readings.iter().find(is_of).unwrap()["reading_id"].as_str().unwrap().to_owned()
    }
}

async fn a_signed_prescription_goes_out_in_the_standard_form(mut site: Site) {
    site.sign_one().await;
    let optician = site.token("nils").await;
    let path = site.url(SIOBHAN, "vision-prescription");
    let headers = [("authorization", optician.as_str())];
    let (status, headers, body) = site.send(Method::GET, &path, &headers, "").await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(headers["content-type"], "application/fhir+json");
    let resource: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(fhir::faults(&resource), Vec::<String>::new(), "{resource:#}");
    let lens = |eye: &str| {
        let all = resource["lensSpecification"].as_array().unwrap();
        all.iter().find(|it| it["eye"] == eye).unwrap().clone()
    };
    let (right, left) = (lens("right"), lens("left"));
    assert_eq!((&right["sphere"], &right["cylinder"]), (&json!(-4), &json!(-0.75)));
    assert_eq!((&right["axis"], &right["add"]), (&json!(178), &json!(2)));
    assert_eq!(right["prism"], json!([{"amount": 1, "base": "in"}]));
    assert_eq!((&left["axis"], left.get("prism")), (&json!(4), None));
    assert_eq!(resource["prescriber"]["display"], "Dr. Okafor");
    assert_eq!(resource["encounter"]["reference"], format!("Encounter/{}", site.visits[SIOBHAN]));
    assert_eq!(resource["patient"]["identifier"]["value"], SIOBHAN);
    let extensions = resource["extension"].as_array().unwrap();
    let of = |name: &str| extensions.iter().find(|it| it["url"].as_str().unwrap().ends_with(name));
    let manifest = of("based-on").unwrap()["valueReference"]["identifier"]["value"].clone();
    assert_eq!(manifest, format!("{}/subjective/1", site.visits[SIOBHAN]));
    assert_eq!(of("vertex-distance").unwrap()["valueQuantity"]["value"], 12);
    // The lensmeter's reading was rejected after the signature: that is said.
    assert_eq!(of("addenda").unwrap()["extension"][0]["valueUnsignedInt"], 1);
    assert!(resource["text"]["div"].as_str().unwrap().contains("Amended: 1 addendum"));
    assert!(!body.contains("held the wrong way"), "an optician needs no words of the chart");
    assert_eq!(site.get(&optician, &site.url(SIOBHAN, "readings")).await.0, 403, "no charts");
}

async fn an_unsigned_exam_gives_no_prescription(site: Site) {
    let (doctor, optician) = (site.token("okafor").await, site.token("nils").await);
    let path = site.url(LARS, "vision-prescription");
    let (status, fault) = site.get(&optician, &path).await;
    assert_eq!((status, &fault["code"]), (409, &json!("not_yet")));
    assert!(fault["message"].as_str().unwrap().contains("signs the exam first"), "{fault}");
    // R12: an autorefraction is where it began, not what is prescribed.
    let start = site.url(LARS, "subjective/start");
    assert_eq!(site.post(&doctor, &start, json!({"eye": "OD"})).await.0, 204);
    let refined = json!({"version": 1, "values": {"right_sphere": "-4.00",
        "right_cylinder": "-0.75", "right_axis": "175", "right_refined": "1"}});
    assert_eq!(site.post(&doctor, &site.url(LARS, "subjective"), refined).await.0, 204);
    let take = site.url(LARS, "final/take-over");
    assert_eq!(site.post(&doctor, &take, json!({"version": 0})).await.0, 204);
    assert_eq!(site.get(&optician, &path).await.0, 409, "written, but not signed");
    let (_, seen) = site.get(&doctor, &site.url(LARS, "sign")).await;
    let digest = json!({"digest": seen["digest"]});
    assert_eq!(site.post(&doctor, &site.url(LARS, "sign"), digest).await.0, 204);
    let (status, resource) = site.get(&optician, &path).await;
    assert_eq!(status, 200);
    assert_eq!(fhir::faults(&resource), Vec::<String>::new(), "{resource:#}");
    assert_eq!(resource["lensSpecification"].as_array().unwrap().len(), 1, "one eye is written");
    let ark = site.reading_of(&doctor, LARS, "ARK-1a").await;
    let extensions = resource["extension"].as_array().unwrap();
    let names: Vec<&Value> =
        extensions.iter().map(|it| &it["valueReference"]["identifier"]["value"]).collect();
    assert!(names.contains(&&json!(ark)), "{names:?}");
    assert!(extensions.iter().all(|it| !it["url"].as_str().unwrap().ends_with("addenda")));
}

/// A lens that is not the patient's own is in no comparison, history or list of what is worn.
async fn r25_a_check_in_is_never_worn(site: Site) {
    let doctor = site.token("okafor").await;
    let lens = site.reading_of(&doctor, LARS, "LM-1800P").await;
    let exam = format!("/exams/{}", site.visits[LARS]);
    let refraction = format!("{exam}/refraction");
    let wearing = "Wearing, from the lensmeter";
    assert!(site.page(&doctor, &refraction).await.1.contains(wearing));
    assert!(site.page(&doctor, &exam).await.1.contains("id=\"compare-wearing\""));
    let purpose = json!({"purpose": {"kind": "order_check_in", "order": "4711"}});
    let path = site.url(LARS, &format!("readings/{lens}/purpose"));
    assert_eq!(site.post(&doctor, &path, purpose).await.0, 204);
    assert!(!site.page(&doctor, &refraction).await.1.contains(wearing));
    assert!(!site.page(&doctor, &exam).await.1.contains("id=\"compare-wearing\""));
}

/// Glasses as they were ordered from the signed prescription, changed by the test.
fn glasses(change: impl FnOnce(&mut chiasm_proto::Lensometry)) -> Decoded {
    let mut it = readings::lensmeter();
    for measurement in &mut it.measurements {
        let Measured::Lensometry(lens) = &mut measurement.measured else { continue };
        let prism = lens.prism.as_mut().unwrap();
        if measurement.eye == Eye::Right {
            lens.axis_deg = Some(178);
            prism.horizontal.as_mut().unwrap().amount = readings::d("1.00");
            prism.vertical = None;
        } else {
            lens.axis_deg = Some(4);
            *prism = Prism::default();
        }
    }
    let Measured::Lensometry(right) = &mut it.measurements[0].measured else { unreachable!() };
    change(right);
    it
}

async fn a_prescription_is_received_and_ordered(mut site: Site) {
    site.sign_one().await;
    let (optician, doctor) = (site.token("nils").await, site.token("okafor").await);
    let (status, list) = site.page(&optician, "/optical").await;
    assert_eq!(status, 200, "{list}");
    assert!(list.contains("Siobh\u{e1}n") && list.contains("Not received yet"), "{list}");
    assert!(list.contains("-4.00 -0.75 \u{d7} 178 add +2.00 prism 1.00 in"), "{list}");
    assert!(!list.contains("Bergstr"), "not signed: {list}");
    let found = site.page(&optician, "/optical?q=o%27n").await.1;
    assert!(found.contains("Siobh\u{e1}n"), "{found}");
    assert!(!site.page(&optician, "/optical?q=berg").await.1.contains("Bergstr"));
    assert_eq!(site.page(&optician, "/optical?day=yesterday").await.0, 400);
    let here = format!("/optical/{}", site.visits[SIOBHAN]);
    let exam = format!("/exams/{}", site.visits[SIOBHAN]);
    assert!(site.page(&doctor, &exam).await.1.contains("Not sent"));
    let (_, page) = site.page(&optician, &here).await;
    assert!(page.contains("PROPOSED"), "R29: {page}");
    assert!(page.contains("12.00 mm, because a lens has 4 D or more"), "R10: {page}");
    assert_eq!(site.form(&optician, &format!("{here}/received"), "").await.0, 303);
    assert_eq!(site.form(&optician, &format!("{here}/received"), "").await.0, 422, "once");
    let (_, page) = site.page(&doctor, &exam).await;
    assert!(page.contains("Received by optical at") && page.contains("by Nils Aalto"), "{page}");
    // Nothing is ordered without a distance that the optician stands for.
    let orders = format!("{here}/orders");
    let (status, page, _) = site.form(&optician, &orders, "lens_use=distance&eyes=both").await;
    assert_eq!(status, 422);
    assert!(page.contains("the pupillary distance is missing"), "{page}");
    let order = site.order(&optician, "lab-4711").await;
    let (_, page) = site.page(&optician, &order).await;
    assert!(
        page.contains("Order LAB-4711") && page.contains("right 31.50, left 31.00 mm"),
        "{page}"
    );
    assert!(page.contains("-4.00 -0.75 \u{d7} 178 add +2.00, prism 1.00 in"), "{page}");
    let again = "lens_use=distance&eyes=right&pd_both=62&number=LAB-4711";
    let (status, page, _) = site.form(&optician, &orders, again).await;
    assert!(status == 422 && page.contains("there is an order LAB-4711 already"), "{page}");
    let taken = "lens_use=distance&eyes=both&takes_proposed=1";
    let (status, page, own) = site.form(&optician, &orders, taken).await;
    assert_eq!(status, 303, "a number of our own: {page}");
    assert!(site.page(&optician, &own).await.1.contains("taken over by the optician"));
    // R35: a change is a version with its reason; who saw an older one is refused.
    let change = "version=1&lens_use=multifocal&eyes=both&pd_both=63&reason=measured+again";
    assert_eq!(site.form(&optician, &format!("{order}/amend"), change).await.0, 303);
    assert_eq!(site.form(&optician, &format!("{order}/amend"), change).await.0, 409);
    let cancel = format!("{order}/cancel");
    assert_eq!(site.form(&optician, &cancel, "version=2&reason=+").await.0, 422, "why?");
    assert_eq!(site.form(&optician, &cancel, "version=2&reason=frame+sold+out").await.0, 303);
    let (_, page) = site.page(&optician, &order).await;
    for part in ["measured again", "right 31.50, left 31.00", "cancelled", "frame sold out"] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(site.page(&doctor, &exam).await.1.contains("cancelled"));
}

async fn d9_an_order_is_told_when_its_ground_moves(mut site: Site) {
    site.sign_one().await;
    let (optician, doctor, ana) =
        (site.token("nils").await, site.token("okafor").await, site.token("ana").await);
    site.order(&optician, "4711").await;
    let told = async || {
        let notices = site.get(&doctor, "/api/v1/notices").await.1;
        let mut texts: Vec<String> = notices
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["text"].as_str().unwrap().to_owned())
            .collect();
        texts.sort();
        texts
    };
    let before = told().await.len();
    let here = format!("/optical/{}", site.visits[SIOBHAN]);
    let swap = async |model: &str| {
        let reading = site.reading_of(&ana, SIOBHAN, model).await;
        let path = site.url(SIOBHAN, &format!("readings/{reading}/swap"));
        site.post(&ana, &path, json!({"reason": "held the wrong way"})).await.0
    };
    // A pressure is no ground of a prescription.
    assert_eq!(swap("NT-530P").await, 204);
    assert!(told().await.iter().all(|text| !text.contains("4711")));
    assert_eq!(swap("ARK-1a").await, 204);
    let texts = told().await;
    assert_eq!(texts.len(), before + 2);
    assert!(texts.iter().any(|it| it.contains("ARK-1a") && it.contains("order 4711 ordered")));
    let (_, page) = site.page(&doctor, &format!("/exams/{}", site.visits[SIOBHAN])).await;
    assert!(page.contains("These glasses are ordered from it") && page.contains("Order 4711"));
    let (_, page) = site.page(&optician, &here).await;
    assert!(page.contains("id=\"changed\""), "the optician is told as well: {page}");
}

async fn finished_glasses_are_compared_and_decided(mut site: Site) {
    site.sign_one().await;
    let (optician, doctor, ana) =
        (site.token("nils").await, site.token("okafor").await, site.token("ana").await);
    let order = site.order(&optician, "4711").await;
    let notices = site.get(&doctor, "/api/v1/notices").await.1;
    // The lensmeter stands in a lane without a session: the reading waits.
    let wrong = glasses(|right| right.axis_deg = Some(4));
    let wrong = site.measure(wrong, "tray", None).await;
    let (_, page) = site.page(&optician, &order).await;
    assert!(page.contains("OD -4.00 -0.75 \u{d7} 004 add +2.00"), "{page}");
    let take = format!("{order}/readings/{wrong}/take");
    assert_eq!(site.form(&optician, &take, "version=1").await.0, 303);
    assert_eq!(site.form(&optician, &take, "version=1").await.0, 409, "it waits no longer");
    let (_, page) = site.page(&optician, &order).await;
    assert!(page.contains("check-bad") && page.contains("6 \u{b0}"), "R8: {page}");
    assert!(page.contains("check your edition"), "{page}");
    let decide = format!("{order}/readings/{wrong}/decide");
    let body = |decision: &str, order: i64, reading: i64, reason: &str| {
        format!(
            "decision={decision}&order_version={order}&reading_version={reading}&reason={reason}"
        )
    };
    let (status, page, _) = site.form(&optician, &decide, &body("accept", 1, 2, "")).await;
    assert!(status == 422 && page.contains("say why the glasses are accepted"), "{page}");
    let back = body("send_back", 1, 2, "axis");
    assert_eq!(site.form(&optician, &decide, &body("send_back", 1, 1, "axis")).await.0, 409);
    assert_eq!(site.form(&optician, &decide, &back).await.0, 303);
    let right = site.measure(glasses(|_| {}), "tray", None).await;
    let take = format!("{order}/readings/{right}/take");
    assert_eq!(site.form(&optician, &take, "version=1").await.0, 303);
    let (_, page) = site.page(&optician, &order).await;
    assert!(page.contains("Sent back") && page.contains("Then open: OD axis outside"), "{page}");
    let decide = format!("{order}/readings/{right}/decide");
    let accept = body("accept", 2, 2, "");
    assert_eq!(site.form(&optician, &decide, &accept).await.0, 303, "all within tolerance");
    assert_eq!(site.form(&optician, &decide, &accept).await.0, 409);
    let (_, page) = site.page(&optician, &order).await;
    assert!(page.contains("glasses accepted") && page.contains("by Nils Aalto"), "{page}");
    // R25: they are no part of the exam: not worn, no addendum, nobody is told.
    assert_eq!(site.get(&doctor, "/api/v1/notices").await.1, notices);
    let (_, page) = site.page(&ana, &format!("/exams/{}", site.visits[SIOBHAN])).await;
    assert!(!page.contains("id=\"compare-wearing\""), "{page}");
    let addenda = site.get(&doctor, &site.url(SIOBHAN, "addenda")).await.1;
    assert_eq!(addenda.as_array().unwrap().len(), 1, "that of the rejected reading");
}

async fn an_order_number_is_never_guessed(mut site: Site) {
    site.sign_one().await;
    let (optician, ana) = (site.token("nils").await, site.token("ana").await);
    let order = site.order(&optician, "4711").await;
    let lars = site.visits[LARS].clone();
    let reading = site.measure(glasses(|_| {}), "exam", Some(&lars)).await;
    let say = async |number: &str| {
        let purpose = json!({"purpose": {"kind": "order_check_in", "order": number}});
        let path = site.url(LARS, &format!("readings/{reading}/purpose"));
        assert_eq!(site.post(&ana, &path, purpose).await.0, 204);
        site.page(&ana, &format!("/exams/{lars}")).await.1
    };
    assert!(say("4712").await.contains("order 4712, but there is no such order"));
    let page = say(" 4711").await;
    assert!(page.contains("order 4711, which is of another patient"), "{page}");
    let decide = format!("{order}/readings/{reading}/decide");
    let body = "decision=accept&order_version=1&reading_version=3&reason=x";
    let (status, page, _) = site.form(&optician, &decide, body).await;
    assert!(status == 422 && page.contains("not measured for this order"), "{page}");
    assert!(!site.page(&optician, &order).await.1.contains(&reading), "nothing of Lars");
    // R33: an identity in the data that is another's is told before it is filed.
    let mut named = glasses(|_| {});
    named.claimed_patient =
        Some(chiasm_proto::ClaimedPatient { id: LARS.into(), found_in: "ID".into() });
    let named = site.measure(named, "tray", None).await;
    let take = format!("{order}/readings/{named}/take");
    assert_eq!(site.form(&optician, &take, "version=1").await.0, 409);
    // In the exam of the right patient under a wrong number: the order says so.
    let siobhan = site.visits[SIOBHAN].clone();
    let own = site.measure(glasses(|_| {}), "exam", Some(&siobhan)).await;
    let purpose = json!({"purpose": {"kind": "order_check_in", "order": "4712"}});
    let path = site.url(SIOBHAN, &format!("readings/{own}/purpose"));
    assert_eq!(site.post(&ana, &path, purpose).await.0, 204);
    let (_, page) = site.page(&optician, &order).await;
    assert!(page.contains("order 4712, but there is no such order"), "{page}");
}

async fn c11_what_optical_and_billing_do_is_found_by_patient(mut site: Site) {
    let visits = site.visits.clone();
    site.world.signed(&visits).await;
    let order = site.world.carried(&visits).await;
    let (optician, doctor) = (site.token("nils").await, site.token("okafor").await);
    assert_eq!(site.page(&optician, &format!("/orders/{order}")).await.0, 200);
    let (_, found) = site.get(&doctor, &format!("/api/v1/patients?q={SIOBHAN}")).await;
    let patient = found[0]["patient_id"].as_str().unwrap();
    let (_, audit) = site.get(&doctor, &format!("/api/v1/audit?patient_id={patient}")).await;
    let entries = audit["entries"].as_array().unwrap();
    let actions: Vec<&str> = entries.iter().map(|it| it["action"].as_str().unwrap()).collect();
    for action in ["order_made", "check_in_reading_taken", "glasses_sent_back", "order_seen"] {
        assert!(actions.contains(&action), "{action} is missing in {actions:?}");
    }
    let (_, found) = site.get(&doctor, &format!("/api/v1/patients?q={LARS}")).await;
    let patient = found[0]["patient_id"].as_str().unwrap();
    let (_, audit) = site.get(&doctor, &format!("/api/v1/audit?patient_id={patient}")).await;
    let entries = audit["entries"].as_array().unwrap();
    assert!(entries.iter().any(|it| it["action"] == "charge_ordered"), "{entries:?}");
}

async fn opticians_see_no_charts(mut site: Site) {
    site.sign_one().await;
    let optician = site.token("nils").await;
    let exam = format!("/exams/{}", site.visits[SIOBHAN]);
    for path in [exam.as_str(), "/lanes", "/patients", "/inbox", "/notices"] {
        assert_eq!(site.page(&optician, path).await.0, 403, "{path}");
    }
    let here = format!("/optical/{}", site.visits[SIOBHAN]);
    let (_, page) = site.page(&optician, &here).await;
    for other in ["mmHg", "20/20", "NT-530P", "Visual acuity", &exam] {
        assert!(!page.contains(other), "{other} is not for opticians: {page}");
    }
    assert_eq!(site.page(&optician, &format!("/optical/{}", site.visits[LARS])).await.0, 409);
    // Another practice's order is not there.
    let order = site.order(&optician, "4711").await;
    let theirs = site.token("bea").await;
    assert_eq!(site.page(&theirs, &order).await.0, 404);
    let cancel = format!("{order}/cancel");
    assert_eq!(site.form(&theirs, &cancel, "version=1&reason=x").await.0, 404);
}

impl Site {
    /// The proposals of a visit by code.
    async fn charges(&self, token: &str, chart: &str) -> std::collections::BTreeMap<String, Value> {
        let (status, all) = self.get(token, &self.url(chart, "charges")).await;
        assert_eq!(status, 200, "{all}");
        let all = all.as_array().unwrap().iter();
        all.map(|it| (it["code"].as_str().unwrap().to_owned(), it.clone())).collect()
    }
    async fn say(&self, token: &str, chart: &str, code: &str, mark: &str) -> (u16, Value) {
        let body = json!({"mark": mark, "note": "for the test"});
        self.post(token, &self.url(chart, &format!("charges/{code}")), body).await
    }
}

async fn charges_are_proposed_from_evidence(mut site: Site) {
    site.sign_one().await;
    let (ana, doctor) = (site.token("ana").await, site.token("okafor").await);
    // Autorefraction, lensometry and pressure by air are part of the examination.
    assert!(site.charges(&ana, LARS).await.is_empty());
    let of = site.charges(&ana, SIOBHAN).await;
    assert_eq!(of.keys().collect::<Vec<_>>(), ["92015"], "the signed final prescription");
    assert_eq!(of["92015"]["missing"], json!([]));
    let lars = site.visits[LARS].clone();
    let thickness = site.measure(past::pachymeter(545, 551), "exam", Some(&lars)).await;
    assert!(site.charges(&ana, LARS).await.is_empty(), "nobody has accepted it");
    let accept = site.url(LARS, &format!("readings/{thickness}/accept"));
    assert_eq!(site.post(&ana, &accept, json!({})).await.0, 204);
    let of = site.charges(&ana, LARS).await;
    assert_eq!(of["76514"]["missing"], json!(["no order", "no interpretation and report"]));
    assert_eq!(of["76514"]["evidence"][0]["id"], json!(thickness), "a link to its evidence");
    assert_eq!(of["76514"]["evidence"][0]["eyes"], json!(["OD", "OS"]));
    let (status, fault) = site.say(&ana, LARS, "76514", "billed").await;
    assert_eq!(status, 422);
    assert!(fault["message"].as_str().unwrap().contains("billable yet: no order"), "{fault}");
    assert_eq!(site.say(&ana, LARS, "76514", "reported").await.0, 403, "a doctor interprets");
    assert_eq!(site.say(&ana, LARS, "76514", "ordered").await.0, 204);
    assert_eq!(site.say(&ana, LARS, "76514", "ordered").await.0, 422, "once");
    assert_eq!(site.say(&doctor, LARS, "76514", "reported").await.0, 204);
    assert_eq!(site.charges(&ana, LARS).await["76514"]["missing"], json!([]));
    let bare = json!({"mark": "dismissed"});
    let path = site.url(LARS, "charges/76514");
    assert_eq!(site.post(&ana, &path, bare).await.0, 422, "why not?");
    assert_eq!(site.say(&ana, LARS, "76514", "dismissed").await.0, 204);
    assert_eq!(site.charges(&ana, LARS).await["76514"]["state"], "dismissed");
    let (_, page) = site.page(&ana, &format!("/exams/{lars}")).await;
    assert!(page.contains("Charge proposals") && page.contains("for the test"), "{page}");
    assert_eq!(site.say(&ana, LARS, "92015", "ordered").await.0, 404, "there is no such proposal");
    assert_eq!(site.say(&ana, LARS, "99999", "ordered").await.0, 404);
    assert_eq!(site.say(&ana, LARS, "76514", "paid").await.0, 422);
}

async fn a_billed_proposal_warns_when_its_evidence_goes(mut site: Site) {
    let (ana, doctor) = (site.token("ana").await, site.token("okafor").await);
    let lars = site.visits[LARS].clone();
    let thickness = site.measure(past::pachymeter(545, 551), "exam", Some(&lars)).await;
    let path = |what: &str| site.url(LARS, &format!("readings/{thickness}/{what}"));
    assert_eq!(site.post(&ana, &path("accept"), json!({})).await.0, 204);
    for mark in ["ordered", "reported", "billed"] {
        assert_eq!(site.say(&doctor, LARS, "76514", mark).await.0, 204, "{mark}");
    }
    let of = site.charges(&ana, LARS).await;
    assert_eq!((&of["76514"]["state"], &of["76514"]["warning"]), (&json!("billed"), &Value::Null));
    // T8: it was another patient's.
    let to = json!({"encounter_id": site.visits["A-11452"], "reason": "wrong patient"});
    assert_eq!(site.post(&ana, &path("move"), to).await.0, 204);
    let of = site.charges(&ana, LARS).await;
    assert_eq!(of["76514"]["state"], "withdrawn");
    assert!(of["76514"]["warning"].as_str().unwrap().contains("Tell billing"), "{of:?}");
    assert!(site.charges(&ana, "A-11452").await.is_empty(), "pending there");
    let (_, page) = site.page(&ana, &format!("/exams/{lars}")).await;
    assert!(page.contains("charge-warning"), "{page}");
    assert_eq!(site.say(&ana, LARS, "76514", "reopened").await.0, 204);
    assert!(site.charges(&ana, LARS).await.is_empty());
}

async fn a_day_of_proposals_is_a_page_a_file_and_an_answer(mut site: Site) {
    site.sign_one().await;
    let (ana, optician) = (site.token("ana").await, site.token("nils").await);
    let (status, page) = site.page(&ana, "/charges").await;
    assert_eq!(status, 200);
    assert!(page.contains("92015") && page.contains("1 proposed, 1 with complete"), "{page}");
    let (status, days) = site.get(&ana, "/api/v1/charges?location=main").await;
    assert_eq!(status, 200);
    assert_eq!(days[0]["chart_number"], SIOBHAN);
    assert_eq!(days[0]["proposals"][0]["code"], "92015");
    assert_eq!(site.get(&ana, "/api/v1/charges?day=1999-01-01").await.1, json!([]));
    assert_eq!(site.get(&ana, "/api/v1/charges?day=tomorrow").await.0, 400);
    assert_eq!(site.get(&ana, "/api/v1/charges?location=none").await.0, 404);
    let headers = [("authorization", ana.as_str())];
    let (_, headers, file) = site.send(Method::GET, "/charges.csv", &headers, "").await;
    assert!(headers["content-type"].to_str().unwrap().starts_with("text/csv"));
    assert_eq!(file.lines().count(), 2, "{file}");
    assert!(file.contains("\"A-11203\"") && file.contains("\"92015\""), "{file}");
    assert_eq!(site.page(&optician, "/charges").await.0, 403);
}

async fn programs_order_and_check_in_as_people_do(mut site: Site) {
    site.sign_one().await;
    let optician = site.token("nils").await;
    let list = "/api/v1/optical?location=main";
    let (_, all) = site.get(&optician, list).await;
    assert_eq!(all[0]["chart_number"], SIOBHAN);
    assert_eq!((all.as_array().unwrap().len(), &all[0]["received_at_us"]), (1, &Value::Null));
    let received = site.url(SIOBHAN, "optical/received");
    assert_eq!(site.post(&optician, &site.url(LARS, "optical/received"), json!({})).await.0, 409);
    assert_eq!(site.post(&optician, &received, json!({})).await.0, 204);
    assert_eq!(site.get(&optician, list).await.1[0]["received_by"], "lakeside-nils");
    let orders = site.url(SIOBHAN, "orders");
    let new = |pd: &str| {
        json!({"number": "4711",
            "what": {"lens_use": "multifocal", "eyes": "OD", "pd_right": pd}})
    };
    let (status, fault) = site.post(&optician, &orders, new("315")).await;
    assert_eq!((status, &fault["fields"][0]["field"]), (422, &json!("pd_right")));
    let (status, order) = site.post(&optician, &orders, new("31.5")).await;
    assert_eq!(status, 200, "{order}");
    assert_eq!((&order["status"], &order["version"]), (&json!("open"), &json!(1)));
    assert_eq!(order["what"]["right"]["axis_deg"], 178, "as the doctor signed it");
    let path = format!("/api/v1/orders/{}", order["order_id"].as_str().unwrap());
    let what = json!({"lens_use": "multifocal", "eyes": "OD", "pd_right": "32"});
    let amend = json!({"version": 1, "reason": "measured again", "what": what});
    assert_eq!(site.post(&optician, &format!("{path}/amend"), amend.clone()).await.0, 204);
    assert_eq!(site.post(&optician, &format!("{path}/amend"), amend).await.0, 409);
    let mut one = glasses(|_| {});
    one.measurements.truncate(1);
    let one = site.measure(one, "inbox", None).await;
    let reading = format!("{path}/readings/{one}");
    assert_eq!(site.get(&optician, &reading).await.0, 422, "nobody said that it is this order's");
    assert_eq!(site.post(&optician, &format!("{reading}/take"), json!({})).await.0, 204);
    let (status, compared) = site.get(&optician, &reading).await;
    assert_eq!((status, &compared["is_inside"]), (200, &json!(true)), "{compared}");
    let sphere = &compared["compared"]["right"][0];
    assert_eq!((&sphere["what"], &sphere["verdict"]), (&json!("sphere"), &json!("inside")));
    assert_eq!(sphere["tolerance"], json!(0.13));
    let decision = json!({"order_version": compared["order_version"],
        "reading_version": compared["reading_version"], "accepts": true});
    assert_eq!(site.post(&optician, &format!("{reading}/decide"), decision).await.0, 204);
    assert_eq!(site.get(&optician, &path).await.1["status"], "accepted");
    let cancel = json!({"version": 3, "reason": "never fetched"});
    assert_eq!(site.post(&optician, &format!("{path}/cancel"), cancel).await.0, 204);
    assert_eq!(site.get(&optician, &orders).await.1[0]["status"], "cancelled");
}
