//! Reads the frames of one answer, whatever its client is shown of them.

use bytes::Bytes;
use outcrop_domain::{
    chat::{ChatEvent, ServiceTier},
    error::{Cause, UpstreamFailure},
    usage::Usage,
};
use outcrop_translate::{
    converse::stream::StreamReader,
    transparent::{native::ConverseFrames, stream::ChunkRelay},
};
use outcrop_upstream::frames::{EventType, Frame};

use crate::ports::StreamItem;

/// Most events handed on together, so that a burst does not make one giant write.
const MAX_BATCH: usize = 256;

/// As [`MAX_BATCH`], for what passes as bytes.
const MAX_BATCH_BYTES: usize = 64 * 1024;

/// Reads one answer. Each kind is in a box: thousands of streams may be open, and most are of the smallest.
pub(super) enum AnswerReader {
    /// Events of ConverseStream, into the hub.
    Hub(Box<StreamReader>),
    /// Chunks of a model that speaks the client's own dialect.
    Messages(Box<ChunkRelay>),
    /// Frames for a client that reads them itself.
    Native(Box<NativeReader>),
}

/// What is read in passing of frames that nobody here changes.
#[allow(clippy::large_enum_variant, reason = "it is in a box already")]
pub(super) enum NativeReader {
    /// Of ConverseStream.
    Converse(ConverseFrames),
    /// Of InvokeModelWithResponseStream.
    Invoke(ChunkRelay),
}

/// What was read and not yet handed on.
pub(super) enum Ready {
    /// In no dialect.
    Events(Vec<ChatEvent>),
    /// In the client's.
    Bytes(Vec<u8>),
}

impl Ready {
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Events(events) => events.is_empty(),
            Self::Bytes(bytes) => bytes.is_empty(),
        }
    }

    pub(super) fn is_full(&self) -> bool {
        match self {
            Self::Events(events) => events.len() >= MAX_BATCH,
            Self::Bytes(bytes) => bytes.len() >= MAX_BATCH_BYTES,
        }
    }

    /// Everything, for the client.
    pub(super) fn take(&mut self, choice: u32) -> StreamItem {
        match self {
            Self::Events(events) => StreamItem::Events { choice, events: std::mem::take(events) },
            Self::Bytes(bytes) => StreamItem::Bytes(Bytes::from(std::mem::take(bytes))),
        }
    }
}

impl AnswerReader {
    /// Where it puts what it reads.
    pub(super) fn ready(&self) -> Ready {
        match self {
            Self::Hub(_) => Ready::Events(Vec::new()),
            Self::Messages(_) | Self::Native(_) => Ready::Bytes(Vec::new()),
        }
    }

    /// Reads one frame.
    ///
    /// # Errors
    /// The failure that it tells, or that it cannot be read.
    pub(super) fn read(&mut self, frame: &Frame, ready: &mut Ready) -> Result<(), UpstreamFailure> {
        match (self, ready) {
            (Self::Hub(reader), Ready::Events(events)) => reader.read(frame.event_type.as_str(), &frame.payload, events),
            // Events that AWS may add beside the model's own are nothing to the client.
            (Self::Messages(relay), Ready::Bytes(out)) if frame.event_type == EventType::Chunk => relay.chunk(&frame.payload, out),
            (Self::Messages(_), Ready::Bytes(_)) => Ok(()),
            (Self::Native(reader), Ready::Bytes(out)) => {
                out.extend_from_slice(&frame.whole);
                reader.read(frame)
            }
            _ => Err(mixed()),
        }
    }

    /// The stream has ended.
    ///
    /// # Errors
    /// When the answer has not.
    pub(super) fn end(&mut self, ready: &mut Ready) -> Result<(), UpstreamFailure> {
        match (self, ready) {
            // How it was complete is told by its last event.
            (Self::Hub(reader), Ready::Events(events)) => reader.end(events).map(|_| ()),
            (Self::Messages(relay), _) => relay.end(),
            (Self::Native(reader), _) => match reader.as_ref() {
                NativeReader::Converse(frames) => frames.end(),
                NativeReader::Invoke(relay) => relay.end(),
            },
            _ => Err(mixed()),
        }
    }

    /// The answer is complete, whatever its connection does.
    pub(super) fn is_finished(&self) -> bool {
        match self {
            Self::Hub(reader) => reader.is_finished(),
            Self::Messages(relay) => relay.is_complete(),
            Self::Native(reader) => match reader.as_ref() {
                NativeReader::Converse(frames) => frames.is_complete(),
                NativeReader::Invoke(relay) => relay.is_complete(),
            },
        }
    }

    /// Bytes that the model has written.
    pub(super) fn produced_bytes(&self) -> u64 {
        match self {
            Self::Hub(reader) => reader.produced_bytes(),
            Self::Messages(relay) => relay.produced_bytes(),
            Self::Native(reader) => match reader.as_ref() {
                NativeReader::Converse(frames) => frames.produced_bytes(),
                NativeReader::Invoke(relay) => relay.produced_bytes(),
            },
        }
    }

    /// Tokens told so far, and the tier, by an answer that passes: the hub's tell them by an event.
    pub(super) fn told(&self) -> Option<(Usage, Option<ServiceTier>)> {
        let of_relay = |relay: &ChunkRelay| relay.usage().map(|usage| (usage, relay.service_tier()));
        match self {
            Self::Hub(_) => None,
            Self::Messages(relay) => of_relay(relay),
            Self::Native(reader) => match reader.as_ref() {
                NativeReader::Converse(frames) => {
                    let answer = frames.answer();
                    answer.usage.map(|usage| (usage, answer.service_tier))
                }
                NativeReader::Invoke(relay) => of_relay(relay),
            },
        }
    }
}

impl NativeReader {
    fn read(&mut self, frame: &Frame) -> Result<(), UpstreamFailure> {
        match self {
            Self::Converse(frames) => {
                frames.frame(frame.event_type.as_str(), &frame.payload);
                Ok(())
            }
            Self::Invoke(relay) if frame.event_type == EventType::Chunk => relay.chunk(&frame.payload, &mut Vec::new()),
            Self::Invoke(_) => Ok(()),
        }
    }
}

/// A reader and what it reads into come from one place, so this cannot be.
fn mixed() -> UpstreamFailure {
    UpstreamFailure::own(Cause::Malformed, "MixedReader", "an answer was read into the wrong place")
}
