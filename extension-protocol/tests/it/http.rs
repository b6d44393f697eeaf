//! HTTP extensions over real sockets: our client against scripted servers, our server against raw requests, both
//! together.

mod client;
mod client_credentials;
mod client_tls;
mod scripted;
mod server;
mod server_sessions;

/// Signature and header of a PNG of this size, and some bytes to distinguish pictures: nothing here decodes it.
fn png(width: u32, height: u32, mark: u8) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
    bytes.extend(width.to_be_bytes());
    bytes.extend(height.to_be_bytes());
    bytes.extend([8, 2, 0, 0, 0]);
    bytes.extend([mark; 100]);
    bytes
}
