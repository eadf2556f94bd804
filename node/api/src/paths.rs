//! Where each request goes: the paths that the daemon serves and the client asks for.

/// `GET`: [`Status`](crate::node::Status).
pub const STATUS: &str = "/v1/status";
/// `GET`: a list of [`Member`](crate::node::Member).
pub const MEMBERS: &str = "/v1/members";
/// `GET`: a list of [`Network`](crate::networks::Network). `POST` of a
/// [`CreateNetwork`](crate::networks::CreateNetwork): the [`Network`](crate::networks::Network).
pub const NETWORKS: &str = "/v1/networks";
/// `GET`: [`NetworkDetail`](crate::networks::NetworkDetail). `DELETE` removes it.
pub const NETWORK: &str = "/v1/networks/{network}";
/// `GET`: a list of [`Endpoint`](crate::endpoints::Endpoint), those of this host. `POST` of an
/// [`AttachEndpoint`](crate::endpoints::AttachEndpoint): the [`Endpoint`](crate::endpoints::Endpoint).
pub const ENDPOINTS: &str = "/v1/endpoints";
/// `DELETE` detaches an endpoint of this host.
pub const ENDPOINT: &str = "/v1/networks/{network}/endpoints/{endpoint}";
/// `POST` of a [`ChangeBackend`](crate::endpoints::ChangeBackend): the
/// [`Endpoint`](crate::endpoints::Endpoint), one of this host by its name, its id or the start of that.
pub const BACKEND: &str = "/v1/endpoints/{endpoint}/backend";
/// `GET`: a list of [`Service`](crate::services::Service). `POST` of a
/// [`CreateService`](crate::services::CreateService): the [`Service`](crate::services::Service).
pub const SERVICES: &str = "/v1/services";
/// `GET`: [`ServiceDetail`](crate::services::ServiceDetail). `POST` of an
/// [`UpdateService`](crate::services::UpdateService): the [`Service`](crate::services::Service). `DELETE`
/// removes it.
pub const SERVICE: &str = "/v1/services/{service}";
/// `GET` with a [`DnsQuery`](crate::dns::DnsQuery): the [`DnsAnswer`](crate::dns::DnsAnswer).
pub const DNS_QUERY: &str = "/v1/dns/query";
/// `GET` with an [`LbQuery`](crate::lb::LbQuery): [`VirtualAddress`](crate::lb::VirtualAddress)es.
pub const LB: &str = "/v1/lb";
/// `GET` with a [`UsageQuery`](crate::ipam::UsageQuery): [`Usage`](crate::ipam::Usage).
pub const IPAM_USAGE: &str = "/v1/ipam/usage";
/// `POST` of a [`Reclaim`](crate::ipam::Reclaim): the [`Takeovers`](crate::ipam::Takeovers) that come of it.
pub const IPAM_RECLAIM: &str = "/v1/ipam/reclaim";
/// `GET`: the [`Takeovers`](crate::ipam::Takeovers) that are not over yet.
pub const IPAM_TAKEOVERS: &str = "/v1/ipam/takeovers";
/// `GET`: [`Scopes`](crate::node::Scopes).
pub const SCOPES: &str = "/v1/scopes";
/// `PUT` attaches, `DELETE` detaches.
pub const SCOPE: &str = "/v1/scopes/{network}";
/// `GET`: a list of [`Member`](crate::node::Member).
pub const PEERS: &str = "/v1/scopes/{network}/peers";
/// `POST`: this node's rows are published again; what it did not repeat goes.
pub const COMPLETE: &str = "/v1/scopes/{network}/complete";
/// `GET` with a [`RowQuery`](crate::rows::RowQuery): a list of [`Table`](crate::rows::Table).
pub const TABLES: &str = "/v1/tables";
/// `GET` with a [`RowQuery`](crate::rows::RowQuery): one [`Row`](crate::rows::Row) per line.
/// `POST` of a [`Write`](crate::rows::Write): [`Receipt`](crate::rows::Receipt).
pub const ROWS: &str = "/v1/rows";
/// `POST` with a [`Load`](crate::rows::Load) as the query and one
/// [`LoadRow`](crate::rows::LoadRow) per line: [`Loaded`](crate::rows::Loaded).
pub const LOAD: &str = "/v1/rows/load";
/// `GET` with a [`RowQuery`](crate::rows::RowQuery): server-sent
/// [`WatchEvent`](crate::rows::WatchEvent)s.
pub const WATCH: &str = "/v1/watch";
/// `GET`: [`Keys`](crate::keys::Keys).
pub const KEYS: &str = "/v1/keys";
/// `POST`: starts a rotation, [`Keys`](crate::keys::Keys).
pub const ROTATE_KEYS: &str = "/v1/keys/rotate";
/// `GET`: [`Token`](crate::keys::Token).
pub const TOKEN: &str = "/v1/token";
/// `POST` of a [`RotateToken`](crate::keys::RotateToken): [`Token`](crate::keys::Token).
pub const ROTATE_TOKEN: &str = "/v1/token/rotate";
/// `GET`: [`Stats`](crate::node::Stats).
pub const STATS: &str = "/v1/stats";
/// `GET`: the same and more in Prometheus' text format 0.0.4.
pub const METRICS: &str = "/v1/metrics";
/// `POST`: [`Reloaded`](crate::node::Reloaded).
pub const RELOAD: &str = "/v1/reload";
/// `POST`: leaves the cluster for good, [`Left`](crate::node::Left), then netnode ends.
pub const LEAVE: &str = "/v1/leave";

/// `GET` with a [`DiffQuery`](crate::diff::DiffQuery): [`Diff`](crate::diff::Diff).
pub const DIFF: &str = "/v1/diff";
/// `GET`: [`Debug`](crate::debug::Debug).
pub const DEBUG: &str = "/v1/debug";
/// `GET`: a list of [`Setting`](crate::settings::Setting).
pub const SETTINGS: &str = "/v1/settings";
/// `GET`: the description of this API, `OpenAPI` 3.1.
pub const OPENAPI: &str = "/v1/openapi.json";

/// `path` about one network, its name put into the place that waits for it.
pub fn of_network(path: &str, network: &str) -> String {
    path.replace("{network}", &percent_encode(network))
}

/// The path of one endpoint on one network.
pub fn of_endpoint(network: &str, endpoint: &str) -> String {
    of_network(ENDPOINT, network).replace("{endpoint}", &percent_encode(endpoint))
}

/// The path of what an endpoint of this host is to its service.
pub fn of_backend(endpoint: &str) -> String {
    BACKEND.replace("{endpoint}", &percent_encode(endpoint))
}

/// The path of one service.
pub fn of_service(service: &str) -> String {
    SERVICE.replace("{service}", &percent_encode(service))
}

/// `path` with these parameters behind it.
pub fn with_query(path: &str, parameters: &[(&str, &str)]) -> String {
    let query: Vec<String> = parameters
        .iter()
        .map(|(name, value)| format!("{}={}", percent_encode(name), percent_encode(value)))
        .collect();
    if query.is_empty() { path.to_owned() } else { format!("{path}?{}", query.join("&")) }
}

/// Everything but unreserved characters (RFC 3986 §2.3) as `%XX`.
fn percent_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.push_str(&data_encoding::HEXUPPER.encode(&[byte]));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_change_the_path_is_escaped() {
        assert_eq!(of_network(PEERS, "a/../b"), "/v1/scopes/a%2F..%2Fb/peers");
        assert_eq!(with_query(ROWS, &[]), "/v1/rows");
        assert_eq!(of_backend("a/b"), "/v1/endpoints/a%2Fb/backend");
        assert_eq!(of_service("a b"), "/v1/services/a%20b");
        let query = with_query(ROWS, &[("key", "a&b=ü"), ("table", "t")]);
        assert_eq!(query, "/v1/rows?key=a%26b%3D%C3%BC&table=t");
    }
}
