//! The server of one sandbox: what comes from its sockets is answered at once, or waits for an upstream.
//!
//! Its tasks live inside one future, so that dropping that ends everything of the sandbox. Must never keep
//! one query waiting for another.

mod batch;
mod tcp;
#[cfg(test)]
mod tests;
mod udp;

use std::{io, net, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, UdpSocket},
    sync::Semaphore,
    try_join,
};

use crate::{
    forward::{Asked, Forwarder, Permit, Share},
    limits::MAX_CONNECTIONS,
    local::{self, Outcome, Scratch},
    names::Names,
    wire::{Via, ede, rcode, reply},
};

/// Rest after an error of the system that may last (no descriptors left), so that it is not met in a busy loop.
const ERROR_REST: Duration = Duration::from_millis(10);

/// One sandbox: what it may know, and what it may have under way. Clones are the same one.
#[derive(Clone)]
pub struct Client {
    names: Arc<dyn Names>,
    forwarder: Forwarder,
    share: Arc<Share>,
    connections: Arc<Semaphore>,
}

/// What comes next for a query.
enum Step {
    /// The answer has been written.
    Answered,
    /// There is none.
    Dropped,
    /// An upstream has to be asked.
    Wait(Asked, Permit),
}

impl Client {
    /// A sandbox that sees these names, and asks beyond them through this forwarder.
    pub fn new(names: Arc<dyn Names>, forwarder: Forwarder) -> Self {
        let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let share = Arc::new(forwarder.share());
        Self { names, forwarder, share, connections }
    }

    /// Answers on these sockets until it is dropped; all its tasks end with it.
    ///
    /// The sockets work in the namespace in which they were opened, whoever uses them. They are bound to
    /// one address, not to all: an answer leaves from the address that it is bound to. A sandbox may be
    /// served on several pairs at once, which share its bounds.
    ///
    /// All sandboxes of a host are best served by one runtime of one thread. Of several threads one waits for
    /// the sockets while another answers, and is woken by each query: half as much CPU time again.
    ///
    /// # Errors
    /// If the sockets can't be used with this runtime, which is at once. What goes wrong later is counted.
    pub async fn serve(&self, udp: net::UdpSocket, tcp: net::TcpListener) -> io::Result<()> {
        udp.set_nonblocking(true)?;
        tcp.set_nonblocking(true)?;
        let (udp, tcp) = (UdpSocket::from_std(udp)?, TcpListener::from_std(tcp)?);
        try_join!(udp::run(self, udp), tcp::run(self, tcp))?;
        Ok(())
    }

    /// What the sandbox would be answered; `None` if that is nothing at all.
    pub async fn answer(&self, query: &[u8], via: Via) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        match self.step(query, via, &mut Scratch::default(), &mut out) {
            Step::Answered => Some(out),
            Step::Dropped => None,
            Step::Wait(asked, permit) => Some(self.forwarder.ask(&asked, &permit).await),
        }
    }

    /// Does what can be done at once.
    fn step(&self, query: &[u8], via: Via, scratch: &mut Scratch, out: &mut Vec<u8>) -> Step {
        let counters = self.forwarder.counters();
        let asked = match local::answer(self.names.as_ref(), query, via, scratch, out) {
            Outcome::Answered => {
                counters.answered_here.add(1);
                return Step::Answered;
            }
            Outcome::Dropped => {
                counters.dropped_queries.add(1);
                return Step::Dropped;
            }
            Outcome::Forward(asked) => asked,
        };
        if self.forwarder.tell_known(&asked, out) {
            counters.answered_from_cache.add(1);
            return Step::Answered;
        }
        let Some(permit) = self.share.enter() else {
            counters.refused_by_share.add(1);
            reply::failure(&asked.head(), rcode::SERV_FAIL, Some(ede::OTHER), out);
            return Step::Answered;
        };
        Step::Wait(asked, permit)
    }
}
