//! Names of the operator's own for models, and what such a name adds to a request.

use std::collections::BTreeMap;

use outcrop_domain::{
    chat::{Guardrail, ServiceTier},
    json::JsonObject,
    routing::strategy::Strategy,
};
use serde::Serialize;

use crate::settings::{
    guardrail::GUARDRAIL,
    read::{At, Json, Kind, List, Map, NAME, Parsed, Reader, Record, Section, Words, shown},
    routing::STRATEGY,
};

/// Bedrock takes no more labels. Source: `requestMetadata` of the Converse API.
const MAX_METADATA: usize = 16;

const TIER: Words<ServiceTier> = Words(&[
    ("priority", ServiceTier::Priority),
    ("default", ServiceTier::Default),
    ("flex", ServiceTier::Flex),
    ("reserved", ServiceTier::Reserved),
]);

/// Source: `requestMetadata` of the Converse API.
const LABEL: Parsed<String> = Parsed {
    expected: "a label of at most 256 letters, digits, spaces and `:_@$#=/+,-.`",
    parse: |text| is_label(text).then(|| text.to_owned()),
    show: Clone::clone,
};

/// A name of the operator's own. What it adds yields to what the request itself says.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Alias {
    /// Any name that resolves: a model, a profile, an ARN, another alias.
    pub model: String,
    /// Service tier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_tier: Option<ServiceTier>,
    /// Guardrail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guardrail: Option<Guardrail>,
    /// Labels for invocation logs, at most 16.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// Further model parameters.
    #[serde(skip_serializing_if = "JsonObject::is_empty")]
    pub extra_params: JsonObject,
    /// How targets are chosen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strategy: Option<Strategy>,
    /// Models that are asked in this order when no region can serve this one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fallback: Vec<String>,
}

/// An alias: the name of a model, or a table.
pub(super) const ALIAS: AliasKind = AliasKind(Record::open(read, shown));

/// Reads `"model"` like `{ model = "model" }`.
#[derive(Debug)]
pub(super) struct AliasKind(Record<Alias>);

impl Kind for AliasKind {
    type Value = Alias;

    fn read(&self, at: &At<'_>) -> Option<Alias> {
        match at.text() {
            Some(text) if !text.trim_start().starts_with('{') => NAME.read(at).map(|model| Alias { model, ..Alias::default() }),
            _ => self.0.read(at),
        }
    }

    fn show(&self, value: &Alias) -> toml::Value {
        let plain = Alias { model: value.model.clone(), ..Alias::default() };
        if plain == *value { toml::Value::String(plain.model) } else { self.0.show(value) }
    }

    fn announce(&self, path: &str, reader: &Reader) {
        self.0.announce(path, reader);
    }
}

fn read(section: &mut Section<'_>) -> Option<Alias> {
    let model = section.require("model", NAME);
    let service_tier = section.find("service_tier", TIER);
    let guardrail = section.find("guardrail", GUARDRAIL);
    let metadata = section.get("metadata", Map { check_name: check_label, item: LABEL }, BTreeMap::new());
    if metadata.len() > MAX_METADATA {
        section.problem("metadata", format!("expected at most {MAX_METADATA} labels, found {}", metadata.len()));
    }
    let extra_params = section.get("extra_params", Json, JsonObject::new());
    let strategy = section.find("strategy", STRATEGY);
    let fallback = section.get("fallback", List::unique(NAME), Vec::new());
    Some(Alias { model: model?, service_tier, guardrail, metadata, extra_params, strategy, fallback })
}

/// What is wrong with the name of an alias.
pub(super) fn check_name(name: &str) -> Result<(), &'static str> {
    if name.is_empty() || !name.chars().all(|letter| letter.is_ascii_graphic()) {
        return Err("is not a name without spaces");
    }
    if name.contains('*') {
        return Err("must not contain `*`: an alias stands for one name");
    }
    Ok(())
}

/// Reports aliases that lead back to themselves.
pub(super) fn report_loops(section: &Section<'_>, aliases: &BTreeMap<String, Alias>) {
    for name in aliases.keys() {
        let mut chain = vec![name.as_str()];
        let mut current = name;
        while let Some(alias) = aliases.get(current) {
            current = &alias.model;
            if chain.contains(&current.as_str()) {
                break;
            }
            chain.push(current);
        }
        // Told once per loop, at the first of its names.
        if current == name && chain.iter().min() == Some(&name.as_str()) {
            section.problem("aliases", format!("`{name}` leads back to itself: {} -> {name}", chain.join(" -> ")));
        }
    }
}

fn check_label(name: &str) -> Result<(), &'static str> {
    if !name.is_empty() && is_label(name) { Ok(()) } else { Err("is not a label of 1 to 256 letters, digits, spaces and `:_@$#=/+,-.`") }
}

fn is_label(text: &str) -> bool {
    text.len() <= 256 && text.chars().all(|letter| letter.is_ascii_alphanumeric() || " :_@$#=/+,-.".contains(letter))
}
