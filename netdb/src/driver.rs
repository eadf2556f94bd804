//! The one task that owns a node: takes inputs, drains outputs, and sleeps until the next deadline.
//!
//! Inputs that are ready together are taken together before any output is, so that what they cause
//! shares packets and transactions. Everything here is bounded: a batch of inputs, the commands that
//! wait, the acknowledgements that wait for the disk. Must never wait for a caller, a watcher, a peer or the
//! disk: whatever is slow has a queue of its own, and a stated behaviour when that is full.

mod acks;
mod finish;
mod incoming;
mod questions;
mod requests;
mod synced;
mod topics;
mod watches;

use std::collections::BTreeSet;

use netdb_core::node::{Node, NodeEvent, Output, WatchId, Write};
use netdb_gossip::{Inbox, Incoming, Transport};
use netdb_gossip_core::{
    identity::NodeId,
    time::{Now, Time},
};
use tokio::{
    sync::{broadcast, mpsc},
    time::sleep_until,
};

pub(crate) use self::acks::MAX_UNSETTLED;
pub(crate) use self::questions::{MAX_QUESTIONS, Silence};
pub use self::watches::MAX_WATCHES;
use self::{
    acks::Acks, questions::Questions, requests::WriteReply, synced::Waiters, topics::Topics,
    watches::Watches,
};
use crate::{
    clock::Clock,
    command::{Command, Stop},
    disk::{Disk, Settled},
    requests::Asked,
    state_dir::StateLock,
};

/// Inputs taken between two drains of the outputs. More would save packets and delay answers.
const INPUT_BATCH: usize = 256;

/// What a running node is made of.
pub(crate) struct Parts {
    pub(crate) node: Node,
    pub(crate) transport: Transport,
    pub(crate) inbox: Inbox,
    pub(crate) disk: Disk,
    pub(crate) clock: Clock,
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) events: broadcast::Sender<NodeEvent>,
    pub(crate) lock: StateLock,
}

/// The owner of a node and of everything around it.
pub(crate) struct Driver {
    pub(crate) node: Node,
    pub(crate) transport: Transport,
    pub(crate) disk: Disk,
    pub(crate) events: broadcast::Sender<NodeEvent>,
    inbox: Inbox,
    clock: Clock,
    commands: mpsc::Receiver<Command>,
    watches: Watches,
    acks: Acks,
    questions: Questions,
    topics: Topics,
    held: Vec<(Write, WriteReply)>,
    synced: Waiters,
    /// Peers whose stream refused a message: told to the node with the next inputs, not amid the
    /// outputs that it is drained of.
    refused: BTreeSet<NodeId>,
    lock: StateLock,
}

enum Input {
    Command(Option<Command>),
    Incoming(Option<Incoming>),
    Settled(Settled),
    Room(WatchId),
    Due,
}

impl Driver {
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts { node, transport, inbox, disk, clock, commands, events, lock } = parts;
        Self {
            node,
            transport,
            disk,
            events,
            inbox,
            clock,
            commands,
            watches: Watches::default(),
            acks: Acks::default(),
            questions: Questions::default(),
            topics: Topics::default(),
            held: Vec::new(),
            synced: Waiters::default(),
            refused: BTreeSet::new(),
            lock,
        }
    }

    /// Runs the node until it is told to stop, or its last handle is dropped.
    pub(crate) async fn run(mut self) {
        loop {
            self.flush();
            let input = self.next().await;
            let mut stop = self.take(input);
            if stop.is_none() {
                stop = self.take_ready();
            }
            if let Some(stop) = stop {
                return self.finish(stop).await;
            }
        }
    }

    pub(crate) fn now(&self) -> Now {
        self.clock.now()
    }

    /// Waits for whatever comes first. Nothing is lost when the future is dropped.
    async fn next(&mut self) -> Input {
        if !self.refused.is_empty() {
            // Lets other tasks run: a node that sends at once again must not keep the thread.
            tokio::task::yield_now().await;
            return Input::Due;
        }
        let due = self.node.poll_timeout();
        tokio::select! {
            command = self.commands.recv() => Input::Command(command),
            incoming = self.inbox.recv() => Input::Incoming(incoming),
            settled = self.disk.settled() => Input::Settled(settled),
            watch = self.watches.room() => Input::Room(watch),
            () = sleep(self.clock, due) => Input::Due,
        }
    }

    /// Takes one input; returns how to stop, if that is what it says.
    fn take(&mut self, input: Input) -> Option<Stop> {
        match input {
            Input::Command(Some(Command::Call(call))) => call(self),
            Input::Command(Some(Command::Stop(stop))) => return Some(stop),
            // The last handle is gone; or the transport, which ends only with us.
            Input::Command(None) | Input::Incoming(None) => return Some(Stop::quiet()),
            Input::Incoming(Some(incoming)) => self.take_incoming(incoming),
            Input::Settled(settled) => self.take_settled(settled),
            Input::Room(watch) => self.watches.resume(&mut self.node, watch),
            Input::Due => {}
        }
        None
    }

    /// Takes what else is ready, and does what is due. Inputs never hold back a timer.
    fn take_ready(&mut self) -> Option<Stop> {
        for _ in 0..INPUT_BATCH {
            let command = self.commands.try_recv().ok();
            let incoming = self.inbox.try_recv();
            if command.is_none() && incoming.is_none() {
                break;
            }
            if let Some(incoming) = incoming {
                self.take_incoming(incoming);
            }
            if let Some(stop) = command.and_then(|command| self.take(Input::Command(Some(command))))
            {
                return Some(stop);
            }
        }
        self.do_due();
        None
    }

    fn do_due(&mut self) {
        for peer in std::mem::take(&mut self.refused) {
            self.stream_failed(peer);
        }
        let now = self.now();
        if self.node.poll_timeout().is_some_and(|due| due <= now.mono) {
            self.node.handle_timeout(now);
        }
    }

    fn take_settled(&mut self, settled: Settled) {
        match settled {
            Settled::Durable(ids) => {
                let now = self.now();
                for id in ids.first..=ids.last {
                    self.node.handle_committed(now, id);
                }
                self.acks.durable(ids.last);
            }
            Settled::Failed(error) => self.acks.failed(&error),
        }
        self.write_held();
    }

    /// Does all that the node wants done.
    pub(crate) fn flush(&mut self) {
        let now = self.now();
        while let Some(output) = self.node.poll_output(now) {
            match output {
                Output::Packet { to, bytes } => self.transport.send_packet(to, &bytes),
                Output::Stream { to, addr, message } => {
                    if self.transport.send_stream(to, addr, message).is_err() {
                        self.refused.insert(to);
                    }
                }
                Output::Disconnect { peer } => self.transport.disconnect(peer),
                Output::Commit { id, ops } => self.disk.push(id, ops),
                Output::Event(event) => self.take_event(event),
                Output::Answer { from, id, answer } => self.take_answer(from, id, answer),
                Output::Request { from, id, topic, body } => {
                    self.take_request(&topic, Asked { from, id, body });
                }
                Output::Response { id, answer, .. } => self.take_response(id, answer),
            }
        }
    }

    fn take_event(&mut self, event: NodeEvent) {
        match &event {
            NodeEvent::WatchReady(watch) => return self.watches.pump(&mut self.node, *watch),
            NodeEvent::Synced(network) => self.synced.synced(network),
            _ => {}
        }
        // An error only says that nobody listens.
        let _ = self.events.send(event);
    }
}

/// Sleeps until `due`, for ever if nothing is.
async fn sleep(clock: Clock, due: Option<Time>) {
    match due {
        Some(due) => sleep_until(clock.instant(due)).await,
        None => std::future::pending().await,
    }
}
