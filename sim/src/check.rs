//! The invariants, one per file, and when they are asked.
//!
//! A check sees every event of every watched view, every change of a member, one tick per virtual second,
//! and the world at rest. What must hold at once returns an error; what must hold in the end is
//! [`pending`](Check::pending) until it does. A check never changes the world.

pub mod acknowledged;
pub mod agreement;
pub mod balances;
pub mod bounds;
pub mod convergence;
pub mod detection;
pub mod dots;
pub mod keyring;
pub mod membership;
pub mod names;
pub mod numbers;
pub mod replay;
pub mod resurrection;
mod rows;

use netdb_core::{node::MemberState, view::Event};
use netdb_gossip_core::identity::{Name, NodeId};

use crate::world::World;

/// What a check says: nothing, or what is wrong.
pub type Verdict = Result<(), String>;

/// One invariant.
pub trait Check {
    /// Its name, as it is printed when it breaks.
    fn name(&self) -> &'static str;

    /// A host's node starts (again).
    fn started(&mut self, _host: usize) {}

    /// A host attaches to a network, or detaches: what it knew of it is forgotten.
    fn attached(&mut self, _host: usize, _network: &Name) {}

    /// A watched view changed.
    fn event(&mut self, _host: usize, _event: &Event) -> Verdict {
        Ok(())
    }

    /// A node said that a member changed its state.
    fn member(
        &mut self,
        _world: &World,
        _host: usize,
        _node: NodeId,
        _state: MemberState,
    ) -> Verdict {
        Ok(())
    }

    /// A virtual second has passed.
    fn tick(&mut self, _world: &World) -> Verdict {
        Ok(())
    }

    /// What has not come about yet and must, once faults have stopped.
    fn pending(&self, _world: &World) -> Option<String> {
        None
    }

    /// Nothing is pending any more.
    fn at_rest(&mut self, _world: &World) -> Verdict {
        Ok(())
    }
}

/// All invariants.
pub fn standard() -> Vec<Box<dyn Check>> {
    vec![
        Box::new(dots::Dots::default()),
        Box::new(resurrection::Resurrection::default()),
        Box::new(membership::Membership::default()),
        Box::new(detection::Detection::default()),
        Box::new(keyring::Keyring),
        Box::new(convergence::Convergence),
        Box::new(agreement::Agreement),
        Box::new(acknowledged::Acknowledged),
        Box::new(replay::ReplayEqualsRows),
        Box::new(numbers::Tiling),
        Box::new(bounds::Bounds::default()),
        Box::new(names::Names::default()),
        Box::new(balances::Balances::default()),
    ]
}
