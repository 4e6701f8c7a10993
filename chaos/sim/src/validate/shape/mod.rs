//! The Converse request as the service model defines it: read once into borrowed types, everything else works on those. Native
//! bodies are read into the same types, by rooms of their own.
//!
//! Knows nothing about models. A request that passes is well-formed; whether it makes sense is judged by the rule files.

use serde_json::{Map, Value};

use super::Refusal;
use super::kit::{ANY, Faults, Object, Path, TextRule, length, one_of, shaped};

mod content;
mod tools;

pub(crate) use content::{Block, CachePoint, Document, GuardText, Media, ResultPart, Source, Ttl};
pub(crate) use tools::{Tool, ToolChoice, ToolConfig};

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    User,
    Assistant,
    System,
}

/// A block with the JSON it came from and where that stands.
pub(crate) struct Placed<'a> {
    pub(crate) raw: &'a Value,
    pub(crate) at: Place,
    pub(crate) block: Block<'a>,
}

/// Where a block stands in the body, each counted from 0: `messages.3.content.1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) message: usize,
    pub(crate) block: usize,
}

impl std::fmt::Display for Place {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "messages.{}.content.{}", self.message, self.block)
    }
}

/// One turn.
pub(crate) struct Message<'a> {
    pub(crate) role: Role,
    pub(crate) content: Vec<Placed<'a>>,
}

/// One entry of `system`.
pub(crate) enum SystemBlock<'a> {
    Text(&'a str),
    Guard(GuardText<'a>),
    CachePoint(CachePoint),
}

/// `inferenceConfig`.
#[derive(Default)]
pub(crate) struct Inference<'a> {
    pub(crate) max_tokens: Option<u64>,
    pub(crate) temperature: Option<f64>,
    pub(crate) top_p: Option<f64>,
    pub(crate) stop_sequences: Vec<&'a str>,
}

/// `guardrailConfig`.
pub(crate) struct Guardrail<'a> {
    pub(crate) identifier: &'a str,
    pub(crate) version: &'a str,
    pub(crate) trace: bool,
}

/// A whole request.
pub(crate) struct Request<'a> {
    pub(crate) messages: Vec<Message<'a>>,
    pub(crate) system: Vec<(&'a Value, SystemBlock<'a>)>,
    pub(crate) inference: Inference<'a>,
    pub(crate) tools: Option<ToolConfig<'a>>,
    pub(crate) guardrail: Option<Guardrail<'a>>,
    pub(crate) additional: Option<&'a Map<String, Value>>,
    pub(crate) response_paths: Vec<&'a str>,
    pub(crate) latency: Option<&'a str>,
    pub(crate) service_tier: Option<&'a str>,
    pub(crate) schema: Option<&'a str>,
    pub(crate) effort: Option<&'a str>,
}

impl Request<'_> {
    /// Whether the model may use this tool of Bedrock's own.
    pub(crate) fn offers_system_tool(&self, wanted: &str) -> bool {
        self.tools.iter().flat_map(|config| &config.tools).any(|(_, tool)| matches!(tool, Tool::System(name) if *name == wanted))
    }
}

const LATENCY: TextRule = one_of(&["standard", "optimized"]);
const TIER: TextRule = one_of(&["priority", "default", "flex", "reserved"]);
const ROLE: TextRule = one_of(&["user", "assistant", "system"]);
const TRACE: TextRule = one_of(&["enabled", "disabled", "enabled_full"]);
const STREAM_MODE: TextRule = one_of(&["sync", "async"]);
const FORMAT: TextRule = one_of(&["json_schema"]);
const GUARDRAIL_ID: TextRule =
    shaped(0, 2048, "(|([a-z0-9]+)|(arn:aws(-[^:]+)?:bedrock:[a-z0-9-]{1,20}:[0-9]{12}:guardrail/[a-z0-9]+))", guardrail_id);
const GUARDRAIL_VERSION: TextRule = shaped(0, 64, "(|([1-9][0-9]{0,7})|(DRAFT))", guardrail_version);
const METADATA_KEY: TextRule = shaped(1, 256, "[a-zA-Z0-9\\s:_@$#=/+,-.]{1,256}", metadata);
const METADATA_VALUE: TextRule = shaped(0, 256, "[a-zA-Z0-9\\s:_@$#=/+,-.]{0,256}", metadata);

const MEMBERS: [&str; 12] = [
    "messages",
    "system",
    "inferenceConfig",
    "toolConfig",
    "guardrailConfig",
    "additionalModelRequestFields",
    "additionalModelResponseFieldPaths",
    "promptVariables",
    "requestMetadata",
    "performanceConfig",
    "serviceTier",
    "outputConfig",
];

/// Reads a Converse or ConverseStream body.
pub(crate) fn request(body: &Value, streaming: bool) -> Result<Request<'_>, Refusal> {
    let faults = Faults::default();
    let read = read(body, streaming, &faults)?;
    faults.verdict()?;
    Ok(read)
}

/// Reads the Converse half of a CountTokens body: the same members, fewer of them.
pub(crate) fn countable(body: &Value) -> Result<Request<'_>, Refusal> {
    let faults = Faults::default();
    let known = ["messages", "system", "toolConfig", "additionalModelRequestFields"];
    Object::open(body, Path::Root, &faults, &known)?;
    let read = read(body, false, &faults)?;
    faults.verdict()?;
    Ok(read)
}

fn read<'a>(body: &'a Value, streaming: bool, faults: &Faults) -> Result<Request<'a>, Refusal> {
    let top = Object::open(body, Path::Root, faults, &MEMBERS)?;
    if top.raw("promptVariables").is_some() {
        return Err(Refusal::validation(
            "The promptVariables field is only supported when the modelId is the ARN of a prompt. Remove promptVariables and try again.",
        ));
    }
    let (schema, effort) = output_config(&top)?;
    metadata_config(&top)?;
    Ok(Request {
        messages: messages(&top)?,
        system: system(&top)?,
        inference: inference(&top)?,
        tools: tools::tool_config(&top)?,
        guardrail: guardrail(&top, streaming)?,
        additional: top.map("additionalModelRequestFields")?,
        response_paths: response_paths(&top)?,
        latency: small(&top, "performanceConfig", "latency", &LATENCY)?,
        service_tier: small(&top, "serviceTier", "type", &TIER)?,
        schema,
        effort,
    })
}

fn messages<'a>(top: &Object<'a, '_>) -> Result<Vec<Message<'a>>, Refusal> {
    let list = top.need_list("messages", (0, usize::MAX))?;
    let path = top.path.key("messages");
    let mut messages = Vec::with_capacity(list.len());
    for (index, value) in list.iter().enumerate() {
        let object = Object::open(value, path.item(index), top.faults, &["role", "content"])?;
        let role = match object.need_text("role", &ROLE)? {
            "assistant" => Role::Assistant,
            "system" => Role::System,
            _ => Role::User,
        };
        let blocks = object.need_list("content", (0, usize::MAX))?;
        let at = object.path.key("content");
        let mut content = Vec::with_capacity(blocks.len());
        for (place, raw) in blocks.iter().enumerate() {
            let block = content::block(raw, at.item(place), top.faults)?;
            content.push(Placed { raw, at: Place { message: index, block: place }, block });
        }
        messages.push(Message { role, content });
    }
    Ok(messages)
}

fn system<'a>(top: &Object<'a, '_>) -> Result<Vec<(&'a Value, SystemBlock<'a>)>, Refusal> {
    let path = top.path.key("system");
    let mut blocks = Vec::new();
    for (index, value) in top.list("system", (0, usize::MAX))?.unwrap_or_default().iter().enumerate() {
        let at = path.item(index);
        let (key, inner) = Object::union(value, at, top.faults, ("SystemContentBlock", &["text", "guardContent", "cachePoint"]))?;
        let block = match key {
            "guardContent" => SystemBlock::Guard(content::guard(inner, at.key(key), top.faults)?),
            "cachePoint" => SystemBlock::CachePoint(content::cache_point(inner, at.key(key), top.faults)?),
            _ => SystemBlock::Text(content::string(inner, at.key(key), top.faults, &length(1, usize::MAX))?),
        };
        blocks.push((value, block));
    }
    Ok(blocks)
}

fn inference<'a>(top: &Object<'a, '_>) -> Result<Inference<'a>, Refusal> {
    let Some(value) = top.raw("inferenceConfig") else { return Ok(Inference::default()) };
    let path = top.path.key("inferenceConfig");
    let object = Object::open(value, path, top.faults, &["maxTokens", "temperature", "topP", "stopSequences"])?;
    let at = object.path.key("stopSequences");
    let mut stop_sequences = Vec::new();
    for (index, value) in object.list("stopSequences", (0, 2500))?.unwrap_or_default().iter().enumerate() {
        stop_sequences.push(content::string(value, at.item(index), top.faults, &length(1, usize::MAX))?);
    }
    Ok(Inference {
        max_tokens: object.integer("maxTokens", 1)?.and_then(|count| u64::try_from(count).ok()),
        temperature: object.fraction("temperature")?,
        top_p: object.fraction("topP")?,
        stop_sequences,
    })
}

fn guardrail<'a>(top: &Object<'a, '_>, streaming: bool) -> Result<Option<Guardrail<'a>>, Refusal> {
    let Some(value) = top.raw("guardrailConfig") else { return Ok(None) };
    let known: &[&str] = if streaming {
        &["guardrailIdentifier", "guardrailVersion", "trace", "streamProcessingMode"]
    } else {
        &["guardrailIdentifier", "guardrailVersion", "trace"]
    };
    let object = Object::open(value, top.path.key("guardrailConfig"), top.faults, known)?;
    object.text("streamProcessingMode", &STREAM_MODE)?;
    let identifier = object.text("guardrailIdentifier", &GUARDRAIL_ID)?.unwrap_or_default();
    let version = object.text("guardrailVersion", &GUARDRAIL_VERSION)?.unwrap_or_default();
    let trace = matches!(object.text("trace", &TRACE)?, Some("enabled" | "enabled_full"));
    if identifier.is_empty() != version.is_empty() {
        return Err(Refusal::validation(
            "The guardrailIdentifier and guardrailVersion fields must both be provided in guardrailConfig. Add the missing field and try again.",
        ));
    }
    Ok((!identifier.is_empty()).then_some(Guardrail { identifier, version, trace }))
}

fn response_paths<'a>(top: &Object<'a, '_>) -> Result<Vec<&'a str>, Refusal> {
    let key = "additionalModelResponseFieldPaths";
    let path = top.path.key(key);
    let mut paths = Vec::new();
    for (index, value) in top.list(key, (0, 10))?.unwrap_or_default().iter().enumerate() {
        paths.push(content::string(value, path.item(index), top.faults, &length(1, 256))?);
    }
    Ok(paths)
}

/// An object with one optional word, such as `{"latency": "optimized"}`.
fn small<'a>(top: &Object<'a, '_>, key: &str, member: &str, rule: &TextRule) -> Result<Option<&'a str>, Refusal> {
    let Some(value) = top.raw(key) else { return Ok(None) };
    let object = Object::open(value, top.path.key(key), top.faults, &[member])?;
    if key == "serviceTier" { object.need_text(member, rule).map(Some) } else { object.text(member, rule) }
}

fn output_config<'a>(top: &Object<'a, '_>) -> Result<(Option<&'a str>, Option<&'a str>), Refusal> {
    let Some(value) = top.raw("outputConfig") else { return Ok((None, None)) };
    let path = top.path.key("outputConfig");
    let object = Object::open(value, path, top.faults, &["textFormat", "effort"])?;
    let effort = object.text("effort", &length(0, 16))?;
    let Some(format) = object.raw("textFormat") else { return Ok((None, effort)) };
    let at = object.path.key("textFormat");
    let format = Object::open(format, at, top.faults, &["type", "structure"])?;
    format.need_text("type", &FORMAT)?;
    let Some(structure) = format.raw("structure") else {
        format.missing("structure");
        return Ok((None, effort));
    };
    let at = format.path.key("structure");
    let (_, inner) = Object::union(structure, at, top.faults, ("OutputFormatStructure", &["jsonSchema"]))?;
    let schema = Object::open(inner, at.key("jsonSchema"), top.faults, &["schema", "name", "description"])?;
    schema.text("name", &ANY)?;
    schema.text("description", &ANY)?;
    Ok((Some(schema.need_text("schema", &ANY)?), effort))
}

fn metadata_config(top: &Object<'_, '_>) -> Result<(), Refusal> {
    let Some(map) = top.map("requestMetadata")? else { return Ok(()) };
    let path = top.path.key("requestMetadata");
    if map.is_empty() {
        top.faults.add(path, Some("{}"), "Member must have length greater than or equal to 1");
    }
    if map.len() > 16 {
        top.faults.add(path, None, "Member must have length less than or equal to 16");
    }
    for (key, value) in map {
        METADATA_KEY.check(key, path, top.faults);
        content::string(value, path.key(key), top.faults, &METADATA_VALUE)?;
    }
    Ok(())
}

fn metadata(text: &str) -> bool {
    // `,-.` inside the class is a range: comma, hyphen, full stop.
    text.chars().all(|c| c.is_ascii_alphanumeric() || c.is_ascii_whitespace() || ":_@$#=/+,-.".contains(c))
}

fn guardrail_id(text: &str) -> bool {
    let plain = |text: &str| text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    let parts: Vec<&str> = text.split(':').collect();
    match parts.as_slice() {
        [id] => plain(id),
        ["arn", partition, "bedrock", region, account, resource] => {
            partition.starts_with("aws")
                && !region.is_empty()
                && account.len() == 12
                && account.chars().all(|c| c.is_ascii_digit())
                && resource.strip_prefix("guardrail/").is_some_and(|id| !id.is_empty() && plain(id))
        }
        _ => false,
    }
}

fn guardrail_version(text: &str) -> bool {
    let number = text.len() <= 8 && !text.starts_with('0') && text.chars().all(|c| c.is_ascii_digit());
    text.is_empty() || text == "DRAFT" || number
}
