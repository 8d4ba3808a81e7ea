//! C-STORE of whole objects over one association.
//!
//! The association is `dicom-ul`'s. Bytes that an acceptor sends right behind its A-ASSOCIATE-AC may
//! be lost there; as the storing side we speak first, so nothing comes before our request.

use super::tls::{self, TlsError};
use crate::store::archive::Destination;
use chiasm_drivers::dicom::write::Written;
use dicom_core::{DataElement, PrimitiveValue, VR, dicom_value};
use dicom_dictionary_std::{tags, uids};
use dicom_encoding::transfer_syntax::TransferSyntaxIndex;
use dicom_object::{InMemDicomObject, OpenFileOptions};
use dicom_transfer_syntax_registry::{TransferSyntaxRegistry, entries};
use dicom_ul::{
    ClientAssociationOptions, Pdu,
    association::client::AsyncClientAssociation,
    pdu::{PDataValue, PDataValueType},
};
use std::{collections::BTreeSet, time::Duration};
use tokio::io::{AsyncRead, AsyncWrite};

/// A way for an association, with or without TLS.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

const CONNECT_MAX: Duration = Duration::from_secs(10);
/// How long an archive may be silent.
const SILENCE_MAX: Duration = Duration::from_secs(30);
const PDU_LEN_MAX: u32 = 32 * 1024;
const PDU_LEN_MIN: u32 = 128;
/// Length, context and control of the value in a PDU.
const PDV_HEAD_LEN: u32 = 6;
/// Most bytes of an answer: some elements of a command.
const ANSWER_LEN_MAX: usize = 16 * 1024;
const C_STORE_RQ: u16 = 0x0001;
const C_STORE_RSP: u16 = 0x8001;
const HAS_DATA_SET: u16 = 0x0001;

/// Why an archive did not take an object.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    #[error("no association with {called_ae} at {host}:{port}: {why}")]
    Associate { called_ae: String, host: String, port: i64, why: String },
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("the archive does not accept {0} objects: allow the class in its configuration")]
    NotAccepted(&'static str),
    #[error("the association broke: {0}")]
    Broken(#[source] Box<dicom_ul::association::Error>),
    #[error("the archive answers something else than expected: {0}")]
    Answer(&'static str),
    #[error("the archive refuses the {kind} object with status {status:04X}")]
    Refused { kind: &'static str, status: u16 },
    #[error("the object cannot be encoded: {0}")]
    Encode(String),
    #[error("not done within {0} s")]
    TooLong(u64),
}

/// Sends objects in their order. `taken` grows by the identifier of each instance that was stored.
pub async fn store(
    destination: &Destination,
    objects: &[&Written],
    taken: &mut Vec<String>,
) -> Result<(), SendError> {
    let Destination { host, port, called_ae, .. } = destination;
    let address = (host.as_str(), u16::try_from(*port).unwrap_or_default());
    let options = options(destination, objects);
    let failed = |source: dicom_ul::association::Error| SendError::Associate {
        called_ae: called_ae.clone(),
        host: host.clone(),
        port: *port,
        why: tls::why(&source),
    };
    match tls::config(destination)? {
        Some(config) => {
            let name = tls::name(destination);
            let options = options.tls_config(config).server_name(name);
            let association = options.establish_tls_async(address).await.map_err(failed)?;
            store_all(association, objects, taken).await
        }
        None => {
            let association = options.establish_async(address).await.map_err(failed)?;
            store_all(association, objects, taken).await
        }
    }
}

async fn store_all<S: Stream>(
    mut association: AsyncClientAssociation<S>,
    objects: &[&Written],
    taken: &mut Vec<String>,
) -> Result<(), SendError> {
    for (index, object) in objects.iter().enumerate() {
        let message_id = u16::try_from(index + 1).unwrap_or(u16::MAX);
        if let Err(error) = store_one(&mut association, object, message_id).await {
            let _ = association.abort().await;
            return Err(error);
        }
        taken.push(object.instance_uid.clone());
    }
    // Everything is stored; how the other side takes leave changes nothing.
    let _ = association.release().await;
    Ok(())
}

fn options<'a>(destination: &Destination, objects: &[&Written]) -> ClientAssociationOptions<'a> {
    let Destination { called_ae, calling_ae, .. } = destination;
    let mut options = ClientAssociationOptions::new()
        .calling_ae_title(calling_ae.clone())
        .called_ae_title(called_ae.clone())
        .connection_timeout(CONNECT_MAX)
        .read_timeout(SILENCE_MAX)
        .write_timeout(SILENCE_MAX)
        .max_pdu_length(PDU_LEN_MAX);
    let classes: BTreeSet<&'static str> = objects.iter().map(|it| it.kind.class_uid()).collect();
    for class in classes {
        let syntaxes = vec![uids::EXPLICIT_VR_LITTLE_ENDIAN, uids::IMPLICIT_VR_LITTLE_ENDIAN];
        options = options.with_presentation_context(class, syntaxes);
    }
    options
}

async fn store_one<S: Stream>(
    association: &mut AsyncClientAssociation<S>,
    object: &Written,
    message_id: u16,
) -> Result<(), SendError> {
    let class = object.kind.class_uid();
    let contexts = association.presentation_contexts();
    let context = contexts.iter().find(|it| it.abstract_syntax == class);
    let context = context.ok_or(SendError::NotAccepted(object.kind.modality()))?;
    let (id, syntax) = (context.id, context.transfer_syntax.clone());
    let data_set = encode(object, &syntax)?;
    let request = request(object, message_id)?;
    association.send(&command(id, request)).await.map_err(|it| SendError::Broken(it.into()))?;
    send_data(association, id, &data_set).await?;
    let status = answer(association, message_id).await?;
    // Warnings are of stored objects: elements coerced, some not used (PS3.4 B.2.3).
    match status {
        0x0000 | 0x0001 | 0x0107 | 0x0116 | 0xB000..=0xBFFF => Ok(()),
        status => Err(SendError::Refused { kind: object.kind.modality(), status }),
    }
}

/// The data set in pieces that the archive takes. The library's own writer blocks its thread when it
/// is dropped, which not every runtime allows.
async fn send_data<S: Stream>(
    association: &mut AsyncClientAssociation<S>,
    presentation_context_id: u8,
    data_set: &[u8],
) -> Result<(), SendError> {
    // 0 stands for no limit; a PDU that leaves no room for data is not one to believe.
    let pdu_len_max = match association.acceptor_max_pdu_length() {
        0 => PDU_LEN_MAX,
        given => given.clamp(PDU_LEN_MIN, PDU_LEN_MAX),
    };
    let piece_len = (pdu_len_max - PDV_HEAD_LEN) as usize;
    let mut pieces = data_set.chunks(piece_len).peekable();
    while let Some(piece) = pieces.next() {
        let value = PDataValue {
            presentation_context_id,
            value_type: PDataValueType::Data,
            is_last: pieces.peek().is_none(),
            data: piece.to_vec(),
        };
        let pdu = Pdu::PData { data: vec![value] };
        association.send(&pdu).await.map_err(|it| SendError::Broken(it.into()))?;
    }
    Ok(())
}

/// The data set in the syntax that the archive has chosen.
fn encode(object: &Written, syntax: &str) -> Result<Vec<u8>, SendError> {
    let encode_error = |error: &dyn std::fmt::Display| SendError::Encode(error.to_string());
    let file = OpenFileOptions::new().from_reader(object.bytes.as_slice());
    let file = file.map_err(|error| encode_error(&error))?;
    let syntax = TransferSyntaxRegistry.get(syntax.trim_end_matches(['\0', ' ']));
    let syntax = syntax.ok_or(SendError::Answer("a transfer syntax that was not proposed"))?;
    let mut bytes = Vec::new();
    let written = file.into_inner().write_dataset_with_ts(&mut bytes, syntax);
    written.map_err(|error| encode_error(&error))?;
    Ok(bytes)
}

fn request(object: &Written, message_id: u16) -> Result<Vec<u8>, SendError> {
    let text = |text: &str| PrimitiveValue::from(text);
    let number = |number: u16| dicom_value!(U16, [number]);
    let class_uid = object.kind.class_uid();
    let command = InMemDicomObject::command_from_element_iter([
        DataElement::new(tags::AFFECTED_SOP_CLASS_UID, VR::UI, text(class_uid)),
        DataElement::new(tags::COMMAND_FIELD, VR::US, number(C_STORE_RQ)),
        DataElement::new(tags::MESSAGE_ID, VR::US, number(message_id)),
        DataElement::new(tags::PRIORITY, VR::US, number(0)),
        DataElement::new(tags::COMMAND_DATA_SET_TYPE, VR::US, number(HAS_DATA_SET)),
        DataElement::new(tags::AFFECTED_SOP_INSTANCE_UID, VR::UI, text(&object.instance_uid)),
    ]);
    let mut bytes = Vec::new();
    let syntax = entries::IMPLICIT_VR_LITTLE_ENDIAN.erased();
    let written = command.write_dataset_with_ts(&mut bytes, &syntax);
    written.map_err(|error| SendError::Encode(error.to_string()))?;
    Ok(bytes)
}

fn command(presentation_context_id: u8, data: Vec<u8>) -> Pdu {
    let value_type = PDataValueType::Command;
    Pdu::PData {
        data: vec![PDataValue { presentation_context_id, value_type, is_last: true, data }],
    }
}

/// The status of the answer to this message.
async fn answer<S: Stream>(
    association: &mut AsyncClientAssociation<S>,
    message_id: u16,
) -> Result<u16, SendError> {
    let mut bytes = Vec::new();
    loop {
        let pdu = association.receive().await.map_err(|it| SendError::Broken(it.into()))?;
        let Pdu::PData { data } = pdu else {
            return Err(SendError::Answer("it ends the association in the middle of a message"));
        };
        let mut is_last = false;
        for value in data {
            if value.value_type != PDataValueType::Command {
                return Err(SendError::Answer("a data set"));
            }
            bytes.extend(value.data);
            is_last |= value.is_last;
        }
        if bytes.len() > ANSWER_LEN_MAX {
            return Err(SendError::Answer("a message that is too long"));
        }
        if is_last {
            break;
        }
    }
    let syntax = entries::IMPLICIT_VR_LITTLE_ENDIAN.erased();
    let answer = InMemDicomObject::read_dataset_with_ts(bytes.as_slice(), &syntax)
        .map_err(|_| SendError::Answer("no command that can be read"))?;
    let number = |tag| {
        let element = answer.get(tag).ok_or(SendError::Answer("an element is missing"))?;
        element.to_int::<u16>().map_err(|_| SendError::Answer("an element is malformed"))
    };
    if number(tags::COMMAND_FIELD)? != C_STORE_RSP {
        return Err(SendError::Answer("no C-STORE response"));
    }
    if number(tags::MESSAGE_ID_BEING_RESPONDED_TO)? != message_id {
        return Err(SendError::Answer("the response to another message"));
    }
    number(tags::STATUS)
}
