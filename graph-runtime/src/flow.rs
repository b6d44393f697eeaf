//! Between the nodes: frames and their metadata, the slots where they wait, and where results go.
//!
//! | file | |
//! | --- | --- |
//! | `frame` | a decoded picture, with and without its pixels |
//! | `input_slot` | where the newest frame waits for a node |
//! | `node_input` | the filters before a node, and the fan-out behind it |
//! | `outputs` | gates, message sinks and sidecars that a node's results reach |
//! | `recorder_input` | the queue to a recorder's thread |
//! | `stream_clock` | where a time of one stream lies in another one of the camera |

mod frame;
mod input_slot;
mod node_input;
mod outputs;
mod recorder_input;
mod stream_clock;

pub(crate) use self::frame::{Frame, FrameMeta, InFlightFrame};
pub(crate) use self::input_slot::InputSlot;
pub(crate) use self::node_input::{Admission, DownstreamFanout, NodeInput};
pub(crate) use self::outputs::{NodeOutputs, ResultOutputs};
pub(crate) use self::recorder_input::{
    MetadataInput, QUEUE_BYTES, RecorderCommand, RecorderInput, SignalInput,
};
#[cfg(test)]
pub(crate) use self::recorder_input::{QUEUE, RESERVED};
pub(crate) use self::stream_clock::{CrossClock, StreamClock};
