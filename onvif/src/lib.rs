//! ONVIF cameras: discovered on the network, and asked what they are and what they stream.
//!
//! By ONVIF Core and Media (version 1), SOAP 1.2, WS-Discovery of April 2005 and the username token profile of 2004.
//!
//! **A device is an untrusted peer.** Its messages are bounded in size, depth, number and time, and nothing in them makes
//! this crate contact another host: requests go only to the scheme, host and port of the [`DeviceUrl`] that the caller
//! gave.
//!
//! ```no_run
//! use std::time::Duration;
//! use lva_onvif::{DeviceEndpoint, OnvifOptions, describe, discover};
//!
//! # async fn cameras() -> Result<(), Box<dyn std::error::Error>> {
//! let options = OnvifOptions::default();
//! for found in discover(Duration::from_secs(3), options.clone()).await? {
//!     println!("{}: {:?}", found.address, found.service_urls);
//! }
//! let device = DeviceEndpoint::new("http://192.168.1.20/onvif/device_service".parse()?).with_password("operator", "secret");
//! for profile in describe(device, options).await?.profiles {
//!     println!("{}: {:?}", profile.name, profile.stream_uri);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! | file | what |
//! |---|---|
//! | `xml` | a device's XML as a small tree, within limits (sans I/O) |
//! | `soap`, `token` | envelopes and faults; the token with the password's digest (sans I/O) |
//! | `discovery` | the probe for devices, and the devices that matched (sans I/O) |
//! | `address` | where a device is asked, and how addresses in its responses are rewritten (sans I/O) |
//! | `auth` | username token, Digest or Basic (sans I/O) |
//! | `parse` | what responses mean (sans I/O) |
//! | `query` | which requests, in which order (sans I/O) |
//! | `multicast`, `client` | sockets and time |
//!
//! # Limits
//!
//! Media service of version 1 only, so no profiles in H.265; on the host and port of the device service; multicast on IPv4
//! interfaces. No events, no PTZ, no changes to a device.
#![forbid(unsafe_code)]

mod address;
mod auth;
mod client;
mod description;
mod discovery;
mod error;
#[cfg(any(fuzzing, test))]
#[doc(hidden)]
pub mod fuzzing;
mod multicast;
mod options;
mod parse;
mod query;
mod soap;
mod token;
mod xml;

pub use address::{AddressError, DeviceUrl};
pub use client::{DeviceEndpoint, describe, discover};
pub use description::{
    DeviceClock, DeviceDescription, FoundDevice, HostName, MAX_FOUND_DEVICES, MAX_FOUND_DEVICES_OF_ONE,
    NameServers, Profile, RateLimits, VideoEncoder, VideoEncoding,
};
pub use error::{OnvifError, OnvifErrorKind};
pub use options::OnvifOptions;
pub use soap::SoapError;
pub use xml::XmlError;

/// Compiles the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;
