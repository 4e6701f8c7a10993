//! One model, as the data files and discovery tell it.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{ChatCapabilities, PriceList};
use crate::ids::{Geography, ModelId};

/// Everything the gateway knows of a model. Source: a row of `config/models`, or discovery alone.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelSpec {
    /// Canonical id at Bedrock, without profile prefix.
    pub id: ModelId,
    /// Display name.
    pub name: String,
    /// Provider's display name.
    pub provider: String,
    /// What it is for.
    pub kind: ModelKind,
    /// Name of the capability preset, for display; nothing decides by it.
    pub family: Option<String>,
    /// What it reads.
    pub input: Vec<Modality>,
    /// What it writes.
    pub output: Vec<Modality>,
    /// Answers can be streamed.
    pub streaming: bool,
    /// Most tokens of prompt and answer together.
    pub context_tokens: Option<u32>,
    /// Most tokens of an answer.
    pub max_output_tokens: Option<u32>,
    /// Where it is in its life.
    pub lifecycle: Lifecycle,
    /// Day from which calls fail, where announced.
    pub shutdown: Option<Date>,
    /// Day of release, where the id or the provider tells.
    pub released: Option<Date>,
    /// The APIs it answers on.
    pub surfaces: Vec<Surface>,
    /// What its bare id is good for.
    pub bare_id: BareId,
    /// Geographies with a cross-region profile (`global` among them), as AWS listed them. Discovery decides; this is for messages.
    pub geographies: Vec<Geography>,
    /// The same model under its id on bedrock-runtime, for ids that only bedrock-mantle knows.
    pub runtime_id: Option<ModelId>,
    /// Vector sizes of an embedding model; the first is its default.
    pub embedding_sizes: Vec<u32>,
    /// What an image model can do.
    pub image_tasks: Vec<ImageTask>,
    /// Quota tokens that one output token burns at settlement.
    pub burndown: u32,
    /// `anthropic_beta` flag that opens the window of a million tokens, for models that have it only so.
    pub long_context_beta: Option<String>,
    /// Prices; `None` = unknown, which is not free.
    pub price: Option<PriceList>,
    /// What it takes and refuses as a chat model; `None` for other kinds.
    pub chat: Option<ChatCapabilities>,
    /// Where this knowledge comes from.
    pub origin: Origin,
}

impl ModelSpec {
    /// True when no bedrock-runtime API serves it.
    #[must_use]
    pub fn mantle_only(&self) -> bool {
        !self.surfaces.is_empty() && self.surfaces.iter().all(|surface| surface.on_mantle())
    }

    /// True when it answers on `surface`.
    #[must_use]
    pub fn has_surface(&self, surface: Surface) -> bool {
        self.surfaces.contains(&surface)
    }

    /// The id's part before the first dot, e.g. `anthropic`.
    #[must_use]
    pub fn id_prefix(&self) -> &str {
        self.id.as_str().split_once('.').map_or("", |(prefix, _)| prefix)
    }
}

/// What a model is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelKind {
    /// Conversation.
    Chat,
    /// Vectors.
    Embedding,
    /// Pictures.
    Image,
    /// Films.
    Video,
    /// Order of documents.
    Rerank,
    /// Spoken conversation over a bidirectional stream.
    Speech,
}

/// Kinds of content. AWS's words, in lower case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Modality {
    /// Text.
    Text,
    /// Pictures.
    Image,
    /// Films.
    Video,
    /// Sound.
    Audio,
    /// Speech.
    Speech,
    /// Vectors.
    Embedding,
}

impl Modality {
    /// Every modality.
    pub const ALL: [Self; 6] = [Self::Text, Self::Image, Self::Video, Self::Audio, Self::Speech, Self::Embedding];

    /// AWS's word, e.g. `TEXT`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "TEXT",
            Self::Image => "IMAGE",
            Self::Video => "VIDEO",
            Self::Audio => "AUDIO",
            Self::Speech => "SPEECH",
            Self::Embedding => "EMBEDDING",
        }
    }

    /// Reads AWS's word in any case.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|modality| modality.as_str().eq_ignore_ascii_case(word))
    }
}

/// An API that a model answers on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Surface {
    /// Converse and ConverseStream.
    Converse,
    /// InvokeModel and InvokeModelWithResponseStream, with the model's own body.
    Invoke,
    /// StartAsyncInvoke.
    AsyncInvoke,
    /// InvokeModelWithBidirectionalStream.
    InvokeBidirectional,
    /// OpenAI Chat Completions on bedrock-runtime.
    OpenaiChat,
    /// OpenAI Responses on bedrock-runtime.
    OpenaiResponses,
    /// OpenAI Chat Completions on bedrock-mantle.
    MantleChat,
    /// OpenAI Responses on bedrock-mantle.
    MantleResponses,
    /// Anthropic Messages on bedrock-mantle.
    MantleMessages,
}

impl Surface {
    /// True for the APIs of bedrock-mantle.
    #[must_use]
    pub fn on_mantle(self) -> bool {
        matches!(self, Self::MantleChat | Self::MantleResponses | Self::MantleMessages)
    }
}

/// Where a model is in its life. Source: `modelLifecycle.status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lifecycle {
    /// In service.
    Active,
    /// Still answers; closed to new customers, and its end is announced.
    Legacy,
}

/// What a bare model id (no profile prefix) is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BareId {
    /// Calls on bedrock-runtime, in the regions that list it as on-demand.
    Runtime,
    /// Calls on bedrock-mantle only, although regions list it as on-demand.
    Mantle,
    /// Nothing was listed; if a region lists it as on-demand all the same, the region is right.
    Unlisted,
}

/// What an image model can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImageTask {
    /// A picture from text.
    Generate,
    /// A picture from a picture and text.
    Vary,
    /// Fill a masked part.
    Inpaint,
    /// Extend beyond the edges.
    Outpaint,
    /// Remove a masked object.
    Erase,
    /// Replace what a text names.
    SearchReplace,
    /// Recolour what a text names.
    SearchRecolor,
    /// Cut out the foreground.
    RemoveBackground,
    /// Enlarge at once.
    UpscaleFast,
    /// Enlarge and keep close to the original.
    UpscaleConservative,
    /// Enlarge and invent detail.
    UpscaleCreative,
    /// Draw along a sketch.
    ControlSketch,
    /// Draw along the structure of a picture.
    ControlStructure,
    /// Draw in the style of a picture.
    StyleGuide,
    /// Carry the style of one picture to another.
    StyleTransfer,
}

/// Where the knowledge of a model comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The data files.
    Book,
    /// Discovery alone: capabilities are a cautious guess, the price is unknown.
    Discovery,
}

/// A day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Date {
    year: u16,
    month: u8,
    day: u8,
}

impl Date {
    /// Seconds from 1970-01-01 to the start of this day, UTC.
    #[must_use]
    pub fn unix_seconds(self) -> i64 {
        // Days of the proleptic Gregorian calendar, counted from 0000-03-01 so that leap days end a year.
        let (year, month) = if self.month <= 2 {
            (i64::from(self.year) - 1, i64::from(self.month) + 9)
        } else {
            (i64::from(self.year), i64::from(self.month) - 3)
        };
        let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + i64::from(self.day) - 1;
        (days - 719_468) * 86_400
    }
}

impl FromStr for Date {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a date such as 2027-03-30");
        let number = |part: Option<&str>, digits: usize| {
            part.filter(|part| part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit()))
                .and_then(|part| part.parse::<u16>().ok())
        };
        let mut parts = text.split('-');
        let (year, month, day) = (number(parts.next(), 4), number(parts.next(), 2), number(parts.next(), 2));
        let (Some(year), Some(month @ 1..=12), Some(day), None) = (year, month, day, parts.next()) else {
            return Err(wrong());
        };
        let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        let longest = match month {
            2 => 28 + u16::from(leap),
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        if year < 1970 || day == 0 || day > longest {
            return Err(wrong());
        }
        Ok(Self { year, month: u8::try_from(month).map_err(|_| wrong())?, day: u8::try_from(day).map_err(|_| wrong())? })
    }
}

impl TryFrom<String> for Date {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Date> for String {
    fn from(date: Date) -> Self {
        date.to_string()
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

/// A geography's own regions, as patterns with `*`, e.g. `eu` = `eu-*`.
pub type Geographies = BTreeMap<Geography, Vec<String>>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_checked_and_counted() {
        let date: Date = "2027-03-30".parse().unwrap();
        assert_eq!(date.to_string(), "2027-03-30");
        assert_eq!(date.unix_seconds(), 1_806_364_800);
        assert_eq!("1970-01-01".parse::<Date>().unwrap().unix_seconds(), 0);
        assert_eq!("2024-02-29".parse::<Date>().unwrap().unix_seconds(), 1_709_164_800);
        for wrong in ["2027-3-30", "2027-13-01", "2027-02-29", "20270330", "2027-04-31", "2027-01-00", "", "2027-01-01-01", "+027-01-01"] {
            assert!(wrong.parse::<Date>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn modality_words_are_read_in_any_case() {
        assert_eq!(Modality::from_word("Text"), Some(Modality::Text));
        assert_eq!(Modality::from_word("EMBEDDING"), Some(Modality::Embedding));
        assert_eq!(Modality::from_word("smell"), None);
    }
}
