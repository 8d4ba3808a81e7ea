//! C-FIND: the worklist, and patients and visits of it.

use super::{
    association::{Association, AssociationError},
    classes::Service,
    command::{C_CANCEL_RQ, MESSAGE_ID_RESPONDED_TO, status},
    messages::{Message, MessageError, Next},
    query::{self, Asker, Model},
};
use std::time::Duration;

/// Most answers to one query; whoever gets so many asks more narrowly.
pub const ANSWERS_MAX: usize = 500;

pub(super) async fn find(
    association: &mut Association,
    message: &Message,
) -> Result<(), AssociationError> {
    let keys = match association.messages.data_set(message).await? {
        Ok(keys) => keys,
        Err(unusable) => {
            return association.decline(message, status::UNABLE, &unusable.to_string()).await;
        }
    };
    let node = association.node.clone();
    let Some(worklist) = node.worklist.current() else {
        let why = "no schedule has come from the cloud yet";
        return association.decline(message, status::UNABLE, why).await;
    };
    let imager = association.imager.clone();
    let model = match message.context.service {
        Service::PatientFind => Model::Patient,
        _ => Model::Worklist,
    };
    let asker = Asker {
        calling_ae: &imager.calling_ae,
        enrolled: &node.ae_titles,
        station: imager.id.as_str(),
        own_ae: &node.dicom.ae_title,
    };
    let answers = match query::answers(model, &keys, &worklist, asker) {
        Ok(answers) => answers,
        Err(error) => {
            return association.decline(message, status::UNABLE, &error.to_string()).await;
        }
    };
    let mut count = 0;
    for answer in answers {
        if count == ANSWERS_MAX {
            let why = format!("more than {ANSWERS_MAX} answers; ask more narrowly");
            return association.decline(message, status::OUT_OF_RESOURCES, &why).await;
        }
        if is_cancelled(association, message).await? {
            tracing::debug!(link = %imager.id, count, "a query was cancelled");
            return association.answer(message, status::CANCELLED).await;
        }
        let pending = message.command.answer(status::PENDING);
        association.messages.send_with(message.context_id, pending, &answer).await?;
        count += 1;
    }
    tracing::debug!(link = %imager.id, ?model, count, "a query is answered");
    association.answer(message, status::SUCCESS).await
}

/// Whether a C-CANCEL of this request has come. Looks, and does not wait.
async fn is_cancelled(
    association: &mut Association,
    message: &Message,
) -> Result<bool, MessageError> {
    // Lets the runtime see what the network has brought.
    tokio::task::yield_now().await;
    let now = Duration::ZERO;
    let next = tokio::time::timeout(now, association.messages.next(super::messages::STALL_MAX));
    match next.await {
        Err(_) => Ok(false),
        Ok(Ok(Next::Message(next))) if next.command.field() == C_CANCEL_RQ => {
            let id = next.command.u16(MESSAGE_ID_RESPONDED_TO);
            Ok(id == Some(message.command.message_id()))
        }
        Ok(Ok(_)) => Err(MessageError::OutOfOrder("a request before the answer to the last")),
        Ok(Err(error)) => Err(error),
    }
}
