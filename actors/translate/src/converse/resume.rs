//! A streamed answer that broke goes on in another call: the same request, with the text so far as the turn that the model is to
//! finish.

use std::ops::Range;

use outcrop_protocol::bedrock::converse::SentConverse;
use serde_json::value::RawValue;

/// Where two calls of one answer meet: a begun turn must not end in white space, so that of the text so far is left out of the
/// call, and left out once more of what comes if the model writes it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seam {
    /// What the client has and the model was not shown, as far as the model has not written it again.
    pending: String,
}

impl Seam {
    /// Of the text so far.
    #[must_use]
    pub fn after(text: &str) -> Self {
        Self { pending: text.get(text.trim_end().len()..).unwrap_or_default().to_owned() }
    }

    /// What of the next piece of text is new to the client.
    #[must_use]
    pub fn join(&mut self, mut text: String) -> String {
        let repeated = self.pending.bytes().zip(text.bytes()).take_while(|(ours, theirs)| ours == theirs).count();
        // Bytes that are the same at a place where one text has a character boundary and the other has none are no repetition.
        let repeated = text.floor_char_boundary(repeated);
        let cut_short = repeated < self.pending.len() && repeated < text.len();
        let rest = self.pending.get(repeated..).filter(|_| !cut_short).unwrap_or_default().to_owned();
        self.pending = rest;
        text.drain(..repeated);
        text
    }
}

/// The body of a call that goes on with `text`, the answer so far to a [continuable](super::ConverseBody::continuable) `body`; it
/// took about `spent_tokens` of the tokens that the client allowed. `None`: there is nothing to go on with.
///
/// Everything but the new turn and `maxTokens` stays byte for byte as it was.
#[must_use]
pub fn continued(body: &[u8], text: &str, spent_tokens: u64) -> Option<Vec<u8>> {
    let kept = text.trim_end();
    if kept.is_empty() {
        return None;
    }
    let sent: SentConverse<'_> = serde_json::from_slice(body).ok()?;
    let last = *sent.messages.last()?;
    let text = serde_json::to_string(kept).ok()?;
    let end = place(body, last)?.end;
    let mut edits = vec![(end..end, format!(r#",{{"role":"assistant","content":[{{"text":{text}}}]}}"#))];
    if let Some(max_tokens) = sent.inference_config.and_then(|config| config.max_tokens) {
        let allowed: u64 = max_tokens.get().parse().ok()?;
        edits.push((place(body, max_tokens)?, allowed.saturating_sub(spent_tokens).max(1).to_string()));
    }
    Some(edited(body, edits))
}

/// Where `part`, which was read from `body` without a copy, stands in it.
fn place(body: &[u8], part: &RawValue) -> Option<Range<usize>> {
    let start = (part.get().as_ptr() as usize).checked_sub(body.as_ptr() as usize)?;
    let range = start..start + part.get().len();
    (body.get(range.clone())? == part.get().as_bytes()).then_some(range)
}

fn edited(body: &[u8], mut edits: Vec<(Range<usize>, String)>) -> Vec<u8> {
    edits.sort_by_key(|(range, _)| range.start);
    let mut bytes = Vec::with_capacity(body.len() + edits.iter().map(|(_, text)| text.len()).sum::<usize>());
    let mut from = 0;
    for (range, text) in edits {
        bytes.extend_from_slice(body.get(from..range.start).unwrap_or_default());
        bytes.extend_from_slice(text.as_bytes());
        from = range.end;
    }
    bytes.extend_from_slice(body.get(from..).unwrap_or_default());
    bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BODY: &str = r#"{"messages":[{"role":"user","content":[{"text":"a ] } \" b"}]}],"inferenceConfig":{"maxTokens":100,"temperature":0.5},"system":[{"text":"s"}]}"#;

    fn body_with(text: &str, spent: u64) -> Option<String> {
        continued(BODY.as_bytes(), text, spent).map(|bytes| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn the_text_so_far_is_the_last_turn_and_all_else_stays() {
        assert_eq!(
            body_with("Once \"upon\"\n ", 30).unwrap(),
            r#"{"messages":[{"role":"user","content":[{"text":"a ] } \" b"}]},{"role":"assistant","content":[{"text":"Once \"upon\""}]}],"inferenceConfig":{"maxTokens":70,"temperature":0.5},"system":[{"text":"s"}]}"#
        );
    }

    #[test]
    fn a_body_without_a_limit_gets_none_and_a_spent_limit_leaves_one_token() {
        let plain = br#"{"messages":[{"role":"user","content":[{"text":"a"}]}]}"#;
        let written = String::from_utf8(continued(plain, "b", 9).unwrap()).unwrap();
        assert_eq!(written, r#"{"messages":[{"role":"user","content":[{"text":"a"}]},{"role":"assistant","content":[{"text":"b"}]}]}"#);
        assert!(body_with("b", 5_000).unwrap().contains(r#""maxTokens":1,"#));
    }

    #[test]
    fn nothing_goes_on_without_text_or_conversation() {
        assert_eq!(body_with(" \n", 0), None);
        assert_eq!(continued(b"{}", "c", 0), None);
        assert_eq!(continued(br#"{"messages":[]}"#, "c", 0), None);
    }

    fn joined(so_far: &str, pieces: &[&str]) -> String {
        let mut seam = Seam::after(so_far);
        so_far.to_owned() + &pieces.iter().map(|piece| seam.join((*piece).to_owned())).collect::<String>()
    }

    #[test]
    fn white_space_that_the_model_writes_again_is_not_doubled() {
        assert_eq!(joined("Once ", &[" upon"]), "Once upon");
        assert_eq!(joined("Once ", &["upon"]), "Once upon");
        assert_eq!(joined("Once\n\n", &["\n", "\n", "\nupon"]), "Once\n\n\nupon");
        assert_eq!(joined("Once\n", &[" upon"]), "Once\n upon");
        assert_eq!(joined("Once", &[" upon"]), "Once upon");
        assert_eq!(joined("Once\u{3000}", &["\u{3001}upon"]), "Once\u{3000}\u{3001}upon");
    }

    proptest! {
        #[test]
        fn an_answer_that_is_cut_anywhere_and_goes_on_in_any_pieces_is_whole(
            answer in "[a-c \n\u{3000}\u{3001}]{1,40}",
            cut in 0usize..40,
            pieces in 1usize..5,
        ) {
            let cut = answer.floor_char_boundary(cut.min(answer.len()));
            let (so_far, _) = answer.split_at(cut);
            // The model goes on where the text that it was shown ends.
            let rest: Vec<char> = answer[so_far.trim_end().len()..].chars().collect();
            let rest: Vec<String> = rest.chunks(rest.len().div_ceil(pieces).max(1)).map(|piece| piece.iter().collect()).collect();
            let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
            prop_assert_eq!(joined(so_far, &rest), answer);
        }
    }
}
