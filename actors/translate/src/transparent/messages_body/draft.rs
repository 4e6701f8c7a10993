//! A body in the making: what is to change of it, until all rules have spoken.

use std::collections::{BTreeMap, BTreeSet};

use outcrop_domain::{adjust::Adjustments, error::GatewayError};

use super::{Index, is_null, meaning};
use crate::{
    dialect::notes::{Strictness, cannot_be_honoured},
    transparent::json::{Edits, Kind, Span, Text, Value, elements_of, members_of, remove_from, whole},
};

/// Changes of one body. Rules may speak in any order; [`Draft::finish`] makes all changes at once.
pub(in crate::transparent) struct Draft<'t> {
    pub(in crate::transparent) text: &'t [u8],
    pub(super) index: &'t Index,
    /// Most tokens of the answer, as the model will be asked for them.
    pub(super) max_tokens: Option<u64>,
    pub(in crate::transparent) edits: Edits,
    /// Changes of single tools and blocks.
    pub(super) objects: Objects,
    pub(in crate::transparent) notes: Adjustments,
    strictness: Strictness,
    /// What strict mode refuses of the changes that were asked for.
    refused: Option<GatewayError>,
    /// Members of the body that go.
    gone: BTreeSet<usize>,
    /// Members that are written before all others.
    front: Vec<String>,
    /// Messages that go.
    gone_messages: BTreeSet<usize>,
    /// Messages that move behind another one.
    moved_messages: BTreeMap<usize, usize>,
}

impl<'t> Draft<'t> {
    pub(in crate::transparent) fn new(text: &'t [u8], index: &'t Index) -> Self {
        Self {
            text,
            index,
            max_tokens: index.max_tokens,
            edits: Edits::default(),
            objects: Objects::default(),
            notes: Adjustments::default(),
            strictness: Strictness::Lenient,
            refused: None,
            gone: BTreeSet::new(),
            front: Vec::new(),
            gone_messages: BTreeSet::new(),
            moved_messages: BTreeMap::new(),
        }
    }

    /// The same, for changes of that strictness.
    pub(in crate::transparent) fn of(mut self, strictness: Strictness) -> Self {
        self.strictness = strictness;
        self
    }

    /// A member that is there and stays.
    pub(in crate::transparent) fn member(&self, name: &str) -> Option<(Text, Value)> {
        let position = self.position(name)?;
        self.index.members.get(position).copied().filter(|_| !self.gone.contains(&position))
    }

    /// A member that is there, stays, and is not `null`.
    pub(in crate::transparent) fn value(&self, name: &str) -> Option<Value> {
        self.member(name).map(|(_, value)| value).filter(|value| !is_null(*value))
    }

    /// Takes a member away; false when there is none.
    pub(in crate::transparent) fn remove(&mut self, name: &str) -> bool {
        self.position(name).is_some_and(|position| self.gone.insert(position))
    }

    /// Writes a member before all others.
    pub(super) fn put_first(&mut self, member: String) {
        self.front.push(member);
    }

    pub(super) fn remove_message(&mut self, position: usize) {
        self.gone_messages.insert(position);
    }

    pub(super) fn move_message(&mut self, position: usize, behind: usize) {
        self.moved_messages.insert(position, behind);
    }

    /// Leaves out fields, written as in [`outcrop_domain::model::BetaFlag::fields`], and notes those that were there. In strict
    /// mode a body that loses what its answer is another without is not finished.
    pub(in crate::transparent) fn leave_out(&mut self, fields: &[String]) {
        let mut of_tools = Vec::new();
        let mut of_marks = Vec::new();
        for field in fields {
            match field.split_once('.') {
                None => {
                    let means = self.value(field).is_some_and(|value| meaning::is_in(self.text, field, value));
                    if self.remove(field) {
                        self.note_dropped(field.clone(), means);
                    }
                }
                Some(("tools[]", member)) => of_tools.push(member),
                Some(("cache_control", member)) => of_marks.push(member),
                Some((outer, member)) => self.leave_out_of(outer, member),
            }
        }
        self.leave_out_of_tools(&of_tools);
        self.leave_out_of_marks(&of_marks);
    }

    fn leave_out_of(&mut self, outer: &str, member: &str) {
        let Some(object) = self.value(outer).filter(|value| value.kind == Kind::Object) else { return };
        let members = members_of(self.text, object.span);
        let found = members.iter().filter(|(key, _)| key.is(self.text, member)).count();
        if found == 0 {
            return;
        }
        self.notes.note(format!("{outer}.{member}"), "dropped");
        if found == members.len() {
            self.remove(outer);
        } else {
            self.objects.change(object.span).drop.insert(member.to_owned());
        }
    }

    fn leave_out_of_tools(&mut self, members: &[&str]) {
        let Some(tools) = self.value("tools").filter(|_| !members.is_empty()) else { return };
        for tool in elements_of(self.text, tools.span).into_iter().filter(|tool| tool.kind == Kind::Object) {
            for (key, value) in members_of(self.text, tool.span) {
                if let Some(member) = members.iter().find(|member| key.is(self.text, member)) {
                    self.note_dropped(format!("tools.{member}"), meaning::is_in_tool(self.text, member, value));
                    self.objects.change(tool.span).drop.insert((*member).to_owned());
                }
            }
        }
    }

    fn leave_out_of_marks(&mut self, members: &[&str]) {
        for mark in self.index.marks.iter().filter(|_| !members.is_empty()) {
            for (key, _) in members_of(self.text, mark.value) {
                if let Some(member) = members.iter().find(|member| key.is(self.text, member)) {
                    self.notes.note(format!("cache_control.{member}"), "dropped");
                    self.objects.change(mark.value).drop.insert((*member).to_owned());
                }
            }
        }
    }

    /// Notes a field that goes; `means`: the answer is another without it.
    fn note_dropped(&mut self, field: String, means: bool) {
        if means && self.strictness == Strictness::Strict {
            self.refused.get_or_insert_with(|| cannot_be_honoured(field.clone(), "dropped"));
        }
        self.notes.note(field, "dropped");
    }

    /// The changed body.
    ///
    /// # Errors
    /// [`GatewayError::InvalidRequest`] for what strict mode does not leave out, [`GatewayError::Internal`] when rules contradict
    /// each other.
    pub(in crate::transparent) fn finish(mut self) -> Result<(Vec<u8>, Adjustments), GatewayError> {
        if let Some(refused) = self.refused {
            return Err(refused);
        }
        self.objects.write(self.text, &mut self.edits);
        self.arrange_messages()?;
        let members: Vec<Span> = self.index.members.iter().map(whole).collect();
        let gone: Vec<Span> = self.gone.iter().filter_map(|position| members.get(*position)).copied().collect();
        // What was to change within them changes no more.
        self.edits.take_within(&gone, self.text)?;
        remove_from(&members, |position| self.gone.contains(&position), &mut self.edits);
        if let Some(first) = members.first().filter(|_| !self.front.is_empty()) {
            let comma = if self.gone.len() < members.len() { "," } else { "" };
            self.edits.insert(first.start, format!("{}{comma}", self.front.join(",")));
        }
        Ok((self.edits.apply(self.text)?, self.notes))
    }

    fn arrange_messages(&mut self) -> Result<(), GatewayError> {
        if self.gone_messages.is_empty() && self.moved_messages.is_empty() {
            return Ok(());
        }
        let messages: Vec<Span> = self.index.messages.iter().map(|message| message.span).collect();
        let moved: BTreeMap<usize, usize> = std::mem::take(&mut self.moved_messages);
        self.gone_messages.extend(moved.keys());
        let gone: Vec<Span> = self.gone_messages.iter().filter_map(|position| messages.get(*position)).copied().collect();
        let texts = self.edits.take_within(&gone, self.text)?;
        for (position, text) in self.gone_messages.iter().zip(texts) {
            if let Some(behind) = moved.get(position).and_then(|behind| messages.get(*behind)) {
                self.edits.insert(behind.end, format!(",{}", String::from_utf8(text).unwrap_or_default()));
            }
        }
        remove_from(&messages, |position| self.gone_messages.contains(&position), &mut self.edits);
        Ok(())
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.index.members.iter().position(|(key, _)| key.is(self.text, name))
    }
}

/// Changes of single objects, collected so that each is looked at once, whatever the number of rules that speak of it.
#[derive(Default)]
pub(super) struct Objects(BTreeMap<Span, Change>);

/// What changes of an object.
#[derive(Default)]
pub(super) struct Change {
    /// Members that go.
    pub(super) drop: BTreeSet<String>,
    /// A member that is added at its end, key and all.
    pub(super) add: Option<String>,
}

impl Objects {
    pub(super) fn change(&mut self, object: Span) -> &mut Change {
        self.0.entry(object).or_default()
    }

    /// A member of an object goes.
    pub(super) fn drops(&self, object: Span, member: &str) -> bool {
        self.0.get(&object).is_some_and(|change| change.drop.contains(member))
    }

    /// Takes back what was to change within a part that goes.
    pub(super) fn forget_within(&mut self, part: Span) {
        let within: Vec<Span> = self.0.range(Span::at(part.start)..Span::at(part.end)).map(|(object, _)| *object).collect();
        for object in within {
            self.0.remove(&object);
        }
    }

    fn write(&mut self, text: &[u8], edits: &mut Edits) {
        // Members that go take along what was to change within them. The outer objects come first.
        let mut cut: BTreeSet<Span> = BTreeSet::new();
        for (object, change) in std::mem::take(&mut self.0) {
            let before = cut.range(..Span::at(object.start.saturating_add(1))).next_back();
            if before.is_some_and(|cut| cut.contains(object)) {
                continue;
            }
            let members = members_of(text, object);
            let gone: Vec<bool> =
                members.iter().map(|(key, _)| key.decode(text).is_some_and(|name| change.drop.contains(name.as_ref()))).collect();
            cut.extend(members.iter().zip(&gone).filter(|(_, gone)| **gone).map(|(member, _)| member.1.span));
            let spans: Vec<Span> = members.iter().map(whole).collect();
            remove_from(&spans, |position| gone.get(position).copied().unwrap_or(false), edits);
            if let Some(add) = change.add {
                let empty = gone.iter().all(|gone| *gone);
                // Before the closing brace: behind what is cut there.
                edits.insert(object.end.saturating_sub(1), format!("{}{add}", if empty { "" } else { "," }));
            }
        }
    }
}
