//! The records of a stream, from a member that went through the handshake: the messages that reach the
//! owner are those that the protocol's description makes of them, and nothing after the first fault.
#![no_main]

use std::cell::RefCell;

use libfuzzer_sys::fuzz_target;
use netdb_fuzz::{
    insider::{
        ACK, CLOSE, CONTINUE, HELLO, Handshake, REPLY, Role, START, Session, Victim, hang_up,
        hello, identity, message,
    },
    script::{self, Script},
    seeds,
};
use netdb_gossip::MAX_STREAM_MESSAGE;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// A sealed record with this plain text.
const RECORD: u8 = 0;
/// Bytes that are no record.
const RAW: u8 = 1;
/// A whole message, in parts as long as the first byte says.
const MESSAGE: u8 = 2;

thread_local! {
    static VICTIM: RefCell<Victim> = RefCell::new(Victim::new());
}

fuzz_target!(init: seeds::plant(seeds), |input: &[u8]| {
    let mut expected = Model::default();
    let mut writes = Vec::new();
    for (operation, about) in Script::new(input) {
        match operation % 3 {
            RECORD => {
                expected.take(about);
                writes.push(Ok(about.to_vec()));
            }
            RAW => {
                expected.broken |= !about.is_empty();
                writes.push(Err(about.to_vec()));
            }
            _ => {
                for record in parts(about) {
                    expected.take(&record);
                    writes.push(Ok(record));
                }
            }
        }
    }
    let meet = async |stream| say(stream, writes).await;
    let ((), heard) = VICTIM.with_borrow_mut(|victim| victim.meet(meet));
    assert!(heard == expected.messages, "{} messages, not {}", heard.len(), expected.messages.len());
});

/// Connects as a member, writes everything, and reads until the end.
async fn say(mut stream: TcpStream, writes: Vec<Result<Vec<u8>, Vec<u8>>>) {
    let mut session = enter(&mut stream).await.expect("a member gets in");
    for write in writes {
        let bytes = match write {
            Ok(plain) => session.seal(&plain),
            Err(raw) => raw,
        };
        // It may have been cut off already, as it should.
        if stream.write_all(&bytes).await.is_err() {
            break;
        }
    }
    hang_up(stream).await;
}

async fn enter(stream: &mut TcpStream) -> Option<Session> {
    let hello: [u8; HELLO] = hello(None);
    let mut handshake = Handshake::new(identity(1), Role::Initiator, &hello, false);
    stream.write_all(&[hello.as_slice(), &handshake.write(&[])?].concat()).await.ok()?;
    stream.read_exact(&mut [0; REPLY]).await.ok()?;
    handshake.read(&message(stream).await?)?;
    let proof = handshake.proof();
    stream.write_all(&handshake.write(&proof)?).await.ok()?;
    let mut session = handshake.finish()?;
    (session.open(stream).await? == [&[ACK], [0; 8].as_slice()].concat()).then_some(session)
}

/// A message as records.
fn parts(mut about: &[u8]) -> Vec<Vec<u8>> {
    let length = usize::from(script::byte(&mut about)) + 1;
    let total = u32::try_from(about.len()).unwrap_or(0).to_be_bytes();
    let first = script::bytes(&mut about, length);
    let mut records = vec![[&[START], total.as_slice(), first].concat()];
    records.extend(about.chunks(length).map(|part| [&[CONTINUE], part].concat()));
    records
}

/// What docs/protocol.md makes of records.
#[derive(Default)]
struct Model {
    messages: Vec<Vec<u8>>,
    partial: Option<(usize, Vec<u8>)>,
    closed: bool,
    broken: bool,
}

impl Model {
    fn take(&mut self, record: &[u8]) {
        if !self.broken && self.understand(record).is_none() {
            self.broken = true;
        }
    }

    fn understand(&mut self, record: &[u8]) -> Option<()> {
        let (&kind, rest) = record.split_first()?;
        match kind {
            START if !self.closed && self.partial.is_none() => {
                let (total, part) = rest.split_first_chunk()?;
                let total = usize::try_from(u32::from_be_bytes(*total)).ok()?;
                self.partial = Some((total, Vec::new()));
                (total <= MAX_STREAM_MESSAGE).then(|| self.add(part))?
            }
            CONTINUE if !self.closed && !rest.is_empty() => self.add(rest),
            // Nothing was sent to us: nothing else can be confirmed.
            ACK => (rest == [0; 8]).then_some(()),
            CLOSE if !self.closed && rest.is_empty() => {
                self.closed = true;
                Some(())
            }
            _ => None,
        }
    }

    fn add(&mut self, part: &[u8]) -> Option<()> {
        let (total, mut message) = self.partial.take()?;
        message.extend(part);
        match message.len() {
            length if length > total => return None,
            length if length == total => self.messages.push(message),
            _ => self.partial = Some((total, message)),
        }
        Some(())
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let ack = |count: u64| [&[ACK], count.to_be_bytes().as_slice()].concat();
    let long = [&[200_u8], [7; 3000].as_slice()].concat();
    let over = [&[START], (1_u32 << 20 | 1).to_be_bytes().as_slice()].concat();
    let courses: Vec<Vec<(u8, Vec<u8>)>> = vec![
        vec![(MESSAGE, b"\x03a whole message".to_vec())],
        vec![(MESSAGE, long.clone()), (MESSAGE, vec![0]), (MESSAGE, long)],
        vec![(RECORD, ack(0)), (MESSAGE, b"\xffone".to_vec()), (RECORD, vec![CLOSE])],
        vec![(RECORD, vec![CLOSE]), (MESSAGE, b"\xfflate".to_vec())],
        vec![(RECORD, ack(1)), (MESSAGE, b"\xffafter".to_vec())],
        vec![(MESSAGE, b"\xffbefore".to_vec()), (RECORD, vec![CONTINUE, 1])],
        vec![(RECORD, over)],
        vec![(MESSAGE, b"\xffone".to_vec()), (RAW, vec![0, 16, 1, 2, 3])],
        vec![(RECORD, vec![]), (RECORD, vec![9])],
    ];
    let write = |course: Vec<(u8, Vec<u8>)>| {
        script::write(course.iter().map(|(operation, about)| (*operation, about.as_slice())))
    };
    courses.into_iter().map(write).collect()
}
