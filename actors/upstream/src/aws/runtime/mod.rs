//! The hot path: Converse, InvokeModel and their streams, on our own wire.
//!
//! What does not change between calls is computed once per region; a call builds one URL, one header map, one
//! signature. Nothing is repeated here: the job owns retry and failover.

mod request;
pub(crate) mod response;
mod signature;

use std::sync::Arc;

use http::{HeaderMap, Response, header::DATE};
use hyper::body::Incoming;
use outcrop_domain::{
    error::{Cause, UpstreamFailure},
    ids::Region,
};
use tokio::time::{Instant, timeout_at};

use super::{Access, AwsSettings, SigningClock, credentials::Snapshot, endpoint::Endpoint};
use crate::{
    UpstreamError,
    classify::own_failure,
    frames::{FrameStream, StreamTiming},
    ports::{BoxFuture, RuntimeAnswer, RuntimeCall, RuntimeClient},
    transport::Transport,
};
use request::{Proof, RequestFactory};
use signature::BodyHash;

/// Calls models in one region.
#[derive(Debug)]
pub struct AwsRuntime {
    region: Region,
    factory: RequestFactory,
    transport: Transport,
    access: Access,
    clock: Arc<SigningClock>,
    max_answer_bytes: usize,
}

/// A response head, and the credentials its request was signed with.
struct Head {
    response: Response<Incoming>,
    signed_with: Option<Arc<Snapshot>>,
}

impl AwsRuntime {
    pub(crate) fn new(
        region: Region,
        settings: &AwsSettings,
        transport: Transport,
        access: Access,
        clock: Arc<SigningClock>,
    ) -> Result<Self, UpstreamError> {
        let endpoint = Endpoint::runtime(&region, settings)?;
        let proxy_authorization = transport.proxy_authorization(&endpoint.uri);
        let factory = RequestFactory::new(region.clone(), endpoint, proxy_authorization);
        Ok(Self { region, factory, transport, access, clock, max_answer_bytes: settings.max_answer_bytes })
    }

    async fn answer(&self, call: RuntimeCall) -> Result<RuntimeAnswer, UpstreamFailure> {
        let deadline = Instant::now() + call.total;
        let (parts, body) = self.accepted(&call, deadline).await?.into_parts();
        let body = timeout_at(deadline, response::collect(body, self.max_answer_bytes))
            .await
            .unwrap_or_else(|_| Err(total_timeout(&call)))
            .map_err(|failure| self.place(failure, &parts.headers))?;
        let request_id = response::request_id(&parts.headers);
        Ok(RuntimeAnswer { headers: parts.headers, body, request_id })
    }

    async fn stream(&self, call: RuntimeCall) -> Result<FrameStream, UpstreamFailure> {
        let deadline = Instant::now() + call.total;
        let (parts, body) = self.accepted(&call, deadline).await?.into_parts();
        let request_id = response::request_id(&parts.headers);
        let timing = StreamTiming { idle: call.idle, deadline };
        Ok(FrameStream::from_body(body, Some(timing)).with_origin(request_id, self.region.clone()).with_told(&parts.headers))
    }

    /// Sends the request and waits for a head of a 2xx status; any other becomes a failure.
    async fn accepted(&self, call: &RuntimeCall, deadline: Instant) -> Result<Response<Incoming>, UpstreamFailure> {
        let first_byte = Instant::now() + call.first_byte;
        let head = match timeout_at(first_byte.min(deadline), self.exchange(call)).await {
            Ok(outcome) => outcome,
            Err(_) if first_byte < deadline => Err(first_byte_timeout(call)),
            Err(_) => Err(total_timeout(call)),
        };
        let head = head.map_err(|failure| self.place(failure, &HeaderMap::new()))?;
        if head.response.status().is_success() {
            return Ok(head.response);
        }
        Err(self.refusal(head, deadline).await)
    }

    async fn exchange(&self, call: &RuntimeCall) -> Result<Head, UpstreamFailure> {
        let (request, signed_with) = match &self.access {
            Access::Bearer(token) => (self.factory.build(call, Proof::Bearer(token.header()))?, None),
            Access::Keys(keeper) => {
                let body = BodyHash::of(&call.body).await;
                let snapshot = keeper.current().await?;
                let proof = Proof::Signature { credentials: &snapshot, time: self.clock.now(), body };
                (self.factory.build(call, proof)?, Some(snapshot))
            }
        };
        let response = self.transport.send(request).await.map_err(|error| response::unsent(&error))?;
        Ok(Head { response, signed_with })
    }

    async fn refusal(&self, head: Head, deadline: Instant) -> UpstreamFailure {
        let (parts, body) = head.response.into_parts();
        let body = response::error_text(body, deadline).await;
        let failure = response::refusal(parts.status, &parts.headers, &body, self.clock.now());
        if failure.cause == Cause::Credentials {
            self.learn_from_refusal(&failure, &parts.headers, head.signed_with.as_ref());
        }
        self.place(failure, &parts.headers)
    }

    /// Sees to it that the next call has a better signature: another time, or other credentials.
    fn learn_from_refusal(&self, failure: &UpstreamFailure, headers: &HeaderMap, signed_with: Option<&Arc<Snapshot>>) {
        let (Access::Keys(keeper), Some(used)) = (&self.access, signed_with) else {
            return;
        };
        let server_date = headers.get(DATE).and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok());
        let clock_was_wrong = response::speaks_of_time(failure) && server_date.is_some_and(|date| self.clock.learn(date));
        if !clock_was_wrong {
            keeper.refused(used);
        }
    }

    fn place(&self, mut failure: UpstreamFailure, headers: &HeaderMap) -> UpstreamFailure {
        failure.region = Some(self.region.clone());
        failure.request_id = failure.request_id.or_else(|| response::request_id(headers));
        failure
    }
}

impl RuntimeClient for AwsRuntime {
    fn region(&self) -> &Region {
        &self.region
    }

    fn call(&self, call: RuntimeCall) -> BoxFuture<'_, Result<RuntimeAnswer, UpstreamFailure>> {
        Box::pin(self.answer(call))
    }

    fn open_stream(&self, call: RuntimeCall) -> BoxFuture<'_, Result<FrameStream, UpstreamFailure>> {
        Box::pin(self.stream(call))
    }
}

fn first_byte_timeout(call: &RuntimeCall) -> UpstreamFailure {
    own_failure(Cause::Timeout, "FirstByteTimeout", format!("no response within {:?}", call.first_byte))
}

fn total_timeout(call: &RuntimeCall) -> UpstreamFailure {
    own_failure(Cause::Timeout, "TotalTimeout", format!("the answer was not complete within {:?}", call.total))
}

#[cfg(test)]
mod tests;
