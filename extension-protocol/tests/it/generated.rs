//! The checked-in protocol code is what `proto/` gives, so that builds need no generator.

use std::env;
use std::error::Error;
use std::fs;
use std::path::Path;

use prost::Message;

/// Name and content.
type GeneratedFile = (&'static str, Vec<u8>);

/// The code and the descriptors that `proto/` gives.
fn generate(proto: &Path) -> Result<[GeneratedFile; 2], Box<dyn Error>> {
    let out = tempfile::tempdir()?;
    let descriptors = protox::compile(["extension.proto"], [proto])?;
    let encoded = descriptors.encode_to_vec();
    tonic_prost_build::configure()
        // `Bytes` instead of `Vec<u8>`: an embedded frame is taken out of its message without a copy.
        .bytes(".")
        .emit_rerun_if_changed(false)
        .out_dir(out.path())
        .compile_fds(descriptors)?;
    let package = "microsoft.azure.media.live_video_analytics.extensibility.grpc.v1.rs";
    let code = fs::read(out.path().join(package))?;
    Ok([("generated.rs", code), ("descriptors.bin", encoded)])
}

#[test]
fn the_checked_in_code_is_what_the_proto_files_give() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (name, expected) in generate(&root.join("proto")).expect("the proto files compile") {
        let path = root.join("src/wire").join(name);
        if env::var_os("UPDATE_EXPECTED").is_some() {
            fs::write(&path, &expected).expect("the sources are writable");
        }
        // Without a dump of both files.
        assert!(
            fs::read(&path).is_ok_and(|found| found == expected),
            "{} is not what proto/ gives; regenerate it: UPDATE_EXPECTED=1 cargo test -p lva-extension-protocol --test it generated",
            path.display()
        );
    }
}
