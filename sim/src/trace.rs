//! The trace of a run: one line per event, folded into one hash that two runs of one seed must share.

use std::{fmt, hash::Hasher, io::Write};

use netdb_gossip_core::time::Time;
use siphasher::sip::SipHasher13;

/// Collects what happened, in order.
#[derive(Default)]
pub struct Trace {
    hash: SipHasher13,
    events: u64,
    sink: Option<Box<dyn Write + Send>>,
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Trace({} events, {:016x})", self.events, self.hash())
    }
}

impl Trace {
    /// Also writes every line to `sink`. A sink that fails (a closed pipe) is let go.
    pub fn write_to(&mut self, sink: Box<dyn Write + Send>) {
        self.sink = Some(sink);
    }

    /// Takes one event down: when, what, at which host, and the bytes that it carried.
    pub fn event(&mut self, at: Time, what: &'static str, host: usize, other: u64, bytes: &[u8]) {
        self.events += 1;
        self.hash.write_u64(at.0);
        self.hash.write(what.as_bytes());
        self.hash.write_u64(host as u64);
        self.hash.write_u64(other);
        self.hash.write(bytes);
        if self.sink.is_some() {
            self.line(format_args!("{at} {what:<9} n{host} {other} {} B", bytes.len()));
        }
    }

    /// Takes down what the script did or a node said; hashed as text.
    pub fn note(&mut self, at: Time, text: fmt::Arguments<'_>) {
        self.events += 1;
        let text = text.to_string();
        self.hash.write_u64(at.0);
        self.hash.write(text.as_bytes());
        if self.sink.is_some() {
            self.line(format_args!("{at} {text}"));
        }
    }

    /// Takes down what a watcher was told; `line` is only asked for if somebody reads.
    pub fn told(&mut self, at: Time, host: usize, mark: u64, line: impl FnOnce() -> String) {
        self.events += 1;
        self.hash.write_u64(at.0);
        self.hash.write_u64(host as u64);
        self.hash.write_u64(mark);
        if self.sink.is_some() {
            let line = line();
            self.line(format_args!("{at} told      n{host} {line}"));
        }
    }

    fn line(&mut self, line: fmt::Arguments<'_>) {
        if let Some(sink) = &mut self.sink
            && writeln!(sink, "{line}").is_err()
        {
            self.sink = None;
        }
    }

    /// Events so far.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// The hash over all of them.
    pub fn hash(&self) -> u64 {
        self.hash.finish()
    }
}
