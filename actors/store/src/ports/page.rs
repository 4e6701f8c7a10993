//! Pages of a list of items, with cursors.

use crate::Item;

/// Most bytes of a page with several items: what a hundred large items would have is no answer that a client waits for.
pub const PAGE_BYTES: u64 = 8 << 20;

/// Which part of a list is wanted.
///
/// Cursors are ids of items of the list and are no part of the page. `after` and `before` speak of the order asked for: in
/// descending order, what comes after an item is older. With `after` the page begins right behind that item; with `before` alone
/// it ends right in front of that item, which leads back to the page before; with both it begins behind the one and does not reach
/// the other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// Begin behind this item.
    pub after: Option<String>,
    /// End in front of this item.
    pub before: Option<String>,
    /// Items at most.
    pub limit: PageLimit,
    /// Which end comes first.
    pub order: Order,
}

/// How many items a page holds at most: 1 to 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageLimit(u8);

impl PageLimit {
    /// Largest page. Source: OpenAI's API reference, "list items".
    pub const MAX: u8 = 100;

    /// So many; `None` when it is none or more than [`MAX`](Self::MAX).
    #[must_use]
    pub fn new(items: u64) -> Option<Self> {
        u8::try_from(items).ok().filter(|items| (1..=Self::MAX).contains(items)).map(Self)
    }

    /// So many.
    #[must_use]
    pub fn get(self) -> usize {
        usize::from(self.0)
    }
}

impl Default for PageLimit {
    /// Source: OpenAI's API reference, "list items".
    fn default() -> Self {
        Self(20)
    }
}

/// The order of a page.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Order {
    /// Oldest first.
    Ascending,
    /// Newest first. The default of OpenAI's API.
    #[default]
    Descending,
}

/// A page of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// The items, in the order asked for.
    pub items: Vec<Item>,
    /// Is there more in the direction of the page: behind it, or in front of it when only `before` was given?
    pub has_more: bool,
}

impl Listing {
    /// Id of the first item: `before` for the page in front of this one.
    #[must_use]
    pub fn first_id(&self) -> Option<&str> {
        self.items.first().map(|item| item.id.as_str())
    }

    /// Id of the last item: `after` for the page behind this one.
    #[must_use]
    pub fn last_id(&self) -> Option<&str> {
        self.items.last().map(|item| item.id.as_str())
    }
}

/// Where a page lies in its list, oldest first, whatever its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stretch<P> {
    /// Behind this place; `None` from the oldest on.
    pub(crate) above: Option<P>,
    /// In front of this place; `None` up to the newest.
    pub(crate) below: Option<P>,
    /// The end from which the items are taken.
    pub(crate) from: Order,
}

impl Page {
    /// Where the page lies, when its cursors lie at `after` and `before`.
    pub(crate) fn stretch<P>(&self, after: Option<P>, before: Option<P>) -> Stretch<P> {
        // `before` alone leads back: the items next to it are wanted, not those at the beginning of the list.
        let back = self.before.is_some() && self.after.is_none();
        let from = match (self.order, back) {
            (Order::Ascending, false) | (Order::Descending, true) => Order::Ascending,
            (Order::Ascending, true) | (Order::Descending, false) => Order::Descending,
        };
        match self.order {
            Order::Ascending => Stretch { above: after, below: before, from },
            Order::Descending => Stretch { above: before, below: after, from },
        }
    }

    /// Makes the page from the items at the end of `stretch`, of which it takes one more than the limit at most.
    ///
    /// # Errors
    /// Those of the items.
    pub(crate) fn listing<P, E>(&self, stretch: &Stretch<P>, items: impl Iterator<Item = Result<Item, E>>) -> Result<Listing, E> {
        let (mut taken, mut bytes, mut has_more) = (Vec::new(), 0, false);
        for item in items {
            let item = item?;
            bytes += item.json.bytes();
            if taken.len() == self.limit.get() || (bytes > PAGE_BYTES && !taken.is_empty()) {
                has_more = true;
                break;
            }
            taken.push(item);
        }
        if stretch.from != self.order {
            taken.reverse();
        }
        Ok(Listing { items: taken, has_more })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_one_to_a_hundred_items() {
        assert_eq!(PageLimit::new(0), None);
        assert_eq!(PageLimit::new(1).map(PageLimit::get), Some(1));
        assert_eq!(PageLimit::new(100).map(PageLimit::get), Some(100));
        assert_eq!(PageLimit::new(101), None);
        assert_eq!(PageLimit::new(u64::MAX), None);
        assert_eq!(PageLimit::default().get(), 20);
    }
}
