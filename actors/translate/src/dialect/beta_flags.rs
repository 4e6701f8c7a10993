//! `anthropic-beta`.

use outcrop_protocol::loose::TextOrList;

/// Beta flags of header and body: split at commas, trimmed, each once.
pub(crate) fn flags(body: Option<TextOrList<String>>, headers: &[String]) -> Vec<String> {
    let body = match body {
        None => Vec::new(),
        Some(TextOrList::Text(text)) => vec![text],
        Some(TextOrList::List(flags)) => flags,
    };
    let mut flags: Vec<String> = Vec::new();
    for flag in headers.iter().chain(&body).flat_map(|list| list.split(',')).map(str::trim) {
        if !flag.is_empty() && !flags.iter().any(|known| known == flag) {
            flags.push(flag.to_owned());
        }
    }
    flags
}
