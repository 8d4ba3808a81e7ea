//! Who may associate, and for what (PS3.8 7.1, PS3.7 annex D). Pure.

use super::{
    classes::{self, Service},
    data_set::Syntax,
    units::PDU_LEN_MAX,
};
use crate::{
    config::{Dicom, Imager, ImagerTls},
    instances::IMPLEMENTATION_CLASS_UID,
};
use chiasm_proto::{LinkId, Sha256};
use dicom_ul::pdu::{
    AssociationAC, AssociationRJ, AssociationRJResult,
    AssociationRJServiceProviderPresentationReason, AssociationRJServiceUserReason,
    AssociationRJSource, AssociationRQ, PresentationContextProposed, PresentationContextResult,
    PresentationContextResultReason, RequestorRoles, UserVariableItem,
};
use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

pub const APPLICATION_CONTEXT: &str = "1.2.840.10008.3.1.1.1";
pub const IMPLEMENTATION_VERSION: &str = "CHIASM_1";
/// Longest P-DATA unit that we send, whatever the other side would take.
pub const SENT_PDU_LEN_MAX: u32 = 64 * 1024;
/// Shortest longest unit that another side may name; smaller ones are taken for a mistake.
const PEER_PDU_LEN_MIN: u32 = 128;
const IMPLICIT_LITTLE_ENDIAN: &str = "1.2.840.10008.1.2";
const EXPLICIT_LITTLE_ENDIAN: &str = "1.2.840.10008.1.2.1";

/// A presentation context that was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    pub service: Service,
    pub abstract_syntax: String,
    pub transfer_syntax: String,
}

impl Context {
    /// The syntax of messages in this context that are not objects.
    pub fn syntax(&self) -> Syntax {
        Syntax::from_uid(&self.transfer_syntax).unwrap_or(Syntax::ImplicitLittleEndian)
    }
}

/// What both sides agreed on.
#[derive(Debug)]
pub struct Agreed {
    pub contexts: BTreeMap<u8, Context>,
    /// Longest unit that the other side takes, in bytes.
    pub unit_len_max: usize,
}

/// Why an association is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("another version of the protocol")]
    Version,
    #[error("another application context")]
    ApplicationContext,
    #[error("no imager has the AE title `{0}`; enrol it with an [[imager]] table")]
    CallingAe(String),
    #[error("imager `{imager}` calls from {peer}, not from its peer_ip")]
    Peer { imager: LinkId, peer: IpAddr },
    #[error(
        "imager `{imager}` calls `{called}`, but this node is `{ours}`; correct it at the imager, \
         or allow it with dicom.any_called_ae"
    )]
    CalledAe { imager: LinkId, called: String, ours: String },
    #[error(
        "imager `{imager}` calls without TLS, which its configuration requires; set the port of \
         dicom.tls at the imager"
    )]
    Plain { imager: LinkId },
    #[error("imager `{imager}` shows another certificate than its certificate_sha256")]
    Certificate { imager: LinkId },
    #[error("too many associations are open; it may try again")]
    TooMany,
}

impl Refusal {
    /// The imager that it is about, if it is one of ours.
    pub fn imager(&self) -> Option<LinkId> {
        match self {
            Refusal::Peer { imager, .. }
            | Refusal::CalledAe { imager, .. }
            | Refusal::Plain { imager }
            | Refusal::Certificate { imager } => Some(imager.clone()),
            _ => None,
        }
    }

    pub fn unit(&self) -> AssociationRJ {
        use AssociationRJServiceUserReason as Reason;
        let user = AssociationRJSource::ServiceUser;
        let (result, source) = match self {
            Refusal::Version | Refusal::Plain { .. } => {
                (AssociationRJResult::Permanent, user(Reason::NoReasonGiven))
            }
            Refusal::ApplicationContext => {
                (AssociationRJResult::Permanent, user(Reason::ApplicationContextNameNotSupported))
            }
            Refusal::CallingAe(_) | Refusal::Peer { .. } | Refusal::Certificate { .. } => {
                (AssociationRJResult::Permanent, user(Reason::CallingAETitleNotRecognized))
            }
            Refusal::CalledAe { .. } => {
                (AssociationRJResult::Permanent, user(Reason::CalledAETitleNotRecognized))
            }
            Refusal::TooMany => (
                AssociationRJResult::Transient,
                AssociationRJSource::ServiceProviderPresentation(
                    AssociationRJServiceProviderPresentationReason::LocalLimitExceeded,
                ),
            ),
        };
        AssociationRJ { result, source }
    }
}

/// What the connection tells of who calls.
#[derive(Debug, Clone, Copy)]
pub struct Caller {
    pub ip: IpAddr,
    pub is_tls: bool,
    /// SHA-256 of the certificate that it showed.
    pub certificate: Option<Sha256>,
}

/// The imager that asks, if it may.
pub fn admit<'a>(
    request: &AssociationRQ,
    caller: Caller,
    dicom: &Dicom,
    imagers: &'a [Arc<Imager>],
) -> Result<&'a Arc<Imager>, Refusal> {
    if request.protocol_version & 1 == 0 {
        return Err(Refusal::Version);
    }
    if trim(&request.application_context_name) != APPLICATION_CONTEXT {
        return Err(Refusal::ApplicationContext);
    }
    let calling = trim(&request.calling_ae_title);
    let mut named = imagers.iter().filter(|imager| imager.calling_ae == calling).peekable();
    let Some(first) = named.peek().copied() else {
        return Err(Refusal::CallingAe(printable(calling)));
    };
    let imager = named
        .find(|imager| imager.peer_ip.is_none_or(|ip| ip == caller.ip.to_canonical()))
        .ok_or_else(|| Refusal::Peer { imager: first.id.clone(), peer: caller.ip })?;
    if imager.tls == ImagerTls::Required && !caller.is_tls {
        return Err(Refusal::Plain { imager: imager.id.clone() });
    }
    if imager.certificate_sha256.is_some() && imager.certificate_sha256 != caller.certificate {
        return Err(Refusal::Certificate { imager: imager.id.clone() });
    }
    let called = trim(&request.called_ae_title);
    if called != dicom.ae_title && !dicom.any_called_ae {
        return Err(Refusal::CalledAe {
            imager: imager.id.clone(),
            called: printable(called),
            ours: dicom.ae_title.clone(),
        });
    }
    Ok(imager)
}

/// What is accepted of what was proposed.
pub fn agree(request: &AssociationRQ) -> (AssociationAC, Agreed) {
    let mut contexts = BTreeMap::new();
    let mut results = Vec::new();
    for proposed in &request.presentation_contexts {
        let context = accept(proposed);
        let is_new = proposed.id % 2 == 1 && !contexts.contains_key(&proposed.id);
        let (reason, transfer_syntax) = match &context {
            Ok(context) if is_new => {
                (PresentationContextResultReason::Acceptance, context.transfer_syntax.clone())
            }
            Ok(_) => (PresentationContextResultReason::NoReason, IMPLICIT_LITTLE_ENDIAN.into()),
            Err(reason) => (reason.clone(), IMPLICIT_LITTLE_ENDIAN.into()),
        };
        results.push(PresentationContextResult { id: proposed.id, reason, transfer_syntax });
        if let (Ok(context), true) = (context, is_new) {
            contexts.insert(proposed.id, context);
        }
    }
    let mut variables = own_variables();
    variables.extend(request.user_variables.iter().filter_map(role));
    let unit = AssociationAC {
        protocol_version: 1,
        application_context_name: APPLICATION_CONTEXT.into(),
        presentation_contexts: results,
        calling_ae_title: request.calling_ae_title.clone(),
        called_ae_title: request.called_ae_title.clone(),
        user_variables: variables,
    };
    let agreed = Agreed { contexts, unit_len_max: unit_len_max(&request.user_variables) };
    (unit, agreed)
}

/// What either side of ours says of itself.
pub fn own_variables() -> Vec<UserVariableItem> {
    vec![
        UserVariableItem::MaxLength(PDU_LEN_MAX),
        UserVariableItem::ImplementationClassUID(IMPLEMENTATION_CLASS_UID.into()),
        UserVariableItem::ImplementationVersionName(IMPLEMENTATION_VERSION.into()),
    ]
}

/// Longest unit that the other side takes. 0 means that it has no limit.
pub fn unit_len_max(variables: &[UserVariableItem]) -> usize {
    let said = variables.iter().find_map(|variable| match variable {
        UserVariableItem::MaxLength(len) => Some(*len),
        _ => None,
    });
    match said.unwrap_or(0) {
        0 => SENT_PDU_LEN_MAX as usize,
        len => len.clamp(PEER_PDU_LEN_MIN, SENT_PDU_LEN_MAX) as usize,
    }
}

fn accept(
    proposed: &PresentationContextProposed,
) -> Result<Context, PresentationContextResultReason> {
    let abstract_syntax = trim(&proposed.abstract_syntax);
    let service = classes::service(abstract_syntax)
        .ok_or(PresentationContextResultReason::AbstractSyntaxNotSupported)?;
    let offered = || proposed.transfer_syntaxes.iter().map(|syntax| trim(syntax));
    let uncompressed = [EXPLICIT_LITTLE_ENDIAN, IMPLICIT_LITTLE_ENDIAN]
        .into_iter()
        .find(|preferred| offered().any(|syntax| syntax == *preferred));
    // Bytes of objects are kept as they come, so any syntax will do. Where there is a choice,
    // uncompressed: a sender that would compress for us might lose something.
    let other = || offered().find(|syntax| service.is_storage() && super::command::is_uid(syntax));
    let transfer_syntax = uncompressed
        .or_else(other)
        .ok_or(PresentationContextResultReason::TransferSyntaxesNotSupported)?;
    Ok(Context {
        service,
        abstract_syntax: abstract_syntax.into(),
        transfer_syntax: transfer_syntax.into(),
    })
}

/// The requestor uses our services; it is never asked to provide one on its own association.
fn role(variable: &UserVariableItem) -> Option<UserVariableItem> {
    let UserVariableItem::ScuScpRoleSelectionSubItem(uid, roles) = variable else { return None };
    let granted = RequestorRoles { scu: roles.scu, scp: false };
    Some(UserVariableItem::ScuScpRoleSelectionSubItem(uid.clone(), granted))
}

/// Without the padding of AE titles and UIDs.
pub fn trim(text: &str) -> &str {
    text.trim_matches(|sign: char| sign == '\0' || sign.is_ascii_whitespace())
}

/// A title from outside, for a log.
fn printable(title: &str) -> String {
    title.chars().take(16).map(|sign| if sign.is_ascii_graphic() { sign } else { '?' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(contexts: &[(u8, &str, &[&str])]) -> AssociationRQ {
        let propose = |(id, class, syntaxes): &(u8, &str, &[&str])| PresentationContextProposed {
            id: *id,
            abstract_syntax: format!("{class}\0"),
            transfer_syntaxes: syntaxes.iter().map(|syntax| (*syntax).to_owned()).collect(),
        };
        AssociationRQ {
            protocol_version: 1,
            calling_ae_title: "OCT  ".into(),
            called_ae_title: "CHIASM".into(),
            application_context_name: APPLICATION_CONTEXT.into(),
            presentation_contexts: contexts.iter().map(propose).collect(),
            user_variables: vec![],
        }
    }

    fn imager(id: &str, peer_ip: Option<&str>) -> Arc<Imager> {
        Arc::new(Imager {
            id: LinkId::new(id).unwrap(),
            lane: chiasm_proto::LaneId::new("lane-1").unwrap(),
            calling_ae: "OCT".into(),
            address: None,
            peer_ip: peer_ip.map(|ip| ip.parse().unwrap()),
            tls: ImagerTls::Optional,
            certificate_sha256: None,
        })
    }

    #[test]
    fn imagers_of_one_title_are_told_apart_by_where_they_call_from() {
        let imagers = [imager("a", Some("10.0.0.1")), imager("b", Some("10.0.0.2"))];
        let from = |ip: &str| {
            let caller = Caller { ip: ip.parse().unwrap(), is_tls: false, certificate: None };
            let admitted = admit(&request(&[]), caller, &Dicom::default(), &imagers);
            admitted.map(|imager| imager.id.to_string())
        };
        assert_eq!(from("10.0.0.2").unwrap(), "b");
        assert_eq!(from("::ffff:10.0.0.1").unwrap(), "a");
        assert!(matches!(from("10.0.0.3"), Err(Refusal::Peer { .. })));
    }

    #[test]
    fn every_syntax_is_taken_and_an_uncompressed_one_preferred() {
        const OPT: &str = "1.2.840.10008.5.1.4.1.1.77.1.5.4";
        const J2K: &str = "1.2.840.10008.1.2.4.90";
        let (_, agreed) = agree(&request(&[
            (1, OPT, &[J2K]),
            (3, OPT, &[J2K, IMPLICIT_LITTLE_ENDIAN]),
            (5, OPT, &[IMPLICIT_LITTLE_ENDIAN, EXPLICIT_LITTLE_ENDIAN, J2K]),
            (7, OPT, &["1.3.6.1.4.1.99999.5"]),
            (9, OPT, &[]),
            (11, OPT, &["../x"]),
            (13, "1.2.840.10008.5.1.4.31", &[J2K]),
            (15, "1.2.840.10008.5.1.4.31", &[IMPLICIT_LITTLE_ENDIAN]),
            (16, OPT, &[J2K]),
            (1, OPT, &[EXPLICIT_LITTLE_ENDIAN]),
        ]));
        let chosen: Vec<(u8, &str)> =
            agreed.contexts.iter().map(|(id, it)| (*id, it.transfer_syntax.as_str())).collect();
        assert_eq!(
            chosen,
            [
                (1, J2K),
                (3, IMPLICIT_LITTLE_ENDIAN),
                (5, EXPLICIT_LITTLE_ENDIAN),
                (7, "1.3.6.1.4.1.99999.5"),
                (15, IMPLICIT_LITTLE_ENDIAN),
            ]
        );
    }

    #[test]
    fn what_the_other_side_takes_is_believed_within_limits() {
        let said = |len| unit_len_max(&[UserVariableItem::MaxLength(len)]);
        assert_eq!((said(0), said(1), said(16_384), said(u32::MAX)), (65_536, 128, 16_384, 65_536));
    }
}
