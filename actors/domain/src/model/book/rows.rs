//! Rows as they stand in the data files: every field may be missing, so that a later file overrides single fields.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::{
    ids::{Geography, ModelId},
    model::{BareId, Date, ImageTask, Lifecycle, Modality, ModelKind, PriceList, PriceRule, PriceUnit, Surface, UnprovenFlags},
    money::{DecimalError, PicoUsd, PicoUsdPerToken},
};

/// Takes over the fields that a later row gives.
macro_rules! overlay {
    ($base:expr, $later:expr; $($field:ident),+ $(,)?) => {
        $(if $later.$field.is_some() { $base.$field = $later.$field; })+
    };
}

/// `[[model]]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ModelRow {
    pub(super) id: Option<ModelId>,
    pub(super) name: Option<String>,
    pub(super) provider: Option<String>,
    pub(super) kind: Option<ModelKind>,
    pub(super) family: Option<String>,
    pub(super) input: Option<Vec<Modality>>,
    pub(super) output: Option<Vec<Modality>>,
    pub(super) streaming: Option<bool>,
    pub(super) context_tokens: Option<u32>,
    pub(super) max_output_tokens: Option<u32>,
    pub(super) status: Option<Lifecycle>,
    pub(super) shutdown: Option<Date>,
    pub(super) released: Option<Date>,
    pub(super) surfaces: Option<Vec<Surface>>,
    pub(super) bare_id: Option<BareId>,
    pub(super) geographies: Option<Vec<Geography>>,
    pub(super) runtime_id: Option<ModelId>,
    pub(super) embedding_sizes: Option<Vec<u32>>,
    pub(super) image_tasks: Option<Vec<ImageTask>>,
    pub(super) burndown: Option<u32>,
    pub(super) long_context_beta: Option<String>,
    pub(super) price: Option<PriceRow>,
    pub(super) chat: Option<toml::Table>,
}

impl ModelRow {
    pub(super) fn overlay(&mut self, later: Self) {
        if let (Some(price), Some(later)) = (&mut self.price, &later.price) {
            price.overlay(later.clone());
        } else if later.price.is_some() {
            self.price = later.price;
        }
        if let Some(later) = later.chat {
            merge(self.chat.get_or_insert_default(), later);
        }
        overlay!(self, later;
            id, name, provider, kind, family, input, output, streaming, context_tokens, max_output_tokens, status, shutdown, released,
            surfaces, bare_id, geographies, runtime_id, embedding_sizes, image_tasks, burndown, long_context_beta,
        );
    }
}

/// `[model.price]`: dollars per million tokens, as decimal texts.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct PriceRow {
    pub(super) rule: Option<String>,
    input: Option<UsdPerMillion>,
    output: Option<UsdPerMillion>,
    cache_read: Option<UsdPerMillion>,
    cache_write: Option<UsdPerMillion>,
    cache_write_1h: Option<UsdPerMillion>,
    units: Option<BTreeMap<PriceUnit, UsdPerUnit>>,
}

impl PriceRow {
    fn overlay(&mut self, later: Self) {
        overlay!(self, later; rule, input, output, cache_read, cache_write, cache_write_1h, units);
    }

    pub(super) fn into_list(self, rule: PriceRule) -> PriceList {
        let tokens = |price: Option<UsdPerMillion>| price.map(|price| price.0);
        PriceList {
            input: tokens(self.input).unwrap_or_default(),
            output: tokens(self.output).unwrap_or_default(),
            cache_read: tokens(self.cache_read),
            cache_write: tokens(self.cache_write),
            cache_write_1h: tokens(self.cache_write_1h),
            units: self.units.unwrap_or_default().into_iter().map(|(unit, price)| (unit, price.0)).collect(),
            rule,
        }
    }

    /// A row must not make tokens free by leaving a price out; what is paid by the piece may.
    pub(super) fn missing(&self) -> Option<&'static str> {
        if self.units.is_some() {
            return None;
        }
        match (&self.input, &self.output) {
            (None, _) => Some("input"),
            (_, None) => Some("output"),
            _ => None,
        }
    }
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
struct UsdPerMillion(PicoUsdPerToken);

impl TryFrom<String> for UsdPerMillion {
    type Error = DecimalError;

    fn try_from(text: String) -> Result<Self, DecimalError> {
        PicoUsdPerToken::from_usd_per_million(&text).map(Self)
    }
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
struct UsdPerUnit(PicoUsd);

impl TryFrom<String> for UsdPerUnit {
    type Error = DecimalError;

    fn try_from(text: String) -> Result<Self, DecimalError> {
        PicoUsd::from_usd(&text).map(Self)
    }
}

/// `[[retired]]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RetiredRow {
    pub(super) id: Option<String>,
    #[serde(rename = "use")]
    pub(super) replacements: Option<Vec<ModelId>>,
    pub(super) since: Option<Date>,
    pub(super) words: Option<String>,
    pub(super) automatic: Option<bool>,
}

/// `[beta_flag.X]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct BetaFlagRow {
    pub(super) means: Option<Vec<String>>,
    pub(super) fields: Option<Vec<String>>,
}

impl BetaFlagRow {
    pub(super) fn overlay(&mut self, later: Self) {
        overlay!(self, later; means, fields);
    }
}

/// `[[beta]]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct BetaRow {
    pub(super) family: Option<String>,
    pub(super) models: Option<String>,
    pub(super) surface: Option<Surface>,
    pub(super) accepted: Vec<String>,
    pub(super) refused: Vec<String>,
    pub(super) unproven: Option<UnprovenFlags>,
    pub(super) free_fields: Vec<String>,
    pub(super) dropped_fields: Vec<String>,
}

/// `[geography.X]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GeographyRow {
    pub(super) regions: Vec<String>,
}

/// `[spelling]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct SpellingRow {
    pub(super) wrappers: Vec<String>,
    pub(super) dialects: Vec<String>,
}

/// Capabilities that a model may lack altogether: `false` in their place takes them away.
const OPTIONAL_TABLES: [&str; 1] = ["cache"];

/// Takes away what the merged table says `false` to.
pub(super) fn without_refused(mut table: toml::Table) -> toml::Table {
    for key in OPTIONAL_TABLES {
        if table.get(key) == Some(&toml::Value::Boolean(false)) {
            table.remove(key);
        }
    }
    table
}

/// Lays `later` over `base`: tables are merged key by key, everything else is replaced. A table of another `kind`
/// replaces the whole table.
pub(super) fn merge(base: &mut toml::Table, later: toml::Table) {
    for (key, value) in later {
        match (base.get_mut(&key), value) {
            (Some(toml::Value::Table(known)), toml::Value::Table(table)) if same_kind(known, &table) => merge(known, table),
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}

fn same_kind(base: &toml::Table, later: &toml::Table) -> bool {
    later.get("kind").is_none_or(|kind| base.get("kind") == Some(kind))
}
