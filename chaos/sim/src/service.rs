//! One call, from request head to response.

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, header, request::Parts};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;

use crate::{
    auth::{AuthKind, AuthMode, Checked},
    body::SimBody,
    clock, control_plane, draw,
    inference::{self, Inference},
    journal::{Arrival, Recorder},
    lock::held,
    reply::Reply,
    route::{Operation, Route},
    script::{AnswerOrder, Asked, Orders, PlaceFault},
    validate::Refusal,
    wire::WireControl,
    world::{Region, World},
};

/// AWS takes bodies of at most 25,000,000 bytes; base64 of the largest attachments stays below this.
const LARGEST_BODY: usize = 64 * 1024 * 1024;
const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");

/// The calls of one connection.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    pub(crate) world: Arc<World>,
    pub(crate) region: Arc<Region>,
    pub(crate) wire: Arc<WireControl>,
}

/// A call that has been read.
pub(crate) struct Ask {
    pub(crate) asked: Asked,
    pub(crate) query: Option<String>,
    pub(crate) recorder: Recorder,
}

impl Service {
    /// Answers one request. Orders to cut the connection never come back from here.
    pub(crate) async fn call(self, request: Request<Incoming>) -> Result<Response<SimBody>, Infallible> {
        let (parts, incoming) = request.into_parts();
        let route = Route::of(&parts.method, parts.uri.path());
        if self.world.auth_mode == AuthMode::Off
            && let Some(fast) = &self.world.fast
            && let Some((content_type, body)) = fast.answer(route.operation)
        {
            return Ok(self.fast(incoming, content_type, body).await);
        }
        let mut request_id = String::new();
        let mut recorder = {
            let seed = self.world.seed;
            let id = |number| draw::request_id(&mut draw::stream(seed, "request-id", number));
            let arrival = Arrival { region: &self.region.name, parts: &parts, route: &route, request_id: &id };
            let recorder = Recorder::open(Arc::clone(&self.world.journal), self.world.clock, Arc::clone(&self.wire), &arrival);
            request_id.push_str(&id(recorder.number()));
            recorder
        };
        let at = self.world.clock.elapsed();
        let reply = match Limited::new(incoming, LARGEST_BODY).collect().await {
            Ok(body) => {
                let body = body.to_bytes();
                recorder.body(&body);
                match self.identify(&parts, &route, &body) {
                    Ok(auth) => {
                        recorder.auth(auth);
                        let asked = self.asked(&recorder, route, body, at);
                        let mut ask = Ask { asked, query: parts.uri.query().map(str::to_owned), recorder };
                        let reply = self.decide(&mut ask).await;
                        recorder = ask.recorder;
                        reply
                    }
                    Err(refusal) => Reply::refused(&refusal),
                }
            }
            Err(fault) if fault.is::<http_body_util::LengthLimitError>() => {
                Reply::refused(&refusal(413, "RequestEntityTooLargeException", "Request body is too large."))
            }
            // The client left in the middle of its request; hyper ends the connection.
            Err(_) => Reply::refused(&refusal(400, "RequestTimeoutException", "The request body did not arrive.")),
        };
        Ok(self.respond(reply, &request_id, recorder))
    }

    fn identify(&self, parts: &Parts, route: &Route, body: &Bytes) -> Result<AuthKind, Refusal> {
        if route.operation == Operation::Unknown {
            return Err(refusal(404, "UnknownOperationException", "The requested operation is not known to this service."));
        }
        match self.world.auth_mode {
            AuthMode::Off => Ok(AuthKind::Unchecked),
            AuthMode::Checked => {
                let now = clock::seconds_of(self.world.wall(&self.region));
                self.world.keyring.check(&Checked { region: &self.region.name, now, parts, body })
            }
        }
    }

    fn asked(&self, recorder: &Recorder, route: Route, body: Bytes, at: Duration) -> Asked {
        // A label that does not resolve is refused later, after the script has had its say.
        let model = route
            .label
            .as_deref()
            .filter(|_| route.operation.runs_model())
            .and_then(|label| self.world.models.resolve(&self.region.name, label).ok())
            .map(|model| model.id.clone());
        if let Some(model) = &model {
            recorder.model(model.clone());
        }
        Asked { call: recorder.number(), region: self.region.name.clone(), operation: route.operation, label: route.label, model, body, at }
    }

    /// What the script says, else what the operation answers.
    async fn decide(&self, ask: &mut Ask) -> Reply {
        let orders = match self.world.script.decide(&ask.asked) {
            Some(mut matched) => {
                let orders = std::mem::take(&mut matched.orders);
                ask.recorder.matched(matched);
                orders
            }
            None => Orders::default(),
        };
        match orders.place {
            Some(PlaceFault::BlackHole) => return std::future::pending().await,
            Some(PlaceFault::Cut(manner)) => {
                self.wire.cut_now(manner);
                return std::future::pending().await;
            }
            None => {}
        }
        if !orders.delay_head.is_zero() {
            tokio::time::sleep(orders.delay_head).await;
        }
        let cut = orders.cut_after_bytes;
        match &orders.answer {
            AnswerOrder::Error(error) => Reply::error(error, cut),
            AnswerOrder::Raw { status, headers, body } => Reply::raw(*status, headers, body.clone(), cut),
            _ => self.operate(ask, orders).await.unwrap_or_else(|refusal| Reply::refused(&refusal)),
        }
    }

    async fn operate(&self, ask: &Ask, orders: Orders) -> Result<Reply, Refusal> {
        let (world, region) = (&*self.world, &*self.region);
        match ask.asked.operation {
            Operation::Converse | Operation::ConverseStream => {
                if let Some((content_type, body)) = world.fast.as_ref().and_then(|fast| fast.answer(ask.asked.operation)) {
                    let headers = [(header::CONTENT_TYPE.as_str().to_owned(), content_type.to_owned())];
                    return Ok(Reply::raw(200, &headers, body, orders.cut_after_bytes));
                }
                let inference = Inference { world, region, ask };
                let (reply, pause) = inference.converse(orders)?;
                if !pause.is_zero() {
                    tokio::time::sleep(pause).await;
                }
                Ok(reply)
            }
            Operation::CountTokens => Inference { world, region, ask }.count_tokens(orders.cut_after_bytes),
            Operation::InvokeModelWithResponseStream => inference::scripted_chunks(world, region, ask, orders),
            Operation::ListFoundationModels
            | Operation::GetFoundationModel
            | Operation::GetFoundationModelAvailability
            | Operation::ListInferenceProfiles
            | Operation::GetInferenceProfile => {
                control_plane::answer(world, region, ask).map(|body| Reply::json(body, orders.cut_after_bytes))
            }
            other => Err(inference::not_simulated(other)),
        }
    }

    fn respond(&self, reply: Reply, request_id: &str, recorder: Recorder) -> Response<SimBody> {
        recorder.head(reply.outcome);
        let body = SimBody::new(reply.steps, reply.length, reply.bill, self.world.clock, Arc::clone(&self.wire), Some(recorder));
        let mut response = Response::new(body);
        *response.status_mut() = reply.status;
        *response.headers_mut() = reply.headers;
        if let Ok(id) = HeaderValue::try_from(request_id) {
            response.headers_mut().insert(REQUEST_ID, id);
        }
        // The region's own time, so that a caller can correct its clock from it.
        if let Ok(date) = HeaderValue::try_from(httpdate::fmt_http_date(self.world.wall(&self.region))) {
            response.headers_mut().insert(header::DATE, date);
        }
        response
    }

    /// Pre-encoded bytes, counted and otherwise unrecorded.
    async fn fast(&self, mut incoming: Incoming, content_type: &'static str, body: Bytes) -> Response<SimBody> {
        // The request is read to its end, or the connection could not be used again. A broken one ends itself.
        while let Some(Ok(_)) = incoming.frame().await {}
        self.world.journal.note_fast_call();
        let length = Some(body.len() as u64);
        let steps = crate::playback::plain_steps(body, None);
        let mut response = Response::new(SimBody::new(steps, length, None, self.world.clock, Arc::clone(&self.wire), None));
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        response
    }
}

pub(crate) fn refusal(status: u16, error_type: &'static str, message: &str) -> Refusal {
    Refusal { status, error_type, message: message.to_owned() }
}

/// The pace of a region at this moment.
pub(crate) fn pace_of(region: &Region) -> crate::pace::Pace {
    *held(&region.pace)
}
