//! What a sandbox of this host would be told of a name.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
};
use netdb::{MemberInfo, NodeId};
use netnode_api::{
    dns::{DnsAnswer, DnsNetwork, DnsPart, DnsQuery},
    error::{Code, Problem},
    node::Who,
    rows::RowState,
};
use netnode_dns::LookupError;
use netnode_plan::dns::{Part, Standing};

use super::{Control, problem::Refused};
use crate::dns::{Explained, SeenNetwork};

/// What is asked for if nothing is said.
const DEFAULT_KIND: &str = "A";

pub(super) async fn query(
    State(control): State<Arc<Control>>,
    query: Result<Query<DnsQuery>, QueryRejection>,
) -> Result<Json<DnsAnswer>, Refused> {
    let Query(DnsQuery { endpoint, name, kind }) = query?;
    let networks = control.endpoints.networks_beside(&endpoint)?;
    let kind = kind.as_deref().unwrap_or(DEFAULT_KIND);
    let explained = control.dns.explain(networks, &name, kind).await.map_err(|error| {
        let what = match error {
            LookupError::Name => format!("{name:?} is not a name of DNS"),
            LookupError::Kind => format!("{kind:?} is not a type of record, as A, AAAA, PTR"),
        };
        Problem::new(Code::Invalid, what)
    })?;
    let members = control.db.members().await?;
    Ok(Json(shown(explained, &members)))
}

fn shown(explained: Explained, members: &[MemberInfo]) -> DnsAnswer {
    let Explained { answered, networks, parts, resolvers } = explained;
    let network = |SeenNetwork { name, synced, internal }| DnsNetwork { name, synced, internal };
    let who = |node: NodeId| {
        let member = members.iter().find(|info| info.member.id == node);
        Who {
            id: node.to_string(),
            name: member.and_then(|info| Some(info.name.as_ref()?.to_string())),
        }
    };
    DnsAnswer {
        status: answered.status,
        ours: answered.authoritative,
        records: answered.records,
        networks: networks.into_iter().map(network).collect(),
        parts: parts.into_iter().map(|(network, part)| shown_part(network, part, who)).collect(),
        resolvers: resolvers.iter().map(ToString::to_string).collect(),
    }
}

fn shown_part(network: String, part: Part, who: impl Fn(NodeId) -> Who) -> DnsPart {
    match part {
        Part::Service { name, id, vips, has_name } => {
            let why = match (has_name, vips.is_empty()) {
                (false, _) => Some(format!("an older service has the name, not {}", id.short())),
                (true, true) => Some("its name comes to its backends".to_owned()),
                (true, false) => None,
            };
            DnsPart {
                network,
                kind: "service".to_owned(),
                name: name.to_string(),
                addresses: vips.iter().map(ToString::to_string).collect(),
                node: None,
                node_state: None,
                told: why.is_none(),
                why,
            }
        }
        Part::Endpoint { name, node, addresses, standing, serves, told } => {
            let why = match standing {
                _ if told => None,
                Standing::Failed => Some("its node failed"),
                _ if serves => Some(
                    "the service has an address of its own, or the endpoint is draining, disabled, \
                     unhealthy or weighs nothing",
                ),
                _ => Some("the service of that name has an address of its own"),
            };
            DnsPart {
                network,
                kind: "endpoint".to_owned(),
                name: name.to_string(),
                addresses: addresses.iter().map(ToString::to_string).collect(),
                node: Some(who(node)),
                node_state: Some(match standing {
                    Standing::Up => RowState::Alive,
                    Standing::Suspected => RowState::Suspect,
                    Standing::Failed => RowState::Failed,
                }),
                told,
                why: why.map(str::to_owned),
            }
        }
    }
}
