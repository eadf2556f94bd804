//! Round-trip time and retransmission timeout of one peer, after RFC 6298.
//!
//! Every repetition has a packet number of its own, so every ack is a valid sample (no Karn's rule).

use core::time::Duration;

use crate::config::Config;

/// The timeout is doubled at most this often.
pub(crate) const MAX_BACKOFF: u32 = 6;
/// No timeout is longer than this.
const MAX_RTO: Duration = Duration::from_mins(1);

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rtt {
    /// Smoothed round trip and its mean deviation.
    estimate: Option<(Duration, Duration)>,
}

impl Rtt {
    pub(crate) fn sample(&mut self, rtt: Duration) {
        let rtt = rtt.min(MAX_RTO);
        self.estimate = Some(match self.estimate {
            None => (rtt, rtt / 2),
            Some((smoothed, deviation)) => {
                let error = smoothed.abs_diff(rtt);
                (smoothed * 7 / 8 + rtt / 8, deviation * 3 / 4 + error / 4)
            }
        });
    }

    pub(crate) fn smoothed(&self) -> Option<Duration> {
        self.estimate.map(|(smoothed, _)| smoothed)
    }

    /// The timeout after `backoff` timeouts in a row. A peer that was never measured is taken to be like
    /// the others; the spread among them makes its timeout wide where they differ.
    ///
    /// The first repetition waits no longer than the first sending did: one loss is chance, two are a sign.
    pub(crate) fn timeout(&self, backoff: u32, others: &Self, config: &Config) -> Duration {
        let rto = match self.estimate.or(others.estimate) {
            None => config.initial_rto,
            // The granularity of RFC 6298 (2.3) is `min_rto`'s job here.
            Some((smoothed, deviation)) => (smoothed + deviation * 4).max(config.min_rto),
        };
        (rto * (1 << backoff.saturating_sub(1).min(MAX_BACKOFF))).min(MAX_RTO)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_timeout_follows_the_samples_and_backs_off() {
        let ms = Duration::from_millis;
        let config = Config { min_rto: ms(5), initial_rto: ms(30), ..Config::lan() };
        let (mut rtt, unknown) = (Rtt::default(), Rtt::default());
        assert_eq!(rtt.timeout(0, &unknown, &config), ms(30));
        assert_eq!(rtt.timeout(1, &unknown, &config), ms(30));
        assert_eq!(rtt.timeout(3, &unknown, &config), ms(120));
        rtt.sample(ms(8));
        assert_eq!(rtt.smoothed(), Some(ms(8)));
        assert_eq!(rtt.timeout(0, &unknown, &config), ms(24));
        assert_eq!(unknown.timeout(0, &rtt, &config), ms(24), "like the others");
        (0..100).for_each(|_| rtt.sample(ms(1)));
        assert_eq!(rtt.timeout(0, &unknown, &config), ms(5));
        assert_eq!(rtt.timeout(99, &unknown, &config), ms(5 * 64));
        (0..20).for_each(|_| rtt.sample(Duration::MAX));
        assert_eq!(rtt.timeout(6, &unknown, &config), MAX_RTO);
    }
}
