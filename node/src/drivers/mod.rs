//! Drivers turn rows of tables into what a kernel should be like, and make it so.
//!
//! | module | what it owns |
//! | --- | --- |
//! | [`reconcile`] | look, plan, act, look again: the same for every driver |
//! | [`keeper`] | when that is done: as soon as something changed, here or there, and on a timer |
//!
//! A driver's pure half is in `netnode_plan`, by its name: rows in, [`Desired`](netnode_plan::desired::Desired)
//! or its links out. Its wants of all networks are laid together, so that one comparison serves all.

pub mod keeper;
pub mod reconcile;
