//! Puts the rows about `anthropic_beta` flags together, model by model.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    DataProblem,
    assemble::lineage,
    read::Place,
    rows::{BetaFlagRow, BetaRow},
};
use crate::{
    ids::ModelId,
    model::{BetaFlag, BetaRules, FieldStanding, FlagStanding, ModelBetas, Surface},
};

/// Every row about flags, checked.
pub(super) struct Betas<'f> {
    glossary: Arc<BTreeMap<String, BetaFlag>>,
    rows: Vec<Row>,
    families: &'f BTreeMap<String, (Place, toml::Table)>,
}

/// One row, and whether any model has had use of it.
struct Row {
    place: Place,
    of: Of,
    surface: Surface,
    row: BetaRow,
    used: bool,
}

/// Which models a row is about.
enum Of {
    Family(String),
    /// Id, or the beginning of ids and a final `*`.
    Models(String),
}

impl<'f> Betas<'f> {
    pub(super) fn new(
        flags: BTreeMap<String, (Place, BetaFlagRow)>,
        rows: Vec<(Place, BetaRow)>,
        families: &'f BTreeMap<String, (Place, toml::Table)>,
        problems: &mut Vec<DataProblem>,
    ) -> Self {
        let mut glossary = BTreeMap::new();
        for (name, (place, row)) in flags {
            let flag = BetaFlag { means: row.means.unwrap_or_default(), fields: row.fields.unwrap_or_default() };
            if flag.means.contains(&name) {
                problems.push(place.problem(format!("beta flag `{name}` means itself")));
            }
            problems.extend(wrong_fields(&flag.fields).map(|field| place.problem(format!("beta flag `{name}`: {field}"))));
            glossary.insert(name, flag);
        }
        let rows = rows.into_iter().filter_map(|(place, row)| Row::checked(place, row, families, problems)).collect();
        Self { glossary: Arc::new(glossary), rows, families }
    }

    /// The flags of a model: what its families say, the widest first, and then what is said of its id. Of several rows about
    /// one flag the last one counts.
    pub(super) fn of(&mut self, id: &ModelId, family: Option<&str>) -> ModelBetas {
        let families: Vec<&str> = family
            .and_then(|family| lineage(family, self.families).ok())
            .map(|chain| chain.into_iter().rev().map(|(name, _)| name).collect())
            .unwrap_or_default();
        ModelBetas {
            converse: Arc::new(self.rules(Surface::Converse, id, &families)),
            invoke: Arc::new(self.rules(Surface::Invoke, id, &families)),
        }
    }

    fn rules(&mut self, surface: Surface, id: &ModelId, families: &[&str]) -> BetaRules {
        let mut rules = BetaRules { glossary: Arc::clone(&self.glossary), ..BetaRules::default() };
        // Rank of a row: its family's place in the line, or behind all of them.
        let rank = |row: &Row| match &row.of {
            Of::Family(family) => families.iter().position(|known| known == family),
            Of::Models(pattern) => matches(pattern, id.as_str()).then_some(families.len()),
        };
        let mut fitting: Vec<(usize, &mut Row)> =
            self.rows.iter_mut().filter(|row| row.surface == surface).filter_map(|row| Some((rank(row)?, row))).collect();
        // Stable: rows of one rank stay in the order of the files.
        fitting.sort_by_key(|(rank, _)| *rank);
        for (_, row) in fitting {
            row.used = true;
            lay(&row.row, &mut rules);
        }
        rules
    }

    /// A row that no model has use of has a slip of the pen in its pattern.
    pub(super) fn tell_unused(&self, problems: &mut Vec<DataProblem>) {
        for row in self.rows.iter().filter(|row| !row.used) {
            if let Of::Models(pattern) = &row.of {
                problems.push(row.place.problem(format!("beta row: `{pattern}` is the id of no chat model of the book")));
            }
        }
    }
}

impl Row {
    fn checked(
        place: Place,
        row: BetaRow,
        families: &BTreeMap<String, (Place, toml::Table)>,
        problems: &mut Vec<DataProblem>,
    ) -> Option<Self> {
        let mut problem = |message: String| problems.push(place.problem(format!("beta row: {message}")));
        let of = match (&row.family, &row.models) {
            (Some(family), None) if families.contains_key(family) => Some(Of::Family(family.clone())),
            (Some(family), None) => {
                problem(format!("family `{family}` does not exist"));
                None
            }
            (None, Some(pattern)) if pattern.trim_end_matches('*').contains('*') => {
                problem(format!("`{pattern}` has a `*` that is not its end"));
                None
            }
            (None, Some(pattern)) => Some(Of::Models(pattern.clone())),
            _ => {
                problem("names either a `family` or `models`".to_owned());
                None
            }
        };
        let surface = row.surface.filter(|surface| matches!(surface, Surface::Converse | Surface::Invoke));
        if surface.is_none() {
            problem("`surface` is `converse` or `invoke`".to_owned());
        }
        let refused: BTreeSet<&String> = row.refused.iter().collect();
        for flag in row.accepted.iter().filter(|flag| refused.contains(flag)) {
            problem(format!("`{flag}` is both accepted and refused"));
        }
        for field in wrong_fields(&row.free_fields).chain(wrong_fields(&row.dropped_fields)) {
            problem(field);
        }
        Some(Self { of: of?, surface: surface?, place, row, used: false })
    }
}

fn matches(pattern: &str, id: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == id, |beginning| id.starts_with(beginning))
}

fn lay(row: &BetaRow, rules: &mut BetaRules) {
    let standings = [(&row.accepted, FlagStanding::Accepted), (&row.refused, FlagStanding::Refused)];
    for (flags, standing) in standings {
        rules.flags.extend(flags.iter().map(|flag| (flag.clone(), standing)));
    }
    for (fields, standing) in [(&row.free_fields, FieldStanding::Free), (&row.dropped_fields, FieldStanding::Dropped)] {
        rules.fields.extend(fields.iter().map(|field| (field.clone(), standing)));
    }
    rules.unproven = row.unproven.unwrap_or(rules.unproven);
}

/// Fields that are written in no way that anything is done with.
fn wrong_fields(fields: &[String]) -> impl Iterator<Item = String> {
    let word = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let right = move |field: &String| match field.split_once('.') {
        None => word(field),
        Some((outer, member)) => word(member) && (word(outer) || outer == "tools[]"),
    };
    let wrong = fields.iter().filter(move |field| !right(field));
    wrong.map(|field| format!("`{field}` is no field such as `name`, `name.member` or `tools[].member`"))
}
