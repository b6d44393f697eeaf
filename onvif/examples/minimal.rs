//! Finds the cameras of the network, or asks one for its streams: which to record, and which to analyse.
//!
//! `cargo run -p lva-onvif --example onvif-minimal`
//! `cargo run -p lva-onvif --example onvif-minimal -- http://192.168.1.20 operator secret`
#![allow(clippy::print_stdout)] // a program

use std::time::Duration;

use anyhow::bail;
use lva_onvif::{DeviceEndpoint, OnvifOptions, describe, discover};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let options = OnvifOptions::default();
    match arguments.as_slice() {
        [] => {
            for found in discover(Duration::from_secs(3), options).await? {
                println!("{}: {}", found.address, found.service_urls.join(" "));
            }
        }
        [url, credentials @ ..] => {
            let mut device = DeviceEndpoint::new(url.parse()?);
            match credentials {
                [] => {}
                [user, password] => device = device.with_password(user, password),
                _ => bail!("usage: onvif-minimal [http://HOST[:PORT][/PATH] [USER PASSWORD]]"),
            }
            let device = describe(device, options).await?;
            for profile in &device.profiles {
                println!("{profile}");
            }
            for (stream, purpose) in [(device.main_stream(), "record"), (device.sub_stream(), "analyse")] {
                let uri = stream.and_then(|profile| profile.stream_uri.as_deref());
                println!("to {purpose}: {}", uri.unwrap_or("no such stream"));
            }
        }
    }
    Ok(())
}
