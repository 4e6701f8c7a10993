//! Which tools are called, how often, with which arguments.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::fill;
use super::hints::Hints;
use super::orders;
use super::scene::Scene;
use super::words::{meaningful, name_words, stem, words};
use crate::validate::shape::{Request, Tool, ToolChoice};

/// Score from which a tool fits what was said.
const FITS: usize = 3;
/// Most calls in one turn.
const MOST_CALLS: usize = 8;

/// Verbs in tool names that say nothing about the topic.
const VERBS: &[&str] =
    &["get", "set", "fetch", "run", "do", "tool", "call", "function", "mcp", "the", "my", "lookup", "find", "make", "create", "use"];

/// Argument schemas of Anthropic-defined tools, by prefix of their type.
const DEFINED: [(&str, &str); 4] = [
    ("bash_", r#"{"type":"object","properties":{"command":{"type":"string"}},"required":["command"]}"#),
    ("computer_", r#"{"type":"object","properties":{"action":{"enum":["screenshot"]}},"required":["action"]}"#),
    (
        "text_editor_",
        r#"{"type":"object","properties":{"command":{"enum":["view"]},"path":{"type":"string"}},"required":["command","path"]}"#,
    ),
    (
        "memory_",
        r#"{"type":"object","properties":{"command":{"enum":["view"]},"path":{"const":"/memories"}},"required":["command","path"]}"#,
    ),
];

/// Calls to make now.
#[derive(Default)]
pub(super) struct Calls {
    /// Name and arguments, in order.
    pub(super) list: Vec<(String, Value)>,
    /// The caller forced them: no text comes before.
    pub(super) forced: bool,
}

impl Calls {
    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.list.len()
    }
}

/// A tool the model may call.
struct Candidate<'a> {
    name: &'a str,
    description: &'a str,
    schema: Cow<'a, Value>,
}

/// Decides. Calls already made since the user last spoke are not repeated, unless a call is forced.
pub(super) fn calls(request: &Request<'_>, scene: &Scene<'_>) -> Calls {
    let tools = candidates(request);
    if tools.is_empty() {
        return Calls::default();
    }
    let policy = Policy::of(request);
    if policy.choice != Choice::None
        && let Some(calls) = ordered(&tools, scene)
    {
        return calls;
    }
    let hints = Hints::of(&scene.said);
    let planned = match policy.choice {
        Choice::None => return Calls::default(),
        Choice::Tool(name) => tools.iter().find(|tool| tool.name == name).map(|tool| plan(&[tool], scene, &hints)).unwrap_or_default(),
        Choice::Any | Choice::Auto => plan(&fitting(&tools, scene), scene, &hints),
    };
    let forced = policy.choice != Choice::Auto;
    let made = if planned.len() > scene.called {
        scene.called
    } else if forced {
        0
    } else {
        planned.len()
    };
    let mut list: Vec<(String, Value)> = planned.into_iter().skip(made).collect();
    if list.is_empty() && forced {
        // Nothing fits, yet one must be called.
        list.extend(tools.first().map(|tool| call(tool, &hints)));
    }
    if list.is_empty()
        && !forced
        && let Some(tool) = told_to_call(&scene.system, &tools)
    {
        // The operator says how to answer, and nothing else is left to do first.
        list.push(call(tool, &hints));
    }
    if policy.one_at_a_time {
        list.truncate(1);
    }
    Calls { list, forced }
}

/// The next call of those that the user ordered word for word, or none when all are made; nothing when none was ordered.
fn ordered(tools: &[Candidate<'_>], scene: &Scene<'_>) -> Option<Calls> {
    let mut orders = orders::of(&scene.said);
    orders.retain(|(name, _)| tools.iter().any(|tool| tool.name == *name));
    if orders.is_empty() {
        return None;
    }
    let next = orders.into_iter().nth(scene.called).map(|(name, input)| (name.to_owned(), input));
    Some(Calls { list: next.into_iter().collect(), forced: false })
}

/// The tool that the system prompt says to answer through: "calling the tool `name`".
fn told_to_call<'t, 'a>(system: &str, tools: &'t [Candidate<'a>]) -> Option<&'t Candidate<'a>> {
    let (_, rest) = system.split_once("calling the tool `")?;
    let (name, _) = rest.split_once('`')?;
    tools.iter().find(|tool| tool.name == name)
}

#[derive(PartialEq, Eq, Clone, Copy)]
enum Choice<'a> {
    None,
    Auto,
    Any,
    Tool(&'a str),
}

struct Policy<'a> {
    choice: Choice<'a>,
    one_at_a_time: bool,
}

impl<'a> Policy<'a> {
    fn of(request: &Request<'a>) -> Self {
        let native: Option<&'a Map<String, Value>> = request.additional.and_then(|fields| fields.get("tool_choice")?.as_object());
        let word = |key: &str| native.and_then(|choice| choice.get(key)).and_then(Value::as_str);
        let choice = match (request.tools.as_ref().and_then(|config| config.choice), word("type")) {
            (Some(ToolChoice::Any), _) | (None, Some("any")) => Choice::Any,
            (Some(ToolChoice::Tool(name)), _) => Choice::Tool(name),
            (None, Some("tool")) => Choice::Tool(word("name").unwrap_or_default()),
            (None, Some("none")) => Choice::None,
            _ => Choice::Auto,
        };
        let flag = |fields: Option<&Map<String, Value>>, key: &str, wanted: bool| {
            fields.and_then(|fields| fields.get(key)) == Some(&Value::Bool(wanted))
        };
        let one_at_a_time = flag(native, "disable_parallel_tool_use", true) || flag(request.additional, "parallel_tool_calls", false);
        Self { choice, one_at_a_time }
    }
}

fn candidates<'a>(request: &Request<'a>) -> Vec<Candidate<'a>> {
    let declared = request.tools.iter().flat_map(|config| &config.tools).filter_map(|(_, tool)| match tool {
        Tool::Spec { name, description, schema, .. } => {
            Some(Candidate { name, description: description.unwrap_or_default(), schema: Cow::Borrowed(*schema) })
        }
        Tool::Defined { kind, name } => Some(Candidate { name, description: "", schema: Cow::Owned(defined(kind)?) }),
        _ => None,
    });
    let native = request.additional.and_then(|fields| fields.get("tools")?.as_array()).into_iter().flatten().filter_map(|tool| {
        let text = |key: &str| tool.get(key).and_then(Value::as_str);
        let kind = text("type").unwrap_or("custom");
        let schema = match defined(kind) {
            Some(schema) => Cow::Owned(schema),
            None => Cow::Borrowed(tool.get("input_schema")?),
        };
        Some(Candidate { name: text("name")?, description: text("description").unwrap_or_default(), schema })
    });
    declared.chain(native).collect()
}

/// The argument schema of an Anthropic-defined tool.
fn defined(kind: &str) -> Option<Value> {
    let (_, schema) = DEFINED.iter().find(|(prefix, _)| kind.starts_with(prefix))?;
    serde_json::from_str(schema).ok()
}

/// Tools that fit, best first: the best one, and others whose whole name is spoken of.
fn fitting<'t, 'a>(tools: &'t [Candidate<'a>], scene: &Scene<'_>) -> Vec<&'t Candidate<'a>> {
    let said = words(&scene.said);
    let asked_plainly = said.iter().any(|word| stem(word) == "tool" || stem(word) == "function");
    let mut scored: Vec<(usize, bool, &Candidate<'a>)> = tools
        .iter()
        .map(|tool| {
            let (score, whole) = score(tool, &scene.said, &said);
            (score + if asked_plainly && tools.len() == 1 { FITS } else { 0 }, whole, tool)
        })
        .filter(|(score, _, _)| *score >= FITS)
        .collect();
    // Stable: equal scores keep the caller's order.
    scored.sort_by_key(|(score, _, _)| std::cmp::Reverse(*score));
    scored.iter().enumerate().filter(|(index, (_, whole, _))| *index == 0 || *whole).map(|(_, (_, _, tool))| *tool).collect()
}

/// How well a tool fits, and whether every topic word of its name was said.
fn score(tool: &Candidate<'_>, text: &str, said: &[String]) -> (usize, bool) {
    let spoken = |word: &str| said.iter().any(|other| stem(other) == stem(word));
    let mut topics = name_words(tool.name);
    topics.retain(|word| !VERBS.contains(&word.as_str()));
    if topics.is_empty() {
        topics = name_words(tool.name);
    }
    let hits = topics.iter().filter(|word| spoken(word)).count();
    let described = words(tool.description).iter().filter(|word| meaningful(word) && spoken(word)).count();
    let literal = if text.contains(tool.name) { 10 } else { 0 };
    let whole = literal > 0 || (hits > 0 && hits == topics.len());
    (literal + hits * FITS + described.min(FITS), whole)
}

/// All calls that answer what was said, in order.
fn plan(tools: &[&Candidate<'_>], scene: &Scene<'_>, hints: &Hints) -> Vec<(String, Value)> {
    let mut planned = Vec::new();
    for tool in tools {
        let rounds = rounds(tool, scene, hints);
        for turn in 0..rounds {
            planned.push(call(tool, &hints.at_turn(turn)));
        }
    }
    planned.truncate(MOST_CALLS);
    planned
}

/// One call per named thing, or as many as were asked for in words.
fn rounds(tool: &Candidate<'_>, scene: &Scene<'_>, hints: &Hints) -> usize {
    let said = words(&scene.said);
    let has = |wanted: &str| said.iter().any(|word| word == wanted);
    let counted = said.windows(2).find_map(|pair| match pair {
        [count, unit] if unit == "times" => number_word(count),
        _ => None,
    });
    if let Some(count) = counted {
        return count.clamp(1, MOST_CALLS);
    }
    if hints.entities.len() > 1 && takes_one_text(&tool.schema) {
        return hints.entities.len().min(MOST_CALLS);
    }
    if has("parallel") && (has("calls") || has("twice") || has("several")) { 2 } else { 1 }
}

fn number_word(word: &str) -> Option<usize> {
    const WORDS: [&str; 9] = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight"];
    word.parse().ok().or_else(|| WORDS.iter().position(|known| *known == word))
}

/// Whether the tool works on a single free text: the first required string, with no list to hold several.
fn takes_one_text(schema: &Value) -> bool {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return false };
    let required: Vec<&str> = schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let kind = |name: &&str| properties.get(*name).and_then(|member| member.get("type")).and_then(Value::as_str);
    let free = |name: &&&str| {
        let parts = name_words(name);
        let long = ["query", "text", "prompt", "message", "content", "question", "body", "description", "expression", "email"];
        kind(name) == Some("string")
            && properties.get(**name).is_some_and(|member| member.get("enum").is_none())
            && !parts.iter().any(|part| long.contains(&part.as_str()))
    };
    required.iter().filter(free).count() == 1 && !required.iter().any(|name| kind(name) == Some("array"))
}

fn call(tool: &Candidate<'_>, hints: &Hints) -> (String, Value) {
    let input = fill::value(&tool.schema, hints);
    (tool.name.to_owned(), if input.is_object() { input } else { Value::Object(Map::new()) })
}
