//! What a response puts out: items, their parts and the sources of their text. `Debug` shows none of what they say.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One item of `output`. Only what this gateway's answers hold; source: `OutputItem`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum OutputItem {
    /// What the model says.
    Message {
        /// `msg_...`.
        id: String,
        /// How far it is.
        status: ItemStatus,
        /// `assistant`.
        role: String,
        /// Text, in one part.
        content: Vec<MessagePart>,
    },
    /// What the model thought.
    Reasoning {
        /// `rs_...`.
        id: String,
        /// For people; empty when they did not ask.
        summary: Vec<SummaryText>,
        /// For the next request: opaque.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        encrypted_content: Option<String>,
        /// How far it is; clients send items back, and OpenAI leaves it out here.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        status: Option<ItemStatus>,
    },
    /// A call of a function.
    FunctionCall {
        /// `fc_...`.
        id: String,
        /// How far it is.
        status: ItemStatus,
        /// JSON text.
        arguments: String,
        /// What its output refers to.
        call_id: String,
        /// Name as the client knows it.
        name: String,
        /// Where the client's function lies.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        namespace: Option<String>,
    },
    /// A call of a tool that takes free text.
    CustomToolCall {
        /// `ctc_...`.
        id: String,
        /// How far it is.
        status: ItemStatus,
        /// What its output refers to.
        call_id: String,
        /// Free text.
        input: String,
        /// Name as the client knows it.
        name: String,
        /// Where the client's tool lies.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        namespace: Option<String>,
    },
    /// A search of the provider's.
    WebSearchCall {
        /// `ws_...`.
        id: String,
        /// How far it is.
        status: ItemStatus,
        /// What was looked for.
        action: SearchAction,
    },
    /// A program that the provider ran.
    CodeInterpreterCall {
        /// `ci_...`.
        id: String,
        /// How far it is.
        status: ItemStatus,
        /// The program; null while it is being written.
        code: Option<String>,
        /// `cntr_...`: where it ran.
        container_id: String,
        /// What it printed, where asked for.
        outputs: Option<Vec<CodeOutput>>,
    },
    /// The conversation so far, in short.
    Compaction {
        /// `cmp_...`.
        id: String,
        /// Opaque.
        encrypted_content: String,
    },
}

impl OutputItem {
    /// The item's id.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Self::Message { id, .. }
            | Self::Reasoning { id, .. }
            | Self::FunctionCall { id, .. }
            | Self::CustomToolCall { id, .. }
            | Self::WebSearchCall { id, .. }
            | Self::CodeInterpreterCall { id, .. }
            | Self::Compaction { id, .. } => id,
        }
    }
}

impl fmt::Debug for OutputItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OutputItem({})", self.id())
    }
}

/// How far an item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ItemStatus {
    /// Being written.
    InProgress,
    /// Whole.
    Completed,
    /// Cut off.
    Incomplete,
}

/// A part of a message.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum MessagePart {
    /// Text.
    OutputText {
        /// Sources of the text.
        annotations: Vec<Annotation>,
        /// Always empty: Bedrock does not report them.
        logprobs: Vec<()>,
        /// The text.
        text: String,
    },
}

/// A source of a text. Positions count code points of the part.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Annotation {
    /// A web page.
    UrlCitation {
        /// First character of the citing text.
        start_index: u64,
        /// After its last character.
        end_index: u64,
        /// Title; the address when there is none.
        title: String,
        /// Address.
        url: String,
    },
    /// A file of the request.
    FileCitation {
        /// The file as the model names it; may be empty.
        file_id: String,
        /// Its title.
        filename: String,
        /// Which of the request's files, from 0.
        index: u64,
    },
}

/// A paragraph of a reasoning summary.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum SummaryText {
    /// Text.
    SummaryText {
        /// The text.
        text: String,
    },
}

/// What a web search did.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum SearchAction {
    /// It searched.
    Search {
        /// The words; empty where the provider does not tell.
        query: String,
    },
}

/// What a program put out.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum CodeOutput {
    /// Text.
    Logs {
        /// The text.
        logs: String,
    },
}

/// `Debug` by the name alone.
macro_rules! say_only_the_name {
    ($($name:ident),*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(stringify!($name))
            }
        }
    )*};
}

say_only_the_name!(MessagePart, Annotation, SummaryText, SearchAction, CodeOutput);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing_of_what_is_said() {
        let content = vec![MessagePart::OutputText { annotations: Vec::new(), logprobs: Vec::new(), text: "secret".to_owned() }];
        let shown = format!("{content:?}");
        let item = OutputItem::Message { id: "msg_1".to_owned(), status: ItemStatus::Completed, role: "assistant".to_owned(), content };
        assert_eq!((format!("{item:?}"), shown), ("OutputItem(msg_1)".to_owned(), "[MessagePart]".to_owned()));
    }
}
