//! The models the simulated Bedrock offers: where each can be called, under which names, and what it accepts.
//!
//! The data is `models.toml`, derived from the reference tables independently of the gateway's own catalogue, so that a mistake
//! in one is visible against the other. The rules that read it are in [`crate::validate`]; nothing matches on model names.

use std::{collections::BTreeMap, sync::LazyLock};

use serde::Deserialize;

use crate::validate::Refusal;

mod traits;

pub use traits::{CacheMode, Dialect, Invoke, Overflow, Replay, Sampling, ThinkingMode, ToolSupport, Traits};

#[cfg(test)]
mod tests;

/// Account that owns the application inference profiles of the simulated AWS.
pub const ACCOUNT: &str = "123456789012";

const DATA: &str = include_str!("../models.toml");

/// Read once: the file is long, and a test makes a simulator for itself.
static BUILTIN: LazyLock<ModelBook> = LazyLock::new(|| {
    ModelBook::parse(DATA)
        .unwrap_or_else(|fault| unreachable!("models.toml is compiled in and checked by the tests of this module: {fault}"))
});

/// One model as `ListFoundationModels` shows it, with what Converse accepts of it.
#[derive(Debug, Clone)]
pub struct SimModel {
    /// Bare model id, such as `amazon.nova-lite-v1:0`.
    pub id: String,
    /// Human name.
    pub name: String,
    /// Provider name.
    pub provider: String,
    /// Input modalities in AWS's words: `TEXT`, `IMAGE`, `VIDEO`, `AUDIO`, `SPEECH`.
    pub input: Vec<String>,
    /// Output modalities in AWS's words, `EMBEDDING` included.
    pub output: Vec<String>,
    /// Whether response streaming is supported.
    pub streaming: bool,
    /// `ACTIVE`, `LEGACY` or `EOL`. EOL models are known by id but never listed.
    pub lifecycle: String,
    /// Regions where the bare id is callable; `*` = every commercial region.
    pub on_demand_regions: Vec<String>,
    /// Inference-profile prefixes that exist: `us`, `eu`, `apac`, `jp`, `au`, `global`, ...
    pub profiles: Vec<String>,
    /// What Converse accepts; `None` for embedding, image, rerank and speech models.
    pub traits: Option<Traits>,
}

impl SimModel {
    /// The model's Converse traits.
    ///
    /// # Errors
    /// The refusal AWS gives when the model has no chat surface.
    pub fn chat(&self) -> Result<&Traits, Refusal> {
        self.traits.as_ref().ok_or_else(|| {
            Refusal::validation("This action doesn't support the model that you provided. Try again with a supported text or chat model.")
        })
    }

    /// Whether the model takes this input modality (AWS's word).
    #[must_use]
    pub fn takes(&self, modality: &str) -> bool {
        self.input.iter().any(|known| known == modality)
    }

    fn on_demand_in(&self, region: &str) -> bool {
        self.on_demand_regions.iter().any(|known| known == region || (known == "*" && !region.starts_with("us-gov-")))
    }
}

/// An inference profile as seen from one region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimProfile {
    /// Profile id: prefix and model id, or the application profile's own id.
    pub id: String,
    /// Full ARN in the region that was asked.
    pub arn: String,
    /// Human name.
    pub name: String,
    /// Bare id of the model behind it.
    pub model_id: String,
    /// Regions the profile may route to.
    pub regions: Vec<String>,
    /// `SYSTEM_DEFINED` or `APPLICATION`.
    pub kind: &'static str,
}

/// Every model, profile and geography of the simulated AWS.
#[derive(Debug, Clone)]
pub struct ModelBook {
    models: Vec<SimModel>,
    geography: BTreeMap<String, Vec<String>>,
    applications: Vec<Application>,
}

impl ModelBook {
    /// The book that is part of this binary.
    #[must_use]
    pub fn builtin() -> Self {
        BUILTIN.clone()
    }

    /// All models, retired ones included, in the order of the file.
    #[must_use]
    pub fn all(&self) -> &[SimModel] {
        &self.models
    }

    /// Resolves a path label as seen in `region`: bare id, profile id, or foundation-model / inference-profile /
    /// application-inference-profile ARN. The label is already percent-decoded.
    ///
    /// # Errors
    /// What AWS answers: `ValidationException` for an unknown id or a model without on-demand throughput here,
    /// `ResourceNotFoundException` for a retired model or an ARN that names nothing.
    pub fn resolve(&self, region: &str, label: &str) -> Result<&SimModel, Refusal> {
        let found = if label.starts_with("arn:") { self.resolve_arn(region, label)? } else { self.resolve_id(region, label)? };
        if found.lifecycle == "EOL" {
            return Err(Refusal::not_found(
                "This model version has reached the end of its life. Please refer to the AWS documentation for more details.",
            ));
        }
        Ok(found)
    }

    /// Resolves the label of a CountTokens call: foundation models by id or ARN, whether they have on-demand throughput or not. Source:
    /// several projects' probes, which found inference profiles refused and the models behind them counted.
    ///
    /// # Errors
    /// As [`ModelBook::resolve`]; profiles of every kind are models that do not count.
    pub fn resolve_counted(&self, region: &str, label: &str) -> Result<&SimModel, Refusal> {
        let id = if label.starts_with("arn:") { foundation_model(region, label) } else { Some(label) };
        match id.and_then(|id| self.model(id)).filter(|model| model.lifecycle != "EOL" && self.reaches(model, region)) {
            Some(model) => Ok(model),
            None => self.resolve(region, label).and_then(|_| Err(uncounted())),
        }
    }

    /// The models listed in `region`: callable there by bare id or through a profile, and not retired.
    #[must_use]
    pub fn offered_in(&self, region: &str) -> Vec<&SimModel> {
        self.models.iter().filter(|model| model.lifecycle != "EOL" && self.reaches(model, region)).collect()
    }

    /// The inference profiles callable from `region`: system-defined ones first, then the account's application profiles.
    #[must_use]
    pub fn profiles_in(&self, region: &str) -> Vec<SimProfile> {
        let system = self.models.iter().filter(|model| model.lifecycle != "EOL").flat_map(|model| {
            model.profiles.iter().filter(|prefix| self.covers(prefix, region)).map(move |prefix| SimProfile {
                id: format!("{prefix}.{}", model.id),
                arn: format!("arn:{}:bedrock:{region}:{ACCOUNT}:inference-profile/{prefix}.{}", partition(region), model.id),
                name: format!("{} {}", prefix.to_uppercase(), model.name),
                model_id: model.id.clone(),
                regions: self.destinations(prefix),
                kind: "SYSTEM_DEFINED",
            })
        });
        let application = self.applications.iter().map(|application| SimProfile {
            id: application.id.clone(),
            arn: format!("arn:{}:bedrock:{region}:{ACCOUNT}:application-inference-profile/{}", partition(region), application.id),
            name: application.name.clone(),
            model_id: application.model.clone(),
            regions: vec![region.to_owned()],
            kind: "APPLICATION",
        });
        system.chain(application).collect()
    }

    /// Tokens of a quota that one output token of a model costs; 1 for models without a chat surface and unknown ones.
    #[must_use]
    pub fn burndown(&self, id: &str) -> u64 {
        self.model(id).and_then(|model| model.traits.as_ref()).map_or(1, |traits| traits.burndown)
    }

    fn model(&self, id: &str) -> Option<&SimModel> {
        self.models.iter().find(|model| model.id == id)
    }

    fn resolve_id(&self, region: &str, id: &str) -> Result<&SimModel, Refusal> {
        if let Some(model) = self.model(id) {
            if model.on_demand_in(region) || model.lifecycle == "EOL" {
                return Ok(model);
            }
            return Err(if self.reaches(model, region) { no_on_demand(id) } else { invalid_identifier() });
        }
        self.profile(region, id).ok_or_else(invalid_identifier)
    }

    /// The model behind a system-defined profile id, if the profile exists and is callable from `region`.
    fn profile(&self, region: &str, id: &str) -> Option<&SimModel> {
        let (prefix, bare) = id.split_once('.')?;
        let model = self.model(bare)?;
        (model.profiles.iter().any(|known| known == prefix) && (model.lifecycle == "EOL" || self.covers(prefix, region))).then_some(model)
    }

    fn resolve_arn(&self, region: &str, arn: &str) -> Result<&SimModel, Refusal> {
        let parts: Vec<&str> = arn.splitn(6, ':').collect();
        let [_, _, "bedrock", at, _account, resource] = parts.as_slice() else { return Err(invalid_identifier()) };
        if *at != region {
            return Err(Refusal::validation(format!("The provided ARN is invalid for the service region: {region}.")));
        }
        let missing = || Refusal::not_found(format!("The resource was not found: {arn}."));
        match resource.split_once('/') {
            Some(("foundation-model", id)) => {
                let model = self.model(id).ok_or_else(invalid_identifier)?;
                if model.on_demand_in(region) || model.lifecycle == "EOL" { Ok(model) } else { Err(no_on_demand(arn)) }
            }
            Some(("inference-profile", id)) => self.profile(region, id).ok_or_else(missing),
            Some(("application-inference-profile", id)) => {
                let application = self.applications.iter().find(|application| application.id == id).ok_or_else(missing)?;
                self.model(&application.model).ok_or_else(missing)
            }
            Some((
                "provisioned-model"
                | "custom-model"
                | "custom-model-deployment"
                | "imported-model"
                | "prompt"
                | "prompt-router"
                | "default-prompt-router",
                _,
            )) => Err(missing()),
            _ => Err(invalid_identifier()),
        }
    }

    /// Whether the model is callable in a region, by whatever name.
    fn reaches(&self, model: &SimModel, region: &str) -> bool {
        model.on_demand_in(region) || model.profiles.iter().any(|prefix| self.covers(prefix, region))
    }

    fn covers(&self, prefix: &str, region: &str) -> bool {
        match prefix {
            "global" => !region.starts_with("us-gov-"),
            _ => self.geography.get(prefix).is_some_and(|regions| regions.iter().any(|known| known == region)),
        }
    }

    fn destinations(&self, prefix: &str) -> Vec<String> {
        if prefix != "global" {
            return self.geography.get(prefix).cloned().unwrap_or_default();
        }
        let mut regions: Vec<String> = self.geography.values().flatten().filter(|region| !region.starts_with("us-gov-")).cloned().collect();
        regions.sort();
        regions.dedup();
        regions
    }

    fn parse(text: &str) -> Result<Self, String> {
        let file: File = toml::from_str(text).map_err(|fault| fault.to_string())?;
        let mut models = Vec::with_capacity(file.model.len());
        for row in file.model {
            models.push(row.build(&file.family)?);
        }
        let book = Self { models, geography: file.geography, applications: file.application };
        book.check()?;
        Ok(book)
    }

    /// References inside the file hold: prefixes are geographies, applications name models, ids are unique.
    fn check(&self) -> Result<(), String> {
        for (index, model) in self.models.iter().enumerate() {
            if self.models.iter().skip(index + 1).any(|other| other.id == model.id) {
                return Err(format!("model `{}` is listed twice", model.id));
            }
            if let Some(prefix) = model.profiles.iter().find(|prefix| *prefix != "global" && !self.geography.contains_key(*prefix)) {
                return Err(format!("model `{}` has a profile prefix without geography: `{prefix}`", model.id));
            }
        }
        match self.applications.iter().find(|application| self.model(&application.model).is_none()) {
            Some(application) => Err(format!("application profile `{}` names an unknown model", application.id)),
            None => Ok(()),
        }
    }
}

/// The model id of a foundation-model ARN of this region.
fn foundation_model<'a>(region: &str, arn: &'a str) -> Option<&'a str> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    match parts.as_slice() {
        [_, _, "bedrock", at, _, resource] if *at == region => resource.strip_prefix("foundation-model/"),
        _ => None,
    }
}

fn partition(region: &str) -> &'static str {
    if region.starts_with("us-gov-") { "aws-us-gov" } else { "aws" }
}

fn invalid_identifier() -> Refusal {
    Refusal::validation("The provided model identifier is invalid.")
}

fn no_on_demand(label: &str) -> Refusal {
    Refusal::validation(format!(
        "Invocation of model ID {label} with on-demand throughput isn't supported. Retry your request with the ID or ARN of an inference profile that contains this model."
    ))
}

/// The refusal of a label whose tokens are not counted.
pub(crate) fn uncounted() -> Refusal {
    Refusal::validation("The provided model doesn't support counting tokens.")
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    geography: BTreeMap<String, Vec<String>>,
    application: Vec<Application>,
    family: BTreeMap<String, toml::Table>,
    model: Vec<Row>,
}

/// An application inference profile of the simulated account.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Application {
    id: String,
    name: String,
    model: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    id: String,
    name: String,
    provider: String,
    input: Vec<String>,
    output: Vec<String>,
    streaming: bool,
    lifecycle: String,
    on_demand_regions: Vec<String>,
    profiles: Vec<String>,
    family: Option<String>,
    #[serde(default)]
    traits: toml::Table,
}

impl Row {
    fn build(self, families: &BTreeMap<String, toml::Table>) -> Result<SimModel, String> {
        let traits = match &self.family {
            None => None,
            Some(family) => {
                let mut table =
                    families.get(family).cloned().ok_or_else(|| format!("model `{}` names an unknown family `{family}`", self.id))?;
                table.extend(self.traits);
                let traits: Traits = table.try_into().map_err(|fault: toml::de::Error| format!("model `{}`: {fault}", self.id))?;
                Some(traits)
            }
        };
        Ok(SimModel {
            id: self.id,
            name: self.name,
            provider: self.provider,
            input: self.input,
            output: self.output,
            streaming: self.streaming,
            lifecycle: self.lifecycle,
            on_demand_regions: self.on_demand_regions,
            profiles: self.profiles,
            traits,
        })
    }
}
