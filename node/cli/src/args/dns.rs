//! Commands about names.

use clap::Subcommand;

use super::Json;
use crate::help;

#[derive(Debug, Subcommand)]
pub(crate) enum Dns {
    /// What a container of this host would be told of a name
    #[command(after_help = help::DNS_QUERY)]
    Query {
        /// Whose names: an endpoint of this host, by its name, its id, or the start of that
        #[arg(long = "as", value_name = "ENDPOINT")]
        endpoint: String,
        /// The name, or with `--type PTR` an address
        name: String,
        /// The type of the records
        #[arg(long = "type", short = 't', value_name = "TYPE", default_value = "A")]
        kind: String,
        /// Also why: the networks it is on, and everything that is called so
        #[arg(long)]
        trace: bool,
        #[command(flatten)]
        json: Json,
    },
}
