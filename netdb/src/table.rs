//! A table of a network: writes that are acknowledged when they are as safe as promised, reads, watches.

use std::sync::Arc;

use netdb_core::{
    entry::Lifetime,
    node::{Operation, Receipt, Write, WriteError as Refused},
    view::{Filter, Row},
};
use netdb_gossip_core::identity::Name;

use crate::{
    db::{NetDb, Stopped},
    storage::StorageError,
    watch::{Watch, WatchError},
};

/// Rows of one key that are asked for at a time: as many owners as most keys have.
const GET_PAGE: usize = 64;

/// Why a write was not acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// The caller asked for something that can't be; nothing changed.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The disk takes nothing at present, and a `Cluster` row must be on it; nothing changed. Write
    /// again when [`NetDb::info`] shows the storage healthy.
    #[error("the write needs the disk, which takes none: {0}")]
    Storage(StorageError),
    /// The write was made and peers may have it, but this disk failed before it was there. The node
    /// goes on trying to store it; writing it again does no harm.
    #[error("the write was made, but is not on disk yet: {error}")]
    NotDurable {
        /// The write.
        receipt: Receipt,
        /// What is wrong with the disk.
        error: StorageError,
    },
    /// The node was stopped, perhaps after it made the write.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// A named map from keys to values in one network.
#[derive(Clone, Debug)]
pub struct Table {
    db: NetDb,
    network: Name,
    name: Name,
    lifetime: Lifetime,
}

impl Table {
    pub(crate) fn new(db: NetDb, network: Name, name: Name, lifetime: Lifetime) -> Self {
        Self { db, network, name, lifetime }
    }

    /// Its name.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Who may write its rows, and how long they live.
    pub fn lifetime(&self) -> Lifetime {
        self.lifetime
    }

    /// Writes a row that is not there. Of a `Cluster` row this promises that no node was known here
    /// to have written it; two nodes that create one at the same moment both succeed, and the later stamp
    /// stands.
    pub async fn create(
        &self,
        key: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
    ) -> Result<Receipt, WriteError> {
        self.write(Operation::Create, key.as_ref(), value.as_ref()).await
    }

    /// Changes a row that is there.
    pub async fn update(
        &self,
        key: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
    ) -> Result<Receipt, WriteError> {
        self.write(Operation::Update, key.as_ref(), value.as_ref()).await
    }

    /// Writes a row, whether it is there or not.
    pub async fn upsert(
        &self,
        key: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
    ) -> Result<Receipt, WriteError> {
        self.write(Operation::Upsert, key.as_ref(), value.as_ref()).await
    }

    /// Deletes a row that is there.
    pub async fn delete(&self, key: impl AsRef<[u8]>) -> Result<Receipt, WriteError> {
        self.write(Operation::Delete, key.as_ref(), &[]).await
    }

    /// The rows of a key: at most one of a `Cluster` table, one per owner of an `Owner` table.
    pub async fn get(&self, key: impl AsRef<[u8]>) -> Result<Vec<Row>, Stopped> {
        let key = key.as_ref();
        let filter = self.filter(key);
        let mut found: Vec<Row> = Vec::new();
        loop {
            let after = found.last().map(|row| (&self.network, &row.entry.row));
            let page = self.db.rows_page(&filter, after, GET_PAGE).await?;
            // The key itself comes before all longer ones that it begins.
            let before = found.len();
            found.extend(
                page.into_iter().map(|(_, row)| row).take_while(|row| *row.entry.row.key == *key),
            );
            if found.len() < before + GET_PAGE {
                return Ok(found);
            }
        }
    }

    /// The rows whose key starts with `prefix`, in the order of key and owner.
    pub async fn list(&self, prefix: impl AsRef<[u8]>) -> Result<Vec<Row>, Stopped> {
        let rows = self.db.rows(self.filter(prefix.as_ref())).await?;
        Ok(rows.into_iter().map(|(_, row)| row).collect())
    }

    /// Watches the whole table.
    pub async fn watch(&self) -> Result<Watch, WatchError> {
        self.watch_prefix([]).await
    }

    /// Watches the rows whose key starts with `prefix`.
    pub async fn watch_prefix(&self, prefix: impl AsRef<[u8]>) -> Result<Watch, WatchError> {
        self.db.watch(self.filter(prefix.as_ref())).await
    }

    /// What selects this table's rows, to be narrowed or widened further.
    pub fn filter(&self, prefix: &[u8]) -> Filter {
        Filter {
            network: Some(self.network.clone()),
            table: Some(self.name.clone()),
            lifetime: Some(self.lifetime),
            prefix: prefix.to_vec(),
            ..Filter::default()
        }
    }

    async fn write(
        &self,
        operation: Operation,
        key: &[u8],
        value: &[u8],
    ) -> Result<Receipt, WriteError> {
        let write = Write {
            network: self.network.clone(),
            table: self.name.clone(),
            lifetime: self.lifetime,
            key: key.to_vec(),
            operation,
            value: Arc::from(value),
        };
        self.db.call_later(move |driver, reply| driver.write(write, reply)).await?
    }
}
