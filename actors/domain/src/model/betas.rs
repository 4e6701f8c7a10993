//! `anthropic_beta` flags: which ones a model takes, and which fields of a body live and die with them.
//!
//! Bedrock refuses a whole request for one flag that it does not know, and the set it knows differs from model to model and
//! from surface to surface. Clients send whatever Anthropic's own API knows. So flags are sorted before they are sent, and a
//! flag that goes takes its fields with it, because those would be refused next. Source of the facts: `betas.toml`.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

/// The flags of one model, per surface.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ModelBetas {
    /// On Converse.
    pub converse: Arc<BetaRules>,
    /// On InvokeModel, with the model's own body.
    pub invoke: Arc<BetaRules>,
}

/// The flags of one model on one surface. Without any rule every flag is left out.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BetaRules {
    /// What each flag means; the same for all models. Like those of `flags`, names may be beginnings and a final `*`; a whole
    /// name counts before a beginning, a longer beginning before a shorter one.
    pub glossary: Arc<BTreeMap<String, BetaFlag>>,
    /// What becomes of each flag.
    pub flags: BTreeMap<String, FlagStanding>,
    /// What becomes of all others.
    pub unproven: UnprovenFlags,
    /// Fields of the body by what becomes of them without a flag.
    pub fields: BTreeMap<String, FieldStanding>,
}

/// What a flag means, wherever it is sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BetaFlag {
    /// The flags that Bedrock has instead of it.
    pub means: Vec<String>,
    /// Fields that need it: `name`, `name.member`, `tools[].member` for members of all tools, `cache_control.member` for
    /// members of all cache marks.
    pub fields: Vec<String>,
}

/// What is known of a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlagStanding {
    /// It is taken.
    Accepted,
    /// It is a 400, or does nothing here.
    Refused,
    /// Nobody has said.
    Unproven,
}

/// What becomes of flags that nobody has said anything of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnprovenFlags {
    /// They are sent. If upstream refuses them the call is made again without them.
    Pass,
    /// They are left out.
    #[default]
    Drop,
}

/// What becomes of a field without its flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldStanding {
    /// It is taken without a flag.
    Free,
    /// It is refused with any flag, and the answer is the same without it: it is left out.
    Dropped,
}

/// How the flags of one request were sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BetaChoice {
    /// Flags to send, each once, as the surface spells them.
    pub sent: Vec<String>,
    /// Those of them that nobody has said anything of.
    pub unproven: Vec<String>,
    /// The client's flags that are not sent.
    pub dropped: Vec<String>,
    /// The client's flags and what is sent instead.
    pub renamed: Vec<(String, String)>,
    /// Fields of the body that go with the dropped flags, and those that this surface never takes.
    pub dropped_fields: Vec<String>,
}

impl BetaRules {
    /// Rules that accept exactly these flags.
    #[must_use]
    pub fn accepting<'a>(flags: impl IntoIterator<Item = &'a str>) -> Self {
        let flags = flags.into_iter().map(|flag| (flag.to_owned(), FlagStanding::Accepted)).collect();
        Self { flags, ..Self::default() }
    }

    /// What is known of a flag, as the surface spells it.
    #[must_use]
    pub fn standing(&self, flag: &str) -> FlagStanding {
        found(&self.flags, flag).copied().unwrap_or(FlagStanding::Unproven)
    }

    /// True when the flag is known to be taken.
    #[must_use]
    pub fn accepts(&self, flag: &str) -> bool {
        self.standing(flag) == FlagStanding::Accepted
    }

    /// Sorts the flags of a request. `asked` are the values of headers and fields: flags, or several with commas between.
    /// `refused` are flags that upstream has refused for this model before.
    #[must_use]
    pub fn choose<'a>(&self, asked: impl IntoIterator<Item = &'a str>, refused: &[String]) -> BetaChoice {
        let mut choice = BetaChoice::default();
        let mut seen: Vec<&str> = Vec::new();
        for flag in asked.into_iter().flat_map(|value| value.split(',')).map(str::trim).filter(|flag| !flag.is_empty()) {
            if seen.contains(&flag) {
                continue;
            }
            if seen.len() == MAX_FLAGS {
                choice.dropped.push(MORE_FLAGS.to_owned());
                break;
            }
            seen.push(flag);
            self.sort(flag, refused, &mut choice);
        }
        choice.dropped_fields = self.orphans(&seen, &choice.sent);
        choice
    }

    fn sort(&self, flag: &str, refused: &[String], choice: &mut BetaChoice) {
        let meant = found(&self.glossary, flag).map(|known| known.means.as_slice()).filter(|means| !means.is_empty());
        let own = [flag.to_owned()];
        let mut sent = false;
        for name in meant.unwrap_or(&own) {
            let standing = self.standing(name);
            let passes = match standing {
                FlagStanding::Accepted => true,
                FlagStanding::Refused => false,
                // What the client did not write itself is not tried on a guess.
                FlagStanding::Unproven => self.unproven == UnprovenFlags::Pass && meant.is_none(),
            };
            if !passes || refused.contains(name) {
                continue;
            }
            sent = true;
            if meant.is_some() {
                choice.renamed.push((flag.to_owned(), name.clone()));
            }
            if !choice.sent.contains(name) {
                choice.sent.push(name.clone());
                if standing == FlagStanding::Unproven {
                    choice.unproven.push(name.clone());
                }
            }
        }
        if !sent {
            choice.dropped.push(flag.to_owned());
        }
    }

    /// Fields that must go when only `sent` is left of the flags that were `asked` for.
    #[must_use]
    pub fn orphans(&self, asked: &[&str], sent: &[String]) -> Vec<String> {
        let fields_of = |flag: &str| found(&self.glossary, flag).map(|known| known.fields.as_slice()).unwrap_or_default();
        let held = |field: &String| {
            self.fields.get(field) == Some(&FieldStanding::Free) || sent.iter().any(|flag| fields_of(flag).contains(field))
        };
        let never = self.fields.iter().filter(|(_, standing)| **standing == FieldStanding::Dropped).map(|(field, _)| field);
        let lost = asked.iter().filter(|flag| !sent.iter().any(|sent| sent == *flag)).flat_map(|flag| fields_of(flag));
        let mut fields: Vec<String> = Vec::new();
        for field in never.chain(lost.filter(|field| !held(field))) {
            if !fields.contains(field) {
                fields.push(field.clone());
            }
        }
        fields
    }
}

/// The row of a name: under the whole name, else under its longest beginning that has one.
fn found<'m, T>(rows: &'m BTreeMap<String, T>, name: &str) -> Option<&'m T> {
    let beginnings = || {
        let patterns = rows.iter().filter_map(|(pattern, row)| Some((pattern.strip_suffix('*')?, row)));
        patterns.filter(|(beginning, _)| name.starts_with(beginning)).max_by_key(|(beginning, _)| beginning.len())
    };
    rows.get(name).or_else(|| beginnings().map(|(_, row)| row))
}

/// Most flags of a request that are looked at. Clients send some fifteen; a header of a million must not be sorted.
const MAX_FLAGS: usize = 100;

/// Stands for the flags after them.
const MORE_FLAGS: &str = "more";

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> BetaRules {
        let flag = |means: &[&str], fields: &[&str]| {
            let owned = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
            BetaFlag { means: owned(means), fields: owned(fields) }
        };
        let glossary = BTreeMap::from([
            ("all-tools".to_owned(), flag(&["find-tools", "show-tools"], &["tools[].defer", "tools[].examples"])),
            ("find-tools".to_owned(), flag(&[], &["tools[].defer"])),
            ("clean".to_owned(), flag(&[], &["cleaning"])),
            ("squeeze".to_owned(), flag(&[], &["cleaning"])),
            ("effort".to_owned(), flag(&[], &["output.effort"])),
        ]);
        let flags = [
            ("find-tools", FlagStanding::Accepted),
            ("show-tools", FlagStanding::Refused),
            ("clean", FlagStanding::Accepted),
            ("squeeze", FlagStanding::Refused),
            ("effort", FlagStanding::Refused),
            ("web-*", FlagStanding::Refused),
            ("web-good-*", FlagStanding::Accepted),
            ("web-good-not", FlagStanding::Refused),
        ];
        BetaRules {
            glossary: Arc::new(glossary),
            flags: flags.map(|(name, standing)| (name.to_owned(), standing)).into(),
            unproven: UnprovenFlags::Pass,
            fields: BTreeMap::from([("output.effort".to_owned(), FieldStanding::Free), ("diagnostics".to_owned(), FieldStanding::Dropped)]),
        }
    }

    #[test]
    fn the_whole_name_counts_before_the_longest_beginning() {
        let rules = rules();
        let standing = ["web-x", "web-good-x", "web-good-not", "else"].map(|flag| rules.standing(flag));
        assert_eq!(standing, [FlagStanding::Refused, FlagStanding::Accepted, FlagStanding::Refused, FlagStanding::Unproven]);
        assert!(rules.accepts("clean") && !rules.accepts("else"));
    }

    #[test]
    fn flags_are_split_trimmed_renamed_and_told_apart() {
        let choice = rules().choose(["clean, new-thing", " all-tools ,,clean", "web-x"], &[]);
        assert_eq!(choice.sent, ["clean", "new-thing", "find-tools"]);
        assert_eq!(choice.unproven, ["new-thing"]);
        assert_eq!(choice.dropped, ["web-x"]);
        assert_eq!(choice.renamed, [("all-tools".to_owned(), "find-tools".to_owned())]);
        assert_eq!(choice.dropped_fields, ["diagnostics", "tools[].examples"], "the flag sent instead keeps its own field");
    }

    #[test]
    fn a_dropped_flag_takes_its_fields_unless_something_else_holds_them() {
        assert_eq!(rules().choose(["squeeze"], &[]).dropped_fields, ["diagnostics", "cleaning"]);
        assert_eq!(rules().choose(["squeeze", "clean"], &[]).dropped_fields, ["diagnostics"], "the other flag holds it");
        assert_eq!(rules().choose(["effort"], &[]).dropped_fields, ["diagnostics"], "it needs no flag");
    }

    #[test]
    fn what_was_refused_before_is_not_sent_again() {
        let choice = rules().choose(["new-thing", "clean"], &["new-thing".to_owned(), "clean".to_owned()]);
        assert_eq!((choice.sent.len(), choice.dropped.as_slice()), (0, &["new-thing".to_owned(), "clean".to_owned()][..]));
        assert_eq!(choice.dropped_fields, ["diagnostics", "cleaning"]);
    }

    #[test]
    fn without_rules_nothing_is_sent() {
        let choice = BetaRules::default().choose(["clean"], &[]);
        assert_eq!((choice.sent.len(), choice.dropped.as_slice()), (0, &["clean".to_owned()][..]));
        assert_eq!(BetaRules::accepting(["a"]).choose(["a,b"], &[]).sent, ["a"]);
    }

    #[test]
    fn a_header_without_end_is_looked_at_in_part() {
        let many: Vec<String> = (0..1000).map(|number| format!("flag-{number}")).collect();
        let choice = rules().choose(many.iter().map(String::as_str), &[]);
        assert_eq!((choice.sent.len(), choice.dropped.as_slice()), (MAX_FLAGS, &[MORE_FLAGS.to_owned()][..]));
    }
}
