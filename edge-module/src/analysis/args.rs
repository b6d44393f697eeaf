//! Flags of a server.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::Args;
use lva_media_types::Credentials;
use lva_spatial_analysis::{AnalysisOptions, Entities};

use super::model::ModelArgs;
use crate::flags::{parse_credentials, parse_score, parse_size, read_credentials};

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
    #[arg(
        long,
        visible_alias = "scene",
        value_name = "FILE",
        env = "LVA_OPERATIONS",
        hide_env_values = true
    )]
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
    /// Milliseconds for which a frame waits for frames of other streams, where the model runs several at once (--batch). A batch
    /// that has a frame of every stream does not wait.
    #[arg(long, default_value_t = 5, value_name = "MS")]
    pub batch_wait_ms: u64,
    /// Read frames in the clients' shared memory without a copy. A hostile client can then crash this program.
    #[arg(long)]
    pub trusted_peers: bool,
    /// Begin tracks with detections from this score, 0 to 1. Default: 0.5, or --score where that is lower.
    #[arg(long, value_parser = parse_score, value_name = "SCORE")]
    pub new_track_score: Option<f32>,
    /// Match detections from this score first, 0 to 1. Default: 0.5, or --new-track-score where that is lower.
    #[arg(long, value_parser = parse_score, value_name = "SCORE")]
    pub high_score: Option<f32>,
    /// Detections from this score continue tracks, 0 to 1. Default: 0.1.
    #[arg(long, value_parser = parse_score, value_name = "SCORE")]
    pub low_score: Option<f32>,
    /// Milliseconds for which a person has to be on the other side of a line or an edge. Default: 100.
    #[arg(long, value_name = "MS")]
    pub hold_ms: Option<u64>,
    /// Milliseconds after which an unseen person has left a zone. Default: 1500.
    #[arg(long, value_name = "MS")]
    pub lost_grace_ms: Option<u64>,
    /// The model.
    #[command(flatten)]
    pub model: ModelArgs,
}

impl AnalysisArgs {
    /// User name and password that clients need, from either flag.
    pub fn credentials(&self) -> Option<&Credentials> {
        self.auth.as_ref().or(self.auth_file.as_ref())
    }

    /// The options of a session: the values of the flags, where an operation has none.
    pub(super) fn options(&self) -> AnalysisOptions {
        let base = AnalysisOptions::default();
        let mut tracker = self.model.tracker();
        if let Some(score) = self.new_track_score {
            tracker.new_track_score = score;
            tracker.high_score = tracker.high_score.min(score);
        }
        tracker.high_score = self.high_score.unwrap_or(tracker.high_score);
        tracker.low_score = self
            .low_score
            .unwrap_or(tracker.low_score.min(tracker.high_score));
        let mut scene = base.scene();
        scene.hold_ms = self.hold_ms.unwrap_or(scene.hold_ms);
        scene.lost_timeout_ms = self.lost_grace_ms.unwrap_or(scene.lost_timeout_ms);
        let mut options = base.with_tracker(tracker).with_scene(scene);
        if self.every_frame {
            options = options.with_entities(Entities::EveryFrame);
        }
        if let Some((width, height)) = self.camera_size {
            options = options.with_camera_aspect(f64::from(width) / f64::from(height));
        }
        options
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use lva_spatial_analysis::TrackerOptions;

    use super::*;

    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        args: AnalysisArgs,
    }

    fn args(flags: &[&str]) -> AnalysisArgs {
        let given = ["server"].iter().chain(flags);
        Flags::try_parse_from(given).unwrap().args
    }

    fn tracker(flags: &[&str]) -> TrackerOptions {
        args(flags).options().tracker()
    }

    #[test]
    fn it_listens_on_loopback_by_default() {
        assert!(args(&[]).bind.is_loopback());
    }

    #[test]
    fn the_tracker_follows_a_low_score_of_the_model_unless_told_otherwise() {
        let scores = |flags: &[&str]| {
            let tracker = tracker(flags);
            [tracker.high_score, tracker.low_score, tracker.new_track_score]
        };
        assert_eq!(scores(&[]), [0.5, 0.1, 0.5]);
        assert_eq!(scores(&["--score", "0.3"]), [0.3, 0.1, 0.3]);
        assert_eq!(scores(&["--score", "0.05"]), [0.05, 0.05, 0.05]);
        assert_eq!(scores(&["--score", "0.8"]), [0.5, 0.1, 0.5]);
        assert_eq!(scores(&["--new-track-score", "0.3"]), [0.3, 0.1, 0.3]);
        assert_eq!(scores(&["--new-track-score", "0.7"]), [0.5, 0.1, 0.7]);
        let all = [
            "--high-score",
            "0.6",
            "--low-score",
            "0.2",
            "--new-track-score",
            "0.4",
        ];
        assert_eq!(scores(&all), [0.6, 0.2, 0.4]);
    }
}
