//! The HTTP extension of the contract (its section 7): one picture a request, both ends.
//!
//! A graph posts each frame as a JPEG, PNG, BMP or bare picture; the extension answers with inferences as JSON, or with
//! 204 where it has none. [`HttpClient`] is the graph's side, [`HttpExtensionServer`] hosts the same
//! [`Extension`](crate::server::Extension) that a gRPC server hosts.
//!
//! | file | what |
//! |---|---|
//! | `url` | addresses, shown without what may be secret |
//! | `picture` | content types, and the size of a picture from its first bytes (sans I/O) |
//! | `answer` | what an answer means (sans I/O) |
//! | `pause` | `Retry-After` and pauses (sans I/O) |
//! | `auth` | Basic, Digest and header credentials (sans I/O) |
//! | `tls` | whom to trust, and the contract's two switches |
//! | `client` | one request at a time |
//! | `server` | the adapter for extensions |
//!
//! # Statuses, as the client reads them
//!
//! | answer | becomes |
//! |---|---|
//! | 200 with `{"inferences": […]}` | [`HttpContent::Inferences`], with the JSON as the server wrote it |
//! | 200 with other JSON, or with inferences off the schema | [`HttpContent::Json`], to be passed on as it is |
//! | 200 with another content type | [`HttpContent::Inferences`] with one inference of type `other` |
//! | 204, 200 without a body, `{"inferences": []}` | [`HttpContent::Nothing`] |
//! | 200 that calls itself JSON and is not | [`HttpError::NotJson`] |
//! | 503, 429 | [`HttpError::Overloaded`]; then [`HttpError::Paused`] until the time that the server named is over |
//! | 401 after credentials were sent, 403 | [`HttpError::Unauthorized`] |
//! | 3xx | [`HttpError::Redirected`]: never followed, see there |
//! | anything else | [`HttpError::Rejected`]: the frame goes on without a result |
//!
//! # Raw pictures
//!
//! `image/x-raw` has neither size nor pixel format in its headers. Both sides agree by configuration: the graph's node
//! has `image.scale` and `image.format.pixelFormat`, the extension the same as
//! [`HttpServerOptions::with_raw_format`]. A body of another length than that format has is refused.
//!
//! # Time
//!
//! Nothing in a request says when the picture was taken. A session's samples have the time of their arrival, and whoever
//! publishes an answer stamps it with the time of the frame ([`HttpAnswer::event_body`]).

mod answer;
mod auth;
mod client;
mod pause;
mod picture;
mod server;
mod tls;
mod url;

pub use answer::{AnswerError, HttpContent};
pub use auth::HttpCredentials;
pub use client::{HttpAnswer, HttpClient, HttpClientOptions, HttpClientStats, HttpError};
pub use pause::retry_after;
pub use picture::{PictureError, media_type, picture_format};
pub use server::{HttpExtensionServer, HttpListening, HttpServerOptions, HttpServerStats, HttpStatsReader};
pub use tls::{HttpTls, HttpTlsError};
pub use url::{HttpUrl, HttpUrlError};
