//! Names that look like a mistyped one.

/// Most characters compared, which bounds the work for names of any length.
const MAX_COMPARED: usize = 64;
/// Most names given.
const MAX_NAMES: usize = 3;

/// Up to three of `names` that are nearest to `asked`, nearest first, none that differs in more than a third.
pub(super) fn near<'a>(asked: &str, names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let asked: Vec<char> = asked.chars().flat_map(char::to_lowercase).take(MAX_COMPARED).collect();
    let mut scored: Vec<(usize, &str)> = names
        .filter_map(|name| {
            let letters: Vec<char> = name.chars().take(MAX_COMPARED).collect();
            let most = asked.len().max(letters.len()) / 3;
            // The lengths alone tell most strangers apart.
            let close_in_length = asked.len().abs_diff(letters.len()) <= most;
            let differences = close_in_length.then(|| distance(&asked, &letters))?;
            (differences <= most).then_some((differences, name))
        })
        .collect();
    scored.sort_unstable();
    scored.dedup();
    scored.into_iter().take(MAX_NAMES).map(|(_, name)| name.to_owned()).collect()
}

/// Levenshtein distance, one row at a time.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (position, left) in a.iter().enumerate() {
        let mut diagonal = position;
        let mut before = position + 1;
        let mut next = Vec::with_capacity(row.len());
        next.push(before);
        for (right, above) in b.iter().zip(row.iter().skip(1)) {
            let replaced = diagonal + usize::from(left != right);
            before = replaced.min(before + 1).min(above + 1);
            next.push(before);
            diagonal = *above;
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_edits() {
        let letters = |text: &str| text.chars().collect::<Vec<_>>();
        assert_eq!(distance(&letters("kitten"), &letters("sitting")), 3);
        assert_eq!(distance(&letters(""), &letters("abc")), 3);
        assert_eq!(distance(&letters("abc"), &letters("abc")), 0);
    }

    #[test]
    fn the_nearest_names_come_first_and_strangers_not_at_all() {
        let names = ["claude-sonnet-4-6", "claude-sonnet-4-5", "claude-opus-4-6", "nova-pro", "claude-sonnet-5"];
        let close = near("Claude-Sonet-4-6", names.into_iter());
        assert_eq!(close.first().map(String::as_str), Some("claude-sonnet-4-6"));
        assert!(close.len() <= 3 && !close.iter().any(|name| name == "nova-pro"), "{close:?}");
        assert!(near("qqqq", names.into_iter()).is_empty());
    }
}
