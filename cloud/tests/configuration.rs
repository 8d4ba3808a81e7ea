//! What gateways read, changed on the page, and what the gateways say of it, on both databases.

#[macro_use]
mod site;

use axum::http::Method;
use chiasm_cloud::store::gateway_config::{self, VersionRow};
use chiasm_proto::config::Document;
use site::{
    Site,
    world::{OTHER, TENANT},
};

on_both!(
    an_instrument_is_added_after_a_look_at_what_is_different,
    a_file_adds_lanes_and_instruments_or_nothing,
    a_version_is_gone_back_to_and_nobody_overwrites_another,
    another_practice_sees_and_changes_nothing,
);

const PATH: &str = "/fleet/gateways/gw-main/configuration";

/// Somebody of clinic IT with a form.
struct It(String);

impl It {
    async fn of(site: &Site) -> Self {
        Self(site.token("it").await)
    }

    async fn post(&self, site: &Site, path: &str, fields: &[(&str, &str)]) -> (u16, String) {
        let body: String =
            form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let headers = [
            ("authorization", self.0.as_str()),
            ("content-type", "application/x-www-form-urlencoded"),
        ];
        let (status, _, page) = site.send(Method::POST, path, &headers, &body).await;
        (status, page)
    }

    async fn get(&self, site: &Site, path: &str) -> (u16, String) {
        let (status, _, page) =
            site.send(Method::GET, path, &[("authorization", &self.0)], "").await;
        (status, page)
    }
}

async fn versions(site: &Site, gateway: &str) -> Vec<VersionRow> {
    let mut tx = site.world.core.db.tenant_read(TENANT).await.unwrap();
    gateway_config::versions(&mut tx, (TENANT, gateway)).await.unwrap()
}

/// The draft that the page's first form carries.
fn carried(page: &str) -> (String, String) {
    let value = |name: &str| {
        let begin = format!("name=\"{name}\" value=\"");
        let rest = page.split(&begin).nth(1).unwrap_or_else(|| panic!("no {name}:\n{page}"));
        let text = rest.split('"').next().unwrap();
        text.replace("&#34;", "\"").replace("&quot;", "\"").replace("&amp;", "&")
    };
    (value("base"), value("document"))
}

async fn an_instrument_is_added_after_a_look_at_what_is_different(site: Site) {
    let it = It::of(&site).await;
    let (status, page) = it.get(&site, PATH).await;
    assert_eq!(status, 200, "{page}");
    for words in
        ["The gateway refused version 2", "ports below 1024", "Go back to 0", "Try 2 again"]
    {
        assert!(page.contains(words), "no `{words}`:\n{page}");
    }
    let (base, document) = carried(&page);
    let draft = format!("{PATH}/draft");
    let step = [("base", base.as_str()), ("document", &document), ("lanes", "[]")];
    let choose = [&step[..], &[("step", "choose"), ("driver", "nidek_ark")]].concat();
    let (_, page) = it.post(&site, &draft, &choose).await;
    assert!(page.contains("Wiring") && page.contains("9600 8"), "no help:\n{page}");
    let fields = [
        ("step", "put"),
        ("driver", "nidek_ark"),
        ("id", "ark-2"),
        ("lane", "lane-2"),
        ("attached", "serial"),
        ("at", "usb:A1"),
        ("baud", "2400"),
    ];
    let (_, page) = it.post(&site, &draft, &[&step[..], &fields].concat()).await;
    for words in ["1 added", "serial.baud", "<ins>2400</ins>"] {
        assert!(page.contains(words), "no `{words}`:\n{page}");
    }
    assert_eq!(versions(&site, "gw-main").await.len(), 3, "a draft is no version");
    // What is typed wrong is said, and stays in the form.
    let wrong = [&step[..], &fields[..6], &[("baud", "fast")]].concat();
    let (_, again) = it.post(&site, &draft, &wrong).await;
    assert!(again.contains("`fast` is no number of baud") && again.contains("usb:A1"), "{again}");
    let (base, document) = carried(&page);
    let apply = [("base", base.as_str()), ("document", &document), ("why", "a second one")];
    assert_eq!(it.post(&site, PATH, &apply).await.0, 303);
    let rows = versions(&site, "gw-main").await;
    let newest = &rows[0];
    assert_eq!((newest.version, newest.state.as_str()), (3, "waiting"));
    assert_eq!(newest.why, "a second one");
    let links = Document::from_json(&newest.document).unwrap().link;
    assert_eq!(links.last().unwrap().serial.as_ref().unwrap().baud, Some(2400));
    assert_eq!(links.len(), 4, "what was refused is nothing to go on from, the rest stays");
    // A lane elsewhere, an unknown driver, the same end twice.
    for (field, value, words) in [
        ("lane", "lane-9", "no lane lane-9"),
        ("at", "/dev/serial/by-id/usb-FTDI_A50285BI", "is read by ark-1a already"),
    ] {
        let mut fields = fields;
        fields.iter_mut().filter(|it| it.0 == field).for_each(|it| it.1 = value);
        let (_, page) = it.post(&site, &draft, &[&step[..], &fields].concat()).await;
        assert!(page.contains(words), "no `{words}`:\n{page}");
    }
}

async fn a_file_adds_lanes_and_instruments_or_nothing(site: Site) {
    let it = It::of(&site).await;
    let path = "/fleet/gateways/gw-spare/configuration";
    let csv = "lane,lane_name,instrument,attached,at,model\n\
               lane-7,Room 7,ark-7,serial,usb:A7,ARK-1a\nlane-1,,oct,dicom,CIRRUS,\n";
    let (_, page) = it.post(&site, &format!("{path}/csv"), &[("csv", csv)]).await;
    for words in ["Lane Room 7", "2 added", "ark-7"] {
        assert!(page.contains(words), "no `{words}`:\n{page}");
    }
    let (base, document) = carried(&page);
    let lanes = r#"[["lane-7","Room 7"]]"#;
    let apply = [("base", base.as_str()), ("document", &document), ("lanes", lanes)];
    assert_eq!(it.post(&site, path, &apply).await.0, 303);
    let rows = versions(&site, "gw-spare").await;
    assert_eq!((rows.len(), rows[0].version), (1, 1));
    let (_, exported) = it.get(&site, &format!("{path}.csv")).await;
    assert!(exported.contains("lane-7,Room 7,ark-7,serial,usb:A7,nidek_ark,ARK-1a"), "{exported}");
    let wrong = format!("{csv}lane-1,,x,wire,usb:B,ARK-1a\n");
    let (_, page) = it.post(&site, &format!("{path}/csv"), &[("csv", &wrong)]).await;
    assert!(page.contains("line 4: `wire` is no attached"), "{page}");
    assert_eq!(versions(&site, "gw-spare").await.len(), 1);
}

async fn a_version_is_gone_back_to_and_nobody_overwrites_another(site: Site) {
    let it = It::of(&site).await;
    let (_, page) = it.get(&site, PATH).await;
    let (base, document) = carried(&page);
    assert_eq!(it.post(&site, &format!("{PATH}/0/restore"), &[]).await.0, 303);
    let rows = versions(&site, "gw-main").await;
    assert_eq!((rows[0].version, rows[0].why.as_str()), (3, "Back to version 0"));
    assert_eq!(rows[0].document, rows[3].document);
    assert_eq!(it.post(&site, &format!("{PATH}/77/restore"), &[]).await.0, 404);
    // Somebody whose page is older is told.
    let apply = [("base", base.as_str()), ("document", &document)];
    let (status, page) = it.post(&site, PATH, &apply).await;
    assert!(status == 200 && page.contains("somebody else changed this gateway"), "{page}");
    let unknown = [("base", "3"), ("document", r#"{"data_dir":"/"}"#)];
    assert_eq!(it.post(&site, PATH, &unknown).await.0, 422);
    assert_eq!(versions(&site, "gw-main").await.len(), 4);
}

async fn another_practice_sees_and_changes_nothing(site: Site) {
    let theirs = It(site.token("theo").await);
    let before = versions(&site, "gw-main").await;
    let whole = [("base", "2"), ("document", "{}"), ("csv", "lane"), ("lanes", "[]")];
    let spare = "/fleet/gateways/gw-spare/configuration";
    for path in ["", "/draft", "/csv", "/0/restore"] {
        let (status, page) = theirs.post(&site, &format!("{spare}{path}"), &whole).await;
        assert!(status == 404, "{path}: {status} {page}");
    }
    assert_eq!(theirs.get(&site, spare).await.0, 404);
    assert_eq!(theirs.get(&site, &format!("{spare}.csv")).await.0, 404);
    // They have a gateway of the same name, which is another.
    let (status, page) = theirs.get(&site, PATH).await;
    assert!(status == 200 && !page.contains("lm-1800p"), "{page}");
    assert_eq!(theirs.post(&site, &format!("{PATH}/1/restore"), &[]).await.0, 404);
    let first = [("base", "0"), ("document", "{}")];
    assert_eq!(theirs.post(&site, PATH, &first).await.0, 303);
    assert_eq!(versions(&site, "gw-main").await.len(), before.len());
    let mut tx = site.world.core.db.tenant_read(OTHER).await.unwrap();
    let rows = gateway_config::versions(&mut tx, (OTHER, "gw-main")).await.unwrap();
    assert_eq!((rows.len(), rows[0].version), (1, 1));
}
