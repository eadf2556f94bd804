//! Which sandbox a path leads to: the host's own namespace as one, and one namespace by two paths.

use std::{
    path::Path,
    process::{Child, Command},
};

use netnode_api::endpoints::{Endpoint, EndpointState};

use crate::{
    daemon::{Daemon, addresses, cluster},
    lab::{Lab, inside, links},
    ping::answers,
};

fn attached(daemon: &Daemon, network: &str, name: &str, path: &str) -> Endpoint {
    let endpoint = daemon.publish(network, name, Path::new(path), &[]).unwrap();
    assert_eq!(endpoint.state, EndpointState::Ready, "{endpoint:?}");
    endpoint
}

fn refused(daemon: &Daemon, network: &str, path: &str, ports: &[&str]) -> String {
    daemon.publish(network, "refused", Path::new(path), ports).unwrap_err().to_string()
}

#[test]
fn a_host_takes_part_in_an_overlay_itself() {
    let test = "a_host_takes_part_in_an_overlay_itself";
    let Some(lab) = Lab::new(test, 2) else { return };
    let mut daemons = cluster(&lab, lab.hosts.len());
    let (near, far) = (lab.namespace("near"), lab.namespace("far"));
    let here = daemons[0].attach("web", "near", &near);
    let there = daemons[1].attach("web", "far", &far);
    let host = &lab.hosts[0].namespace;
    let before = links(host);
    let own = attached(&daemons[0], "web", "host-0", "host");
    assert_eq!((&*own.netns, &*own.interface), ("host", "nn0"));
    let all_answer = || {
        for to in addresses(&here).into_iter().chain(addresses(&there)) {
            assert!(answers(host, to, 56), "{to} from the host");
        }
        for to in addresses(&own) {
            assert!(answers(&near, to, 56) && answers(&far, to, 56), "{to}");
        }
    };
    all_answer();
    daemons[0].kill();
    daemons[0].start();
    daemons[0].until_ready(&own);
    all_answer();
    // What it has anyway.
    daemons[0].create("bridge", "own", false);
    assert!(refused(&daemons[0], "own", "host", &[]).contains("bridge driver as it is"));
    assert!(refused(&daemons[0], "web", "host", &["8080:80"]).contains("ports of its own"));
    daemons[0].ask(daemons[0].client.detach_endpoint("web", "host-0")).unwrap();
    assert_eq!(links(host), before);
    assert!(addresses(&there).into_iter().all(|to| answers(&near, to, 56)));
}

/// Something that runs in a sandbox, as a container does.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn one_namespace_by_two_paths_is_one_sandbox() {
    let test = "one_namespace_by_two_paths_is_one_sandbox";
    let Some(lab) = Lab::new(test, 1) else { return };
    let daemons = cluster(&lab, 1);
    let daemon = &daemons[0];
    let sandbox = lab.namespace("box");
    daemon.create("overlay", "more", false);
    let process = inside(&sandbox, || Command::new("sleep").arg("60").spawn().unwrap());
    let process = Process(process);
    let first = daemon.attach("web", "first", &sandbox);
    let path = format!("/proc/{}/ns/net", process.0.id());
    let second = attached(daemon, "more", "second", &path);
    assert_eq!((&second.netns, &*second.interface), (&first.netns, "eth1"));
    let mut there = links(&sandbox);
    there.sort();
    assert_eq!(there, ["eth0", "eth1", "gw0", "lo"]);
    daemon.until_ready(&first);
    // So is the host's, of which netnode's own links would go with the first comparison.
    let own = attached(daemon, "web", "own", &format!("/proc/{}/ns/net", daemon.pid()));
    assert_eq!(own.netns, "host");
    assert!(addresses(&own).into_iter().all(|to| answers(&sandbox, to, 56)));
    let file = lab.hosts[0].namespace.with_file_name("file");
    std::fs::write(&file, "").unwrap();
    let told = refused(daemon, "web", file.to_str().unwrap(), &[]);
    assert!(told.contains("is not a network namespace that can be entered"), "{told}");
}
