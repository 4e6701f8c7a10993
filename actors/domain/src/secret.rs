//! Text that must never be shown.

use std::fmt;

/// A credential. `Debug` and `Display` print `[redacted]`; only [`SecretString::expose`] gives the text.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretString(String);

impl SecretString {
    /// Wraps a credential.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The credential itself: for the wire and for comparison, never for logs.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl fmt::Display for SecretString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}
