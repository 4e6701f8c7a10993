//! The command line of the simulator as a program. It stands in the library so that others can check the lines they start it with.

use std::{
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
};

use clap::Parser;

use crate::{DEFAULT_ACCESS_KEY, DEFAULT_SECRET_KEY};

/// Simulates AWS Bedrock in several regions.
#[derive(Debug, Parser)]
#[command(name = "outcrop-sim", version)]
pub struct Options {
    /// Regions and their ports, as `us-east-1=4601,us-west-2=4602`; without a port the system chooses one.
    #[arg(long, value_delimiter = ',', default_value = "us-east-1=4601,us-west-2=4602,eu-west-1=4603", env = "OUTCROP_SIM_REGIONS")]
    pub regions: Vec<String>,

    /// Address to listen on. Anyone who reaches it can use the simulator.
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST), env = "OUTCROP_SIM_BIND")]
    pub bind: IpAddr,

    /// Access key that callers must sign with.
    #[arg(long, default_value = DEFAULT_ACCESS_KEY, env = "OUTCROP_SIM_ACCESS_KEY")]
    pub access_key: String,

    /// Secret of the access key.
    #[arg(long, default_value = DEFAULT_SECRET_KEY, env = "OUTCROP_SIM_SECRET_KEY", hide_env_values = true)]
    pub secret_key: String,

    /// API key that callers may send instead of a signature.
    #[arg(long, env = "OUTCROP_SIM_BEARER", hide_env_values = true)]
    pub bearer: Option<String>,

    /// Accept calls that are not signed.
    #[arg(long)]
    pub no_auth: bool,

    /// Answer Converse calls from stored bytes, as cheaply as possible.
    #[arg(long)]
    pub fast: bool,

    /// Seed of everything drawn.
    #[arg(long, default_value_t = 0, env = "OUTCROP_SIM_SEED")]
    pub seed: u64,

    /// Milliseconds until an answer begins.
    #[arg(long, default_value_t = 0)]
    pub first_token_ms: u64,

    /// Milliseconds before each piece of an answer.
    #[arg(long, default_value_t = 0)]
    pub per_delta_ms: u64,

    /// Port for control requests: faults, quotas, behaviours, the journal. Without it there is none.
    #[arg(long, env = "OUTCROP_SIM_CONTROL_PORT")]
    pub control_port: Option<u16>,

    /// Faults from the start: a TOML file with `fault = [...]`, as in scenario files.
    #[arg(long, value_name = "FILE")]
    pub faults: Option<PathBuf>,

    /// Prefix of the nonces to look for in request bodies.
    #[arg(long, value_name = "PREFIX")]
    pub nonce: Option<String>,

    /// Requests per minute of each model in each region.
    #[arg(long)]
    pub requests_per_minute: Option<u64>,

    /// Tokens per minute of each model in each region.
    #[arg(long)]
    pub tokens_per_minute: Option<u64>,
}
