//! The command line, put together from the table of settings.

use std::{ffi::OsString, path::PathBuf};

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use clap_complete::Shell;

use crate::settings::{
    Sources,
    table::{NODE, SETTINGS, Setting},
};

/// What to do, and what was said about settings.
#[derive(Debug)]
pub(crate) struct CommandLine {
    pub(crate) action: Action,
    pub(crate) sources: Sources,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Run,
    Init,
    Join {
        token: String,
        peers: Vec<String>,
        /// The node that this host ran before it was installed anew.
        replaces: Option<String>,
    },
    ConfigCheck,
    ConfigShow {
        json: bool,
    },
    /// What `docs/metrics.md` holds.
    Metrics,
    /// What `docs/openapi.json` holds.
    Openapi,
    Completions(Shell),
    Man(PathBuf),
}

const AFTER: &str = "\
Every setting is a flag (--probe-period 1s), an environment variable (NETNODE_PROBE_PERIOD=1s) and a
key of the TOML file (probe_period = \"1s\"). Flags beat the environment, and that beats the file.
--help shows all of them, -h the usual ones.

Examples:
  netnode init                              make a cluster; prints the token that others join with
  netnode join ndb1-... 10.0.0.1            enter a cluster
  netnode                                   run
  netnode --config /etc/netnode.toml config check

Signals: TERM and INT stop (the cluster is told to expect a restart), HUP reads the settings again.
Only `netdbctl leave` leaves the cluster.
Exit codes: 0 stopped or done, 1 failed, 2 wrong command line or settings.";

const AFTER_INIT: &str = "\
Makes the node's keys and a cluster of one node in the state directory, which must not hold one yet.
The join token goes to standard output: it is a secret.

Examples:
  netnode init
  netnode init --state-dir /srv/netnode --name host-1
  netnode init --subnet-pool 172.20.0.0/14/24";

const AFTER_JOIN: &str = "\
The token comes from `netdbctl token show` on a node of the cluster; `-` reads it from standard input,
where other users of this host don't see it. Addresses are those of running nodes, with or without
port; they are asked one after the other.

A host that was installed anew has a new identity. With --replace it takes over the addresses, subnets
and VNIs that its old node held, as `netdbctl ipam reclaim` gives them to others: the old node must be
down for good, and all other nodes must be there.

Examples:
  netnode join ndb1-... 10.0.0.1 10.0.0.2:7941
  netnode join --replace host-3 ndb1-... 10.0.0.1
  ssh root@host-1 netdbctl token show | netnode join - host-1";

const AFTER_CONFIG: &str = "\
Examples:
  netnode config check --config /etc/netnode.toml
  NETNODE_PROFILE=wan netnode config show
  netnode config show > /etc/netnode.toml";

const AFTER_SHOW: &str = "\
The output is a configuration file: each setting with its unit, who said what it is, what it is by
default if that differs, and `live` where a reload can change it. What a running node uses is shown by
`netdbctl config show`.

Examples:
  netnode config show > /etc/netnode.toml
  netnode config show --json | jq '.[] | select(.live)'";

const AFTER_OPENAPI: &str = "\
The same is served by a running netnode at /v1/openapi.json of its control socket.

Examples:
  netnode openapi
  curl --unix-socket /run/netnode.sock http://netnode/v1/openapi.json";

const AFTER_COMPLETIONS: &str = "\
Examples:
  netnode completions bash > /etc/bash_completion.d/netnode
  netnode completions zsh > /usr/local/share/zsh/site-functions/_netnode
  netnode completions fish > ~/.config/fish/completions/netnode.fish";

const AFTER_MAN: &str = "\
Examples:
  netnode man /usr/local/share/man/man1";

const AFTER_METRICS: &str = "\
Their figures are printed by `netdbctl metrics`.

Examples:
  netnode metrics";

/// Reads a command line.
pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<CommandLine, clap::Error> {
    let matches = command().try_get_matches_from(args)?;
    let (deepest, action) = match matches.subcommand() {
        Some(("init", sub)) => (sub, Action::Init),
        Some(("join", sub)) => {
            let token = sub.get_one::<String>("token").cloned().unwrap_or_default();
            let peers = sub.get_many::<String>("address").unwrap_or_default().cloned().collect();
            let replaces = sub.get_one::<String>("replace").cloned();
            (sub, Action::Join { token, peers, replaces })
        }
        Some(("config", sub)) => match sub.subcommand() {
            Some(("show", sub)) => (sub, Action::ConfigShow { json: sub.get_flag("json") }),
            Some((_, sub)) => (sub, Action::ConfigCheck),
            None => (sub, Action::ConfigCheck),
        },
        Some(("metrics", sub)) => (sub, Action::Metrics),
        Some(("openapi", sub)) => (sub, Action::Openapi),
        Some(("completions", sub)) => {
            let shell = sub.get_one("shell").copied().unwrap_or(Shell::Bash);
            (sub, Action::Completions(shell))
        }
        Some(("man", sub)) => (sub, Action::Man(sub.get_one("dir").cloned().unwrap_or_default())),
        Some((_, sub)) => (sub, Action::Run),
        None => (&matches, Action::Run),
    };
    let config = deepest.get_one::<PathBuf>("config").cloned();
    Ok(CommandLine { action, sources: Sources::of_process(config, flags(deepest)) })
}

fn flags(matches: &ArgMatches) -> Vec<(&'static str, String)> {
    let said = |setting: &'static Setting| {
        Some((setting.name, matches.get_one::<String>(setting.name)?.clone()))
    };
    SETTINGS.iter().filter_map(said).collect()
}

/// The whole command line.
pub(crate) fn command() -> Command {
    let token = Arg::new("token").required(true).value_name("TOKEN").help("The join token, or -");
    let address = Arg::new("address")
        .required(true)
        .num_args(1..)
        .value_name("ADDRESS")
        .help("Running nodes of the cluster");
    let replace = Arg::new("replace")
        .long("replace")
        .value_name("NODE")
        .help("Take over what this host's old node held: its name, its id, or the start of that");
    let config = Command::new("config")
        .about("Check or show the settings")
        .after_help(AFTER_CONFIG)
        .subcommand_required(true)
        .subcommand(Command::new("check").about("Say what is wrong").after_help(AFTER_CONFIG))
        .subcommand(
            Command::new("show").about("Every setting and who said it").after_help(AFTER_SHOW).arg(
                Arg::new("json")
                    .long("json")
                    .action(ArgAction::SetTrue)
                    .help("As one JSON document"),
            ),
        );
    Command::new("netnode")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Runs a node of the cluster on this host")
        .after_help(AFTER)
        .args_override_self(true)
        .max_term_width(100)
        .propagate_version(true)
        .arg(
            Arg::new("config")
                .long("config")
                .global(true)
                .value_name("PATH")
                .value_parser(value_parser!(PathBuf))
                .env("NETNODE_CONFIG")
                .help_heading(NODE)
                .help("Read settings from this TOML file"),
        )
        .args(SETTINGS.iter().map(flag))
        .subcommand(Command::new("run").about("Run (also without a command)").after_help(AFTER))
        .subcommand(Command::new("init").about("Make a new cluster").after_help(AFTER_INIT))
        .subcommand(
            Command::new("join")
                .about("Enter a cluster")
                .after_help(AFTER_JOIN)
                .arg(token)
                .arg(address)
                .arg(replace),
        )
        .subcommand(config)
        .subcommand(
            Command::new("metrics")
                .about("Every metric and what it means, as a page")
                .after_help(AFTER_METRICS),
        )
        .subcommand(
            Command::new("openapi")
                .about("The description of the control API (OpenAPI 3.1)")
                .after_help(AFTER_OPENAPI),
        )
        .subcommands(generators())
}

/// Commands that write what is made from this description.
fn generators() -> [Command; 2] {
    let shell = Arg::new("shell")
        .required(true)
        .value_name("SHELL")
        .value_parser(value_parser!(Shell))
        .help("The shell");
    let dir = Arg::new("dir")
        .required(true)
        .value_name("DIR")
        .value_parser(value_parser!(PathBuf))
        .help("Where to, made if it is not there");
    let completions = Command::new("completions")
        .about("Print what completes this command in a shell")
        .after_help(AFTER_COMPLETIONS);
    let man =
        Command::new("man").about("Write manual pages, one for each command").after_help(AFTER_MAN);
    [completions.arg(shell), man.arg(dir)]
}

fn flag(setting: &'static Setting) -> Arg {
    let live = if setting.live { ", live" } else { "" };
    Arg::new(setting.name)
        .long(setting.name.replace('_', "-"))
        .global(true)
        .value_name(setting.value)
        .help_heading(setting.group)
        .hide_short_help(setting.group != NODE && !setting.name.starts_with("log_"))
        .help(format!("{} [env: {}{live}]", setting.help, setting.variable()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<CommandLine, String> {
        parse(line.split(' ').map(OsString::from)).map_err(|error| error.to_string())
    }

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn running_is_the_default_and_flags_stand_anywhere() {
        for line in ["netnode --mtu 1000", "netnode --mtu 1000 run", "netnode run --mtu 1000"] {
            let parsed = parsed(line).unwrap();
            assert_eq!(parsed.action, Action::Run, "{line}");
            assert_eq!(parsed.sources.flags, [("mtu", "1000".to_owned())], "{line}");
        }
        let parsed = parsed("netnode --config /c config show --window 3").unwrap();
        assert_eq!(parsed.action, Action::ConfigShow { json: false });
        assert_eq!(parsed.sources.config, Some(PathBuf::from("/c")));
        assert_eq!(parsed.sources.flags, [("window", "3".to_owned())]);
    }

    #[test]
    fn joining_takes_a_token_and_addresses() {
        let parsed_join = parsed("netnode join ndb1-x 10.0.0.1 host:7941 --name a").unwrap();
        let peers = vec!["10.0.0.1".to_owned(), "host:7941".to_owned()];
        let (token, replaces) = ("ndb1-x".to_owned(), None);
        assert_eq!(parsed_join.action, Action::Join { token, peers, replaces });
        let again = parsed("netnode join --replace old ndb1-x 10.0.0.1").unwrap();
        let old = |action: &Action| matches!(action, Action::Join { replaces, .. } if replaces.as_deref() == Some("old"));
        assert!(old(&again.action), "{again:?}");
        assert!(parsed("netnode join ndb1-x").is_err());
        assert!(parsed("netnode jion").unwrap_err().contains("join"));
    }

    #[test]
    fn the_short_help_has_the_usual_settings_and_the_long_one_all() {
        let short = command().render_help().to_string();
        let long = command().render_long_help().to_string();
        assert!(short.contains("--state-dir <") && !short.contains("--probe-period <"));
        for setting in SETTINGS {
            assert!(long.contains(&format!("{} <", setting.flag())), "{}", setting.name);
            assert!(long.contains(&setting.variable()), "{}", setting.name);
        }
        for sub in command().get_subcommands() {
            let help = sub.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("Examples:"), "{} has no examples", sub.get_name());
        }
    }
}
