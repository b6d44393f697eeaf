//! Custom nodes: processors that the program around a module adds.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use lva_framing::Picture;
use lva_graph_model::nodes::CustomProcessor;
use lva_graph_model::{CustomNodeTypeError, CustomNodeTypes};
use lva_inference_schema::Inference;
use serde_json::Value;

mod builder;

pub(crate) use self::builder::{InProcessPlan, NodeBuildError, NodeBuilder};

/// Creates the nodes of one type, which topologies name in `@type`.
///
/// Such a node is a processor, allowed wherever an extension is: it gets frames with the results from upstream, and its own
/// results go where an extension's results go. See [`CustomNode`].
///
/// ```
/// use lva_graph_runtime::{CustomNode, NodeContext, NodeError, NodeFactory, NodeFrame, RuntimeOptions};
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
    /// The type in full, such as `#Contoso.QueueLength`. Called once.
    fn type_name(&self) -> &str;

    /// Creates a node when an instance is activated, and again after a panic of the node.
    ///
    /// At activation it runs on a thread that may block, and the method is answered afterwards. By
    /// [`Module::restore`](crate::Module::restore) it runs on the caller's thread.
    ///
    /// # Errors
    ///
    /// [`NodeError`] where the node's settings are wrong or something that it needs is missing. The activation fails with
    /// it.
    fn create(&self, node: &NodeContext<'_>) -> Result<Box<dyn CustomNode>, NodeError>;
}

/// Processes the frames of one node of one instance.
///
/// Each node has its own thread, on which it may compute and block; the thread is inside the program's tokio runtime, so
/// `process` may also wait for timers and sockets. While it works, the newest frame waits for it, and frames that are replaced
/// are counted (`replacedByNewer`). Its results are added to the frame's, and go on to message sinks, gates, trackers and the
/// nodes behind.
///
/// An error, a panic, and a call that takes longer than
/// [`RuntimeOptions::with_extension_answer_timeout`](crate::RuntimeOptions::with_extension_answer_timeout) are reported by a
/// `RuntimeError` of the node, and the frame goes on without its results. After a panic the node is created again, with growing
/// delays. A call that takes too long is dropped at its next `.await`. A thread that blocks cannot be interrupted: until it
/// returns, frames bypass the node, and a deactivation stops waiting for it after three seconds.
#[async_trait]
pub trait CustomNode: Send + 'static {
    /// Processes one frame. Frames come in the order of their times.
    ///
    /// Boxes of inferences are fractions of the frame's picture. Without inferences no event is emitted; frames with inferences
    /// open gates.
    ///
    /// # Errors
    ///
    /// [`NodeError`], which is reported; the next frame comes anyway.
    async fn process(&mut self, frame: NodeFrame<'_>) -> Result<Vec<Inference>, NodeError>;
}

/// What a node is created from: its place in the graph, and its settings.
#[derive(Debug, Clone, Copy)]
pub struct NodeContext<'a> {
    topology: &'a str,
    instance: &'a str,
    name: &'a str,
    processor: &'a CustomProcessor,
}

impl<'a> NodeContext<'a> {
    /// The context of a node by hand, for tests of factories.
    ///
    /// ```
    /// use lva_graph_model::nodes::CustomProcessor;
    /// use lva_graph_runtime::NodeContext;
    ///
    /// let processor = CustomProcessor::new("#Contoso.Wideness", serde_json::json!({"least": "640"}));
    /// let node = NodeContext::new("topology", "instance", "wideness", &processor);
    /// assert_eq!(node.number("least")?, Some(640.0));
    /// # Ok::<(), lva_graph_runtime::NodeError>(())
    /// ```
    pub fn new(topology: &'a str, instance: &'a str, name: &'a str, processor: &'a CustomProcessor) -> Self {
        Self {
            topology,
            instance,
            name,
            processor,
        }
    }

    /// The topology's name.
    pub fn topology(&self) -> &'a str {
        self.topology
    }

    /// The instance's name.
    pub fn instance(&self) -> &'a str {
        self.instance
    }

    /// The node's name, which events and counters use.
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// Its type.
    pub fn type_name(&self) -> &'a str {
        self.processor.type_name()
    }

    /// Its own members with parameters expanded, **secret ones too**: all but `@type`, `name`, `inputs` and
    /// `samplingOptions`. See [`CustomProcessor::settings`].
    pub fn settings(&self) -> &'a Value {
        self.processor.settings()
    }

    /// One of its own members as a string; the name is compared without case. Numbers and booleans are formatted as in JSON.
    pub fn string(&self, name: &str) -> Option<String> {
        self.processor.text(name)
    }

    /// A member that is a finite number, or a string with one, as values of parameters are.
    ///
    /// # Errors
    ///
    /// [`NodeError`] where the member is anything else.
    pub fn number(&self, name: &str) -> Result<Option<f64>, NodeError> {
        let wrong = || {
            NodeError::new(format!("the value of '{name}' is not a number"))
                .with_remedy(format!("set '{name}' to a number such as 0.5, or remove it"))
        };
        if self.processor.setting(name).is_none() {
            return Ok(None);
        }
        let number = self
            .string(name)
            .and_then(|text| text.trim().parse::<f64>().ok())
            .filter(|number| number.is_finite());
        number.map(Some).ok_or_else(wrong)
    }
}

/// A frame for a node.
#[derive(Debug, Clone, Copy)]
pub struct NodeFrame<'a> {
    picture: &'a Picture,
    session: u64,
    prior_results: &'a [Inference],
}

impl<'a> NodeFrame<'a> {
    /// A frame made by hand, for tests of nodes.
    pub fn new(picture: &'a Picture, session: u64, prior_results: &'a [Inference]) -> Self {
        Self {
            picture,
            session,
            prior_results,
        }
    }

    /// The decoded picture in the camera's size and colours. Its planes can be read in place, and a clone shares them.
    ///
    /// For the input of a model (another size, padded or not, RGB), use a [`Renderer`](lva_framing::Renderer) with the
    /// [`FramePlan`](lva_framing::FramePlan) that [`ImageSettings::plan`](lva_framing::ImageSettings::plan) makes for the
    /// picture's size; [`FramePlan::unpad`](lva_framing::FramePlan::unpad) maps boxes back.
    pub fn picture(&self) -> &'a Picture {
        self.picture
    }

    /// Media time: ticks of 1/90000 s since 1970-01-01 UTC.
    pub fn timestamp_90k(&self) -> u64 {
        self.picture.timestamp_90k()
    }

    /// Number of the media session. It rises when the camera was disconnected for more than five seconds; state that was kept
    /// from frame to frame should then be reset.
    pub fn session(&self) -> u64 {
        self.session
    }

    /// The results of the nodes upstream, motion first; boxes are fractions of the picture.
    pub fn prior_results(&self) -> &'a [Inference] {
        self.prior_results
    }
}

/// Why a node cannot be created, or failed on a frame. **Its strings appear in logs, events and answers**, so they must not
/// contain secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}{}", remedy.as_ref().map(|remedy| format!("; {remedy}")).unwrap_or_default())]
pub struct NodeError {
    reason: String,
    remedy: Option<String>,
}

impl NodeError {
    /// What is wrong, as the continuation of "the node cannot run: …"; any error that can be displayed will do.
    pub fn new(reason: impl fmt::Display) -> Self {
        Self {
            reason: reason.to_string(),
            remedy: None,
        }
    }

    /// What the operator should do about it.
    #[must_use]
    pub fn with_remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// What is wrong.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// What to do about it, where the node gave a remedy.
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

    /// The factory for a type.
    pub(crate) fn of(&self, type_name: &str) -> Option<Arc<dyn NodeFactory>> {
        let found = self.types.find(type_name)?;
        let index = self.types.iter().position(|known| known == found)?;
        self.factories.get(index).cloned()
    }
}

impl fmt::Debug for Factories {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.types.fmt(f)
    }
}
