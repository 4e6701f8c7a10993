//! The filter of `/available_models`.

use super::{ListedModel, spelling::matches_pattern};
use crate::{
    ids::Region,
    model::{ImageTask, Lifecycle, Modality, ModelKind, ModelSpec, Surface},
};

/// An endpoint of the gateway, as far as models differ in serving it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Route {
    /// OpenAI chat completions.
    ChatCompletions,
    /// OpenAI legacy completions.
    Completions,
    /// OpenAI responses.
    Responses,
    /// Anthropic messages.
    Messages,
    /// OpenAI embeddings.
    Embeddings,
    /// OpenAI image generation.
    ImageGenerations,
    /// OpenAI image edits.
    ImageEdits,
    /// OpenAI image variations.
    ImageVariations,
    /// Rerank.
    Rerank,
    /// Realtime.
    Realtime,
    /// Videos.
    Videos,
}

impl Route {
    /// Every route.
    pub const ALL: [Self; 11] = [
        Self::ChatCompletions,
        Self::Completions,
        Self::Responses,
        Self::Messages,
        Self::Embeddings,
        Self::ImageGenerations,
        Self::ImageEdits,
        Self::ImageVariations,
        Self::Rerank,
        Self::Realtime,
        Self::Videos,
    ];

    /// The path, without the API's prefix.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::ChatCompletions => "chat/completions",
            Self::Completions => "completions",
            Self::Responses => "responses",
            Self::Messages => "messages",
            Self::Embeddings => "embeddings",
            Self::ImageGenerations => "images/generations",
            Self::ImageEdits => "images/edits",
            Self::ImageVariations => "images/variations",
            Self::Rerank => "rerank",
            Self::Realtime => "realtime",
            Self::Videos => "videos",
        }
    }

    /// Reads a path, with or without `/v1` or another prefix.
    #[must_use]
    pub fn from_path(path: &str) -> Option<Self> {
        let path = path.trim_matches('/').to_lowercase();
        // The longest first: `chat/completions` ends in `completions`, too.
        let mut routes = Self::ALL;
        routes.sort_by_key(|route| std::cmp::Reverse(route.path().len()));
        routes.into_iter().find(|route| path.strip_suffix(route.path()).is_some_and(|prefix| prefix.is_empty() || prefix.ends_with('/')))
    }

    /// True when the gateway serves `model` here.
    #[must_use]
    pub fn serves(self, model: &ModelSpec) -> bool {
        let task = |tasks: &[ImageTask]| tasks.iter().any(|task| model.image_tasks.contains(task));
        match self {
            Self::ChatCompletions | Self::Completions | Self::Responses | Self::Messages => {
                model.chat.is_some() && model.has_surface(Surface::Converse)
            }
            Self::Embeddings => model.kind == ModelKind::Embedding,
            Self::ImageGenerations => task(&[ImageTask::Generate]),
            Self::ImageVariations => task(&[ImageTask::Vary, ImageTask::ControlStructure, ImageTask::StyleGuide]),
            Self::ImageEdits => model.image_tasks.iter().any(|task| *task != ImageTask::Generate),
            Self::Rerank => model.kind == ModelKind::Rerank,
            Self::Realtime => model.kind == ModelKind::Speech,
            Self::Videos => model.kind == ModelKind::Video,
        }
    }
}

/// What a list of models is narrowed to. Everything given must hold; of several modalities, all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModelFilter {
    input: Vec<Modality>,
    output: Vec<Modality>,
    region: Option<Region>,
    route: Option<Route>,
    streaming: Option<bool>,
    legacy: Option<bool>,
    model: Option<String>,
}

/// A query parameter that cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// No such parameter.
    #[error("unknown parameter `{name}`, expected one of input_modalities, output_modalities, region, route, streaming, legacy, model")]
    UnknownParameter {
        /// Its name.
        name: String,
    },
    /// A value that the parameter does not have.
    #[error("`{value}` is no value of `{name}`, expected {expected}")]
    UnknownValue {
        /// The parameter.
        name: &'static str,
        /// The value.
        value: String,
        /// What it takes.
        expected: String,
    },
}

impl ModelFilter {
    /// Reads query parameters. Modalities may repeat or be separated by commas.
    ///
    /// # Errors
    /// On an unknown parameter or value. `regions` are those in use.
    pub fn parse<'q>(query: impl IntoIterator<Item = (&'q str, &'q str)>, regions: &[Region]) -> Result<Self, FilterError> {
        let mut filter = Self::default();
        for (name, value) in query {
            match name {
                "input_modalities" => filter.input.extend(modalities("input_modalities", value)?),
                "output_modalities" => filter.output.extend(modalities("output_modalities", value)?),
                "region" => filter.region = Some(region(value, regions)?),
                "route" => {
                    let expected = || Route::ALL.map(Route::path).join(", ");
                    filter.route = Some(Route::from_path(value).ok_or_else(|| unknown("route", value, expected()))?);
                }
                "streaming" => filter.streaming = Some(flag("streaming", value)?),
                "legacy" => filter.legacy = Some(flag("legacy", value)?),
                "model" => filter.model = Some(value.to_lowercase()),
                _ => return Err(FilterError::UnknownParameter { name: name.to_owned() }),
            }
        }
        Ok(filter)
    }

    /// True when `model` is in the narrowed list.
    #[must_use]
    pub fn matches(&self, model: &ListedModel) -> bool {
        let spec = &model.spec;
        let named = |pattern: &String| {
            let aliases = model.aliases.iter().any(|alias| matches_pattern(pattern, &alias.as_str().to_lowercase()));
            aliases || matches_pattern(pattern, model.id.as_str())
        };
        self.input.iter().all(|modality| spec.input.contains(modality))
            && self.output.iter().all(|modality| spec.output.contains(modality))
            && self.region.as_ref().is_none_or(|region| model.regions.contains(region))
            && self.route.is_none_or(|route| route.serves(spec))
            && self.streaming.is_none_or(|streaming| spec.streaming == streaming)
            && self.legacy.is_none_or(|legacy| (spec.lifecycle == Lifecycle::Legacy) == legacy)
            && self.model.as_ref().is_none_or(named)
    }
}

fn modalities(name: &'static str, value: &str) -> Result<Vec<Modality>, FilterError> {
    let expected = || Modality::ALL.map(Modality::as_str).join(", ");
    let words = value.split(',').map(str::trim);
    words.map(|word| Modality::from_word(word).ok_or_else(|| unknown(name, word, expected()))).collect()
}

fn region(value: &str, regions: &[Region]) -> Result<Region, FilterError> {
    let known = regions.iter().find(|region| region.as_str() == value).cloned();
    known.ok_or_else(|| unknown("region", value, regions.iter().map(Region::as_str).collect::<Vec<_>>().join(", ")))
}

fn flag(name: &'static str, value: &str) -> Result<bool, FilterError> {
    match value {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(unknown(name, value, "true or false".to_owned())),
    }
}

fn unknown(name: &'static str, value: &str, expected: String) -> FilterError {
    FilterError::UnknownValue { name, value: value.to_owned(), expected }
}
