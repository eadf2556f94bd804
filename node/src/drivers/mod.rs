//! Drivers turn rows of tables into what a kernel should be like, and make it so.
//!
//! | module | what it owns |
//! | --- | --- |
//! | `filters` | packet filters of sandboxes, which are only read when somebody else changed them |
//! | [`reconcile`] | look, plan, act, look again: the same for every driver |
//! | [`keeper`] | when that is done: as soon as something changed, here or there, and on a timer |
//!
//! A driver's pure half is in `netnode_plan`, by its name: rows in, [`Desired`](netnode_plan::desired::Desired)
//! or its links out. Its wants of all networks are laid together, so that one comparison serves all.

mod filters;
pub mod keeper;
pub mod reconcile;
