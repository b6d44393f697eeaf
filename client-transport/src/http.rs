//! One HTTP/1.1 server, asked one request at a time.
//!
//! | file | what |
//! |---|---|
//! | `origin` | scheme, host and port of a server |
//! | `connection` | sockets, TLS, and one exchange within its limits |
//! | `read_after_close` | reads a response from a server that has stopped reading |
//! | `auth` | Basic, Digest and fixed-header credentials, without I/O |
//! | `error` | why an exchange fails |

mod auth;
mod connection;
mod error;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod origin;
mod read_after_close;

pub use auth::{HttpAuthenticator, HttpCredentials};
pub use connection::{HttpConnection, HttpLimits, HttpResponse};
pub use error::HttpTransportError;
pub use origin::Origin;
