//! The table of routes: what the server dispatches on and what describes it are one.
//!
//! A route that is not in this table does not exist.

use std::sync::Arc;

use axum::{
    handler::Handler,
    routing::{self, MethodRouter},
};
use netnode_api::{
    debug, diff as differences, dns as api_dns, endpoints as api_endpoints, ipam as api_ipam, keys,
    lb as api_lb, networks as api_networks, node, paths, rows as api_rows,
    services as api_services, settings as api_settings,
};
use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::{
    Control, admin, debug as inside, diff, dns, endpoints, ipam, lb, load, networks, openapi, rows,
    scopes, services, watch,
};

/// How a type is described.
pub(super) type Shape = fn(&mut SchemaGenerator) -> Schema;

/// What a request may bring.
#[derive(Clone, Copy)]
pub(super) enum Body {
    /// One JSON document.
    Json(Shape),
    /// One JSON document per line.
    Lines(Shape),
}

/// What a good answer is.
#[derive(Clone, Copy)]
pub(super) enum Answer {
    /// One JSON document.
    Json(Shape),
    /// One JSON document per line.
    Lines(Shape),
    /// Server-sent events, each with one JSON document.
    Events(Shape),
    /// A text of this type.
    Text(&'static str),
    /// No body.
    Nothing,
}

/// One thing that can be asked for.
pub(super) struct Route {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) name: &'static str,
    pub(super) summary: &'static str,
    pub(super) query: Option<Shape>,
    pub(super) body: Option<Body>,
    pub(super) answer: Answer,
    /// What does it.
    pub(super) does: MethodRouter<Arc<Control>>,
}

fn shape<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

impl Route {
    fn new<H: Handler<T, Arc<Control>>, T: 'static>(
        (method, filter): (&'static str, routing::MethodFilter),
        path: &'static str,
        (name, summary): (&'static str, &'static str),
        handler: H,
    ) -> Self {
        let does = routing::on(filter, handler);
        let (query, body, answer) = (None, None, Answer::Nothing);
        Self { method, path, name, summary, query, body, answer, does }
    }

    /// Parameters behind the path.
    fn query<T: JsonSchema>(self) -> Self {
        // In place, so that each of its fields becomes a parameter.
        Self { query: Some(T::json_schema), ..self }
    }

    fn body<T: JsonSchema>(self) -> Self {
        Self { body: Some(Body::Json(shape::<T>)), ..self }
    }

    fn body_lines<T: JsonSchema>(self) -> Self {
        Self { body: Some(Body::Lines(shape::<T>)), ..self }
    }

    fn json<T: JsonSchema>(self) -> Self {
        Self { answer: Answer::Json(shape::<T>), ..self }
    }

    fn lines<T: JsonSchema>(self) -> Self {
        Self { answer: Answer::Lines(shape::<T>), ..self }
    }

    fn events<T: JsonSchema>(self) -> Self {
        Self { answer: Answer::Events(shape::<T>), ..self }
    }

    fn text(self, kind: &'static str) -> Self {
        Self { answer: Answer::Text(kind), ..self }
    }
}

const GET: (&str, routing::MethodFilter) = ("get", routing::MethodFilter::GET);
const PUT: (&str, routing::MethodFilter) = ("put", routing::MethodFilter::PUT);
const POST: (&str, routing::MethodFilter) = ("post", routing::MethodFilter::POST);
const DELETE: (&str, routing::MethodFilter) = ("delete", routing::MethodFilter::DELETE);

/// Everything that can be asked for.
pub(super) fn routes() -> Vec<Route> {
    let mut all = of_the_node();
    all.extend(of_keys());
    all.extend(of_networks());
    all.extend(of_services());
    all.extend(of_dns());
    all.extend(of_lb());
    all.extend(of_endpoints());
    all.extend(of_ipam());
    all.extend(of_scopes());
    all.extend(of_rows());
    all
}

fn of_the_node() -> Vec<Route> {
    vec![
        Route::new(
            GET,
            paths::STATUS,
            ("status", "The node and its cluster in short"),
            admin::status,
        )
        .json::<node::Status>(),
        Route::new(
            GET,
            paths::MEMBERS,
            ("members", "Every member and how it is doing"),
            admin::members,
        )
        .json::<Vec<node::Member>>(),
        Route::new(GET, paths::STATS, ("stats", "Counters since start"), admin::stats)
            .json::<node::Stats>(),
        Route::new(
            GET,
            paths::METRICS,
            ("metrics", "The node's figures, for Prometheus"),
            admin::metrics,
        )
        .text(crate::metrics::CONTENT_TYPE),
        Route::new(GET, paths::DEBUG, ("debug", "What goes on inside the node"), inside::debug)
            .json::<debug::Debug>(),
        Route::new(GET, paths::DIFF, ("diff", "In what two members differ"), diff::diff)
            .query::<differences::DiffQuery>()
            .json::<differences::Diff>(),
        Route::new(
            GET,
            paths::SETTINGS,
            ("settings", "Every setting and who said it"),
            admin::settings,
        )
        .json::<Vec<api_settings::Setting>>(),
        Route::new(
            POST,
            paths::RELOAD,
            ("reload", "Take new settings where they can change live"),
            admin::reload,
        )
        .json::<node::Reloaded>(),
        Route::new(
            POST,
            paths::LEAVE,
            ("leave", "Leave the cluster for good; netnode ends"),
            admin::leave,
        )
        .json::<node::Left>(),
        Route::new(GET, paths::OPENAPI, ("openapi", "This description"), openapi::serve)
            .text("application/json"),
    ]
}

fn of_keys() -> Vec<Route> {
    vec![
        Route::new(
            GET,
            paths::KEYS,
            ("keys", "The keys and where the rotation stands"),
            admin::keys,
        )
        .json::<keys::Keys>(),
        Route::new(
            POST,
            paths::ROTATE_KEYS,
            ("rotateKeys", "Start a key rotation"),
            admin::rotate_keys,
        )
        .json::<keys::Keys>(),
        Route::new(GET, paths::TOKEN, ("token", "The join token: a secret"), admin::token)
            .json::<keys::Token>(),
        Route::new(
            POST,
            paths::ROTATE_TOKEN,
            ("rotateToken", "Make a new join token; the old one ends at once"),
            admin::rotate_token,
        )
        .body::<keys::RotateToken>()
        .json::<keys::Token>(),
    ]
}

fn of_networks() -> Vec<Route> {
    vec![
        Route::new(GET, paths::NETWORKS, ("networks", "All networks"), networks::list)
            .json::<Vec<api_networks::Network>>(),
        Route::new(
            POST,
            paths::NETWORKS,
            ("createNetwork", "Create a network for the whole cluster, or for this host"),
            networks::create,
        )
        .body::<api_networks::CreateNetwork>()
        .json::<api_networks::Network>(),
        Route::new(
            GET,
            paths::NETWORK,
            ("inspectNetwork", "A network by its name or id, and how its addresses are shared out"),
            networks::inspect,
        )
        .json::<api_networks::NetworkDetail>(),
        Route::new(DELETE, paths::NETWORK, ("removeNetwork", "Remove a network"), networks::remove),
    ]
}

fn of_services() -> Vec<Route> {
    vec![
        Route::new(GET, paths::SERVICES, ("services", "All services"), services::list)
            .json::<Vec<api_services::Service>>(),
        Route::new(
            POST,
            paths::SERVICES,
            ("createService", "Create a service on a network"),
            services::create,
        )
        .body::<api_services::CreateService>()
        .json::<api_services::Service>(),
        Route::new(
            GET,
            paths::SERVICE,
            ("inspectService", "A service by its name or id, and who serves it"),
            services::inspect,
        )
        .json::<api_services::ServiceDetail>(),
        Route::new(
            POST,
            paths::SERVICE,
            ("updateService", "Change how a service is reached, and its labels"),
            services::update,
        )
        .body::<api_services::UpdateService>()
        .json::<api_services::Service>(),
        Route::new(
            DELETE,
            paths::SERVICE,
            ("removeService", "Remove a service; its endpoints go on"),
            services::remove,
        ),
    ]
}

fn of_endpoints() -> Vec<Route> {
    vec![
        Route::new(
            GET,
            paths::ENDPOINTS,
            ("endpoints", "The endpoints of this host"),
            endpoints::list,
        )
        .json::<Vec<api_endpoints::Endpoint>>(),
        Route::new(
            POST,
            paths::ENDPOINTS,
            ("attachEndpoint", "Plug a sandbox of this host into a network"),
            endpoints::attach,
        )
        .body::<api_endpoints::AttachEndpoint>()
        .json::<api_endpoints::Endpoint>(),
        Route::new(
            DELETE,
            paths::ENDPOINT,
            ("detachEndpoint", "Plug an endpoint of this host out of its network"),
            endpoints::detach,
        ),
        Route::new(
            POST,
            paths::BACKEND,
            ("changeBackend", "Change what an endpoint of this host is to its service"),
            endpoints::serve,
        )
        .body::<api_endpoints::ChangeBackend>()
        .json::<api_endpoints::Endpoint>(),
    ]
}

fn of_dns() -> Vec<Route> {
    vec![
        Route::new(
            GET,
            paths::DNS_QUERY,
            ("dnsQuery", "What a sandbox of this host would be told of a name, and why"),
            dns::query,
        )
        .query::<api_dns::DnsQuery>()
        .json::<api_dns::DnsAnswer>(),
    ]
}

fn of_lb() -> Vec<Route> {
    vec![
        Route::new(
            GET,
            paths::LB,
            ("lb", "Who gets what is for virtual addresses, and why another does not"),
            lb::show,
        )
        .query::<api_lb::LbQuery>()
        .json::<Vec<api_lb::VirtualAddress>>(),
    ]
}

fn of_ipam() -> Vec<Route> {
    vec![
        Route::new(
            GET,
            paths::IPAM_USAGE,
            ("ipamUsage", "How full subnets and pools are, and who holds how much"),
            ipam::usage,
        )
        .query::<api_ipam::UsageQuery>()
        .json::<api_ipam::Usage>(),
        Route::new(
            POST,
            paths::IPAM_RECLAIM,
            ("ipamReclaim", "Take over what nodes held that are down for good"),
            ipam::reclaim,
        )
        .body::<api_ipam::Reclaim>()
        .json::<api_ipam::Takeovers>(),
        Route::new(
            GET,
            paths::IPAM_TAKEOVERS,
            ("ipamTakeovers", "What waits for those who are to take it over"),
            ipam::takeovers,
        )
        .json::<api_ipam::Takeovers>(),
    ]
}

fn of_scopes() -> Vec<Route> {
    vec![
        Route::new(
            GET,
            paths::SCOPES,
            ("scopes", "The attached networks, and the others in the cluster"),
            scopes::list,
        )
        .json::<node::Scopes>(),
        Route::new(PUT, paths::SCOPE, ("attach", "Attach this node to a network"), scopes::attach)
            .json::<node::Scope>(),
        Route::new(
            DELETE,
            paths::SCOPE,
            ("detach", "Detach this node from a network; its rows there go"),
            scopes::detach,
        ),
        Route::new(
            GET,
            paths::PEERS,
            ("peers", "The live members attached to a network"),
            scopes::peers,
        )
        .json::<Vec<node::Member>>(),
        Route::new(
            POST,
            paths::COMPLETE,
            ("markComplete", "Say that this node's rows in a network are whole again"),
            scopes::complete,
        ),
    ]
}

fn of_rows() -> Vec<Route> {
    vec![
        Route::new(
            GET,
            paths::TABLES,
            ("tables", "The tables that have rows, summed up"),
            rows::tables,
        )
        .query::<api_rows::RowQuery>()
        .json::<Vec<api_rows::Table>>(),
        Route::new(
            GET,
            paths::ROWS,
            ("rows", "Rows, by network, table, key and owner"),
            rows::list,
        )
        .query::<api_rows::RowQuery>()
        .lines::<api_rows::Row>(),
        Route::new(POST, paths::ROWS, ("write", "Write or delete one row"), rows::write)
            .body::<api_rows::Write>()
            .json::<api_rows::Receipt>(),
        Route::new(POST, paths::LOAD, ("load", "Write many rows"), load::load)
            .query::<api_rows::Load>()
            .body_lines::<api_rows::LoadRow>()
            .json::<api_rows::Loaded>(),
        Route::new(GET, paths::WATCH, ("watch", "Rows, then every change to them"), watch::watch)
            .query::<api_rows::RowQuery>()
            .events::<api_rows::WatchEvent>(),
    ]
}
