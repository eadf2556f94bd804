//! The simulated world: what surrounds the nodes, and what happens to them.

pub mod clock;
pub mod cuts;
pub mod disk;
pub mod fabric;
pub mod link;
pub mod machine;
pub mod port;
mod queue;
mod streams;
#[cfg(test)]
mod tests;
