//! What the kernel says of a process: its CPU time, how long its threads waited for a core, its memory.

use std::{fs, time::Duration};

use anyhow::{Context, Result};

/// `proc_pid_stat(5)` counts in these on every system that Rust and we run on.
const TICKS_PER_SECOND: u64 = 100;

/// CPU time of a process since its start, user and system, in steps of 10 ms.
pub(crate) fn cpu(pid: u32) -> Result<Duration> {
    let stat = read(pid, "stat")?;
    let ticks = ticks_in(&stat).with_context(|| format!("reading the CPU time of {pid}"))?;
    Ok(Duration::from_millis(ticks * 1_000 / TICKS_PER_SECOND))
}

/// Resident memory in bytes.
pub(crate) fn resident(pid: u32) -> Result<u64> {
    let status = read(pid, "status")?;
    resident_in(&status).with_context(|| format!("reading the memory of {pid}"))
}

/// How many descriptors it has open.
pub(crate) fn descriptors(pid: u32) -> Result<usize> {
    let open = fs::read_dir(format!("/proc/{pid}/fd"))
        .with_context(|| format!("looking for the descriptors of {pid}"))?;
    Ok(open.count())
}

/// What the scheduler gave the threads of a process, and what it made them wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scheduled {
    pub(crate) ran: Duration,
    pub(crate) waited: Duration,
}

/// Of all threads that are there now.
pub(crate) fn scheduled(pid: u32) -> Result<Scheduled> {
    let threads = fs::read_dir(format!("/proc/{pid}/task"))
        .with_context(|| format!("looking for the threads of {pid}"))?;
    let mut sum = Scheduled::default();
    for thread in threads.filter_map(Result::ok) {
        // A thread may have ended meanwhile.
        let text = fs::read_to_string(thread.path().join("schedstat")).unwrap_or_default();
        if let Some(one) = scheduled_in(&text) {
            sum = Scheduled { ran: sum.ran + one.ran, waited: sum.waited + one.waited };
        }
    }
    Ok(sum)
}

/// How many threads wanted a core, averaged over a minute.
pub(crate) fn load() -> Option<f64> {
    fs::read_to_string("/proc/loadavg").ok()?.split(' ').next()?.parse().ok()
}

fn read(pid: u32, file: &str) -> Result<String> {
    let path = format!("/proc/{pid}/{file}");
    fs::read_to_string(&path).with_context(|| format!("reading {path}"))
}

/// Fields 14 and 15; the second, the name, may hold blanks and parentheses.
fn ticks_in(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let (user, system): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(user + system)
}

fn resident_in(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// Nanoseconds on a core, nanoseconds in a queue for one, and times that it was given one.
fn scheduled_in(text: &str) -> Option<Scheduled> {
    let mut numbers = text.split_whitespace().map(str::parse);
    let mut next = || numbers.next()?.ok().map(Duration::from_nanos);
    Some(Scheduled { ran: next()?, waited: next()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_words_are_understood() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 1 0 0 0 30 12 0 0 20 0 4 0 99 1 2 3";
        assert_eq!(ticks_in(stat), Some(42));
        assert_eq!(ticks_in("7"), None);
        assert_eq!(resident_in("Name:\tx\nVmRSS:\t    1024 kB\n"), Some(1 << 20));
        assert_eq!(resident_in("Name:\tx\n"), None);
        let expected = Scheduled { ran: Duration::from_nanos(5), waited: Duration::from_nanos(7) };
        assert_eq!(scheduled_in("5 7 9\n"), Some(expected));
        assert_eq!(scheduled_in(""), None);
    }

    #[test]
    fn this_process_is_read() {
        let own = std::process::id();
        assert!(resident(own).unwrap() > 0 && descriptors(own).unwrap() > 2);
        assert!(cpu(own).is_ok() && scheduled(own).is_ok());
        assert!(cpu(u32::MAX).is_err());
    }
}
