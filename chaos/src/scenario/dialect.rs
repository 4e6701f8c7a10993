//! What clients speak.

/// A client's dialect.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Dialect {
    /// OpenAI's chat completions.
    #[default]
    Chat,
    /// Anthropic's messages.
    Messages,
    /// OpenAI's responses, nothing stored.
    Responses,
    /// Bedrock's own Converse, with the gateway's key as bearer.
    Converse,
}

impl Dialect {
    /// All of them, with their names in scenario files.
    pub const ALL: [(&'static str, Self); 4] = [
        ("openai_chat", Self::Chat),
        ("anthropic_messages", Self::Messages),
        ("openai_responses", Self::Responses),
        ("bedrock_converse", Self::Converse),
    ];

    /// The one of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(own, _)| *own == name).map(|(_, dialect)| *dialect)
    }

    /// Where a request for `model` goes; `prefix` is the path before `/chat/completions`. The other companies' paths begin where
    /// `/v1` does.
    #[must_use]
    pub fn path(self, prefix: &str, model: &str, stream: bool) -> String {
        let root = prefix.strip_suffix("/v1").unwrap_or(prefix);
        match self {
            Self::Chat => format!("{prefix}/chat/completions"),
            Self::Responses => format!("{prefix}/responses"),
            Self::Messages => format!("{root}/anthropic/v1/messages"),
            Self::Converse => {
                let label: String =
                    model.chars().map(|letter| if is_plain(letter) { letter.to_string() } else { escaped(letter) }).collect();
                format!("{root}/model/{label}/{}", if stream { "converse-stream" } else { "converse" })
            }
        }
    }
}

/// Letters that a path's label holds as they are.
fn is_plain(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || "-._~".contains(letter)
}

fn escaped(letter: char) -> String {
    let mut bytes = [0; 4];
    letter.encode_utf8(&mut bytes).bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dialect_has_its_path() {
        let path = |name: &str, prefix: &str| Dialect::named(name).unwrap().path(prefix, "bedrock/us-east-1/a.b-v1:0", true);
        assert_eq!(path("openai_chat", "/v1"), "/v1/chat/completions");
        assert_eq!(path("openai_responses", "/v1"), "/v1/responses");
        assert_eq!(path("anthropic_messages", "/v1"), "/anthropic/v1/messages");
        assert_eq!(path("anthropic_messages", ""), "/anthropic/v1/messages");
        assert_eq!(path("bedrock_converse", "/below/v1"), "/below/model/bedrock%2Fus-east-1%2Fa.b-v1%3A0/converse-stream");
        assert_eq!(Dialect::named("smtp"), None);
    }
}
