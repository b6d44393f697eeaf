//! The table of families, `docs/model-families.md`: what each does on each engine, as run here.

use std::fmt::Write as _;
use std::path::Path;

use lva_inference::{Detector, ModelFamily, RtenDetector, RtenOptions};

use crate::families::{FLOAT16, Made, check, recognised};

const HEAD: &str = "# Families of models, tested\n\n\
    Written by `inference/tests/it/table.rs`, which makes a network of constants for each family and each column, recognises it, \
    runs it, and\ncompares the box with one that was computed by hand. A cell names the engines that gave it: rten, ONNX Runtime \
    (ort), and MLServer over\nKServe's protocol (kserve), which is asked in the first column only. What the families are is in \
    [inference/README.md](../inference/README.md), which\nmodels suit in [models.md](models.md).\n\n\
    | family | recognised | one frame | batch of 2 | open batch | open size | 16-bit floats |\n\
    |---|---|---|---|---|---|---|\n";

/// What a network of each column is like.
fn columns(family: ModelFamily) -> [Made; 5] {
    let one = Made::new(family);
    [
        one,
        Made { frames: 2, ..one },
        Made { open: true, ..one },
        Made {
            open_size: true,
            ..one
        },
        Made {
            float: FLOAT16,
            ..one
        },
    ]
}

type Engine = Box<dyn Fn(Made) -> Result<(), String>>;

fn rten(made: Made) -> Result<(), String> {
    let (file, spec, class) = recognised(made)?;
    let detector = RtenDetector::from_file(file, spec, RtenOptions::default());
    let mut detector: Box<dyn Detector> = Box::new(detector.map_err(|error| error.to_string())?);
    check(made, &mut detector, class)
}

#[cfg(feature = "ort")]
fn ort() -> Option<Engine> {
    use lva_inference::{OrtDetector, OrtOptions};

    let library = crate::support::onnx_runtime_library()?;
    Some(Box::new(move |made| {
        let (file, spec, class) = recognised(made)?;
        let options = OrtOptions::default().with_library(&library);
        let mut detector = OrtDetector::from_file(file, spec, options).map_err(|error| error.to_string())?;
        check(made, &mut detector, class)
    }))
}

#[cfg(not(feature = "ort"))]
fn ort() -> Option<Engine> {
    None
}

#[cfg(feature = "kserve")]
fn kserve() -> Option<Engine> {
    use crate::kserve::{MlServer, of_family};

    let models: Vec<_> = ModelFamily::ALL
        .map(|family| (family.as_str().to_owned(), Made::new(family).write().0))
        .into();
    let server = MlServer::start(&models)?;
    Some(Box::new(move |made| {
        // The first column only.
        if made.frames > 1 || made.open || made.open_size || made.float == FLOAT16 {
            return Err("not asked".to_owned());
        }
        let mut detector = of_family(&server, made.family)?;
        check(made, &mut detector, made.write().1)
    }))
}

#[cfg(not(feature = "kserve"))]
fn kserve() -> Option<Engine> {
    None
}

#[test]
fn the_table_of_families_is_what_the_engines_give_or_skips_some() {
    let engines: Vec<(&str, Option<Engine>)> = vec![
        ("rten", Some(Box::new(rten))),
        ("ort", ort()),
        ("kserve", kserve()),
    ];
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/model-families.md");
    let document = std::fs::read_to_string(&path).unwrap_or_default();
    let mut table = HEAD.to_owned();
    let mut faults = Vec::new();
    for family in ModelFamily::ALL {
        let start = format!("| `{family}` |");
        let written: Vec<&str> = document
            .lines()
            .find(|line| line.starts_with(&start))
            .map(|line| line.split('|').map(str::trim).collect())
            .unwrap_or_default();
        let known = columns(family).iter().all(|&made| recognised(made).is_ok());
        let _ = write!(table, "{start} {} |", if known { "yes" } else { "no" });
        for (column, made) in columns(family).into_iter().enumerate() {
            let before = written.get(3 + column).copied().unwrap_or_default();
            let mut cell = Vec::new();
            for (name, engine) in &engines {
                // An engine that is not here keeps what was written.
                let holds = match engine {
                    Some(engine) => engine(made)
                        .inspect_err(|why| faults.push(format!("{name}: {why}")))
                        .is_ok(),
                    None => before.split(", ").any(|part| part == *name),
                };
                if holds {
                    cell.push(*name);
                }
            }
            let _ = write!(table, " {} |", cell.join(", "));
        }
        table.push('\n');
    }
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        std::fs::write(&path, &table).unwrap();
    }
    faults.retain(|fault| !fault.ends_with("not asked"));
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert_eq!(
        std::fs::read_to_string(&path).unwrap_or_default(),
        table,
        "write it anew: UPDATE_EXPECTED=1 cargo test -p lva-inference --features ort,kserve --test it table"
    );
}
