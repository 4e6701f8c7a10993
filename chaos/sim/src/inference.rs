//! The runtime operations: Converse and InvokeModel in both forms, CountTokens, scripted native streams.

use std::{sync::Arc, time::Duration};

use http::HeaderMap;
use serde::Serialize;
use serde_json::Value;

use crate::{
    behaviour::{Behaviour, Delay},
    body::Bill,
    brain::{
        self, Answered, Setting, Turn, tokens,
        watermark::{self, Marking},
    },
    clock,
    converse::{self, Echo},
    draw,
    events::{self, Events},
    journal::RefusedBy,
    lock::held,
    models::SimModel,
    native::{Answer, answer_id, tool_prefix},
    pace::{Latency, Pace, Tempo},
    playback,
    quota::{Denied, QuotaLimit, Reservation, Wanted},
    reply::Reply,
    route::Operation,
    script::{AnswerOrder, CutManner, Orders},
    service::{Ask, pace_of},
    validate::{
        self, Refusal,
        native::{self, Manner, Purpose, Wishes},
        shape::{self, Request},
    },
    world::{Region, World},
};

/// One call of a model.
pub(crate) struct Inference<'a> {
    pub(crate) world: &'a World,
    pub(crate) region: &'a Region,
    pub(crate) ask: &'a Ask<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Count {
    input_tokens: u64,
}

/// What a call asks of its model, judged.
enum Body {
    Converse(Value),
    Native(native::Body),
}

impl Body {
    fn request(&self) -> Result<Request<'_>, Refusal> {
        match self {
            Self::Converse(body) => shape::request(body, true),
            Self::Native(body) => body.request(),
        }
    }

    fn manner(&self) -> Option<Manner> {
        match self {
            Self::Converse(_) => None,
            Self::Native(body) => Some(body.manner),
        }
    }
}

impl Inference<'_> {
    /// Converse, InvokeModel or the stream of either: the reply, and how long the model thinks before its head is sent.
    pub(crate) fn run(&self, orders: Orders) -> Result<(Reply, Duration), Refusal> {
        let operation = self.ask.asked.operation;
        let is_native = matches!(operation, Operation::InvokeModel | Operation::InvokeModelWithResponseStream);
        let body = if is_native { native::parse(&self.ask.asked.body)? } else { self.parse()? };
        let mark = watermark::prefilled(&body);
        let prompt = Prompt { name: watermark::name_of(&body), goes_on: mark.is_some() };
        if let Some(mark) = mark {
            self.ask.recorder.prefill(mark);
        }
        let model = self.model()?;
        let wishes = if is_native { Wishes::of(self.ask.headers)? } else { Wishes::default() };
        let body = self.judged(model, body, is_native)?;
        let mut request = body.request()?;
        if is_native {
            wishes.apply(model, &mut request)?;
        }
        let behaviour = self.world.behaviours.of(&self.region.name, &model.id);
        let marking = self.marking(&prompt, &behaviour);
        let reservation = self.reserve(model, &request, marking)?;
        let setting = Setting {
            cache: behaviour.cache.unwrap_or_default(),
            ideal: Some(&self.world.ideal_cache),
            marking,
            tool_prefix: body.manner().map(tool_prefix),
        };
        let answered = self.answer(model, &request, &orders, setting)?;
        let turn = Arc::new(answered.turn);
        self.ask.recorder.turn(Arc::clone(&turn), answered.ideal_cache_read, answered.words);
        let bill = Bill { usage: turn.usage.clone(), deltas: 0, reservation: Some(reservation) };
        let telling = Telling {
            model,
            body: &body,
            request: &request,
            wishes: &wishes,
            turn: &turn,
            words: answered.words,
            pace: self.pace(&behaviour, &orders),
        };
        if operation.streams() { self.streamed(&telling, orders, bill) } else { self.whole(&telling, &orders, bill) }
    }

    /// CountTokens.
    pub(crate) fn count_tokens(&self, cut: Option<(usize, CutManner)>) -> Result<Reply, Refusal> {
        let body = self.parse()?;
        let model = self.allowed(self.world.models.resolve_counted(&self.region.name, self.label())?)?;
        validate::count_tokens(model, &body)?;
        let input_tokens = brain::count(model, &body);
        Ok(Reply::json(converse::json(&Count { input_tokens })?, cut))
    }

    fn judged(&self, model: &SimModel, body: Value, is_native: bool) -> Result<Body, Refusal> {
        let operation = self.ask.asked.operation;
        let streaming = operation.streams();
        if !is_native {
            validate::converse(model, &body, streaming)?;
            return Ok(Body::Converse(body));
        }
        native::read(model, body, Purpose::Answer { streaming })?.map(Body::Native).ok_or_else(|| not_simulated(operation))
    }

    fn parse(&self) -> Result<Value, Refusal> {
        let body = &self.ask.asked.body;
        if body.is_empty() {
            return Ok(Value::Object(serde_json::Map::new()));
        }
        serde_json::from_slice(body).map_err(|fault| Refusal {
            status: 400,
            error_type: "SerializationException",
            message: format!("The request body is not valid JSON: {fault}"),
        })
    }

    fn label(&self) -> &str {
        self.ask.asked.label.as_deref().unwrap_or_default()
    }

    fn model(&self) -> Result<&SimModel, Refusal> {
        self.allowed(self.world.models.resolve(&self.region.name, self.label())?)
    }

    fn allowed<'m>(&self, model: &'m SimModel) -> Result<&'m SimModel, Refusal> {
        if self.region.denies(&model.id) {
            return Err(Refusal {
                status: 403,
                error_type: "AccessDeniedException",
                message: "You don't have access to the model with the specified model ID.".to_owned(),
            });
        }
        Ok(model)
    }

    fn marking<'b>(&self, prompt: &Prompt, behaviour: &'b Behaviour) -> Option<Marking<'b>> {
        let (call, seed) = (self.ask.asked.call, self.world.seed);
        behaviour.watermark.as_ref().map(|spec| Marking { spec, call, seed, prompt: prompt.name, goes_on: prompt.goes_on })
    }

    fn reserve(&self, model: &SimModel, request: &Request<'_>, marking: Option<Marking<'_>>) -> Result<Reservation, Refusal> {
        let largest = model.traits.as_ref().map_or(0, |traits| traits.max_output);
        let counted = tokens::request(request);
        let wanted = Wanted {
            call: self.ask.asked.call,
            region: &self.region.name,
            model: &model.id,
            profile: self.ask.asked.profile,
            burndown: model.traits.as_ref().map_or(1, |traits| traits.burndown),
            input: marking.map_or(counted, |marking| marking.input(counted)),
            most_output: request.inference.max_tokens.unwrap_or(largest),
        };
        let reservation = self.world.quotas.admit(&wanted, self.world.clock.elapsed()).map_err(|denied| {
            let Denied { bucket, limit, wanted } = denied;
            self.ask.recorder.refused_by(RefusedBy::Quota { bucket, limit, wanted });
            throttled(limit)
        })?;
        self.ask.recorder.admitted(&reservation);
        Ok(reservation)
    }

    fn answer(&self, model: &SimModel, request: &Request<'_>, orders: &Orders, setting: Setting<'_>) -> Result<Answered, Refusal> {
        let told = |turn| Ok(Answered { turn, ideal_cache_read: None, words: 0 });
        match &orders.answer {
            AnswerOrder::Turn(turn) => told(turn.clone()),
            AnswerOrder::With(answer) => told(answer(&self.ask.asked)),
            _ => {
                let custom = held(&self.world.answerer.0).clone();
                if let Some(answer) = custom {
                    return told(answer(&self.ask.asked));
                }
                brain::answer_in(model, request, &mut held(&self.region.memory), self.ask.asked.at, setting)
            }
        }
    }

    /// The pace of this call: of its fault, else of the model's behaviour, else of the region.
    fn pace(&self, behaviour: &Behaviour, orders: &Orders) -> Pace {
        let region = pace_of(self.region);
        let behaves = |delay: Option<Delay>| delay.map(|delay| delay.latency());
        Pace {
            first_token: orders.first_token.or(behaves(behaviour.first_token)).unwrap_or(region.first_token),
            per_delta: orders.inter_token.or(behaves(behaviour.inter_token)).unwrap_or(region.per_delta),
        }
    }

    fn whole(&self, telling: &Telling<'_>, orders: &Orders, bill: Bill) -> Result<(Reply, Duration), Refusal> {
        // Watermarked answers have a delta for each word; of others about three tokens make one.
        let deltas = if telling.words > 0 { telling.words } else { telling.turn.usage.output.div_ceil(3) };
        let pause = Tempo::new(telling.pace, self.world.seed, self.ask.asked.call).whole(deltas);
        let latency = self.spent() + pause;
        let (answer, headers) = match telling.body {
            Body::Converse(_) => (converse::answer(telling.turn, &telling.echo(latency))?, HeaderMap::new()),
            Body::Native(body) => {
                let answer = self.native(telling, body, latency);
                (answer.whole()?, answer.headers(false))
            }
        };
        let mut reply = Reply::json(answer, orders.cut_after_bytes).with_words(telling.words);
        reply.headers.extend(headers);
        reply.bill = Some(bill);
        Ok((reply, pause))
    }

    fn streamed(&self, telling: &Telling<'_>, mut orders: Orders, bill: Bill) -> Result<(Reply, Duration), Refusal> {
        let call = self.ask.asked.call;
        let mut rng = draw::stream(self.world.seed, "stream", call);
        let mut pace = telling.pace;
        if let Some(between) = orders.stream.between {
            pace.per_delta = Latency::Fixed(between);
        }
        let mut tempo = Tempo::new(pace, self.world.seed, call);
        let pause = tempo.first_token();
        let latency = self.spent() + pause;
        let mut echo = telling.echo(latency);
        // Watermarked answers send each word by itself.
        echo.mark = (telling.words > 0).then(|| format!("{call}."));
        let (events, headers) = match telling.body {
            Body::Converse(_) => (converse::turn_events(telling.turn, &echo, &mut tempo, &mut rng)?, HeaderMap::new()),
            Body::Native(body) => {
                let answer = self.native(telling, body, latency);
                (answer.chunks(Events::new(latency, echo.mark.as_deref(), &mut tempo, &mut rng))?, answer.headers(true))
            }
        };
        self.world.place_fault(&mut orders.stream, events.len(), call);
        let deltas = events.iter().filter(|event| event.delta).count();
        let bill = Bill { deltas: u32::try_from(deltas).unwrap_or(u32::MAX), ..bill };
        let steps = playback::stream_steps(events, &orders.stream, orders.cut_after_bytes, self.world.chunking, &mut rng)?;
        let mut reply = Reply::stream(steps, Some(bill));
        reply.headers.extend(headers);
        Ok((reply, pause))
    }

    fn native<'t>(&self, telling: &'t Telling<'_>, body: &native::Body, latency: Duration) -> Answer<'t> {
        Answer {
            manner: body.manner,
            turn: telling.turn,
            model: &telling.model.id,
            asks: body.asks,
            wishes: telling.wishes,
            id: answer_id(self.world.seed, self.ask.asked.call),
            created: clock::seconds_of(self.world.wall(self.region)),
            latency,
        }
    }

    /// Time since the call arrived.
    fn spent(&self) -> Duration {
        self.world.clock.elapsed().saturating_sub(self.ask.asked.at)
    }
}

/// What names the prompt of a call, for the draws of its watermark.
struct Prompt {
    name: u64,
    goes_on: bool,
}

/// What is to be told, and how fast.
struct Telling<'a> {
    model: &'a SimModel,
    body: &'a Body,
    request: &'a Request<'a>,
    wishes: &'a Wishes,
    turn: &'a Turn,
    /// Watermarks in the turn.
    words: u64,
    pace: Pace,
}

impl Telling<'_> {
    fn echo(&self, latency: Duration) -> Echo<'_> {
        Echo { performance: self.request.latency, latency, mark: None }
    }
}

/// AWS's refusal of a call over its quota.
fn throttled(limit: QuotaLimit) -> Refusal {
    Refusal { status: 429, error_type: "ThrottlingException", message: limit.message().to_owned() }
}

/// A model-native stream exists only as far as it is scripted.
pub(crate) fn scripted_chunks(world: &World, region: &Region, ask: &Ask<'_>, mut orders: Orders) -> Result<Reply, Refusal> {
    let AnswerOrder::Chunks(chunks) = &orders.answer else { return Err(not_simulated(ask.asked.operation)) };
    let mut rng = draw::stream(world.seed, "stream", ask.asked.call);
    let mut tempo = Tempo::new(pace_of(region), world.seed, ask.asked.call);
    let events = events::scripted(chunks, &mut tempo, &mut rng);
    world.place_fault(&mut orders.stream, events.len(), ask.asked.call);
    let steps = playback::stream_steps(events, &orders.stream, orders.cut_after_bytes, world.chunking, &mut rng)?;
    Ok(Reply::stream(steps, None))
}

/// The refusal of operations that exist at AWS and not here.
pub(crate) fn not_simulated(operation: Operation) -> Refusal {
    Refusal {
        status: 400,
        error_type: "UnsupportedOperationException",
        message: format!("{} is only answered by this simulator when an answer is scripted.", operation.name()),
    }
}
