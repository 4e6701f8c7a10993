//! The index of spellings: from a name's words to the models it may mean.

use std::collections::HashMap;

use super::spelling::{Spelling, prefixed};

/// What a spelling may mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Meaning {
    /// A model: index of its entry.
    Model(usize),
    /// A retired model: index of its row.
    Retired(usize),
}

/// One model under one spelling.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub(super) meaning: Meaning,
    /// The id's part before the first dot.
    pub(super) prefix: String,
    /// How the model itself is spelled.
    pub(super) spelling: Spelling,
    /// Lower is better: see the ranks below.
    pub(super) rank: u8,
}

/// Rank of models that can be called.
pub(super) const CALLABLE_RANK: u8 = 0;
/// Rank of models that are known and cannot.
pub(super) const KNOWN_RANK: u8 = 1;
/// Rank of ids that only the other endpoint knows.
pub(super) const MANTLE_RANK: u8 = 2;
/// Rank of retired ids.
pub(super) const RETIRED_RANK: u8 = 3;

/// From keys to models, best first.
#[derive(Debug, Clone, Default)]
pub(super) struct WordIndex {
    keys: HashMap<String, Vec<Candidate>>,
}

impl WordIndex {
    pub(super) fn insert(&mut self, candidate: &Candidate) {
        let spelling = &candidate.spelling;
        let (whole, stem) = (spelling.whole.clone(), spelling.stem.clone());
        let mut keys = vec![prefixed(&candidate.prefix, &whole), prefixed(&candidate.prefix, &stem), whole, stem];
        keys.sort_unstable();
        keys.dedup();
        for key in keys {
            self.keys.entry(key).or_default().push(candidate.clone());
        }
    }

    /// Puts the best candidate of each key first: by rank, then the newest.
    pub(super) fn sort(&mut self) {
        for candidates in self.keys.values_mut() {
            candidates.sort_by(|a, b| {
                let newer = (b.spelling.date, b.spelling.version).cmp(&(a.spelling.date, a.spelling.version));
                a.rank.cmp(&b.rank).then(newer)
            });
        }
    }

    /// The best model for a spelling. `allowed` filters by the id's prefix.
    pub(super) fn best(&self, asked: &Spelling, allowed: impl Fn(&str) -> bool) -> Option<Meaning> {
        let of = |key: &str| self.keys.get(key).into_iter().flatten().filter(|candidate| allowed(&candidate.prefix));
        let whole = of(&asked.whole).next();
        // Ids of the other endpoint carry no date or version, so they would agree with any.
        let says_as_much = |own: &Spelling| (own.date, own.version) == (asked.date, asked.version);
        let agrees = |candidate: &&Candidate| {
            candidate.spelling.agrees_with(asked) && (candidate.rank != MANTLE_RANK || says_as_much(&candidate.spelling))
        };
        whole.or_else(|| of(&asked.stem).find(agrees)).map(|candidate| candidate.meaning)
    }

    /// Spellings that mean several models equally well: none in a healthy book.
    #[cfg(test)]
    pub(super) fn collisions(&self) -> Vec<String> {
        let mut found = Vec::new();
        for (key, candidates) in &self.keys {
            let mut alike: HashMap<_, std::collections::HashSet<Meaning>> = HashMap::new();
            for candidate in candidates {
                let age = (candidate.spelling.date, candidate.spelling.version, candidate.rank);
                alike.entry(age).or_default().insert(candidate.meaning);
            }
            if alike.values().any(|meanings| meanings.len() > 1) {
                found.push(key.clone());
            }
        }
        found
    }
}

/// Beginnings of retired names, as words.
#[derive(Debug, Clone, Default)]
pub(super) struct RetiredWords {
    /// (prefix of ids, words, row)
    patterns: Vec<(String, Vec<String>, usize)>,
}

impl RetiredWords {
    /// Adds a pattern: the beginning of ids, without its final `*`.
    pub(super) fn insert(&mut self, beginning: &str, row: usize) {
        let (prefix, rest) = beginning.split_once('.').unwrap_or(("", beginning));
        self.patterns.push((prefix.to_owned(), super::spelling::words_in_order(rest), row));
    }

    /// The row whose beginning `name` has, word for word.
    pub(super) fn find(&self, name: &str, allowed: impl Fn(&str) -> bool) -> Option<usize> {
        let asked = super::spelling::words_in_order(name);
        let found = self.patterns.iter().find(|(prefix, words, _)| allowed(prefix) && asked.starts_with(words));
        found.map(|(_, _, row)| *row)
    }
}
