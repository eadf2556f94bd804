//! Forwarding over real sockets of the loopback, to upstreams that are honest, lie, are silent, slow or cut.

mod upstream;

use std::{
    net::{SocketAddr, UdpSocket},
    sync::Arc,
    time::Duration,
};

use futures_util::future::join_all;
use hickory_proto::{
    op::{Edns, Message, MessageType, OpCode, Query, ResponseCode},
    rr::{Name, RData, Record, RecordType, rdata::SOA},
};
use tokio::time::timeout;

use self::upstream::Upstream;
use super::{Forwarder, Settings};
use crate::{
    Client,
    limits::{MAX_FLIGHTS, MAX_STRAYS, MAX_TRIES, MAX_WAITING, RESERVED},
    names::fake::Fake,
    wire::Via,
};

/// Longer than anything here takes.
const LIMIT: Duration = Duration::from_secs(20);

fn forwarder(upstreams: &[&Upstream]) -> Forwarder {
    with_patience(upstreams, Duration::from_secs(5))
}

/// With short patience for upstreams that are silent on purpose.
fn with_patience(upstreams: &[&Upstream], patience: Duration) -> Forwarder {
    let upstreams = upstreams.iter().map(|upstream| upstream.address).collect();
    Forwarder::new(Settings { upstreams, patience, deadline: patience * 4 })
}

const SHORT: Duration = Duration::from_millis(200);

fn client(forwarder: &Forwarder) -> Client {
    Client::new(Fake::forwarding(), forwarder.clone())
}

fn question(name: &str) -> Message {
    let mut message = Message::new(77, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), RecordType::A));
    message
}

async fn tell(client: &Client, question: &Message, via: Via) -> (Message, usize) {
    let bytes = question.to_vec().unwrap();
    let answer = timeout(LIMIT, client.answer(&bytes, via)).await.unwrap().unwrap();
    (Message::from_vec(&answer).unwrap(), answer.len())
}

async fn ask(client: &Client, name: &str) -> Message {
    tell(client, &question(name), Via::Udp).await.0
}

fn addresses(message: &Message) -> Vec<String> {
    message.answers.iter().map(|record| record.data.to_string()).collect()
}

fn code(message: &Message) -> ResponseCode {
    message.metadata.response_code
}

#[tokio::test]
async fn an_answer_passes_and_is_kept() {
    let upstream = Upstream::honest().await;
    let forwarder = forwarder(&[&upstream]);
    let client = client(&forwarder);
    for name in ["a.Example.", "A.example.", "a.example."] {
        let told = ask(&client, name).await;
        assert_eq!(told.metadata.id, 77);
        assert_eq!(told.queries[0].name.to_ascii(), name);
        assert_eq!(addresses(&told), ["192.0.2.1"]);
        assert!(told.metadata.recursion_available && !told.metadata.authoritative);
    }
    assert_eq!(upstream.count(), 1);
    let stats = forwarder.stats();
    assert_eq!((stats.forwarded, stats.answered_from_cache), (1, 2));
    forwarder.set_upstreams(vec![upstream.address]);
    ask(&client, "a.example.").await;
    assert_eq!(upstream.count(), 1, "the same upstreams leave the cache alone");
    let other = Upstream::honest().await;
    forwarder.set_upstreams(vec![other.address]);
    ask(&client, "a.example.").await;
    assert_eq!(other.count(), 1);
}

#[tokio::test]
async fn what_is_kept_counts_down_and_ends() {
    let upstream = Upstream::honest().await;
    let client = client(&forwarder(&[&upstream]));
    let ttl = |told: Message| told.answers[0].ttl;
    let first = ttl(ask(&client, "a.example.").await);
    let half = first / 2;
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(half.into())).await;
    let second = ttl(ask(&client, "a.example.").await);
    assert!(second > 0 && second <= first - half, "{second} of {first}");
    assert_eq!(upstream.count(), 1);
    tokio::time::advance(Duration::from_secs(second.into())).await;
    tokio::time::resume();
    assert_eq!(ttl(ask(&client, "a.example.").await), first);
    assert_eq!(upstream.count(), 2);
}

#[tokio::test]
async fn the_clients_edns_is_not_passed_on_blindly() {
    let upstream = Upstream::start(|heard| {
        let edns = heard.message.edns.as_ref().unwrap();
        let size = edns.max_payload();
        assert!(edns.options().as_ref().is_empty());
        // The size and the bit are told by the answer.
        let count = if edns.flags().dnssec_ok { 2 } else { 1 };
        assert_eq!(size, 1_232);
        vec![heard.addresses(count).to_vec().unwrap()]
    })
    .await;
    let client = client(&forwarder(&[&upstream]));
    let mut asked = question("a.example.");
    assert_eq!(tell(&client, &asked, Via::Udp).await.0.answers.len(), 1);
    let mut edns = Edns::new();
    edns.set_max_payload(4_096).set_dnssec_ok(true);
    asked.set_edns(edns);
    let (told, _) = tell(&client, &asked, Via::Udp).await;
    assert_eq!(told.answers.len(), 2);
    assert_eq!(told.edns.unwrap().max_payload(), 1_232);
}

#[tokio::test]
async fn ports_and_numbers_differ_each_time() {
    let upstream = Upstream::honest().await;
    let client = client(&forwarder(&[&upstream]));
    for n in 0..32 {
        ask(&client, &format!("n{n}.example.")).await;
    }
    let (ids, ports) = upstream.variety();
    assert!(ids > 24 && ports > 24, "{ids} {ports}");
}

#[tokio::test]
async fn lies_are_passed_over() {
    let upstream = Upstream::start(|heard| {
        let honest = heard.addresses(1);
        let mut id = honest.clone();
        id.metadata.id ^= 1;
        let mut question = honest.clone();
        question.queries[0].name = Name::from_ascii("other.example.").unwrap();
        let mut endless = honest.to_vec().unwrap();
        let place = endless.len() - 16;
        assert_eq!(endless[place], 0xc0);
        endless[place + 1] = u8::try_from(place).unwrap();
        let [id, question, honest] = [id, question, honest].map(|lie| lie.to_vec().unwrap());
        let query = heard.message.to_vec().unwrap();
        vec![vec![0xff; 40], Vec::new(), id, question, endless, query, honest]
    })
    .await;
    let forwarder = forwarder(&[&upstream]);
    let told = ask(&client(&forwarder), "a.example.").await;
    assert_eq!(addresses(&told), ["192.0.2.1"]);
    assert_eq!(forwarder.stats().upstream_strays, 6);
}

#[tokio::test]
async fn who_only_lies_is_given_up() {
    let liar = Upstream::start(|_| vec![vec![0xff; 40]; MAX_STRAYS]).await;
    let honest = Upstream::honest().await;
    let forwarder = forwarder(&[&liar, &honest]);
    let told = ask(&client(&forwarder), "a.example.").await;
    assert_eq!(addresses(&told), ["192.0.2.1"]);
    assert_eq!((liar.count(), honest.count()), (1, 1));
}

#[tokio::test]
async fn what_comes_from_elsewhere_is_not_heard() {
    let forger = Upstream::start(|heard| {
        let elsewhere = UdpSocket::bind("127.0.0.1:0").unwrap();
        elsewhere.send_to(&heard.addresses(9).to_vec().unwrap(), heard.from).unwrap();
        Vec::new()
    })
    .await;
    let honest = Upstream::honest().await;
    let forwarder = with_patience(&[&forger, &honest], SHORT);
    let told = ask(&client(&forwarder), "a.example.").await;
    assert_eq!(addresses(&told), ["192.0.2.1"]);
    let stats = forwarder.stats();
    assert_eq!((stats.upstream_silent, stats.upstream_strays), (1, 0));
}

#[tokio::test]
async fn a_silent_upstream_costs_one_question_its_patience() {
    let (silent, honest) = (Upstream::silent().await, Upstream::honest().await);
    let forwarder = with_patience(&[&silent, &honest], SHORT);
    let client = client(&forwarder);
    for name in ["a.example.", "b.example.", "c.example."] {
        assert_eq!(addresses(&ask(&client, name).await), ["192.0.2.1"]);
    }
    assert_eq!((silent.count(), honest.count()), (1, 3));
    assert_eq!(forwarder.stats().upstream_silent, 1);
}

#[tokio::test]
async fn without_an_answer_the_client_is_told_so_and_why() {
    let silent = Upstream::silent().await;
    let forwarder = with_patience(&[&silent], SHORT);
    let mut asked = question("a.example.");
    asked.set_edns(Edns::new());
    let client = client(&forwarder);
    let bytes = asked.to_vec().unwrap();
    let answer = timeout(LIMIT, client.answer(&bytes, Via::Udp)).await.unwrap().unwrap();
    assert_eq!(code(&Message::from_vec(&answer).unwrap()), ResponseCode::ServFail);
    assert_eq!(answer[answer.len() - 2..], [0, 22]);
    let tries = silent.count();
    assert!((2..=MAX_TRIES).contains(&tries), "{tries}");
    ask(&client, "a.example.").await;
    assert_eq!(silent.count(), tries, "a failure is kept for a moment");
}

#[tokio::test]
async fn what_comes_late_is_not_heard() {
    let slow = Upstream::start(|heard| {
        // It answers the second try, and with it the first, whose socket is gone.
        if heard.number == 0 { Vec::new() } else { vec![heard.addresses(2).to_vec().unwrap()] }
    })
    .await;
    let forwarder = with_patience(&[&slow], SHORT);
    assert_eq!(ask(&client(&forwarder), "a.example.").await.answers.len(), 2);
    assert_eq!(slow.count(), 2);
}

#[tokio::test]
async fn a_closed_port_is_noticed_at_once() {
    let closed = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let honest = Upstream::honest().await;
    let forwarder = forwarder(&[&honest]);
    forwarder.set_upstreams(vec![closed, honest.address]);
    assert_eq!(addresses(&ask(&client(&forwarder), "a.example.").await), ["192.0.2.1"]);
    assert_eq!(forwarder.stats().upstream_unreachable, 1);
    forwarder.set_upstreams(Vec::new());
    assert_eq!(code(&ask(&client(&forwarder), "a.example.").await), ResponseCode::ServFail);
}

#[tokio::test]
async fn a_cut_answer_is_asked_for_over_tcp() {
    let upstream = Upstream::start(|heard| {
        let mut answer = heard.addresses(100);
        if heard.via == Via::Udp {
            answer.answers.truncate(3);
            answer.metadata.truncation = true;
        }
        vec![answer.to_vec().unwrap()]
    })
    .await;
    let forwarder = forwarder(&[&upstream]);
    let client = client(&forwarder);
    let asked = question("a.example.");
    let (whole, _) = tell(&client, &asked, Via::Tcp).await;
    assert!(whole.answers.len() == 100 && !whole.metadata.truncation);
    assert_eq!(upstream.count(), 2);
    assert_eq!(forwarder.stats().upstream_truncated, 1);
    let (cut, length) = tell(&client, &asked, Via::Udp).await;
    assert!(cut.metadata.truncation && length <= 512 && cut.answers.len() == 25);
    assert_eq!(upstream.count(), 2);
}

#[tokio::test]
async fn who_cuts_over_tcp_too_is_given_up() {
    let cutting = Upstream::start(|heard| {
        let mut answer = heard.empty();
        answer.metadata.truncation = true;
        vec![answer.to_vec().unwrap()]
    })
    .await;
    let honest = Upstream::honest().await;
    let forwarder = forwarder(&[&cutting, &honest]);
    assert_eq!(addresses(&ask(&client(&forwarder), "a.example.").await), ["192.0.2.1"]);
}

#[tokio::test]
async fn a_no_is_kept_if_it_says_for_how_long() {
    let upstream = Upstream::start(|heard| {
        let mut answer = heard.empty();
        answer.metadata.response_code = ResponseCode::NXDomain;
        if heard.name() == "with.example." {
            let soa = SOA::new(Name::root(), Name::root(), 1, 1, 1, 1, 30);
            answer.authorities.push(Record::from_rdata(Name::root(), 60, RData::SOA(soa)));
        }
        vec![answer.to_vec().unwrap()]
    })
    .await;
    let client = client(&forwarder(&[&upstream]));
    for (name, asked) in [("with.example.", 1), ("without.example.", 3)] {
        for _ in 0..2 {
            assert_eq!(code(&ask(&client, name).await), ResponseCode::NXDomain);
        }
        assert_eq!(upstream.count(), asked, "{name}");
    }
}

#[tokio::test]
async fn who_fails_is_passed_over_and_a_failure_of_all_is_told() {
    let failing = || {
        Upstream::start(|heard| {
            let mut answer = heard.empty();
            answer.metadata.response_code = ResponseCode::ServFail;
            vec![answer.to_vec().unwrap()]
        })
    };
    let (one, two, honest) = (failing().await, failing().await, Upstream::honest().await);
    let forwarder = forwarder(&[&one, &honest]);
    let client = client(&forwarder);
    assert_eq!(addresses(&ask(&client, "a.example.").await), ["192.0.2.1"]);
    forwarder.set_upstreams(vec![one.address, two.address]);
    for _ in 0..2 {
        assert_eq!(code(&ask(&client, "b.example.").await), ResponseCode::ServFail);
    }
    assert_eq!((one.count(), two.count()), (2, 1), "each once, and the failure is kept");
    assert_eq!(forwarder.stats().failed, 1);
}

#[tokio::test]
async fn who_does_not_know_edns_is_asked_without() {
    let old = Upstream::start(|heard| {
        if heard.message.edns.is_none() {
            return vec![heard.addresses(1).to_vec().unwrap()];
        }
        let mut answer = heard.empty();
        answer.metadata.response_code = ResponseCode::FormErr;
        vec![answer.to_vec().unwrap()]
    })
    .await;
    let told = ask(&client(&forwarder(&[&old])), "a.example.").await;
    assert_eq!(addresses(&told), ["192.0.2.1"]);
    assert_eq!(old.count(), 2);
}

#[tokio::test]
async fn what_many_ask_at_once_leaves_once() {
    let (ready, is_ready) = tokio::sync::watch::channel(false);
    let upstream = Upstream::start(move |heard| {
        // It answers when everybody has asked.
        if *is_ready.borrow() { vec![heard.addresses(1).to_vec().unwrap()] } else { Vec::new() }
    })
    .await;
    let forwarder = with_patience(&[&upstream], SHORT);
    let clients: Vec<Client> = (0..10).map(|_| client(&forwarder)).collect();
    let asking = clients.iter().flat_map(|client| (0..5).map(|_| ask(client, "a.example.")));
    let all_joined = async {
        while forwarder.stats().joined < 49 {
            tokio::task::yield_now().await;
        }
        ready.send_replace(true);
    };
    let (told, ()) = tokio::join!(join_all(asking), all_joined);
    assert!(told.iter().all(|told| addresses(told) == ["192.0.2.1"]));
    assert_eq!(told.len(), 50);
    assert_eq!((forwarder.stats().forwarded, forwarder.stats().joined), (50, 49));
    assert!(upstream.count() <= MAX_TRIES, "tries of one question");
}

/// Answers what does not begin with "slow".
async fn slow_for_some() -> Upstream {
    Upstream::start(|heard| {
        let slow = heard.name().starts_with("slow");
        if slow { Vec::new() } else { vec![heard.addresses(1).to_vec().unwrap()] }
    })
    .await
}

#[tokio::test]
async fn one_clients_flood_is_its_own_trouble() {
    let upstream = slow_for_some().await;
    let forwarder = forwarder(&[&upstream]);
    let (flooding, other) = (client(&forwarder), client(&forwarder));
    let many = 10 * MAX_WAITING;
    let names: Vec<String> = (0..many).map(|n| format!("slow{n}.example.")).collect();
    let flood = join_all(names.iter().map(|name| ask(&flooding, name)));
    let others = async {
        while forwarder.stats().refused_by_share < (many - MAX_WAITING) as u64 {
            tokio::task::yield_now().await;
        }
        for n in 0..20 {
            assert_eq!(addresses(&ask(&other, &format!("n{n}.example.")).await), ["192.0.2.1"]);
        }
    };
    tokio::select! {
        _ = flood => panic!("the flood waits for an upstream that is silent"),
        () = others => {}
    }
    let stats = forwarder.stats();
    assert_eq!(stats.refused_by_share, (many - MAX_WAITING) as u64);
    assert_eq!(stats.forwarded, (MAX_WAITING + 20) as u64);
}

#[tokio::test]
async fn a_flood_of_all_leaves_each_its_reserve() {
    let upstream = slow_for_some().await;
    let forwarder = forwarder(&[&upstream]);
    let floods = MAX_FLIGHTS / MAX_WAITING + 1;
    let asking: Vec<_> =
        (0..floods * MAX_WAITING).map(|n| (n, format!("slow{n}.example."))).collect();
    let clients: Vec<Client> = (0..floods).map(|_| client(&forwarder)).collect();
    let flood = join_all(asking.iter().map(|(n, name)| ask(&clients[n / MAX_WAITING], name)));
    let late = client(&forwarder);
    let others = async {
        // Of the last client only its reserve got through.
        while forwarder.stats().refused_by_load < (MAX_WAITING - RESERVED) as u64 {
            tokio::task::yield_now().await;
        }
        for n in 0..20 {
            assert_eq!(addresses(&ask(&late, &format!("n{n}.example.")).await), ["192.0.2.1"]);
        }
    };
    tokio::select! {
        _ = flood => panic!("the flood waits for an upstream that is silent"),
        () = others => {}
    }
    assert_eq!(super::lock(&forwarder.0.flights).len(), MAX_FLIGHTS + RESERVED);
}

#[tokio::test]
async fn a_flight_goes_on_when_who_began_it_is_gone() {
    let (ready, is_ready) = tokio::sync::watch::channel(false);
    let upstream = Upstream::start(move |heard| {
        if *is_ready.borrow() { vec![heard.addresses(1).to_vec().unwrap()] } else { Vec::new() }
    })
    .await;
    let forwarder = with_patience(&[&upstream], SHORT);
    let (first, second) = (client(&forwarder), client(&forwarder));
    let beginning = tokio::spawn(async move { ask(&first, "a.example.").await });
    while forwarder.stats().upstream_tries == 0 {
        tokio::task::yield_now().await;
    }
    let joining = ask(&second, "a.example.");
    let gone = async {
        while forwarder.stats().joined == 0 {
            tokio::task::yield_now().await;
        }
        beginning.abort();
        ready.send_replace(true);
    };
    let (told, ()) = tokio::join!(joining, gone);
    assert_eq!(addresses(&told), ["192.0.2.1"]);
}

#[tokio::test]
async fn a_forwarder_that_leads_to_itself_ends() {
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let ours: SocketAddr = udp.local_addr().unwrap();
    let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (patience, deadline) = (SHORT, SHORT * 4);
    let forwarder = Forwarder::new(Settings { upstreams: vec![ours], patience, deadline });
    let server = client(&forwarder);
    let task = tokio::spawn(async move { server.serve(udp, tcp).await });
    let client = client(&forwarder);
    let told = ask(&client, "a.example.").await;
    assert_eq!(code(&told), ResponseCode::ServFail);
    let stats = forwarder.stats();
    // Each try came back, joined the question under way, and asked nobody.
    assert!(stats.upstream_tries <= MAX_TRIES as u64, "{stats:?}");
    assert_eq!(stats.failed, 1);
    task.abort();
}

#[tokio::test]
async fn a_runtime_that_ends_takes_its_flights_along() {
    let upstream = Upstream::silent().await;
    let forwarder = forwarder(&[&upstream]);
    let asker = client(&forwarder);
    let other = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let bytes = question("a.example.").to_vec().unwrap();
        runtime.block_on(async {
            let _ = timeout(Duration::from_millis(50), asker.answer(&bytes, Via::Udp)).await;
        });
    });
    tokio::task::spawn_blocking(move || other.join().unwrap()).await.unwrap();
    assert!(super::lock(&forwarder.0.flights).is_empty());
    let _: Arc<_> = forwarder.0;
}
