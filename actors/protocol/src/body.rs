//! Decodes request bodies so that an error names the place in the JSON.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value, error::Category};

/// Why a body could not be decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BodyError {
    /// What kind of fault.
    pub fault: BodyFault,
    /// Dotted path of the member at fault, e.g. `messages.0.content`; `None` when the text is no JSON or the
    /// fault is at the top.
    pub path: Option<String>,
    /// The parser's words, without the position, the caller's own text and the names of our types.
    pub reason: String,
    /// Line, from 1; 0 when it was read from values.
    pub line: usize,
    /// Column, from 1; 0 when it was read from values.
    pub column: usize,
}

/// Kind of a decoding fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyFault {
    /// Not JSON, or cut off.
    Syntax,
    /// JSON, but a member has the wrong type or value.
    Type,
}

/// Decodes a JSON body.
///
/// The good case pays for one plain parse; only a body that fails is parsed a second time to find the path.
///
/// # Errors
/// The first fault, with its path and position.
pub fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, BodyError> {
    let decoded = serde_json::from_slice(body).map_err(|error| locate::<T>(body, &error))?;
    match too_deep(body) {
        None => Ok(decoded),
        Some(at) => Err(nested_too_deeply(body, at)),
    }
}

/// Decodes a JSON text that is known to be UTF-8, as a part of a body is that was decoded before.
///
/// # Errors
/// As [`decode`].
pub fn decode_text<T: DeserializeOwned>(text: &str) -> Result<T, BodyError> {
    serde_json::from_str(text).map_err(|error| locate::<T>(text.as_bytes(), &error))
}

/// Reads members that one request kept aside as what another one knows them for. They cannot hold
/// [`LooseText`](crate::loose::LooseText), nor anything else that keeps its JSON text.
///
/// # Errors
/// The first fault, with its path. Where it stood in the body is not known any more.
pub fn of_members<T: DeserializeOwned>(members: Map<String, Value>) -> Result<T, BodyError> {
    serde_path_to_error::deserialize(Value::Object(members)).map_err(|error| BodyError {
        fault: BodyFault::Type,
        path: dotted(error.path()),
        reason: in_words_of_json(without_content(error.inner().to_string())),
        line: 0,
        column: 0,
    })
}

fn locate<T: DeserializeOwned>(body: &[u8], error: &serde_json::Error) -> BodyError {
    let fault = match error.classify() {
        Category::Data => BodyFault::Type,
        Category::Io | Category::Syntax | Category::Eof => BodyFault::Syntax,
    };
    BodyError {
        fault,
        path: if fault == BodyFault::Type { path_of_fault::<T>(body) } else { None },
        reason: in_words_of_json(without_content(without_position(error))),
        line: error.line(),
        column: error.column(),
    }
}

fn path_of_fault<T: DeserializeOwned>(body: &[u8]) -> Option<String> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let error = serde_path_to_error::deserialize::<_, T>(&mut deserializer).err()?;
    dotted(error.path())
}

fn dotted(place: &serde_path_to_error::Path) -> Option<String> {
    let mut path = String::new();
    for segment in place.iter() {
        let separator = if path.is_empty() { "" } else { "." };
        match segment {
            serde_path_to_error::Segment::Seq { index } => path.push_str(&format!("{separator}{index}")),
            serde_path_to_error::Segment::Map { key } => path.push_str(&format!("{separator}{key}")),
            serde_path_to_error::Segment::Enum { .. } | serde_path_to_error::Segment::Unknown => {}
        }
    }
    (!path.is_empty()).then_some(path)
}

/// Deepest nesting of a body. The parser stops there by itself, but not in what it passes over: members that nobody knows, and
/// those that are kept as they were written.
const MAX_DEPTH: usize = 128;

/// Where a valid text is nested too deeply.
fn too_deep(text: &[u8]) -> Option<usize> {
    let (mut at, mut depth) = (0, 0usize);
    while let Some(byte) = text.get(at) {
        match byte {
            b'{' | b'[' if depth == MAX_DEPTH => return Some(at),
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => at = end_of_string(text, at + 1),
            _ => {}
        }
        at += 1;
    }
    None
}

/// The closing quote of a string whose first character stands at `at`.
fn end_of_string(text: &[u8], mut at: usize) -> usize {
    loop {
        at = first_mark(text, at);
        match text.get(at) {
            Some(b'\\') => at += 2,
            _ => return at,
        }
    }
}

/// The first quote or backslash from `from` on. Eight bytes at a time: strings are nearly all of a body.
fn first_mark(text: &[u8], from: usize) -> usize {
    let rest = text.get(from..).unwrap_or_default();
    let marked = |word: &[u8; 8]| holds(u64::from_le_bytes(*word), b'"') || holds(u64::from_le_bytes(*word), b'\\');
    let plain = rest.as_chunks::<8>().0.iter().take_while(|word| !marked(word)).count() * 8;
    let tail = rest.get(plain..).unwrap_or_default();
    from + plain + tail.iter().position(|byte| matches!(byte, b'"' | b'\\')).unwrap_or(tail.len())
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// Is one of the eight bytes this one?
fn holds(word: u64, byte: u8) -> bool {
    let word = word ^ (ONES * u64::from(byte));
    word.wrapping_sub(ONES) & !word & HIGHS != 0
}

/// The same words as the parser's own.
fn nested_too_deeply(body: &[u8], at: usize) -> BodyError {
    let before = body.get(..at).unwrap_or(body);
    BodyError {
        fault: BodyFault::Syntax,
        path: None,
        reason: "recursion limit exceeded".to_owned(),
        line: before.iter().filter(|byte| **byte == b'\n').count() + 1,
        column: before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1,
    }
}

/// The parser appends ` at line L column C`; the position is told apart from the words here.
fn without_position(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let suffix = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&suffix).map_or_else(|| text.clone(), str::to_owned)
}

/// The parser quotes a string that stands in the wrong place, be it a whole prompt. Content belongs neither in
/// logs nor in errors of its own length.
fn without_content(reason: String) -> String {
    let quoted = reason.split_once(": string \"").zip(reason.rsplit_once("\", expected "));
    match quoted {
        Some(((fault, _), (_, expected))) => format!("{fault}: a string, expected {expected}"),
        None => reason,
    }
}

/// The parser names our own type where it expects an object; callers know objects.
fn in_words_of_json(reason: String) -> String {
    let Some((found, ours)) = reason.split_once("expected struct ") else { return reason };
    let ours = ours.strip_prefix("variant ").unwrap_or(ours);
    let rest = ours.trim_start_matches(|letter: char| letter.is_alphanumeric() || matches!(letter, '_' | ':'));
    format!("{found}expected an object{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openai::chat::ChatCompletionRequest;

    fn fault_of(body: &str) -> BodyError {
        decode::<ChatCompletionRequest>(body.as_bytes()).unwrap_err()
    }

    #[test]
    fn a_wrong_type_deep_inside_is_named_by_its_path() {
        let fault =
            fault_of(r#"{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":5}]}]}"#);
        assert_eq!(fault.fault, BodyFault::Type);
        assert_eq!(fault.path.as_deref(), Some("messages.0.content.1.text"));
        assert!(fault.reason.contains("invalid type: integer `5`"), "{}", fault.reason);
        assert!(!fault.reason.contains("column"));
    }

    #[test]
    fn a_fault_inside_text_or_object_values_keeps_its_path() {
        let fault = fault_of(r#"{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":7}}]}]}"#);
        assert_eq!(fault.path.as_deref(), Some("messages.0.content.0.image_url.url"));
        let fault = fault_of(r#"{"messages":[],"stop":["a",1]}"#);
        assert_eq!(fault.path.as_deref(), Some("stop.1"));
        let fault = fault_of(r#"{"messages":[],"max_tokens":1.5}"#);
        assert_eq!(fault.path.as_deref(), Some("max_tokens"));
    }

    #[test]
    fn a_prompt_in_the_wrong_place_is_not_quoted() {
        let fault = fault_of(r#"{"messages":"my secret, \", expected nonsense"}"#);
        assert_eq!(fault.reason, "invalid type: a string, expected a sequence");
        let fault = fault_of(r#"{"messages":[{"role":"user","content":{"secret":"x"}}]}"#);
        assert!(!fault.reason.contains("secret"), "{}", fault.reason);
    }

    #[test]
    fn broken_json_has_a_position_and_no_path() {
        let fault = fault_of("{\"model\":\n \"m\",}");
        assert_eq!((fault.fault, fault.path.as_deref(), fault.line), (BodyFault::Syntax, None, 2));
        let fault = fault_of(r#"{"model":"m","messages":[{"role":"us"#);
        assert_eq!(fault.fault, BodyFault::Syntax);
    }

    #[test]
    fn what_is_kept_as_it_was_written_is_no_deeper_than_what_is_read() {
        let tool = |deep: &str| {
            let text = format!(
                "{{\"model\":\"m\",\n\"tools\":[{{\"type\":\"function\",\"function\":{{\"name\":\"f\",\"parameters\":{deep}}}}}]}}"
            );
            decode::<ChatCompletionRequest>(text.as_bytes())
        };
        let nested = |levels: usize| format!("{}1{}", "{\"[{\\\"\":".repeat(levels), "}".repeat(levels));
        // Four levels are around it.
        assert!(tool(&nested(MAX_DEPTH - 4)).is_ok());
        let fault = tool(&nested(MAX_DEPTH - 3)).unwrap_err();
        assert_eq!((fault.fault, fault.path, fault.line), (BodyFault::Syntax, None, 2));
        assert_eq!(fault.reason, fault_of(&format!("{{\"unheard_of\":{}", "[".repeat(1000))).reason, "as the parser says it");
        assert!(tool(&nested(100_000)).is_err());
        assert!(tool(&format!("{{\"x\":\"{}\"}}", "[{".repeat(1000))).is_ok(), "text is only text");
        assert!(tool(&format!("[{}1]", "{\"a\":[]},".repeat(1000))).is_ok(), "length is no depth");
    }

    #[test]
    fn members_that_were_kept_aside_are_read_with_their_paths() {
        let members = |text: &str| serde_json::from_str::<Map<String, Value>>(text).unwrap();
        let read: ChatCompletionRequest = of_members(members(r#"{"top_k":5,"input":[1,"a"],"other":true}"#)).unwrap();
        assert_eq!((read.top_k.unwrap().0, read.input.unwrap().get(), read.extra.len()), (5, r#"[1,"a"]"#, 1));
        let fault = of_members::<ChatCompletionRequest>(members(r#"{"thinking":{"budget_tokens":"my secret"}}"#)).unwrap_err();
        assert_eq!((fault.fault, fault.path.as_deref(), fault.line), (BodyFault::Type, Some("thinking.budget_tokens"), 0));
        assert!(!fault.reason.contains("secret"), "{}", fault.reason);
    }

    #[test]
    fn a_body_that_is_no_object_is_a_type_fault_at_the_top() {
        let fault = fault_of("[1]");
        assert_eq!((fault.fault, fault.path), (BodyFault::Type, None));
        assert_eq!(fault.reason, "invalid type: sequence, expected an object");
        let inside = fault_of(r#"{"messages":[5]}"#);
        assert_eq!(inside.reason, "invalid type: integer `5`, expected an object");
    }
}
