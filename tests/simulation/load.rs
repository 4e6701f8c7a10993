//! The load: when which client asks what, and what it does then.

use std::time::Duration;

use outcrop_chaos::draw::Draw;
use serde_json::{Value, json};

use crate::options::within;

/// A model and what is asked of it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Model {
    /// The name that clients use.
    pub ask: &'static str,
    /// The foundation model behind it.
    pub id: &'static str,
    pub tools: bool,
    /// Prefixes of the regions where it can be called.
    places: &'static [&'static str],
}

/// The first is always there.
pub const MODELS: [Model; 3] = [
    Model { ask: "claude-sonnet-4-6", id: "anthropic.claude-sonnet-4-6", tools: true, places: &["us-", "eu-"] },
    Model { ask: "amazon.nova-lite-v1:0", id: "amazon.nova-lite-v1:0", tools: true, places: &["us-", "eu-"] },
    Model { ask: "meta.llama3-3-70b-instruct-v1:0", id: "meta.llama3-3-70b-instruct-v1:0", tools: false, places: &["us-"] },
];

impl Model {
    pub fn runs_in(&self, region: &str) -> bool {
        self.places.iter().any(|place| region.starts_with(place))
    }
}

/// One request.
#[derive(Debug, Clone, Default)]
pub struct Arrival {
    pub id: u64,
    pub at: Duration,
    pub model: Model,
    pub stream: bool,
    pub choices: u32,
    pub tools: bool,
    /// Conversation and turn.
    pub talk: Option<(u64, u32)>,
    pub prompt_words: u64,
    pub max_tokens: u64,
    pub deed: Deed,
    pub nonce: String,
}

/// What a client does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Deed {
    #[default]
    Stay,
    /// Closes its connection so long after it asked.
    Leave(Duration),
    /// Reads nothing for so long, after its first word.
    Pause(Duration),
}

/// What nonces begin with.
pub const NONCE: &str = "n0nce-";

/// Requests in bursts over the storm.
pub fn arrivals(seed: u64, lasting: Duration, models: &[Model]) -> Vec<Arrival> {
    let mut draw = Draw::stream(seed, "load", 0);
    let count = within(&mut draw, 20, 90);
    let bursts = within(&mut draw, 1, 5);
    let burstiness = draw.unit();
    let leaving = if draw.chance(0.6) { 0.15 * draw.unit() } else { 0.0 };
    let pausing = if draw.chance(0.4) { 0.1 * draw.unit() } else { 0.0 };
    let mix = [4.0 * draw.unit(), 2.0 * draw.unit(), draw.unit(), 0.7 * draw.unit(), 3.0 * draw.unit()];
    let max_tokens = [64, 256, 1_024, 4_096][draw.below(4) as usize];
    let mut turns = [0_u32; 8];
    let mut times: Vec<Duration> = (0..count)
        .map(|_| {
            let place =
                if draw.chance(burstiness) { (draw.below(bursts) as f64 + 0.05 * draw.unit()) / bursts as f64 } else { draw.unit() };
            // Whole milliseconds: the timer knows no others.
            Duration::from_millis((lasting.as_secs_f64() * place * 1e3) as u64)
        })
        .collect();
    times.sort_unstable();
    let one = |(id, at): (usize, Duration)| {
        let mut draw = Draw::stream(seed, "request", id as u64);
        let kind = draw.weighted(&mix);
        let model = models[draw.below(models.len() as u64) as usize];
        let talk = (kind == 4).then(|| {
            let talk = draw.below(turns.len() as u64);
            turns[talk as usize] += 1;
            (talk, turns[talk as usize].min(6) - 1)
        });
        let deed = match draw.unit() {
            unit if unit < leaving => Deed::Leave(draw.exponential(Duration::from_millis(1_500))),
            unit if unit < leaving + pausing => Deed::Pause(Duration::from_millis(within(&mut draw, 500, 20_000))),
            _ => Deed::Stay,
        };
        Arrival {
            id: id as u64,
            at,
            model: if talk.is_some() { models[0] } else { model },
            stream: kind != 1 && (kind == 4 || draw.chance(0.8)),
            choices: if kind == 3 { within(&mut draw, 2, 4) as u32 } else { 1 },
            tools: kind == 2 && model.tools,
            talk,
            prompt_words: draw.log_normal(60.0, 1_500.0) as u64 + 1,
            max_tokens: within(&mut draw, 16, max_tokens),
            deed,
            nonce: nonce(seed, id as u64),
        }
    };
    times.into_iter().enumerate().map(one).collect()
}

/// A request that is sent when everything is well again.
pub fn canary(seed: u64, id: u64, model: Model, at: Duration) -> Arrival {
    let nonce = nonce(seed, id);
    Arrival { id, at, model, stream: id.is_multiple_of(2), choices: 1, prompt_words: 20, max_tokens: 32, nonce, ..Arrival::default() }
}

fn nonce(seed: u64, id: u64) -> String {
    format!("{NONCE}{:016x}", Draw::stream(seed, "nonce", id).bits())
}

impl Arrival {
    /// About what AWS reserves for it.
    pub fn reservation(&self) -> u64 {
        let prefix = self.talk.map_or(0, |(_, turn)| PREFIX_WORDS + u64::from(turn) * 2 * TURN_WORDS);
        (self.prompt_words + prefix) * 3 / 2 + self.max_tokens
    }

    pub fn body(&self) -> Vec<u8> {
        let mut messages = Vec::new();
        if let Some((talk, turn)) = self.talk {
            messages.push(json!({"role": "system", "content": text(talk, PREFIX_WORDS)}));
            for past in 0..turn {
                let item = talk * 100 + u64::from(past);
                messages.push(json!({"role": "user", "content": text(item, TURN_WORDS)}));
                messages.push(json!({"role": "assistant", "content": text(item + 50, TURN_WORDS)}));
            }
        }
        messages.push(json!({"role": "user", "content": format!("{} {}", text(self.id + 1_000, self.prompt_words), self.nonce)}));
        let mut body = json!({
            "model": self.model.ask,
            "messages": messages,
            "max_tokens": self.max_tokens,
            "stream": self.stream,
        });
        if self.choices > 1 {
            body["n"] = json!(self.choices);
        }
        if self.stream {
            body["stream_options"] = json!({"include_usage": true});
        }
        if self.tools {
            body["tools"] = tools();
        }
        serde_json::to_vec(&body).unwrap()
    }
}

/// More than the least prefix that is kept in a prompt cache.
const PREFIX_WORDS: u64 = 1_500;
const TURN_WORDS: u64 = 60;

fn tools() -> Value {
    let tool = |number: u64| {
        json!({"type": "function", "function": {
            "name": format!("tool_{number}"),
            "description": "Looks at a file of the survey and leaves a note about it",
            "parameters": {
                "type": "object",
                "properties": {"path": {"type": "string"}, "note": {"type": "string"}},
                "required": ["path", "note"],
            },
        }})
    };
    (1..=3).map(tool).collect()
}

/// The same words for the same item.
fn text(item: u64, words: u64) -> String {
    const WORDS: [&str; 12] = ["granite", "basalt", "the", "survey", "of", "strata", "above", "shale", "and", "older", "marble", "lies"];
    let mut draw = Draw::stream(0, "text", item);
    let words: Vec<&str> = (0..words).map(|_| WORDS[draw.below(WORDS.len() as u64) as usize]).collect();
    words.join(" ")
}
