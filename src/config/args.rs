//! The configuration's flags.

use std::path::PathBuf;

use super::{ConfigError, Sources, refuse};

/// The flags of `adjourn serve`: the main keys by name, any other with `--set`.
#[derive(Clone, Default, clap::Args)]
pub struct ConfigArgs {
    /// Configuration file, TOML
    #[arg(long, value_name = "FILE", env = "ADJOURN_CONFIG")]
    pub config: Option<PathBuf>,
    /// Address of the API
    #[arg(long, value_name = "ADDR:PORT")]
    pub listen: Option<String>,
    /// Address of health and metrics
    #[arg(long, value_name = "ADDR:PORT")]
    pub admin_listen: Option<String>,
    /// Where everything is kept, embedded:DIRECTORY or redis://HOST
    #[arg(long, value_name = "STORE")]
    pub store: Option<String>,
    /// Partitions of a new store
    #[arg(long, value_name = "N")]
    pub partitions: Option<u16>,
    /// This node's name [default: the machine's]
    #[arg(long, value_name = "NAME")]
    pub node: Option<String>,
    /// Silence after which a node's partitions are taken over, such as 3s
    #[arg(long, value_name = "DURATION")]
    pub lease: Option<String>,
    /// What an accepted event must survive, standard or strict
    #[arg(long, value_name = "MODE")]
    pub durability: Option<String>,
    /// How long closed conversations are kept, such as 90d
    #[arg(long, value_name = "DURATION")]
    pub retention: Option<String>,
    /// Serve on any address, to anybody: no keys are configured
    #[arg(long)]
    pub insecure: bool,
    /// Any other key, such as --set limits.events=5000
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

impl ConfigArgs {
    /// These flags, and the process's environment.
    ///
    /// # Errors
    /// A `--set` without a value.
    pub fn sources(self) -> Result<Sources, ConfigError> {
        let named = [
            ("listen", self.listen),
            ("admin_listen", self.admin_listen),
            ("store", self.store),
            ("partitions", self.partitions.map(|count| count.to_string())),
            ("node", self.node),
            ("lease", self.lease),
            ("durability", self.durability),
            ("retention", self.retention),
            ("insecure", self.insecure.then(|| "true".to_owned())),
        ];
        let mut flags: Vec<(String, String)> = named.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect();
        for pair in self.set {
            let (key, value) = pair.split_once('=').ok_or_else(|| refuse("--set", format!("`{pair}` must be KEY=VALUE")))?;
            flags.push((key.to_owned(), value.to_owned()));
        }
        Ok(Sources { file: self.config, environment: std::env::vars().collect(), flags })
    }
}
