//! `system`: order and number of the blocks stay as they are, since clients build their cached prefix on it.

use outcrop_domain::{chat::SystemBlock, error::GatewayError};
use outcrop_protocol::anthropic::messages::Content;

use super::{
    caching,
    faults::{missing, unknown_tag},
    place::Place,
};
use crate::dialect::notes::Notes;

/// Reads the instructions before the conversation.
pub(super) fn read(system: Option<Content>, notes: &mut Notes) -> Result<Vec<SystemBlock>, GatewayError> {
    let blocks = match system {
        None => return Ok(Vec::new()),
        Some(Content::Text(text)) if text.is_empty() => return Ok(Vec::new()),
        Some(Content::Text(text)) => return Ok(vec![SystemBlock::Text(text)]),
        Some(Content::List(blocks)) => blocks,
    };
    let mut read = Vec::with_capacity(blocks.len());
    for (position, block) in blocks.into_iter().enumerate() {
        let place = Place::top("system", position);
        match block.kind.as_deref() {
            Some("text") => {}
            None if block.text.is_some() => {}
            None => return Err(missing(place.of("type"))),
            Some(kind) => return Err(unknown_tag(place.to_string(), kind, &["text"])),
        }
        let mark = caching::mark(block.cache_control.as_ref(), || place.of("cache_control"), notes)?;
        read.push(SystemBlock::Text(block.text.ok_or_else(|| missing(place.of("text")))?));
        read.extend(mark.map(SystemBlock::CachePoint));
    }
    Ok(read)
}
