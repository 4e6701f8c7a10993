//! Where something stands in a request, as Anthropic's errors write it: `messages.0.content.1.source`.

use std::fmt;

/// An element of a list, and the element that it stands in. Written out only where an error needs it.
#[derive(Clone, Copy)]
pub(crate) struct Place<'p> {
    parent: Option<&'p Place<'p>>,
    list: &'static str,
    index: usize,
}

impl<'p> Place<'p> {
    /// An element of a list at the top.
    pub(crate) fn top(list: &'static str, index: usize) -> Self {
        Self { parent: None, list, index }
    }

    /// An element of a list of this one.
    pub(crate) fn inside(&'p self, list: &'static str, index: usize) -> Place<'p> {
        Self { parent: Some(self), list, index }
    }

    /// Path of a member of this element.
    pub(crate) fn of(&self, member: &str) -> String {
        format!("{self}.{member}")
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            write!(f, "{parent}.")?;
        }
        write!(f, "{}.{}", self.list, self.index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_the_path_to_it() {
        let message = Place::top("messages", 3);
        let block = message.inside("content", 0);
        assert_eq!(block.inside("source.content", 12).of("text"), "messages.3.content.0.source.content.12.text");
    }
}
