//! "Did you mean": the nearest known name.

/// Most letters that may differ: in long names a third would be another name altogether.
const MOST_SLIPS: usize = 3;

/// The candidate nearest to `name`, if one is near enough to be meant: a third of the letters may differ, at most three.
pub(crate) fn nearest<'c>(name: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let allowed = (name.chars().count() / 3).clamp(1, MOST_SLIPS);
    candidates
        .into_iter()
        .map(|candidate| (distance(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Letters to insert, delete, replace or swap to make `left` into `right`.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=right.len()).collect();
    let mut previous = None;
    for (row, letter) in left.chars().enumerate() {
        let mut current = Vec::with_capacity(above.len());
        current.push(row + 1);
        let mut last = None;
        for (column, other) in right.iter().copied().enumerate() {
            let at = |line: &[usize], position: usize| line.get(position).copied().unwrap_or(usize::MAX / 2);
            let replaced = at(&above, column) + usize::from(letter != other);
            let mut best = replaced.min(at(&above, column + 1) + 1).min(at(&current, column) + 1);
            if column > 0 && previous == Some(other) && last == Some(letter) {
                best = best.min(at(&before, column - 1) + 1);
            }
            current.push(best);
            last = Some(other);
        }
        previous = Some(letter);
        before = std::mem::replace(&mut above, current);
    }
    above.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_insertions_deletions_replacements_and_swaps_as_one() {
        assert_eq!(distance("port", "port"), 0);
        assert_eq!(distance("port", "prt"), 1);
        assert_eq!(distance("port", "porrt"), 1);
        assert_eq!(distance("port", "pork"), 1);
        assert_eq!(distance("port", "prot"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", ""), 3);
    }

    #[test]
    fn the_nearest_name_is_suggested_only_when_it_is_near() {
        assert_eq!(nearest("prot", ["bind", "port"]), Some("port"));
        assert_eq!(nearest("body_limt", ["body_limit", "header_limit"]), Some("body_limit"));
        assert_eq!(nearest("colour", ["bind", "port"]), None);
    }
}
