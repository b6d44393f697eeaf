//! The corpus of the fuzz target `model`.

use lva_inference::{ModelFile, ModelFileError, ModelOverrides};

#[test]
fn the_corpus_of_models_is_read_or_refused() {
    let seeds = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/seeds/model")).unwrap();
    let (mut read, mut beyond) = (0, 0);
    for seed in seeds {
        match ModelFile::from_bytes(std::fs::read(seed.unwrap().path()).unwrap()) {
            Ok(file) => {
                let _ = file.recognise(&ModelOverrides::default());
                read += 1;
            }
            Err(ModelFileError::Beyond { .. }) => beyond += 1,
            Err(_) => {}
        }
    }
    assert_eq!((read, beyond), (1, 3));
}
