//! The trace of a run: one event after another, folded into one hash that two runs of one seed must share.
//!
//! Who reads it changes nothing: the hash is over the events, not over what is made of them.

use std::{fmt, hash::Hasher};

use netdb_gossip_core::time::Time;
use siphasher::sip::SipHasher13;

/// Collects what happened, in order.
#[derive(Default)]
pub struct Trace {
    hash: SipHasher13,
    events: u64,
    reader: Option<Box<dyn Reader>>,
}

/// Somebody who is shown every event of a run.
pub trait Reader: Send {
    /// One event; the answer is whether to go on.
    fn event(&mut self, event: &Event<'_>) -> bool;
}

/// One event of a trace.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// When it happened.
    pub at: Time,
    /// What kind of event it is, in one word.
    pub what: &'a str,
    /// At which host; none for what concerns the whole world.
    pub host: Option<usize>,
    /// The host at the other end, if there is one.
    pub other: Option<usize>,
    /// Bytes that it carried.
    pub bytes: usize,
    /// The rest in words, without the kind and the host.
    pub words: &'a str,
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Trace({} events, {:016x})", self.events, self.hash())
    }
}

impl Trace {
    /// Also shows every event to `reader`, until it has had enough.
    pub fn show_to(&mut self, reader: Box<dyn Reader>) {
        self.reader = Some(reader);
    }

    /// Takes one event down: when, what, at which host, and the bytes that it carried.
    pub fn event(&mut self, at: Time, what: &'static str, host: usize, other: u64, bytes: &[u8]) {
        self.events += 1;
        self.hash.write_u64(at.0);
        self.hash.write(what.as_bytes());
        self.hash.write_u64(host as u64);
        self.hash.write_u64(other);
        self.hash.write(bytes);
        if self.reader.is_none() {
            return;
        }
        let size = bytes.len();
        let (words, between) = match what {
            "packet" | "stream" => (format!("from n{other}, {size} B"), true),
            "dialled" => (format!("by n{other}"), true),
            "broken" => (format!("to n{other}"), true),
            "durable" => (format!("commit {other}"), false),
            "action" => (format!("{other}"), false),
            _ => (String::new(), false),
        };
        let other = usize::try_from(other).ok().filter(|_| between);
        // The script acts from outside of all hosts.
        let host = (what != "action").then_some(host);
        self.show(&Event { at, what, host, other, bytes: size, words: &words });
    }

    /// Takes down what the script did or a node said; hashed as text.
    pub fn note(&mut self, at: Time, text: fmt::Arguments<'_>) {
        self.events += 1;
        let text = text.to_string();
        self.hash.write_u64(at.0);
        self.hash.write(text.as_bytes());
        if self.reader.is_none() {
            return;
        }
        let (what, rest) = text.split_once(' ').unwrap_or((&text, ""));
        let rest = rest.trim_start();
        let (first, after) = rest.split_once(' ').unwrap_or((rest, ""));
        let host = host(first);
        let words = if host.is_some() { after } else { rest };
        let other = words.split(|c: char| !c.is_ascii_alphanumeric()).find_map(self::host);
        self.show(&Event { at, what, host, other, bytes: 0, words });
    }

    /// Takes down what a watcher was told; `words` are only asked for if somebody reads.
    pub fn told(&mut self, at: Time, host: usize, mark: u64, words: impl FnOnce() -> String) {
        self.events += 1;
        self.hash.write_u64(at.0);
        self.hash.write_u64(host as u64);
        self.hash.write_u64(mark);
        if self.reader.is_some() {
            let words = words();
            let host = Some(host);
            self.show(&Event { at, what: "told", host, other: None, bytes: 0, words: &words });
        }
    }

    fn show(&mut self, event: &Event<'_>) {
        if let Some(reader) = &mut self.reader
            && !reader.event(event)
        {
            self.reader = None;
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

/// The host that a word like `n12` names.
fn host(word: &str) -> Option<usize> {
    word.strip_prefix('n')?.parse().ok()
}

impl Event<'_> {
    /// Whether it concerns a host: at either end, or the whole world.
    pub fn concerns(&self, host: usize) -> bool {
        self.host.is_none_or(|at| at == host) || self.other == Some(host)
    }
}

impl fmt::Display for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, micros) = (self.at.0 / 1_000_000, self.at.0 % 1_000_000);
        let host = self.host.map(|host| format!("n{host}")).unwrap_or_default();
        let line = format!("{seconds:>6}.{micros:06}  {:<9} {host:<5} {}", self.what, self.words);
        f.write_str(line.trim_end())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// Keeps lines, as many as it wants.
    struct Keeper(Arc<Mutex<Vec<String>>>, usize);

    impl Reader for Keeper {
        fn event(&mut self, event: &Event<'_>) -> bool {
            let mut lines = self.0.lock().unwrap();
            lines.push(format!("{event} {}", event.concerns(3)));
            lines.len() < self.1
        }
    }

    fn fill(trace: &mut Trace) {
        trace.event(Time(1_000_002), "packet", 3, 5, b"abc");
        trace.event(Time(1_000_003), "timer", 5, 0, b"");
        trace.note(Time(1_000_004), format_args!("member    n5 sees n3 Failed"));
        trace.note(Time(1_000_005), format_args!("partition [[3], [5]]"));
        trace.told(Time(1_000_006), 12, 7, || "created net/x".into());
    }

    fn read(most: usize) -> (Vec<String>, u64) {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let mut trace = Trace::default();
        trace.show_to(Box::new(Keeper(Arc::clone(&lines), most)));
        fill(&mut trace);
        (lines.lock().unwrap().clone(), trace.hash())
    }

    #[test]
    fn lines_are_aligned_and_say_whom_they_concern() {
        let (lines, _) = read(usize::MAX);
        let expected = [
            "     1.000002  packet    n3    from n5, 3 B true",
            "     1.000003  timer     n5 false",
            "     1.000004  member    n5    sees n3 Failed true",
            "     1.000005  partition       [[3], [5]] true",
            "     1.000006  told      n12   created net/x false",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn a_reader_changes_nothing_and_may_leave() {
        let mut unread = Trace::default();
        fill(&mut unread);
        assert_eq!(read(usize::MAX).1, unread.hash());
        let (lines, hash) = read(2);
        assert_eq!((lines.len(), hash), (2, unread.hash()));
    }
}
