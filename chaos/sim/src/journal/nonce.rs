//! Nonces: marks that whoever makes the requests puts into their prompts, found again in the raw upstream bodies.

use memchr::memmem::Finder;

/// Longest nonce after its prefix: more is not a nonce but a run of letters.
const LONGEST: usize = 64;

/// A prefix that is followed by hexadecimal digits: `n0nce-` finds `n0nce-1f3a`.
#[derive(Debug)]
pub(crate) struct NoncePattern {
    finder: Finder<'static>,
}

impl NoncePattern {
    pub(crate) fn new(prefix: &str) -> Self {
        Self { finder: Finder::new(prefix.as_bytes()).into_owned() }
    }

    /// All different nonces of `body` in order of first appearance; of more than `most`, the last ones.
    pub(crate) fn find(&self, body: &[u8], most: usize) -> Vec<String> {
        let prefix = self.finder.needle().len();
        let mut found: Vec<String> = Vec::new();
        if prefix == 0 {
            return found;
        }
        for at in self.finder.find_iter(body) {
            let rest = body.get(at + prefix..).unwrap_or_default();
            let digits = rest.iter().take(LONGEST).take_while(|byte| byte.is_ascii_hexdigit()).count();
            let Some(nonce) = body.get(at..at + prefix + digits).filter(|_| digits > 0) else { continue };
            let nonce = String::from_utf8_lossy(nonce);
            if !found.iter().any(|known| *known == nonce) {
                found.push(nonce.into_owned());
            }
        }
        found.split_off(found.len().saturating_sub(most))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonces_are_found_in_the_raw_bytes_in_order_and_once() {
        let pattern = NoncePattern::new("n0nce-");
        let body = br#"{"a":"n0nce-1f n0nce-","b":["n0nce-00ffQ","see n0nce-1f again\n0nce-2A\n"]}"#;
        assert_eq!(pattern.find(body, 9), ["n0nce-1f", "n0nce-00ff", "n0nce-2A"]);
        assert_eq!(pattern.find(body, 2), ["n0nce-00ff", "n0nce-2A"]);
        assert!(pattern.find(b"n0nce", 9).is_empty());
        assert!(NoncePattern::new("").find(body, 9).is_empty());
    }
}
