//! The runtime operations: Converse in both forms, CountTokens, scripted native streams.

use std::{sync::Arc, time::Duration};

use serde::Serialize;
use serde_json::Value;

use crate::{
    behaviour::{Behaviour, Delay},
    body::Bill,
    brain::{
        self, Answered, Setting, Turn,
        watermark::{self, Marking},
    },
    converse::{self, Echo},
    draw,
    journal::RefusedBy,
    lock::held,
    models::SimModel,
    pace::{Latency, Pace, Tempo},
    playback,
    quota::{Denied, QuotaLimit, Reservation, Wanted},
    reply::Reply,
    route::Operation,
    script::{AnswerOrder, CutManner, Orders},
    service::{Ask, pace_of},
    validate::{self, Refusal},
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

impl Inference<'_> {
    /// Converse or ConverseStream: the reply, and how long the model thinks before its head is sent.
    pub(crate) fn converse(&self, orders: Orders) -> Result<(Reply, Duration), Refusal> {
        let streaming = self.ask.asked.operation == Operation::ConverseStream;
        let body = self.parse()?;
        if let Some(mark) = watermark::prefilled(&body) {
            self.ask.recorder.prefill(mark);
        }
        let model = self.model()?;
        validate::converse(model, &body, streaming)?;
        let behaviour = self.world.behaviours.of(&self.region.name, &model.id);
        let reservation = self.reserve(model, &body, &behaviour)?;
        let answered = self.answer(model, &body, &orders, &behaviour)?;
        let turn = Arc::new(answered.turn);
        self.ask.recorder.turn(Arc::clone(&turn), answered.ideal_cache_read, answered.words);
        let bill = Bill { usage: turn.usage.clone(), deltas: 0, reservation: Some(reservation) };
        let telling = Telling { body: &body, turn: &turn, words: answered.words, pace: self.pace(&behaviour, &orders) };
        if streaming { self.streamed(&telling, orders, bill) } else { self.whole(&telling, &orders, bill) }
    }

    /// CountTokens.
    pub(crate) fn count_tokens(&self, cut: Option<(usize, CutManner)>) -> Result<Reply, Refusal> {
        let body = self.parse()?;
        let model = self.model()?;
        validate::count_tokens(model, &body)?;
        let input_tokens = brain::count(model, &body);
        Ok(Reply::json(converse::json(&Count { input_tokens })?, cut))
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

    fn model(&self) -> Result<&SimModel, Refusal> {
        let label = self.ask.asked.label.as_deref().unwrap_or_default();
        let model = self.world.models.resolve(&self.region.name, label)?;
        if self.region.denies(&model.id) {
            return Err(Refusal {
                status: 403,
                error_type: "AccessDeniedException",
                message: "You don't have access to the model with the specified model ID.".to_owned(),
            });
        }
        Ok(model)
    }

    fn marking<'b>(&self, body: &Value, behaviour: &'b Behaviour) -> Option<Marking<'b>> {
        let (call, seed) = (self.ask.asked.call, self.world.seed);
        let marking = |spec| Marking { spec, call, seed, prompt: watermark::name_of(body), goes_on: watermark::prefilled(body).is_some() };
        behaviour.watermark.as_ref().map(marking)
    }

    fn reserve(&self, model: &SimModel, body: &Value, behaviour: &Behaviour) -> Result<Reservation, Refusal> {
        let largest = model.traits.as_ref().map_or(0, |traits| traits.max_output);
        let most_output = body.pointer("/inferenceConfig/maxTokens").and_then(Value::as_u64).unwrap_or(largest);
        let counted = brain::count(model, body);
        let wanted = Wanted {
            call: self.ask.asked.call,
            region: &self.region.name,
            model: &model.id,
            profile: self.ask.asked.profile,
            burndown: model.traits.as_ref().map_or(1, |traits| traits.burndown),
            input: self.marking(body, behaviour).map_or(counted, |marking| marking.input(counted)),
            most_output,
        };
        let reservation = self.world.quotas.admit(&wanted, self.world.clock.elapsed()).map_err(|denied| {
            let Denied { bucket, limit, wanted } = denied;
            self.ask.recorder.refused_by(RefusedBy::Quota { bucket, limit, wanted });
            throttled(limit)
        })?;
        self.ask.recorder.admitted(&reservation);
        Ok(reservation)
    }

    fn answer(&self, model: &SimModel, body: &Value, orders: &Orders, behaviour: &Behaviour) -> Result<Answered, Refusal> {
        let told = |turn| Ok(Answered { turn, ideal_cache_read: None, words: 0 });
        match &orders.answer {
            AnswerOrder::Turn(turn) => told(turn.clone()),
            AnswerOrder::With(answer) => told(answer(&self.ask.asked)),
            _ => {
                let custom = held(&self.world.answerer.0).clone();
                if let Some(answer) = custom {
                    return told(answer(&self.ask.asked));
                }
                let setting = Setting {
                    cache: behaviour.cache.unwrap_or_default(),
                    ideal: Some(&self.world.ideal_cache),
                    marking: self.marking(body, behaviour),
                };
                brain::answer_in(model, body, &mut held(&self.region.memory), self.ask.asked.at, setting)
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
        let answer = converse::answer(telling.turn, &Echo::of(telling.body, self.spent() + pause))?;
        let mut reply = Reply::json(answer, orders.cut_after_bytes).with_words(telling.words);
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
        let echo = Echo::of(telling.body, self.spent() + pause);
        let echo = if telling.words > 0 { echo.marked(call) } else { echo };
        let events = converse::turn_events(telling.turn, &echo, &mut tempo, &mut rng)?;
        self.world.place_fault(&mut orders.stream, events.len(), call);
        let deltas = events.iter().filter(|event| event.delta).count();
        let bill = Bill { deltas: u32::try_from(deltas).unwrap_or(u32::MAX), ..bill };
        let steps = playback::stream_steps(events, &orders.stream, orders.cut_after_bytes, self.world.chunking, &mut rng)?;
        Ok((Reply::stream(steps, Some(bill)), pause))
    }

    /// Time since the call arrived.
    fn spent(&self) -> Duration {
        self.world.clock.elapsed().saturating_sub(self.ask.asked.at)
    }
}

/// What is to be told, and how fast.
struct Telling<'a> {
    body: &'a Value,
    turn: &'a Turn,
    /// Watermarks in the turn.
    words: u64,
    pace: Pace,
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
    let events = converse::chunk_events(chunks, &mut tempo, &mut rng)?;
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
