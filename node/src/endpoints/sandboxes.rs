//! Which sandbox a path leads to, and what an interface is called there.

use std::io;

use netnode_plan::{
    host::HOST,
    records::{Driver, LinkName, LinkNameError},
};

use super::{Endpoints, attach::Wish};
use crate::kernel::namespace_id;

/// Why nothing can be plugged in there.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SandboxError {
    #[error("{path} is not a network namespace that can be entered: {error}")]
    Path { path: String, error: io::Error },
    #[error("the host is on networks of the bridge driver as it is, by their gateways")]
    HostOnBridge,
    #[error("that can't be for the host itself: it has {0} of its own")]
    OfHost(&'static str),
}

impl Endpoints {
    /// What a path leads to: the host's own namespace, or one that has endpoints already, is called as it was,
    /// whichever path leads there. By two names it would be two sandboxes, each without what the other has.
    pub(super) fn sandbox_at(&self, path: String) -> Result<String, SandboxError> {
        let id = match namespace_id(&path) {
            Ok(id) => id,
            Err(error) => return Err(SandboxError::Path { path, error }),
        };
        let known = self.list().into_iter().map(|endpoint| endpoint.local.sandbox);
        let mut known = known.chain([HOST.to_owned()]);
        let same = |known: &String| namespace_id(known).is_ok_and(|known| known == id);
        Ok(known.find(same).unwrap_or(path))
    }

    /// The first ethN that none of our endpoints has in a sandbox. The host has such links of its own: there it is
    /// another name.
    pub(super) fn free_interface(&self, sandbox: &str) -> Result<LinkName, LinkNameError> {
        let all = self.list();
        let kind = if sandbox == HOST { "nn" } else { "eth" };
        let taken = |name: &str| {
            let mut here = all.iter().filter(|e| e.local.sandbox == sandbox);
            here.any(|e| e.local.interfaces().any(|taken| taken.as_str() == name))
        };
        // Of more names than there are interfaces, one is free.
        let free = (0..=2 * all.len()).map(|n| format!("{kind}{n}")).find(|name| !taken(name));
        LinkName::new(&free.unwrap_or_default())
    }
}

/// What an endpoint in the host's own namespace can't have.
pub(super) fn check_host(driver: Driver, wish: &Wish) -> Result<(), SandboxError> {
    if driver == Driver::Bridge {
        return Err(SandboxError::HostOnBridge);
    }
    if !wish.published.is_empty() {
        return Err(SandboxError::OfHost("ports"));
    }
    if wish.resolv_conf.is_some() {
        return Err(SandboxError::OfHost("names"));
    }
    Ok(())
}
