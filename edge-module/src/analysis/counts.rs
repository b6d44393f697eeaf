//! The counts of a server over all of its addresses.

use std::fmt;

use lva_extension_protocol::http::HttpStatsReader;
use lva_extension_protocol::server::{ServerStats, StatsReader};
use lva_spatial_analysis::AnalysisStatsReader;

/// Reads the counts of a server at any time; `Display` is one line of them.
#[derive(Debug, Clone)]
pub struct AnalysisCounts {
    pub(super) grpc: Vec<StatsReader>,
    pub(super) http: Option<HttpStatsReader>,
    pub(super) analysis: AnalysisStatsReader,
}

impl AnalysisCounts {
    pub(super) fn sum(&self, member: fn(&ServerStats) -> u64) -> u64 {
        self.grpc.iter().map(|reader| member(&reader.read())).sum()
    }

    /// Frames received so far.
    pub fn frames(&self) -> u64 {
        self.sum(|stats| stats.samples) + self.http.as_ref().map_or(0, |http| http.read().requests)
    }

    /// Answers sent so far.
    pub fn answers(&self) -> u64 {
        self.sum(|stats| stats.answers) + self.http.as_ref().map_or(0, |http| http.read().answers)
    }
}

impl fmt::Display for AnalysisCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let opened = self.sum(|stats| stats.sessions_opened);
        let analysis = self.analysis.read();
        write!(
            f,
            "streams {} open, {opened} in all, {} refused | frames {}, answered {}, late {}, unreadable {}, failed {} | \
             people {} | entered {}, left {}, crossed {}",
            opened.saturating_sub(self.sum(|stats| stats.sessions_closed)),
            self.sum(|stats| stats.sessions_refused),
            self.sum(|stats| stats.samples),
            self.sum(|stats| stats.answers),
            analysis.late_frames,
            analysis.unreadable_frames,
            analysis.failed_frames,
            analysis.people,
            analysis.zone_enters,
            analysis.zone_exits,
            analysis.line_crossings,
        )?;
        match &self.http {
            None => Ok(()),
            Some(http) => {
                let http = http.read();
                write!(
                    f,
                    " | HTTP: requests {}, answered {}, busy {}",
                    http.requests, http.answers, http.busy
                )
            }
        }
    }
}
