//! Orders over one shared entry, so that every index costs a pointer and not a copy of the key.

use alloc::sync::Arc;
use core::{borrow::Borrow, cmp::Ordering};

use crate::entry::{Entry, RowKey};

macro_rules! ordered_by {
    ($(#[$doc:meta])* $name:ident, |$entry:ident| $key:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub(super) struct $name(pub(super) Arc<Entry>);

        impl Ord for $name {
            fn cmp(&self, other: &Self) -> Ordering {
                let left = { let $entry = &self.0; $key };
                let right = { let $entry = &other.0; $key };
                left.cmp(&right)
            }
        }
        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }
        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.cmp(other) == Ordering::Equal
            }
        }
        impl Eq for $name {}
    };
}

ordered_by!(
    /// One entry per row.
    ByRow, |e| &e.row
);
ordered_by!(
    /// Kept-aside entries, earliest stamp first.
    ByStamp, |e| (e.at, &e.dot)
);

impl Borrow<RowKey> for ByRow {
    fn borrow(&self) -> &RowKey {
        &self.0.row
    }
}
