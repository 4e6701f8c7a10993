//! The runtime operations: Converse in both forms, CountTokens, scripted native streams.

use std::{sync::Arc, time::Duration};

use serde::Serialize;
use serde_json::Value;

use crate::{
    body::Bill,
    brain::{self, Turn},
    converse::{self, Echo},
    draw,
    lock::held,
    models::SimModel,
    pace::Latency,
    playback,
    quota::Reservation,
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
    pub(crate) ask: &'a Ask,
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
        let model = self.model()?;
        validate::converse(model, &body, streaming)?;
        let reservation = self.reserve(model, &body)?;
        let turn = Arc::new(self.turn(model, &body, &orders)?);
        self.ask.recorder.turn(Arc::clone(&turn));
        let bill = Bill { usage: turn.usage.clone(), deltas: 0, reservation: Some(reservation) };
        if streaming { self.streamed(&body, &turn, orders, bill) } else { self.whole(&body, &turn, &orders, bill) }
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

    fn reserve(&self, model: &SimModel, body: &Value) -> Result<Reservation, Refusal> {
        let largest = model.traits.as_ref().map_or(0, |traits| traits.max_output);
        let most_output = body.pointer("/inferenceConfig/maxTokens").and_then(Value::as_u64).unwrap_or(largest);
        let tokens = brain::count(model, body).saturating_add(most_output);
        let reservation = self.world.quotas.admit(&self.region.name, &model.id, self.ask.asked.at, tokens)?;
        self.ask.recorder.reserved(reservation.reserved());
        Ok(reservation)
    }

    fn turn(&self, model: &SimModel, body: &Value, orders: &Orders) -> Result<Turn, Refusal> {
        match &orders.answer {
            AnswerOrder::Turn(turn) => Ok(turn.clone()),
            AnswerOrder::With(answer) => Ok(answer(&self.ask.asked)),
            _ => {
                let custom = held(&self.world.answerer.0).clone();
                match custom {
                    Some(answer) => Ok(answer(&self.ask.asked)),
                    None => brain::answer(model, body, &mut held(&self.region.memory), self.ask.asked.at),
                }
            }
        }
    }

    fn whole(&self, body: &Value, turn: &Turn, orders: &Orders, bill: Bill) -> Result<(Reply, Duration), Refusal> {
        let mut rng = draw::stream(self.world.seed, "pace", self.ask.asked.call);
        let pause = pace_of(self.region).whole(turn.usage.output, &mut rng);
        let answer = converse::answer(turn, &Echo::of(body, self.spent() + pause))?;
        let mut reply = Reply::json(answer, orders.cut_after_bytes);
        reply.bill = Some(bill);
        Ok((reply, pause))
    }

    fn streamed(&self, body: &Value, turn: &Turn, orders: Orders, bill: Bill) -> Result<(Reply, Duration), Refusal> {
        let mut rng = draw::stream(self.world.seed, "stream", self.ask.asked.call);
        let mut pace = pace_of(self.region);
        if let Some(between) = orders.stream.between {
            pace.per_delta = Latency::Fixed(between);
        }
        let pause = pace.first_token.draw(&mut rng);
        let events = converse::turn_events(turn, &Echo::of(body, self.spent() + pause), &pace, &mut rng)?;
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

/// A model-native stream exists only as far as it is scripted.
pub(crate) fn scripted_chunks(world: &World, region: &Region, ask: &Ask, orders: Orders) -> Result<Reply, Refusal> {
    let AnswerOrder::Chunks(chunks) = &orders.answer else { return Err(not_simulated(ask.asked.operation)) };
    let mut rng = draw::stream(world.seed, "stream", ask.asked.call);
    let events = converse::chunk_events(chunks, &pace_of(region), &mut rng)?;
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
