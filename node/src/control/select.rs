//! From the parameters of a request to a filter on rows.

use netdb::{Filter, Name, Row};
use netnode_api::{
    error::{Code, Problem},
    rows::RowQuery,
};

use super::{
    Control,
    convert::to_lifetime,
    names::Names,
    problem::{Refused, not_attached},
};

/// What is asked for, and who is called what.
pub(super) struct Selection {
    pub(super) filter: Filter,
    /// Of the keys that the filter selects, only this one.
    key: Option<Vec<u8>>,
    pub(super) names: Names,
}

impl Selection {
    pub(super) fn selects(&self, row: &Row) -> bool {
        self.selects_key(&row.entry.row.key)
    }

    pub(super) fn selects_key(&self, key: &[u8]) -> bool {
        self.key.as_ref().is_none_or(|wanted| wanted == key)
    }
}

impl Control {
    pub(super) async fn select(&self, query: &RowQuery) -> Result<Selection, Refused> {
        let names = Names::ask(&self.db).await?;
        if query.key.is_some() && query.prefix.is_some() {
            let message = "a key and a prefix can't be asked for together";
            return Err(Problem::new(Code::Invalid, message).into());
        }
        let undecodable = |error| Problem::new(Code::Invalid, format!("key or prefix: {error}"));
        let bytes = query.prefix_bytes().map_err(undecodable)?;
        let network = query.network.as_deref().map(Name::new).transpose()?;
        if let Some(network) = &network {
            let attached = self.db.network(network.as_str()).await?;
            attached.ok_or_else(|| not_attached(network.as_str()))?;
        }
        let filter = Filter {
            network,
            table: query.table.as_deref().map(Name::new).transpose()?,
            lifetime: query.lifetime.map(to_lifetime),
            prefix: bytes.clone(),
            owner: query.owner.as_deref().map(|owner| names.find(owner)).transpose()?,
            include_failed: query.failed,
        };
        Ok(Selection { filter, key: query.key.is_some().then_some(bytes), names })
    }
}
