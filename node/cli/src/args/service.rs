//! `netdbctl service`: the options that people know from `docker service`.

use clap::{Args, Subcommand};
use netnode_api::services::{PublishedPort, TargetPort};

use super::{Format, Json, network::option};
use crate::help;

#[derive(Debug, Subcommand)]
pub(crate) enum Service {
    /// Create a service on a network
    #[command(after_help = help::SERVICE_CREATE)]
    Create(Create),
    /// All services
    #[command(alias = "list", after_help = help::SERVICE)]
    Ls {
        #[command(flatten)]
        format: Format,
    },
    /// A service in full, and who serves it
    #[command(after_help = help::SERVICE)]
    Inspect {
        /// The service: its name, its id, or the start of that
        service: String,
        /// Every column in full, however wide
        #[arg(long, short, conflicts_with = "json")]
        wide: bool,
        #[command(flatten)]
        json: Json,
    },
    /// Change how a service is reached, and its labels
    #[command(after_help = help::SERVICE_UPDATE)]
    Update(Update),
    /// Remove services; their endpoints go on
    #[command(alias = "remove", after_help = help::SERVICE)]
    Rm {
        /// The services: names, ids, or starts of ids
        #[arg(required = true)]
        services: Vec<String>,
        #[command(flatten)]
        json: Json,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Create {
    /// What it is to be called, in all networks
    pub(crate) name: String,
    /// The network: its name, its id, or the start of that
    #[arg(long, short)]
    pub(crate) network: String,
    /// What its name comes to: vip, one virtual address, or dnsrr, those of its backends
    #[arg(long, value_name = "MODE", default_value = "vip")]
    pub(crate) endpoint_mode: String,
    /// A virtual address that it is to have, at most one of each family; others are chosen
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) vip: Vec<String>,
    /// A port of hosts that is to lead to it; tcp if not said
    #[arg(long, short, value_name = PUBLISH, value_parser = publish)]
    pub(crate) publish: Vec<PublishedPort>,
    /// A note about the service
    #[arg(long, short, value_name = "NAME[=VALUE]", value_parser = option)]
    pub(crate) label: Vec<(String, String)>,
    /// A client gets a backend of its own host, as long as one is ready there
    #[arg(long)]
    pub(crate) prefer_local: bool,
    /// Which backends get what comes by ports that all hosts have: cluster, all, or local, those of the host it comes to
    #[arg(long, value_name = "WHICH")]
    pub(crate) external_traffic: Option<String>,
    /// Only hosts with this label open its ports: see `netnode --labels`
    #[arg(long, value_name = "NAME[=VALUE]")]
    pub(crate) publish_on: Option<String>,
    /// A port at which each host says by HTTP whether it has backends that take what is new
    #[arg(long, value_name = "PORT")]
    pub(crate) health_port: Option<u16>,
    #[command(flatten)]
    pub(crate) json: Json,
}

#[derive(Debug, Args)]
pub(crate) struct Update {
    /// The service: its name, its id, or the start of that
    pub(crate) service: String,
    /// What its name comes to from now on: vip or dnsrr
    #[arg(long, value_name = "MODE")]
    pub(crate) endpoint_mode: Option<String>,
    /// A virtual address that it is to have from now on
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) vip: Vec<String>,
    /// A port of hosts that is to lead to it as well
    #[arg(long, value_name = PUBLISH, value_parser = publish)]
    pub(crate) publish_add: Vec<PublishedPort>,
    /// A port of the backends that no port of hosts is to lead to any more
    #[arg(long, value_name = "TARGET[/PROTOCOL]", value_parser = target)]
    pub(crate) publish_rm: Vec<TargetPort>,
    /// A note that is added, or replaced
    #[arg(long, value_name = "NAME[=VALUE]", value_parser = option)]
    pub(crate) label_add: Vec<(String, String)>,
    /// A note that goes
    #[arg(long, value_name = "NAME")]
    pub(crate) label_rm: Vec<String>,
    /// Whether a client gets a backend of its own host, as long as one is ready there
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub(crate) prefer_local: Option<bool>,
    /// Which backends get what comes by ports that all hosts have from now on: cluster or local
    #[arg(long, value_name = "WHICH")]
    pub(crate) external_traffic: Option<String>,
    /// Only hosts with this label open its ports from now on; empty: all
    #[arg(long, value_name = "NAME[=VALUE]")]
    pub(crate) publish_on: Option<String>,
    /// A port at which each host says by HTTP whether it has backends that take what is new; 0: none any more
    #[arg(long, value_name = "PORT")]
    pub(crate) health_port: Option<u16>,
    #[command(flatten)]
    pub(crate) json: Json,
}

/// How a published port is said.
const PUBLISH: &str = "[BIND:]PUBLISHED:TARGET[/PROTOCOL]";

/// Docker's short form, or its long one: `mode=host,published=8080,target=80,protocol=udp`.
fn publish(text: &str) -> Result<PublishedPort, String> {
    if text.contains('=') { long(text) } else { short(text) }
}

fn short(text: &str) -> Result<PublishedPort, String> {
    let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let (front, target) = ports.rsplit_once(':').ok_or_else(|| format!("{PUBLISH} is expected"))?;
    let (bind, published) = match front.rsplit_once(':') {
        Some((bind, published)) => (Some(unbracketed(bind)?), published),
        None => (None, front),
    };
    Ok(PublishedPort {
        protocol: protocol.to_owned(),
        published: port(published)?,
        target: port(target)?,
        mode: "ingress".to_owned(),
        bind,
    })
}

/// An address of IPv6 is in brackets, since it has colons itself.
fn unbracketed(text: &str) -> Result<String, String> {
    let inside = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    match inside {
        Some(inside) => Ok(inside.to_owned()),
        None if text.contains(':') => Err(format!("{text:?}: an address of IPv6 is in brackets")),
        None => Ok(text.to_owned()),
    }
}

fn long(text: &str) -> Result<PublishedPort, String> {
    let (mut published, mut target, mut bind) = (None, None, None);
    let (mut protocol, mut mode) = ("tcp".to_owned(), "ingress".to_owned());
    for part in text.split(',') {
        let (name, value) =
            part.split_once('=').ok_or_else(|| format!("{part:?} is not NAME=VALUE"))?;
        match name {
            "published" => published = Some(port(value)?),
            "target" => target = Some(port(value)?),
            "protocol" => value.clone_into(&mut protocol),
            "mode" => value.clone_into(&mut mode),
            "bind" => bind = Some(value.to_owned()),
            _ => {
                return Err(format!(
                    "{name:?} is none of published, target, protocol, mode and bind"
                ));
            }
        }
    }
    let published = published.ok_or("published=PORT is missing: no port is chosen by itself")?;
    let target = target.ok_or("target=PORT is missing")?;
    Ok(PublishedPort { protocol, published, target, mode, bind })
}

fn target(text: &str) -> Result<TargetPort, String> {
    let (target, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    Ok(TargetPort { protocol: protocol.to_owned(), target: port(target)? })
}

fn port(text: &str) -> Result<u16, String> {
    let number = text.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| format!("{text:?} is not a port in 1..=65535"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_published_port_is_said_as_to_docker() {
        let said = |text| {
            let PublishedPort { protocol, published, target, mode, bind } = publish(text).unwrap();
            let bind = bind.unwrap_or_default();
            format!("{bind} {published} {target} {protocol} {mode}")
        };
        assert_eq!(said("8080:80"), " 8080 80 tcp ingress");
        assert_eq!(said("192.0.2.1:53:53/udp"), "192.0.2.1 53 53 udp ingress");
        assert_eq!(said("[::1]:8080:80"), "::1 8080 80 tcp ingress");
        assert_eq!(said("mode=host,published=8080,target=80"), " 8080 80 tcp host");
        assert_eq!(said("target=53,published=53,protocol=udp,bind=::1"), "::1 53 53 udp ingress");
    }

    #[test]
    fn what_is_no_port_is_told() {
        let told = |text| publish(text).unwrap_err();
        assert_eq!(told("80"), "[BIND:]PUBLISHED:TARGET[/PROTOCOL] is expected");
        assert_eq!(told("0:80"), "\"0\" is not a port in 1..=65535");
        assert!(told("::1:8080:80").contains("in brackets"));
        assert!(told("target=80").contains("published=PORT is missing"));
        assert!(told("published=80").contains("target=PORT is missing"));
        assert!(told("published=80,target=80,host").contains("not NAME=VALUE"));
        assert!(told("published=80,target=80,to=80").contains("none of published"));
        assert_eq!(target("80/udp").unwrap().protocol, "udp");
        assert!(target("http").is_err());
    }
}
