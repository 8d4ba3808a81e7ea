//! Associations that the gateway opens to an imager: C-ECHO and commitment reports.

use super::{
    classes::Service,
    command::{
        AFFECTED_SOP_CLASS_UID, AFFECTED_SOP_INSTANCE_UID, ANSWER, C_ECHO_RQ, Command,
        EVENT_TYPE_ID, MESSAGE_ID_RESPONDED_TO, N_EVENT_REPORT_RQ, STATUS, status,
    },
    data_set::DataSet,
    messages::{MessageError, Messages, Next},
    negotiation::{APPLICATION_CONTEXT, Agreed, Context, own_variables, trim, unit_len_max},
    tls::{Tls, TlsError},
    units::Received,
    wire::{Connection, Stream, WireError},
};
use crate::config::{Dicom, Imager, ImagerTls};
use dicom_dictionary_std::uids;
use dicom_ul::pdu::{
    AssociationAC, AssociationRQ, Pdu, PresentationContextProposed,
    PresentationContextResultReason, RequestorRoles, UserVariableItem,
};
use std::{collections::BTreeMap, io, time::Duration};
use tokio::{net::TcpStream, time::timeout};

/// Longest wait for the imager to take the connection.
pub const CONNECT_WAIT_MAX: Duration = Duration::from_secs(10);
/// Longest wait for each of its answers.
pub const ANSWER_WAIT_MAX: Duration = Duration::from_secs(30);
const CONTEXT_ID: u8 = 1;
const SYNTAXES: [&str; 2] = ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2"];

/// Why an imager could not be told.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    #[error("imager `{0}` has no address; give it one in the configuration")]
    NoAddress(String),
    #[error("cannot connect to {address}: {source}; is the imager on, and its address right?")]
    Connect { address: String, source: io::Error },
    #[error("no TLS with {address}: {source}")]
    Tls { address: String, source: TlsError },
    #[error("{0} shows another certificate than its certificate_sha256")]
    Certificate(String),
    #[error("{0} refuses the association ({1}); it must know this gateway by its AE title")]
    Refused(String, String),
    #[error("{0} does not offer this service")]
    NotOffered(String),
    #[error("{0}")]
    Message(#[from] MessageError),
    #[error("{0} answers with status {1:04X}")]
    Status(String, u16),
    #[error("{0} answers something else")]
    Confused(String),
}

impl From<WireError> for RequestError {
    fn from(error: WireError) -> Self {
        RequestError::Message(error.into())
    }
}

/// Asks an imager whether it is there (C-ECHO).
pub async fn echo(dicom: &Dicom, tls: &Tls, imager: &Imager) -> Result<(), RequestError> {
    let mut messages = associate((dicom, tls), imager, uids::VERIFICATION, None).await?;
    let request = Command::request(C_ECHO_RQ, messages.new_id())
        .with_uid(AFFECTED_SOP_CLASS_UID, uids::VERIFICATION);
    messages.send(CONTEXT_ID, &request).await?;
    expect_success(&mut messages, imager, &request).await?;
    Ok(messages.release().await?)
}

/// Reports a commitment. We are its provider, although we open the association.
pub async fn report(
    dicom: &Dicom,
    tls: &Tls,
    imager: &Imager,
    event_type: u16,
    data_set: &DataSet,
) -> Result<(), RequestError> {
    let roles = RequestorRoles { scu: false, scp: true };
    let class = uids::STORAGE_COMMITMENT_PUSH_MODEL;
    let mut messages = associate((dicom, tls), imager, class, Some(roles)).await?;
    let request = report_request(messages.new_id(), event_type);
    messages.send_with(CONTEXT_ID, request.clone(), data_set).await?;
    expect_success(&mut messages, imager, &request).await?;
    // The report has arrived, however the imager takes its leave.
    let _ = messages.release().await;
    Ok(())
}

/// N-EVENT-REPORT of a commitment, for either side's association.
pub fn report_request(message_id: u16, event_type: u16) -> Command {
    Command::request(N_EVENT_REPORT_RQ, message_id)
        .with_uid(AFFECTED_SOP_CLASS_UID, uids::STORAGE_COMMITMENT_PUSH_MODEL)
        .with_uid(AFFECTED_SOP_INSTANCE_UID, uids::STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE)
        .with_u16(EVENT_TYPE_ID, event_type)
}

/// A connection of the kind that the imager wants.
async fn connect(tls: &Tls, imager: &Imager) -> Result<Connection, RequestError> {
    let address = imager.address.as_deref();
    let address = address.ok_or_else(|| RequestError::NoAddress(imager.id.to_string()))?;
    let fail = |source| RequestError::Connect { address: address.into(), source };
    let stream = match timeout(CONNECT_WAIT_MAX, TcpStream::connect(address)).await {
        Ok(connected) => connected.map_err(fail)?,
        Err(_) => return Err(fail(io::ErrorKind::TimedOut.into())),
    };
    if imager.tls != ImagerTls::Required {
        return Connection::new(Stream::Plain(stream)).map_err(fail);
    }
    let ip = stream.peer_addr().map_err(fail)?.ip();
    let shaken = tls.connect(stream, ip).await;
    let stream = shaken.map_err(|source| RequestError::Tls { address: address.into(), source })?;
    let connection = Connection::new(Stream::Tls(Box::new(stream))).map_err(fail)?;
    if imager.certificate_sha256.is_some() && imager.certificate_sha256 != connection.certificate()
    {
        return Err(RequestError::Certificate(imager.id.to_string()));
    }
    Ok(connection)
}

async fn associate(
    (dicom, tls): (&Dicom, &Tls),
    imager: &Imager,
    abstract_syntax: &str,
    roles: Option<RequestorRoles>,
) -> Result<Messages, RequestError> {
    let mut connection = connect(tls, imager).await?;
    let mut variables = own_variables();
    variables.extend(
        roles.map(|roles| {
            UserVariableItem::ScuScpRoleSelectionSubItem(abstract_syntax.into(), roles)
        }),
    );
    let request = AssociationRQ {
        protocol_version: 1,
        calling_ae_title: dicom.ae_title.clone(),
        called_ae_title: imager.calling_ae.clone(),
        application_context_name: APPLICATION_CONTEXT.into(),
        presentation_contexts: vec![PresentationContextProposed {
            id: CONTEXT_ID,
            abstract_syntax: abstract_syntax.into(),
            transfer_syntaxes: SYNTAXES.map(Into::into).into(),
        }],
        user_variables: variables,
    };
    connection.send(&request.into()).await?;
    match connection.receive(ANSWER_WAIT_MAX).await? {
        Received::Unit(Pdu::AssociationAC(answer)) => {
            let agreed = agreed(&answer, abstract_syntax)
                .ok_or_else(|| RequestError::NotOffered(imager.id.to_string()))?;
            Ok(Messages::new(connection, agreed))
        }
        Received::Unit(Pdu::AssociationRJ(refused)) => {
            Err(RequestError::Refused(imager.id.to_string(), refused.source.to_string()))
        }
        Received::Unit(Pdu::AbortRQ { .. }) => Err(MessageError::Aborted.into()),
        _ => Err(RequestError::Confused(imager.id.to_string())),
    }
}

fn agreed(answer: &AssociationAC, abstract_syntax: &str) -> Option<Agreed> {
    let accepted = answer.presentation_contexts.iter().find(|result| {
        result.id == CONTEXT_ID && result.reason == PresentationContextResultReason::Acceptance
    })?;
    let transfer_syntax = trim(&accepted.transfer_syntax).to_owned();
    let service = super::classes::service(abstract_syntax).unwrap_or(Service::Verification);
    let context = Context { service, abstract_syntax: abstract_syntax.into(), transfer_syntax };
    Some(Agreed {
        contexts: BTreeMap::from([(CONTEXT_ID, context)]),
        unit_len_max: unit_len_max(&answer.user_variables),
    })
}

async fn expect_success(
    messages: &mut Messages,
    imager: &Imager,
    request: &Command,
) -> Result<(), RequestError> {
    let confused = || RequestError::Confused(imager.id.to_string());
    let Next::Message(answer) = messages.next(ANSWER_WAIT_MAX).await? else {
        return Err(confused());
    };
    if answer.command.has_data_set() {
        let _ = messages.data_set(&answer).await?;
    }
    let command = answer.command;
    let is_ours = command.field() == request.field() | ANSWER
        && command.u16(MESSAGE_ID_RESPONDED_TO) == Some(request.message_id());
    match command.u16(STATUS).filter(|_| is_ours) {
        Some(status::SUCCESS) => Ok(()),
        Some(other) => Err(RequestError::Status(imager.id.to_string(), other)),
        None => Err(confused()),
    }
}
