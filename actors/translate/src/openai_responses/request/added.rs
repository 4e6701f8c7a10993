//! Items that are added to a conversation, read as the requests will read them that go on from it.

use std::collections::BTreeMap;

use outcrop_domain::{
    chat::{MediaFormat, MediaKind},
    error::GatewayError,
    json::JsonText,
};

use super::{ItemReader, media_urls::urls_of_added, place::Place, tools::Offer};
use crate::{
    dialect::{
        Sniff,
        media::{Fetched, FetchedMedia},
        notes::{Notes, Strictness},
    },
    openai_chat::request::caching::Lifetimes,
};

/// Refuses what no request could read: it would stand in the way of every request that goes on from the conversation, and none of them
/// could name it. What a web address holds is not known before a request fetches it.
pub(in crate::openai_responses) fn check(items: &[JsonText], sniff: Sniff) -> Result<(), GatewayError> {
    let fetched = as_if_fetched(items);
    let (lifetimes, referenced) = (Lifetimes::default(), BTreeMap::new());
    let (mut offer, mut notes) = (Offer::of_any(), Notes::new(Strictness::Lenient));
    for (position, item) in items.iter().enumerate() {
        // Each by itself: what was read of it is let go before the next.
        let mut reader = ItemReader::new(&fetched, sniff, &lifetimes, &referenced, &mut offer, &mut notes, false);
        reader.item(item.get(), Place::Added(position))?;
    }
    Ok(())
}

/// Every address, as that of a picture: they may stand wherever addresses may.
fn as_if_fetched(items: &[JsonText]) -> FetchedMedia {
    let mut fetched = FetchedMedia::default();
    for address in urls_of_added(items) {
        let format = MediaFormat { kind: MediaKind::Image, name: "png" };
        fetched.insert(address.url, Fetched { base64: String::new(), format });
    }
    fetched
}
