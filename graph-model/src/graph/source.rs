//! Sources.

use super::endpoint::Endpoint;
use crate::string_enum::string_enum;

/// A camera.
#[derive(Debug, Clone, PartialEq)]
pub struct RtspSource {
    /// Its address, `rtsp://` or `rtsps://`, and credentials.
    pub endpoint: Endpoint,
    /// How RTP is transported. `None`: interleaved, or in another way where the camera refuses that.
    pub transport: Option<RtspTransport>,
}

string_enum! {
    /// How RTP is transported. No generation has UDP.
    pub enum RtspTransport {
        /// Interleaved in the RTSP connection.
        Tcp = "tcp",
        /// Interleaved in RTSP that is tunnelled through HTTP.
        Http = "http",
    }
}

/// Messages that open gates. It has no media.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageSource {
    /// The module's input; `None` if the document has none.
    pub hub_input_name: Option<String>,
}
