//! Commands of messages (PS3.7): a data set of group 0000 in Implicit VR Little Endian. Pure.

use std::collections::BTreeMap;

/// Longest command, in bytes, all its fragments together.
pub const COMMAND_LEN_MAX: usize = 16 * 1024;

/// Values of Command Field (0000,0100). An answer has the request's with this bit.
pub const ANSWER: u16 = 0x8000;
pub const C_STORE_RQ: u16 = 0x0001;
pub const C_FIND_RQ: u16 = 0x0020;
pub const C_ECHO_RQ: u16 = 0x0030;
pub const C_CANCEL_RQ: u16 = 0x0FFF;
pub const N_EVENT_REPORT_RQ: u16 = 0x0100;
pub const N_SET_RQ: u16 = 0x0120;
pub const N_ACTION_RQ: u16 = 0x0130;
pub const N_CREATE_RQ: u16 = 0x0140;

/// Elements of group 0000.
pub const AFFECTED_SOP_CLASS_UID: u16 = 0x0002;
pub const REQUESTED_SOP_CLASS_UID: u16 = 0x0003;
pub const COMMAND_FIELD: u16 = 0x0100;
pub const MESSAGE_ID: u16 = 0x0110;
pub const MESSAGE_ID_RESPONDED_TO: u16 = 0x0120;
pub const DATA_SET_TYPE: u16 = 0x0800;
pub const STATUS: u16 = 0x0900;
pub const ERROR_COMMENT: u16 = 0x0902;
pub const AFFECTED_SOP_INSTANCE_UID: u16 = 0x1000;
pub const REQUESTED_SOP_INSTANCE_UID: u16 = 0x1001;
pub const EVENT_TYPE_ID: u16 = 0x1002;
pub const ACTION_TYPE_ID: u16 = 0x1008;
const NO_DATA_SET: u16 = 0x0101;
const SOME_DATA_SET: u16 = 0x0001;
/// Longest Error Comment, in characters (PS3.7 annex C: LO).
const COMMENT_LEN_MAX: usize = 64;

/// Statuses (PS3.7 annex C, PS3.4).
pub mod status {
    pub const SUCCESS: u16 = 0x0000;
    pub const PENDING: u16 = 0xFF00;
    pub const CANCELLED: u16 = 0xFE00;
    pub const OUT_OF_RESOURCES: u16 = 0xA700;
    /// Of C-STORE: the data set is not of its class.
    pub const CLASS_MISMATCH: u16 = 0xA900;
    /// Of C-STORE and C-FIND: cannot understand, unable to process.
    pub const UNABLE: u16 = 0xC000;
    pub const PROCESSING_FAILURE: u16 = 0x0110;
    pub const DUPLICATE_INSTANCE: u16 = 0x0111;
    pub const NO_SUCH_INSTANCE: u16 = 0x0112;
    pub const INVALID_ARGUMENT: u16 = 0x0115;
    pub const CLASS_INSTANCE_CONFLICT: u16 = 0x0119;
    pub const NO_SUCH_ACTION: u16 = 0x0123;
    pub const UNRECOGNISED_OPERATION: u16 = 0x0211;
}

/// Why bytes are no command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    #[error("a command whose elements exceed it")]
    Truncated,
    #[error("a command with an element of another group")]
    OtherGroup,
    #[error("a command without a Command Field")]
    NoField,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Command {
    elements: BTreeMap<u16, Vec<u8>>,
}

impl Command {
    pub fn parse(mut bytes: &[u8]) -> Result<Self, CommandError> {
        let mut command = Command::default();
        while !bytes.is_empty() {
            let (header, rest) = bytes.split_first_chunk::<8>().ok_or(CommandError::Truncated)?;
            let [group0, group1, element0, element1, len @ ..] = *header;
            if [group0, group1] != [0, 0] {
                return Err(CommandError::OtherGroup);
            }
            let len = usize::try_from(u32::from_le_bytes(len)).unwrap_or(usize::MAX);
            let value = rest.get(..len).ok_or(CommandError::Truncated)?;
            let element = u16::from_le_bytes([element0, element1]);
            command.elements.insert(element, value.to_vec());
            bytes = &rest[len..];
        }
        command.u16(COMMAND_FIELD).ok_or(CommandError::NoField)?;
        Ok(command)
    }

    /// A request without a data set.
    pub fn request(field: u16, message_id: u16) -> Self {
        let mut command = Command::default();
        command.put_u16(COMMAND_FIELD, field);
        command.put_u16(MESSAGE_ID, message_id);
        command.put_u16(DATA_SET_TYPE, NO_DATA_SET);
        command
    }

    /// The answer to a request, without a data set. Repeats which class and instance it is about.
    pub fn answer(&self, status: u16) -> Self {
        let mut answer = Command::default();
        answer.put_u16(COMMAND_FIELD, self.field() | ANSWER);
        answer.put_u16(MESSAGE_ID_RESPONDED_TO, self.message_id());
        answer.put_u16(DATA_SET_TYPE, NO_DATA_SET);
        answer.put_u16(STATUS, status);
        for (requested, affected) in [
            (REQUESTED_SOP_CLASS_UID, AFFECTED_SOP_CLASS_UID),
            (REQUESTED_SOP_INSTANCE_UID, AFFECTED_SOP_INSTANCE_UID),
            (AFFECTED_SOP_CLASS_UID, AFFECTED_SOP_CLASS_UID),
            (AFFECTED_SOP_INSTANCE_UID, AFFECTED_SOP_INSTANCE_UID),
        ] {
            if let Some(value) = self.elements.get(&requested) {
                answer.elements.insert(affected, value.clone());
            }
        }
        for repeated in [EVENT_TYPE_ID, ACTION_TYPE_ID] {
            if let Some(value) = self.elements.get(&repeated) {
                answer.elements.insert(repeated, value.clone());
            }
        }
        answer
    }

    /// Says why, for people who read the imager's log.
    #[must_use]
    pub fn because(mut self, comment: &str) -> Self {
        let comment: String = comment.chars().take(COMMENT_LEN_MAX).collect();
        self.put_text(ERROR_COMMENT, &comment, b' ');
        self
    }

    #[must_use]
    pub fn with_data_set(mut self) -> Self {
        self.put_u16(DATA_SET_TYPE, SOME_DATA_SET);
        self
    }

    #[must_use]
    pub fn with_uid(mut self, element: u16, uid: &str) -> Self {
        self.put_text(element, uid, 0);
        self
    }

    #[must_use]
    pub fn with_u16(mut self, element: u16, number: u16) -> Self {
        self.put_u16(element, number);
        self
    }

    pub fn field(&self) -> u16 {
        self.u16(COMMAND_FIELD).unwrap_or(0)
    }

    pub fn message_id(&self) -> u16 {
        self.u16(MESSAGE_ID).unwrap_or(0)
    }

    pub fn has_data_set(&self) -> bool {
        self.u16(DATA_SET_TYPE).is_some_and(|kind| kind != NO_DATA_SET)
    }

    pub fn u16(&self, element: u16) -> Option<u16> {
        let value = self.elements.get(&element)?;
        Some(u16::from_le_bytes(value.as_slice().try_into().ok()?))
    }

    /// A UID as it was sent, without padding; empty if there is none. Whether it is one is not said.
    pub fn uid(&self, element: u16) -> String {
        let value = self.elements.get(&element).map_or(&[][..], Vec::as_slice);
        super::data_set::decode(value, "")
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (element, value) in &self.elements {
            if *element != 0 {
                put(&mut bytes, *element, value);
            }
        }
        let mut whole = Vec::new();
        put(&mut whole, 0, &u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
        whole.extend(bytes);
        whole
    }

    fn put_u16(&mut self, element: u16, number: u16) {
        self.elements.insert(element, number.to_le_bytes().to_vec());
    }

    fn put_text(&mut self, element: u16, text: &str, padding: u8) {
        let mut value = text.as_bytes().to_vec();
        if value.len() % 2 == 1 {
            value.push(padding);
        }
        self.elements.insert(element, value);
    }
}

fn put(bytes: &mut Vec<u8>, element: u16, value: &[u8]) {
    bytes.extend([0, 0]);
    bytes.extend(element.to_le_bytes());
    bytes.extend(u32::try_from(value.len()).unwrap_or(u32::MAX).to_le_bytes());
    bytes.extend(value);
}

/// Whether a text may stand where a UID must: digits and dots, not longer than 64 (PS3.5 9.1).
/// Leading zeros are tolerated.
pub fn is_uid(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.split('.').all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_repeats_what_it_answers() {
        let request = Command::request(N_ACTION_RQ, 7)
            .with_uid(REQUESTED_SOP_CLASS_UID, "1.2.3")
            .with_uid(REQUESTED_SOP_INSTANCE_UID, "1.2.3.1")
            .with_u16(ACTION_TYPE_ID, 1)
            .with_data_set();
        let request = Command::parse(&request.encode()).unwrap();
        assert!(request.has_data_set());
        let answer = request.answer(status::NO_SUCH_ACTION).because(&"no ".repeat(40));
        let answer = Command::parse(&answer.encode()).unwrap();
        assert_eq!(answer.field(), 0x8130);
        assert_eq!(answer.u16(MESSAGE_ID_RESPONDED_TO), Some(7));
        assert_eq!(answer.u16(STATUS), Some(0x0123));
        assert_eq!(answer.uid(AFFECTED_SOP_CLASS_UID), "1.2.3");
        assert_eq!(answer.uid(AFFECTED_SOP_INSTANCE_UID), "1.2.3.1");
        assert_eq!(answer.uid(ERROR_COMMENT).len(), 64);
        assert!(!answer.has_data_set());
    }

    #[test]
    fn hostile_commands_are_refused() {
        let whole = Command::request(C_ECHO_RQ, 1).encode();
        for len in 0..whole.len() {
            let _ = Command::parse(&whole[..len]);
        }
        assert_eq!(Command::parse(&[]), Err(CommandError::NoField));
        assert_eq!(Command::parse(&[8, 0, 0, 0, 0, 0, 0, 0]), Err(CommandError::OtherGroup));
        let lying = [0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 1, 0];
        assert_eq!(Command::parse(&lying), Err(CommandError::Truncated));
    }

    #[test]
    fn a_path_is_no_uid() {
        for wrong in ["", "../../x", "1..2", ".1", "1.", "1.2/3", &"1".repeat(65)] {
            assert!(!is_uid(wrong), "{wrong}");
        }
        assert!(is_uid("1.2.840.10008.5.1.4.1.1.77.1.5.4"));
    }
}
