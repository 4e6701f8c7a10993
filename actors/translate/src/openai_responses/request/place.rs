//! Where in a request something stands, for errors.

/// Which item, and so how its members are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::openai_responses) enum Place {
    /// An item of `input`.
    Input(usize),
    /// An item of `items`, which is added to a conversation.
    Added(usize),
    /// A stored item: nothing the client can mend but this parameter, which named it.
    Stored(&'static str),
}

impl Place {
    /// Path of the item.
    pub(super) fn path(self) -> String {
        match self {
            Self::Input(position) => format!("input[{position}]"),
            Self::Added(position) => format!("items[{position}]"),
            Self::Stored(param) => param.to_owned(),
        }
    }

    /// Path of a member of the item.
    pub(super) fn of(self, member: &str) -> String {
        match self {
            Self::Input(_) | Self::Added(_) => format!("{}.{member}", self.path()),
            Self::Stored(_) => self.path(),
        }
    }

    /// True for an item that was there before the request.
    pub(super) fn is_stored(self) -> bool {
        matches!(self, Self::Stored(_))
    }

    /// A part of a list of the item.
    pub(super) fn part(self, list: &'static str, part: usize) -> PartPlace {
        PartPlace { item: self, list, part }
    }
}

/// Which part of which list of which item.
#[derive(Debug, Clone, Copy)]
pub(super) struct PartPlace {
    item: Place,
    list: &'static str,
    part: usize,
}

impl PartPlace {
    /// Path of a member of the part.
    pub(super) fn of(self, member: &str) -> String {
        self.item.of(&format!("{}[{}].{member}", self.list, self.part))
    }
}
