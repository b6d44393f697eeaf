//! Any sequence of a client's messages, with the stream's invariants checked after each.

use std::path::Path;

use async_trait::async_trait;
use lva_inference_schema::Inference;
use prost::Message;

use super::*;
use crate::BoxError;

const REGION: usize = 8192;
const NAME: &str = "frames";
const ANSWERS: usize = 4;

/// Fails, refuses or answers depending on the first byte of a frame.
struct ByFirstByte;

#[async_trait]
impl Extension for ByFirstByte {
    async fn open(&self, info: &SessionInfo) -> Result<Box<dyn ExtensionSession>, ExtensionOpenError> {
        match info.configuration.as_str() {
            "no" => Err(ExtensionOpenError::Busy("no".into())),
            _ => Ok(Box::new(Frames(info.format))),
        }
    }
}

struct Frames(Option<FrameFormat>);

#[async_trait]
impl ExtensionSession for Frames {
    async fn process(&mut self, sample: Sample<'_>) -> Result<Vec<Inference>, BoxError> {
        let exact = self.0.map_or(Some(0), |format| format.frame_bytes());
        assert!(
            exact.is_none_or(|exact| exact == sample.data().len()),
            "a frame has another size"
        );
        match sample.data().first() {
            Some(1) => Err("as requested".into()),
            Some(2) => Err(StreamError::BadFrame("as requested".into()).into()),
            _ => Ok(sample.upstream().to_vec()),
        }
    }
}

/// A directory with a region of [`REGION`] bytes.
pub(crate) fn directory() -> std::io::Result<std::path::PathBuf> {
    let path = std::env::temp_dir().join(format!("lva-fuzzing-{}", std::process::id()));
    std::fs::create_dir_all(&path)?;
    std::fs::write(
        path.join(NAME),
        (0..REGION).map(|at| (at % 7) as u8).collect::<Vec<_>>(),
    )?;
    Ok(path)
}

/// Sends the messages that these bytes encode; they may name the region of [`directory`].
///
/// # Panics
///
/// An invariant is violated: an answer without a sample, with another number or time, or a status that blames the server.
pub(crate) fn run(data: &[u8], directory: &Path) {
    let Some((first, rest)) = data.split_first() else {
        return;
    };
    let trust = if first % 2 == 0 {
        crate::Trust::Untrusted
    } else {
        crate::Trust::Peer
    };
    let options = ServerOptions::default()
        .with_trust(trust)
        .with_max_frame_bytes(4096)
        .with_shared_memory_directory(directory);
    let state = ServerState {
        extension: ByFirstByte,
        options,
        counters: Arc::default(),
        shutdown: watch::channel(false).1,
    };
    let run = all(&state, Bytes(rest), first / 2 % 8 == 0);
    match tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
    {
        Ok(runtime) => runtime.block_on(run),
        Err(error) => panic!("{error}"),
    }
}

async fn all(state: &ServerState<ByFirstByte>, mut bytes: Bytes<'_>, strange_first: bool) {
    let (outgoing, mut answers) = mpsc::channel(ANSWERS);
    let first = match strange_first {
        true => match bytes.message() {
            Some(message) => message,
            None => return,
        },
        false => MediaStreamMessage {
            sequence_number: 1,
            ack_sequence_number: 0,
            payload: Some(Payload::MediaStreamDescriptor(bytes.descriptor())),
        },
    };
    let acknowledged = first.sequence_number;
    let Ok((mut stream, mut session)) = begin(
        state,
        Call {
            number: 1,
            wants_preview: false,
        },
        first,
        &outgoing,
    )
    .await
    else {
        return;
    };
    let Ok(answer) = answers.try_recv() else {
        panic!("no descriptor")
    };
    assert_eq!(
        (answer.sequence_number, answer.ack_sequence_number),
        (1, acknowledged)
    );
    let mut sent = 1;
    while let Some(message) = bytes.message() {
        let number = message.sequence_number;
        let timestamp = match &message.payload {
            Some(Payload::MediaSample(sample)) => Some(sample.timestamp),
            _ => None,
        };
        match stream.step(state, message, &outgoing, session.as_mut()).await {
            Ok(()) => {
                let answer = answers.try_recv().ok();
                assert_eq!(answer.is_some(), timestamp.is_some(), "one answer a sample");
                if let Some(answer) = answer {
                    sent += 1;
                    assert_eq!(
                        (answer.sequence_number, answer.ack_sequence_number),
                        (sent, number)
                    );
                    let Some(Payload::MediaSample(sample)) = answer.payload else {
                        panic!("no sample")
                    };
                    assert_eq!(Some(sample.timestamp), timestamp);
                }
            }
            Err(status) => {
                assert!(!status.message().is_empty());
                let by_extension = status.message().contains("in a row");
                assert!(status.code() != Code::Internal || by_extension, "{status}");
                assert_ne!(status.code(), Code::Unknown);
                return;
            }
        }
        assert!(answers.try_recv().is_err());
    }
}

/// Decodes bytes; 0 after the end.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((byte, rest)) => {
                self.0 = rest;
                *byte
            }
            None => 0,
        }
    }

    /// Mostly small, sometimes the largest.
    fn number(&mut self) -> u64 {
        match self.byte() {
            255 => u64::MAX,
            254 => u64::MAX - u64::from(self.byte()),
            253 => u64::from(self.byte()) << 32,
            small if small % 2 == 0 => u64::from(small / 2),
            large => u64::from(large) * 64 + u64::from(self.byte()),
        }
    }

    fn descriptor(&mut self) -> wire::MediaStreamDescriptor {
        let sides = (u32::from(self.byte() % 40), u32::from(self.byte() % 40));
        let format = wire::VideoFrameSampleFormat {
            encoding: i32::from(self.byte() % 5),
            pixel_format: [61, 20, 40, 83, 0, 9][usize::from(self.byte() % 6)],
            dimensions: Some(wire::Dimensions {
                width: sides.0,
                height: sides.1,
            }),
            stride_bytes: u32::from(self.byte() % 4) * 60,
        };
        let memory = wire::SharedMemoryBufferTransferProperties {
            handle_name: [NAME, NAME, NAME, "absent", "", "../frames"][usize::from(self.byte() % 6)].into(),
            length_bytes: match self.byte() {
                0 => u64::MAX,
                part => u64::from(part) * 33,
            },
        };
        let flags = self.byte();
        wire::MediaStreamDescriptor {
            stream_identifier: None,
            extension_configuration: if flags == 77 { "no".into() } else { String::new() },
            media_descriptor: (flags % 16 != 15).then(|| wire::MediaDescriptor {
                timescale: u32::from(flags),
                media_sample_format: (flags % 8 != 7)
                    .then_some(MediaSampleFormat::VideoFrameSampleFormat(format)),
            }),
            data_transfer_properties: (flags % 4 != 3).then_some(
                DataTransferProperties::SharedMemoryBufferTransferProperties(memory),
            ),
        }
    }

    fn message(&mut self) -> Option<MediaStreamMessage> {
        if self.0.is_empty() {
            return None;
        }
        let kind = self.byte();
        let sequence_number = self.number();
        let content = match kind % 8 {
            0..=2 => Some(Content::ContentReference(wire::ContentReference {
                address_offset: self.number(),
                length_bytes: self.number(),
            })),
            3 | 4 => {
                let bytes = vec![self.byte(); usize::try_from(self.number()).unwrap_or(0).min(9000)];
                Some(Content::ContentBytes(wire::ContentBytes { bytes: bytes.into() }))
            }
            5 => None,
            6 => {
                let payload = Some(Payload::MediaStreamDescriptor(self.descriptor()));
                return Some(MediaStreamMessage {
                    sequence_number,
                    ack_sequence_number: 0,
                    payload: payload.filter(|_| kind > 128),
                });
            }
            _ => {
                let length = usize::from(self.byte()).min(self.0.len());
                let (message, rest) = self.0.split_at(length);
                self.0 = rest;
                return MediaStreamMessage::decode(message).ok();
            }
        };
        Some(MediaStreamMessage {
            sequence_number,
            ack_sequence_number: 0,
            payload: Some(Payload::MediaSample(wire::MediaSample {
                timestamp: self.number(),
                inferences: Vec::new(),
                content,
            })),
        })
    }
}
