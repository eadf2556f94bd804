//! One running stream: reads the peer's messages, writes ours, confirms, closes in good order.
//!
//! Both directions run in one task that ends as a whole. A message counts as delivered when the peer has
//! confirmed it, which it does once its owner's lane has taken it. A side that has nothing more to send
//! says Close and goes on reading; when both have said so and everything is confirmed, the connection
//! ends and nothing is lost. Must never keep a peer longer than its limits allow, nor hold up other
//! streams.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use netdb_gossip_core::identity::NodeId;
use tokio::{
    io::BufReader,
    net::tcp::{OwnedReadHalf, OwnedWriteHalf},
    sync::{Notify, mpsc},
    time::Instant,
};

use crate::{
    incoming::Incoming,
    limits::{Limits, MAX_STREAM_MESSAGE},
    peers::LineId,
    record::{Partial, Reader, Record, RecordError, Writer},
    shell::Shell,
    stop::lock,
};

pub(crate) type StreamReader = Reader<BufReader<OwnedReadHalf>>;
pub(crate) type StreamWriter = Writer<OwnedWriteHalf>;

/// What other tasks may know and do about a stream.
#[derive(Debug)]
pub(crate) struct Line {
    inbound: bool,
    /// Takes no more messages from the queue.
    retired: AtomicBool,
    cut: AtomicBool,
    cut_wake: Notify,
    wake: Notify,
    flow: Mutex<Flow>,
}

/// The account of both directions.
#[derive(Debug)]
struct Flow {
    /// When a record last came or went.
    active: Instant,
    /// When the peer last confirmed something while something was unconfirmed.
    waiting: Option<Instant>,
    sent: u64,
    confirmed: u64,
    received: u64,
    ack_sent: u64,
    close_sent: Option<Instant>,
    peer_closed: bool,
}

/// What the writing half does next.
enum Step {
    Ack(u64),
    Message(Vec<u8>),
    Close,
    Wait(Instant),
    Done,
    GiveUp,
}

impl Line {
    pub(crate) fn new(inbound: bool) -> Arc<Self> {
        Arc::new(Self {
            inbound,
            retired: AtomicBool::new(false),
            cut: AtomicBool::new(false),
            cut_wake: Notify::new(),
            wake: Notify::new(),
            flow: Mutex::new(Flow {
                active: Instant::now(),
                waiting: None,
                sent: 0,
                confirmed: 0,
                received: 0,
                ack_sent: 0,
                close_sent: None,
                peer_closed: false,
            }),
        })
    }

    /// The peer opened this stream.
    pub(crate) fn is_inbound(&self) -> bool {
        self.inbound
    }

    /// May become a carrier.
    pub(crate) fn is_open(&self) -> bool {
        !self.retired.load(SeqCst) && !self.is_cut()
    }

    pub(crate) fn is_cut(&self) -> bool {
        self.cut.load(SeqCst)
    }

    /// Makes the writing half look again.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }

    /// No more messages are taken for this stream.
    pub(crate) fn retire(&self) {
        self.retired.store(true, SeqCst);
    }

    /// Ends the stream at once.
    pub(crate) fn cut(&self) {
        self.cut.store(true, SeqCst);
        self.cut_wake.notify_one();
    }
}

impl Flow {
    fn unconfirmed(&self) -> bool {
        self.sent > self.confirmed
    }

    /// Everything is said and confirmed on both sides.
    fn is_done(&self) -> bool {
        self.close_sent.is_some()
            && self.peer_closed
            && !self.unconfirmed()
            && self.ack_sent == self.received
    }
}

/// A stream and all that its task needs.
pub(crate) struct Running {
    pub(crate) shell: Arc<Shell>,
    pub(crate) peer: NodeId,
    pub(crate) id: LineId,
    pub(crate) line: Arc<Line>,
}

impl Running {
    /// Runs the stream to its end and settles what is lost.
    pub(crate) async fn run(
        self,
        mut reader: StreamReader,
        mut writer: StreamWriter,
        owner: mpsc::Sender<Incoming>,
    ) {
        let ended = tokio::select! {
            ended = self.read(&mut reader, &owner) => ended,
            ended = self.write(&mut writer) => ended,
            () = self.line.cut_wake.notified() => Err(RecordError::Ended),
        };
        let limits = &self.shell.limits;
        if ended.is_ok() {
            // The system delivers what we wrote last before it says that nothing follows.
            writer.finish(Instant::now() + limits.message).await;
        }
        if let Err(error) = &ended {
            tracing::debug!(peer = %self.peer, %error, "stream ended");
            if !matches!(error, RecordError::Ended | RecordError::Io(_)) {
                self.shell.counters.streams_cut.add(1);
            }
        }
        let unconfirmed = lock(&self.line.flow).unconfirmed();
        if self.shell.peers.ended(self.peer, self.id, unconfirmed) {
            let _ = owner.send(Incoming::StreamFailed { to: self.peer }).await;
        }
    }

    async fn read(
        &self,
        reader: &mut StreamReader,
        owner: &mpsc::Sender<Incoming>,
    ) -> Result<(), RecordError> {
        let whole = self.shell.limits.message;
        let mut partial = None;
        let mut deadline = None;
        loop {
            let record = match reader.next(deadline, whole).await {
                Err(RecordError::Ended) if lock(&self.line.flow).is_done() => return Ok(()),
                other => other?,
            };
            self.note(&record)?;
            if !matches!(record, Record::Start { .. } | Record::Continue(_)) {
                continue;
            }
            match Partial::take(&mut partial, &record, MAX_STREAM_MESSAGE)? {
                None => deadline = deadline.or_else(|| Some(Instant::now() + whole)),
                Some(message) => {
                    deadline = None;
                    self.deliver(message, owner).await?;
                }
            }
        }
    }

    /// Enters a record into the account; an error if it may not come now.
    fn note(&self, record: &Record<'_>) -> Result<(), RecordError> {
        let mut flow = lock(&self.line.flow);
        flow.active = Instant::now();
        match record {
            Record::Ack(count) if (flow.confirmed..=flow.sent).contains(count) => {
                self.shell.counters.messages_delivered.add(count - flow.confirmed);
                flow.confirmed = *count;
                flow.waiting = flow.unconfirmed().then_some(flow.active);
                self.line.wake();
            }
            Record::Close if !flow.peer_closed => {
                flow.peer_closed = true;
                self.line.wake();
            }
            Record::Start { .. } | Record::Continue(_) if !flow.peer_closed => {}
            _ => return Err(RecordError::Malformed),
        }
        Ok(())
    }

    async fn deliver(
        &self,
        message: Vec<u8>,
        owner: &mpsc::Sender<Incoming>,
    ) -> Result<(), RecordError> {
        self.shell.counters.messages_received.add(1);
        self.shell.counters.message_bytes_received.add(message.len() as u64);
        let incoming = Incoming::Stream { from: self.peer, message };
        // Waits while the owner is behind: the peer then feels it as a full connection.
        owner.send(incoming).await.map_err(|_| RecordError::Ended)?;
        lock(&self.line.flow).received += 1;
        self.line.wake();
        Ok(())
    }

    async fn write(&self, writer: &mut StreamWriter) -> Result<(), RecordError> {
        let limits = &self.shell.limits;
        loop {
            match self.step(limits) {
                Step::Ack(count) => writer.ack(count, Instant::now() + limits.message).await?,
                Step::Message(message) => self.send(writer, &message, limits.message).await?,
                Step::Close => {
                    // First out of the table, so that no message is given to a stream that closes.
                    let redial = self.shell.peers.retire(self.peer, self.id);
                    if let Some(addr) = redial {
                        self.shell.dial(self.peer, addr);
                    }
                    writer.close(Instant::now() + limits.message).await?;
                    lock(&self.line.flow).close_sent = Some(Instant::now());
                }
                Step::Wait(until) => {
                    let _ = tokio::time::timeout_at(until, self.line.wake.notified()).await;
                }
                Step::Done => return Ok(()),
                Step::GiveUp => return Err(RecordError::Slow),
            }
        }
    }

    fn step(&self, limits: &Limits) -> Step {
        let now = Instant::now();
        if let Some(count) = self.take_ack() {
            return Step::Ack(count);
        }
        let (closed, peer_closed) = {
            let flow = lock(&self.line.flow);
            (flow.close_sent.is_some(), flow.peer_closed)
        };
        if !closed && !peer_closed {
            if let Some(message) = self.shell.peers.take(self.peer, self.id) {
                return Step::Message(message);
            }
            if self.shell.peers.is_stopping() {
                return Step::Close;
            }
        }
        let flow = lock(&self.line.flow);
        if flow.is_done() {
            return Step::Done;
        }
        if peer_closed && !closed {
            return Step::Close;
        }
        let silent = flow.waiting.map(|since| since + limits.idle);
        let unanswered = flow.close_sent.map(|since| since + limits.message);
        let give_up = silent.into_iter().chain(unanswered).min();
        if give_up.is_some_and(|at| at <= now) {
            return Step::GiveUp;
        }
        // Who accepted waits a little longer, so that usually who opened says Close.
        let idle = flow.active + if self.line.inbound { limits.idle * 9 / 8 } else { limits.idle };
        if flow.close_sent.is_none() && !flow.unconfirmed() && idle <= now {
            return Step::Close;
        }
        // Without a limit that applies yet, `idle` is when to look again.
        let look = if flow.close_sent.is_none() && !flow.unconfirmed() { Some(idle) } else { None };
        Step::Wait(give_up.into_iter().chain(look).min().unwrap_or(now + limits.idle))
    }

    /// The confirmation that is due, if any.
    fn take_ack(&self) -> Option<u64> {
        let mut flow = lock(&self.line.flow);
        if flow.ack_sent == flow.received {
            return None;
        }
        flow.ack_sent = flow.received;
        Some(flow.ack_sent)
    }

    async fn send(
        &self,
        writer: &mut StreamWriter,
        message: &[u8],
        time: Duration,
    ) -> Result<(), RecordError> {
        let deadline = Instant::now() + time;
        {
            let mut flow = lock(&self.line.flow);
            flow.sent += 1;
            let now = Instant::now();
            flow.active = now;
            flow.waiting.get_or_insert(now);
        }
        self.shell.counters.messages_sent.add(1);
        self.shell.counters.message_bytes_sent.add(message.len() as u64);
        let mut left = writer.start(message, deadline).await?;
        while !left.is_empty() {
            // A peer that sends us as much waits for its confirmations meanwhile.
            if let Some(count) = self.take_ack() {
                writer.ack(count, deadline).await?;
            }
            left = writer.go_on(left, deadline).await?;
        }
        lock(&self.line.flow).active = Instant::now();
        Ok(())
    }
}
