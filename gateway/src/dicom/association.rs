//! One association of an imager, from its request to its end.

use super::{
    Node,
    classes::Service,
    command::{
        ANSWER, C_CANCEL_RQ, C_ECHO_RQ, C_FIND_RQ, C_STORE_RQ, MESSAGE_ID_RESPONDED_TO,
        N_ACTION_RQ, N_CREATE_RQ, N_EVENT_REPORT_RQ, N_SET_RQ, STATUS, status,
    },
    commitment::{self, Claims},
    find,
    messages::{Message, MessageError, Messages, Next},
    negotiation::{self, Caller, Refusal},
    procedure_step, storage,
    units::Received,
    wire::{Connection, Stream, WireError},
};
use crate::{config::Imager, instances::InstancesError, spool::SpoolError};
use dicom_ul::pdu::{AbortRQServiceProviderReason, AbortRQSource, AssociationRQ, Pdu};
use std::{sync::Arc, time::Duration};

/// Longest wait for the request after the connection.
pub const REQUEST_WAIT_MAX: Duration = Duration::from_secs(15);
/// Longest silence between two messages.
pub const IDLE_MAX: Duration = Duration::from_secs(300);

/// Why an association ended otherwise than by its release.
#[derive(Debug, thiserror::Error)]
pub enum AssociationError {
    #[error("{0}")]
    Refused(#[from] Refusal),
    #[error("no association was asked for")]
    NoRequest,
    #[error(transparent)]
    Message(#[from] MessageError),
    #[error(transparent)]
    Spool(#[from] SpoolError),
    #[error(transparent)]
    Instances(#[from] InstancesError),
}

impl From<WireError> for AssociationError {
    fn from(error: WireError) -> Self {
        AssociationError::Message(error.into())
    }
}

/// An association that was accepted.
pub struct Association {
    pub node: Arc<Node>,
    pub imager: Arc<Imager>,
    pub messages: Messages,
}

/// Serves one connection to its end.
pub async fn serve(node: Arc<Node>, stream: Stream) {
    let Ok(mut connection) = Connection::new(stream) else { return };
    let peer = connection.peer;
    let request = match request(&mut connection).await {
        Ok(request) => request,
        Err(error) => {
            if matches!(&error, AssociationError::Message(MessageError::Wire(it)) if it.is_tls()) {
                let from = peer.ip();
                let detail = format!(
                    "a call from {from} by TLS came to the plain port; set the port of dicom.tls \
                     at the imager"
                );
                node.tell_once(None, detail).await;
            }
            tracing::warn!(%peer, %error, "a connection to the DICOM node gave no association");
            return;
        }
    };
    let caller = Caller {
        ip: peer.ip(),
        is_tls: connection.is_tls(),
        certificate: connection.certificate(),
    };
    let admitted = negotiation::admit(&request, caller, &node.dicom, &node.imagers);
    let permit = node.associations.clone().try_acquire_owned();
    let imager = match (admitted, &permit) {
        (Ok(imager), Ok(_)) => imager.clone(),
        (Ok(_), Err(_)) => return node.refuse(connection, &Refusal::TooMany).await,
        (Err(refusal), _) => return node.refuse(connection, &refusal).await,
    };
    let (answer, agreed) = negotiation::agree(&request);
    tracing::debug!(link = %imager.id, %peer, contexts = agreed.contexts.len(), "associated");
    if let Err(error) = connection.send(&Pdu::AssociationAC(answer)).await {
        tracing::warn!(link = %imager.id, %peer, %error, "the association ended at its beginning");
        return;
    }
    node.shared.health.up(&imager.id);
    let link = imager.id.clone();
    let messages = Messages::new(connection, agreed);
    let mut association = Association { node, imager, messages };
    match association.run().await {
        Ok(()) => {
            tracing::debug!(%link, %peer, "released");
            association.messages.close().await;
        }
        Err(error) => {
            tracing::warn!(%link, %peer, %error, "the association ended without a release");
            let fault = match error {
                AssociationError::Message(fault) => fault,
                _ => MessageError::OutOfOrder("the gateway cannot go on"),
            };
            association.messages.end(&fault).await;
        }
    }
}

async fn request(connection: &mut Connection) -> Result<AssociationRQ, AssociationError> {
    let received = tokio::time::timeout(REQUEST_WAIT_MAX, connection.receive(REQUEST_WAIT_MAX));
    match received.await.map_err(|_| AssociationError::NoRequest)?? {
        Received::Unit(Pdu::AssociationRQ(request)) => Ok(request),
        _ => {
            let reason = AbortRQServiceProviderReason::UnexpectedPdu;
            let unit = Pdu::AbortRQ { source: AbortRQSource::ServiceProvider(reason) };
            let _ = connection.send(&unit).await;
            Err(AssociationError::NoRequest)
        }
    }
}

impl Association {
    async fn run(&mut self) -> Result<(), AssociationError> {
        let mut claims = Claims::new(self);
        loop {
            let next = tokio::select! {
                biased;
                next = self.messages.next(IDLE_MAX) => next?,
                due = claims.due() => {
                    let (context_id, event_type, data_set) = due?;
                    let id = self.messages.new_id();
                    let request = super::requestor::report_request(id, event_type);
                    self.messages.send_with(context_id, request, &data_set).await?;
                    claims.reported(id);
                    continue;
                }
            };
            match next {
                Next::Released => return Ok(()),
                Next::Message(message) => self.handle(&message, &mut claims).await?,
            }
        }
    }

    async fn handle(
        &mut self,
        message: &Message,
        claims: &mut Claims,
    ) -> Result<(), AssociationError> {
        match (message.context.service, message.command.field()) {
            (_, C_ECHO_RQ) => self.answer(message, status::SUCCESS).await,
            (service, C_STORE_RQ) if service.is_storage() => storage::store(self, message).await,
            (Service::Worklist | Service::PatientFind, C_FIND_RQ) => {
                find::find(self, message).await
            }
            // What it would cancel is answered already.
            (_, C_CANCEL_RQ) => Ok(()),
            (Service::Commitment, N_ACTION_RQ) => commitment::action(self, message, claims).await,
            (Service::Commitment, field) if field == N_EVENT_REPORT_RQ | ANSWER => {
                self.skip_data(message).await?;
                let id = message.command.u16(MESSAGE_ID_RESPONDED_TO);
                let status = message.command.u16(STATUS);
                claims.answered(id, status).await?;
                Ok(())
            }
            (Service::ProcedureStep, N_CREATE_RQ) => procedure_step::create(self, message).await,
            (Service::ProcedureStep, N_SET_RQ) => procedure_step::set(self, message).await,
            (_, field) => {
                self.skip_data(message).await?;
                if field & ANSWER != 0 {
                    return Ok(());
                }
                self.answer(message, status::UNRECOGNISED_OPERATION).await
            }
        }
    }

    pub(super) async fn answer(
        &mut self,
        message: &Message,
        status: u16,
    ) -> Result<(), AssociationError> {
        let answer = message.command.answer(status);
        Ok(self.messages.send(message.context_id, &answer).await?)
    }

    /// Answers that it cannot be done, and says why here and there.
    pub(super) async fn decline(
        &mut self,
        message: &Message,
        status: u16,
        why: &str,
    ) -> Result<(), AssociationError> {
        tracing::warn!(link = %self.imager.id, status = format!("{status:04X}"), why,
            class = message.context.abstract_syntax, "a request is declined");
        self.node.shared.health.failure(&self.imager.id);
        let answer = message.command.answer(status).because(why);
        Ok(self.messages.send(message.context_id, &answer).await?)
    }

    /// Reads a data set that nobody wants.
    pub(super) async fn skip_data(&mut self, message: &Message) -> Result<(), AssociationError> {
        if message.command.has_data_set() {
            while !self.messages.data(message.context_id).await?.is_last {}
        }
        Ok(())
    }
}
