//! Guardrails: a trigger word stands for everything a real policy would block.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::finish::Done;
use super::{Block, Turn, TurnUsage, tokens};
use crate::validate::shape::{Block as Given, GuardText, Guardrail, Request, Role, SystemBlock};

/// Text that every guardrail of the simulator blocks.
const TRIGGER: &str = "BLOCKME";

/// What is answered instead.
const BLOCKED_INPUT: &str = "Sorry, the model cannot answer this question.";
const BLOCKED_OUTPUT: &str = "Sorry, the model's answer was blocked by the guardrail.";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Trace<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    model_output: Vec<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    input_assessment: BTreeMap<&'a str, Assessment>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    output_assessments: BTreeMap<&'a str, Vec<Assessment>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    action_reason: Option<&'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Assessment {
    #[serde(skip_serializing_if = "Option::is_none")]
    word_policy: Option<WordPolicy>,
    invocation_metrics: Metrics,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WordPolicy {
    custom_words: [CustomWord; 1],
    managed_word_lists: [(); 0],
}

#[derive(Serialize)]
struct CustomWord {
    #[serde(rename = "match")]
    matched: &'static str,
    action: &'static str,
    detected: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Metrics {
    guardrail_processing_latency: u64,
    usage: Units,
    guardrail_coverage: Coverage,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Units {
    topic_policy_units: u64,
    content_policy_units: u64,
    word_policy_units: u64,
    sensitive_information_policy_units: u64,
    sensitive_information_policy_free_units: u64,
    contextual_grounding_policy_units: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Coverage {
    text_characters: Characters,
}

#[derive(Serialize)]
struct Characters {
    guarded: usize,
    total: usize,
}

/// The turn that answers a blocked question; `None` when the guardrail lets it pass or there is none.
pub(super) fn blocked_input(request: &Request<'_>) -> Option<Turn> {
    let guardrail = request.guardrail.as_ref()?;
    let assessed = assessed(request);
    if !assessed.contains(TRIGGER) {
        return None;
    }
    let trace = Trace {
        model_output: Vec::new(),
        input_assessment: BTreeMap::from([(guardrail.identifier, assessment(&assessed))]),
        output_assessments: BTreeMap::new(),
        action_reason: Some("Guardrail blocked."),
    };
    Some(Turn {
        blocks: vec![Block::Text(BLOCKED_INPUT.to_owned())],
        stop_reason: "guardrail_intervened",
        stop_sequence: None,
        usage: TurnUsage::default(),
        guardrail_trace: shown(guardrail, &trace),
        service_tier: request.service_tier.map(str::to_owned),
        additional_response_fields: None,
    })
}

/// Assesses the answer, replaces it if it is blocked, and gives the trace.
pub(super) fn output(request: &Request<'_>, done: &mut Done) -> Option<Value> {
    let guardrail = request.guardrail.as_ref()?;
    let spoken: Vec<String> = done
        .blocks
        .iter()
        .filter_map(|block| match block {
            Block::Text(text) | Block::Cited { text, .. } => Some(text.clone()),
            _ => None,
        })
        .collect();
    let text = spoken.join("\n");
    let blocked = text.contains(TRIGGER);
    if blocked {
        done.blocks = vec![Block::Text(BLOCKED_OUTPUT.to_owned())];
        done.stop_reason = "guardrail_intervened";
        done.stop_sequence = None;
        done.output = done.output.max(tokens::text(&text));
    }
    let trace = Trace {
        model_output: if blocked { spoken } else { Vec::new() },
        input_assessment: BTreeMap::from([(guardrail.identifier, assessment(&assessed(request)))]),
        output_assessments: BTreeMap::from([(guardrail.identifier, vec![assessment(&text)])]),
        action_reason: Some(if blocked { "Guardrail blocked." } else { "No action." }),
    };
    shown(guardrail, &trace)
}

fn shown(guardrail: &Guardrail<'_>, trace: &Trace<'_>) -> Option<Value> {
    // Plain data: it always serialises.
    if guardrail.trace && !guardrail.version.is_empty() { serde_json::to_value(trace).ok() } else { None }
}

/// The guarded blocks if there are any, otherwise every text of the user and the system prompt.
fn assessed(request: &Request<'_>) -> String {
    let mut guarded = Vec::new();
    let mut all = Vec::new();
    for (_, block) in &request.system {
        match block {
            SystemBlock::Guard(GuardText::Text(text)) => guarded.push(*text),
            SystemBlock::Text(text) => all.push(*text),
            _ => {}
        }
    }
    for message in request.messages.iter().filter(|message| message.role == Role::User) {
        for placed in &message.content {
            match &placed.block {
                Given::Guard(GuardText::Text(text)) => guarded.push(*text),
                Given::Text(text) => all.push(*text),
                _ => {}
            }
        }
    }
    if guarded.is_empty() { all.join("\n") } else { guarded.join("\n") }
}

fn assessment(text: &str) -> Assessment {
    let detected = text.contains(TRIGGER);
    let characters = text.chars().count();
    // A text unit is up to a thousand characters.
    let units = u64::try_from(characters.div_ceil(1000)).unwrap_or(u64::MAX);
    Assessment {
        word_policy: detected.then_some(WordPolicy {
            custom_words: [CustomWord { matched: TRIGGER, action: "BLOCKED", detected: true }],
            managed_word_lists: [],
        }),
        invocation_metrics: Metrics {
            guardrail_processing_latency: 120,
            usage: Units {
                topic_policy_units: 0,
                content_policy_units: 0,
                word_policy_units: units,
                sensitive_information_policy_units: 0,
                sensitive_information_policy_free_units: 0,
                contextual_grounding_policy_units: 0,
            },
            guardrail_coverage: Coverage { text_characters: Characters { guarded: characters, total: characters } },
        },
    }
}
