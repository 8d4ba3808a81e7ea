//! The imager's side of an association, on dicom-ul's client.

use anyhow::{Context, Result, bail, ensure};
use dicom_core::{DataElement, PrimitiveValue, VR, dicom_value};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileMetaTable, InMemDicomObject};
use dicom_ul::{
    Pdu,
    association::{AsyncClientAssociation, ClientAssociationOptions},
    pdu::{PDataValue, PDataValueType},
};
use std::io::Cursor;
use tokio::net::TcpStream;

const PDU_LEN_MAX: u32 = 128 * 1024;
/// Of a unit with one value: length, context, control byte.
const PDATA_HEADER_LEN: usize = 12;
const NO_DATA_SET: u16 = 0x0101;
const WITH_DATA_SET: u16 = 0x0001;
const PENDING: u16 = 0xFF00;

/// An imager by its AE title, and the gateway that it is set up to call.
#[derive(Debug, Clone)]
pub struct Imager {
    pub ae: String,
    pub gateway_port: u16,
}

/// A line of the worklist, as far as an imager copies it into its images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scheduled {
    pub patient_id: String,
    pub patient_name: String,
    pub birth_date: String,
    pub accession: String,
    pub study_instance_uid: String,
}

type Association = AsyncClientAssociation<TcpStream>;

impl Imager {
    /// The patients of a day, `YYYYMMDD`.
    pub async fn worklist(&self, day: &str) -> Result<Vec<Scheduled>> {
        let class = uids::MODALITY_WORKLIST_INFORMATION_MODEL_FIND;
        let mut association = self.associate(&[(class.into(), vec![IMPLICIT.into()])]).await?;
        let context = association.presentation_contexts().first().context("no context")?.id;
        send_command(&mut association, context, &request(0x0020, class, None)).await?;
        send_data(&mut association, context, &implicit(&query(day))?).await?;
        let mut found = Vec::new();
        loop {
            let (command, data) = answer(&mut association).await?;
            match status(&command)? {
                PENDING => found.push(scheduled(&data.context("a match without data")?)?),
                0 => break,
                other => bail!("the worklist answers with status {other:04X}"),
            }
        }
        association.release().await?;
        Ok(found)
    }

    /// Sends DICOM files in one association; fails with the first that is not taken.
    pub async fn send(&self, files: &[Vec<u8>]) -> Result<()> {
        let files: Vec<_> = files.iter().map(|file| split(file)).collect::<Result<_>>()?;
        let mut contexts: Vec<(String, Vec<String>)> = Vec::new();
        for (meta, _) in &files {
            let class = meta.media_storage_sop_class_uid().trim_end_matches('\0').to_owned();
            let context = (class, vec![meta.transfer_syntax().to_owned()]);
            if !contexts.contains(&context) {
                contexts.push(context);
            }
        }
        let mut association = self.associate(&contexts).await?;
        for (meta, data) in files {
            store(&mut association, &meta, data).await?;
        }
        association.release().await?;
        Ok(())
    }

    async fn associate(&self, contexts: &[(String, Vec<String>)]) -> Result<Association> {
        let mut options = ClientAssociationOptions::new()
            .calling_ae_title(self.ae.as_str())
            .called_ae_title("CHIASM")
            .max_pdu_length(PDU_LEN_MAX);
        for (class, syntaxes) in contexts {
            options = options.with_presentation_context(class.clone(), syntaxes.clone());
        }
        let address = ("127.0.0.1", self.gateway_port);
        let associated = options.establish_async(address).await;
        associated.with_context(|| format!("imager {} cannot reach the gateway", self.ae))
    }
}

const IMPLICIT: &str = uids::IMPLICIT_VR_LITTLE_ENDIAN;

async fn store(association: &mut Association, meta: &FileMetaTable, data: &[u8]) -> Result<()> {
    let class = meta.media_storage_sop_class_uid().trim_end_matches('\0').to_owned();
    let instance = meta.media_storage_sop_instance_uid().trim_end_matches('\0').to_owned();
    let contexts = association.presentation_contexts();
    let agreed = contexts.iter().find(|context| {
        context.abstract_syntax == class
            && context.transfer_syntax.trim_end_matches('\0') == meta.transfer_syntax()
    });
    let context = agreed.with_context(|| format!("class {class} is not taken"))?.id;
    send_command(association, context, &request(0x0001, &class, Some(&instance))).await?;
    send_data(association, context, data).await?;
    let (command, _) = answer(association).await?;
    let status = status(&command)?;
    ensure!(status == 0, "the gateway answers {instance} with status {status:04X}");
    Ok(())
}

/// File meta information, and the data set behind it.
fn split(file: &[u8]) -> Result<(FileMetaTable, &[u8])> {
    ensure!(file.get(128..132) == Some(b"DICM"), "it is no DICOM file");
    let mut reader = Cursor::new(&file[128..]);
    let meta = FileMetaTable::from_reader(&mut reader)?;
    let group = 4 + 12 + usize::try_from(meta.information_group_length)?;
    Ok((meta, file.get(128 + group..).context("the file ends in its header")?))
}

fn request(field: u16, class: &str, instance: Option<&str>) -> InMemDicomObject {
    let short = |tag, value: u16| DataElement::new(tag, VR::US, dicom_value!(U16, [value]));
    let mut command = InMemDicomObject::command_from_element_iter([
        DataElement::new(tags::AFFECTED_SOP_CLASS_UID, VR::UI, PrimitiveValue::from(class)),
        short(tags::COMMAND_FIELD, field),
        short(tags::MESSAGE_ID, 1),
        short(tags::PRIORITY, 0),
        short(tags::COMMAND_DATA_SET_TYPE, WITH_DATA_SET),
    ]);
    if let Some(instance) = instance {
        command.put(DataElement::new(
            tags::AFFECTED_SOP_INSTANCE_UID,
            VR::UI,
            PrimitiveValue::from(instance),
        ));
    }
    command
}

/// What eye imagers ask: everybody of the day, whatever the modality.
fn query(day: &str) -> InMemDicomObject {
    let empty = |tag, vr| DataElement::new(tag, vr, PrimitiveValue::Empty);
    let step = InMemDicomObject::from_element_iter([
        empty(tags::SCHEDULED_STATION_AE_TITLE, VR::AE),
        DataElement::new(
            tags::SCHEDULED_PROCEDURE_STEP_START_DATE,
            VR::DA,
            PrimitiveValue::from(day),
        ),
        empty(tags::MODALITY, VR::CS),
    ]);
    let steps = dicom_core::value::DataSetSequence::from(vec![step]);
    InMemDicomObject::from_element_iter([
        empty(tags::ACCESSION_NUMBER, VR::SH),
        empty(tags::PATIENT_NAME, VR::PN),
        empty(tags::PATIENT_ID, VR::LO),
        empty(tags::PATIENT_BIRTH_DATE, VR::DA),
        empty(tags::STUDY_INSTANCE_UID, VR::UI),
        DataElement::new(tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE, VR::SQ, steps),
    ])
}

fn implicit(object: &InMemDicomObject) -> Result<Vec<u8>> {
    let syntax = dicom_transfer_syntax_registry::entries::IMPLICIT_VR_LITTLE_ENDIAN.erased();
    let mut bytes = Vec::new();
    object.write_dataset_with_ts(&mut bytes, &syntax)?;
    Ok(bytes)
}

async fn send_command(
    association: &mut Association,
    context: u8,
    command: &InMemDicomObject,
) -> Result<()> {
    let value = PDataValue {
        presentation_context_id: context,
        value_type: PDataValueType::Command,
        is_last: true,
        data: implicit(command)?,
    };
    Ok(association.send(&Pdu::PData { data: vec![value] }).await?)
}

async fn send_data(association: &mut Association, context: u8, data: &[u8]) -> Result<()> {
    // Not by the library's own writer: dropped, it blocks its thread.
    let len_max = usize::try_from(association.acceptor_max_pdu_length())? - PDATA_HEADER_LEN;
    let mut pieces = data.chunks(len_max).peekable();
    while let Some(piece) = pieces.next() {
        let value = PDataValue {
            presentation_context_id: context,
            value_type: PDataValueType::Data,
            is_last: pieces.peek().is_none(),
            data: piece.to_vec(),
        };
        association.send(&Pdu::PData { data: vec![value] }).await?;
    }
    Ok(())
}

/// The next message, with its data set if it has one.
async fn answer(
    association: &mut Association,
) -> Result<(InMemDicomObject, Option<InMemDicomObject>)> {
    let syntax = dicom_transfer_syntax_registry::entries::IMPLICIT_VR_LITTLE_ENDIAN.erased();
    let read = |bytes: &[u8]| InMemDicomObject::read_dataset_with_ts(bytes, &syntax);
    let (mut command, mut data) = (Vec::new(), Vec::new());
    let (mut parsed, mut needs_data) = (None, true);
    loop {
        let Pdu::PData { data: values } = association.receive().await? else {
            bail!("the gateway ends the association");
        };
        for value in values {
            match value.value_type {
                PDataValueType::Command => {
                    command.extend(value.data);
                    if value.is_last {
                        let message = read(&command)?;
                        needs_data =
                            message.element(tags::COMMAND_DATA_SET_TYPE)?.to_int::<u16>()?
                                != NO_DATA_SET;
                        parsed = Some(message);
                    }
                }
                PDataValueType::Data => {
                    data.extend(value.data);
                    needs_data &= !value.is_last;
                }
            }
        }
        if let (Some(message), false) = (&parsed, needs_data) {
            let data = if data.is_empty() { None } else { Some(read(&data)?) };
            return Ok((message.clone(), data));
        }
    }
}

fn status(command: &InMemDicomObject) -> Result<u16> {
    Ok(command.element(tags::STATUS)?.to_int()?)
}

fn scheduled(found: &InMemDicomObject) -> Result<Scheduled> {
    let text = |tag| Ok::<_, anyhow::Error>(found.element(tag)?.to_str()?.trim().to_owned());
    Ok(Scheduled {
        patient_id: text(tags::PATIENT_ID)?,
        patient_name: text(tags::PATIENT_NAME)?,
        birth_date: text(tags::PATIENT_BIRTH_DATE)?,
        accession: text(tags::ACCESSION_NUMBER)?,
        study_instance_uid: text(tags::STUDY_INSTANCE_UID)?.trim_end_matches('\0').to_owned(),
    })
}
