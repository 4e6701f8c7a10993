//! The book of models: what the data files say, checked as a whole.

mod assemble;
mod betas;
mod builtin;
mod read;
mod rows;

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::Arc,
};

pub use builtin::BUILTIN;
use read::{Place, Reader};
use rows::{BetaFlagRow, BetaRow, GeographyRow, ModelRow, RetiredRow, SpellingRow};
use serde::Deserialize;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{Date, Geographies, ModelSpec, PriceRule};
use crate::ids::{Geography, ModelId};

/// What the data files say of models, names and geographies. Immutable.
#[derive(Debug, Clone, Default)]
pub struct ModelBook {
    pub(super) models: BTreeMap<ModelId, Arc<ModelSpec>>,
    pub(super) aliases: BTreeMap<String, String>,
    pub(super) providers: BTreeMap<String, Vec<String>>,
    pub(super) wrappers: Vec<String>,
    pub(super) dialects: Vec<String>,
    pub(super) geographies: Geographies,
    pub(super) retired: Vec<Retired>,
}

/// Something wrong with the data files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataProblem {
    /// The file, as it was named to [`ModelBook::load`].
    pub file: String,
    /// The line, counted from one, where it is known.
    pub line: Option<u32>,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for DataProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.file, self.message),
            None => write!(f, "{}: {}", self.file, self.message),
        }
    }
}

/// A model, or a pattern of models, that answers no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retired {
    /// Id, or the beginning of ids and a final `*`.
    pub id: String,
    /// What to use instead, best first; never empty.
    pub replacements: Vec<ModelId>,
    /// Since when.
    pub since: Option<Date>,
    /// What to tell the caller.
    pub words: Arc<str>,
    /// Whether the gateway may replace it by itself.
    pub replacing: Replacing,
}

/// Whether a retired model is replaced without asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replacing {
    /// The replacement answers in its place.
    Automatic,
    /// The caller is told; results of the two cannot stand for each other (vectors).
    ByCaller,
}

impl ModelBook {
    /// Reads data files. Later files override rows of earlier ones field by field.
    ///
    /// # Errors
    /// Every problem of every file, in the order of the files.
    pub fn load(files: &[(&str, &str)]) -> Result<Self, Vec<DataProblem>> {
        let mut draft = Draft::default();
        let mut problems = Vec::new();
        for (file, text) in files {
            problems.extend(draft.read(file, text));
        }
        let book = draft.assemble(&mut problems);
        if problems.is_empty() { Ok(book) } else { Err(problems) }
    }

    /// One model by its canonical id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Arc<ModelSpec>> {
        self.models.get(id)
    }

    /// Every model, by id.
    pub fn models(&self) -> impl ExactSizeIterator<Item = &Arc<ModelSpec>> {
        self.models.values()
    }

    /// Retired ids and patterns, in the order of the files.
    #[must_use]
    pub fn retired(&self) -> &[Retired] {
        &self.retired
    }

    /// The regions of each geography, as patterns.
    #[must_use]
    pub fn geographies(&self) -> &Geographies {
        &self.geographies
    }
}

/// Rows read so far, not yet put together.
#[derive(Default)]
struct Draft {
    models: BTreeMap<ModelId, (Place, ModelRow)>,
    families: BTreeMap<String, (Place, toml::Table)>,
    price_rules: BTreeMap<String, PriceRule>,
    aliases: BTreeMap<String, (Place, String)>,
    providers: BTreeMap<String, Vec<String>>,
    wrappers: Vec<String>,
    dialects: Vec<String>,
    geographies: BTreeMap<Geography, Vec<String>>,
    retired: Vec<(Place, RetiredRow)>,
    beta_flags: BTreeMap<String, (Place, BetaFlagRow)>,
    betas: Vec<(Place, BetaRow)>,
}

impl Draft {
    fn read(&mut self, file: &str, text: &str) -> Vec<DataProblem> {
        let mut reader = Reader::new(file, text);
        let top = reader.top();
        for (key, value) in &top {
            match key.get_ref().as_ref() {
                "model" => self.read_models(&mut reader, value),
                "retired" => self.read_retired(&mut reader, value),
                "family" => {
                    for (name, place, table) in entries::<toml::Table>(&mut reader, value) {
                        match self.families.get_mut(&name) {
                            Some((known_place, known)) => {
                                *known_place = place;
                                rows::merge(known, table);
                            }
                            None => drop(self.families.insert(name, (place, table))),
                        }
                    }
                }
                "beta_flag" => {
                    for (name, place, row) in entries::<BetaFlagRow>(&mut reader, value) {
                        let (known_place, known) = self.beta_flags.entry(name).or_insert_with(|| (place.clone(), BetaFlagRow::default()));
                        *known_place = place;
                        known.overlay(row);
                    }
                }
                "beta" => {
                    for value in elements(&mut reader, value) {
                        let place = reader.place(value);
                        self.betas.extend(reader.row::<BetaRow>(value).map(|row| (place, row)));
                    }
                }
                "price_rule" => {
                    self.price_rules.extend(entries::<PriceRule>(&mut reader, value).into_iter().map(|(name, _, rule)| (name, rule)));
                }
                "geography" => {
                    let rows = entries::<GeographyRow>(&mut reader, value);
                    self.geographies.extend(rows.into_iter().map(|(name, _, row)| (Geography::from(name), row.regions)));
                }
                "alias" => {
                    let place = reader.place(value);
                    let names = reader.row::<BTreeMap<String, String>>(value).unwrap_or_default();
                    self.aliases.extend(names.into_iter().map(|(name, model)| (name, (place.clone(), model))));
                }
                "provider" => self.providers.extend(reader.row::<BTreeMap<String, Vec<String>>>(value).unwrap_or_default()),
                "spelling" => {
                    let row = reader.row::<SpellingRow>(value).unwrap_or_default();
                    self.wrappers.extend(row.wrappers);
                    self.dialects.extend(row.dialects);
                }
                unknown => {
                    let message = format!(
                        "unknown section `{unknown}`, expected one of `model`, `retired`, `family`, `beta`, `beta_flag`, `price_rule`, `geography`, `alias`, `provider`, `spelling`"
                    );
                    reader.note(Some(key.span().start), message);
                }
            }
        }
        reader.problems
    }

    fn read_models(&mut self, reader: &mut Reader<'_>, value: &Spanned<DeValue<'_>>) {
        let mut here: HashMap<ModelId, u32> = HashMap::new();
        for value in elements(reader, value) {
            let place = reader.place(value);
            let Some(row) = reader.row::<ModelRow>(value) else { continue };
            let Some(id) = row.id.clone() else {
                reader.note(Some(value.span().start), "a model without `id`");
                continue;
            };
            if let Some(line) = here.insert(id.clone(), place.line) {
                reader.note(Some(value.span().start), format!("model `{id}` is listed twice in this file, first in line {line}"));
                continue;
            }
            match self.models.get_mut(&id) {
                // Problems of the merged row are most likely the later row's.
                Some((known_place, known)) => {
                    *known_place = place;
                    known.overlay(row);
                }
                None => drop(self.models.insert(id, (place, row))),
            }
        }
    }

    fn read_retired(&mut self, reader: &mut Reader<'_>, value: &Spanned<DeValue<'_>>) {
        for value in elements(reader, value) {
            let place = reader.place(value);
            let Some(row) = reader.row::<RetiredRow>(value) else { continue };
            self.retired.retain(|(_, known)| known.id != row.id);
            self.retired.push((place, row));
        }
    }
}

/// The elements of an array of tables.
fn elements<'v, 'i>(reader: &mut Reader<'_>, value: &'v Spanned<DeValue<'i>>) -> Vec<&'v Spanned<DeValue<'i>>> {
    if let Some(array) = value.get_ref().as_array() {
        return array.iter().collect();
    }
    reader.note(Some(value.span().start), "expected an array of tables, written with double brackets");
    Vec::new()
}

/// The named tables of a table of tables.
fn entries<T: for<'de> Deserialize<'de>>(reader: &mut Reader<'_>, value: &Spanned<DeValue<'_>>) -> Vec<(String, Place, T)> {
    let Some(table) = value.get_ref().as_table() else {
        reader.note(Some(value.span().start), "expected a table of tables");
        return Vec::new();
    };
    let table: &DeTable<'_> = table;
    let mut read = Vec::new();
    for (name, value) in table {
        let place = reader.place(value);
        if let Some(row) = reader.row::<T>(value) {
            read.push((name.get_ref().to_string(), place, row));
        }
    }
    read
}

#[cfg(test)]
mod listed_ids;
#[cfg(test)]
mod tests;
