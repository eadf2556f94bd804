//! The `resolv.conf` that an attach writes: what it refuses, what it leaves, and what comes back.

use std::{fs, os::unix::fs::MetadataExt, path::Path};

use netnode_api::{
    client::ClientError,
    endpoints::{AttachEndpoint, Endpoint, EndpointState},
};
use nix::mount::{MsFlags, mount};

use crate::{
    daemon::{Daemon, cluster},
    lab::{Lab, links},
};

const BEFORE: &str = "nameserver 192.0.2.99\n";
const MARK: &str = "nameserver 127.0.0.11";

/// Makes a text the host's `/etc/resolv.conf`, for this test alone.
pub(crate) fn host_says(folder: &Path, text: &str) {
    let file = folder.join("of-host");
    fs::write(&file, text).unwrap();
    let nothing = None::<&Path>;
    mount(Some(&file), "/etc/resolv.conf", nothing, MsFlags::MS_BIND, nothing).unwrap();
}

/// Plugs a sandbox in whose resolvers are to read a file.
pub(crate) fn attach_with(
    daemon: &Daemon,
    network: &str,
    name: &str,
    sandbox: &Path,
    file: &Path,
) -> Result<Endpoint, ClientError> {
    let wanted = AttachEndpoint {
        network: network.to_owned(),
        name: name.to_owned(),
        netns: sandbox.to_str().unwrap().to_owned(),
        resolv_conf: Some(file.to_str().unwrap().to_owned()),
        ..AttachEndpoint::default()
    };
    daemon.ask(daemon.client.attach_endpoint(&wanted))
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

#[test]
fn what_was_in_the_file_is_back_after_detach_also_across_a_kill() {
    let test = "what_was_in_the_file_is_back_after_detach_also_across_a_kill";
    let Some(lab) = Lab::new(test, 1) else { return };
    let mut daemons = cluster(&lab, 1);
    let folder = tempfile::tempdir().unwrap();
    daemons[0].create("overlay", "back", false);
    let sandbox = lab.namespace("box");
    let file = folder.path().join("resolv.conf");
    fs::write(&file, BEFORE).unwrap();
    let inode = fs::metadata(&file).unwrap().ino();
    // Both endpoints of one sandbox name its file: it is theirs until the last of them goes.
    for network in ["web", "back"] {
        let endpoint = attach_with(&daemons[0], network, "box", &sandbox, &file).unwrap();
        assert_eq!(endpoint.state, EndpointState::Ready, "{endpoint:?}");
        assert_eq!(endpoint.resolv_conf.as_deref(), file.to_str());
        assert!(text(&file).contains(MARK), "{}", text(&file));
    }
    daemons[0].kill();
    daemons[0].start();
    assert!(text(&file).contains(MARK));
    daemons[0].ask(daemons[0].client.detach_endpoint("web", "box")).unwrap();
    assert!(text(&file).contains(MARK));
    daemons[0].ask(daemons[0].client.detach_endpoint("back", "box")).unwrap();
    assert_eq!(text(&file), BEFORE);
    assert_eq!(fs::metadata(&file).unwrap().ino(), inode);
    // What somebody changed meanwhile is theirs, and a file that was not there goes.
    let fresh = folder.path().join("fresh");
    attach_with(&daemons[0], "web", "box", &sandbox, &fresh).unwrap();
    attach_with(&daemons[0], "back", "box", &sandbox, &file).unwrap();
    fs::write(&file, "nameserver 192.0.2.98\n").unwrap();
    for network in ["web", "back"] {
        daemons[0].ask(daemons[0].client.detach_endpoint(network, "box")).unwrap();
    }
    assert!(!fresh.exists());
    assert_eq!(text(&file), "nameserver 192.0.2.98\n");
}

#[test]
fn a_file_that_can_not_be_written_is_named_and_nothing_stays_attached() {
    let test = "a_file_that_can_not_be_written_is_named_and_nothing_stays_attached";
    let Some(lab) = Lab::new(test, 1) else { return };
    let daemons = cluster(&lab, 1);
    let daemon = &daemons[0];
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    host_says(folder.path(), "nameserver 192.0.2.1\n");
    fs::create_dir(at("directory")).unwrap();
    fs::create_dir(at("frozen")).unwrap();
    let nothing = None::<&Path>;
    mount(Some("frozen"), &at("frozen"), Some("tmpfs"), MsFlags::MS_RDONLY, nothing).unwrap();
    fs::write(at("large"), "#".repeat(65_537)).unwrap();
    let sandbox = lab.namespace("box");
    for (path, told) in [
        (at("nowhere/resolv.conf"), "its folder is not there"),
        (at("directory"), "a directory"),
        (at("frozen/resolv.conf"), "read-only"),
        (at("large"), "larger than 65536 bytes"),
        (Path::new("/dev/null").to_owned(), "no regular file"),
        (Path::new("/etc/resolv.conf").to_owned(), "the host's own"),
    ] {
        let refused = attach_with(daemon, "web", "box", &sandbox, &path).unwrap_err().to_string();
        assert!(refused.contains(told) && refused.contains(path.to_str().unwrap()), "{refused}");
        assert!(daemon.ask(daemon.client.endpoints()).unwrap().is_empty(), "{told}");
        assert_eq!(links(&sandbox), ["lo"], "{told}");
    }
    // Nothing was lost by it: the name and the addresses are free.
    attach_with(daemon, "web", "box", &sandbox, &at("resolv.conf")).unwrap();
}

#[test]
fn an_address_that_no_file_can_name_is_refused() {
    let test = "an_address_that_no_file_can_name_is_refused";
    let Some(lab) = Lab::new(test, 1) else { return };
    let mut daemons = cluster(&lab, 1);
    let folder = tempfile::tempdir().unwrap();
    let (sandbox, file) = (lab.namespace("box"), folder.path().join("resolv.conf"));
    for (listen, told) in [("127.0.0.11:5353", "a port other than 53"), ("off", "not answered")] {
        daemons[0].kill();
        daemons[0].set("NETNODE_DNS_LISTEN", listen);
        daemons[0].start();
        let refused = attach_with(&daemons[0], "web", "box", &sandbox, &file).unwrap_err();
        assert!(refused.to_string().contains(told), "{refused}");
        assert!(refused.hint().unwrap().contains("--dns-listen 127.0.0.11:53"), "{refused:?}");
        assert!(daemons[0].ask(daemons[0].client.endpoints()).unwrap().is_empty());
    }
    assert!(!file.exists());
}
