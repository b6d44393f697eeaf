//! The steps of an operations file in their order.

use std::io::{self, Write};

use lva_graph_model::methods::MethodCall;
use lva_graph_model::operations::Step;
use serde_json::{Map, Value};

use super::documents::{DocumentsError, TopologyFiles};
use super::service::{Service, ServiceError};
use super::transcript::Transcript;

/// Why the steps could not go on to the end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlayError {
    /// A topology.
    #[error(transparent)]
    Documents(#[from] DocumentsError),
    /// A call without an answer.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// Standard input or output.
    #[error("cannot read from or print to the console: {0}")]
    Console(io::Error),
}

impl From<io::Error> for PlayError {
    fn from(error: io::Error) -> Self {
        Self::Console(error)
    }
}

/// What came of the steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Played {
    /// Methods that were answered.
    pub answered: usize,
    /// Those of them with a status of 400 or more.
    pub failed: usize,
}

enum Act {
    Wait(String),
    Call(Box<MethodCall>),
    Fetch(lva_graph_model::Family, String),
}

/// Carries out all steps, one after the other. A method that fails does not end them, as in the original.
///
/// Files are read before the first call. `wait` waits for the user.
///
/// # Errors
///
/// [`PlayError`]: the steps after it were not carried out.
pub async fn play<W: Write>(
    steps: Vec<Step>,
    files: &TopologyFiles,
    service: &mut Service,
    transcript: &mut Transcript<W>,
    mut wait: impl AsyncFnMut() -> io::Result<()>,
) -> Result<Played, PlayError> {
    let acts = steps.into_iter().map(|step| {
        Ok(match step {
            Step::WaitForInput { message } => Act::Wait(message),
            Step::Call(call) => Act::Call(call),
            Step::SetTopologyFile { family, path } => {
                Act::Call(Box::new(MethodCall::set_topology(family, files.file(&path)?)))
            }
            Step::SetTopologyUrl { family, url } => Act::Fetch(family, url),
        })
    });
    let acts = acts.collect::<Result<Vec<_>, DocumentsError>>()?;
    let mut played = Played::default();
    for act in acts {
        let call = match act {
            Act::Wait(message) => {
                transcript.operation("WaitForInput")?;
                transcript.message(&message)?;
                wait().await?;
                continue;
            }
            Act::Fetch(family, url) => Box::new(MethodCall::set_topology(family, files.fetch(&url).await?)),
            Act::Call(call) => call,
        };
        let (name, payload) = (call.name(), version_first(call.to_payload()));
        transcript.operation(name)?;
        transcript.request(name, &payload)?;
        let answer = service.invoke(name, &payload).await?;
        transcript.response(name, answer.status, &answer.payload)?;
        played.answered += 1;
        played.failed += usize::from(answer.status >= 400);
    }
    Ok(played)
}

/// The payload with its version as the first member.
fn version_first(payload: Value) -> Value {
    const VERSION: &str = "@apiVersion";
    match payload {
        Value::Object(mut members) => match members.shift_remove(VERSION) {
            Some(version) => {
                let mut first = Map::from_iter([(VERSION.to_owned(), version)]);
                first.extend(members);
                Value::Object(first)
            }
            None => Value::Object(members),
        },
        other => other,
    }
}
