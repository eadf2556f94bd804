//! Nothing happens: what does it cost?

use std::time::Duration;

use super::{Scenario, calm};
use crate::{broken::Outcome, world::World};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "idle",
    about: "five minutes in which nothing happens: bytes per node, and nobody is suspected",
    nodes: 50,
    tune: calm,
    run: |world| {
        world.start()?;
        measure(world)
    },
};

const SPAN: Duration = Duration::from_mins(5);

/// Measures what a world in which nothing happens sends.
pub(super) fn measure(world: &mut World) -> Outcome {
    world.run_for(Duration::from_mins(1))?;
    let before = world.bytes_sent();
    world.run_for(SPAN)?;
    let sent = world.bytes_sent() - before;
    let per_node = sent / SPAN.as_secs() / world.hosts().len() as u64;
    world.figures.number("idle bytes per second and node", per_node);
    Ok(())
}
