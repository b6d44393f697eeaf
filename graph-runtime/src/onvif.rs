//! Cameras that speak ONVIF: looked for in the network, and asked what they have.
//!
//! `onvifDeviceDiscover` and `onvifDeviceGet` of Video Analyzer 1.1, by ONVIF Core and Media (version 1), SOAP 1.2,
//! WS-Discovery of April 2005 and the username token profile of 2004.
//!
//! | file | what |
//! |---|---|
//! | `xml` | a stranger's XML as a small tree, within limits (sans I/O) |
//! | `soap`, `token` | envelopes and faults; the token with the password's digest (sans I/O) |
//! | `probe` | the question for devices, and who answered (sans I/O) |
//! | `address` | where a device is asked, and what becomes of addresses that it names (sans I/O) |
//! | `login` | token, Digest or Basic (sans I/O) |
//! | `answers` | what answers mean (sans I/O) |
//! | `inquiry` | which questions, in which order (sans I/O) |
//! | `multicast`, `http` | sockets and time |
//!
//! **A device is a stranger.** What it sends is bounded in size, depth, number and time, and no word of it sends us
//! anywhere else: see `address`.

mod address;
mod answers;
mod error;
#[cfg(any(fuzzing, test))]
mod fuzz;
mod http;
mod inquiry;
mod login;
mod multicast;
mod options;
mod probe;
mod soap;
mod token;
mod xml;

use std::time::{Duration, SystemTime};

use lva_extension_protocol::http::HttpTls;
use lva_graph_model::onvif::{DiscoveredDevice, OnvifDevice};

pub(crate) use address::{AddressError, DeviceUrl};
pub(crate) use error::OnvifError;
pub(crate) use login::Credentials;
pub use options::OnvifOptions;
pub(crate) use token::Password;

use self::http::Client;
use self::inquiry::Inquiry;

/// A device to ask.
#[derive(Debug)]
pub(crate) struct Device {
    pub(crate) url: DeviceUrl,
    pub(crate) credentials: Option<Credentials>,
    pub(crate) tls: HttpTls,
}

/// Looks for devices for a while.
pub(crate) async fn discover(
    duration: Duration,
    options: &OnvifOptions,
) -> Result<Vec<DiscoveredDevice>, OnvifError> {
    multicast::discover(duration, &options.targets, random()?).await
}

/// Asks a device what it is and what it streams.
pub(crate) async fn describe(device: Device, options: &OnvifOptions) -> Result<OnvifDevice, OnvifError> {
    let mut client = Client::new(device.url.clone(), &device.tls, options.request_timeout)?;
    let mut inquiry = Inquiry::new(device.url, device.credentials);
    let asking = async {
        while let Some(call) = inquiry.next(SystemTime::now(), random()?) {
            let (reply, peer) = client.ask(&call).await?;
            inquiry.answered(&reply, peer, SystemTime::now())?;
        }
        Ok(inquiry.finish())
    };
    let waited = options.total_timeout;
    let described = tokio::time::timeout(waited, asking).await;
    described.unwrap_or(Err(OnvifError::TimedOut { waited }))
}

fn random() -> Result<[u8; 16], OnvifError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|_| OnvifError::Random)?;
    Ok(bytes)
}

/// A device that says these bytes.
#[cfg(any(fuzzing, test))]
pub(crate) fn fuzz(data: &[u8]) {
    fuzz::run(data);
}
