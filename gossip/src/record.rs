//! Records: how messages travel on a stream once the handshake is done.
//!
//! Must never allocate by a length that a peer claims, only as bytes arrive.
//!
//! A record is `length u16 | Noise message`; the plain text starts with its kind:
//!
//! ```text
//! 0 Start     total length u32 | first part      begins a message
//! 1 Continue  next part
//! 2 Ack       messages taken so far u64          cumulative; Ack 0 says "you are admitted"
//! 3 Close     (empty)                            no message follows; acks still may
//! ```

use std::{io, sync::Arc};

use snow::StatelessTransportState;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::Instant,
};

/// The most bytes that a Noise message, and so a record, may have.
const MAX_RECORD: usize = 65_535;
const TAG_LEN: usize = 16;

/// The most bytes of a message that we put in one record: acknowledgements get their turn in between,
/// and the buffers of many streams stay small. A peer may use up to the whole [`MAX_RECORD`].
pub(crate) const PART: usize = 16 * 1024;

const START: u8 = 0;
const CONTINUE: u8 = 1;
const ACK: u8 = 2;
const CLOSE: u8 = 3;

/// Why no further record can be read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecordError {
    /// The connection ended between two records.
    #[error("closed")]
    Ended,
    /// The connection broke.
    #[error("broken: {0}")]
    Io(#[from] io::Error),
    /// The deadline passed.
    #[error("too slow")]
    Slow,
    /// Not a record, or not one that may come now.
    #[error("malformed")]
    Malformed,
    /// A message over the limit was announced.
    #[error("message over the limit")]
    Oversized,
}

/// One record as read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Record<'a> {
    /// Begins a message of `total` bytes.
    Start { total: usize, part: &'a [u8] },
    /// Goes on with it.
    Continue(&'a [u8]),
    /// The peer has taken this many messages.
    Ack(u64),
    /// The peer sends no more messages.
    Close,
}

impl<'a> Record<'a> {
    fn parse(plain: &'a [u8]) -> Result<Self, RecordError> {
        match plain.split_first() {
            Some((&START, rest)) => {
                let (total, part) = rest.split_first_chunk().ok_or(RecordError::Malformed)?;
                let total = usize::try_from(u32::from_be_bytes(*total));
                Ok(Self::Start { total: total.map_err(|_| RecordError::Malformed)?, part })
            }
            Some((&CONTINUE, part)) if !part.is_empty() => Ok(Self::Continue(part)),
            Some((&ACK, rest)) => {
                let count = rest.try_into().map_err(|_| RecordError::Malformed)?;
                Ok(Self::Ack(u64::from_be_bytes(count)))
            }
            Some((&CLOSE, [])) => Ok(Self::Close),
            _ => Err(RecordError::Malformed),
        }
    }
}

/// Opens the records of one direction.
pub(crate) struct Reader<R> {
    io: R,
    session: Arc<StatelessTransportState>,
    nonce: u64,
    sealed: Vec<u8>,
    plain: Vec<u8>,
}

impl<R: AsyncRead + Unpin> Reader<R> {
    pub(crate) fn new(io: R, session: Arc<StatelessTransportState>) -> Self {
        Self { io, session, nonce: 0, sealed: Vec::new(), plain: Vec::new() }
    }

    /// Reads the next record. Waits for its first byte until `quiet` (for ever without), for the rest
    /// `whole` from then on.
    pub(crate) async fn next(
        &mut self,
        quiet: Option<Instant>,
        whole: std::time::Duration,
    ) -> Result<Record<'_>, RecordError> {
        let first = self.first_byte(quiet).await?;
        let rest = tokio::time::timeout(whole, self.read_rest(first));
        rest.await.map_err(|_| RecordError::Slow)??;
        let plain = self.sealed.len().checked_sub(TAG_LEN).ok_or(RecordError::Malformed)?;
        self.plain.resize(plain, 0);
        self.session
            .read_message(self.nonce, &self.sealed, &mut self.plain)
            .map_err(|_| RecordError::Malformed)?;
        self.nonce += 1;
        Record::parse(&self.plain)
    }

    async fn first_byte(&mut self, quiet: Option<Instant>) -> Result<u8, RecordError> {
        let byte = self.io.read_u8();
        let read = match quiet {
            Some(until) => {
                tokio::time::timeout_at(until, byte).await.map_err(|_| RecordError::Slow)?
            }
            None => byte.await,
        };
        match read {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(RecordError::Ended),
            other => Ok(other?),
        }
    }

    async fn read_rest(&mut self, first: u8) -> Result<(), RecordError> {
        let second = self.io.read_u8().await?;
        self.sealed.resize(usize::from(u16::from_be_bytes([first, second])), 0);
        self.io.read_exact(&mut self.sealed).await?;
        Ok(())
    }

    /// Reads one whole message of at most `max` bytes before `deadline`, acks aside: for exchanges of one
    /// question and one answer.
    pub(crate) async fn message(
        &mut self,
        max: usize,
        deadline: Instant,
    ) -> Result<Vec<u8>, RecordError> {
        let mut partial = None;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.next(Some(deadline), left).await? {
                Record::Ack(_) => {}
                record => {
                    if let Some(message) = Partial::take(&mut partial, &record, max)? {
                        return Ok(message);
                    }
                }
            }
        }
    }

    /// Waits until the peer closes the connection, whatever it sends before: what we sent has then arrived.
    pub(crate) async fn until_closed(&mut self, deadline: Instant) {
        let mut scrap = [0; 512];
        while let Ok(Ok(1..)) = tokio::time::timeout_at(deadline, self.io.read(&mut scrap)).await {}
    }
}

/// A message of which not all has arrived.
pub(crate) struct Partial {
    bytes: Vec<u8>,
    total: usize,
}

impl Partial {
    /// Takes a Start or Continue record; returns the message once it is whole.
    pub(crate) fn take(
        partial: &mut Option<Self>,
        record: &Record<'_>,
        max: usize,
    ) -> Result<Option<Vec<u8>>, RecordError> {
        let (mut message, part) = match (partial.take(), record) {
            (None, Record::Start { total, part }) if *total <= max => {
                (Self { bytes: Vec::new(), total: *total }, part)
            }
            (None, Record::Start { .. }) => return Err(RecordError::Oversized),
            (Some(message), Record::Continue(part)) => (message, part),
            _ => return Err(RecordError::Malformed),
        };
        if part.len() > message.total - message.bytes.len() {
            return Err(RecordError::Malformed);
        }
        // Doubles like any vector, but never beyond what the message needs.
        let left = message.total - message.bytes.len();
        message.bytes.reserve_exact(left.min(message.bytes.len().max(part.len())));
        message.bytes.extend_from_slice(part);
        if message.bytes.len() == message.total {
            return Ok(Some(message.bytes));
        }
        *partial = Some(message);
        Ok(None)
    }
}

/// Seals the records of one direction.
pub(crate) struct Writer<W> {
    io: W,
    session: Arc<StatelessTransportState>,
    nonce: u64,
    plain: Vec<u8>,
    sealed: Vec<u8>,
}

impl<W: AsyncWrite + Unpin> Writer<W> {
    pub(crate) fn new(io: W, session: Arc<StatelessTransportState>) -> Self {
        Self { io, session, nonce: 0, plain: Vec::new(), sealed: Vec::new() }
    }

    /// Says that so many messages have been taken.
    pub(crate) async fn ack(&mut self, taken: u64, deadline: Instant) -> Result<(), RecordError> {
        self.write(ACK, &taken.to_be_bytes(), &[], deadline).await
    }

    /// Says that no message follows.
    pub(crate) async fn close(&mut self, deadline: Instant) -> Result<(), RecordError> {
        self.write(CLOSE, &[], &[], deadline).await
    }

    /// Begins a message: writes its first record and returns what is left of it.
    pub(crate) async fn start<'m>(
        &mut self,
        message: &'m [u8],
        deadline: Instant,
    ) -> Result<&'m [u8], RecordError> {
        let total = u32::try_from(message.len()).map_err(|_| RecordError::Oversized)?;
        let (part, rest) = message.split_at(message.len().min(PART));
        self.write(START, &total.to_be_bytes(), part, deadline).await?;
        Ok(rest)
    }

    /// Goes on with a message: writes one record of what is left and returns what is left then.
    pub(crate) async fn go_on<'m>(
        &mut self,
        left: &'m [u8],
        deadline: Instant,
    ) -> Result<&'m [u8], RecordError> {
        let (part, rest) = left.split_at(left.len().min(PART));
        self.write(CONTINUE, &[], part, deadline).await?;
        Ok(rest)
    }

    /// Writes one whole message: for exchanges of one question and one answer.
    pub(crate) async fn message(
        &mut self,
        message: &[u8],
        deadline: Instant,
    ) -> Result<(), RecordError> {
        let mut left = self.start(message, deadline).await?;
        while !left.is_empty() {
            left = self.go_on(left, deadline).await?;
        }
        Ok(())
    }

    /// Says to the system that nothing follows.
    pub(crate) async fn finish(&mut self, deadline: Instant) {
        let _ = tokio::time::timeout_at(deadline, self.io.shutdown()).await;
    }

    async fn write(
        &mut self,
        kind: u8,
        head: &[u8],
        part: &[u8],
        deadline: Instant,
    ) -> Result<(), RecordError> {
        self.plain.clear();
        self.plain.push(kind);
        self.plain.extend_from_slice(head);
        self.plain.extend_from_slice(part);
        let len = self.plain.len() + TAG_LEN;
        let prefix = u16::try_from(len).map_err(|_| RecordError::Malformed)?;
        self.sealed.resize(2 + len, 0);
        let (length, body) = self.sealed.split_at_mut(2);
        length.copy_from_slice(&prefix.to_be_bytes());
        self.session
            .write_message(self.nonce, &self.plain, body)
            .map_err(|_| RecordError::Malformed)?;
        self.nonce += 1;
        let write = tokio::time::timeout_at(deadline, self.io.write_all(&self.sealed));
        Ok(write.await.map_err(|_| RecordError::Slow)??)
    }
}

// A record of ours fits what Noise allows.
const _: () = assert!(PART + 1 + 4 + TAG_LEN <= MAX_RECORD);
