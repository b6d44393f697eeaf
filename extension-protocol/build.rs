//! Generates the messages and the two ends of the service from `proto/`, without `protoc`.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(["extension.proto"], ["proto"])?;
    tonic_prost_build::configure()
        // `Bytes` instead of `Vec<u8>`: an embedded frame is taken out of its message without a copy.
        .bytes(".")
        .compile_fds(descriptors)?;
    Ok(())
}
