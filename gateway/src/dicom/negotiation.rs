//! Who may associate, and for what (PS3.8 7.1, PS3.7 annex D). Pure.

use super::{
    classes::{self, Service},
    data_set::Syntax,
    units::PDU_LEN_MAX,
};
use crate::{
    config::{Dicom, Imager},
    instances::IMPLEMENTATION_CLASS_UID,
};
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
    Peer { imager: String, peer: IpAddr },
    #[error(
        "it calls `{called}`, but this node is `{ours}`; correct it at the imager, or allow it \
             with dicom.any_called_ae"
    )]
    CalledAe { called: String, ours: String },
    #[error("too many associations are open; it may try again")]
    TooMany,
}

impl Refusal {
    pub fn unit(&self) -> AssociationRJ {
        use AssociationRJServiceUserReason as Reason;
        let user = AssociationRJSource::ServiceUser;
        let (result, source) = match self {
            Refusal::Version => (AssociationRJResult::Permanent, user(Reason::NoReasonGiven)),
            Refusal::ApplicationContext => {
                (AssociationRJResult::Permanent, user(Reason::ApplicationContextNameNotSupported))
            }
            Refusal::CallingAe(_) | Refusal::Peer { .. } => {
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

/// The imager that asks, if it may.
pub fn admit<'a>(
    request: &AssociationRQ,
    peer: IpAddr,
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
        .find(|imager| imager.peer_ip.is_none_or(|ip| ip == peer.to_canonical()))
        .ok_or_else(|| Refusal::Peer { imager: first.id.to_string(), peer })?;
    let called = trim(&request.called_ae_title);
    if called != dicom.ae_title && !dicom.any_called_ae {
        return Err(Refusal::CalledAe { called: printable(called), ours: dicom.ae_title.clone() });
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
