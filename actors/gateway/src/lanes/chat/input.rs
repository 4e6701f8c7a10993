//! Requests as their clients wrote them.
//!
//! Whether a body passes as it is or through the hub is known once its model is: until then it is looked at and not decoded.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use http::HeaderMap;
use outcrop_domain::{adjust::Adjustments, error::GatewayError};
use outcrop_protocol::{
    anthropic::{count_tokens::CountTokensRequest, messages::MessagesRequest},
    body::{BodyError, decode},
};
use outcrop_translate::{
    dialect::{Sniff, media::FetchedMedia},
    errors::anthropic::malformed_body,
    transparent::messages_body::{self, MessagesBody, Purpose},
};
use outcrop_upstream::ports::RuntimeOperation;

/// A request that may pass as it is.
#[derive(Debug, Clone)]
pub enum RawRequest {
    /// Anthropic messages.
    Messages(MessagesInput),
    /// Anthropic messages whose tokens are to be counted.
    CountTokens(MessagesInput),
    /// An operation of the Bedrock runtime.
    Native(Box<NativeInput>),
}

impl RawRequest {
    /// The model, by the caller's name.
    #[must_use]
    pub fn model(&self) -> Option<&str> {
        match self {
            Self::Messages(input) | Self::CountTokens(input) => input.model(),
            Self::Native(input) => Some(&input.model),
        }
    }

    /// Names another model.
    pub fn set_model(&mut self, model: &str) {
        match self {
            Self::Messages(input) | Self::CountTokens(input) => input.instead = Some(Arc::from(model)),
            Self::Native(input) => model.clone_into(&mut input.model),
        }
    }

    /// Does the client want its answer bit by bit?
    #[must_use]
    pub fn streams(&self) -> bool {
        match self {
            Self::Messages(input) => input.body.stream(),
            Self::CountTokens(_) => false,
            Self::Native(input) => input.operation.streams(),
        }
    }

    /// May another model answer in place of the one that was asked? Only Converse speaks to all models alike, and a count for
    /// another model is none.
    pub(super) fn suits_other_models(&self) -> bool {
        match self {
            Self::Messages(_) => true,
            Self::CountTokens(_) => false,
            Self::Native(input) => matches!(input.operation, RuntimeOperation::Converse | RuntimeOperation::ConverseStream),
        }
    }
}

/// A body of the Messages API. Cheap to clone.
#[derive(Clone)]
pub struct MessagesInput {
    body: Arc<MessagesBody<Bytes>>,
    /// The model that stands in for the one it names.
    instead: Option<Arc<str>>,
}

impl MessagesInput {
    /// A body whose answer is wanted.
    ///
    /// # Errors
    /// [`GatewayError::InvalidRequest`] when nobody can read it, in the words of the Messages API.
    pub fn to_answer(body: &Bytes) -> Result<Self, GatewayError> {
        Self::read(body, Purpose::Answer, |body| decode::<MessagesRequest>(body).err())
    }

    /// A body whose tokens are to be counted.
    ///
    /// # Errors
    /// As [`MessagesInput::to_answer`].
    pub fn to_count(body: &Bytes) -> Result<Self, GatewayError> {
        Self::read(body, Purpose::Count, |body| decode::<CountTokensRequest>(body).err())
    }

    fn read(body: &Bytes, purpose: Purpose, fault: fn(&[u8]) -> Option<BodyError>) -> Result<Self, GatewayError> {
        match messages_body::read(body.clone(), purpose) {
            Ok(read) => Ok(Self { body: Arc::new(read), instead: None }),
            // The other reader names the place by its path, where it finds the same fault.
            Err(error) => Err(fault(body).map_or(error, |fault| malformed_body(&fault))),
        }
    }

    /// The model, by the caller's name.
    #[must_use]
    pub fn model(&self) -> Option<&str> {
        self.instead.as_deref().or_else(|| self.body.model())
    }

    pub(super) fn body(&self) -> &MessagesBody<Bytes> {
        &self.body
    }

    /// The same request with what it names by address in it, and what was changed of it. `None` when InvokeModel takes some of
    /// that in no form.
    ///
    /// # Errors
    /// What [`MessagesBody::with_media`] says.
    pub(super) fn with_media(&self, fetched: &FetchedMedia, sniff: Sniff) -> Result<Option<(Self, Adjustments)>, GatewayError> {
        let Some(inlined) = self.body.with_media(fetched, sniff)? else { return Ok(None) };
        // What its members are for was asked when it came.
        let body = messages_body::read(Bytes::from(inlined.bytes), Purpose::Count)?;
        Ok(Some((Self { body: Arc::new(body), instead: self.instead.clone() }, inlined.adjustments)))
    }

    /// The request as values, for the hub.
    ///
    /// # Errors
    /// [`GatewayError::InvalidRequest`] that names the field.
    pub(super) fn decode(&self) -> Result<Box<MessagesRequest>, GatewayError> {
        let mut wire: Box<MessagesRequest> = Box::new(decode(self.body.as_inner()).map_err(|fault| malformed_body(&fault))?);
        wire.model = self.model().map(str::to_owned);
        Ok(wire)
    }

    /// The request to count as values, for the hub.
    ///
    /// # Errors
    /// As [`MessagesInput::decode`].
    pub(super) fn decode_count(&self) -> Result<Box<CountTokensRequest>, GatewayError> {
        let mut wire: Box<CountTokensRequest> = Box::new(decode(self.body.as_inner()).map_err(|fault| malformed_body(&fault))?);
        wire.model = self.model().map(str::to_owned);
        Ok(wire)
    }
}

impl fmt::Debug for MessagesInput {
    /// Callers' content never reaches logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessagesInput").field("body", &self.body).field("instead", &self.instead).finish()
    }
}

/// A call of the Bedrock runtime, as its client made it.
#[derive(Clone)]
pub struct NativeInput {
    /// The operation.
    pub operation: RuntimeOperation,
    /// The model of its path, decoded.
    pub model: String,
    /// Its body.
    pub body: Bytes,
    /// Those of its headers that are addressed to AWS: all of Bedrock's own (`x-amzn-bedrock-*`), and what else the operation has.
    pub headers: HeaderMap,
}

impl fmt::Debug for NativeInput {
    /// Callers' content never reaches logs: of the body only its size is shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NativeInput")
            .field("operation", &self.operation)
            .field("model", &self.model)
            .field("body", &self.body.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn param(error: GatewayError) -> (Option<String>, String) {
        let GatewayError::InvalidRequest { param, message, .. } = error else { panic!("{error}") };
        (param, message)
    }

    #[test]
    fn a_body_is_looked_at_and_its_model_can_be_another() {
        let body = Bytes::from_static(br#"{"model":"a","max_tokens":1,"messages":[{"role":"user","content":"x"}],"stream":true}"#);
        let mut raw = RawRequest::Messages(MessagesInput::to_answer(&body).unwrap());
        assert_eq!((raw.model(), raw.streams(), raw.suits_other_models()), (Some("a"), true, true));
        raw.set_model("b");
        let RawRequest::Messages(input) = &raw else { panic!("it is still messages") };
        assert_eq!(input.decode().unwrap().model.as_deref(), Some("b"));
        assert!(!format!("{raw:?}").contains("content"), "{raw:?}");
    }

    #[test]
    fn faults_are_told_as_the_other_reader_tells_them() {
        let read = |body: &'static str| param(MessagesInput::to_answer(&Bytes::from_static(body.as_bytes())).unwrap_err());
        assert!(read("{").1.starts_with("The request body is not valid JSON"), "{:?}", read("{"));
        assert!(read("[1]").1.starts_with("Input should be an object"), "{:?}", read("[1]"));
        assert_eq!(read(r#"{"messages":5,"max_tokens":1}"#).0.as_deref(), Some("messages"));
        assert_eq!(read(r#"{"messages":[{"role":"user","content":"x"}]}"#).1, "max_tokens: Field required");
        let counted = MessagesInput::to_count(&Bytes::from_static(br#"{"model":"m","messages":[{"role":"user","content":"x"}]}"#));
        assert_eq!(counted.unwrap().decode_count().unwrap().model.as_deref(), Some("m"));
    }
}
