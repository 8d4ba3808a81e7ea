//! Configurations on the wire: what stands there, and what is refused.

use chiasm_proto::config::{Configuration, ConfigurationReport, Document, Reply};

const DOCUMENT: &str = concat!(
    r#"{"link":[{"id":"ark","lane":"lane-1","driver":"nidek_ark","#,
    r#""serial":{"port":"usb:A50285BI","baud":9600,"parity":"odd"}}],"#,
    r#""imager":[{"id":"oct","lane":"lane-1","calling_ae":"CIRRUS"}]}"#
);

#[test]
fn a_configuration_is_written_as_documented() {
    let document = Document::from_json(DOCUMENT).unwrap();
    assert_eq!(document.to_json(), DOCUMENT);
    let sent = Configuration::new(3, &document);
    let json = serde_json::to_value(&sent).unwrap();
    assert_eq!((json["version"].as_u64(), json["document"].as_str()), (Some(3), Some(DOCUMENT)));
    assert!(json.get("keep").is_none() && sent.is_intact());
    let forged = Configuration { document: DOCUMENT.replace("odd", "even"), ..sent };
    assert!(!forged.is_intact());
}

#[test]
fn a_key_that_is_not_known_is_refused_wherever_it_stands() {
    for text in [
        r#"{"data_dir":"/"}"#.to_owned(),
        DOCUMENT.replace("\"driver\"", "\"shell\":\"x\",\"driver\""),
        DOCUMENT.replace("\"port\"", "\"device\":\"x\",\"port\""),
        DOCUMENT.replace("\"calling_ae\"", "\"key_file\":\"x\",\"calling_ae\""),
    ] {
        assert!(Document::from_json(&text).is_err(), "{text}");
    }
}

#[test]
fn a_report_is_read_with_and_without_what_failed() {
    let text = format!(
        r#"{{"type":"configuration","version":1,"sha256":"{}","document":"{{}}","added_later":1}}"#,
        "0".repeat(64)
    );
    let reply: Reply = serde_json::from_str(&text).unwrap();
    let Reply::Configuration(ConfigurationReport { version, is_on_trial, failed, .. }) = reply
    else {
        panic!("another kind");
    };
    assert_eq!((version, is_on_trial, failed), (1, false, None));
}
