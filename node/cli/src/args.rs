//! The command line: its commands, options and help, and nothing that acts on them.

pub(crate) mod dns;
pub(crate) mod endpoint;
pub(crate) mod ipam;
pub(crate) mod lb;
pub(crate) mod network;
pub(crate) mod service;

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use netnode_api::rows::Lifetime;

use crate::{help, terminal::ColorChoice};

/// Shows and changes a running netnode.
#[derive(Debug, Parser)]
#[command(name = "netdbctl", version, after_help = help::TOP, max_term_width = 100)]
#[command(propagate_version = true)]
pub struct Args {
    /// The control socket of the netnode to talk to
    #[arg(
        long,
        global = true,
        value_name = "PATH",
        env = netnode_api::SOCKET_VARIABLE,
        default_value = netnode_api::DEFAULT_SOCKET
    )]
    pub(crate) socket: PathBuf,
    /// When to colour (`NO_COLOR` is heeded)
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: ColorChoice,
    /// Seconds to wait for an answer
    #[arg(long, global = true, value_name = "SECONDS", default_value = "30")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) timeout: u64,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// The node and its cluster in short
    #[command(after_help = help::STATUS)]
    Status {
        #[command(flatten)]
        json: Json,
    },
    /// Every member and how it is doing
    #[command(after_help = help::MEMBERS)]
    Members {
        #[command(flatten)]
        format: Format,
    },
    /// Networks for containers: create, list, inspect, remove
    #[command(alias = "networks", after_help = help::NETWORK)]
    Network {
        #[command(subcommand)]
        command: network::Network,
    },
    /// Services: create, list, inspect, update, remove
    #[command(alias = "services", after_help = help::SERVICE)]
    Service {
        #[command(subcommand)]
        command: service::Service,
    },
    /// Endpoints of this host: attach, detach, list, drain, health
    #[command(alias = "endpoints", after_help = help::ENDPOINT)]
    Endpoint {
        #[command(subcommand)]
        command: endpoint::Endpoint,
    },
    /// Names: what a container would be told
    #[command(after_help = help::DNS_QUERY)]
    Dns {
        #[command(subcommand)]
        command: dns::Dns,
    },
    /// Load balancing: who gets what is for a virtual address
    #[command(after_help = help::LB_SHOW)]
    Lb {
        #[command(subcommand)]
        command: lb::Lb,
    },
    /// Numbers given without a quorum: who holds how much, and taking over
    #[command(after_help = help::IPAM)]
    Ipam {
        #[command(subcommand)]
        command: ipam::Ipam,
    },
    /// Gossip scopes: whose tables this node holds
    #[command(alias = "scopes", after_help = help::SCOPE)]
    Scope {
        #[command(subcommand)]
        command: Option<Scope>,
        #[command(flatten)]
        format: Format,
    },
    /// Tables: list, dump, watch, read and write
    #[command(alias = "tables", after_help = help::TABLE)]
    Table {
        #[command(subcommand)]
        command: Table,
    },
    /// The keys that protect the cluster's packets
    #[command(after_help = help::KEYS)]
    Keys {
        #[command(subcommand)]
        command: Keys,
    },
    /// The token that new nodes join with
    #[command(after_help = help::TOKEN)]
    Token {
        #[command(subcommand)]
        command: Token,
    },
    /// How another host joins this cluster
    #[command(after_help = help::JOIN)]
    Join {
        #[command(flatten)]
        json: Json,
    },
    /// Leave the cluster for good
    #[command(after_help = help::LEAVE)]
    Leave {
        /// Don't ask
        #[arg(long, short)]
        yes: bool,
        #[command(flatten)]
        json: Json,
    },
    /// Take new settings where they can change live
    #[command(after_help = help::RELOAD)]
    Reload {
        #[command(flatten)]
        json: Json,
    },
    /// Say that this node's rows in a network are whole again
    #[command(after_help = help::COMPLETE)]
    Complete {
        /// The network
        network: String,
        #[command(flatten)]
        json: Json,
    },
    /// The node's figures, in the form that Prometheus reads
    #[command(after_help = help::METRICS)]
    Metrics {
        #[command(flatten)]
        json: Json,
    },
    /// In what two members differ
    #[command(after_help = help::DIFF)]
    Diff {
        /// One member: its name, its id, or the start of that
        #[arg(value_name = "NODE")]
        left: String,
        /// The other
        #[arg(value_name = "NODE")]
        right: String,
        /// Only this network
        #[arg(long, short)]
        network: Option<String>,
        /// Every column in full, however wide
        #[arg(long, short, conflicts_with = "json")]
        wide: bool,
        #[command(flatten)]
        json: Json,
    },
    /// What goes on inside the node
    #[command(after_help = help::DEBUG)]
    Debug {
        /// Only this network, with all of its writers
        #[arg(long, short)]
        network: Option<String>,
        /// Every column in full, however wide
        #[arg(long, short, conflicts_with = "json")]
        wide: bool,
        #[command(flatten)]
        json: Json,
    },
    /// Members, rates, peers, networks and queues, live
    #[command(after_help = help::TOP_VIEW)]
    Top {
        /// Seconds between two frames
        #[arg(long, short, value_name = "SECONDS", default_value = "2")]
        #[arg(value_parser = clap::value_parser!(u64).range(1..=3600))]
        interval: u64,
        /// One frame, after one interval
        #[arg(long)]
        once: bool,
        #[command(flatten)]
        json: Json,
    },
    /// The settings of the node
    #[command(after_help = help::CONFIG)]
    Config {
        #[command(subcommand)]
        command: Config,
    },
    /// Counters since start
    #[command(after_help = help::STATS)]
    Stats {
        #[command(flatten)]
        json: Json,
    },
    /// Print what completes this command in a shell
    #[command(after_help = help::COMPLETIONS)]
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: Shell,
    },
    /// Write manual pages, one for each command
    #[command(after_help = help::MAN)]
    Man {
        /// Where to, made if it is not there
        #[arg(value_name = "DIR")]
        dir: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Every setting in effect, and who said it
    #[command(after_help = help::CONFIG)]
    Show {
        /// Only those that somebody said something about
        #[arg(long)]
        said: bool,
        #[command(flatten)]
        format: Format,
    },
}

#[derive(Clone, Copy, Debug, Default, ClapArgs)]
pub(crate) struct Json {
    /// As one JSON document
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Clone, Copy, Debug, Default, ClapArgs)]
pub(crate) struct Format {
    /// As one JSON document
    #[arg(long)]
    pub(crate) json: bool,
    /// As one JSON object per line
    #[arg(long, conflicts_with = "json")]
    pub(crate) jsonl: bool,
    /// Every column in full, however wide
    #[arg(long, short, conflicts_with_all = ["json", "jsonl"])]
    pub(crate) wide: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Scope {
    /// The attached networks, and the others in the cluster
    #[command(after_help = help::SCOPE)]
    Ls {
        #[command(flatten)]
        format: Format,
    },
    /// The live members attached to a network
    #[command(after_help = help::SCOPE)]
    Peers {
        /// The network
        network: String,
        #[command(flatten)]
        format: Format,
    },
    /// Attach this node to a network
    #[command(after_help = help::SCOPE)]
    Attach {
        /// The network
        network: String,
        /// Wait until its tables hold here what the peers hold
        #[arg(long)]
        wait: bool,
        #[command(flatten)]
        json: Json,
    },
    /// Detach this node from a network; its rows there go
    #[command(after_help = help::SCOPE)]
    Detach {
        /// The network
        network: String,
        #[command(flatten)]
        json: Json,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Table {
    /// The tables that have rows, summed up
    #[command(after_help = help::TABLE_LS)]
    Ls {
        /// Only this network
        network: Option<String>,
        #[command(flatten)]
        format: Format,
    },
    /// Rows with everything that is known of them
    #[command(after_help = help::DUMP)]
    Dump {
        #[command(flatten)]
        select: Select,
        #[command(flatten)]
        format: Format,
        /// Values as they are stored, never field by field
        #[arg(long)]
        raw: bool,
    },
    /// Rows, then every change to them
    #[command(after_help = help::WATCH)]
    Watch {
        #[command(flatten)]
        select: Select,
        /// As one JSON object per line
        #[arg(long)]
        jsonl: bool,
        /// Values as they are stored, never field by field
        #[arg(long)]
        raw: bool,
        /// Only what changes from now on
        #[arg(long)]
        changes: bool,
        /// End after so many events
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
        count: Option<u64>,
    },
    /// The rows of one key: one for each owner
    #[command(after_help = help::GET)]
    Get {
        #[command(flatten)]
        place: Place,
        /// Only tables of this lifetime
        #[arg(long, value_enum)]
        lifetime: Option<LifetimeArg>,
        #[command(flatten)]
        format: Format,
        /// The value's bytes and nothing else; there must be one row
        #[arg(long, conflicts_with_all = ["json", "jsonl", "wide"])]
        value: bool,
    },
    /// Write a row that is not there
    #[command(after_help = help::WRITE)]
    Create(WriteArgs),
    /// Write a row that is there
    #[command(after_help = help::WRITE)]
    Update(WriteArgs),
    /// Write a row whether it is there or not
    #[command(after_help = help::WRITE)]
    Upsert(WriteArgs),
    /// Delete a row
    #[command(after_help = help::DELETE)]
    Delete {
        #[command(flatten)]
        place: Place,
        /// The table's lifetime
        #[arg(long, value_enum, default_value = "cluster")]
        lifetime: LifetimeArg,
        #[command(flatten)]
        json: Json,
    },
    /// Write many rows, read as lines `key<TAB>value`
    #[command(after_help = help::LOAD)]
    Load {
        /// An attached network
        network: String,
        /// The table
        table: String,
        /// Read from standard input
        #[arg(value_name = "-", value_parser = ["-"], conflicts_with = "file")]
        input: Option<String>,
        /// Read from this file
        #[arg(long, value_name = "PATH", required_unless_present = "input")]
        file: Option<PathBuf>,
        /// The table's lifetime
        #[arg(long, value_enum, default_value = "cluster")]
        lifetime: LifetimeArg,
        /// Fail for rows that are there already, instead of overwriting them
        #[arg(long)]
        create: bool,
        /// Go on after a row that is refused; without it, only rows already on their way are written
        #[arg(long)]
        keep_going: bool,
        #[command(flatten)]
        json: Json,
    },
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Select {
    /// Only this network
    #[arg(long, short)]
    pub(crate) network: Option<String>,
    /// Only tables of this name
    #[arg(long, short)]
    pub(crate) table: Option<String>,
    /// Only keys that start so
    #[arg(long, short)]
    pub(crate) prefix: Option<String>,
    /// Only rows of this node: a name, or the start of an id
    #[arg(long, short)]
    pub(crate) owner: Option<String>,
    /// Only tables of this lifetime
    #[arg(long, short, value_enum)]
    pub(crate) lifetime: Option<LifetimeArg>,
    /// Also the rows of failed nodes
    #[arg(long)]
    pub(crate) failed: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Place {
    /// An attached network
    pub(crate) network: String,
    /// The table
    pub(crate) table: String,
    /// The key
    pub(crate) key: String,
    /// The key (and the value) is in hexadecimal
    #[arg(long)]
    pub(crate) hex: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct WriteArgs {
    #[command(flatten)]
    pub(crate) place: Place,
    /// The value, or `-` to read it from standard input
    pub(crate) value: String,
    /// The table's lifetime
    #[arg(long, value_enum, default_value = "cluster")]
    pub(crate) lifetime: LifetimeArg,
    #[command(flatten)]
    pub(crate) json: Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LifetimeArg {
    /// A row belongs to the node that wrote it and leaves the view with it
    Owner,
    /// Any attached node may write any row; rows live until they are deleted
    Cluster,
}

impl From<LifetimeArg> for Lifetime {
    fn from(lifetime: LifetimeArg) -> Self {
        match lifetime {
            LifetimeArg::Owner => Self::Owner,
            LifetimeArg::Cluster => Self::Cluster,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Keys {
    /// The keys of this node and where the rotation stands
    #[command(alias = "ls", after_help = help::KEYS)]
    List {
        #[command(flatten)]
        format: Format,
    },
    /// Change to a new key: install it everywhere, use it, remove the old ones
    #[command(after_help = help::KEYS)]
    Rotate {
        /// Wait until every live node has followed
        #[arg(long)]
        wait: bool,
        #[command(flatten)]
        json: Json,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Token {
    /// Print the join token
    #[command(after_help = help::TOKEN)]
    Show {
        #[command(flatten)]
        json: Json,
    },
    /// Make a new one; the old one ends at once
    #[command(after_help = help::TOKEN)]
    Rotate {
        /// How long it is good: 90s, 30m, 24h, 7d [default: for ever]
        #[arg(long, value_name = "TIME", value_parser = parse_span)]
        expires: Option<u64>,
        #[command(flatten)]
        json: Json,
    },
}

/// Seconds, from a number and its unit.
fn parse_span(text: &str) -> Result<u64, String> {
    let (number, unit) = text.split_at(text.trim_end_matches(char::is_alphabetic).len());
    let factor = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err("a number and a unit is expected: 90s, 30m, 24h, 7d".to_owned()),
    };
    let number: u64 = number.parse().map_err(|_| format!("{number:?} is not a whole number"))?;
    match number.checked_mul(factor) {
        Some(0) | None => Err("out of range".to_owned()),
        Some(secs) => Ok(secs),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn every_command_has_examples() {
        fn check(command: &clap::Command, path: &str) {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("Examples:"), "{path} has no examples");
            for sub in command.get_subcommands() {
                check(sub, &format!("{path} {}", sub.get_name()));
            }
        }
        check(&Args::command(), "netdbctl");
        assert!(Args::command().render_help().to_string().contains("Exit codes:"));
    }

    #[test]
    fn spans_need_a_unit() {
        assert_eq!(parse_span("24h"), Ok(86_400));
        assert_eq!(parse_span("90s"), Ok(90));
        for wrong in ["24", "h", "1w", "-1s", "0s", "1.5h", "99999999999999999999s"] {
            assert!(parse_span(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_load_needs_one_source() {
        let parse = |words: &[&str]| {
            let line = ["netdbctl", "table", "load", "blue", "t"].iter().chain(words);
            Args::try_parse_from(line).is_ok()
        };
        assert!(parse(&["-"]));
        assert!(parse(&["--file", "x"]));
        assert!(!parse(&[]));
        assert!(!parse(&["-", "--file", "x"]));
    }
}
