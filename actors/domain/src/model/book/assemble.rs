//! Puts the rows together and checks what no single row can tell.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    DataProblem, Draft, ModelBook, Replacing, Retired,
    betas::Betas,
    read::Place,
    rows::{ModelRow, merge, without_refused},
};
use crate::{
    ids::ModelId,
    model::{BareId, ChatCapabilities, Lifecycle, ModelKind, ModelSpec, Origin, PriceRule, Surface},
};

/// Deepest chain of `extends`.
const MAX_FAMILY_DEPTH: usize = 8;

impl Draft {
    pub(super) fn assemble(self, problems: &mut Vec<DataProblem>) -> ModelBook {
        let families = resolve_families(&self.families, problems);
        let mut betas = Betas::new(self.beta_flags, self.betas, &self.families, problems);
        let mut models = BTreeMap::new();
        for (id, (place, row)) in self.models {
            let mut checker = Checker { place: &place, id: &id, problems };
            if let Some(mut spec) = checker.spec(row, &families, &self.price_rules) {
                if let Some(chat) = &mut spec.chat {
                    chat.betas = betas.of(&id, spec.family.as_deref());
                }
                models.insert(id.clone(), (place, Arc::new(spec)));
            }
        }
        betas.tell_unused(problems);
        for (id, (place, spec)) in &models {
            if let Some(twin) = &spec.runtime_id
                && models.get(twin).is_none_or(|(_, twin)| twin.mantle_only())
            {
                problems.push(place.problem(format!("model `{id}`: `runtime_id` names `{twin}`, which is no model of bedrock-runtime")));
            }
        }
        for (name, (place, model)) in &self.aliases {
            if models.contains_key(name.as_str()) {
                problems.push(place.problem(format!("alias `{name}` is the id of a model")));
            }
            if !model.contains('*') && !models.contains_key(model.as_str()) && !self.aliases.contains_key(model) {
                problems.push(place.problem(format!("alias `{name}` names `{model}`, which is neither a model nor an alias")));
            }
        }
        let models: BTreeMap<ModelId, Arc<ModelSpec>> = models.into_iter().map(|(id, (_, spec))| (id, spec)).collect();
        let retired = self.retired.into_iter().filter_map(|(place, row)| {
            let whole = row.id.zip(row.replacements.filter(|list| !list.is_empty())).zip(row.words);
            let Some(((id, replacements), words)) = whole else {
                problems.push(place.problem("a retired row needs `id`, `use` and `words`"));
                return None;
            };
            if id.trim_end_matches('*').contains('*') {
                problems.push(place.problem(format!("retired `{id}` has a `*` that is not its end")));
            }
            for unknown in replacements.iter().filter(|replacement| !models.contains_key(replacement.as_str())) {
                problems.push(place.problem(format!("retired `{id}` names `{unknown}`, which is no model of the book")));
            }
            let replacing = if row.automatic == Some(false) { Replacing::ByCaller } else { Replacing::Automatic };
            Some(Retired { id, replacements, since: row.since, words: words.into(), replacing })
        });
        let retired = retired.collect();
        let aliases = self.aliases.into_iter().map(|(name, (_, model))| (name, model)).collect();
        ModelBook {
            models,
            aliases,
            providers: self.providers,
            wrappers: self.wrappers,
            dialects: self.dialects,
            geographies: self.geographies,
            retired,
        }
    }
}

/// Follows `extends` and checks that every family reads as capabilities.
fn resolve_families(families: &BTreeMap<String, (Place, toml::Table)>, problems: &mut Vec<DataProblem>) -> BTreeMap<String, toml::Table> {
    let mut resolved = BTreeMap::new();
    for (name, (place, own)) in families {
        match inherited(name, families) {
            Ok(table) => {
                let mut own = own.clone();
                own.remove("extends");
                for message in capability_problems(&table, own) {
                    problems.push(place.problem(format!("family `{name}`: {message}")));
                }
                resolved.insert(name.clone(), table);
            }
            Err(message) => problems.push(place.problem(format!("family `{name}`: {message}"))),
        }
    }
    resolved
}

/// A family's fields with those of the families it extends below them.
fn inherited(name: &str, families: &BTreeMap<String, (Place, toml::Table)>) -> Result<toml::Table, String> {
    let mut whole = toml::Table::new();
    for (_, table) in lineage(name, families)?.into_iter().rev() {
        merge(&mut whole, table.clone());
    }
    whole.remove("extends");
    Ok(without_refused(whole))
}

/// A family and those it extends, itself first, each with its table.
pub(super) fn lineage<'f>(
    name: &str,
    families: &'f BTreeMap<String, (Place, toml::Table)>,
) -> Result<Vec<(&'f str, &'f toml::Table)>, String> {
    let mut chain = Vec::new();
    let mut next = Some(name);
    while let Some(current) = next {
        let Some((name, (_, table))) = families.get_key_value(current) else {
            return Err(format!("extends `{current}`, which does not exist"));
        };
        if chain.len() == MAX_FAMILY_DEPTH {
            return Err(format!("extends more than {MAX_FAMILY_DEPTH} families, or itself"));
        }
        next = match table.get("extends") {
            None => None,
            Some(toml::Value::String(parent)) => Some(parent.as_str()),
            Some(_) => return Err("`extends` must be the name of a family".to_owned()),
        };
        chain.push((name.as_str(), table));
    }
    Ok(chain)
}

/// What is wrong with `own` on top of a table that holds it already: each field is tried alone, so that all are told.
fn capability_problems(whole: &toml::Table, own: toml::Table) -> Vec<String> {
    if whole.clone().try_into::<ChatCapabilities>().is_ok() {
        return Vec::new();
    }
    let mut messages = Vec::new();
    for (key, _) in own {
        let value = whole.get(&key).cloned();
        let alone: toml::Table = value.into_iter().map(|value| (key.clone(), value)).collect();
        if let Err(error) = alone.try_into::<ChatCapabilities>() {
            messages.push(format!("`{key}`: {}", error.message()));
        }
    }
    messages
}

/// Checks one merged row.
struct Checker<'a> {
    place: &'a Place,
    id: &'a ModelId,
    problems: &'a mut Vec<DataProblem>,
}

impl Checker<'_> {
    fn problem(&mut self, message: impl AsRef<str>) {
        self.problems.push(self.place.problem(format!("model `{}`: {}", self.id, message.as_ref())));
    }

    fn required<T>(&mut self, field: &str, value: Option<T>) -> Option<T> {
        if value.is_none() {
            self.problem(format!("`{field}` is missing"));
        }
        value
    }

    fn spec(&mut self, row: ModelRow, families: &BTreeMap<String, toml::Table>, rules: &BTreeMap<String, PriceRule>) -> Option<ModelSpec> {
        self.check_numbers(&row);
        let chat = self.chat(&row, families);
        let price = row.price.clone().and_then(|price| {
            if let Some(field) = price.missing() {
                self.problem(format!("`price.{field}` is missing"));
            }
            let rule = match &price.rule {
                None => PriceRule::default(),
                Some(name) => rules.get(name).cloned().or_else(|| {
                    self.problem(format!("price rule `{name}` does not exist"));
                    None
                })?,
            };
            Some(price.into_list(rule))
        });
        // All that are missing are told, hence no `?` before the last.
        let name = self.required("name", row.name);
        let provider = self.required("provider", row.provider);
        let kind = self.required("kind", row.kind);
        let input = self.required("input", row.input);
        let output = self.required("output", row.output);
        let surfaces = self.required("surfaces", row.surfaces);
        if kind == Some(ModelKind::Chat) && row.family.is_none() && surfaces.iter().flatten().any(|surface| *surface == Surface::Converse) {
            self.problem("a chat model on Converse needs a `family`");
        }
        Some(ModelSpec {
            id: self.id.clone(),
            name: name?,
            provider: provider?,
            kind: kind?,
            family: row.family,
            input: input?,
            output: output?,
            streaming: row.streaming.unwrap_or(false),
            context_tokens: row.context_tokens,
            max_output_tokens: row.max_output_tokens,
            lifecycle: row.status.unwrap_or(Lifecycle::Active),
            shutdown: row.shutdown,
            released: row.released,
            surfaces: surfaces?,
            bare_id: row.bare_id.unwrap_or(BareId::Unlisted),
            geographies: row.geographies.unwrap_or_default(),
            runtime_id: row.runtime_id,
            embedding_sizes: row.embedding_sizes.unwrap_or_default(),
            image_tasks: row.image_tasks.unwrap_or_default(),
            burndown: row.burndown.unwrap_or(1),
            long_context_beta: row.long_context_beta,
            price,
            chat,
            origin: Origin::Book,
        })
    }

    fn check_numbers(&mut self, row: &ModelRow) {
        if !well_formed(self.id.as_str()) {
            self.problem("an id is `provider.name` in lower case, without profile prefix");
        }
        if row.context_tokens == Some(0) || row.max_output_tokens == Some(0) || row.burndown == Some(0) {
            self.problem("limits and `burndown` are at least 1");
        }
        if row.surfaces.as_ref().is_some_and(Vec::is_empty) {
            self.problem("`surfaces` is empty");
        }
        let unique = |row: &ModelRow| {
            let surfaces = row.surfaces.iter().flatten().collect::<BTreeSet<_>>().len();
            surfaces == row.surfaces.as_ref().map_or(0, Vec::len)
        };
        if !unique(row) {
            self.problem("`surfaces` lists one twice");
        }
    }

    fn chat(&mut self, row: &ModelRow, families: &BTreeMap<String, toml::Table>) -> Option<ChatCapabilities> {
        let mut table = match &row.family {
            None if row.chat.is_some() => {
                self.problem("`chat` needs a `family`");
                return None;
            }
            None => return None,
            Some(family) => families.get(family).cloned().or_else(|| {
                self.problem(format!("family `{family}` does not exist"));
                None
            })?,
        };
        let own = row.chat.clone().unwrap_or_default();
        merge(&mut table, own.clone());
        let table = without_refused(table);
        for message in capability_problems(&table, own) {
            self.problem(format!("chat: {message}"));
        }
        table.try_into().ok()
    }
}

fn well_formed(id: &str) -> bool {
    let fine = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b':');
    id.split_once('.').is_some_and(|(provider, name)| !provider.is_empty() && !name.is_empty()) && id.bytes().all(fine)
}
