//! One call, from request head to response.

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, header, request::Parts};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;

use crate::{
    auth::{self, AuthMode, Checked, Identity},
    body::{Account, SimBody},
    clock, control_plane, draw,
    faults::{self, Target},
    inference::{self, Inference},
    journal::{Arrival, Recorder, RefusedBy},
    lock::held,
    models::SimModel,
    playback,
    quota::ProfileClass,
    reply::Reply,
    route::{Operation, Route},
    script::{AnswerOrder, Asked, ByteStall, CutManner, Orders, PlaceFault, ScriptedError},
    validate::Refusal,
    wire::WireControl,
    world::{Region, World, error_mark},
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
pub(crate) struct Ask<'a> {
    pub(crate) asked: Asked,
    pub(crate) query: Option<String>,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) recorder: &'a Recorder,
}

/// A call whose head has been read.
struct Caller {
    parts: Parts,
    route: Route,
    /// How long its connection had been idle.
    idle: Option<Duration>,
    at: Duration,
    recorder: Recorder,
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
        let idle = self.wire.begin_call();
        let mut request_id = String::new();
        let recorder = {
            let seed = self.world.seed;
            let id = |number| draw::request_id(&mut draw::stream(seed, "request-id", number));
            let arrival = Arrival { region: &self.region.name, parts: &parts, route: &route, request_id: &id };
            let recorder = Recorder::open(Arc::clone(&self.world.journal), self.world.clock, Arc::clone(&self.wire), &arrival);
            request_id.push_str(&id(recorder.number()));
            recorder
        };
        let at = self.world.clock.elapsed();
        let mut caller = Caller { parts, route, idle, at, recorder };
        let reply = match Limited::new(incoming, LARGEST_BODY).collect().await {
            Ok(body) => self.read(&mut caller, body.to_bytes()).await,
            Err(fault) if fault.is::<http_body_util::LengthLimitError>() => {
                self.refused(caller.recorder.number(), &refusal(413, "RequestEntityTooLargeException", "Request body is too large."))
            }
            // The client left in the middle of its request; hyper ends the connection.
            Err(_) => self.refused(caller.recorder.number(), &refusal(400, "RequestTimeoutException", "The request body did not arrive.")),
        };
        Ok(self.respond(reply, &request_id, caller.recorder))
    }

    /// A request that has been read whole.
    async fn read(&self, caller: &mut Caller, body: Bytes) -> Reply {
        caller.recorder.body(&body);
        let identity = match self.identify(caller, &body) {
            Ok(identity) => identity,
            Err(refusal) => {
                caller.recorder.refused_by(RefusedBy::Auth);
                return self.refused(caller.recorder.number(), &refusal);
            }
        };
        caller.recorder.auth(identity.kind.clone());
        let asked = self.asked(caller, body);
        let query = caller.parts.uri.query().map(str::to_owned);
        let orders = self.orders(caller, &asked, &identity);
        self.decide(&Ask { asked, query, headers: &caller.parts.headers, recorder: &caller.recorder }, orders).await
    }

    fn identify(&self, caller: &Caller, body: &Bytes) -> Result<Identity, Refusal> {
        if caller.route.operation == Operation::Unknown {
            return Err(refusal(404, "UnknownOperationException", "The requested operation is not known to this service."));
        }
        match self.world.auth_mode {
            AuthMode::Off => Ok(Identity::unchecked()),
            AuthMode::Checked => {
                let now = self.world.clock.elapsed();
                let seconds = clock::seconds_of(self.world.wall(&self.region));
                let checked = Checked { region: &self.region.name, now: seconds, parts: &caller.parts, body };
                let identity = self.world.keyring.check(&checked).inspect_err(|_| self.world.note_skew(&self.region, now))?;
                match self.world.faults.expire(&self.region.name, &identity.key, identity.put_at, now) {
                    Some(_) => Err(auth::expired()),
                    None => Ok(identity),
                }
            }
        }
    }

    fn asked(&self, caller: &Caller, body: Bytes) -> Asked {
        let route = caller.route.clone();
        // A label that does not resolve is refused later, after the script has had its say.
        let model = route
            .label
            .as_deref()
            .filter(|_| route.operation.runs_model())
            .and_then(|label| self.resolve(route.operation, label).ok())
            .map(|model| model.id.clone());
        let profile = model.as_deref().and_then(|model| route.label.as_deref().map(|label| ProfileClass::of(label, model)));
        if let (Some(model), Some(profile)) = (&model, profile) {
            caller.recorder.model(model.clone(), profile);
        }
        Asked {
            call: caller.recorder.number(),
            region: self.region.name.clone(),
            operation: route.operation,
            label: route.label,
            model,
            profile,
            body,
            at: caller.at,
        }
    }

    fn resolve(&self, operation: Operation, label: &str) -> Result<&SimModel, Refusal> {
        match operation {
            Operation::CountTokens => self.world.models.resolve_counted(&self.region.name, label),
            _ => self.world.models.resolve(&self.region.name, label),
        }
    }

    /// What the script says about a call, else what a fault does to it.
    fn orders(&self, caller: &mut Caller, asked: &Asked, identity: &Identity) -> Orders {
        if let Some(mut matched) = self.world.script.decide(asked) {
            let orders = std::mem::take(&mut matched.orders);
            caller.recorder.matched(matched);
            return orders;
        }
        let target = Target {
            call: asked.call,
            region: &asked.region,
            operation: asked.operation,
            label: asked.label.as_deref(),
            model: asked.model.as_deref(),
            profile: asked.profile,
            key: Some(identity.key.as_str()).filter(|key| !key.is_empty()),
            idle: caller.idle,
        };
        let Some(strike) = self.world.faults.strike_call(&target, self.world.clock.elapsed()) else { return Orders::default() };
        let orders = faults::orders(&strike.kind, asked.call, strike.stream.clone());
        if matches!(orders.answer, AnswerOrder::Error(_)) {
            caller.recorder.refused_by(RefusedBy::Fault { fault: strike.fault });
        }
        caller.recorder.struck(strike);
        orders
    }

    /// What the orders say, else what the operation answers.
    async fn decide(&self, ask: &Ask<'_>, mut orders: Orders) -> Reply {
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
        let (cut, stall, wire) = (orders.cut_after_bytes, orders.stall_bytes.take(), orders.wire.take());
        let mut reply = match &orders.answer {
            AnswerOrder::Error(error) => {
                if ask.recorder.is_scripted() {
                    ask.recorder.refused_by(RefusedBy::Script);
                }
                self.error(ask.asked.call, error, cut)
            }
            AnswerOrder::Raw { status, headers, body } => Reply::raw(*status, headers, body.clone(), cut),
            _ => self.operate(ask, orders).await.unwrap_or_else(|refusal| self.refused(ask.asked.call, &refusal)),
        };
        let length = playback::body_bytes(&reply.steps);
        if let Some(ByteStall { at, pause, mut stream }) = stall {
            reply.steps = playback::stall_at(reply.steps, at.among(length, &mut stream), pause);
        }
        if let Some(order) = wire {
            self.wire.shape(order.plan(length as u64));
        }
        reply
    }

    /// A refusal of the simulator's own rules.
    fn refused(&self, call: u64, refusal: &Refusal) -> Reply {
        self.error(call, &ScriptedError::new(refusal.status, refusal.error_type, refusal.message.as_str()), None)
    }

    /// An error, with the mark of its call where answers have marks.
    fn error(&self, call: u64, error: &ScriptedError, cut: Option<(usize, CutManner)>) -> Reply {
        if self.world.behaviours.mark_errors() {
            let marked = ScriptedError { message: error_mark(&error.message, call), ..error.clone() };
            return Reply::error(&marked, cut);
        }
        Reply::error(error, cut)
    }

    async fn operate(&self, ask: &Ask<'_>, orders: Orders) -> Result<Reply, Refusal> {
        let (world, region) = (&*self.world, &*self.region);
        match ask.asked.operation {
            Operation::InvokeModelWithResponseStream if matches!(orders.answer, AnswerOrder::Chunks(_)) => {
                inference::scripted_chunks(world, region, ask, orders)
            }
            Operation::Converse | Operation::ConverseStream | Operation::InvokeModel | Operation::InvokeModelWithResponseStream => {
                if let Some((content_type, body)) = world.fast.as_ref().and_then(|fast| fast.answer(ask.asked.operation)) {
                    let headers = [(header::CONTENT_TYPE.as_str().to_owned(), content_type.to_owned())];
                    return Ok(Reply::raw(200, &headers, body, orders.cut_after_bytes));
                }
                let inference = Inference { world, region, ask };
                let (reply, pause) = inference.run(orders)?;
                if !pause.is_zero() {
                    tokio::time::sleep(pause).await;
                }
                Ok(reply)
            }
            Operation::CountTokens => Inference { world, region, ask }.count_tokens(orders.cut_after_bytes),
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
        let account = Account::new(reply.bill, self.world.clock, recorder);
        let body = SimBody::new(reply.steps, reply.length, Arc::clone(&self.wire), Some(account));
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
        let steps = playback::plain_steps(body, None);
        let mut response = Response::new(SimBody::new(steps, length, Arc::clone(&self.wire), None));
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
