//! A web server in a sandbox that says its name and who asks, and clients that count what they are told.

use std::{
    collections::BTreeMap,
    io::{self, Read, Write},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow};
use axum::{Router, extract::ConnectInfo, http::header::CONNECTION};
use tokio::runtime;

use crate::namespaces::{by_hand, inside};

/// How long a client waits.
const PATIENCE: Duration = Duration::from_secs(1);
/// Between two requests of a steady client.
const PAUSE: Duration = Duration::from_millis(2);

/// Answers in a namespace at a port, until the process ends: `NAME ADDRESS`, the address being whose the connection is.
pub fn serve(namespace: &Path, port: u16, name: &str) -> Result<()> {
    let listener = inside(namespace, || TcpListener::bind(("::", port)))??;
    listener.set_nonblocking(true)?;
    let name = name.to_owned();
    let answer = move |ConnectInfo(from): ConnectInfo<SocketAddr>| {
        let text = format!("{name} {}\n", from.ip().to_canonical());
        // Each request is a connection of its own, and so a choice of its own.
        async move { ([(CONNECTION, "close")], text) }
    };
    let router = Router::new().fallback(answer).into_make_service_with_connect_info::<SocketAddr>();
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    thread::spawn(move || {
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            axum::serve(listener, router).await
        })
    });
    Ok(())
}

/// What was answered: how often by whom, and whom they saw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    /// Answers, by the name of who gave them.
    pub by: BTreeMap<String, usize>,
    /// Addresses that requests came from.
    pub seen: BTreeMap<IpAddr, usize>,
}

impl Answers {
    fn take(&mut self, line: &str) {
        let mut words = line.split_whitespace();
        if let (Some(name), Some(Ok(from))) = (words.next(), words.next().map(str::parse)) {
            *self.by.entry(name.to_owned()).or_default() += 1;
            *self.seen.entry(from).or_default() += 1;
        }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.by.values().sum()
    }

    /// How many each gave, as people read it.
    pub fn spread(&self) -> String {
        let each: Vec<String> = self.by.iter().map(|(name, n)| format!("{name} {n}")).collect();
        each.join(", ")
    }
}

/// So many requests by `curl`, each by a connection of its own, to a name that has this address.
pub fn curl(from: &Path, name: &str, at: SocketAddr, times: usize) -> Result<Answers> {
    let (port, address) = (at.port(), at.ip());
    let command = format!(
        "curl --silent --show-error --fail --max-time 60 --resolve {name}:{port}:{address} \
         http://{name}:{port}/?[1-{times}]"
    );
    let mut answers = Answers::default();
    by_hand(from, &command)?.lines().for_each(|line| answers.take(line));
    Ok(answers)
}

/// A client that asks all the time.
#[derive(Debug)]
pub struct Load {
    stop: Arc<AtomicBool>,
    client: JoinHandle<Result<Vec<Asked>>>,
}

/// One request.
#[derive(Clone, Debug)]
pub struct Asked {
    /// When it was made.
    pub at: Instant,
    /// Who answered, or why nobody did.
    pub answer: Result<String, String>,
}

impl Load {
    /// Asks from a namespace from now on.
    pub fn start(from: &Path, to: SocketAddr) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (from, stopped) = (from.to_owned(), Arc::clone(&stop));
        let client = thread::spawn(move || {
            inside(&from, || {
                let mut all = Vec::new();
                while !stopped.load(Ordering::Relaxed) {
                    let at = Instant::now();
                    let answer = ask(to).map_err(|error| error.to_string());
                    all.push(Asked { at, answer });
                    thread::sleep(PAUSE);
                }
                all
            })
        });
        Self { stop, client }
    }

    /// What became of all that was asked.
    pub fn end(self) -> Result<Vec<Asked>> {
        self.stop.store(true, Ordering::Relaxed);
        self.client.join().map_err(|_| anyhow!("the client was lost")).context("asking")?
    }
}

/// Who answers one request.
fn ask(to: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&to, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(
        format!("GET / HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\n\r\n").as_bytes(),
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let body = answer.split("\r\n\r\n").nth(1).filter(|_| answer.starts_with("HTTP/1.1 200 "));
    let name = body.and_then(|body| body.split_whitespace().next());
    name.map(str::to_owned).ok_or_else(|| io::Error::other(format!("{answer:?}")))
}
