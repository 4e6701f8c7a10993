//! The frame that nearly all of a stream are: a piece of text, as Claude writes it. It is told by its beginning and end, and
//! nothing else of it is looked at.

use crate::transparent::json::{Scanner, Span, after_number};

/// How the event begins that clients are shown.
pub(super) const EVENT: &[u8] = b"event: content_block_delta\ndata: ";

const FRAME: &[u8] = br#"{"bytes":""#;

const DELTA: &[u8] = br#"{"type":"content_block_delta","index":"#;

/// Pieces whose length counts as produced; signatures and citations do not.
const PIECES: [&[u8]; 3] = [
    br#","delta":{"type":"text_delta","text":"#,
    br#","delta":{"type":"input_json_delta","partial_json":"#,
    br#","delta":{"type":"thinking_delta","thinking":"#,
];

const END: &[u8] = b"}}";

/// Appends the event of a frame: its bytes of text, when it is a piece and nothing else. `None` for all others, of which
/// something may have been appended.
pub(super) fn decode_onto(out: &mut Vec<u8>, payload: &[u8]) -> Option<u64> {
    let rest = payload.strip_prefix(FRAME)?;
    let text = rest.get(..memchr::memchr(b'"', rest)?)?;
    // Growth is left to us: the decoder makes room for exactly what it writes.
    out.reserve(text.len());
    let start = out.len();
    base64_simd::STANDARD.decode_append(text, out).ok()?;
    produced(out.get(start..)?)
}

fn produced(event: &[u8]) -> Option<u64> {
    let delta = after_number(event.strip_prefix(DELTA)?)?;
    let text = PIECES.iter().find_map(|piece| delta.strip_prefix(*piece))?;
    let place = u32::try_from(event.len() - text.len()).ok()?;
    let mut scanner = Scanner::within(event, Span::at(place));
    let said = scanner.string().ok()?;
    (event.get(scanner.at()..)? == END).then(|| u64::from(said.decoded))
}
