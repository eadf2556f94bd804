//! `run` and `replay`: one scenario, one seed; `replay` also prints the trace, `run --trace` is the same.

use std::{
    io::{self, BufWriter, Stdout, Write},
    process::ExitCode,
    time::{Duration, Instant},
};

use clap::Args;
use netdb_gossip_core::time::Time;
use netdb_sim::{
    report,
    trace::{Event, Reader},
};

use super::{
    Network, named,
    out::{self, To},
    pages, unknown,
};

#[derive(Args)]
struct Which {
    /// Which scenario; see `list`
    #[arg(long, default_value = "create")]
    scenario: String,
    /// Hosts [default: the scenario's own]
    #[arg(long, value_name = "N")]
    nodes: Option<usize>,
    /// Decides everything that happens
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    network: Network,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(super) struct Run {
    #[command(flatten)]
    which: Which,
    /// Print the trace too, as `replay` does
    #[arg(long)]
    trace: bool,
}

#[derive(Args)]
pub(super) struct Replay {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    filter: Filter,
}

/// What of a trace is printed.
#[derive(Args, Clone, Copy, Default)]
struct Filter {
    /// Only what concerns this host, by its number or as `n3`
    #[arg(long, value_name = "HOST", value_parser = host)]
    only: Option<usize>,
    /// Only from this virtual second on
    #[arg(long, value_name = "S", value_parser = moment)]
    from: Option<Time>,
    /// Only until this virtual second
    #[arg(long, value_name = "S", value_parser = moment)]
    until: Option<Time>,
}

impl Filter {
    fn lets_through(&self, event: &Event<'_>) -> bool {
        self.from.is_none_or(|from| event.at >= from)
            && self.until.is_none_or(|until| event.at <= until)
            // That the script acts now says nothing of a host; what it does stands in the next lines.
            && self.only.is_none_or(|host| event.concerns(host) && event.what != "action")
    }
}

/// Writes the lines of a trace.
struct Printer {
    filter: Filter,
    to: BufWriter<Stdout>,
}

impl Reader for Printer {
    fn event(&mut self, event: &Event<'_>) -> bool {
        // A closed pipe ends the printing, not the run: its report is still wanted.
        !self.filter.lets_through(event) || writeln!(self.to, "{event}").is_ok()
    }
}

pub(super) fn run(options: &Run) -> ExitCode {
    go(&options.which, options.trace.then(Filter::default))
}

pub(super) fn replay(options: &Replay) -> ExitCode {
    go(&options.which, Some(options.filter))
}

fn go(which: &Which, traced: Option<Filter>) -> ExitCode {
    let Some(scenario) = named(&which.scenario).and_then(|mut all| all.pop()) else {
        return unknown(&which.scenario);
    };
    let nodes = which.nodes.unwrap_or(scenario.nodes).max(scenario.fewest());
    if let Some(host) = traced.and_then(|filter| filter.only).filter(|host| *host >= nodes) {
        out::error(format_args!("there is no n{host}: the hosts are n0 to n{}", nodes - 1));
        return ExitCode::from(2);
    }
    pages::for_world_of(nodes);
    let settings = which.network.options(which.seed, nodes);
    let command = which.network.replay(&scenario, nodes, which.seed);
    let printer =
        |filter| Box::new(Printer { filter, to: BufWriter::new(io::stdout()) }) as Box<dyn Reader>;
    let started = Instant::now();
    let report = report::run(&scenario, settings, traced.map(printer), command);
    // Beside a trace the report must not get into the way of who reads that.
    let to = if traced.is_some() { To::Error } else { To::Output };
    if which.json {
        let text = serde_json::to_string_pretty(&report).unwrap_or_default();
        to.line(format_args!("{text}"));
    } else {
        out::report(to, &report, started.elapsed());
    }
    if report.ok { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn host(text: &str) -> Result<usize, String> {
    let digits = text.strip_prefix('n').unwrap_or(text);
    digits.parse().map_err(|_| format!("{text:?} is no host; hosts are n0, n1, …"))
}

fn moment(text: &str) -> Result<Time, String> {
    let seconds: f64 = text.parse().map_err(|_| format!("{text:?} is no number of seconds"))?;
    let span = Duration::try_from_secs_f64(seconds).map_err(|what| what.to_string())?;
    Ok(Time(0) + span)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_looks_at_hosts_and_time() {
        let event = |at, host, other| Event {
            at: Time(at),
            what: "packet",
            host: Some(host),
            other,
            bytes: 0,
            words: "",
        };
        let filter =
            Filter { only: host("n3").ok(), from: moment("1").ok(), until: moment("2.5").ok() };
        assert!(filter.lets_through(&event(1_000_000, 3, None)));
        assert!(filter.lets_through(&event(2_500_000, 1, Some(3))));
        assert!(!filter.lets_through(&event(2_500_001, 3, None)));
        assert!(!filter.lets_through(&event(999_999, 3, None)));
        assert!(!filter.lets_through(&event(2_000_000, 4, Some(33))));
        assert!(Filter::default().lets_through(&event(0, 0, None)));
        let world = |what| Event { what, host: None, ..event(2_000_000, 0, None) };
        assert!(filter.lets_through(&world("heal")) && !filter.lets_through(&world("action")));
    }

    #[test]
    fn hosts_and_moments_that_make_no_sense_are_refused() {
        assert_eq!(host("12"), Ok(12));
        assert!(host("node3").is_err() && host("-1").is_err());
        assert!(moment("-1").is_err() && moment("soon").is_err() && moment("1e300").is_err());
    }
}
