//! A full context in the words that agents know.
//!
//! Claude Code shortens its answer when it reads `input length and max_tokens exceed context limit: A + B > C`, and sums
//! up the conversation when it reads `prompt is too long: A tokens > C maximum`. Other models say the same in words of
//! their own, which no agent acts upon.

use outcrop_domain::error::{Cause, GatewayError, UpstreamFailure};

/// What the gateway knows of a request that did not fit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ContextFacts {
    /// Tokens of the prompt, counted or estimated.
    pub input_tokens: Option<u64>,
    /// Most tokens of the answer, as the request asks.
    pub max_tokens: Option<u64>,
    /// Tokens that the model's context holds.
    pub context_tokens: Option<u64>,
}

/// Claude's own words for it, in whatever frame: they are left as they are.
const CLAUDES: [&str; 2] = ["prompt is too long: ", "exceed context limit: "];

/// `error` in Claude's words, where it tells of a full context in other ones and the numbers are known. What upstream's
/// words tell wins over `facts`. Any other error, and one whose numbers would not show that the context is full, comes
/// back unchanged.
#[must_use]
pub fn in_claudes_words(error: GatewayError, facts: &ContextFacts) -> GatewayError {
    match error {
        GatewayError::Upstream(failure)
            if failure.cause == Cause::ContextOverflow && !CLAUDES.iter().any(|words| failure.message.contains(words)) =>
        {
            let told = told_by(&failure.message);
            let known = ContextFacts {
                input_tokens: told.input_tokens.or(facts.input_tokens),
                max_tokens: told.max_tokens.or(facts.max_tokens),
                context_tokens: told.context_tokens.or(facts.context_tokens),
            };
            match sentence(&known) {
                Some(message) => GatewayError::Upstream(UpstreamFailure { message, ..failure }),
                None => GatewayError::Upstream(failure),
            }
        }
        other => other,
    }
}

fn sentence(known: &ContextFacts) -> Option<String> {
    let (input, context) = (known.input_tokens?, known.context_tokens?);
    if input > context {
        return Some(format!("prompt is too long: {input} tokens > {context} maximum"));
    }
    let answer = known.max_tokens.filter(|answer| input.saturating_add(*answer) > context)?;
    Some(format!(
        "input length and `max_tokens` exceed context limit: {input} + {answer} > {context}, decrease input length or `max_tokens` and try again"
    ))
}

/// The numbers in the words of other models' servers, as far as they have a known form: "maximum context length is C
/// tokens", "A in the messages, B in the completion", "prompt contains A tokens", "C maximum context length".
fn told_by(words: &str) -> ContextFacts {
    let words = words.to_ascii_lowercase();
    ContextFacts {
        input_tokens: number_before(&words, " in the messages").or_else(|| number_after(&words, "prompt contains ")),
        max_tokens: number_before(&words, " in the completion"),
        context_tokens: number_after(&words, "maximum context length is ").or_else(|| number_before(&words, " maximum context length")),
    }
}

fn number_after(words: &str, mark: &str) -> Option<u64> {
    let (_, after) = words.split_once(mark)?;
    let digits = after.split(|character: char| !character.is_ascii_digit()).next()?;
    digits.parse().ok()
}

fn number_before(words: &str, mark: &str) -> Option<u64> {
    let (before, _) = words.split_once(mark)?;
    let digits = before.rsplit(|character: char| !character.is_ascii_digit()).next()?;
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overflow(message: &str) -> GatewayError {
        failed(Cause::ContextOverflow, message)
    }

    fn failed(cause: Cause, message: &str) -> GatewayError {
        GatewayError::Upstream(UpstreamFailure {
            cause,
            status: 400,
            code: "ValidationException".to_owned(),
            message: message.to_owned(),
            request_id: None,
            retry_after: None,
            region: None,
            model_error: None,
        })
    }

    fn words(error: GatewayError) -> String {
        match error {
            GatewayError::Upstream(failure) => failure.message,
            other => panic!("{other:?}"),
        }
    }

    const FACTS: ContextFacts = ContextFacts { input_tokens: Some(120_000), max_tokens: Some(20_000), context_tokens: Some(128_000) };

    /// What Claude Code looks for, to ask again for a shorter answer.
    fn retry_with(message: &str) -> Option<u64> {
        let (_, numbers) = message.split_once("input length and `max_tokens` exceed context limit: ")?;
        let numbers: Vec<u64> = numbers.split(|character: char| !character.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect();
        Some(numbers[2] - numbers[0] - 1000)
    }

    #[test]
    fn pain_08_an_overflow_of_another_model_is_told_so_that_agents_heal_themselves() {
        let told = words(in_claudes_words(overflow("Input is too long for requested model."), &FACTS));
        assert_eq!(
            told,
            "input length and `max_tokens` exceed context limit: 120000 + 20000 > 128000, decrease input length or `max_tokens` and try again"
        );
        assert_eq!(retry_with(&told), Some(7_000));
        let huge = ContextFacts { input_tokens: Some(140_000), ..FACTS };
        assert_eq!(
            words(in_claudes_words(overflow("Input is too long for requested model."), &huge)),
            "prompt is too long: 140000 tokens > 128000 maximum"
        );
    }

    #[test]
    fn pain_08_numbers_that_upstream_tells_win_over_ours() {
        let told = "This model's maximum context length is 131072 tokens. However, you requested 140096 tokens (136000 in the messages, 4096 in the completion). Please reduce the length.";
        assert_eq!(words(in_claudes_words(overflow(told), &FACTS)), "prompt is too long: 136000 tokens > 131072 maximum");
        let told = "This model's maximum context length is 131072 tokens. However, you requested 132096 tokens (128000 in the messages, 4096 in the completion).";
        assert!(words(in_claudes_words(overflow(told), &ContextFacts::default())).contains("128000 + 4096 > 131072"));
        let told = "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length";
        assert_eq!(words(in_claudes_words(overflow(told), &ContextFacts::default())), "prompt is too long: 40000 tokens > 32768 maximum");
    }

    #[test]
    fn pain_08_claudes_own_words_are_left_as_they_are() {
        for own in [
            "prompt is too long: 214315 tokens > 200000 maximum",
            "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000, decrease input length or `max_tokens` and try again",
            "messages: input length and max_tokens exceed context limit: 1 + 2 > 2",
        ] {
            assert_eq!(words(in_claudes_words(overflow(own), &FACTS)), own);
        }
    }

    #[test]
    fn numbers_that_would_not_show_it_are_not_made_up() {
        let told = "Input is too long for requested model.";
        for facts in [
            ContextFacts::default(),
            ContextFacts { context_tokens: None, ..FACTS },
            ContextFacts { input_tokens: None, ..FACTS },
            ContextFacts { max_tokens: None, ..FACTS },
            ContextFacts { input_tokens: Some(5), ..FACTS },
        ] {
            assert_eq!(words(in_claudes_words(overflow(told), &facts)), told, "{facts:?}");
        }
        assert_eq!(words(in_claudes_words(failed(Cause::BadRequest, told), &FACTS)), told);
        let other = GatewayError::WorkerLost;
        assert_eq!(in_claudes_words(other.clone(), &FACTS), other);
    }

    #[test]
    fn words_with_digits_everywhere_are_read_without_harm() {
        for odd in
            ["maximum context length is ", " in the messages", "maximum context length is 99999999999999999999 tokens", "é in the messages"]
        {
            assert_eq!(told_by(odd), ContextFacts::default(), "{odd}");
        }
    }
}
