//! The graph's side: open a session, render frames into its slots, send them, take the answers.
//!
//! | file | what |
//! |---|---|
//! | `options` | everything that is known before |
//! | `connect` | region, connection, descriptors |
//! | `session` | slots, sending, answers |
//! | `store` | where the bytes of frames are |
//! | `in_flight` | which frames are on their way (sans I/O) |
//! | `error`, `stats` | why it ended, what was counted |

mod connect;
mod error;
mod in_flight;
mod options;
mod session;
mod stats;
mod store;

#[cfg(any(test, fuzzing))]
pub(crate) use session::fuzzing::run as fuzz;

pub use connect::connect;
pub use error::{ConnectError, NoSlot, PeerStatus, SendError, SessionError};
pub use options::{ClientOptions, DEFAULT_WINDOW, MAX_WINDOW, MIN_WINDOW, Transfer};
pub use session::{
    Answer, Answers, FrameSender, FrameSlot, PeerDescription, Session, SessionEvent, Unanswered,
};
pub use stats::SessionStats;
