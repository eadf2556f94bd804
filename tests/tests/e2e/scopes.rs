//! Two networks with different members: who is not attached holds nothing and may write nothing.

use netdb_tests::{agreement::wait_agreed_on, cluster::Cluster, rows::Table};
use netnode_api::{client::ClientError, error::Code, rows::Operation};

use crate::PATIENT;

/// netdbctl's exit code for what is not there.
const NOT_FOUND: i32 = 3;

#[tokio::test(flavor = "multi_thread")]
async fn a_network_is_only_where_it_is_attached() {
    let cluster = Cluster::start(3, PATIENT).await.unwrap();
    let [left, both, right] = &cluster.nodes[..] else { panic!("three nodes were started") };
    cluster.attach("blue", &[0, 1]).await.unwrap();
    cluster.attach("green", &[1, 2]).await.unwrap();
    let (blue, green) = (Table::owner("blue", "t"), Table::owner("green", "t"));
    blue.put(left.client(), "k", "blue").await.unwrap();
    green.put(right.client(), "k", "green").await.unwrap();
    wait_agreed_on(&[left, both], "blue", 1).await.unwrap();
    wait_agreed_on(&[both, right], "green", 1).await.unwrap();
    assert_eq!(blue.read(both.client()).await.unwrap()["k"], "blue");
    assert_eq!(green.read(both.client()).await.unwrap()["k"], "green");

    let networks = left.client().scopes().await.unwrap();
    assert!(networks.attached.iter().all(|network| network.name != "green"));
    let known: Vec<_> = networks.elsewhere.iter().map(|n| (n.name.as_str(), n.nodes)).collect();
    assert_eq!(known, [("green", 2)]);
    let write = green.write(left.client(), Operation::Upsert, "k", Some("mine")).await;
    let error = write.unwrap_err();
    let Some(ClientError::Refused(problem)) = error.downcast_ref() else { panic!("{error:#}") };
    assert_eq!(problem.code, Code::NotAttached);
    let dump = left.netdbctl(&["table", "dump", "--network", "green"]).await.unwrap();
    let dump = dump.failed_with(NOT_FOUND).unwrap();
    assert!(dump.stderr.contains("not attached to network green"), "{}", dump.told());

    // Detached, a node's rows go from the others, and the others' from it.
    let detach = right.netdbctl(&["scope", "detach", "green"]).await.unwrap();
    detach.succeeded().unwrap();
    wait_agreed_on(&[both], "green", 0).await.unwrap();
    assert!(green.read(right.client()).await.is_err());
}
