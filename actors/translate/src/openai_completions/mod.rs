//! OpenAI's legacy completions <-> the chat hub.
//!
//! A prompt is what the user says, and what the model answers is its completion: every model of Bedrock's is a chat
//! model. Each prompt is a request of its own, and each of its answers a choice.

pub mod request;
pub mod response;
pub mod stream;

/// How the client wants its answer written. Read off the request, used by [`response`] and [`stream`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CompletionShape {
    /// The prompts, when each answer shall begin with its own (`echo`); else none.
    pub echoed: Vec<String>,
    /// Answers to each prompt, at least 1.
    pub choices_per_prompt: u32,
}

impl CompletionShape {
    /// The prompt that choice `choice` begins with.
    fn echo(&self, choice: u32) -> Option<&str> {
        let prompt = choice.checked_div(self.choices_per_prompt)?;
        self.echoed.get(usize::try_from(prompt).ok()?).map(String::as_str)
    }
}
