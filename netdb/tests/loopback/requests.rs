//! One node asks another: answered, refused, not there.

use crate::cluster::Cluster;
use netdb::{AskError, Farewell, RequestFailure, ServeError};

#[tokio::test(flavor = "multi_thread")]
async fn a_node_answers_what_it_serves() {
    let cluster = Cluster::start(2).await;
    let [one, two] = &cluster.nodes[..] else { panic!("two nodes") };
    let mut served = two.serve("double").await.unwrap();
    assert!(matches!(two.serve("double").await, Err(ServeError::Served(_))));
    let asker = one.id();
    let answering = tokio::spawn(async move {
        while let Some(request) = served.next().await {
            assert_eq!(request.from(), asker);
            let twice = [request.body(), request.body()].concat();
            request.answer(twice).await.unwrap();
        }
    });
    assert_eq!(one.ask(two.id(), "double", "ab").await.unwrap(), b"abab");
    // Too long for a frame.
    let long = vec![7; 20_000];
    assert_eq!(one.ask(two.id(), "double", long).await.unwrap().len(), 40_000);
    let refused = AskError::Unanswered(RequestFailure::Refused);
    assert_eq!(one.ask(two.id(), "other", "").await, Err(refused.clone()));
    answering.abort();
    let _ = answering.await;
    assert_eq!(one.ask(two.id(), "double", "").await, Err(refused));
    two.stop(Farewell::ShuttingDown).await.unwrap();
    assert!(one.ask(two.id(), "double", "").await.is_err());
    cluster.stop().await;
}
