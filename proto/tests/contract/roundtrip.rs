//! Every document type says the same after a journey through JSON text, whatever its values.

use crate::strategies;
use proptest::prelude::*;
use serde::{Serialize, de::DeserializeOwned};
use std::fmt::Debug;

fn round_trips<T>(document: &T) -> Result<(), TestCaseError>
where
    T: Serialize + DeserializeOwned + PartialEq + Debug,
{
    let json = serde_json::to_string(document).expect("plain data always serialises");
    let read: T = serde_json::from_str(&json)
        .map_err(|err| TestCaseError::fail(format!("{err} in {json}")))?;
    prop_assert_eq!(&read, document);
    let again = serde_json::to_string(&read).expect("plain data always serialises");
    prop_assert_eq!(again, json);
    Ok(())
}

proptest! {
    #[test]
    fn envelopes(envelope in strategies::envelope()) {
        round_trips(&envelope)?;
    }
    #[test]
    fn decoded_and_its_content_hash(decoded in strategies::decoded()) {
        round_trips(&decoded)?;
        let mut printed_again = decoded.clone();
        printed_again.instrument_time = None;
        prop_assert_eq!(printed_again.content_sha256(), decoded.content_sha256());
        printed_again.instrument.model.push('x');
        prop_assert_ne!(printed_again.content_sha256(), decoded.content_sha256());
    }
    #[test]
    fn acks(ack in strategies::ack()) {
        round_trips(&ack)?;
    }
    #[test]
    fn states(state in strategies::state()) {
        round_trips(&state)?;
    }
    #[test]
    fn telemetry(telemetry in strategies::telemetry()) {
        round_trips(&telemetry)?;
    }
    #[test]
    fn sessions(sessions in strategies::sessions()) {
        round_trips(&sessions)?;
    }
    #[test]
    fn instances(offer in strategies::offer(), progress in strategies::progress()) {
        round_trips(&offer)?;
        round_trips(&progress)?;
    }
    #[test]
    fn worklists(worklist in strategies::worklist()) {
        round_trips(&worklist)?;
    }
    #[test]
    fn staff(staff in strategies::staff()) {
        round_trips(&staff)?;
    }
    #[test]
    fn claims(claim in strategies::claim()) {
        round_trips(&claim.0)?;
        round_trips(&claim.1)?;
        round_trips(&claim.2)?;
    }
    #[test]
    fn any_text_as_a_document_is_refused_without_panic(text in "\\PC{0,80}") {
        prop_assert!(serde_json::from_str::<chiasm_proto::Envelope>(&text).is_err());
    }
}
