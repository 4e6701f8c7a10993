//! Cuts and pastes by span.

use std::borrow::Cow;

use outcrop_domain::error::GatewayError;

use super::Span;

/// Changes of one text, collected in any order and made at once. They must not overlap.
#[derive(Debug, Clone, Default)]
pub(in crate::transparent) struct Edits(Vec<Edit>);

#[derive(Debug, Clone)]
struct Edit {
    span: Span,
    with: Cow<'static, str>,
}

impl Edits {
    /// Puts `with` in the place of a span.
    pub(in crate::transparent) fn replace(&mut self, span: Span, with: impl Into<Cow<'static, str>>) {
        self.0.push(Edit { span, with: with.into() });
    }

    /// Puts `text` before the byte at `place`. Of several at one place the first comes first.
    pub(in crate::transparent) fn insert(&mut self, place: u32, text: impl Into<Cow<'static, str>>) {
        self.replace(Span::at(place), text);
    }

    pub(in crate::transparent) fn delete(&mut self, span: Span) {
        self.replace(span, "");
    }

    pub(in crate::transparent) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The changed text.
    ///
    /// # Errors
    /// [`GatewayError::Internal`] when changes overlap: a fault of ours, and half a change must not be sent.
    pub(in crate::transparent) fn apply(self, text: &[u8]) -> Result<Vec<u8>, GatewayError> {
        self.apply_to(Span::new(0, text.len()), text)
    }

    /// Takes out the changes within some parts, which stand in order and apart: each part as it will read. What is left
    /// changes the rest.
    ///
    /// # Errors
    /// As [`Edits::apply`].
    pub(in crate::transparent) fn take_within(&mut self, parts: &[Span], text: &[u8]) -> Result<Vec<Vec<u8>>, GatewayError> {
        let mut inside: Vec<Self> = vec![Self::default(); parts.len()];
        let mut outside = Vec::new();
        for edit in std::mem::take(&mut self.0) {
            let index = parts.partition_point(|part| part.start <= edit.span.start).checked_sub(1);
            let holder = index.filter(|index| parts.get(*index).is_some_and(|part| part.contains(edit.span)));
            match holder.and_then(|index| inside.get_mut(index)) {
                Some(holder) => holder.0.push(edit),
                None => outside.push(edit),
            }
        }
        self.0 = outside;
        inside.into_iter().zip(parts).map(|(edits, part)| edits.apply_to(*part, text)).collect()
    }

    fn apply_to(mut self, part: Span, text: &[u8]) -> Result<Vec<u8>, GatewayError> {
        // Stable: insertions at one place keep their order, and stand before a cut that begins there.
        self.0.sort_by_key(|edit| edit.span);
        let added: usize = self.0.iter().map(|edit| edit.with.len()).sum();
        let mut out = Vec::with_capacity(part.range().len() + added);
        let mut done = part.start;
        for edit in &self.0 {
            if edit.span.start < done || edit.span.end > part.end {
                return Err(GatewayError::Internal { message: "the changes of a request body overlap".to_owned() });
            }
            out.extend_from_slice(Span { start: done, end: edit.span.start }.of(text));
            out.extend_from_slice(edit.with.as_bytes());
            done = edit.span.end;
        }
        out.extend_from_slice(Span { start: done, end: part.end }.of(text));
        Ok(out)
    }
}

/// Removes members of an object, or elements of an array, with the commas that they need no more. `all` are the spans of
/// all of them in order (a member begins with its key), `gone` tells which shall go.
pub(in crate::transparent) fn remove_from(all: &[Span], gone: impl Fn(usize) -> bool, edits: &mut Edits) {
    let mut kept_before = false;
    for (index, member) in all.iter().enumerate() {
        if !gone(index) {
            kept_before = true;
            continue;
        }
        // With the comma before it, where something stays before it; else with the comma after it.
        let before = index.checked_sub(1).and_then(|before| all.get(before)).filter(|_| kept_before);
        let start = before.map_or(member.start, |before| before.end);
        let end = all.get(index + 1).filter(|_| !kept_before).map_or(member.end, |next| next.start);
        edits.delete(Span { start, end });
    }
}
