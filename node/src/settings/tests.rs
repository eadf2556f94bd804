//! Layering: who overrides whom, and what is said about mistakes.

use std::{fs, time::Duration};

use super::*;

fn sources(file: &str, variables: &[(&str, &str)], flags: &[(&'static str, &str)]) -> Sources {
    let dir = tempfile::tempdir().unwrap().keep();
    let path = dir.join("netnode.toml");
    fs::write(&path, file).unwrap();
    Sources {
        config: Some(path),
        variables: variables.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
        flags: flags.iter().map(|(n, v)| (*n, (*v).to_owned())).collect(),
    }
}

#[test]
fn nothing_said_is_the_lan_profile() {
    let resolved = Sources::default().resolve().unwrap();
    assert_eq!(resolved.settings.profile, Profile::Lan);
    assert_eq!(resolved.settings.state_dir, PathBuf::from(DEFAULT_STATE_DIR));
    assert_eq!(resolved.settings.node.gossip.mtu, 1400);
    assert_eq!(resolved.origin("mtu"), &Origin::Default);
}

#[test]
fn flags_beat_the_environment_and_that_beats_the_file() {
    let file = "mtu = 1000\nwindow = 10\nmax_retries = 1\nprofile = \"wan\"\n";
    let variables = [("NETNODE_MTU", "1100"), ("NETNODE_WINDOW", "11")];
    let resolved = sources(file, &variables, &[("mtu", "1200")]).resolve().unwrap();
    let gossip = &resolved.settings.node.gossip;
    assert_eq!((gossip.mtu, gossip.window, gossip.max_retries), (1200, 11, 1));
    // The profile comes first, wherever it is said, and what is not said follows it.
    assert_eq!(gossip.suspicion, netdb::Settings::wan().gossip.suspicion);
    assert_eq!(resolved.origin("mtu").to_string(), "flag --mtu");
    assert_eq!(resolved.origin("window").to_string(), "environment NETNODE_WINDOW");
    assert!(resolved.origin("max_retries").to_string().ends_with("netnode.toml:3"));
}

#[test]
fn a_later_profile_keeps_what_the_file_said() {
    let file = "suspicion = \"9s\"\nstate_dir = \"/x\"\n";
    let resolved = sources(file, &[("NETNODE_PROFILE", "local")], &[]).resolve().unwrap();
    assert_eq!(resolved.settings.node.gossip.suspicion, Duration::from_secs(9));
    assert_eq!(resolved.settings.state_dir, PathBuf::from("/x"));
    assert_eq!(resolved.settings.node.gossip.min_rto, netdb::Settings::local().gossip.min_rto);
}

#[test]
fn every_setting_is_read_back_from_what_it_shows() {
    for profile in ["local", "lan", "wan"] {
        let mut said = vec![("profile", profile.to_owned())];
        let before = Sources { flags: said.clone(), ..Sources::default() }.resolve().unwrap();
        let shown = |s: &'static Setting| Some((s.name, (s.get)(&before.settings)?));
        said.extend(SETTINGS.iter().filter_map(shown));
        let after = Sources { flags: said, ..Sources::default() }.resolve().unwrap();
        assert_eq!(format!("{:?}", before.settings), format!("{:?}", after.settings));
    }
}

#[test]
fn names_are_unique_and_in_one_form() {
    let mut names: Vec<_> = SETTINGS.iter().map(|setting| setting.name).collect();
    assert!(
        names.iter().all(|name| name.chars().all(|c| matches!(c, 'a'..='z' | '0'..='9' | '_')))
    );
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), SETTINGS.len());
    assert_eq!(table::find("probe_period").unwrap().flag(), "--probe-period");
    assert_eq!(table::find("probe_period").unwrap().variable(), "NETNODE_PROBE_PERIOD");
}

fn refused(file: &str, variables: &[(&str, &str)], flags: &[(&'static str, &str)]) -> String {
    sources(file, variables, flags).resolve().unwrap_err().to_string()
}

#[test]
fn mistakes_are_told_together_with_their_place() {
    let error = refused("mtuu = 1\nwindow = 1.5\n", &[("NETNODE_LISTEN", "nowhere")], &[]);
    let lines: Vec<_> = error.lines().collect();
    assert_eq!(lines.len(), 3, "{error}");
    assert!(lines[0].starts_with("mtuu (") && lines[0].contains("netnode.toml:1"), "{error}");
    assert!(lines[0].ends_with("did you mean mtu?"), "{error}");
    assert!(lines[1].contains("netnode.toml:2"), "{error}");
    let expected = "listen = nowhere (environment NETNODE_LISTEN): expected an address";
    assert!(lines[2].starts_with(expected), "{error}");
}

#[test]
fn a_value_out_of_range_names_who_said_it() {
    let error = refused("", &[], &[("mtu", "100")]);
    assert_eq!(error, "mtu = 100 (flag --mtu): must be 576 to 9000");
    let error = refused("", &[("NETNODE_FANOUT", "1")], &[]);
    assert_eq!(error, "fanout = 1 (environment NETNODE_FANOUT): must be 2 to 16");
    let error = refused("", &[], &[("takeover_after", "100ms")]);
    assert_eq!(error, "takeover_after = 100ms (flag --takeover-after): must be 1s to 10m");
    let error = refused("subnet_pool = \"fd00::/48/64\"\n", &[], &[]);
    assert!(error.ends_with("netnode.toml:1): expected addresses of IPv4"), "{error}");
    let error = refused("", &[], &[("subnet_pool", "10.0.0.0/8/4")]);
    assert!(error.ends_with("subnets of /4 can't be cut out of 10.0.0.0/8"), "{error}");
    let error = refused("", &[], &[("advertise", "0.0.0.0:1")]);
    assert!(error.starts_with("advertise = 0.0.0.0:1 (flag --advertise):"), "{error}");
}

#[test]
fn a_file_that_is_missing_or_no_toml_is_named() {
    let missing = Sources { config: Some("/nonexistent/n.toml".into()), ..Sources::default() };
    let error = missing.resolve().unwrap_err().to_string();
    assert!(error.starts_with("the configuration file /nonexistent/n.toml can't be read"));
    let error = refused("mtu = \n", &[], &[]);
    assert!(error.contains("netnode.toml is no valid TOML") && error.contains("line 1"), "{error}");
    let error = refused("[gossip]\nmtu = 1000\n", &[], &[]);
    assert!(error.contains("gossip") && error.contains("no such setting"), "{error}");
}

#[test]
fn a_file_at_the_limit_is_read_and_one_over_it_is_not() {
    let limit = usize::try_from(file::MAX_FILE).unwrap();
    let comment = |len: usize| format!("#{}", "x".repeat(len - 1));
    assert!(sources(&comment(limit), &[], &[]).resolve().is_ok());
    assert!(refused(&comment(limit + 1), &[], &[]).contains("over 1048576 bytes"));
}

#[test]
fn variables_that_name_nothing_are_told_but_do_no_harm() {
    let variables = [("NETNODE_MTUU", "1"), ("NETNODE_CONFIG", "x")];
    let resolved = sources("", &variables, &[]).resolve().unwrap();
    assert_eq!(resolved.warnings, ["environment variable NETNODE_MTUU names no setting"]);
}
