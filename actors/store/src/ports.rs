//! What stored responses and conversations are, and what a store does with them.

pub(crate) mod conversations;
pub(crate) mod page;
pub(crate) mod record;
pub(crate) mod responses;
