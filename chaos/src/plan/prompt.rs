//! Request bodies: texts of the planned sizes with their nonces. Turns of a conversation repeat what was said before.

use std::borrow::Cow;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde::Serialize;

use super::{Arrival, NONCE_PREFIX, Talk, dialects::Wish};
use crate::{
    draw::Draw,
    scenario::{Dialect, KindPlan, Scenario},
};

/// Characters of one token, as the simulator counts them.
const CHARACTERS: u64 = 4;
/// Text that prompts are cut from.
const POOL: usize = 1 << 20;

const WORDS: [&str; 24] = [
    "river", "stone", "valley", "bedrock", "layer", "ridge", "sand", "basin", "cliff", "plain", "moss", "gravel", "spring", "delta",
    "slope", "crest", "quarry", "shale", "granite", "terrace", "gorge", "meadow", "summit", "hollow",
];

/// Makes bodies.
#[derive(Debug)]
pub struct Prompts {
    seed: u64,
    pool: String,
}

/// A nonce as it stands in a prompt.
#[must_use]
pub fn nonce_text(nonce: u64) -> String {
    format!("{NONCE_PREFIX}{nonce:016x}")
}

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    messages: Vec<Message<'a>>,
    max_tokens: u64,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_options: Option<StreamOptions>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Tool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_cache_key: Option<String>,
}

#[derive(Serialize)]
struct StreamOptions {
    include_usage: bool,
}

#[derive(Serialize)]
pub(super) struct Message<'a> {
    pub(super) role: &'static str,
    pub(super) content: Content<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Content<'a> {
    Text(Cow<'a, str>),
    Parts(Vec<Part>),
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Part {
    Text { text: String },
    ImageUrl { image_url: ImageUrl },
}

#[derive(Serialize)]
pub(super) struct ImageUrl {
    pub(super) url: String,
}

impl ImageUrl {
    /// The bytes of the image, without what makes a URL of them.
    pub(super) fn base64(&self) -> &str {
        self.url.split_once(',').map_or("", |(_, data)| data)
    }
}

#[derive(Serialize)]
struct Tool {
    r#type: &'static str,
    function: Function,
}

#[derive(Serialize)]
struct Function {
    name: String,
    description: &'static str,
    parameters: Parameters,
}

#[derive(Serialize)]
struct Parameters {
    r#type: &'static str,
    properties: Properties,
    required: [&'static str; 2],
}

#[derive(Serialize)]
struct Properties {
    path: Property,
    note: Property,
}

#[derive(Serialize)]
struct Property {
    r#type: &'static str,
    description: &'static str,
}

impl Prompts {
    /// Texts from a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut draw = Draw::stream(seed, "text", 0);
        let mut pool = String::with_capacity(POOL + 16);
        while pool.len() < POOL {
            let index = usize::try_from(draw.below(24)).unwrap_or(0);
            pool.push_str(WORDS.get(index).copied().unwrap_or("stone"));
            pool.push(' ');
        }
        Self { seed, pool }
    }

    /// The body of an arrival. `model` is the name to ask for.
    ///
    /// # Errors
    /// None that a body of texts and numbers could have; serde's type says otherwise.
    pub fn body(&self, scenario: &Scenario, arrival: &Arrival, nonce: u64, model: &str) -> Result<Bytes, serde_json::Error> {
        let Some(kind) = scenario.load.mix.get(arrival.kind) else { return Ok(Bytes::new()) };
        let messages = self.messages(kind, arrival, nonce);
        let prompt_cache_key = arrival.talk.map(|talk| format!("talk-{}", talk.id));
        if kind.dialect != Dialect::Chat {
            let body = Wish::of(kind, model, &messages, prompt_cache_key).body(kind.dialect);
            return serde_json::to_vec(&body).map(Bytes::from);
        }
        let body = Body {
            model,
            messages,
            max_tokens: kind.max_tokens,
            stream: kind.stream,
            stream_options: kind.stream.then_some(StreamOptions { include_usage: true }),
            tools: (0..kind.tools).map(tool).collect(),
            prompt_cache_key,
        };
        serde_json::to_vec(&body).map(Bytes::from)
    }

    /// A small body.
    ///
    /// # Errors
    /// As [`Self::body`].
    pub fn small(&self, model: &str, nonce: u64, stream: bool) -> Result<Bytes, serde_json::Error> {
        /// A canary must fit into any quota.
        const MAX_TOKENS: u64 = 16;
        let body = Body {
            model,
            messages: vec![user(format!("is the valley awake? {}", nonce_text(nonce)))],
            max_tokens: MAX_TOKENS,
            stream,
            stream_options: None,
            tools: Vec::new(),
            prompt_cache_key: None,
        };
        serde_json::to_vec(&body).map(Bytes::from)
    }

    fn messages(&self, kind: &KindPlan, arrival: &Arrival, nonce: u64) -> Vec<Message<'_>> {
        let mut messages = Vec::new();
        if let (Some(talk), Some(plan)) = (arrival.talk, kind.conversation) {
            messages.push(Message { role: "system", content: Content::Text(self.text(talk.id, 0, talk.prefix_tokens)) });
            for turn in 0..talk.turn {
                let before: Talk = talk.at_turn(turn);
                // Every turn asks about as much as the mix says in the middle: its own draw is not known to later turns.
                let asked = self.text(talk.id, u64::from(turn) + 1, kind.input_tokens.p50);
                messages.push(user(format!("{asked} {}", nonce_text(before.nonce(self.seed)))));
                let answered = self.text(talk.id, u64::from(turn) + 501, plan.grow_tokens.max(1));
                messages.push(Message { role: "assistant", content: Content::Text(answered) });
            }
            let asked = self.text(talk.id, u64::from(talk.turn) + 1, kind.input_tokens.p50);
            messages.push(user(format!("{asked} {}", nonce_text(nonce))));
            return messages;
        }
        let text = format!("{} {}", self.text(arrival.id, 2_000, arrival.input_tokens), nonce_text(nonce));
        if kind.image_kb > 0 {
            let url = format!("data:image/png;base64,{}", STANDARD.encode(png(kind.image_kb)));
            let parts = vec![Part::ImageUrl { image_url: ImageUrl { url } }, Part::Text { text }];
            messages.push(Message { role: "user", content: Content::Parts(parts) });
        } else {
            messages.push(user(text));
        }
        messages
    }

    /// So many tokens of text; the same for the same item and part.
    fn text(&self, item: u64, part: u64, tokens: u64) -> Cow<'_, str> {
        let wanted = usize::try_from(tokens.saturating_mul(CHARACTERS)).unwrap_or(usize::MAX).min(POOL * 8);
        let start =
            usize::try_from(Draw::stream(self.seed, "cut", item.wrapping_mul(4_099).wrapping_add(part)).below(POOL as u64)).unwrap_or(0);
        // Blanks at the ends would be trimmed by some gateways, which would move the cache's prefixes.
        match self.pool.get(start..start.saturating_add(wanted)) {
            Some(text) => Cow::Borrowed(text.trim()),
            None => {
                let all = self.pool.bytes().cycle().skip(start).take(wanted).map(char::from).collect::<String>();
                Cow::Owned(all.trim().to_owned())
            }
        }
    }
}

fn user(text: String) -> Message<'static> {
    Message { role: "user", content: Content::Text(Cow::Owned(text)) }
}

fn tool(number: u64) -> Tool {
    let property = |description| Property { r#type: "string", description };
    Tool {
        r#type: "function",
        function: Function {
            name: format!("tool_{number}"),
            description: "Looks at a file of the survey and leaves a note about it",
            parameters: Parameters {
                r#type: "object",
                properties: Properties { path: property("File of the survey"), note: property("What to remember of it") },
                required: ["path", "note"],
            },
        },
    }
}

/// The head of a PNG of 512 x 512, and as many bytes as are wanted behind it: only its size matters.
fn png(kib: u64) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\x02\0\0\0\x02\0\x08\x02\0\0\0\x7b\x1a\x43\xad".to_vec();
    bytes.resize(usize::try_from(kib * 1024).unwrap_or(0).max(bytes.len()), 0x5a);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prompts() -> Prompts {
        Prompts::new(5)
    }

    #[test]
    fn texts_have_the_size_that_was_asked_and_repeat() {
        let prompts = prompts();
        for tokens in [1, 300, 60_000, 400_000] {
            let text = prompts.text(7, 1, tokens);
            let wanted = usize::try_from(tokens * CHARACTERS).unwrap();
            assert!(text.len() + 2 >= wanted && text.len() <= wanted, "{} for {wanted}", text.len());
            assert_eq!(text, prompts.text(7, 1, tokens));
        }
        assert_ne!(prompts.text(7, 1, 300), prompts.text(8, 1, 300));
    }

    #[test]
    fn an_image_has_its_size() {
        assert_eq!(png(200).len(), 200 * 1024);
    }
}
