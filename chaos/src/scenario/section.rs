//! Reading one table: each key is taken once, what is left over is unknown. All problems are gathered.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc, time::Duration};

use super::tree::{Node, Place, Problem, Value};
use crate::units::{self, Bound, Rate};

/// Where problems are gathered.
pub(super) type Problems = Rc<RefCell<Vec<Problem>>>;

/// A table being read.
pub(super) struct Section {
    pub(super) place: Place,
    /// What it is, for problems: `phase "steady"`.
    name: String,
    entries: BTreeMap<String, Node>,
    problems: Problems,
}

impl Section {
    pub(super) fn of(name: &str, node: Node, problems: &Problems) -> Self {
        let Node { place, value } = node;
        let entries = match value {
            Value::Table(entries) => entries,
            other => {
                complain(problems, &place, format!("{name} must be a table, not {}", other.kind()));
                BTreeMap::new()
            }
        };
        Self { place, name: name.to_owned(), entries, problems: Rc::clone(problems) }
    }

    /// What is left unread is unknown.
    pub(super) fn finish(self) {
        for (key, node) in &self.entries {
            complain(&self.problems, &node.place, format!("{} has no key `{key}`", self.name));
        }
    }

    pub(super) fn complain(&self, place: &Place, words: impl Into<String>) {
        complain(&self.problems, place, words.into());
    }

    /// Where problems are gathered, for what shows only when everything is read.
    pub(super) fn problems(&self) -> Problems {
        Rc::clone(&self.problems)
    }

    pub(super) fn take(&mut self, key: &str) -> Option<Node> {
        self.entries.remove(key)
    }

    /// Everything that is left.
    pub(super) fn rest(&mut self) -> BTreeMap<String, Node> {
        std::mem::take(&mut self.entries)
    }

    /// A value read by `read`; a problem where it does not fit.
    fn read<T>(&mut self, key: &str, read: impl FnOnce(&Value) -> Result<T, String>) -> Option<T> {
        let node = self.take(key)?;
        match read(&node.value) {
            Ok(value) => Some(value),
            Err(words) => {
                self.complain(&node.place, format!("{}: `{key}`: {words}", self.name));
                None
            }
        }
    }

    fn needed<T>(&self, key: &str, value: Option<T>, had: bool) -> Option<T> {
        if value.is_none() && !had {
            self.complain(&self.place, format!("{} needs `{key}`", self.name));
        }
        value
    }

    pub(super) fn text(&mut self, key: &str) -> Option<String> {
        self.read(key, |value| match value {
            Value::Text(text) => Ok(text.clone()),
            other => Err(format!("must be a text, not {}", other.kind())),
        })
    }

    pub(super) fn needed_text(&mut self, key: &str) -> String {
        let had = self.entries.contains_key(key);
        let text = self.text(key);
        self.needed(key, text, had).unwrap_or_default()
    }

    pub(super) fn duration(&mut self, key: &str) -> Option<Duration> {
        self.read(key, |value| match value {
            Value::Text(text) => units::duration(text),
            other => Err(format!("must be a duration with a unit, as \"30s\", not {}", other.kind())),
        })
    }

    pub(super) fn needed_duration(&mut self, key: &str) -> Duration {
        let had = self.entries.contains_key(key);
        let duration = self.duration(key);
        self.needed(key, duration, had).unwrap_or_default()
    }

    pub(super) fn rate(&mut self, key: &str) -> Option<Rate> {
        self.read(key, |value| match value {
            Value::Text(text) => Rate::read(text),
            other => Err(format!("must be a rate, as \"40/s\", not {}", other.kind())),
        })
    }

    pub(super) fn pause(&mut self, key: &str) -> Option<units::Pause> {
        self.read(key, |value| match value {
            Value::Text(text) => units::Pause::read(text),
            other => Err(format!("must be a duration with a unit, as \"exp 800ms\", not {}", other.kind())),
        })
    }

    pub(super) fn whole(&mut self, key: &str) -> Option<u64> {
        self.read(key, |value| match value {
            Value::Whole(number) => u64::try_from(*number).map_err(|_| "must not be negative".to_owned()),
            other => Err(format!("must be a whole number, not {}", other.kind())),
        })
    }

    pub(super) fn truth(&mut self, key: &str) -> Option<bool> {
        self.read(key, |value| match value {
            Value::Truth(truth) => Ok(*truth),
            other => Err(format!("must be true or false, not {}", other.kind())),
        })
    }

    /// 0.25 or "25%".
    pub(super) fn share(&mut self, key: &str) -> Option<f64> {
        self.read(key, |value| {
            let share = match value {
                Value::Fraction(number) => *number,
                Value::Whole(0) => 0.0,
                Value::Whole(1) => 1.0,
                Value::Text(text) => {
                    let percent = text.strip_suffix('%').and_then(|percent| percent.trim().parse::<f64>().ok());
                    percent.ok_or_else(|| format!("`{text}` is no share: write 0.25 or \"25%\""))? / 100.0
                }
                other => return Err(format!("must be a share, not {}", other.kind())),
            };
            if (0.0..=1.0).contains(&share) { Ok(share) } else { Err(format!("{share} is not between 0 and 1")) }
        })
    }

    pub(super) fn number(&mut self, key: &str) -> Option<f64> {
        self.read(key, |value| match value {
            Value::Fraction(number) if number.is_finite() => Ok(*number),
            #[allow(clippy::cast_precision_loss, reason = "weights and factors are small")]
            Value::Whole(number) => Ok(*number as f64),
            other => Err(format!("must be a number, not {}", other.kind())),
        })
    }

    pub(super) fn texts(&mut self, key: &str) -> Vec<String> {
        let texts = self.read(key, |value| match value {
            Value::List(items) => {
                let text = |item: &Node| match &item.value {
                    Value::Text(text) => Ok(text.clone()),
                    other => Err(format!("must be a list of texts, it holds {}", other.kind())),
                };
                items.iter().map(text).collect()
            }
            other => Err(format!("must be a list of texts, not {}", other.kind())),
        });
        texts.unwrap_or_default()
    }

    /// A table within.
    pub(super) fn section(&mut self, key: &str) -> Option<Section> {
        self.take(key).map(|node| Self::of(&format!("{}'s {key}", self.name), node, &self.problems))
    }

    /// The tables of a list.
    pub(super) fn sections(&mut self, key: &str) -> Vec<Section> {
        let Some(node) = self.take(key) else { return Vec::new() };
        match node.value {
            Value::List(items) => {
                items.into_iter().enumerate().map(|(index, item)| Self::of(&format!("{key} {}", index + 1), item, &self.problems)).collect()
            }
            other => {
                self.complain(&node.place, format!("`{key}` must be a list of tables, not {}", other.kind()));
                Vec::new()
            }
        }
    }

    /// The keys that are left.
    pub(super) fn keys(&self) -> Vec<String> {
        self.entries.keys().cloned().collect()
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }
}

/// A bound from a value: a number means exactly that.
pub(super) fn bound(value: &Value) -> Result<Bound, String> {
    match value {
        #[allow(clippy::cast_precision_loss, reason = "bounds are small")]
        Value::Whole(number) => Ok(Bound::exactly(*number as f64)),
        Value::Fraction(number) if number.is_finite() => Ok(Bound::exactly(*number)),
        Value::Text(text) => Bound::read(text),
        other => Err(format!("must be a bound, as \"<= 2%\", not {}", other.kind())),
    }
}

fn complain(problems: &Problems, place: &Place, words: String) {
    problems.borrow_mut().push(Problem { place: place.clone(), words });
}
