//! Nodes that the program around a module brings along.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use lva_framing::Picture;
use lva_graph_model::{CustomNodeTypeError, CustomNodeTypes, CustomProcessor};
use lva_inference_schema::Inference;
use serde_json::Value;

/// Makes the nodes of one type, which topologies name in `@type`.
///
/// Such a node is a processor and stands wherever an extension may stand: it looks at frames, with what was found in them
/// before, and what it finds goes where an extension's results go. See [`CustomNode`].
///
/// ```
/// use lva_graph_runtime::{NodeContext, NodeError, NodeFactory, NodeFrame, CustomNode, RuntimeOptions};
/// use lva_inference_schema::{Event, Inference};
///
/// struct Wideness;
///
/// impl NodeFactory for Wideness {
///     fn type_name(&self) -> &str {
///         "#Contoso.Wideness"
///     }
///
///     fn create(&self, node: &NodeContext<'_>) -> Result<Box<dyn CustomNode>, NodeError> {
///         let least = node.number("least")?.unwrap_or(1920.0);
///         Ok(Box::new(Wide { least }))
///     }
/// }
///
/// struct Wide {
///     least: f64,
/// }
///
/// #[async_trait::async_trait]
/// impl CustomNode for Wide {
///     async fn process(&mut self, frame: NodeFrame<'_>) -> Result<Vec<Inference>, NodeError> {
///         let wide = f64::from(frame.picture().width()) >= self.least;
///         Ok(wide.then(|| Inference::new(Event::new("wide"))).into_iter().collect())
///     }
/// }
///
/// let options = RuntimeOptions::new("recordings").with_node_factory(Wideness)?;
/// # let _ = options;
/// # Ok::<(), lva_graph_model::CustomNodeTypeError>(())
/// ```
pub trait NodeFactory: Send + Sync + 'static {
    /// The type in full, such as `#Contoso.QueueLength`. Asked for once.
    fn type_name(&self) -> &str;

    /// Makes a node when an instance is activated, and again after one has panicked.
    ///
    /// At activation it is called on a thread that may block, and the method is answered when it is done; by
    /// [`Module::restore`](crate::Module::restore), on the caller's thread.
    ///
    /// # Errors
    ///
    /// [`NodeError`] where the node's settings are wrong or something that it needs is not there. The activation is refused
    /// with it.
    fn create(&self, node: &NodeContext<'_>) -> Result<Box<dyn CustomNode>, NodeError>;
}

/// Looks at the frames of one node of one instance.
///
/// Each node has a thread of its own, on which it may compute and block as long as it likes; it is inside the program's tokio
/// runtime there, so that it may also wait for timers and sockets. While it looks, the newest frame waits for it, and those that
/// are replaced are counted (`replacedByNewer`). What it finds adds up on the frame and goes on to message sinks, gates, trackers
/// and the nodes behind.
///
/// An error, a panic, and a look that takes longer than
/// [`RuntimeOptions::with_extension_answer_timeout`](crate::RuntimeOptions::with_extension_answer_timeout) are said by a
/// `RuntimeError` of the node, and the frame goes on without its results. After a panic the node is made anew, with growing waits.
/// A look that takes too long is dropped where it waits (`.await`); a thread that blocks cannot be interrupted: until it comes
/// back, frames go by, and a deactivation leaves it behind after three seconds.
#[async_trait]
pub trait CustomNode: Send + 'static {
    /// Looks at one frame. They come in the order of their times.
    ///
    /// Boxes of inferences are fractions of the frame's picture. No inference means that there is nothing to say; gates are
    /// opened by frames with inferences.
    ///
    /// # Errors
    ///
    /// [`NodeError`]; the next frame comes all the same.
    async fn process(&mut self, frame: NodeFrame<'_>) -> Result<Vec<Inference>, NodeError>;
}

/// What a node is made from: its place, and what its author wrote.
#[derive(Debug, Clone, Copy)]
pub struct NodeContext<'a> {
    pub(crate) topology: &'a str,
    pub(crate) instance: &'a str,
    pub(crate) name: &'a str,
    pub(crate) processor: &'a CustomProcessor,
}

impl<'a> NodeContext<'a> {
    /// The topology's name.
    pub fn topology(&self) -> &'a str {
        self.topology
    }

    /// The instance's name.
    pub fn instance(&self) -> &'a str {
        self.instance
    }

    /// The node's name, by which events and counters know it.
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// Its type.
    pub fn type_name(&self) -> &'a str {
        self.processor.type_name()
    }

    /// Its own members with parameters filled in, **secret ones too**: all but `@type`, `name`, `inputs` and
    /// `samplingOptions`. See [`CustomProcessor::settings`].
    pub fn settings(&self) -> &'a Value {
        self.processor.settings()
    }

    /// A member of its own as text, found without case; numbers and booleans as they would be written.
    pub fn text(&self, name: &str) -> Option<String> {
        self.processor.text(name)
    }

    /// A member that is a finite number, or a text with one, as values of parameters are.
    ///
    /// # Errors
    ///
    /// It is there and something else.
    pub fn number(&self, name: &str) -> Result<Option<f64>, NodeError> {
        let wrong = || {
            NodeError::new(format!("its '{name}' is no number"))
                .with_remedy(format!("write '{name}' with digits, or leave it out"))
        };
        if self.processor.setting(name).is_none() {
            return Ok(None);
        }
        let number = self
            .text(name)
            .and_then(|text| text.trim().parse::<f64>().ok())
            .filter(|number| number.is_finite());
        number.map(Some).ok_or_else(wrong)
    }
}

/// A frame that a node is shown.
#[derive(Debug, Clone, Copy)]
pub struct NodeFrame<'a> {
    picture: &'a Picture,
    session: u64,
    found: &'a [Inference],
}

impl<'a> NodeFrame<'a> {
    /// One by hand, for tests of nodes.
    pub fn new(picture: &'a Picture, session: u64, found: &'a [Inference]) -> Self {
        Self {
            picture,
            session,
            found,
        }
    }

    /// The decoded picture in the camera's size and colours: its planes can be read where they lie, and a clone shares them.
    ///
    /// What a model wants (another size, padded or not, RGB) a [`Renderer`](lva_framing::Renderer) makes of it, by the
    /// [`FramePlan`](lva_framing::FramePlan) that [`ImageSettings::plan`](lva_framing::ImageSettings::plan) gives for the
    /// picture's size; [`FramePlan::unpad`](lva_framing::FramePlan::unpad) maps boxes back.
    pub fn picture(&self) -> &'a Picture {
        self.picture
    }

    /// Media time: ticks of 1/90000 s since 1970-01-01 UTC.
    pub fn timestamp_90k(&self) -> u64 {
        self.picture.timestamp_90k()
    }

    /// Number of the media session. It rises when the camera was away for more than five seconds: what was followed from frame
    /// to frame should then begin anew.
    pub fn session(&self) -> u64 {
        self.session
    }

    /// What the nodes before have found in it, motion first; boxes are fractions of the picture.
    pub fn found(&self) -> &'a [Inference] {
        self.found
    }
}

/// Why a node cannot be made, or could not look at a frame. **Its texts are logged, said in events and sent in answers**: no
/// secrets in them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}{}", remedy.as_ref().map(|remedy| format!("; {remedy}")).unwrap_or_default())]
pub struct NodeError {
    reason: String,
    remedy: Option<String>,
}

impl NodeError {
    /// What is wrong, in words that go on from "the node cannot be run: …"; an error of another kind does as well.
    pub fn new(reason: impl fmt::Display) -> Self {
        Self {
            reason: reason.to_string(),
            remedy: None,
        }
    }

    /// What whoever reads it should do.
    #[must_use]
    pub fn with_remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// What is wrong.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// What to do about it, where the node has said so.
    pub fn remedy(&self) -> Option<&str> {
        self.remedy.as_deref()
    }
}

/// The factories of a module, each with its type.
#[derive(Clone, Default)]
pub(crate) struct Factories {
    /// In the order of `factories`.
    types: CustomNodeTypes,
    factories: Vec<Arc<dyn NodeFactory>>,
}

impl Factories {
    pub(crate) fn add(&mut self, factory: Arc<dyn NodeFactory>) -> Result<(), CustomNodeTypeError> {
        let types = self.types.iter().chain([factory.type_name()]);
        self.types = CustomNodeTypes::new(types)?;
        self.factories.push(factory);
        Ok(())
    }

    pub(crate) fn types(&self) -> &CustomNodeTypes {
        &self.types
    }

    /// The one that makes nodes of a type.
    pub(crate) fn of(&self, type_name: &str) -> Option<Arc<dyn NodeFactory>> {
        let found = self.types.find(type_name)?;
        let place = self.types.iter().position(|own| own == found)?;
        self.factories.get(place).cloned()
    }
}

impl fmt::Debug for Factories {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.types.fmt(f)
    }
}
