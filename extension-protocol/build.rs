//! Generates the messages and the two ends of the service from `proto/`, without `protoc`.

use std::error::Error;
use std::path::PathBuf;

use prost::Message;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    println!("cargo:rustc-check-cfg=cfg(fuzzing)");
    let descriptors = protox::compile(["extension.proto"], ["proto"])?;
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    // For the reflection service.
    std::fs::write(out.join("contract.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure()
        // `Bytes` instead of `Vec<u8>`: an embedded frame is taken out of its message without a copy.
        .bytes(".")
        .compile_fds(descriptors)?;
    Ok(())
}
