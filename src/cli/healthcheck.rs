//! `adjourn healthcheck`: whether the service beside it is alive, or ready, for a container that has no other program to ask
//! with.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use clap::Args;

use super::client::root_cause;
use super::failure::{Exit, Failure};
use crate::config::{ConfigArgs, admin_listen};
use crate::tls;

/// For the whole question: shorter than what orchestrators give a health check.
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Args)]
pub struct HealthcheckArgs {
    /// Ask whether it is ready to serve, not only alive
    #[arg(long)]
    ready: bool,
    /// What the service itself was told; of it, where health and metrics are
    #[command(flatten)]
    config: ConfigArgs,
}

pub async fn run(args: HealthcheckArgs) -> Result<(), Failure> {
    let listen = args.config.sources().and_then(admin_listen).map_err(|error| Failure::new(Exit::Usage, error))?;
    let url = format!("http://{}/{}", reachable(&listen), if args.ready { "readyz" } else { "livez" });
    // The service is on this machine, whatever proxy the environment names.
    let client = tls::http(None).map_err(Failure::failed)?.no_proxy().timeout(PATIENCE).build().map_err(Failure::failed)?;
    let answer = client.get(&url).send().await.map_err(|error| Failure::failed(format_args!("{url}: {}", root_cause(&error))))?;
    if answer.status().is_success() { Ok(()) } else { Err(Failure::failed(format_args!("{url}: {}", answer.status()))) }
}

/// Who listens on every address is asked on loopback.
pub fn reachable(listen: &str) -> String {
    let Ok(mut address) = listen.parse::<SocketAddr>() else { return listen.to_owned() };
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_listens_everywhere_is_asked_on_loopback() {
        for (listen, asked) in [
            ("0.0.0.0:9090", "127.0.0.1:9090"),
            ("[::]:9090", "[::1]:9090"),
            ("10.0.0.7:9090", "10.0.0.7:9090"),
            ("localhost:9090", "localhost:9090"),
        ] {
            assert_eq!(reachable(listen), asked);
        }
    }
}
