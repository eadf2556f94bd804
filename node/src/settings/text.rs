//! Settings as text: one way to write each kind of value, read and shown by the same code.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use netdb::Name;
use netnode_plan::spaces::{ParsePoolError, Pool};
use tracing_subscriber::EnvFilter;

/// A value that can be written in a flag, a variable or a file.
pub(super) trait Text: Sized {
    /// Reads it; the error says what is expected.
    fn read(text: &str) -> Result<Self, String>;
    /// Writes it so that it can be read again; `None` if it is not set.
    fn show(&self) -> Option<String>;
}

/// What the timings start from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// All nodes on one machine.
    Local,
    /// One data centre.
    #[default]
    Lan,
    /// Links of tens to hundreds of milliseconds.
    Wan,
}

/// Whether something is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Switch {
    /// It is.
    On,
    /// It is not.
    #[default]
    Off,
}

/// How logs look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Human,
    /// One JSON object per line.
    Json,
}

/// What is logged: a level, or a list of `target=level` as `tracing` understands it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLevel(String);

impl Default for LogLevel {
    fn default() -> Self {
        Self("info".to_owned())
    }
}

impl LogLevel {
    /// The filter that it stands for.
    pub fn to_filter(&self) -> EnvFilter {
        // Checked when it was read.
        EnvFilter::builder().parse_lossy(&self.0)
    }
}

impl Text for LogLevel {
    fn read(text: &str) -> Result<Self, String> {
        // A bare word is taken for a target by the parser, which would hide a mistyped level.
        let levels = ["off", "error", "warn", "info", "debug", "trace"];
        let bare = !text.contains(['=', ',']);
        let known = !bare || levels.contains(&text);
        match EnvFilter::builder().parse(text) {
            Ok(_) if known => Ok(Self(text.to_owned())),
            _ => Err(format!("expected {}, or a list of target=level", levels.join(", "))),
        }
    }
    fn show(&self) -> Option<String> {
        Some(self.0.clone())
    }
}

macro_rules! choice {
    ($kind:ident { $($word:literal => $variant:ident),+ }) => {
        impl Text for $kind {
            fn read(text: &str) -> Result<Self, String> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(format!("expected one of {}", [$($word),+].join(", "))),
                }
            }
            fn show(&self) -> Option<String> {
                Some(match self { $(Self::$variant => $word),+ }.to_owned())
            }
        }
        impl fmt::Display for $kind {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$variant => $word),+ })
            }
        }
    };
}
choice!(Profile { "local" => Local, "lan" => Lan, "wan" => Wan });
choice!(Switch { "on" => On, "off" => Off });
choice!(LogFormat { "human" => Human, "json" => Json });

const UNITS: [(&str, u64); 6] = [
    ("us", 1),
    ("ms", 1000),
    ("s", 1_000_000),
    ("m", 60_000_000),
    ("h", 3_600_000_000),
    ("d", 86_400_000_000),
];

impl Text for Duration {
    fn read(text: &str) -> Result<Self, String> {
        let expected =
            || "expected a whole number and a unit, as in 150ms, 2s, 30m, 12h".to_owned();
        let (number, unit) = text.split_at(text.trim_end_matches(char::is_alphabetic).len());
        let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(expected)?;
        let number: u64 = number.trim_end().parse().map_err(|_| expected())?;
        number.checked_mul(*factor).map(Self::from_micros).ok_or_else(expected)
    }
    fn show(&self) -> Option<String> {
        let micros = u64::try_from(self.as_micros()).unwrap_or(u64::MAX);
        let whole = UNITS.iter().rev().find(|(_, factor)| micros.is_multiple_of(*factor));
        let (unit, factor) = whole.copied().unwrap_or(("us", 1));
        Some(if micros == 0 { "0s".to_owned() } else { format!("{}{unit}", micros / factor) })
    }
}

/// A time span, or `never`.
impl Text for Option<Duration> {
    fn read(text: &str) -> Result<Self, String> {
        match text {
            "never" => Ok(None),
            text => Duration::read(text).map(Some).map_err(|error| format!("{error}, or never")),
        }
    }
    fn show(&self) -> Option<String> {
        self.as_ref().map_or_else(|| Some("never".to_owned()), Text::show)
    }
}

impl Text for usize {
    fn read(text: &str) -> Result<Self, String> {
        let units = [("KiB", 1_usize << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("", 1)];
        let (number, factor) = units
            .iter()
            .find_map(|(unit, factor)| Some((text.strip_suffix(unit)?.trim_end(), *factor)))
            .unwrap_or((text, 1));
        let number: Option<Self> = number.replace('_', "").parse().ok();
        number
            .and_then(|number| number.checked_mul(factor))
            .ok_or_else(|| "expected a whole number, with KiB, MiB or GiB for bytes".to_owned())
    }
    fn show(&self) -> Option<String> {
        Some(self.to_string())
    }
}

impl Text for u32 {
    fn read(text: &str) -> Result<Self, String> {
        text.replace('_', "").parse().map_err(|_| "expected a whole number".to_owned())
    }
    fn show(&self) -> Option<String> {
        Some(self.to_string())
    }
}

impl Text for PathBuf {
    fn read(text: &str) -> Result<Self, String> {
        if text.is_empty() { Err("expected a path".to_owned()) } else { Ok(text.into()) }
    }
    fn show(&self) -> Option<String> {
        Some(self.display().to_string())
    }
}

/// An address, with its usual port unless it says another.
pub(super) fn address(text: &str, usual_port: u16) -> Option<SocketAddr> {
    let with_usual = |ip: IpAddr| SocketAddr::new(ip, usual_port);
    text.parse().ok().or_else(|| text.parse().ok().map(with_usual))
}

impl Text for SocketAddr {
    fn read(text: &str) -> Result<Self, String> {
        address(text, netdb::DEFAULT_PORT).ok_or_else(|| {
            "expected an address, as in 10.0.0.1:7940, [fd00::1]:7940, 10.0.0.1".into()
        })
    }
    fn show(&self) -> Option<String> {
        Some(self.to_string())
    }
}

/// Where metrics are served: reached from this host only, since they are told to whoever asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetricsAddress(SocketAddr);

impl MetricsAddress {
    /// The address, always a loopback one.
    pub fn get(self) -> SocketAddr {
        self.0
    }
}

impl Text for MetricsAddress {
    fn read(text: &str) -> Result<Self, String> {
        let address = text.parse().ok().filter(|address: &SocketAddr| address.ip().is_loopback());
        address.map(Self).ok_or_else(|| {
            "expected a loopback address with a port, as in 127.0.0.1:9740: metrics are told to \
             whoever asks, so they are for this host only"
                .into()
        })
    }
    fn show(&self) -> Option<String> {
        Some(self.0.to_string())
    }
}

impl Text for Name {
    fn read(text: &str) -> Result<Self, String> {
        Self::new(text).map_err(|error| error.to_string())
    }
    fn show(&self) -> Option<String> {
        Some(self.to_string())
    }
}

impl Text for String {
    fn read(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }
    fn show(&self) -> Option<String> {
        Some(self.clone())
    }
}

macro_rules! unset_if_empty {
    ($($kind:ty),+) => {$(
        impl Text for Option<$kind> {
            fn read(text: &str) -> Result<Self, String> {
                if text.is_empty() { Ok(None) } else { Text::read(text).map(Some) }
            }
            fn show(&self) -> Option<String> {
                self.as_ref().and_then(Text::show)
            }
        }
    )+};
}
unset_if_empty!(SocketAddr, MetricsAddress, Name, String, Pool4, Pool6);

macro_rules! pool {
    ($kind:ident $version:ident $family:literal) => {
        impl Text for $kind {
            fn read(text: &str) -> Result<Self, String> {
                let pool: Pool = text.parse().map_err(|error: ParsePoolError| error.to_string())?;
                match pool.base().addr().$version() {
                    true => Ok(Self(pool)),
                    false => Err(format!("expected addresses of {}", $family)),
                }
            }
            fn show(&self) -> Option<String> {
                Some(self.0.to_setting())
            }
        }
    };
}
pool!(Pool4 is_ipv4 "IPv4");
pool!(Pool6 is_ipv6 "IPv6");

/// Subnets of IPv4 for networks that name none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool4(pub(crate) Pool);

/// Subnets of IPv6 for networks that name none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool6(pub(crate) Pool);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_spans_are_read_and_shown_alike() {
        for text in ["150ms", "2s", "30m", "12h", "1d", "5us", "0s", "90s"] {
            let span = Duration::read(text).unwrap();
            assert_eq!(Duration::read(&span.show().unwrap()), Ok(span), "{text}");
        }
        assert_eq!(Duration::from_hours(12).show().as_deref(), Some("12h"));
        assert_eq!(Duration::read("90s").unwrap().show().as_deref(), Some("90s"));
        for wrong in ["", "s", "1", "1.5s", "-1s", "1w", "99999999999999999d"] {
            assert!(Duration::read(wrong).is_err(), "{wrong}");
        }
        assert_eq!(Option::<Duration>::read("never"), Ok(None));
    }

    #[test]
    fn numbers_may_have_units_of_bytes() {
        assert_eq!(usize::read("64KiB"), Ok(65_536));
        assert_eq!(usize::read("1_000"), Ok(1000));
        assert!(usize::read("64KB").is_err());
        assert!(usize::read("99999999999999999999GiB").is_err());
    }

    #[test]
    fn addresses_may_leave_out_the_usual_port() {
        let usual = netdb::DEFAULT_PORT;
        let read = |text: &str| SocketAddr::read(text).map(|addr| addr.to_string());
        assert_eq!(read("10.0.0.1:1"), Ok("10.0.0.1:1".to_owned()));
        assert_eq!(read("10.0.0.1"), Ok(format!("10.0.0.1:{usual}")));
        assert_eq!(read("fd00::1"), Ok(format!("[fd00::1]:{usual}")));
        assert!(read("host").is_err());
    }

    #[test]
    fn metrics_are_for_this_host_only() {
        for good in ["127.0.0.1:9740", "127.9.9.9:1", "[::1]:9740"] {
            assert_eq!(MetricsAddress::read(good).unwrap().show().as_deref(), Some(good));
        }
        for wrong in ["0.0.0.0:9740", "[::]:9740", "10.0.0.1:9740", "127.0.0.1", "localhost:1"] {
            assert!(MetricsAddress::read(wrong).unwrap_err().contains("loopback"), "{wrong}");
        }
        assert_eq!(Option::<MetricsAddress>::read(""), Ok(None));
    }

    #[test]
    fn a_mistyped_level_is_refused() {
        assert!(LogLevel::read("debug").is_ok());
        assert!(LogLevel::read("netdb=trace,info").is_ok());
        assert!(LogLevel::read("debgu").is_err());
        assert!(LogLevel::read("netdb=loud").is_err());
    }
}
