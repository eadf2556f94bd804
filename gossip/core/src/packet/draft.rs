//! A packet in the making: frames go in while there is room, then it is sealed where it lies.
//!
//! One draft is one byte budget: everything that shares a packet is counted here and nowhere else.

use alloc::vec::Vec;

use chacha20poly1305::{
    XChaCha20Poly1305, XNonce,
    aead::{AeadInOut, KeyInit},
};
use rand::CryptoRng;

use super::{
    ClusterTag, FrameQueue, Framed, MAX_MTU, MIN_MTU, TAG_LEN, frame,
    header::{self, Aad, Header, NONCE_LEN},
    varint,
};
use crate::{
    identity::{Generation, NodeId},
    keyring::Key,
};

/// A packet that is being filled.
#[derive(Debug)]
pub struct Draft {
    bytes: Vec<u8>,
    /// Length of `bytes` with no frame in it.
    empty: usize,
    /// The most that `bytes` may hold: the packet size less the tag.
    budget: usize,
}

impl Draft {
    /// An empty packet of at most `mtu` bytes (held between [`MIN_MTU`] and [`MAX_MTU`]).
    pub fn new(mtu: usize, sender: NodeId, generation: Generation, number: u64) -> Self {
        let mtu = mtu.clamp(MIN_MTU, MAX_MTU);
        let mut bytes = Vec::with_capacity(mtu);
        bytes.resize(header::LEN, 0);
        bytes.extend_from_slice(&sender.0);
        varint::put(generation.0, &mut bytes);
        varint::put(number, &mut bytes);
        Self { empty: bytes.len(), bytes, budget: mtu - TAG_LEN }
    }

    /// Bytes left for frames, their kind and length included.
    pub fn room(&self) -> usize {
        self.budget.saturating_sub(self.bytes.len())
    }

    #[cfg(test)]
    pub(super) fn buffer(&self) -> &Vec<u8> {
        &self.bytes
    }

    /// Whether no frame is in it yet.
    pub fn is_empty(&self) -> bool {
        self.bytes.len() == self.empty
    }

    /// Whether a frame with a body of `len` bytes has room.
    pub fn fits(&self, len: usize) -> bool {
        frame::cost(len) <= self.room()
    }

    /// Appends a frame; `false`, and nothing changed, if it does not fit.
    #[must_use]
    pub fn push(&mut self, kind: u8, body: &[u8]) -> bool {
        self.push_parts(kind, &[body])
    }

    /// As [`Draft::push`], the body in pieces.
    #[must_use]
    pub fn push_parts(&mut self, kind: u8, parts: &[&[u8]]) -> bool {
        let len = parts.iter().map(|part| part.len()).sum();
        let fits = self.fits(len);
        if fits {
            frame::put(kind, len, parts, &mut self.bytes);
        }
        fits
    }

    /// Moves frames from the queues into this packet while they fit: the first queue first, each in its
    /// order. A queue whose next frame does not fit keeps it (that one leads the next packet), and
    /// those after it use what room is left. `packed` gets every frame that went in, with its queue's
    /// position; what it does not get is still queued. The queues must have been made for packets no
    /// larger than this one, else a frame could wait for ever.
    pub fn fill<T: Framed>(
        &mut self,
        queues: &mut [&mut FrameQueue<T>],
        mut packed: impl FnMut(usize, T),
    ) {
        for (position, queue) in queues.iter_mut().enumerate() {
            while let Some(frame) = queue.pop_if(|frame| self.push(frame.kind(), frame.body())) {
                packed(position, frame);
            }
        }
    }

    /// Seals the packet with `key` for `to`, or for whoever has the key. The nonce is drawn from
    /// `entropy`: see the [module](super) for what that must be.
    pub fn seal(
        mut self,
        key: &Key,
        cluster: ClusterTag,
        to: Option<NodeId>,
        entropy: &mut dyn CryptoRng,
    ) -> Vec<u8> {
        let mut nonce = [0; NONCE_LEN];
        entropy.fill_bytes(&mut nonce);
        let header = Header { addressed: to.is_some(), cluster, key: key.id(), nonce }.to_bytes();
        let aad = Aad::new(&header, to);
        let Some((head, body)) = self.bytes.split_first_chunk_mut::<{ header::LEN }>() else {
            return Vec::new();
        };
        *head = header;
        let cipher = XChaCha20Poly1305::new(key.secret().into());
        match cipher.encrypt_inout_detached(&XNonce::from(nonce), aad.as_slice(), body.into()) {
            Ok(tag) => self.bytes.extend_from_slice(&tag),
            // Only over 256 GiB; and then it must not leave in clear.
            Err(_) => self.bytes.clear(),
        }
        self.bytes
    }
}
