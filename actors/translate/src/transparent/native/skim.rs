//! Passes over native bodies, answers and events.

use outcrop_domain::{chat::StopReason, error::GatewayError, estimate::Size, routing::view::CacheLife};

use super::{
    NativeRequest, Skim,
    added::{TIER, tier_of},
    claude_stop_reason, prefix,
};
use crate::{
    converse::answer::stop_reason,
    transparent::json::{Fault, Kind, Scanner, Span, Text, Value, elements_of, members_of, object, said, whole_number},
};

/// Strings of this length that hold no space near their beginning are taken for base64.
const LEAST_MEDIA_BYTES: u32 = 1024;

/// How far into a string a space is looked for.
const MEDIA_SAMPLE_BYTES: usize = 256;

/// Names of the limit of an answer, over all families. Source: model pages of the Bedrock user guide.
const LIMITS: [&str; 8] = [
    "max_tokens",
    "max_completion_tokens",
    "max_gen_len",
    "maxTokens",
    "max_new_tokens",
    "maxTokenCount",
    "maxOutputTokens",
    "max_output_tokens",
];

/// Objects in which some families keep it.
const LIMIT_HOLDERS: [&str; 3] = ["inferenceConfig", "textGenerationConfig", "inference_config"];

/// Names of text that is the same in every turn of a conversation.
const STABLE: [&str; 4] = ["system", "tools", "toolConfig", "preamble"];

/// Most members of a body. Operations of AWS's have a dozen, bodies of models' own some thirty.
const MAX_MEMBERS: usize = 256;

/// Looks at a Converse body.
pub(super) fn converse(body: &[u8]) -> Result<NativeRequest, GatewayError> {
    let members = top(body)?;
    let find = |name: &str| members.iter().find(|(key, _)| key.is(body, name)).map(|(_, value)| *value);
    let mut walk = Walk::new(body, Shape::Converse);
    let mut opening = Vec::new();
    // In the order in which caches see a prompt.
    if let Some(config) = find("toolConfig") {
        let tools = members_of(body, config.span).into_iter().find(|(key, _)| key.is(body, "tools"));
        for tool in tools.map(|(_, tools)| elements_of(body, tools.span)).unwrap_or_default() {
            let marked = walk.element(tool);
            opening.extend((!marked).then_some(tool.span));
        }
    }
    for block in find("system").map(|system| elements_of(body, system.span)).unwrap_or_default() {
        let marked = walk.element(block);
        opening.extend((!marked).then_some(block.span));
    }
    let mut before_last = walk.size;
    if let Some(messages) = find("messages") {
        opening.extend(first_texts(body, messages));
        before_last = walk.messages(messages);
    }
    let max_tokens = find("inferenceConfig").and_then(|config| limit(body, &members_of(body, config.span)));
    let cached = walk.marked.map(|(covered, life)| prefix(covered, before_last, life));
    // The last one that says something, as where it is set.
    let said = members.iter().rev().find(|(key, value)| value.kind != Kind::Null && key.is(body, TIER));
    let service_tier = said.and_then(|(_, tier)| tier_of(body, *tier));
    let earlier_tokens = before_last.tokens();
    Ok(NativeRequest { max_tokens, prompt_tokens: walk.size.tokens(), cached, earlier_tokens, service_tier, opening })
}

/// Is an InvokeModel body Anthropic's?
pub(super) fn is_claude(body: &[u8], members: &[(Text, Value)]) -> bool {
    members.iter().any(|(key, _)| key.is(body, "anthropic_version"))
}

/// Looks at an InvokeModel body, whose members these are.
pub(super) fn any(body: &[u8], members: &[(Text, Value)]) -> NativeRequest {
    let mut walk = Walk::new(body, Shape::Any);
    let mut opening = Vec::new();
    let mut before_last = None;
    for (key, value) in members {
        if STABLE.iter().any(|name| key.is(body, name)) {
            opening.push(value.span);
        }
        if key.is(body, "messages") && value.kind == Kind::Array {
            opening.extend(first_texts(body, *value));
            before_last = Some(walk.messages(*value));
        } else {
            walk.element(*value);
        }
    }
    let held = || {
        let holders = members.iter().filter(|(key, _)| LIMIT_HOLDERS.iter().any(|name| key.is(body, name)));
        holders.filter_map(|(_, value)| limit(body, &members_of(body, value.span))).next()
    };
    let before_last = before_last.unwrap_or(walk.size);
    let cached = walk.marked.map(|(covered, life)| prefix(covered, before_last, life));
    let max_tokens = limit(body, members).or_else(held);
    let earlier_tokens = before_last.tokens();
    NativeRequest { max_tokens, prompt_tokens: walk.size.tokens(), cached, earlier_tokens, service_tier: None, opening }
}

/// The members of a body, which must be an object. All of them: what is not seen here could name what only the operator may.
pub(super) fn top(body: &[u8]) -> Result<Vec<(Text, Value)>, GatewayError> {
    let invalid = |message: String| GatewayError::InvalidRequest { message, param: None, code: None };
    let unreadable = |fault: Fault| {
        let (line, column) = fault.place(body);
        invalid(format!("the request body cannot be read: {} (line {line}, column {column})", fault.what))
    };
    if u32::try_from(body.len()).is_err() {
        return Err(GatewayError::BodyTooLarge { limit_bytes: u64::from(u32::MAX) });
    }
    if let Err(error) = std::str::from_utf8(body) {
        return Err(unreadable(Fault { at: error.valid_up_to(), what: "the text is not UTF-8" }));
    }
    match object(body).map_err(unreadable)? {
        Some(members) if members.len() <= MAX_MEMBERS => Ok(members),
        Some(_) => Err(invalid(format!("the request body has more than {MAX_MEMBERS} fields"))),
        None => Err(invalid("the request body is not a JSON object".to_owned())),
    }
}

fn limit(text: &[u8], members: &[(Text, Value)]) -> Option<u64> {
    let limit = members.iter().find(|(key, _)| LIMITS.iter().any(|name| key.is(text, name)));
    limit.and_then(|(_, value)| whole_number(text, *value))
}

/// Texts of the first message of the user's. Further ones are not looked at.
fn first_texts(text: &[u8], messages: Value) -> Vec<Span> {
    let find = |object: Span, name: &str| members_of(text, object).into_iter().find(|(key, _)| key.is(text, name)).map(|(_, value)| value);
    let of_user = |message: &Value| find(message.span, "role").and_then(|role| said(text, role)).as_deref() == Some("user");
    let mut content = None;
    let _read = each(text, messages, |scanner| {
        let message = scanner.skip()?;
        let found = of_user(&message);
        content = if found { find(message.span, "content") } else { None };
        Ok(!found)
    });
    let Some(content) = content else { return Vec::new() };
    if content.kind == Kind::String {
        return vec![content.span];
    }
    elements_of(text, content.span).into_iter().filter_map(|block| find(block.span, "text")).map(|value| value.span).collect()
}

/// Stops at each element of an array, which `visit` reads or skips; until it says no.
fn each(text: &[u8], array: Value, mut visit: impl FnMut(&mut Scanner<'_>) -> Result<bool, Fault>) -> Result<(), Fault> {
    let mut scanner = Scanner::within(text, array.span);
    if scanner.kind()? != Kind::Array {
        return Ok(());
    }
    let mut members = scanner.enter()?;
    while scanner.element(&mut members)? {
        if !visit(&mut scanner)? {
            break;
        }
    }
    Ok(())
}

/// How blocks are told apart.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// By their only member's name.
    Converse,
    /// Not at all.
    Any,
}

/// Sums up what a prompt holds.
struct Walk<'t> {
    text: &'t [u8],
    shape: Shape,
    size: Size,
    /// Cache marks so far.
    marks: usize,
    /// What the last cache mark covers, and the longest lifetime so far.
    marked: Option<(Size, CacheLife)>,
}

impl<'t> Walk<'t> {
    fn new(text: &'t [u8], shape: Shape) -> Self {
        Self { text, shape, size: Size::default(), marks: 0, marked: None }
    }

    /// Adds a value; true when it is a cache mark and nothing else.
    fn element(&mut self, value: Value) -> bool {
        let (marks, size) = (self.marks, self.size);
        let mut scanner = Scanner::within(self.text, value.span);
        // Read before, hence without a fault.
        let _read = self.value(&mut scanner);
        self.marks > marks && self.size == size
    }

    /// Adds the messages of a list; tells the size before the last of them.
    fn messages(&mut self, list: Value) -> Size {
        let mut before_last = self.size;
        let _read = each(self.text, list, |scanner| {
            before_last = self.size;
            self.value(scanner)?;
            self.size = self.size.framed();
            Ok(true)
        });
        before_last
    }

    fn value(&mut self, scanner: &mut Scanner<'_>) -> Result<(), Fault> {
        match scanner.kind()? {
            Kind::String => {
                let text = scanner.string()?;
                self.add(self.size_of(text));
            }
            Kind::Array => {
                let mut members = scanner.enter()?;
                while scanner.element(&mut members)? {
                    self.value(scanner)?;
                }
            }
            Kind::Object => {
                let mut members = scanner.enter()?;
                while let Some(key) = scanner.key(&mut members)? {
                    self.member(key, scanner)?;
                }
            }
            Kind::Number | Kind::Bool | Kind::Null => drop(scanner.skip()?),
        }
        Ok(())
    }

    fn member(&mut self, key: Text, scanner: &mut Scanner<'_>) -> Result<(), Fault> {
        let name = key.decode(self.text).unwrap_or_default();
        match (name.as_ref(), self.shape) {
            ("cachePoint" | "cache_control", _) => self.mark(scanner.skip()?),
            ("image", Shape::Converse) => {
                scanner.skip()?;
                self.add(Size::of_image());
            }
            ("document" | "video" | "audio", Shape::Converse) => self.media(name.as_ref(), scanner)?,
            // Argument and schema count as they are written.
            ("input" | "json" | "inputSchema", _) => {
                let value = scanner.skip()?;
                self.add(Size::of_bytes(value.span.len()));
            }
            ("role" | "type" | "toolUseId" | "signature" | "status" | "format", _) => drop(scanner.skip()?),
            _ => self.value(scanner)?,
        }
        Ok(())
    }

    fn media(&mut self, kind: &str, scanner: &mut Scanner<'_>) -> Result<(), Fault> {
        let block = scanner.skip()?;
        let find = |object: Span, name: &str| members_of(self.text, object).into_iter().find(|(key, _)| key.is(self.text, name));
        let Some((_, source)) = find(block.span, "source") else { return Ok(()) };
        let size = match (find(source.span, "bytes"), kind) {
            (Some((_, bytes)), "document") => Size::of_document(bytes.span.len()),
            (Some((_, bytes)), _) => Size::of_clip(bytes.span.len()),
            (None, _) if find(source.span, "s3Location").is_some() => Size::of_unseen(),
            (None, _) => Size::of_bytes(source.span.len()),
        };
        self.add(size);
        Ok(())
    }

    fn mark(&mut self, value: Value) {
        if value.kind != Kind::Object {
            return;
        }
        let ttl = members_of(self.text, value.span).into_iter().find(|(key, _)| key.is(self.text, "ttl"));
        let long = ttl.and_then(|(_, ttl)| said(self.text, ttl)).as_deref() == Some("1h");
        self.marks += 1;
        let before = self.marked.map_or(CacheLife::Short, |(_, life)| life);
        self.marked = Some((self.size, if long { CacheLife::Long } else { before }));
    }

    fn size_of(&self, text: Text) -> Size {
        let sample = text.raw(self.text).get(..MEDIA_SAMPLE_BYTES);
        let base64 =
            |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b':' | b';' | b',' | b'\\' | b'-' | b'_');
        if self.shape == Shape::Any && text.decoded >= LEAST_MEDIA_BYTES && sample.is_some_and(|sample| sample.iter().all(base64)) {
            return Size::of_image();
        }
        Size::of_bytes(text.decoded.into())
    }

    fn add(&mut self, size: Size) {
        self.size = self.size.and(size);
    }
}

/// What was seen of an answer or event.
#[derive(Default)]
pub(super) struct SeenAnswer {
    pub(super) found: Skim,
    /// `usage`.
    pub(super) usage_object: Option<Span>,
}

/// Looks at an answer, or an event of a stream, of any family.
pub(super) fn answer(json: &[u8]) -> SeenAnswer {
    let mut seen = SeenAnswer::default();
    let mut scanner = Scanner::new(json);
    let _read = seen.object(json, &mut scanner, 0);
    seen
}

/// Deepest level at which an answer's own words are looked for: the arguments of a call in OpenAI's chunks.
const ANSWER_DEPTH: u32 = 7;

impl SeenAnswer {
    fn object(&mut self, json: &[u8], scanner: &mut Scanner<'_>, depth: u32) -> Result<(), Fault> {
        match scanner.kind()? {
            Kind::Object if depth <= ANSWER_DEPTH => {
                let mut members = scanner.enter()?;
                while let Some(key) = scanner.key(&mut members)? {
                    self.member(json, key, scanner, depth)?;
                }
                Ok(())
            }
            Kind::Array if depth <= ANSWER_DEPTH => {
                let mut members = scanner.enter()?;
                while scanner.element(&mut members)? {
                    self.object(json, scanner, depth + 1)?;
                }
                Ok(())
            }
            _ => scanner.skip().map(drop),
        }
    }

    fn member(&mut self, json: &[u8], key: Text, scanner: &mut Scanner<'_>, depth: u32) -> Result<(), Fault> {
        let name = key.decode(json).unwrap_or_default();
        match (name.as_ref(), scanner.kind()?) {
            ("stop_reason" | "stopReason" | "finish_reason" | "finishReason" | "completionReason", Kind::String) => {
                let value = scanner.skip()?;
                self.found.stop = said(json, value).map(|word| stop(&word));
            }
            ("usage", Kind::Object) if depth == 0 => self.usage_object = Some(scanner.skip()?.span),
            (
                "text" | "content" | "generation" | "outputText" | "completion" | "arguments" | "input" | "reasoning_content" | "message",
                Kind::String,
            ) => {
                let text = scanner.string()?;
                self.found.produced_bytes = self.found.produced_bytes.saturating_add(text.decoded.into());
            }
            _ => self.object(json, scanner, depth + 1)?,
        }
        Ok(())
    }
}

/// Why an answer ended, in the words of any family.
fn stop(word: &str) -> StopReason {
    match word {
        "stop" | "FINISH" | "COMPLETE" | "end_of_text" => StopReason::EndTurn,
        "length" | "LENGTH" | "MAX_TOKENS" => StopReason::MaxTokens,
        "tool_calls" | "function_call" | "TOOL_CALL" => StopReason::ToolUse,
        "content_filter" | "CONTENT_FILTERED" | "ERROR_TOXIC" => StopReason::ContentFiltered,
        "STOP_SEQUENCE" => StopReason::StopSequence,
        other => match claude_stop_reason(other) {
            StopReason::Unknown => stop_reason(other),
            known => known,
        },
    }
}
