//! Tables of `iptables-legacy`, which nobody can read by netlink: that they are there is told.

use std::process::Command;

use netdb_tests::skips;

use crate::{
    daemon::{members, until},
    lab::{Lab, inside},
};

#[test]
fn tables_of_iptables_legacy_are_told_of() {
    let test = "tables_of_iptables_legacy_are_told_of";
    let Some(lab) = Lab::new(test, 1) else { return };
    // Asking for a table makes it.
    let used = inside(&lab.hosts[0].namespace, || {
        Command::new("iptables-legacy").args(["-t", "filter", "-S"]).output()
    });
    if !used.is_ok_and(|used| used.status.success()) {
        return skips::left_to_vm(test, "iptables-legacy or its part of the kernel is missing");
    }
    let daemons = members(&lab, 1);
    let told = "iptables-legacy is in use on this host (table ip filter)";
    until("it is told", || daemons[0].log().matches(told).count() == 1);
}
