//! How a request is put to its model and how the answer is read: all that differs between the surfaces. Routing, accounts and
//! streams are the same for each.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header::CONTENT_TYPE};
use outcrop_domain::{
    chat::{ChatResponse, ServiceTier},
    error::UpstreamFailure,
    estimate,
    ids::{InvokeId, ModelId},
    model::{BetaRules, ModelKind, PriceUnit, Target},
    usage::{Metering, Usage},
};
use outcrop_translate::{
    converse::{self, Mode, ReplyContext, stream::StreamReader},
    transparent::{
        answer,
        native::{self, ConverseFrames, HeaderCounts},
        stream::{ChunkRelay, RelayMode},
    },
};
use outcrop_upstream::ports::{RuntimeAnswer, RuntimeCall, RuntimeOperation};

use super::{
    reader::{AnswerReader, NativeReader},
    tally::answer_usage,
};
use crate::settings::LiveSettings;

/// How a request is put to its model.
pub(super) struct Wire {
    pub(super) operation: RuntimeOperation,
    /// Headers beside those of every call.
    pub(super) headers: HeaderMap,
    pub(super) reading: Reading,
}

/// How its answer is read.
pub(super) enum Reading {
    /// Converse, into the hub.
    Hub(ReplyContext),
    /// A model that answers in Anthropic's own words. The rules are for a body that it refuses.
    Messages(Arc<BetaRules>),
    /// Whatever it is, it is passed on.
    Native {
        /// What the model is for: what writes text is billed by tokens, which are estimated where it tells none.
        kind: ModelKind,
    },
    /// A number of tokens. The rules are for a body of InvokeModel that is refused; other bodies have none.
    Count(Option<Arc<BetaRules>>),
}

impl Wire {
    /// What is called upstream: streams, or gives its answer in one piece.
    pub(super) fn mode(&self) -> Mode {
        if self.operation.streams() { Mode::Stream } else { Mode::Whole }
    }

    /// Counting says nothing of how a model answers, and takes nothing of its quotas.
    pub(super) fn is_aside(&self) -> bool {
        self.operation == RuntimeOperation::CountTokens
    }

    /// The call of a target.
    pub(super) fn call(&self, target: &Target, model: &ModelId, body: &Bytes, settings: &LiveSettings, time_left: Time) -> RuntimeCall {
        // Counting knows models alone: no profile, no ARN. Source: CountTokens, Bedrock user guide.
        let invoke_id = if self.is_aside() { InvokeId::from(model.as_str()) } else { target.invoke_id.clone() };
        let first_byte = match self.mode() {
            Mode::Whole if !self.is_aside() => settings.timeouts.whole_answer,
            Mode::Stream | Mode::Whole => settings.timeouts.first_byte,
        };
        RuntimeCall {
            operation: self.operation,
            invoke_id,
            body: body.clone(),
            headers: self.headers.clone(),
            first_byte: first_byte.min(time_left),
            total: time_left,
            idle: settings.timeouts.idle,
        }
    }

    /// Reads the stream of an answer.
    pub(super) fn reader(&self) -> AnswerReader {
        match &self.reading {
            Reading::Hub(reply) => AnswerReader::Hub(Box::new(StreamReader::new(reply.clone()))),
            Reading::Messages(_) => AnswerReader::Messages(Box::new(ChunkRelay::new(RelayMode::Messages { model: None }))),
            Reading::Native { .. } | Reading::Count(_) if self.operation == RuntimeOperation::ConverseStream => {
                AnswerReader::Native(Box::new(NativeReader::Converse(ConverseFrames::default())))
            }
            Reading::Native { .. } | Reading::Count(_) => {
                AnswerReader::Native(Box::new(NativeReader::Invoke(ChunkRelay::new(RelayMode::Native))))
            }
        }
    }

    /// Reads a whole answer. One that makes no sense is a failed call, and another target may do better.
    pub(super) fn whole(&self, told: RuntimeAnswer) -> Result<Whole, UpstreamFailure> {
        match &self.reading {
            Reading::Hub(reply) => converse::response::read(&told.body, reply).map(|choice| Whole::Choice(Box::new(choice))),
            Reading::Count(_) => converse::count_tokens::read(&told.body).map(Whole::Counted),
            Reading::Messages(_) => {
                let read = answer::read(&told.body, None)?;
                let (usage, tier, produced) = (read.usage, read.service_tier, Some(Produced::Text(read.produced_bytes)));
                let body = read.edited.map_or(told.body, Bytes::from);
                Ok(Whole::Raw(Box::new(RawAnswer { body, passed: HeaderMap::new(), usage, tier, produced })))
            }
            Reading::Native { kind } => Ok(Whole::Raw(Box::new(self.native(told, *kind)))),
        }
    }

    fn native(&self, told: RuntimeAnswer, kind: ModelKind) -> RawAnswer {
        let read = match self.operation {
            RuntimeOperation::Converse | RuntimeOperation::ConverseStream => native::converse_answer(&told.body),
            RuntimeOperation::InvokeModel | RuntimeOperation::InvokeModelWithResponseStream => {
                let number = |name: &HeaderName| told.headers.get(name).and_then(|value| value.to_str().ok());
                native::invoke_answer(&told.body, HeaderCounts::read(number(&INPUT_TOKENS), number(&OUTPUT_TOKENS)))
            }
            RuntimeOperation::CountTokens => native::NativeAnswer::default(),
        };
        let made = match kind {
            ModelKind::Chat | ModelKind::Speech => Produced::Text(read.produced_bytes),
            ModelKind::Image => Produced::Pieces(Some((PriceUnit::Image, native::pictures(&told.body)))),
            ModelKind::Rerank => Produced::Pieces(Some((PriceUnit::Query, 1))),
            ModelKind::Embedding | ModelKind::Video => Produced::Pieces(None),
        };
        let produced = (!self.is_aside()).then_some(made);
        let passed = passed_headers(&told.headers, told.request_id.as_deref());
        RawAnswer { body: told.body, passed, usage: read.usage, tier: read.service_tier, produced }
    }
}

/// Time that is left of a request.
pub(super) type Time = std::time::Duration;

/// A whole answer.
pub(super) enum Whole {
    /// In no dialect.
    Choice(Box<ChatResponse>),
    /// As upstream wrote it.
    Raw(Box<RawAnswer>),
    /// Input tokens.
    Counted(u64),
}

/// An answer as upstream wrote it, with what was read of it in passing.
pub(super) struct RawAnswer {
    pub(super) body: Bytes,
    /// Headers for the client.
    pub(super) passed: HeaderMap,
    usage: Option<Usage>,
    tier: Option<ServiceTier>,
    /// What the model made; `None` where nothing is billed.
    produced: Option<Produced>,
}

/// What a model made: by that it is billed where it tells no tokens.
#[derive(Debug, Clone, Copy)]
enum Produced {
    /// So many bytes of text.
    Text(u64),
    /// Something else, where it is known what.
    Pieces(Option<(PriceUnit, u64)>),
}

/// What a call is billed for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Billed {
    /// Tokens, with the tier that served it.
    Tokens(Usage, Metering, Option<ServiceTier>),
    /// Something else, where it is known what: it takes no tokens of any quota.
    Pieces(Option<(PriceUnit, u64)>),
}

impl Billed {
    /// What it takes of quotas that count tokens.
    pub(super) fn tokens(self) -> (Usage, Metering) {
        match self {
            Self::Tokens(usage, metering, _) => (usage, metering),
            // Estimated: that it took none says nothing of what such calls take.
            Self::Pieces(_) => (Usage::default(), Metering::Estimated),
        }
    }
}

impl Whole {
    /// What the call is billed for; `None` where nothing is.
    pub(super) fn billed(&self, prompt_tokens: u64) -> Option<Billed> {
        match self {
            Self::Choice(response) => {
                let (usage, metering) = answer_usage(response, prompt_tokens);
                Some(Billed::Tokens(usage, metering, response.service_tier))
            }
            Self::Raw(raw) => {
                let produced = raw.produced?;
                Some(match (raw.usage.filter(|usage| usage.total() > 0), produced) {
                    (Some(usage), _) => Billed::Tokens(usage, Metering::Told, raw.tier),
                    (None, Produced::Text(bytes)) => Billed::Tokens(estimate::usage(prompt_tokens, bytes), Metering::Estimated, raw.tier),
                    (None, Produced::Pieces(pieces)) => Billed::Pieces(pieces),
                })
            }
            Self::Counted(_) => None,
        }
    }
}

static INPUT_TOKENS: HeaderName = HeaderName::from_static("x-amzn-bedrock-input-token-count");
static OUTPUT_TOKENS: HeaderName = HeaderName::from_static("x-amzn-bedrock-output-token-count");
static REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");

/// Beginning of the names of headers that tell of an answer.
const TOLD: &str = "x-amzn-bedrock-";

/// The headers of an answer that clients of AWS read. Copied: what came lies in the connection's read buffer.
pub(super) fn passed_headers(headers: &HeaderMap, request_id: Option<&str>) -> HeaderMap {
    let read = headers.iter().filter(|(name, _)| *name == CONTENT_TYPE || name.as_str().starts_with(TOLD));
    let copied = read.filter_map(|(name, value)| {
        let name = HeaderName::from_bytes(name.as_str().as_bytes()).ok()?;
        Some((name, HeaderValue::from_bytes(value.as_bytes()).ok()?))
    });
    let mut passed: HeaderMap = copied.collect();
    if let Some(id) = request_id.and_then(|id| HeaderValue::from_str(id).ok()) {
        passed.insert(REQUEST_ID.clone(), id);
    }
    passed
}
