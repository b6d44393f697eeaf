//! What the fuzz targets in `edge-module/fuzz` run, compiled for them and for tests only.

use std::path::Path;

use crate::config::Config;
use crate::operations::Settings;
use crate::state;

/// `lva-edge.toml`, and the settings of `lva-edge operations`. A configuration that is read can be written with its explanations and
/// is the same when it is read again.
pub fn configuration(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let path = Path::new("file");
    if let Ok(config) = Config::parse(text, path) {
        let again = Config::parse(&config.documented(), path);
        assert_eq!(again.map_err(|error| error.to_string()).as_ref(), Ok(&config));
    }
    let _ = Settings::parse(text, path);
}

/// The file of topologies and instances.
pub fn state(data: &[u8]) {
    let _ = state::read(data);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    fn corpus(target: &str, run: fn(&[u8])) {
        let seeds = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("fuzz/seeds")
            .join(target);
        let seeds = std::fs::read_dir(seeds).unwrap();
        let count = seeds
            .map(|seed| run(&std::fs::read(seed.unwrap().path()).unwrap()))
            .count();
        assert!(count > 0);
    }

    use super::*;

    #[test]
    fn the_corpora_are_read() {
        corpus("configuration", configuration);
        corpus("state", state);
    }

    proptest! {
        #[test]
        fn any_configuration_is_read_or_refused(text in "(\\[[a-z]{1,8}\\]\n)?([a-z-]{1,12} = (\"[^\"]{0,20}\"|-?[0-9]{1,20}|true|\\[\\])\n){0,4}") {
            configuration(text.as_bytes());
        }
    }
}
