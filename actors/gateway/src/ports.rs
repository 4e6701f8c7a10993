//! The whole of what the edge may ask of the gateway: values in, values out, no HTTP, but for the headers of calls that pass
//! through as they are.

mod responses;

use std::{fmt, sync::Arc};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::HeaderMap;
use outcrop_domain::{
    adjust::Adjustments,
    chat::{ChatEvent, ChatResponse, Guardrail, Latency, ServiceTier},
    error::GatewayError,
    ids::{ModelId, Region},
    json::JsonText,
    model::{Catalogue, CataloguePolicy, ModelBook},
};
use outcrop_protocol::{
    anthropic::messages::MessagesRequest,
    openai::{chat::ChatCompletionRequest, completions::CompletionRequest, responses::ResponsesRequest},
};
use outcrop_translate::{
    openai_chat::{AnswerShape, stream::UsageChunk},
    openai_completions::CompletionShape,
    openai_responses::{ResponseShape, request::Earlier},
};
use serde::Serialize;
use tokio::sync::mpsc;

use crate::{
    admission::{KeySnapshot, Principal},
    lanes::{ChatPort, ResponsesPort, StoredPort},
    record::RequestRecord,
    settings::LiveSettings,
    tree::{GatewayReport, TreeHandle},
};

/// Encodes the exception that ends a native stream.
pub use outcrop_upstream::eventstream::encode_frame;
/// The operations of the Bedrock runtime.
pub use outcrop_upstream::ports::RuntimeOperation;

pub use responses::{ConversationAsk, ResponseAsk, ResponsesAnswer, ResponsesJob, ResponsesTask, StoredAnswer, StoredAsk};

/// Where work on large content is done, on either side of this page; and requests that may pass as they are.
pub use crate::{
    archive::EventBytes,
    lanes::{MessagesInput, NativeInput, RawRequest, by_size},
    targets::{ClosedModel, Limit, ModelLimits, RegionHealth, RegionStatus},
    tree::Deed,
};
/// Pages of lists, as the store knows them.
pub use outcrop_store::{Order, Page, PageLimit};

/// Everything the edge holds of a running gateway.
#[derive(Debug, Clone)]
pub struct GatewayPorts {
    /// Chat requests.
    pub chat: ChatPort,
    /// Requests for responses.
    pub responses: ResponsesPort,
    /// Stored responses and conversations.
    pub stored: StoredPort,
    /// Keys, for authentication.
    pub keys: Arc<ArcSwap<KeySnapshot>>,
    /// Models, for listings.
    pub catalogue: Arc<ArcSwap<Catalogue>>,
    /// The tree, for health, reload and shutdown.
    pub tree: TreeHandle,
}

/// What a reload replaces.
#[derive(Debug)]
pub struct Reload {
    /// Live settings.
    pub settings: LiveSettings,
    /// Keys.
    pub keys: KeySnapshot,
    /// Model data.
    pub book: Arc<ModelBook>,
    /// Catalogue policy.
    pub policy: CataloguePolicy,
}

impl GatewayPorts {
    /// State of the whole tree.
    pub async fn describe(&self) -> GatewayReport {
        self.tree.describe().await
    }
}

/// What a client asks of a chat model, in its own dialect.
#[derive(Debug, Clone)]
pub enum ClientRequest {
    /// OpenAI chat completions.
    OpenAiChat(Box<ChatCompletionRequest>),
    /// Anthropic messages.
    Messages(Box<MessagesRequest>),
    /// OpenAI responses.
    Responses(Box<ResponsesAsk>),
    /// OpenAI's legacy completions.
    Completions(Box<CompletionRequest>),
    /// As the client wrote it: which way it goes is for its model to say.
    Raw(RawRequest),
    /// A conversation of OpenAI responses that is to be made short.
    Compaction {
        /// The conversation.
        ask: Box<ResponsesAsk>,
        /// `resp_...`: what the ids of its items are made of.
        id: String,
    },
    /// A request for a response whose tokens are to be counted.
    Counting(Box<ResponsesAsk>),
}

/// A request for a response, with what was stored earlier and belongs to it. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct ResponsesAsk {
    /// The decoded body.
    pub wire: Arc<ResponsesRequest>,
    /// The model that stands in for the one it names.
    pub instead: Option<Arc<str>>,
    /// The items that it goes on from and those that its input names, as the store knew them.
    pub earlier: Arc<Earlier>,
}

impl ResponsesAsk {
    /// A request for the model that its body names.
    #[must_use]
    pub fn new(wire: ResponsesRequest, earlier: Earlier) -> Self {
        Self { wire: Arc::new(wire), instead: None, earlier: Arc::new(earlier) }
    }

    fn model(&self) -> Option<&str> {
        self.instead.as_deref().or(self.wire.model.as_deref())
    }

    /// The body to be read, for the model it goes to, and what was stored earlier. A body that others hold is copied.
    pub(crate) fn into_parts(self) -> (ResponsesRequest, Arc<Earlier>) {
        let mut wire = Arc::unwrap_or_clone(self.wire);
        if let Some(model) = self.instead {
            wire.model = Some(model.as_ref().to_owned());
        }
        (wire, self.earlier)
    }
}

impl ClientRequest {
    /// The model, by the caller's name.
    #[must_use]
    pub fn model(&self) -> Option<&str> {
        match self {
            Self::OpenAiChat(wire) => wire.model.as_deref(),
            Self::Messages(wire) => wire.model.as_deref(),
            Self::Responses(ask) | Self::Compaction { ask, .. } | Self::Counting(ask) => ask.model(),
            Self::Completions(wire) => wire.model.as_deref(),
            Self::Raw(raw) => raw.model(),
        }
    }

    /// The same request for another model.
    #[must_use]
    pub fn for_model(&self, model: &str) -> Self {
        let mut request = self.clone();
        match &mut request {
            Self::OpenAiChat(wire) => wire.model = Some(model.to_owned()),
            Self::Messages(wire) => wire.model = Some(model.to_owned()),
            Self::Responses(ask) | Self::Compaction { ask, .. } | Self::Counting(ask) => ask.instead = Some(Arc::from(model)),
            Self::Completions(wire) => wire.model = Some(model.to_owned()),
            Self::Raw(raw) => raw.set_model(model),
        }
        request
    }

    /// Does the client want its answer bit by bit?
    #[must_use]
    pub fn streams(&self) -> bool {
        let stream = match self {
            Self::OpenAiChat(wire) => wire.stream,
            Self::Messages(wire) => wire.stream,
            Self::Responses(ask) | Self::Compaction { ask, .. } | Self::Counting(ask) => ask.wire.stream,
            Self::Completions(wire) => wire.stream,
            Self::Raw(raw) => Some(raw.streams()),
        };
        stream == Some(true)
    }
}

/// One chat request.
#[derive(Debug)]
pub struct ChatJob {
    /// The request's record, shared with the edge.
    pub record: Arc<RequestRecord>,
    /// Who asks.
    pub principal: Arc<Principal>,
    /// The decoded body. Spent when it was read.
    pub request: ClientRequest,
    /// Size of the body it was decoded from: large ones are translated off the runtime's threads.
    pub body_bytes: usize,
    /// What headers asked for.
    pub overrides: RequestOverrides,
    /// What the edge counts the request's memory by; `None` where nobody counts. Dropped with the job: when the answer has
    /// begun or failed, or when the lane lets go of a job that never ran.
    pub held: Option<Arc<dyn HeldMemory>>,
}

/// The memory that one request takes, as the edge counts it for all of them together. It is given back when the last that
/// holds this drops it.
pub trait HeldMemory: Send + Sync + fmt::Debug {
    /// Takes room for so many bytes more, at once or not at all: a request that holds room does not wait for more.
    ///
    /// # Errors
    /// [`GatewayError::Overloaded`] when there is none.
    fn grow(&self, bytes: usize) -> Result<(), GatewayError>;
}

/// Wishes that came by header, in the surface's own words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestOverrides {
    /// Guardrail.
    pub guardrail: Option<Guardrail>,
    /// Service tier.
    pub service_tier: Option<ServiceTier>,
    /// Latency-optimised inference.
    pub latency: Option<Latency>,
    /// `anthropic-beta` flags.
    pub beta_flags: Vec<String>,
    /// The session that the request belongs to, in the client's words: its requests are kept where their prompt cache is.
    pub session: Option<String>,
}

/// How a chat request was answered.
#[derive(Debug)]
pub enum ChatAnswer {
    /// At once.
    Whole {
        /// One response per choice.
        choices: Vec<ChatResponse>,
        /// About the answer.
        about: AnswerFacts,
    },
    /// At once, as upstream wrote it.
    Raw {
        /// The body.
        body: Bytes,
        /// About the answer.
        about: AnswerFacts,
    },
    /// The tokens of the request, which were all that was asked.
    Counted {
        /// Input tokens.
        tokens: u64,
        /// About the answer.
        about: AnswerFacts,
    },
    /// As it is written. The channel ends with [`StreamItem::Done`] or [`StreamItem::Failed`]; if it closes without
    /// either, the worker died.
    Stream {
        /// Events as they come.
        events: mpsc::Receiver<StreamItem>,
        /// About the answer.
        about: AnswerFacts,
    },
}

impl ChatAnswer {
    /// About the answer.
    #[must_use]
    pub fn about(&self) -> &AnswerFacts {
        match self {
            Self::Whole { about, .. } | Self::Raw { about, .. } | Self::Counted { about, .. } | Self::Stream { about, .. } => about,
        }
    }
}

/// A piece of a streamed answer.
#[derive(Debug)]
pub enum StreamItem {
    /// Events of one choice that came together.
    Events {
        /// Which choice.
        choice: u32,
        /// In order.
        events: Vec<ChatEvent>,
    },
    /// Bytes for the client, whole events each.
    Bytes(Bytes),
    /// The answer broke, and goes on from another region.
    Resumed {
        /// Which choice.
        choice: u32,
        /// Where it goes on.
        region: Region,
    },
    /// The answer broke.
    Failed(Box<GatewayError>),
    /// Every choice is complete.
    Done,
}

/// What the edge tells about an answer.
#[derive(Debug, Clone)]
pub struct AnswerFacts {
    /// The model that answers.
    pub model: ModelId,
    /// Where.
    pub region: Region,
    /// Upstream calls made so far.
    pub attempts: u32,
    /// What was changed in the request.
    pub adjustments: Adjustments,
    /// Set when a retired model was replaced: says which by which.
    pub replaced: Option<String>,
    /// How to write the answer in the client's dialect.
    pub dialect: AnswerDialect,
    /// Should the stream break, it goes on from another region.
    pub resumes: bool,
    /// What is left of the model's quotas; `None` where nobody keeps quotas.
    pub limits: Option<ModelLimits>,
    /// Headers of upstream's answer that native clients read; `None` in every other dialect.
    pub passed: Option<Box<HeaderMap>>,
}

/// What the writer of an answer must know of its request.
#[derive(Debug, Clone)]
pub enum AnswerDialect {
    /// OpenAI chat completions.
    OpenAiChat {
        /// What the client can read.
        shape: AnswerShape,
        /// Whether usage is streamed.
        usage_chunk: UsageChunk,
        /// Answers asked for.
        choices: u32,
    },
    /// Anthropic messages.
    Messages,
    /// OpenAI responses.
    Responses {
        /// What the answer must remember of its request.
        shape: ResponseShape,
    },
    /// A conversation of OpenAI responses, made short.
    Compaction {
        /// The items that stay beside the summary.
        kept: Arc<Vec<JsonText>>,
    },
    /// OpenAI's legacy completions.
    Completions {
        /// What the client can read.
        shape: CompletionShape,
        /// Whether usage is streamed.
        usage_chunk: UsageChunk,
        /// Answers asked for, to all prompts together.
        choices: u32,
    },
    /// Anthropic messages, as the model wrote them: they are passed on.
    Passed,
    /// Bedrock's own, passed on for a client of AWS's.
    Native,
}

/// How much of the operator's own an explanation shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disclosure {
    /// Guardrails and profiles that the operator configured are named `(configured)`: their ids carry account numbers,
    /// and every key may ask for explanations.
    Caller,
    /// Everything, exactly.
    Operator,
}

/// What a request would become upstream.
#[derive(Debug, Clone, Serialize)]
pub struct Explanation {
    /// The model the name resolves to.
    pub model: ModelId,
    /// What a retired model was replaced by, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaced: Option<String>,
    /// The Bedrock operation.
    pub operation: &'static str,
    /// Where it would be sent, in order.
    pub targets: Vec<ExplainedTarget>,
    /// The exact body.
    pub body: JsonText,
    /// Every change.
    pub adjusted: Vec<ExplainedChange>,
}

/// One target of an [`Explanation`].
#[derive(Debug, Clone, Serialize)]
pub struct ExplainedTarget {
    /// Region.
    pub region: Region,
    /// Method and path of the call.
    pub request: String,
    /// Whether it may be called now.
    pub health: &'static str,
}

/// One change of an [`Explanation`].
#[derive(Debug, Clone, Serialize)]
pub struct ExplainedChange {
    /// Field.
    pub field: String,
    /// What was done.
    pub action: String,
}
