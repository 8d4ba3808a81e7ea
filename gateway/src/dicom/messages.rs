//! Messages (PS3.7): a command and perhaps a data set, exchanged over an association by either
//! side.

use super::{
    command::{COMMAND_LEN_MAX, Command, CommandError},
    data_set::{DATA_SET_LEN_MAX, DataSet, DataSetError, Syntax},
    negotiation::{Agreed, Context},
    units::{Piece, Received},
    wire::{Connection, WireError},
};
use dicom_ul::pdu::{AbortRQServiceProviderReason, AbortRQSource, Pdu};
use std::time::Duration;

/// Longest silence in the middle of a message.
pub const STALL_MAX: Duration = Duration::from_secs(60);

/// Why an association ended otherwise than by its release.
#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    #[error(transparent)]
    Wire(#[from] WireError),
    #[error("it aborted")]
    Aborted,
    #[error("{0}")]
    Command(#[from] CommandError),
    #[error("a command of more than {COMMAND_LEN_MAX} bytes")]
    CommandTooLong,
    #[error("a message in presentation context {0}, which was not accepted")]
    Context(u8),
    #[error("{0}")]
    OutOfOrder(&'static str),
}

impl MessageError {
    /// Whether nobody is there any more who could be told.
    fn is_gone(&self) -> bool {
        matches!(
            self,
            MessageError::Aborted
                | MessageError::Wire(
                    WireError::Closed | WireError::Io(_) | WireError::TakesNothing
                )
        )
    }
}

/// A command and the context that it came in.
#[derive(Debug)]
pub struct Message {
    pub context_id: u8,
    pub context: Context,
    pub command: Command,
}

#[derive(Debug)]
pub enum Next {
    Message(Message),
    /// The other side is done, and knows that we know.
    Released,
}

/// Why a data set of a message is of no use. The association goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    #[error("a data set of more than {DATA_SET_LEN_MAX} bytes")]
    TooLong,
    #[error("{0}")]
    Malformed(#[from] DataSetError),
    #[error("no data set")]
    Missing,
}

pub struct Messages {
    connection: Connection,
    pub agreed: Agreed,
    /// What has come of a command, with its context.
    partial: Option<(u8, Vec<u8>)>,
    last_id: u16,
}

impl Messages {
    pub fn new(connection: Connection, agreed: Agreed) -> Self {
        Self { connection, agreed, partial: None, last_id: 0 }
    }

    /// The next command. May be dropped and called again: nothing is lost.
    pub async fn next(&mut self, idle_max: Duration) -> Result<Next, MessageError> {
        loop {
            let wait = if self.partial.is_some() { STALL_MAX } else { idle_max };
            let piece = match self.connection.receive(wait).await? {
                Received::Piece(piece) => piece,
                Received::Unit(Pdu::ReleaseRQ) => {
                    self.connection.send(&Pdu::ReleaseRP).await?;
                    return Ok(Next::Released);
                }
                Received::Unit(Pdu::AbortRQ { .. }) => return Err(MessageError::Aborted),
                Received::Unit(_) => {
                    return Err(MessageError::OutOfOrder("a unit that does not belong here"));
                }
            };
            if !piece.is_command {
                return Err(MessageError::OutOfOrder("a data set without a command"));
            }
            let bytes = self.connection.bytes(&piece);
            let (context_id, partial) =
                self.partial.get_or_insert_with(|| (piece.context, Vec::new()));
            if *context_id != piece.context {
                return Err(MessageError::OutOfOrder("a command in two contexts"));
            }
            if partial.len() + bytes.len() > COMMAND_LEN_MAX {
                return Err(MessageError::CommandTooLong);
            }
            partial.extend(bytes);
            if !piece.is_last {
                continue;
            }
            let (context_id, bytes) = self.partial.take().unwrap_or_default();
            let context = self.agreed.contexts.get(&context_id).cloned();
            let context = context.ok_or(MessageError::Context(context_id))?;
            let command = Command::parse(&bytes)?;
            return Ok(Next::Message(Message { context_id, context, command }));
        }
    }

    /// The next stretch of a message's data set; its bytes are lent by [`Messages::bytes`].
    pub async fn data(&mut self, context_id: u8) -> Result<Piece, MessageError> {
        match self.connection.receive(STALL_MAX).await? {
            Received::Piece(piece) if piece.is_command || piece.context != context_id => {
                Err(MessageError::OutOfOrder("a message inside another's data set"))
            }
            Received::Piece(piece) => Ok(piece),
            Received::Unit(Pdu::AbortRQ { .. }) => Err(MessageError::Aborted),
            Received::Unit(_) => Err(MessageError::OutOfOrder("a unit inside a data set")),
        }
    }

    pub fn bytes(&self, piece: &Piece) -> &[u8] {
        self.connection.bytes(piece)
    }

    /// A message's data set, read to its end in any case.
    pub async fn data_set(
        &mut self,
        message: &Message,
    ) -> Result<Result<DataSet, Unusable>, MessageError> {
        if !message.command.has_data_set() {
            return Ok(Err(Unusable::Missing));
        }
        let mut bytes = Vec::new();
        let mut is_too_long = false;
        loop {
            let piece = self.data(message.context_id).await?;
            let more = self.bytes(&piece);
            is_too_long |= bytes.len() + more.len() > DATA_SET_LEN_MAX;
            if !is_too_long {
                bytes.extend(more);
            }
            if piece.is_last {
                break;
            }
        }
        if is_too_long {
            return Ok(Err(Unusable::TooLong));
        }
        Ok(DataSet::parse(&bytes, message.context.syntax()).map_err(Unusable::from))
    }

    pub async fn send(&mut self, context_id: u8, command: &Command) -> Result<(), MessageError> {
        let len_max = self.agreed.unit_len_max;
        Ok(self.connection.send_message(context_id, true, &command.encode(), len_max).await?)
    }

    /// A command, said to have a data set, and that.
    pub async fn send_with(
        &mut self,
        context_id: u8,
        command: Command,
        data_set: &DataSet,
    ) -> Result<(), MessageError> {
        let syntax = self
            .agreed
            .contexts
            .get(&context_id)
            .map_or(Syntax::ImplicitLittleEndian, Context::syntax);
        let len_max = self.agreed.unit_len_max;
        self.send(context_id, &command.with_data_set()).await?;
        let bytes = data_set.encode(syntax);
        Ok(self.connection.send_message(context_id, false, &bytes, len_max).await?)
    }

    /// A number for a request of ours.
    pub fn new_id(&mut self) -> u16 {
        self.last_id = self.last_id.wrapping_add(1).max(1);
        self.last_id
    }

    /// Asks for the release and waits until it is granted.
    pub async fn release(mut self) -> Result<(), MessageError> {
        self.connection.send(&Pdu::ReleaseRQ).await?;
        loop {
            match self.connection.receive(STALL_MAX).await? {
                Received::Unit(Pdu::ReleaseRP) => break,
                Received::Unit(Pdu::AbortRQ { .. }) => return Err(MessageError::Aborted),
                Received::Unit(_) | Received::Piece(_) => {}
            }
        }
        self.connection.close().await;
        Ok(())
    }

    /// The association has come to its end.
    pub async fn close(self) {
        self.connection.close().await;
    }

    /// Ends the association after a fault, telling whoever is still there.
    pub async fn end(mut self, fault: &MessageError) {
        if fault.is_gone() {
            return;
        }
        let reason = match fault {
            MessageError::OutOfOrder(_) => AbortRQServiceProviderReason::UnexpectedPdu,
            MessageError::Wire(_) => AbortRQServiceProviderReason::InvalidPduParameter,
            _ => AbortRQServiceProviderReason::ReasonNotSpecified,
        };
        let unit = Pdu::AbortRQ { source: AbortRQSource::ServiceProvider(reason) };
        let _ = self.connection.send(&unit).await;
        self.connection.close().await;
    }
}
