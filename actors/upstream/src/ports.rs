//! What the gateway asks of an upstream: the traits that actors hold, so that tests can put a scripted one in their place.

use std::{fmt::Debug, future::Future, pin::Pin, time::Duration};

use bytes::Bytes;
use http::HeaderMap;
use outcrop_domain::{
    error::UpstreamFailure,
    ids::{InvokeId, Region},
    model::{OfferedProfile, RegionOffer},
};

use crate::frames::FrameStream;

/// A boxed future: large call futures live on the heap, not inside every actor that awaits them.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The Bedrock runtime operations whose wire we speak ourselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RuntimeOperation {
    /// `POST /model/{id}/converse`
    Converse,
    /// `POST /model/{id}/converse-stream`
    ConverseStream,
    /// `POST /model/{id}/invoke`
    InvokeModel,
    /// `POST /model/{id}/invoke-with-response-stream`
    InvokeModelWithResponseStream,
    /// `POST /model/{id}/count-tokens`
    CountTokens,
}

impl RuntimeOperation {
    /// AWS's name for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Converse => "Converse",
            Self::ConverseStream => "ConverseStream",
            Self::InvokeModel => "InvokeModel",
            Self::InvokeModelWithResponseStream => "InvokeModelWithResponseStream",
            Self::CountTokens => "CountTokens",
        }
    }

    /// The last segment of its path.
    #[must_use]
    pub fn verb(self) -> &'static str {
        match self {
            Self::Converse => "converse",
            Self::ConverseStream => "converse-stream",
            Self::InvokeModel => "invoke",
            Self::InvokeModelWithResponseStream => "invoke-with-response-stream",
            Self::CountTokens => "count-tokens",
        }
    }

    /// Is it answered by an event stream?
    #[must_use]
    pub fn streams(self) -> bool {
        matches!(self, Self::ConverseStream | Self::InvokeModelWithResponseStream)
    }
}

/// One call to a model.
#[derive(Debug, Clone)]
pub struct RuntimeCall {
    /// The operation.
    pub operation: RuntimeOperation,
    /// Path label, not yet percent-encoded.
    pub invoke_id: InvokeId,
    /// JSON body.
    pub body: Bytes,
    /// Further headers, signed along (guardrail, tier and trace headers of the InvokeModel family).
    pub headers: HeaderMap,
    /// Longest wait for the response head.
    pub first_byte: Duration,
    /// Longest wait for the whole answer (for streams: until the last frame), from the start of the call.
    pub total: Duration,
    /// Longest silence between two pieces of a stream.
    pub idle: Duration,
}

/// A whole answer of a 2xx status.
#[derive(Debug, Clone)]
pub struct RuntimeAnswer {
    /// Response headers.
    pub headers: HeaderMap,
    /// Response body.
    pub body: Bytes,
    /// `x-amzn-RequestId`.
    pub request_id: Option<String>,
}

/// Calls models in one region. Never retries: the job owns retry and failover.
pub trait RuntimeClient: Send + Sync + Debug {
    /// Where it calls.
    fn region(&self) -> &Region;

    /// Makes a call and collects the answer. Dropping the future cancels the call.
    fn call(&self, call: RuntimeCall) -> BoxFuture<'_, Result<RuntimeAnswer, UpstreamFailure>>;

    /// Makes a streaming call and gives its frames as they come. Dropping the stream closes the connection.
    fn open_stream(&self, call: RuntimeCall) -> BoxFuture<'_, Result<FrameStream, UpstreamFailure>>;
}

/// Asks one region's control plane.
pub trait ControlPlane: Send + Sync + Debug {
    /// Where it asks.
    fn region(&self) -> &Region;

    /// Lists models and profiles. Partial failures are told inside the offer; `Err` means nothing could be listed.
    fn discover(&self) -> BoxFuture<'_, Result<RegionOffer, UpstreamFailure>>;

    /// Looks up one profile by id or ARN (application inference profiles hide their model).
    fn profile(&self, id: &str) -> BoxFuture<'_, Result<OfferedProfile, UpstreamFailure>>;
}
