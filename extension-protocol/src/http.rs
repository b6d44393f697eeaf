//! The HTTP extension of the contract (its section 7): one picture per request, both ends.
//!
//! A graph posts each frame as a JPEG, PNG, BMP or raw picture; the extension answers with inferences as JSON, or with
//! 204 where it has none. [`HttpClient`] is the graph's side, [`HttpExtensionServer`] hosts the same
//! [`Extension`](crate::server::Extension) that a gRPC server hosts.
//!
//! | file | what |
//! |---|---|
//! | `url` | addresses, shown without their query, which may be secret |
//! | `picture` | content types, and the size of a picture from its first bytes (sans I/O) |
//! | `answer` | what an answer means (sans I/O) |
//! | `retry_after` | `Retry-After` and pauses (sans I/O) |
//! | `client` | one request at a time |
//! | `server` | the adapter for extensions |
//!
//! # Statuses, as the client reads them
//!
//! | answer | becomes |
//! |---|---|
//! | 200 with `{"inferences": […]}` | [`HttpContent::Inferences`], with the JSON as the server wrote it |
//! | 200 with other JSON, or with inferences that violate the schema | [`HttpContent::Json`], published as it is |
//! | 200 with another content type | [`HttpContent::Inferences`] with one inference of type `other` |
//! | 204, 200 without a body, `{"inferences": []}` | [`HttpContent::Nothing`] |
//! | 200 with a content type of JSON and another body | [`HttpError::NotJson`] |
//! | 503, 429 | [`HttpError::Overloaded`]; then [`HttpError::Paused`] until the pause is over |
//! | 401 after credentials were sent, 403 | [`HttpError::Unauthorized`] |
//! | 3xx | [`HttpError::Redirected`]; never followed |
//! | anything else | [`HttpError::Rejected`]: the frame goes on without a result |
//!
//! # Raw pictures
//!
//! `image/x-raw` has neither size nor pixel format in its headers. Both sides agree by configuration: the graph's node
//! has `image.scale` and `image.format.pixelFormat`, the extension the same as
//! [`HttpServerOptions::with_raw_format`]. A body of another length is rejected.
//!
//! # Time
//!
//! A request does not carry the time of its picture. A session's samples have the time of their arrival, and the graph
//! adds the time of the frame to the answer that it publishes ([`HttpAnswer::event_body`]).

mod answer;
mod client;
mod picture;
mod retry_after;
mod server;
mod url;

pub use lva_client_transport::http::HttpCredentials;
pub use lva_client_transport::{ClientTls, ClientTlsError};

pub use answer::{AnswerError, HttpContent};
pub use client::{HttpAnswer, HttpClient, HttpClientOptions, HttpClientStats, HttpError};
pub use picture::{HttpPictureError, media_type, picture_format};
pub use retry_after::retry_after;
pub use server::{HttpExtensionServer, HttpListening, HttpServerOptions, HttpServerStats, HttpStatsReader};
pub use url::{HttpUrl, HttpUrlError};
