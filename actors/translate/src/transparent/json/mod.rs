//! JSON as text: where its parts stand, and how to change single parts without touching the rest.
//!
//! Bodies that pass through must keep their field order, their spelling of numbers and everything nobody here has heard
//! of. So nothing is parsed into trees: [`Scanner`] finds spans in one pass, [`Edits`] cuts and pastes by span.

mod block_number;
mod edit;
mod parts;
mod scan;

pub(super) use block_number::after_number;
pub(super) use edit::{Edits, remove_from};
pub(super) use parts::{elements_of, members_of, object, said, whole, whole_number};
pub(super) use scan::{Fault, Kind, Members, Scanner, Span, Text, Value};

#[cfg(test)]
mod tests;
