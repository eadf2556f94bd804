//! Numbers given without a quorum: how full their spaces are, and taking over what lost hosts held.

use std::{collections::BTreeMap, fmt, sync::Arc};

use axum::{
    Json,
    body::Bytes,
    extract::{
        Query, State,
        rejection::{BytesRejection, QueryRejection},
    },
};
use netdb::{MemberState, NodeId, Stopped};
use netnode_api::{
    error::{Code, Problem},
    ipam::{
        NodeUsage, Reclaim, SpaceKind, SpaceUsage, Takeover as Shown, Takeovers, Usage, UsageQuery,
    },
};
use netnode_plan::{
    records::NetworkId,
    ring::{Heir, Refusal, TakeoverError},
    spaces::SpaceId,
    usage::{Level, Standing},
};

use super::{
    Control,
    names::Names,
    problem::{Refused, body},
};
use crate::{
    ipam::{ReclaimError, TakeError, Takeover},
    networks::{Named, What},
};

pub(super) async fn usage(
    State(control): State<Arc<Control>>,
    query: Result<Query<UsageQuery>, QueryRejection>,
) -> Result<Json<Usage>, Refused> {
    let Query(UsageQuery { network }) = query?;
    let network = match network {
        Some(network) => Some(control.networks.find(&network)?.0),
        None => None,
    };
    Ok(Json(usage_of(&control, network).await?))
}

/// How full the spaces of a network are, or all.
pub(super) async fn usage_of(
    control: &Control,
    network: Option<NetworkId>,
) -> Result<Usage, Stopped> {
    let (listed, census) = control.networks.usage(network).await?;
    let names = Names::ask(&control.db).await?;
    let spaces = listed.iter().filter_map(|one| {
        census.spaces.get(&one.id).map(|standing| space(&one.what, standing, &names))
    });
    let silent = census.silent.iter().map(|node| names.who(*node));
    Ok(Usage { spaces: spaces.collect(), silent: silent.collect() })
}

fn space(what: &What, standing: &Standing, names: &Names) -> SpaceUsage {
    let nodes = standing.nodes.iter().map(|(node, part)| NodeUsage {
        node: names.who(*node),
        used: part.used.to_string(),
        holds: part.holds.to_string(),
        free: part.free.map(|free| free.to_string()),
        ranges: part.ranges,
    });
    let (kind, space, network, network_id) = called(what);
    let percent = standing.percent();
    SpaceUsage {
        kind,
        space,
        network,
        network_id,
        size: standing.size.to_string(),
        used: standing.used.to_string(),
        free: standing.free.to_string(),
        percent,
        ranges: standing.ranges,
        warning: (Level::of(percent) > Level::Enough)
            .then(|| format!("{what} is {percent} % full")),
        nodes: nodes.collect(),
    }
}

/// The kind of a space, what people call it, and the name and id of its network.
fn called(what: &What) -> (SpaceKind, String, Option<String>, Option<String>) {
    match what {
        What::Subnet { network, name, subnet } => {
            let network = (Some(name.to_string()), Some(network.to_string()));
            (SpaceKind::Subnet, subnet.to_string(), network.0, network.1)
        }
        What::Pool(pool) => (SpaceKind::Pool, pool.to_string(), None, None),
        What::Vni => (SpaceKind::Vni, "VNI".to_owned(), None, None),
    }
}

pub(super) async fn reclaim(
    State(control): State<Arc<Control>>,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<Json<Takeovers>, Refused> {
    let Reclaim { nodes, check } = body(bytes)?;
    let names = Names::ask(&control.db).await?;
    let down: Vec<NodeId> = nodes.iter().map(|node| names.find(node)).collect::<Result<_, _>>()?;
    let ipam = control.networks.ipam();
    let of_down = |all: Vec<Takeover>| all.into_iter().filter(|one| down.contains(&one.from));
    let ranges: Vec<Takeover> = if check {
        let lost = ipam.lost_with(&down).await.map_err(|error| refused(&error, &names))?;
        // What somebody reclaimed a moment ago is on its way as well.
        of_down(ipam.inherited().await?).chain(lost).collect()
    } else {
        ipam.reclaim(&down, Heir::Anyone).await.map_err(|error| refused(&error, &names))?;
        tracing::info!(nodes = nodes.join(" "), "what these nodes held is to be taken over");
        of_down(ipam.inherited().await?).collect()
    };
    let waits_for = absent(&control, &down).await?;
    Ok(Json(shown(&control, &names, &ranges, waits_for)))
}

pub(super) async fn takeovers(
    State(control): State<Arc<Control>>,
) -> Result<Json<Takeovers>, Refused> {
    let names = Names::ask(&control.db).await?;
    let ranges = control.networks.ipam().inherited().await?;
    let down: Vec<NodeId> = ranges.iter().map(|range| range.from).collect();
    let waits_for = if ranges.is_empty() { Vec::new() } else { absent(&control, &down).await? };
    Ok(Json(shown(&control, &names, &ranges, waits_for)))
}

/// Nodes that are not here, and were not called down for good.
async fn absent(control: &Control, down: &[NodeId]) -> Result<Vec<NodeId>, Stopped> {
    let away = |state| !matches!(state, MemberState::Alive | MemberState::Left);
    let members = control.networks.ipam().members().await?;
    let away = members.into_iter().filter(|info| away(info.state)).map(|info| info.member.id);
    Ok(away.filter(|node| !down.contains(node)).collect())
}

fn shown(
    control: &Control,
    names: &Names,
    ranges: &[Takeover],
    waits_for: Vec<NodeId>,
) -> Takeovers {
    let mut sums: BTreeMap<(SpaceId, NodeId, Option<NodeId>), (u128, u64)> = BTreeMap::new();
    for Takeover { space, from, heir, numbers } in ranges {
        let sum = sums.entry((*space, *from, *heir)).or_default();
        *sum = (sum.0 + numbers, sum.1 + 1);
    }
    let listed = control.networks.named(None);
    let ranges = listed.iter().flat_map(|Named { id, what }| {
        let of = sums.iter().filter(move |((space, ..), _)| space == id);
        of.map(move |((_, from, heir), (numbers, ranges))| {
            let (kind, space, network, _) = called(what);
            Shown {
                kind,
                space,
                network,
                from: names.who(*from),
                heir: heir.map(|heir| names.who(heir)),
                numbers: numbers.to_string(),
                ranges: *ranges,
            }
        })
    });
    let waits_for = waits_for.into_iter().map(|node| names.who(node));
    Takeovers { ranges: ranges.collect(), waits_for: waits_for.collect() }
}

/// The refusal in names that people know, and what to do.
fn refused(error: &ReclaimError, names: &Names) -> Refused {
    let called = |node: &NodeId| names.of(*node).map_or_else(|| node.to_string(), str::to_owned);
    match error {
        ReclaimError::NotDown { node, state } => {
            let message = format!("node {} is {state}", called(node));
            let hint = "only what a node held that is down for good can be taken over: stop it \
                        first, or let it leave, which hands everything over";
            Problem::new(Code::Conflict, message).with_hint(hint).into()
        }
        ReclaimError::Takeover(TakeoverError::Absent(absent)) => {
            let absent: Vec<String> = absent.iter().map(called).collect();
            let absent = absent.join(" ");
            let message = format!("not here, and not called down for good: {absent}");
            let hint = "they may hold what the lost node gave them: wait until they are back, or name \
                        them as well if they are down for good";
            Problem::new(Code::Conflict, message).with_hint(hint).into()
        }
        ReclaimError::Takeover(TakeoverError::NotSynced) => {
            Problem::new(Code::Starting, error).with_hint("try again in a moment").into()
        }
        ReclaimError::Takeover(TakeoverError::Alive(_)) => {
            Problem::new(Code::Conflict, error).into()
        }
        ReclaimError::Takeover(TakeoverError::TooMany) => Problem::new(Code::Invalid, error).into(),
        ReclaimError::Stopped(stopped) => (*stopped).into(),
    }
}

/// Why a number was not given, as the answer to whoever needed it, with what can be done about it.
pub(super) fn of_take(why: &TakeError, of: &What, error: &dyn fmt::Display) -> Problem {
    let usage = match of {
        What::Subnet { name, .. } => format!("`netdbctl ipam usage {name} --nodes`"),
        What::Pool(_) | What::Vni => "`netdbctl ipam usage`".to_owned(),
    };
    let (code, hint) = match why {
        TakeError::Refused(Refusal::Full(_)) => {
            let more = match of {
                What::Subnet { .. } => {
                    "detach endpoints, or create a network with a larger --subnet"
                }
                What::Pool(_) => "name a subnet outside of the pool with --subnet",
                What::Vni => "name a lower one with --opt vni=N",
            };
            (Code::Full, format!("{more}; {usage} shows who uses how much"))
        }
        TakeError::Refused(Refusal::Silent { .. } | Refusal::HolderSilent(_)) => {
            let hint = "wait until they are back; of a host that is down for good, `netdbctl ipam \
                        reclaim` gives to others what it held";
            (Code::Unreachable, format!("{hint}; {usage} shows who holds how much"))
        }
        TakeError::Refused(Refusal::Taken(_)) => {
            (Code::Exists, "name another address, or none".to_owned())
        }
        TakeError::Refused(Refusal::Reserved | Refusal::OutOfRange(_)) => {
            (Code::Invalid, "name another address, or none".to_owned())
        }
        TakeError::Refused(Refusal::Leaving) | TakeError::Stopped(_) => {
            return Problem::new(Code::Stopping, error);
        }
        TakeError::Refused(
            Refusal::Unsettled(_) | Refusal::HolderUnknown | Refusal::NotSynced | Refusal::Busy,
        )
        | TakeError::UnknownSpace => (Code::Starting, "try again in a moment".to_owned()),
    };
    Problem::new(code, error).with_hint(hint)
}

#[cfg(test)]
mod tests {
    use netnode_plan::ring::Figures;

    use super::*;

    #[test]
    fn a_full_subnet_is_named_with_its_use_and_what_to_do() {
        let of = What::Subnet {
            network: NetworkId([7; 16]),
            name: netdb::Name::new("web").unwrap(),
            subnet: "10.9.0.0/29".parse().unwrap(),
        };
        let figures = Figures { size: 5, used: 5, here: 8, elsewhere: 0 };
        let why = TakeError::Refused(Refusal::Full(figures));
        let error = crate::endpoints::AttachError::NoAddress { of: of.clone(), why: why.clone() };
        let problem = of_take(&why, &of, &error);
        assert_eq!(problem.code, Code::Full);
        let told = "no address can be given of subnet 10.9.0.0/29 of network web: all of it is given: \
                    5 of 5 in use, 8 held here, 0 by other nodes";
        assert_eq!(problem.message, told);
        let hint = problem.hint.unwrap();
        assert!(hint.contains("larger --subnet") && hint.contains("ipam usage web"), "{hint}");
    }
}
