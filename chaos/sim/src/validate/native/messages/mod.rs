//! Anthropic Messages as Bedrock takes them: the body's members, then the rules of the conversation and of the model.

use serde_json::{Map, Value};

use super::super::kit::Path;
use super::super::shape::{Inference, Request, SystemBlock, ToolConfig};
use super::super::{Case, claude_fields, context, reasoning, sampling};
use super::{Asks, Body, Content, Manner, Purpose, Refusal, malformed};
use crate::models::{SimModel, Traits};

mod cache;
mod content;
mod fields;
mod media;
mod tools;
mod turns;

use cache::Markers;
use content::Reader;
use fields::{Fields, complaint, extra, unknown_tag};

const VERSION: &str = "bedrock-2023-05-31";
const CONTEXT_MANAGEMENT: &str = "context-management-2025-06-27";
const COMPACTION: &str = "compact-2026-01-12";
const TOOL_SEARCH: &str = "tool-search-tool-2025-10-19";
const FINE_GRAINED: &str = "fine-grained-tool-streaming-2025-05-14";

/// Members of the body without flags. `context_management` needs one.
const MEMBERS: [&str; 15] = [
    "anthropic_version",
    "anthropic_beta",
    "messages",
    "max_tokens",
    "system",
    "temperature",
    "top_p",
    "top_k",
    "stop_sequences",
    "tools",
    "tool_choice",
    "thinking",
    "metadata",
    "output_config",
    "context_management",
];

/// A body that has been read apart.
pub(super) struct Parts {
    messages: Value,
    system: Value,
    tools: Value,
    /// All other members.
    fields: Map<String, Value>,
    gate: Gate,
}

/// What decides which members are known.
struct Gate {
    betas: Vec<String>,
    strict_turns: bool,
    system_turns: bool,
    strict_tools: bool,
    /// The model's own computer-use flag was given.
    computer_use: bool,
}

impl Gate {
    fn has(&self, flag: &str) -> bool {
        self.betas.iter().any(|known| known == flag)
    }
}

/// Judges a body.
pub(super) fn read(model: &SimModel, traits: &Traits, mut body: Map<String, Value>, purpose: Purpose) -> Result<Body, Refusal> {
    version(&body)?;
    let gate = gate(traits, &body)?;
    members(&body, &gate)?;
    let mut take = |key: &str| body.remove(key).unwrap_or(Value::Null);
    let (messages, system, tools) = (take("messages"), take("system"), take("tools"));
    let parts = Parts { messages, system, tools, fields: body, gate };
    parts.judge(model, traits, purpose)?;
    let asks = Asks { context_edits: parts.fields.contains_key("context_management"), ..Asks::default() };
    Ok(Body { manner: Manner::Messages, content: Content::Messages(parts), asks })
}

fn version(body: &Map<String, Value>) -> Result<(), Refusal> {
    match body.get("anthropic_version") {
        None | Some(Value::Null) => Err(Refusal::validation("anthropic_version: Field required")),
        Some(Value::String(version)) if version == VERSION => Ok(()),
        Some(Value::String(version)) => Err(Refusal::validation(format!("Invalid API version: {version}"))),
        Some(other) => Err(malformed(&format!("#/anthropic_version: expected type: String, found: {}", super::kind_of(other)))),
    }
}

/// The flags, all of them known for this model.
fn gate(traits: &Traits, body: &Map<String, Value>) -> Result<Gate, Refusal> {
    let mut betas = Vec::new();
    match body.get("anthropic_beta") {
        None | Some(Value::Null) => {}
        Some(Value::Array(flags)) => {
            for flag in flags {
                let Some(flag) = flag.as_str() else { return Err(Refusal::validation("anthropic_beta: Input should be a valid string")) };
                let own = [&traits.computer_use, &traits.long_context_beta, &traits.effort_beta];
                if !traits.invoke_betas.iter().any(|known| known == flag) && !own.iter().any(|known| known.as_deref() == Some(flag)) {
                    return Err(Refusal::validation("invalid beta flag"));
                }
                betas.push(flag.to_owned());
            }
        }
        Some(_) => return Err(Refusal::validation("anthropic_beta: Input should be a valid list")),
    }
    Ok(Gate {
        computer_use: traits.computer_use.as_deref().is_some_and(|flag| betas.iter().any(|known| known == flag)),
        betas,
        strict_turns: traits.strict_turns,
        system_turns: traits.system_turns,
        strict_tools: traits.strict_tools || traits.structured,
    })
}

/// Refuses members nobody knows, and those whose flag is missing.
fn members(body: &Map<String, Value>, gate: &Gate) -> Result<(), Refusal> {
    let known = |key: &str| match key {
        "context_management" => gate.has(CONTEXT_MANAGEMENT) || gate.has(COMPACTION),
        _ => MEMBERS.contains(&key),
    };
    match body.keys().find(|key| !known(key)) {
        Some(key) => Err(extra(Path::Root.key(key))),
        None => Ok(()),
    }
}

impl Parts {
    /// The request in the terms of the mock model.
    pub(super) fn request(&self) -> Result<Request<'_>, Refusal> {
        let mut request = self.read(&Markers::default())?;
        turns::forget(&mut request.messages);
        Ok(request)
    }

    fn read<'a>(&'a self, markers: &Markers) -> Result<Request<'a>, Refusal> {
        let reader = Reader { gate: &self.gate, markers };
        // Markers are read in the order of the prefix.
        let tools = tools::read(&reader, &self.tools)?;
        let system = self.system(&reader)?;
        let messages = turns::read(&reader, &self.messages)?;
        Ok(Request {
            messages,
            system,
            inference: self.inference()?,
            tools: tools.map(|tools| ToolConfig { tools, choice: None }),
            guardrail: None,
            additional: Some(&self.fields),
            response_paths: Vec::new(),
            latency: None,
            service_tier: None,
            schema: None,
            effort: None,
        })
    }

    fn system<'a>(&'a self, reader: &Reader<'_>) -> Result<Vec<(&'a Value, SystemBlock<'a>)>, Refusal> {
        let path = Path::Root.key("system");
        match &self.system {
            Value::Null => Ok(Vec::new()),
            Value::String(text) if text.is_empty() => Ok(Vec::new()),
            Value::String(text) => {
                content::spoken(text, "system")?;
                Ok(vec![(&self.system, SystemBlock::Text(text))])
            }
            Value::Array(blocks) => {
                let mut system = Vec::with_capacity(blocks.len());
                for (index, raw) in blocks.iter().enumerate() {
                    let (text, point) = content::system(reader, raw, path.item(index))?;
                    system.push((raw, SystemBlock::Text(text)));
                    system.extend(point.map(|point| (raw, SystemBlock::CachePoint(point))));
                }
                Ok(system)
            }
            _ => Err(complaint(path, "Input should be a valid list")),
        }
    }

    fn inference(&self) -> Result<Inference<'_>, Refusal> {
        let whole = |key: &str| self.fields.get(key).filter(|value| !value.is_null());
        let number = |key: &str| {
            let Some(value) = whole(key) else { return Ok(None) };
            claude_fields::fraction(key, value).map_err(Refusal::plain)?;
            Ok::<_, Refusal>(value.as_f64())
        };
        let path = Path::Root.key("max_tokens");
        let max_tokens = match whole("max_tokens") {
            None => return Err(complaint(path, "Field required")),
            Some(value) => value.as_i64().ok_or_else(|| complaint(path, "Input should be a valid integer"))?,
        };
        let max_tokens = u64::try_from(max_tokens).ok().filter(|count| *count > 0);
        let Some(max_tokens) = max_tokens else { return Err(complaint(path, "Input should be greater than or equal to 1")) };
        let path = Path::Root.key("stop_sequences");
        let mut stop_sequences = Vec::new();
        match whole("stop_sequences") {
            None => {}
            Some(Value::Array(stops)) => {
                for (index, stop) in stops.iter().enumerate() {
                    stop_sequences.push(stop.as_str().ok_or_else(|| complaint(path.item(index), "Input should be a valid string"))?);
                }
            }
            Some(_) => return Err(complaint(path, "Input should be a valid list")),
        }
        Ok(Inference { max_tokens: Some(max_tokens), temperature: number("temperature")?, top_p: number("top_p")?, stop_sequences })
    }

    fn judge(&self, model: &SimModel, traits: &Traits, purpose: Purpose) -> Result<(), Refusal> {
        let markers = Markers::default();
        let request = self.read(&markers)?;
        let streaming = purpose == Purpose::Answer { streaming: true };
        let case = Case { model, traits, request: &request, streaming };
        if purpose != Purpose::Count {
            length(&case)?;
        }
        self.switches(&case).map_err(Refusal::plain)?;
        turns::judge(&case)?;
        tools::judge(&case)?;
        media::judge(&case)?;
        markers.judge(traits)?;
        if purpose == Purpose::Count {
            return Ok(());
        }
        sampling::stop_sequences(&case).and_then(|()| sampling::sampling(&case)).map_err(Refusal::plain)?;
        reasoning::check(&case).map_err(Refusal::plain)?;
        context::check(&case).map_err(Refusal::plain)
    }

    /// The members that switch something, each by itself.
    fn switches(&self, case: &Case<'_, '_>) -> Result<(), Refusal> {
        let betas: Vec<&str> = self.gate.betas.iter().map(String::as_str).collect();
        for (key, value) in self.fields.iter().filter(|(_, value)| !value.is_null()) {
            match key.as_str() {
                "thinking" => claude_fields::thinking(case, value)?,
                "output_config" => claude_fields::output_config(case.traits, value, &betas)?,
                "tool_choice" => claude_fields::tool_choice(case, value)?,
                "metadata" => claude_fields::metadata(value)?,
                "context_management" => self.context_management(value)?,
                "top_k" if value.as_i64().is_none_or(|count| count < 0) => {
                    return Err(Refusal::validation("top_k: Input should be a valid integer greater than or equal to 0"));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn context_management(&self, value: &Value) -> Result<(), Refusal> {
        let root = Path::Root.key("context_management");
        let edits = Fields::open(value, root)?.only(&["edits"])?.list("edits")?.unwrap_or_default();
        let path = root.key("edits");
        let known: Vec<&str> = [
            ("clear_tool_uses_20250919", CONTEXT_MANAGEMENT),
            ("clear_thinking_20251015", CONTEXT_MANAGEMENT),
            ("compact_20260112", COMPACTION),
        ]
        .into_iter()
        .filter(|(_, flag)| self.gate.has(flag))
        .map(|(edit, _)| edit)
        .collect();
        for (index, edit) in edits.iter().enumerate() {
            let at = path.item(index);
            let kind = Fields::open(edit, at)?.need_text("type")?;
            if !known.contains(&kind) {
                return Err(unknown_tag(at, kind, &known));
            }
        }
        Ok(())
    }
}

/// `max_tokens` against the model.
fn length(case: &Case<'_, '_>) -> Result<(), Refusal> {
    let most = case.traits.max_output;
    match case.request.inference.max_tokens {
        Some(asked) if asked > most => Err(Refusal::validation(format!(
            "max_tokens: {asked} > {most}, which is the maximum allowed number of output tokens for {}",
            native_name(&case.model.id)
        ))),
        _ => Ok(()),
    }
}

/// Anthropic's own name of a model, as complaints and answers have it.
pub(crate) fn native_name(id: &str) -> &str {
    let name = id.split_once('.').map_or(id, |(_, name)| name);
    match name.rsplit_once("-v") {
        Some((name, version)) if version.chars().all(|c| c.is_ascii_digit() || c == ':') => name,
        _ => name,
    }
}
