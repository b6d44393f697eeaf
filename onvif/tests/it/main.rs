//! Devices on the network: found, described, and not believed.
#![allow(clippy::unwrap_used)] // helpers of tests are tests

mod describing;
mod device;
mod discovery;
mod lies;
mod responder;

use lva_onvif::{DeviceDescription, DeviceEndpoint, OnvifError, OnvifErrorKind, OnvifOptions, describe};

use self::device::{Camera, DEVICE, PASSWORD, USER};

type Described = Result<DeviceDescription, OnvifError>;

/// The device at an address, with the right password or without any.
fn endpoint(url: &str, with_password: bool) -> DeviceEndpoint {
    let endpoint = DeviceEndpoint::new(url.parse().unwrap());
    match with_password {
        true => endpoint.with_password(USER, PASSWORD),
        false => endpoint,
    }
}

async fn get(endpoint: DeviceEndpoint) -> Described {
    get_with(endpoint, OnvifOptions::default()).await
}

async fn get_with(endpoint: DeviceEndpoint, options: OnvifOptions) -> Described {
    let described = describe(endpoint, options).await;
    assert!(!format!("{described:?}").contains(PASSWORD), "{described:?}");
    described
}

fn url(camera: &Camera) -> String {
    format!("http://{}{DEVICE}", camera.address)
}

async fn get_from(camera: &Camera) -> Described {
    get(endpoint(&url(camera), true)).await
}

/// An error names who has to act, and why.
fn refused(described: &Described, kind: OnvifErrorKind, why: &str) {
    let error = described.as_ref().unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(why), "{error}");
}
