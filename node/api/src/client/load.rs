//! Sends many rows in one request, as fast as the daemon takes them.

use std::io;

use bytes::Bytes;
use http_body_util::{
    Either,
    channel::{Channel, Sender},
};
use hyper::Method;
use tokio::task::JoinHandle;

use super::{Client, ClientError, collect, good, parse};
use crate::{
    paths,
    rows::{Load, LoadRow, Loaded},
};

/// Chunks on their way that the daemon has not taken yet.
const CHUNKS_IN_FLIGHT: usize = 8;

/// Lines are sent together in chunks of about this many bytes.
const CHUNK_BYTES: usize = 16 * 1024;

/// A load under way. Dropping it without [`Loader::finish`] cuts the request short; rows that the
/// daemon has read by then are written.
pub struct Loader {
    chunk: Vec<u8>,
    body: Sender<Bytes, io::Error>,
    answer: JoinHandle<Result<Loaded, ClientError>>,
}

impl Client {
    /// Begins to load rows.
    pub fn load(&self, load: &Load) -> Loader {
        let (body, channel) = Channel::new(CHUNKS_IN_FLIGHT);
        let path = paths::with_query(paths::LOAD, &load.parameters());
        let client = self.clone();
        let answer = tokio::spawn(async move {
            let response = client.request(Method::POST, &path, Either::Right(channel)).await?;
            parse(&collect(good(response).await?).await?)
        });
        Loader { chunk: Vec::new(), body, answer }
    }
}

impl Loader {
    /// Adds a row. False when the daemon wants no more: [`Loader::finish`] tells why.
    pub async fn send(&mut self, row: &LoadRow) -> Result<bool, ClientError> {
        serde_json::to_writer(&mut self.chunk, row)
            .map_err(|error| ClientError::Broken(error.into()))?;
        self.chunk.push(b'\n');
        if self.chunk.len() < CHUNK_BYTES { Ok(true) } else { Ok(self.flush().await) }
    }

    /// Adds a blank line, which counts as a line and is no row. False as for [`Loader::send`].
    pub async fn send_blank(&mut self) -> bool {
        self.chunk.push(b'\n');
        self.chunk.len() < CHUNK_BYTES || self.flush().await
    }

    /// Says that these were all, and waits until they are safe.
    pub async fn finish(mut self) -> Result<Loaded, ClientError> {
        if !self.chunk.is_empty() {
            self.flush().await;
        }
        drop(self.body);
        match self.answer.await {
            Ok(answer) => answer,
            Err(error) => Err(ClientError::broken(error)),
        }
    }

    async fn flush(&mut self) -> bool {
        let chunk = std::mem::take(&mut self.chunk);
        self.body.send_data(chunk.into()).await.is_ok()
    }
}
