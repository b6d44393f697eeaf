//! The contract's generations.

use std::fmt;

/// One generation of the contract. `1.0` alone is ambiguous: the prefix of `@type` does, or the name
/// of the method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Generation {
    /// Live Video Analytics, `@apiVersion` 1.0.
    Lva1,
    /// Live Video Analytics, `@apiVersion` 2.0.
    Lva2,
    /// Video Analyzer edge module, `@apiVersion` 1.0.
    VideoAnalyzer1,
    /// Video Analyzer edge module, `@apiVersion` 1.1.
    VideoAnalyzer1_1,
}

/// A product line: one set of type prefixes, method names and words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// Live Video Analytics: graphs and graph instances.
    Lva,
    /// Video Analyzer: pipeline topologies and live pipelines.
    VideoAnalyzer,
}

impl Generation {
    /// All generations, oldest first.
    pub const ALL: [Self; 4] = [
        Self::Lva1,
        Self::Lva2,
        Self::VideoAnalyzer1,
        Self::VideoAnalyzer1_1,
    ];

    /// The product line.
    pub fn family(self) -> Family {
        match self {
            Self::Lva1 | Self::Lva2 => Family::Lva,
            Self::VideoAnalyzer1 | Self::VideoAnalyzer1_1 => Family::VideoAnalyzer,
        }
    }

    /// The value of `@apiVersion`.
    pub fn api_version(self) -> &'static str {
        match self {
            Self::Lva1 | Self::VideoAnalyzer1 => "1.0",
            Self::Lva2 => "2.0",
            Self::VideoAnalyzer1_1 => "1.1",
        }
    }

    /// The generation of a family that has this `@apiVersion`.
    pub fn of(family: Family, api_version: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|g| g.family() == family && g.api_version() == api_version)
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.family(), self.api_version())
    }
}

impl Family {
    /// What stands before the local name in `@type`.
    pub fn type_prefix(self) -> &'static str {
        match self {
            Self::Lva => "#Microsoft.Media.MediaGraph",
            Self::VideoAnalyzer => "#Microsoft.VideoAnalyzer.",
        }
    }

    /// Takes a `@type` apart: its family and its local name. Compared without case; the `#` may be missing.
    pub(crate) fn split_type(text: &str) -> Option<(Self, &str)> {
        let text = text.trim();
        let bare = text.strip_prefix('#').unwrap_or(text);
        [Self::Lva, Self::VideoAnalyzer].into_iter().find_map(|family| {
            let prefix = family.type_prefix().trim_start_matches('#');
            let head = bare.get(..prefix.len())?;
            head.eq_ignore_ascii_case(prefix)
                .then(|| (family, bare.get(prefix.len()..).unwrap_or_default()))
        })
    }

    /// The values of `@apiVersion` that are served, in words.
    pub fn supported_versions(self) -> &'static str {
        match self {
            Self::Lva => "1.0, 2.0",
            Self::VideoAnalyzer => "1.0, 1.1",
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lva => "Live Video Analytics",
            Self::VideoAnalyzer => "Video Analyzer",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_and_a_family_give_a_generation() {
        for generation in Generation::ALL {
            assert_eq!(
                Generation::of(generation.family(), generation.api_version()),
                Some(generation)
            );
        }
        assert_eq!(Generation::of(Family::Lva, "1.1"), None);
    }

    #[test]
    fn types_are_split_without_case() {
        let split = Family::split_type;
        assert_eq!(
            split("#microsoft.media.mediagraphRtspSource"),
            Some((Family::Lva, "RtspSource"))
        );
        assert_eq!(
            split("Microsoft.VideoAnalyzer.FileSink "),
            Some((Family::VideoAnalyzer, "FileSink"))
        );
        assert_eq!(split("#Microsoft.Media.Medi\u{e4}Graph"), None);
        assert_eq!(split(""), None);
    }
}
