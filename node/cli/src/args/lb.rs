//! Commands about load balancing.

use clap::Subcommand;

use super::Json;
use crate::help;

#[derive(Debug, Subcommand)]
pub(crate) enum Lb {
    /// Who gets what is for a virtual address, and why another does not
    #[command(after_help = help::LB_SHOW)]
    Show {
        /// The service: its name, its id, or the start of that; all if not said
        service: Option<String>,
        /// Services that the container of this endpoint reaches: its name, its id, or the start of that
        #[arg(long = "as", value_name = "ENDPOINT")]
        endpoint: Option<String>,
        #[command(flatten)]
        json: Json,
    },
}
