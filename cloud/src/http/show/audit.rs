//! The audit's words for people.

/// What somebody did.
pub fn action(word: &str) -> String {
    let text = match word {
        "sign_in" => "Signed in",
        "sign_in_failed" => "Typed a wrong password",
        "sign_out" => "Signed out",
        "exam_seen" => "Looked at the exam",
        "letter_seen" => "Looked at the letter",
        "prescription_printed" => "Printed the prescription",
        "slip_seen" => "Looked at the visit's slip",
        "raw_seen" => "Looked at a reading's raw bytes",
        "lane_seen" => "Looked at the lane",
        "inbox_seen" => "Looked at the inbox",
        "waiting_seen" => "Looked at what waits",
        "schedule_seen" => "Looked at the day's schedule",
        "patients_searched" => "Searched for patients",
        "patient_seen" => "Looked at the patient's charts",
        "patient_history_seen" => "Looked at the patient's history",
        "audit_seen" => "Looked at the audit",
        "audit_exported" => "Exported the audit",
        "reading_accepted" => "Accepted a reading",
        "reading_pending" => "Took an acceptance back",
        "reading_rejected" => "Rejected a reading",
        "reading_corrected" => "Corrected a reading",
        "reading_decoded_again" => "A later driver read a reading otherwise",
        "capture_decoded_again" => "A later driver read what could not be read before",
        "decode_again_asked" => "Asked for a driver's readings to be decoded again",
        "capture_seen" => "Looked at a capture's bytes without their mask",
        "reading_typed" => "Typed a reading in",
        "reading_assigned" => "Gave a reading to the patient",
        "reading_to_inbox" => "Sent a reading to the inbox",
        "reading_moved_out" => "Moved a reading out of the exam",
        "reading_moved_in" => "Moved a reading into the exam",
        "image_filed" => "An image was filed",
        "image_assigned" => "Gave images to the patient",
        "image_moved_out" => "Moved images out of the exam",
        "image_rejected" => "Rejected images",
        "images_read" => "Read images by DICOMweb",
        "image_seen" => "Looked at an image",
        "acuity_saved" => "Wrote the acuities",
        "subjective_saved" => "Wrote the subjective refraction",
        "final_saved" => "Wrote the final prescription",
        "exam_signed" => "Signed the exam",
        "addendum_written" => "Added to the signed exam",
        "notice_seen" => "Saw a notice",
        "not_taken_noted" => "Noted a test as not taken",
        "not_taken_withdrawn" => "Took back a \u{201c}not taken\u{201d}",
        "drops_noted" => "Noted drops",
        "drops_withdrawn" => "Took back a note of drops",
        "lane_session_opened" => "Opened the lane for the visit",
        "lane_session_closed" => "Ended the lane's session",
        "lens_purpose_said" => "Said what the lensmeter measures",
        "patients_merged" => "Merged charts",
        "patients_unmerged" => "Took a merge back",
        "schedule_imported" => "Imported the schedule",
        "gateway_claim_made" => "Made a gateway's claim code",
        "incident_acknowledged" => "Looks after an incident",
        "opening_hours_set" => "Set opening hours",
        "holiday_added" => "Added a holiday",
        "holiday_removed" => "Removed a holiday",
        "gateway_revoked" => "Shut a gateway out",
        "gateway_listened" => "Listened to an instrument, without values",
        "gateway_configured" => "Changed what a gateway reads",
        "notation_chosen" => "Chose a form of writing",
        "account_added" => "Added a person",
        "account_role_changed" => "Changed a person's role",
        "account_disabled" => "Disabled a person's sign-in",
        "account_enabled" => "Enabled a person's sign-in",
        "account_password_reset" => "Gave a person a new password",
        "account_signed_out" => "Signed a person out everywhere",
        "account_linked" => "Linked a person to the identity provider",
        "account_claim_set" => "Prepared a person for the identity provider",
        "password_changed" => "Changed their password",
        "session_ended" => "Ended a sign-in of their own",
        other => return capitalised(other),
    };
    text.to_owned()
}

/// Whether it was a look, a change, or neither.
pub fn mark(action: &str, is_look: bool) -> &'static str {
    match action {
        "sign_in" | "sign_in_failed" | "sign_out" => "Sign-in",
        "audit_exported" => "Took out",
        _ if is_look => "Looked",
        _ => "Changed",
    }
}

/// What kind of values.
pub fn kind(word: &str) -> String {
    match word {
        "tonometry" => "Pressure".to_owned(),
        "pachymetry" => "Corneal thickness".to_owned(),
        other => capitalised(other),
    }
}

/// A role as it was then.
pub fn role(word: &str) -> &str {
    crate::app::principal::Role::parse(word).map_or(word, |role| role.label())
}

fn capitalised(word: &str) -> String {
    let text = word.replace('_', " ");
    let mut chars = text.chars();
    let first = chars.next().map(|char| char.to_uppercase().to_string()).unwrap_or_default();
    first + chars.as_str()
}
