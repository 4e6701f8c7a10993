//! By which right AWS is called.

use std::{fmt, sync::Arc};

use http::HeaderValue;
use outcrop_domain::secret::SecretString;

use super::credentials::CredentialsKeeper;
use crate::UpstreamError;

/// How calls prove who makes them.
#[derive(Debug, Clone)]
pub enum Access {
    /// IAM credentials: every request is signed.
    Keys(Arc<CredentialsKeeper>),
    /// A Bedrock API key, sent as it is.
    Bearer(BearerToken),
}

/// A Bedrock API key (`AWS_BEARER_TOKEN_BEDROCK`; the settings read that, not this crate).
#[derive(Clone)]
pub struct BearerToken {
    secret: SecretString,
    header: HeaderValue,
}

impl BearerToken {
    /// Takes the key.
    ///
    /// # Errors
    /// [`UpstreamError::BearerToken`] when no header can carry it.
    pub fn new(secret: SecretString) -> Result<Self, UpstreamError> {
        let mut header = HeaderValue::try_from(format!("Bearer {}", secret.expose().trim())).map_err(|_| UpstreamError::BearerToken)?;
        header.set_sensitive(true);
        Ok(Self { secret, header })
    }

    pub(crate) fn header(&self) -> HeaderValue {
        self.header.clone()
    }

    pub(crate) fn secret(&self) -> &SecretString {
        &self.secret
    }
}

impl fmt::Debug for BearerToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BearerToken([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_no_header_can_carry_is_refused_and_no_key_is_shown() {
        assert!(matches!(BearerToken::new(SecretString::new("two\nlines".to_owned())), Err(UpstreamError::BearerToken)));
        let token = BearerToken::new(SecretString::new(" abc ".to_owned())).unwrap();
        assert_eq!(token.header(), "Bearer abc");
        assert!(!format!("{token:?} {:?}", token.header()).contains("abc"));
    }
}
