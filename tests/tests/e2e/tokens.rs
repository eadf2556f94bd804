//! Tokens that don't admit: mistyped, rotated, expired, of another cluster. Each is told clearly, and
//! nothing is written.

use std::time::{SystemTime, UNIX_EPOCH};

use netdb_tests::{cluster::Cluster, node::Node, wait::until};
use netnode_api::keys::RotateToken;

use crate::PATIENT;

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_does_not_admit_is_told_and_leaves_nothing() {
    let mut cluster = Cluster::start(1, PATIENT).await.unwrap();
    let stranger = cluster.prepare_as("stranger").unwrap();
    let address = cluster.nodes[0].address();
    let refused = async |token: &str, expected: &str| {
        let ended = stranger.try_join(token, &[address]).await.unwrap().failed_with(1).unwrap();
        assert!(ended.stderr.contains(expected), "{expected:?} is not in: {}", ended.told());
        assert!(ended.stdout.is_empty(), "{}", ended.told());
        assert!(!ended.stderr.contains("panic"), "{}", ended.told());
        left_nothing(&stranger);
    };
    let token = cluster.token().to_owned();
    refused("hello", "ndb1-").await;
    refused(&token[..token.len() - 1], "").await;
    refused(&mistyped(&token), "mistyped").await;
    let other = Cluster::start(1, PATIENT).await.unwrap();
    refused(other.token(), "another cluster").await;

    let client = cluster.nodes[0].client();
    client.rotate_token(&RotateToken::default()).await.unwrap();
    refused(&token, "has been rotated").await;
    let request = RotateToken { expires_after_secs: Some(1) };
    let short = client.rotate_token(&request).await.unwrap();
    until("the token has expired", async || {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros();
        anyhow::ensure!(now > u128::from(short.expires_us.unwrap()));
        Ok(())
    })
    .await
    .unwrap();
    refused(&short.text, "has expired").await;
    assert!(cluster.nodes[0].counter("transport_joins_refused").await.unwrap() >= 3);

    // Nobody listens there.
    let nowhere = cluster.prepare_as("nowhere").unwrap().address();
    let ended = stranger.try_join(&short.text, &[nowhere]).await.unwrap().failed_with(1).unwrap();
    assert!(ended.stderr.contains("nothing listens at"), "{}", ended.told());
    left_nothing(&stranger);

    // After all of that the right one still admits.
    let good = cluster.nodes[0].client().rotate_token(&RotateToken::default()).await.unwrap();
    stranger.join(&good.text, &[address]).await.unwrap();
    let again = stranger.try_join(&good.text, &[address]).await.unwrap().failed_with(1).unwrap();
    assert!(again.stderr.contains("belongs to a cluster already"), "{}", again.told());
}

fn left_nothing(node: &Node) {
    let found: Vec<_> = node.state_dir().read_dir().into_iter().flatten().collect();
    assert!(found.is_empty(), "written: {found:?}");
}

/// One letter in the middle is another.
fn mistyped(token: &str) -> String {
    let place = token.len() / 2;
    let letter = if &token[place..=place] == "a" { "b" } else { "a" };
    format!("{}{letter}{}", &token[..place], &token[place + 1..])
}
