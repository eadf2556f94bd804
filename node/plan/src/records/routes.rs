//! Where the routes of a node's host lead to, as far as that concerns the pools of subnets.

use alloc::vec::Vec;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::Record;
use crate::spaces::Pool;

/// The most routes that a node tells; of more, those of the largest networks.
pub const MAX_ROUTES: usize = 256;

/// What a host reaches by routes of its own: a subnet that shares addresses with these would cut it off.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoutesRecord {
    /// Where they lead to, none within another.
    pub routes: Vec<IpNet>,
}

/// What is wrong with such a record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RoutesError {
    /// Over [`MAX_ROUTES`].
    #[error("{0} routes, {MAX_ROUTES} at most")]
    TooMany(usize),
}

impl RoutesRecord {
    /// Of all routes of a host those that share addresses with a pool.
    pub fn new(routes: impl IntoIterator<Item = IpNet>, pools: &[Pool]) -> Self {
        let touches = |route: &IpNet| pools.iter().any(|pool| pool.touched_by(route).is_some());
        let routes: Vec<IpNet> = routes.into_iter().filter(touches).collect();
        let mut routes = IpNet::aggregate(&routes);
        routes.sort_by_key(|route| (route.prefix_len(), *route));
        routes.truncate(MAX_ROUTES);
        Self { routes }
    }

    /// Whether a subnet shares addresses with one of them.
    pub fn overlap(&self, subnet: &IpNet) -> bool {
        self.routes.iter().any(|route| route.contains(subnet) || subnet.contains(route))
    }
}

impl Record for RoutesRecord {
    type Error = RoutesError;

    fn check(&self) -> Result<(), RoutesError> {
        let count = self.routes.len();
        if count > MAX_ROUTES { Err(RoutesError::TooMany(count)) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use alloc::{format, string::ToString, vec};

    use super::*;
    use crate::records::{RecordError, decode, encode};

    fn net(text: &str) -> IpNet {
        text.parse().unwrap()
    }

    #[test]
    fn only_what_touches_a_pool_is_told() {
        let pools = ["10.0.0.0/8/20".parse().unwrap(), "fd00:1::/48/64".parse().unwrap()];
        let all = ["192.0.2.0/24", "10.1.2.0/24", "10.1.0.0/16", "fd00:1:0:7::/64", "fe80::/64"];
        let record = RoutesRecord::new(all.map(net), &pools);
        let told: Vec<_> = record.routes.iter().map(ToString::to_string).collect();
        assert_eq!(told, ["10.1.0.0/16", "fd00:1:0:7::/64"]);
        assert!(record.overlap(&net("10.1.16.0/20")) && record.overlap(&net("10.0.0.0/8")));
        assert!(!record.overlap(&net("10.2.0.0/20")));
        assert_eq!(decode(&encode(&record)), Ok(record));
    }

    #[test]
    fn the_largest_networks_are_told_if_there_are_too_many() {
        let pools = ["10.0.0.0/8/20".parse().unwrap()];
        // Every second one, so that none can be told together.
        let many = (0..=MAX_ROUTES).map(|n| net(&format!("10.{}.{}.0/24", n / 128, n % 128 * 2)));
        let record = RoutesRecord::new(many.chain([net("10.99.0.0/16")]), &pools);
        assert_eq!(record.routes.len(), MAX_ROUTES);
        assert_eq!(record.routes.first(), Some(&net("10.99.0.0/16")));
        let over = RoutesRecord { routes: vec![net("10.0.0.0/24"); MAX_ROUTES + 1] };
        let error = RoutesError::TooMany(MAX_ROUTES + 1);
        assert_eq!(decode::<RoutesRecord>(&encode(&over)), Err(RecordError::Routes(error)));
    }
}
