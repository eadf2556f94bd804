//! A network and a mount namespace of our own, in which the kernel loses and cuts what it is told to.
//!
//! Made by `unshare`, which needs no rights for it, gone with the last process in it. Nothing outside of it is changed.

use std::{
    env,
    net::IpAddr,
    process::{Command, ExitCode},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use netdb_tests::command::run;
use nix::unistd::geteuid;

use crate::shell::{Shell, works};

/// Where tools of administrators are, which are in the path of few others.
const SYSTEM_TOOLS: &str = "/usr/local/sbin:/usr/sbin:/sbin";

/// What passes is counted, then thrown for; who is cut off is in one of two sets.
const RULES: &str = "\
add table inet bench
add counter inet bench passing
add counter inet bench lost
add set inet bench left { type ipv4_addr; }
add set inet bench right { type ipv4_addr; }
add chain inet bench entering { type filter hook input priority 0; policy accept; }
add rule inet bench entering iif lo ip saddr @left ip daddr @right drop
add rule inet bench entering iif lo ip saddr @right ip daddr @left drop
";

/// Runs a program with the same arguments in a namespace of its own.
pub(crate) fn enter() -> Command {
    let mut command = tool("unshare");
    // Root stays what it is: in a user namespace it could send no more to the kernel at once than anybody may.
    if !geteuid().is_root() {
        command.arg("--map-root-user");
    }
    command.args(["--net", "--mount", "--"]);
    command
}

/// Runs this program again with the same arguments, and `--apart`, in a namespace of its own.
pub(crate) fn again(limit: Duration) -> Result<ExitCode> {
    let mut again = enter();
    again.arg(env::current_exe().context("finding this program")?);
    again.args(env::args_os().skip(1)).arg("--apart");
    Shell::new("bench", Instant::now() + limit, false).aside().run(&mut again)?;
    Ok(ExitCode::SUCCESS)
}

/// Why there can be no such namespace here.
pub(crate) fn missing() -> Option<String> {
    if !works(enter().arg("true")) {
        return Some("`unshare -rn` is missing or not allowed here".to_owned());
    }
    if !works(enter().args(["ip", "link", "set", "lo", "up"])) {
        return Some("`ip` is missing: on Debian `apt-get install iproute2` brings it".to_owned());
    }
    let works = works(enter().args(["nft", "list", "ruleset"]));
    let told = "`nft` is missing or not allowed: on Debian `apt-get install nftables` brings it";
    (!works).then(|| told.to_owned())
}

/// The loopback of the namespace that this process is in.
pub(crate) struct Wire;

impl Wire {
    /// Brings it up, with nothing lost and nobody cut off.
    pub(crate) async fn up() -> Result<Self> {
        let mut ip = tool("ip");
        ip.args(["link", "set", "lo", "up"]);
        run(&mut ip.into()).await?.succeeded()?;
        nft(RULES).await?;
        Ok(Self)
    }

    /// From now on so many of a hundred packets are lost, UDP and TCP.
    pub(crate) async fn lose(&self, percent: u8) -> Result<()> {
        let rule = "add rule inet bench entering iif lo meta l4proto { tcp, udp } counter name";
        let count = format!("{rule} passing");
        let lose = format!("{rule} lost drop");
        let lose = lose.replace("counter", &format!("numgen random mod 100 < {percent} counter"));
        nft(&format!("{count}\n{lose}")).await.map(drop)
    }

    /// Cuts two sides apart.
    pub(crate) async fn cut(&self, left: &[IpAddr], right: &[IpAddr]) -> Result<()> {
        let add = |set: &str, side: &[IpAddr]| {
            let side: Vec<String> = side.iter().map(ToString::to_string).collect();
            format!("add element inet bench {set} {{ {} }}", side.join(", "))
        };
        nft(&format!("{}\n{}", add("left", left), add("right", right))).await.map(drop)
    }

    /// Nobody is cut off any more.
    pub(crate) async fn heal(&self) -> Result<()> {
        nft("flush set inet bench left\nflush set inet bench right").await.map(drop)
    }

    /// Packets that came to the rule and packets that it lost.
    pub(crate) async fn counted(&self) -> Result<(u64, u64)> {
        let text = nft("list counters table inet bench").await?;
        let of = |name: &str| {
            packets(&text, name).with_context(|| format!("no counter {name} in: {text}"))
        };
        Ok((of("passing")?, of("lost")?))
    }
}

/// One transaction: all of it or nothing.
async fn nft(script: &str) -> Result<String> {
    let mut command = tool("nft");
    command.arg(script);
    Ok(run(&mut command.into()).await?.succeeded()?.stdout)
}

fn packets(text: &str, counter: &str) -> Option<u64> {
    let (_, rest) = text.split_once(&format!("counter {counter} {{"))?;
    rest.split_once("packets ")?.1.split_whitespace().next()?.parse().ok()
}

fn tool(name: &str) -> Command {
    let mut command = Command::new(name);
    let path = env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{path}:{SYSTEM_TOOLS}"));
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_read_by_name() {
        let text = "table inet bench {\n\tcounter passing {\n\t\tpackets 40 bytes 9\n\t}\n\
                    \tcounter lost {\n\t\tpackets 7 bytes 1\n\t}\n}\n";
        assert_eq!(packets(text, "passing"), Some(40));
        assert_eq!(packets(text, "lost"), Some(7));
        assert_eq!(packets(text, "other"), None);
    }
}
