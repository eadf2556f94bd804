//! Sealing and opening beside the bare cipher; encoding and decoding.

use chacha20poly1305::{
    XChaCha20Poly1305, XNonce,
    aead::{AeadInOut, KeyInit},
};
use criterion::{BatchSize, Criterion, Throughput};
use netdb_core::wire;
use netdb_gossip_core::{
    identity::{ClusterId, Generation, NodeId},
    keyring::{Key, Keyring},
    packet::{ClusterTag, Draft, open},
};
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng, SeedableRng},
};

use crate::tables::message;

/// The MTU of the simulator's figures.
const MTU: usize = 1_400;

pub(crate) fn measure(criterion: &mut Criterion) {
    sealed(criterion);
    coded(criterion);
}

/// One packet sealed and opened again, and the same bytes through the bare cipher.
fn sealed(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("packet");
    group.throughput(Throughput::Bytes(MTU as u64));
    let mut entropy = ChaCha20Rng::seed_from_u64(1);
    let keyring = Keyring::new(Key::generate(1, &mut entropy));
    let (cluster, me) = (ClusterTag::of(ClusterId([7; 16])), NodeId([1; 16]));
    let draft = || {
        let mut draft = Draft::new(MTU, NodeId([2; 16]), Generation(1), 1);
        let body = vec![5; draft.room() - 4];
        assert!(draft.push(1, &body));
        draft
    };
    group.bench_function("seal-open", |bencher| {
        bencher.iter_batched(
            draft,
            |draft| {
                let mut bytes = draft.seal(keyring.primary(), cluster, Some(me), &mut entropy);
                assert!(bytes.len() > MTU - 8);
                open(&mut bytes, cluster, me, &keyring).unwrap();
                bytes
            },
            BatchSize::SmallInput,
        );
    });
    let secret = [3; 32];
    let mut buffer = vec![5; MTU];
    group.bench_function("bare-cipher", |bencher| {
        bencher.iter(|| {
            let mut nonce = [0; 24];
            entropy.fill_bytes(&mut nonce);
            let (nonce, aad) = (XNonce::from(nonce), [0; 64]);
            let cipher = XChaCha20Poly1305::new(&secret.into());
            let tag =
                cipher.encrypt_inout_detached(&nonce, &aad, buffer.as_mut_slice().into()).unwrap();
            let cipher = XChaCha20Poly1305::new(&secret.into());
            cipher
                .decrypt_inout_detached(&nonce, &aad, buffer.as_mut_slice().into(), &tag)
                .unwrap();
        });
    });
    group.finish();
}

/// A push of ten rows.
fn coded(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("message");
    let bytes = message(&mut 0);
    let decoded = wire::decode(&bytes).unwrap();
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function("encode", |bencher| bencher.iter(|| wire::encode(&decoded)));
    group.bench_function("decode", |bencher| bencher.iter(|| wire::decode(&bytes).unwrap()));
    group.finish();
}
