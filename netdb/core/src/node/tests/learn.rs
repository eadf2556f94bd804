//! What a node is told by its owner and not by peers.

use super::*;

#[test]
fn what_is_learnt_is_held_and_not_passed_on() {
    let mut net = Net::new(2);
    net.attach_all();
    net.run(Duration::from_secs(3));
    let stranger = Member {
        id: NodeId([9; 16]),
        generation: Generation(5),
        revision: 0,
        addr: ([10, 0, 0, 99], 1).into(),
    };
    let (network, lifetime) = (name("net"), Lifetime::Owner);
    let writer = |member: &Member| Writer {
        node: member.id,
        lifetime,
        generation: member.generation,
        attachment: 1,
    };
    let (theirs, own) = (writer(&stranger), writer(net.node(0).gossip().me()));
    let row = crate::entry::RowKey::of(&name("t"), lifetime, b"k", stranger.id);
    let dot = Dot { writer: theirs, sequence: 3 };
    let entry = Arc::new(Entry::new(row, dot, 1, Some(b"v"[..].into())));
    net.call(0, |node, now| {
        let received = [(theirs, 3), (own, 7)];
        node.learn(now, &[stranger], &network, &[Arc::clone(&entry)], &received);
    });
    let held = |net: &Net, index: usize| {
        let replica = &net.node(index).networks.get(&network).unwrap().replica;
        (replica.dot(&dot).cloned(), replica.digest().contiguous(&theirs))
    };
    let (known, sequence) = held(&net, 0);
    assert!(Arc::ptr_eq(&known.unwrap(), &entry) && sequence == 3, "whole, without the first two");
    let (_, seen) = net.node(0).gossip().member(stranger.id).unwrap();
    assert_eq!(seen, gossip::MemberState::Alive);
    let digest = net.node(0).networks.get(&network).unwrap().replica.digest();
    assert_eq!(digest.contiguous(&own), 0, "of its own writes it knows best");
    net.run(DELAY * 5);
    assert_eq!(held(&net, 1), (None, 0));
    net.call(0, |node, now| node.learn(now, &[], &name("other"), &[entry], &[]));
    assert!(!net.node(0).networks.contains_key(&name("other")));
}
