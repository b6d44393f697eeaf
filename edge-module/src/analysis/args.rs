//! Flags of a server.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::Args;
use lva_media_types::Credentials;

use super::model::ModelArgs;
use crate::flags::{parse_credentials, parse_size, read_credentials};

/// Where a server listens, what it watches, and with which model.
#[derive(Debug, Clone, Args)]
pub struct AnalysisArgs {
    /// Port; 0 selects a free one, which is logged. Default: 50051, or none with --unix.
    #[arg(long)]
    pub port: Option<u16>,
    /// Unix socket: faster, and not reachable by other users or over the network.
    #[arg(long, value_name = "PATH")]
    pub unix: Option<PathBuf>,
    /// Also serve HTTP on this port; 0 selects a free one, which is logged.
    #[arg(long, value_name = "PORT")]
    pub http_port: Option<u16>,
    /// Require this user name and password from all clients. Other users of the machine can see them in its list of processes.
    #[arg(long, value_parser = parse_credentials, value_name = "USER:PASSWORD")]
    pub auth: Option<Credentials>,
    /// File with USER:PASSWORD, instead of --auth.
    #[arg(long, value_parser = read_credentials, value_name = "FILE", conflicts_with = "auth")]
    pub auth_file: Option<Credentials>,
    /// Address. Any other than loopback is reachable over the network: use --auth-file.
    #[arg(long, default_value = "127.0.0.1", value_name = "IP")]
    pub bind: IpAddr,
    /// Operations of streams that send none. Default: one zone over the whole frame.
    #[arg(long, visible_alias = "scene", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Size of the camera's picture, if graphs pad it: zones refer to the picture without the bars.
    #[arg(long, value_parser = parse_size, value_name = "WIDTHxHEIGHT")]
    pub camera_size: Option<(u32, u32)>,
    /// Report every person in every frame, not only those with events. A signal gate after it stays open.
    #[arg(long)]
    pub every_frame: bool,
    /// One detector per stream instead of one that all streams share.
    #[arg(long)]
    pub detector_each: bool,
    /// Read frames in the clients' shared memory without a copy. A hostile client can then crash this program.
    #[arg(long)]
    pub trusted_peers: bool,
    /// The model.
    #[command(flatten)]
    pub model: ModelArgs,
}

impl AnalysisArgs {
    /// User name and password that clients need, from either flag.
    pub fn credentials(&self) -> Option<&Credentials> {
        self.auth.as_ref().or(self.auth_file.as_ref())
    }
}
