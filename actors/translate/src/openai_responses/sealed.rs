//! What travels in `encrypted_content`: opaque to clients, and complete for the next request, whoever serves it.
//!
//! A name with a version, a dot, and base64 of JSON: nothing in it is secret from the client who paid for it, so
//! nothing is encrypted, and nothing in it is trusted more than the rest of the request, so nothing is authenticated.
//! What does not begin with our name is another provider's and cannot be read.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use outcrop_domain::chat::Reasoning;
use outcrop_protocol::openai::chat::ReasoningDetailOut;
use std::borrow::Cow;

/// Name and version of sealed reasoning. A reader that does not know a version treats it as foreign.
const REASONING: &str = "outcrop-reasoning-1.";
/// Name and version of a sealed summary of a conversation.
const SUMMARY: &str = "outcrop-summary-1.";

/// Seals reasoning blocks, byte for byte, in the form in which chat answers carry them. `None` without any.
pub(super) fn seal_reasoning(blocks: &[Reasoning]) -> Option<String> {
    if blocks.is_empty() {
        return None;
    }
    let details: Vec<ReasoningDetailOut<'_>> = blocks.iter().zip(0..).map(|(block, index)| detail(block, index)).collect();
    let json = serde_json::to_vec(&details).ok()?;
    Some(sealed(REASONING, &json))
}

/// Opens what [`seal_reasoning`] made; `None` for anything else.
pub(super) fn open_reasoning(text: &str) -> Option<Vec<Reasoning>> {
    let json = opened(REASONING, text)?;
    let details: Vec<ReasoningDetailOut<'_>> = serde_json::from_slice(&json).ok()?;
    Some(details.into_iter().map(block).collect())
}

/// Seals the summary of a conversation.
pub(super) fn seal_summary(summary: &str) -> String {
    sealed(SUMMARY, summary.as_bytes())
}

/// Opens what [`seal_summary`] made; `None` for anything else.
pub(super) fn open_summary(text: &str) -> Option<String> {
    String::from_utf8(opened(SUMMARY, text)?).ok()
}

fn sealed(name: &str, content: &[u8]) -> String {
    let mut text = String::with_capacity(name.len() + content.len().div_ceil(3).saturating_mul(4));
    text.push_str(name);
    URL_SAFE_NO_PAD.encode_string(content, &mut text);
    text
}

fn opened(name: &str, text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text.strip_prefix(name)?).ok()
}

fn detail(block: &Reasoning, index: u32) -> ReasoningDetailOut<'_> {
    match block {
        Reasoning::Text { text, signature } => {
            ReasoningDetailOut::Text { text: Cow::Borrowed(text), signature: signature.as_deref().map(Cow::Borrowed), index }
        }
        Reasoning::Redacted(data) => ReasoningDetailOut::Encrypted { data: Cow::Borrowed(data), index },
    }
}

fn block(detail: ReasoningDetailOut<'_>) -> Reasoning {
    match detail {
        ReasoningDetailOut::Text { text, signature, .. } => {
            Reasoning::Text { text: text.into_owned(), signature: signature.map(Cow::into_owned) }
        }
        ReasoningDetailOut::Encrypted { data, .. } => Reasoning::Redacted(data.into_owned()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn blocks() -> impl Strategy<Value = Vec<Reasoning>> {
        let text = (any::<String>(), proptest::option::of(any::<String>()));
        let block = prop_oneof![
            text.prop_map(|(text, signature)| Reasoning::Text { text, signature }),
            any::<String>().prop_map(Reasoning::Redacted),
        ];
        proptest::collection::vec(block, 1..5)
    }

    proptest! {
        #[test]
        fn pain_02_sealed_reasoning_opens_byte_for_byte(blocks in blocks()) {
            prop_assert_eq!(open_reasoning(&seal_reasoning(&blocks).unwrap()), Some(blocks));
        }

        #[test]
        fn a_sealed_summary_opens_as_it_was(summary in any::<String>()) {
            prop_assert_eq!(open_summary(&seal_summary(&summary)), Some(summary));
        }

        #[test]
        fn anything_else_is_foreign_and_breaks_nothing(text in any::<String>()) {
            let _ = (open_reasoning(&format!("{REASONING}{text}")), open_summary(&format!("{SUMMARY}{text}")));
            prop_assert_eq!((open_reasoning(&text), open_summary(&text)), (None, None));
        }
    }

    #[test]
    fn one_kind_is_not_taken_for_the_other_nor_a_later_version_for_this_one() {
        let reasoning = seal_reasoning(&[Reasoning::Redacted("x".to_owned())]).unwrap();
        assert_eq!(open_summary(&reasoning), None);
        assert_eq!(open_reasoning(&seal_summary("x")), None);
        assert_eq!(open_reasoning(&reasoning.replacen("-1.", "-2.", 1)), None);
        assert_eq!(open_reasoning("gAAAAABm"), None);
        assert_eq!(seal_reasoning(&[]), None);
    }
}
