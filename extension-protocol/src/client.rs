//! The client, on the graph's side: open a session, render frames into its slots, send them, receive the answers.
//!
//! | file | what |
//! |---|---|
//! | `options` | what is configured before connecting |
//! | `connect` | shared memory, connection, handshake |
//! | `session` | slots, sending, answers |
//! | `store` | memory of frames |
//! | `in_flight` | sent frames that wait for an answer (sans I/O) |
//! | `error`, `stats` | errors and counters |

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
    Answer, Answers, FrameSender, FrameSlot, PeerDescription, SeparateResults, Session, SessionEvent,
    Unanswered,
};
pub use stats::SessionStats;
