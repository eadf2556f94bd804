//! Tools that the lanes need and a fresh machine lacks: installed once, by cargo or rustup, and on a Debian of
//! which we are root by apt.
//!
//! Must never fail a lane for a client of the data plane: the tests that need it say what they left out.

use std::{
    env,
    ffi::OsStr,
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};
use nix::unistd::geteuid;

use crate::shell::{Shell, cargo, root, works};

/// The version that `deny.toml` is written for.
const CARGO_DENY: &str = "0.20.2";
/// The version whose way of building `fuzz` counts on.
const CARGO_FUZZ: &str = "0.13.2";
/// What the tests of the data plane run, and the package of Debian that has it.
const CLIENTS: [(&str, &str); 10] = [
    ("ip", "iproute2"),
    ("nft", "nftables"),
    ("iptables-legacy", "iptables"),
    ("dig", "bind9-dnsutils"),
    ("dnsmasq", "dnsmasq-base"),
    ("musl-gcc", "musl-tools"),
    ("curl", "curl"),
    ("haproxy", "haproxy"),
    ("iperf3", "iperf3"),
    ("nc", "netcat-openbsd"),
];
/// What a virtual machine with another kernel takes.
const MACHINE: [(&str, &str); 5] = [
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("busybox", "busybox-static"),
    ("cpio", "cpio"),
    ("modprobe", "kmod"),
    ("xz", "xz-utils"),
];
/// Where tools of administrators are, which are in the path of few others.
const SYSTEM_TOOLS: [&str; 2] = ["/usr/sbin", "/sbin"];
/// What one command of apt may take, in seconds: a mirror that is silent must not cost a lane its time.
const APT_LIMIT_S: &str = "120";

/// Makes a component of the toolchain (`clippy`, `rustfmt`) available as `cargo COMMAND`.
pub(crate) fn component(shell: &Shell, name: &str, command: &str) -> Result<()> {
    if works(&mut cargo([command, "--version"])) {
        return Ok(());
    }
    shell
        .run(Command::new("rustup").args(["component", "add", name]))
        .with_context(|| format!("`cargo {command}` is missing: install the component {name}"))
}

/// Makes `cargo deny` available in the version that the configuration is written for.
pub(crate) fn cargo_deny(shell: &Shell) -> Result<()> {
    subcommand(shell, "deny", CARGO_DENY)
}

/// Makes `cargo fuzz` available.
pub(crate) fn cargo_fuzz(shell: &Shell) -> Result<()> {
    subcommand(shell, "fuzz", CARGO_FUZZ)
}

fn subcommand(shell: &Shell, name: &str, version: &str) -> Result<()> {
    let installed = said(&mut cargo([name, "--version"]));
    if installed.and_then(|text| Some(text.trim().rsplit(' ').next()? == version)) == Some(true) {
        return Ok(());
    }
    // Without optimisation: it takes half the time to build, and runs for seconds.
    shell.run(&mut cargo(["install", "--locked", "--debug", &format!("cargo-{name}@{version}")]))
}

/// A command of the nightly toolchain, whichever one cargo runs us with.
pub(crate) fn nightly(words: &[&str]) -> Command {
    let mut command = Command::new("rustup");
    command.args(["run", "nightly"]).args(words);
    for ours in ["CARGO", "RUSTC", "RUSTDOC", "RUSTUP_TOOLCHAIN"] {
        command.env_remove(ours);
    }
    command
}

/// What the nightly compiler builds for by itself. A whole toolchain is for its user to install.
pub(crate) fn nightly_host() -> Result<String> {
    let text = said(&mut nightly(&["rustc", "--version", "--verbose"])).unwrap_or_default();
    match text.lines().find_map(|line| line.strip_prefix("host: ")) {
        Some(host) => Ok(host.to_owned()),
        None => bail!(
            "this needs the nightly compiler, and rustup has none: \
             `rustup toolchain install nightly --profile minimal`"
        ),
    }
}

/// libFuzzer is built from its source.
pub(crate) fn cpp() -> Result<()> {
    let compiler = env::var_os("CXX").unwrap_or_else(|| "c++".into());
    if works(Command::new(&compiler).arg("--version")) {
        return Ok(());
    }
    bail!(
        "fuzzing needs a C++ compiler, for libFuzzer, and {} does not run: install g++ or clang++, or \
         name yours in $CXX",
        compiler.display()
    )
}

/// Installs what the tests of the data plane run, where something is missing and that may be done.
///
/// Without success the tests leave something out, and say so: it is no failure of a lane.
pub(crate) fn clients(shell: &Shell) {
    install(shell, &CLIENTS);
}

/// The same of what `tests/vm/run` needs, which says what is missing after all.
pub(crate) fn machine(shell: &Shell) {
    install(shell, &MACHINE);
}

fn install(shell: &Shell, programs: &[(&str, &'static str)]) {
    let path = env::var_os("PATH").unwrap_or_default();
    let packages = lacking(programs, &path);
    if packages.is_empty() {
        return;
    }
    let missing = packages.join(" ");
    if !geteuid().is_root() || !works(Command::new("apt-get").arg("--version")) {
        println!("missing, and only root can install it by apt-get: {missing}");
        return;
    }
    let install = || {
        let words = ["install", "--yes", "--no-install-recommends"];
        shell.run(apt(&words).args(&packages))
    };
    // An image often has no lists of packages, or old ones.
    let installed =
        install().or_else(|_| shell.run(&mut apt(&["update"])).and_then(|()| install()));
    if let Err(error) = installed {
        println!("not installed: {missing}: {error:#}");
    }
}

/// The packages of what is in none of the folders of a path.
fn lacking(programs: &[(&str, &'static str)], path: &OsStr) -> Vec<&'static str> {
    let system = SYSTEM_TOOLS.iter().map(PathBuf::from);
    let folders: Vec<PathBuf> = env::split_paths(path).chain(system).collect();
    let has = |program: &str| folders.iter().any(|folder| folder.join(program).is_file());
    programs.iter().filter(|(program, _)| !has(program)).map(|(_, package)| *package).collect()
}

/// A command of apt that asks nothing and ends in time.
fn apt(words: &[&str]) -> Command {
    let mut command = Command::new("timeout");
    command.args(["--kill-after=10", APT_LIMIT_S, "apt-get", "--quiet"]).args(words);
    command.env("DEBIAN_FRONTEND", "noninteractive");
    command
}

/// What a command prints, if it succeeds.
fn said(command: &mut Command) -> Option<String> {
    let output = command.current_dir(root()).stdin(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8(output.stdout).ok())?
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_is_in_no_folder_of_the_path_is_lacking() {
        let folder = tempfile::tempdir().unwrap();
        let [one, two] = ["one", "two"].map(|name| folder.path().join(name));
        for (at, program) in [(&one, "dig"), (&two, "musl-gcc")] {
            fs::create_dir_all(at).unwrap();
            fs::write(at.join(program), "").unwrap();
        }
        // A folder of that name is no program.
        fs::create_dir(two.join("curl")).unwrap();
        let lacking = lacking(&CLIENTS, &env::join_paths([one, two]).unwrap());
        assert!(lacking.contains(&"curl"), "{lacking:?}");
        assert!(!lacking.contains(&"bind9-dnsutils"), "{lacking:?}");
        assert!(!lacking.contains(&"musl-tools"), "{lacking:?}");
    }

    #[test]
    fn a_command_of_apt_is_bounded_in_time() {
        let apt = apt(&["update"]);
        assert_eq!(apt.get_program(), "timeout");
        assert!(apt.get_args().any(|word| word == APT_LIMIT_S));
    }
}
