//! C-STORE: bytes go through as they come, and success is answered when they are durable here.

use super::{
    association::{Association, AssociationError},
    classes::Service,
    command::{AFFECTED_SOP_CLASS_UID, AFFECTED_SOP_INSTANCE_UID, is_uid, status},
    measurements,
    messages::{Message, MessageError},
};
use crate::{
    clock,
    instances::{Head, Incoming, InstancesError, Stored},
};
use chiasm_proto::GatewayEvent;
use std::sync::PoisonError;

/// Why an object is not kept.
struct Declined {
    status: u16,
    why: String,
}

impl Declined {
    fn new(status: u16, why: &str) -> Self {
        Self { status, why: why.into() }
    }
}

impl From<InstancesError> for Declined {
    fn from(error: InstancesError) -> Self {
        let is_full = error.is_out_of_resources() || matches!(error, InstancesError::TooLong);
        let status = if is_full { status::OUT_OF_RESOURCES } else { status::UNABLE };
        Self { status, why: error.to_string() }
    }
}

pub(super) async fn store(
    association: &mut Association,
    message: &Message,
) -> Result<(), AssociationError> {
    let received = receive(association, message).await?;
    let stored = match received {
        Ok(mut incoming) => {
            // Readings follow from it, in a task of their own.
            if measurements::is_read(&message.context.abstract_syntax) {
                incoming.mark_for_follow_up();
            }
            let lane_session = association
                .node
                .shared
                .lanes
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .session_for(&association.imager.lane, clock::wall());
            incoming.finish(lane_session, clock::state()).await.map_err(Declined::from)
        }
        Err(declined) => Err(declined),
    };
    match stored {
        Ok(stored) => {
            note(association, message, &stored).await?;
            association.answer(message, status::SUCCESS).await
        }
        Err(Declined { status, why }) => association.decline(message, status, &why).await,
    }
}

/// Reads the object to its end, also if it cannot be kept: the answer is due only then.
async fn receive(
    association: &mut Association,
    message: &Message,
) -> Result<Result<Incoming, Declined>, MessageError> {
    if !message.command.has_data_set() {
        return Ok(Err(Declined::new(status::UNABLE, "an object without a data set")));
    }
    let mut incoming = begin(association, message).await;
    let mut len_bytes = 0;
    loop {
        let piece = match association.messages.data(message.context_id).await {
            Ok(piece) => piece,
            Err(fault) => {
                drop(incoming);
                broke_off(association, message, len_bytes, &fault).await;
                return Err(fault);
            }
        };
        let bytes = association.messages.bytes(&piece);
        len_bytes += bytes.len() as u64;
        if let Ok(open) = &mut incoming
            && let Err(error) = open.write(bytes).await
        {
            incoming = Err(error.into());
        }
        if piece.is_last {
            break;
        }
    }
    if len_bytes == 0 && incoming.is_ok() {
        incoming = Err(Declined::new(status::UNABLE, "an empty object"));
    }
    Ok(incoming)
}

/// People are told: an object may be missing that somebody waits for, if the imager does not send it
/// again by itself.
async fn broke_off(
    association: &Association,
    message: &Message,
    len_bytes: u64,
    fault: &MessageError,
) {
    let (node, link) = (&association.node, &association.imager.id);
    tracing::warn!(%link, class = message.context.abstract_syntax, len_bytes, %fault,
        "an imager broke off in an object; nothing of it is kept");
    node.shared.health.failure(link);
    let event = GatewayEvent {
        code: "instance_broken_off".into(),
        link: Some(link.clone()),
        detail: format!(
            "An imager broke off after {len_bytes} bytes of an object of the class {}. Nothing of \
             it is kept; the imager has to send it again.",
            message.context.abstract_syntax
        ),
    };
    if let Err(error) = node.shared.spool.event(event).await {
        tracing::error!(%error, "an object that broke off could not be told");
    }
}

async fn begin(association: &Association, message: &Message) -> Result<Incoming, Declined> {
    let sop_class_uid = message.command.uid(AFFECTED_SOP_CLASS_UID);
    let sop_instance_uid = message.command.uid(AFFECTED_SOP_INSTANCE_UID);
    if !is_uid(&sop_class_uid) || !is_uid(&sop_instance_uid) {
        return Err(Declined::new(status::UNABLE, "a UID that is none"));
    }
    if sop_class_uid != message.context.abstract_syntax {
        return Err(Declined::new(status::CLASS_MISMATCH, "an object of another class"));
    }
    let imager = &association.imager;
    let head = Head {
        link: imager.id.clone(),
        lane: imager.lane.clone(),
        calling_ae: imager.calling_ae.clone(),
        sop_class_uid,
        sop_instance_uid,
        transfer_syntax_uid: message.context.transfer_syntax.clone(),
    };
    Ok(association.node.instances.begin(head).await?)
}

/// Counts and records of an object that is durable.
async fn note(
    association: &Association,
    message: &Message,
    stored: &Stored,
) -> Result<(), AssociationError> {
    let (node, imager) = (&association.node, &association.imager);
    let held = stored.held();
    tracing::debug!(link = %imager.id, class = held.head.sop_class_uid, bytes = held.len_bytes,
        is_new = matches!(stored, Stored::New(_)), "an instance is stored");
    if !matches!(stored, Stored::Again(_)) {
        node.shared.health.reading(&imager.id, held.received_at);
    }
    if message.context.service == Service::UnknownStorage {
        node.note_unknown_class(imager, &held.head.sop_class_uid).await?;
    }
    if matches!(stored, Stored::Contradicts(_)) {
        tracing::error!(link = %imager.id, class = held.head.sop_class_uid,
            "an instance came with the UID of an earlier one and other content; both are kept");
    }
    Ok(())
}
