//! Comparing two nodes from outside: what is found, what it costs, and who is not believed.

use alloc::{collections::BTreeMap, format, string::String, vec};
use core::{
    pin::pin,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    task::{Context, Poll, Waker},
};

use super::*;
use crate::{
    sync::diff::{Ask, Diff, DiffError, Scope, Side, Standing, Verdict, compare},
    wire::{
        self, Message, Want,
        inspect::{
            Answer, HeldRow, LIST_AT_MOST, MAX_PLACES, MAX_RANGES, Question, Rows, WriterSum,
        },
    },
};

/// Two nodes that answer at once, and how much they were asked and said.
struct Two<'n> {
    nodes: [&'n Node; 2],
    asked: AtomicUsize,
    bytes: AtomicUsize,
}

impl<'n> Two<'n> {
    fn of(net: &'n Net) -> Self {
        let nodes = [net.node(0), net.node(1)];
        Self { nodes, asked: AtomicUsize::new(0), bytes: AtomicUsize::new(0) }
    }
}

impl Ask for Two<'_> {
    type Error = ();
    fn ask(&self, side: Side, question: Question) -> impl Future<Output = Result<Answer, ()>> {
        let [left, right] = self.nodes;
        let answer = if side == Side::Left { left } else { right }.answer(&question);
        self.asked.fetch_add(1, Relaxed);
        self.bytes.fetch_add(wire::encode(&Message::Answer(0, answer.clone())).len(), Relaxed);
        core::future::ready(Ok(answer))
    }
}

fn finished<T>(work: impl Future<Output = T>) -> T {
    match pin!(work).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => panic!("somebody waits"),
    }
}

/// Compares network "net" of the nodes 0 and 1; also how many questions and bytes it took.
fn compared(net: &Net) -> (Diff, usize, usize) {
    let two = Two::of(net);
    let settled_before = net.node(0).settled_before(net.now());
    let scope = Scope { only: Some(name("net")), settled_before };
    let diff = finished(compare(&two, &scope)).unwrap();
    (diff, two.asked.load(Relaxed), two.bytes.load(Relaxed))
}

fn held(value: u64) -> impl Fn(&Standing) -> bool {
    move |standing| matches!(standing, Standing::Held(row) if row.dot.sequence == value)
}

#[test]
fn three_rows_among_thousands_are_found_for_little() {
    let mut net = Net::new(2);
    net.attach_all();
    for n in 0..5000 {
        let key = format!("k{n}");
        net.write(0, Lifetime::Cluster, &key, Operation::Create, b"v").unwrap();
    }
    net.run(Duration::from_secs(3));
    let (diff, asked, _) = compared(&net);
    assert_eq!((diff.networks[0].verdict, asked), (Verdict::Equal, 2));
    net.cut.extend([(0, 1), (1, 0)]);
    net.write(0, Lifetime::Cluster, "k17", Operation::Update, b"w").unwrap();
    net.write(1, Lifetime::Cluster, "k99", Operation::Delete, b"").unwrap();
    net.write(1, Lifetime::Owner, "own", Operation::Create, b"x").unwrap();
    let (diff, ..) = compared(&net);
    assert_eq!(diff.networks[0].verdict, Verdict::OnItsWay);
    assert_eq!(diff.networks[0].rows.len(), 3);
    net.run(Duration::from_millis(1200));
    let (diff, asked, bytes) = compared(&net);
    let found = &diff.networks[0];
    assert_eq!((found.verdict, found.more), (Verdict::Different, false));
    assert!(asked < 20 && bytes < 100_000, "{asked} questions, {bytes} bytes");
    let rows: BTreeMap<String, _> = found
        .rows
        .iter()
        .map(|diff| {
            let row = diff.row().unwrap();
            assert!(!diff.on_its_way);
            (String::from_utf8(row.key.clone()).unwrap(), (&diff.left, &diff.right))
        })
        .collect();
    assert_eq!(rows.len(), 3);
    assert!(held(5001)(rows["k17"].0) && held(18)(rows["k17"].1));
    assert!(held(100)(rows["k99"].0) && matches!(rows["k99"].1, Standing::Deleted(_)));
    assert!(*rows["own"].0 == Standing::NotReceived && held(1)(rows["own"].1));
    // The writer of the thousands, and the one of the `Owner` row. Who only deleted holds nothing.
    assert_eq!(found.writers.len(), 2);
    net.cut.clear();
    net.until(Duration::from_secs(10), |net| {
        net.agree() && compared(net).0.networks[0].verdict == Verdict::Equal
    });
}

#[test]
fn who_fetched_what_was_just_overwritten_does_not_differ() {
    let mut net = Net::new(2);
    net.call(0, |node, now| node.attach(now, &name("net"))).unwrap();
    net.run(Duration::from_secs(3));
    for value in [b"v", b"w"] {
        net.write(0, Lifetime::Cluster, "k", Operation::Upsert, value).unwrap();
    }
    net.run(Duration::from_millis(100));
    net.call(1, |node, now| node.attach(now, &name("net"))).unwrap();
    net.until(Duration::from_secs(5), |net| net.node(1).is_synced(&name("net")));
    // The latecomer never saw the first write come, so it can't say when it was not there yet.
    assert_eq!(compared(&net).0.networks[0].verdict, Verdict::Equal);
}

#[test]
fn what_only_one_is_attached_to_is_told_apart() {
    let mut net = Net::new(2);
    net.call(1, |node, now| node.attach(now, &name("blue"))).unwrap();
    net.run(Duration::from_secs(3));
    let two = Two::of(&net);
    let settled_before = net.node(0).settled_before(net.now());
    let all = finished(compare(&two, &Scope { only: None, settled_before })).unwrap();
    assert_eq!(all.apart, [(name("blue"), Side::Right)]);
    assert_eq!(all.networks.len(), 1);
    let scope = Scope { only: Some(name("blue")), settled_before };
    let refused = finished(compare(&two, &scope)).unwrap_err();
    assert_eq!(refused, DiffError::NotAttached(Side::Left, name("blue")));
}

#[test]
fn questions_over_a_limit_are_refused() {
    let mut net = Net::new(1);
    net.attach_all();
    let node = net.node(0);
    let (writer, network) = (node.received(&name("net")), name("net"));
    assert!(writer.is_empty());
    let writer = Writer::first_of(net.id(0), Lifetime::Owner);
    let answer = |spans: &[(u64, u64)]| {
        let want = |&(after, through)| Want { writer, after, through };
        let ranges = spans.iter().map(want).collect();
        node.answer(&Question::Held { network: network.clone(), ranges })
    };
    let apart: Vec<(u64, u64)> = (0..=MAX_RANGES as u64).map(|n| (n, n + 1)).collect();
    assert!(matches!(answer(&apart[..MAX_RANGES]), Answer::Held(rows) if rows.len() == MAX_RANGES));
    for wrong in [&apart[..], &[(0, 2), (1, 3)], &[(2, 3), (0, 1)], &[(1, 1)]] {
        assert_eq!(answer(wrong), Answer::Refused, "{} ranges", wrong.len());
    }
    let places = |count| Question::Standing { network: network.clone(), places: vec![7; count] };
    assert_eq!(node.answer(&places(MAX_PLACES)), Answer::Standing(vec![None; MAX_PLACES]));
    assert_eq!(node.answer(&places(MAX_PLACES + 1)), Answer::Refused);
    let elsewhere = Question::Standing { network: name("elsewhere"), places: vec![] };
    assert_eq!(node.answer(&elsewhere), Answer::NotAttached);
}

#[test]
fn the_fullest_answer_fits_a_message() {
    let writer = Writer {
        node: NodeId([255; 16]),
        lifetime: Lifetime::Cluster,
        generation: Generation(u64::MAX),
        attachment: u32::MAX,
    };
    let row = HeldRow {
        table: name(&"t".repeat(Name::MAX_LEN)),
        lifetime: Lifetime::Cluster,
        key: vec![255; crate::entry::MAX_KEY],
        owner: NodeId([255; 16]),
        dot: Dot { writer, sequence: u64::MAX },
        at: u64::MAX,
        deleted: true,
    };
    let fits = |answer| {
        let size = wire::encode(&Message::Answer(u64::MAX, answer)).len();
        assert!(size <= MAX_STREAM_MESSAGE, "{size} bytes");
    };
    fits(Answer::Held(vec![Rows::List(vec![row.clone(); LIST_AT_MOST]); MAX_RANGES]));
    fits(Answer::Standing(vec![Some(row); MAX_PLACES]));
    let (max, network) = (u64::MAX, name(&"n".repeat(Name::MAX_LEN)));
    let sum = WriterSum { writer, contiguous: max, settled: max, rows: max, hash: max, last: max };
    fits(Answer::Writers { writers: vec![sum; wire::inspect::MAX_LISTED], more: true });
    let sum = wire::inspect::NetworkSum {
        network,
        synced: true,
        rows: max,
        held: max,
        received: max,
        settled_held: max,
        settled_received: max,
    };
    fits(Answer::Networks { networks: vec![sum; wire::inspect::MAX_LISTED], more: true });
}

/// The answers that a node gave.
fn answers(node: &mut Node, now: Now) -> Vec<(u64, Answer)> {
    let mut answers = Vec::new();
    while let Some(output) = node.poll_output(now) {
        if let Output::Stream { message, .. } = output
            && let Ok(Message::Answer(id, answer)) = wire::decode(&message)
        {
            answers.push((id, answer));
        }
    }
    answers
}

#[test]
fn a_node_answers_so_many_questions_a_second_and_only_on_streams() {
    let mut net = Net::new(2);
    let (now, from) = (net.now(), net.id(1));
    let node = net.hosts[0].node.as_mut().unwrap();
    let question = || {
        let places = Vec::new();
        wire::encode(&Message::Question(9, Question::Standing { network: name("x"), places }))
    };
    for _ in 0..=200 {
        node.handle_stream(now, from, &question());
    }
    let given = answers(node, now);
    assert_eq!(given.len(), 201);
    assert!(given[..200].iter().all(|given| *given == (9, Answer::NotAttached)));
    assert_eq!(given[200], (9, Answer::Busy));
    let later = Now { mono: now.mono + Duration::from_secs(1), ..now };
    node.handle_stream(later, from, &question());
    assert_eq!(answers(node, later), [(9, Answer::NotAttached)]);
    let malformed = node.stats().malformed;
    let message = wire::decode(&question()).unwrap();
    node.handle_message(later, from, message, Way::Frame);
    assert_eq!(node.stats().malformed, malformed + 1);
    assert!(answers(node, later).is_empty());
}

/// Says of every range that it differs.
struct Liar<'n>(Two<'n>, AtomicU64);

impl Ask for Liar<'_> {
    type Error = ();
    async fn ask(&self, side: Side, question: Question) -> Result<Answer, ()> {
        let lie = |_: Rows| Rows::Sum(1000, self.1.fetch_add(1, Relaxed));
        match self.0.ask(side, question).await? {
            Answer::Held(rows) => Ok(Answer::Held(rows.into_iter().map(lie).collect())),
            Answer::Writers { mut writers, more } => {
                for sum in &mut writers {
                    (sum.last, sum.hash) = (u64::MAX, u64::from(side == Side::Left));
                }
                Ok(Answer::Writers { writers, more })
            }
            other => Ok(other),
        }
    }
}

#[test]
fn one_who_always_sees_differences_is_not_asked_for_ever() {
    let mut net = Net::new(2);
    net.attach_all();
    net.write(0, Lifetime::Owner, "k", Operation::Create, b"v").unwrap();
    net.run(Duration::from_secs(3));
    net.cut.extend([(0, 1), (1, 0)]);
    net.write(0, Lifetime::Owner, "k", Operation::Update, b"w").unwrap();
    let liar = Liar(Two::of(&net), AtomicU64::new(0));
    let settled_before = net.node(0).settled_before(net.now());
    let scope = Scope { only: Some(name("net")), settled_before };
    let diff = finished(compare(&liar, &scope)).unwrap();
    assert!(diff.networks[0].more);
    assert!(liar.0.asked.load(Relaxed) < 1100);
}
