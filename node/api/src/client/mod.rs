//! A small client: one connection per request, every answer bounded in size and time.

mod lines;
mod load;
mod streams;

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Either, Full, Limited, channel::Channel};
use hyper::{Method, Request, Response, StatusCode, body::Incoming, header};
use hyper_util::rt::TokioIo;
use serde::{Serialize, de::DeserializeOwned};
use tokio::{net::UnixStream, time::timeout};

pub use load::Loader;
pub use streams::{HEARTBEAT, RowStream, WatchStream};

use crate::{
    debug::Debug,
    diff::{Diff, DiffQuery},
    dns::DnsAnswer,
    endpoints::{AttachEndpoint, ChangeBackend, Endpoint},
    error::{ErrorBody, Problem},
    ipam::{Reclaim, Takeovers, Usage},
    keys::{Keys, RotateToken, Token},
    lb::VirtualAddress,
    networks::{CreateNetwork, Network, NetworkDetail},
    node::{Left, Member, Reloaded, Scope, Scopes, Stats, Status},
    paths,
    rows::{Receipt, RowQuery, Table, Write},
    services::{CreateService, Service, ServiceDetail, UpdateService},
    settings::Setting,
};

/// The most bytes of an answer that comes as one JSON document.
pub const MAX_ANSWER: usize = 16 << 20;

/// How long a request may take, unless told otherwise. Leaving and durable writes take the longest.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

type RequestBody = Either<Full<Bytes>, Channel<Bytes, io::Error>>;

/// Why a request has no good answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody answers on the socket.
    #[error("netnode can't be reached at {}: {source}", socket.display())]
    Unreachable {
        /// The socket.
        socket: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
    /// The connection broke; whether the request took effect is not known.
    #[error("the connection to netnode broke: {0}")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// No answer in time; whether the request took effect is not known.
    #[error("netnode did not answer within {0:?}")]
    TimedOut(Duration),
    /// The daemon refused, and says why.
    #[error("{0}")]
    Refused(Problem),
    /// The answer is not what this version of the client understands.
    #[error("netnode answered something that this client does not understand: {0}")]
    NotUnderstood(String),
}

impl ClientError {
    fn broken(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Broken(Box::new(error))
    }

    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unreachable { source, .. } => Some(match source.kind() {
                io::ErrorKind::PermissionDenied => {
                    "become root or a member of the socket's group (netnode setting socket_group)"
                        .to_owned()
                }
                _ => format!(
                    "is netnode running? Another socket is named by --socket or {}",
                    crate::SOCKET_VARIABLE
                ),
            }),
            Self::Refused(problem) => problem.hint.clone(),
            Self::NotUnderstood(_) => {
                Some("use the netdbctl of the same version as netnode".to_owned())
            }
            Self::Broken(_) | Self::TimedOut(_) => None,
        }
    }
}

/// Asks one netnode. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Client {
    socket: PathBuf,
    timeout: Duration,
}

impl Client {
    /// A client of the netnode that listens on `socket`.
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self { socket: socket.into(), timeout: DEFAULT_TIMEOUT }
    }

    /// The same with another limit on how long a request may take.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// The node and its cluster in short.
    pub async fn status(&self) -> Result<Status, ClientError> {
        self.get(paths::STATUS).await
    }

    /// Every member known.
    pub async fn members(&self) -> Result<Vec<Member>, ClientError> {
        self.get(paths::MEMBERS).await
    }

    /// All networks.
    pub async fn networks(&self) -> Result<Vec<Network>, ClientError> {
        self.get(paths::NETWORKS).await
    }

    /// Creates a network for the whole cluster.
    pub async fn create_network(&self, wanted: &CreateNetwork) -> Result<Network, ClientError> {
        self.call(Method::POST, paths::NETWORKS, json(wanted)?).await
    }

    /// A network, by its name, its id or the start of that.
    pub async fn network(&self, network: &str) -> Result<NetworkDetail, ClientError> {
        self.get(&paths::of_network(paths::NETWORK, network)).await
    }

    /// Removes a network for the whole cluster.
    pub async fn remove_network(&self, network: &str) -> Result<(), ClientError> {
        self.tell(Method::DELETE, &paths::of_network(paths::NETWORK, network)).await
    }

    /// The endpoints of this host.
    pub async fn endpoints(&self) -> Result<Vec<Endpoint>, ClientError> {
        self.get(paths::ENDPOINTS).await
    }

    /// Plugs a sandbox of this host into a network.
    pub async fn attach_endpoint(&self, wanted: &AttachEndpoint) -> Result<Endpoint, ClientError> {
        self.call(Method::POST, paths::ENDPOINTS, json(wanted)?).await
    }

    /// Plugs an endpoint of this host out of its network.
    pub async fn detach_endpoint(&self, network: &str, name: &str) -> Result<(), ClientError> {
        self.tell(Method::DELETE, &paths::of_endpoint(network, name)).await
    }

    /// Changes what an endpoint of this host is to its service.
    pub async fn change_backend(
        &self,
        endpoint: &str,
        wanted: &ChangeBackend,
    ) -> Result<Endpoint, ClientError> {
        self.call(Method::POST, &paths::of_backend(endpoint), json(wanted)?).await
    }

    /// All services.
    pub async fn services(&self) -> Result<Vec<Service>, ClientError> {
        self.get(paths::SERVICES).await
    }

    /// Creates a service.
    pub async fn create_service(&self, wanted: &CreateService) -> Result<Service, ClientError> {
        self.call(Method::POST, paths::SERVICES, json(wanted)?).await
    }

    /// A service and who serves it, by its name, its id or the start of that.
    pub async fn service(&self, service: &str) -> Result<ServiceDetail, ClientError> {
        self.get(&paths::of_service(service)).await
    }

    /// Changes a service.
    pub async fn update_service(
        &self,
        service: &str,
        wanted: &UpdateService,
    ) -> Result<Service, ClientError> {
        self.call(Method::POST, &paths::of_service(service), json(wanted)?).await
    }

    /// Removes a service; its endpoints go on.
    pub async fn remove_service(&self, service: &str) -> Result<(), ClientError> {
        self.tell(Method::DELETE, &paths::of_service(service)).await
    }

    /// How full subnets and pools are: of one network, or of everything.
    pub async fn ipam_usage(&self, network: Option<&str>) -> Result<Usage, ClientError> {
        let query: Vec<_> = network.map(|network| ("network", network)).into_iter().collect();
        self.get(&paths::with_query(paths::IPAM_USAGE, &query)).await
    }

    /// What the sandbox of an endpoint of this host would be told of a name.
    pub async fn dns_query(
        &self,
        endpoint: &str,
        name: &str,
        kind: &str,
    ) -> Result<DnsAnswer, ClientError> {
        let query = [("endpoint", endpoint), ("name", name), ("type", kind)];
        self.get(&paths::with_query(paths::DNS_QUERY, &query)).await
    }

    /// Who gets what is for virtual addresses: of one service, of what the sandbox of an endpoint of this host
    /// reaches, or of all.
    pub async fn lb(
        &self,
        endpoint: Option<&str>,
        service: Option<&str>,
    ) -> Result<Vec<VirtualAddress>, ClientError> {
        let endpoint = endpoint.map(|endpoint| ("endpoint", endpoint));
        let service = service.map(|service| ("service", service));
        let query: Vec<_> = endpoint.into_iter().chain(service).collect();
        self.get(&paths::with_query(paths::LB, &query)).await
    }

    /// Takes over what nodes held that are down for good, or says what that would be.
    pub async fn reclaim(&self, wanted: &Reclaim) -> Result<Takeovers, ClientError> {
        self.call(Method::POST, paths::IPAM_RECLAIM, json(wanted)?).await
    }

    /// What waits for its heirs.
    pub async fn takeovers(&self) -> Result<Takeovers, ClientError> {
        self.get(paths::IPAM_TAKEOVERS).await
    }

    /// Attached networks and the ones heard of.
    pub async fn scopes(&self) -> Result<Scopes, ClientError> {
        self.get(paths::SCOPES).await
    }

    /// The live members attached to a network, the answering node included.
    pub async fn peers(&self, network: &str) -> Result<Vec<Member>, ClientError> {
        self.get(&paths::of_network(paths::PEERS, network)).await
    }

    /// Attaches the node to a network.
    pub async fn attach(&self, network: &str) -> Result<Scope, ClientError> {
        let path = paths::of_network(paths::SCOPE, network);
        self.call(Method::PUT, &path, Full::default()).await
    }

    /// Detaches it again; its rows there go.
    pub async fn detach(&self, network: &str) -> Result<(), ClientError> {
        let path = paths::of_network(paths::SCOPE, network);
        self.tell(Method::DELETE, &path).await
    }

    /// Says that this node's rows in a network are whole again after a restart.
    pub async fn mark_complete(&self, network: &str) -> Result<(), ClientError> {
        self.tell(Method::POST, &paths::of_network(paths::COMPLETE, network)).await
    }

    /// The tables that have rows, summed up.
    pub async fn tables(&self, query: &RowQuery) -> Result<Vec<Table>, ClientError> {
        self.get(&paths::with_query(paths::TABLES, &query.parameters())).await
    }

    /// The rows that a query selects, one by one, sorted by network, table, key and owner.
    pub async fn rows(&self, query: &RowQuery) -> Result<RowStream, ClientError> {
        let path = paths::with_query(paths::ROWS, &query.parameters());
        Ok(RowStream::new(self.open(&path).await?))
    }

    /// The rows that a query selects, then every change to them.
    pub async fn watch(&self, query: &RowQuery) -> Result<WatchStream, ClientError> {
        let path = paths::with_query(paths::WATCH, &query.parameters());
        Ok(WatchStream::new(self.open(&path).await?))
    }

    /// Writes one row; answered when the write is safe (rows of `Cluster` lifetime: on disk).
    pub async fn write(&self, write: &Write) -> Result<Receipt, ClientError> {
        self.call(Method::POST, paths::ROWS, json(write)?).await
    }

    /// Keys and rotation.
    pub async fn keys(&self) -> Result<Keys, ClientError> {
        self.get(paths::KEYS).await
    }

    /// Starts a key rotation.
    pub async fn rotate_keys(&self) -> Result<Keys, ClientError> {
        self.call(Method::POST, paths::ROTATE_KEYS, Full::default()).await
    }

    /// The join token: a secret.
    pub async fn token(&self) -> Result<Token, ClientError> {
        self.get(paths::TOKEN).await
    }

    /// A new join token; the old one ends at once.
    pub async fn rotate_token(&self, request: &RotateToken) -> Result<Token, ClientError> {
        self.call(Method::POST, paths::ROTATE_TOKEN, json(request)?).await
    }

    /// Counters since start.
    pub async fn stats(&self) -> Result<Stats, ClientError> {
        self.get(paths::STATS).await
    }

    /// The node's figures in Prometheus' text format 0.0.4.
    pub async fn metrics(&self) -> Result<String, ClientError> {
        self.text(paths::METRICS).await
    }

    /// In what two members differ.
    pub async fn diff(&self, query: &DiffQuery) -> Result<Diff, ClientError> {
        self.get(&paths::with_query(paths::DIFF, &query.parameters())).await
    }

    /// What goes on inside the node.
    pub async fn debug(&self) -> Result<Debug, ClientError> {
        self.get(paths::DEBUG).await
    }

    /// Every setting: what it is, and who said so.
    pub async fn settings(&self) -> Result<Vec<Setting>, ClientError> {
        self.get(paths::SETTINGS).await
    }

    /// The description of this API (`OpenAPI` 3.1), as the node serves it.
    pub async fn openapi(&self) -> Result<String, ClientError> {
        self.text(paths::OPENAPI).await
    }

    /// Takes new settings where they can change live.
    pub async fn reload(&self) -> Result<Reloaded, ClientError> {
        self.call(Method::POST, paths::RELOAD, Full::default()).await
    }

    /// Hands over what the node holds, and leaves the cluster for good; netnode ends.
    pub async fn leave(&self) -> Result<Left, ClientError> {
        self.call(Method::POST, paths::LEAVE, Full::default()).await
    }

    async fn text(&self, path: &str) -> Result<String, ClientError> {
        let body = self.exchange(Method::GET, path, Full::default()).await?;
        String::from_utf8(body.into())
            .map_err(|error| ClientError::NotUnderstood(error.to_string()))
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.call(Method::GET, path, Full::default()).await
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Full<Bytes>,
    ) -> Result<T, ClientError> {
        parse(&self.exchange(method, path, body).await?)
    }

    /// The whole body of a good answer.
    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Full<Bytes>,
    ) -> Result<Bytes, ClientError> {
        let exchange = async {
            let response = self.request(method, path, Either::Left(body)).await?;
            collect(good(response).await?).await
        };
        timeout(self.timeout, exchange).await.map_err(|_| ClientError::TimedOut(self.timeout))?
    }

    async fn tell(&self, method: Method, path: &str) -> Result<(), ClientError> {
        let exchange = async {
            let body = Either::Left(Full::default());
            good(self.request(method, path, body).await?).await.map(|_| ())
        };
        timeout(self.timeout, exchange).await.map_err(|_| ClientError::TimedOut(self.timeout))?
    }

    /// The body of a good answer, to be read bit by bit.
    async fn open(&self, path: &str) -> Result<Incoming, ClientError> {
        let exchange = async {
            let body = Either::Left(Full::default());
            good(self.request(Method::GET, path, body).await?).await
        };
        timeout(self.timeout, exchange).await.map_err(|_| ClientError::TimedOut(self.timeout))?
    }

    async fn request(
        &self,
        method: Method,
        path: &str,
        body: RequestBody,
    ) -> Result<Response<Incoming>, ClientError> {
        let unreachable = |source| ClientError::Unreachable { socket: self.socket.clone(), source };
        let stream = UnixStream::connect(&self.socket).await.map_err(unreachable)?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(ClientError::broken)?;
        // It ends with the answer's body; what goes wrong on it is told there.
        tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "netnode")
            .header(header::CONTENT_TYPE, "application/json")
            .body(body)
            .map_err(ClientError::broken)?;
        sender.send_request(request).await.map_err(ClientError::broken)
    }
}

fn json(body: &impl Serialize) -> Result<Full<Bytes>, ClientError> {
    serde_json::to_vec(body)
        .map(|bytes| Full::new(bytes.into()))
        .map_err(|error| ClientError::Broken(error.into()))
}

async fn collect(body: Incoming) -> Result<Bytes, ClientError> {
    let collected = Limited::new(body, MAX_ANSWER).collect().await;
    collected.map(http_body_util::Collected::to_bytes).map_err(ClientError::Broken)
}

/// The body of a success; anything else as an error.
async fn good(response: Response<Incoming>) -> Result<Incoming, ClientError> {
    let status = response.status();
    if status.is_success() {
        return Ok(response.into_body());
    }
    let body = collect(response.into_body()).await?;
    Err(match serde_json::from_slice::<ErrorBody>(&body) {
        Ok(ErrorBody { error }) => ClientError::Refused(error),
        Err(_) => ClientError::NotUnderstood(describe(status, &body)),
    })
}

fn describe(status: StatusCode, body: &[u8]) -> String {
    let start: String = String::from_utf8_lossy(body).chars().take(200).collect();
    format!("status {status}, {start:?}")
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ClientError> {
    serde_json::from_slice(body).map_err(|error| ClientError::NotUnderstood(error.to_string()))
}

#[cfg(test)]
mod tests;
