//! The event that nearly all of a ConverseStream answer are: a piece of text, or of a tool call's input. It is told by how AWS
//! writes it, and nothing is copied out of it.

use crate::transparent::json::{Scanner, Span, after_number};

const START: &[u8] = br#"{"contentBlockIndex":"#;

/// How a piece goes on after the index, and what closes it. Pieces of thinking are rarer, and may be signatures.
const PIECES: [(&[u8], &[u8]); 2] = [(br#","delta":{"text":"#, b"}"), (br#","delta":{"toolUse":{"input":"#, b"}}")];

/// Padding, which hides the length of the piece from whoever listens on the wire.
const PADDING: &[u8] = br#","p":"#;

/// Bytes that a piece says; `None` for an event that is none, or that is written in another way.
pub(super) fn said(payload: &[u8]) -> Option<u64> {
    let delta = after_number(payload.strip_prefix(START)?)?;
    let (text, closes) = PIECES.iter().find_map(|(piece, closes)| Some((delta.strip_prefix(*piece)?, *closes)))?;
    let (said, rest) = string(payload, text)?;
    let rest = rest.strip_prefix(closes)?;
    let end = match rest.strip_prefix(PADDING) {
        Some(padding) => string(payload, padding)?.1,
        None => rest,
    };
    (end == b"}").then_some(said)
}

/// The bytes of the string that `rest`, the end of `payload`, begins with, and what follows it.
fn string<'t>(payload: &'t [u8], rest: &[u8]) -> Option<(u64, &'t [u8])> {
    let mut scanner = Scanner::within(payload, Span::at(u32::try_from(payload.len() - rest.len()).ok()?));
    let text = scanner.string().ok()?;
    Some((u64::from(text.decoded), payload.get(scanner.at()..)?))
}
