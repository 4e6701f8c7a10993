//! Refusals in Anthropic's words: the path, a colon, the rule. There is no other member that could tell the field.

use std::fmt;

use outcrop_domain::error::GatewayError;

/// `<path>: <words>`.
pub(super) fn fault(path: impl Into<String>, words: impl fmt::Display) -> GatewayError {
    let path = path.into();
    let message = format!("{path}: {words}");
    GatewayError::invalid(path, message)
}

/// A member that must be there.
pub(super) fn missing(path: impl Into<String>) -> GatewayError {
    fault(path, "Field required")
}

/// A word that is none of those known.
pub(super) fn not_one_of(path: impl Into<String>, words: &[&str]) -> GatewayError {
    fault(path, format_args!("Input should be {}", Alternatives(words)))
}

/// A block or tool of a kind that may not stand there.
pub(super) fn unknown_tag(path: impl Into<String>, tag: &str, expected: &[&str]) -> GatewayError {
    let expected = expected.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(", ");
    fault(path, format_args!("Input tag '{tag}' found using 'type' does not match any of the expected tags: {expected}"))
}

struct Alternatives<'a>(&'a [&'a str]);

impl fmt::Display for Alternatives<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, word) in self.0.iter().enumerate() {
            let separator = match position {
                0 => "",
                _ if position + 1 == self.0.len() => " or ",
                _ => ", ",
            };
            write!(f, "{separator}'{word}'")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_listed_as_anthropic_lists_them() {
        let text = |error: GatewayError| error.to_string();
        assert_eq!(text(not_one_of("role", &["user"])), "role: Input should be 'user'");
        assert_eq!(text(not_one_of("role", &["a", "b", "c"])), "role: Input should be 'a', 'b' or 'c'");
        assert_eq!(text(missing("max_tokens")), "max_tokens: Field required");
    }
}
