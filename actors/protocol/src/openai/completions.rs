//! `POST /v1/completions`, the legacy endpoint. Source: `CreateCompletionRequest` and `CreateCompletionResponse` of the
//! published schema.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error, SeqAccess, Visitor},
};
use serde_json::{Map, Value};

use super::{
    chat::{CompletionUsage, StreamOptions},
    loose::{TextOrList, Whole},
};

/// Body of `POST /v1/completions`. Nothing is required here: the translator says what is missing.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct CompletionRequest {
    /// The model, by any name the caller knows.
    pub model: Option<String>,
    /// What to go on from.
    pub prompt: Option<Prompt>,
    /// Choose the best of so many.
    pub best_of: Option<Whole>,
    /// Repeat the prompt in front of the answer.
    pub echo: Option<bool>,
    /// -2..2.
    pub frequency_penalty: Option<f64>,
    /// Token id to bias.
    pub logit_bias: Option<Map<String, Value>>,
    /// Log probabilities of so many tokens.
    pub logprobs: Option<Whole>,
    /// Most tokens to produce.
    pub max_tokens: Option<Whole>,
    /// Answers to each prompt.
    pub n: Option<Whole>,
    /// -2..2.
    pub presence_penalty: Option<f64>,
    /// Sampling seed.
    pub seed: Option<Whole>,
    /// Texts that end the answer.
    pub stop: Option<TextOrList<String>>,
    /// Answer bit by bit.
    pub stream: Option<bool>,
    /// How to stream.
    pub stream_options: Option<StreamOptions>,
    /// What stands after the answer.
    pub suffix: Option<String>,
    /// 0..2.
    pub temperature: Option<f64>,
    /// 0..1.
    pub top_p: Option<f64>,
    /// End user.
    pub user: Option<String>,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl fmt::Debug for CompletionRequest {
    /// Shapes only: the caller's content stays out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompletionRequest").field("model", &self.model).field("stream", &self.stream).finish_non_exhaustive()
    }
}

/// `prompt`: one text, several, or token ids.
#[derive(Clone, PartialEq, Eq)]
pub enum Prompt {
    /// One.
    Text(String),
    /// Several; each is answered by itself.
    Texts(Vec<String>),
    /// One or several, as ids of some tokenizer's tokens.
    Tokens,
}

impl<'de> Deserialize<'de> for Prompt {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PromptVisitor)
    }
}

struct PromptVisitor;

impl<'de> Visitor<'de> for PromptVisitor {
    type Value = Prompt;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string, an array of strings, or an array of tokens")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Prompt, E> {
        Ok(Prompt::Text(text.to_owned()))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Prompt, E> {
        Ok(Prompt::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Prompt, A::Error> {
        let mut texts = Vec::new();
        let mut tokens = false;
        while let Some(element) = seq.next_element::<PromptElement>()? {
            match element {
                PromptElement::Text(text) => texts.push(text),
                PromptElement::Tokens(_) => tokens = true,
            }
        }
        match (tokens, texts.is_empty()) {
            (false, _) => Ok(Prompt::Texts(texts)),
            (true, true) => Ok(Prompt::Tokens),
            (true, false) => Err(A::Error::custom("a prompt may hold strings or tokens, not both")),
        }
    }
}

/// One element of an array prompt.
#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a string, a token or a list of tokens")]
#[allow(dead_code, reason = "of tokens only the form is checked")]
enum PromptElement {
    Text(String),
    Tokens(TokenIds),
}

/// A token, or a list of them. Which ones they are means nothing to a model with another tokenizer.
#[derive(Deserialize)]
#[serde(untagged)]
#[allow(dead_code, reason = "of tokens only the form is checked")]
enum TokenIds {
    One(u32),
    Many(Vec<u32>),
}

/// Answer to a request that does not stream, and one event of a streamed answer: the same form.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Completion<'a> {
    /// `cmpl-...`; the same in all events.
    pub id: Cow<'a, str>,
    /// `text_completion`.
    pub object: Cow<'a, str>,
    /// Unix seconds; the same in all events.
    pub created: u64,
    /// The model; the same in all events.
    pub model: Cow<'a, str>,
    /// One per answer, or, in a stream, the one that has gained something; none in the usage event.
    pub choices: Vec<CompletionChoice<'a>>,
    /// Tokens of all choices together. Null in events before the last, when usage was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<CompletionUsage>,
}

/// One answer, or what it has gained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CompletionChoice<'a> {
    /// Text.
    pub text: Cow<'a, str>,
    /// From 0: the answers to the first prompt, then those to the second.
    pub index: u32,
    /// Always null.
    pub logprobs: Option<()>,
    /// `stop`, `length`, `content_filter`; null until the answer is complete.
    pub finish_reason: Option<Cow<'a, str>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prompt(json: &str) -> Result<Prompt, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn a_prompt_is_a_text_or_texts_or_tokens_and_never_a_mixture() {
        assert!(prompt(r#""a""#).unwrap() == Prompt::Text("a".to_owned()));
        assert!(prompt(r#"["a","b"]"#).unwrap() == Prompt::Texts(vec!["a".to_owned(), "b".to_owned()]));
        assert!(prompt("[]").unwrap() == Prompt::Texts(Vec::new()));
        assert!(prompt("[1,2]").unwrap() == Prompt::Tokens);
        assert!(prompt("[[1],[2,3]]").unwrap() == Prompt::Tokens);
        for wrong in [r#"["a",1]"#, "5", "{}", "[{}]", "[-1]", "[1.5]"] {
            assert!(prompt(wrong).is_err(), "{wrong}");
        }
    }
}
