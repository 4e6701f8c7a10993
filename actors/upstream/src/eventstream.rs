//! Incremental decoder of `application/vnd.amazon.eventstream`.
//!
//! ```text
//! u32 total length | u32 headers length | u32 CRC of these 8 bytes | headers | payload | u32 CRC of all before
//! ```
//! All big-endian, CRC-32 as in zlib. A frame that lies whole in one chunk is handed on as slices of that chunk;
//! only a frame that spans chunks is copied, once.

use bytes::{Bytes, BytesMut};

/// Two lengths and their checksum.
const PRELUDE_BYTES: usize = 12;
/// Prelude and the closing checksum: a frame without headers and payload.
const FRAME_OVERHEAD: usize = 16;
/// Largest header block. Source: event-stream format, limits.
pub const MAX_HEADER_BYTES: usize = 128 * 1024;
/// Largest payload. Source: event-stream format, limits.
pub const MAX_PAYLOAD_BYTES: usize = 16 * 1024 * 1024;
/// First allocation for a frame that spans chunks: a length field alone must not make us allocate megabytes.
const FIRST_RESERVATION: usize = 64 * 1024;

/// Why bytes are not an event stream.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The checksum of the two lengths does not fit.
    #[error("prelude checksum mismatch")]
    PreludeChecksum,
    /// The checksum of the frame does not fit.
    #[error("message checksum mismatch")]
    MessageChecksum,
    /// The lengths contradict each other or exceed the format's limits.
    #[error("impossible frame lengths: {total} bytes in all, {headers} bytes of headers")]
    Lengths {
        /// Announced length of the frame.
        total: u32,
        /// Announced length of its headers.
        headers: u32,
    },
    /// The header block does not parse.
    #[error("malformed frame headers")]
    Headers,
}

/// A frame whose checksums fit: header block and payload, not yet looked into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawFrame {
    /// Encoded headers.
    pub headers: Bytes,
    /// Payload.
    pub payload: Bytes,
    /// All of it, lengths and checksums too.
    pub whole: Bytes,
}

/// Splits chunks into frames. Push a chunk, then take frames until there is none, then push the next.
#[derive(Debug, Default)]
pub struct Decoder {
    /// Bytes of the newest chunk not yet consumed.
    current: Bytes,
    /// Start of a frame that spans chunks; `current` is what follows it.
    partial: BytesMut,
    /// A checksum or length was wrong: where the next frame begins is unknown for good.
    failed: Option<DecodeError>,
}

impl Decoder {
    /// Gives the decoder the next bytes of the stream.
    pub fn push(&mut self, chunk: Bytes) {
        if self.current.is_empty() {
            self.current = chunk;
        } else if !chunk.is_empty() {
            // Frames of the previous chunk were not all taken: correct, but copies.
            let mut joined = BytesMut::with_capacity(self.current.len() + chunk.len());
            joined.extend_from_slice(&self.current);
            joined.extend_from_slice(&chunk);
            self.current = joined.freeze();
        }
    }

    /// The next whole frame, or `None` when more bytes are needed.
    ///
    /// # Errors
    /// [`DecodeError`] when the bytes are not an event stream; the same error from then on.
    pub fn next_frame(&mut self) -> Result<Option<RawFrame>, DecodeError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let outcome = if self.partial.is_empty() { self.whole_from_current() } else { self.complete_partial() };
        if let Err(error) = &outcome {
            self.failed = Some(error.clone());
        }
        outcome
    }

    /// True when the stream may end here: no frame has begun.
    #[must_use]
    pub fn at_boundary(&self) -> bool {
        self.current.is_empty() && self.partial.is_empty()
    }

    fn whole_from_current(&mut self) -> Result<Option<RawFrame>, DecodeError> {
        let Some(lengths) = Lengths::read(&self.current)? else {
            self.keep_for_later(FRAME_OVERHEAD);
            return Ok(None);
        };
        if self.current.len() < lengths.total {
            self.keep_for_later(lengths.total);
            return Ok(None);
        }
        let frame = self.current.split_to(lengths.total);
        open_frame(&frame, &lengths).map(Some)
    }

    /// Moves an incomplete frame's beginning out of the chunk, so that the chunk's memory is not held.
    fn keep_for_later(&mut self, expected: usize) {
        let beginning = std::mem::take(&mut self.current);
        if !beginning.is_empty() {
            self.partial.reserve(expected.min(FIRST_RESERVATION).max(beginning.len()));
            self.partial.extend_from_slice(&beginning);
        }
    }

    fn complete_partial(&mut self) -> Result<Option<RawFrame>, DecodeError> {
        self.fill_partial(PRELUDE_BYTES);
        let Some(lengths) = Lengths::read(&self.partial)? else {
            return Ok(None);
        };
        self.fill_partial(lengths.total);
        if self.partial.len() < lengths.total {
            return Ok(None);
        }
        let frame = self.partial.split().freeze();
        open_frame(&frame, &lengths).map(Some)
    }

    fn fill_partial(&mut self, wanted: usize) {
        let missing = wanted.saturating_sub(self.partial.len()).min(self.current.len());
        if missing > 0 {
            let piece = self.current.split_to(missing);
            self.partial.extend_from_slice(&piece);
        }
    }
}

/// A checked prelude.
struct Lengths {
    total: usize,
    headers: usize,
    /// State after the first 8 bytes: the message checksum goes on from here.
    checksum: crc32fast::Hasher,
}

impl Lengths {
    /// Reads the prelude at the start of `bytes`; `None` when it is not all there.
    fn read(bytes: &[u8]) -> Result<Option<Self>, DecodeError> {
        let Some((prelude, _)) = bytes.split_first_chunk::<PRELUDE_BYTES>() else {
            return Ok(None);
        };
        let [t0, t1, t2, t3, h0, h1, h2, h3, crc @ ..] = *prelude;
        let (total, headers) = (u32::from_be_bytes([t0, t1, t2, t3]), u32::from_be_bytes([h0, h1, h2, h3]));
        let mut checksum = crc32fast::Hasher::new();
        checksum.update(&[t0, t1, t2, t3, h0, h1, h2, h3]);
        if checksum.clone().finalize() != u32::from_be_bytes(crc) {
            return Err(DecodeError::PreludeChecksum);
        }
        let (total_bytes, header_bytes) = (total as usize, headers as usize);
        let fits = header_bytes <= MAX_HEADER_BYTES
            && total_bytes.checked_sub(FRAME_OVERHEAD + header_bytes).is_some_and(|payload| payload <= MAX_PAYLOAD_BYTES);
        if !fits {
            return Err(DecodeError::Lengths { total, headers });
        }
        Ok(Some(Self { total: total_bytes, headers: header_bytes, checksum }))
    }
}

/// Checks a whole frame's checksum and splits it.
fn open_frame(frame: &Bytes, lengths: &Lengths) -> Result<RawFrame, DecodeError> {
    let (covered, closing) = frame.split_last_chunk::<4>().ok_or(DecodeError::MessageChecksum)?;
    let mut checksum = lengths.checksum.clone();
    // The prelude's 8 bytes are in already.
    checksum.update(covered.get(8..).unwrap_or_default());
    if checksum.finalize() != u32::from_be_bytes(*closing) {
        return Err(DecodeError::MessageChecksum);
    }
    let headers_end = PRELUDE_BYTES + lengths.headers;
    // In range: `Lengths::read` has checked that headers and overhead fit into the total.
    Ok(RawFrame {
        headers: frame.slice(PRELUDE_BYTES..headers_end),
        payload: frame.slice(headers_end..lengths.total - 4),
        whole: frame.clone(),
    })
}

/// A header's value, as far as anybody here asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderValue<'a> {
    /// Text: bytes of UTF-8, not checked.
    Text(&'a [u8]),
    /// Any other type: skipped.
    Other,
}

/// Walks a header block.
#[derive(Debug, Clone)]
pub struct Headers<'a> {
    rest: &'a [u8],
}

impl<'a> Headers<'a> {
    /// Over the header block of a frame.
    #[must_use]
    pub fn new(block: &'a [u8]) -> Self {
        Self { rest: block }
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }

    fn take_u8(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn read(&mut self) -> Option<(&'a [u8], HeaderValue<'a>)> {
        let name_length = self.take_u8().filter(|length| *length > 0)?;
        let name = self.take(usize::from(name_length))?;
        // Types: 0 true, 1 false, 2 i8, 3 i16, 4 i32, 5 i64, 6 bytes, 7 string, 8 timestamp, 9 uuid.
        let value = match self.take_u8()? {
            0 | 1 => HeaderValue::Other,
            2 => self.skip(1)?,
            3 => self.skip(2)?,
            4 => self.skip(4)?,
            5 | 8 => self.skip(8)?,
            9 => self.skip(16)?,
            6 => {
                let length = self.take_length()?;
                self.skip(length)?
            }
            7 => {
                let length = self.take_length()?;
                HeaderValue::Text(self.take(length)?)
            }
            _ => return None,
        };
        Some((name, value))
    }

    fn take_length(&mut self) -> Option<usize> {
        let (length, rest) = self.rest.split_first_chunk::<2>()?;
        self.rest = rest;
        Some(usize::from(u16::from_be_bytes(*length)))
    }

    fn skip(&mut self, count: usize) -> Option<HeaderValue<'a>> {
        self.take(count).map(|_| HeaderValue::Other)
    }
}

impl<'a> Iterator for Headers<'a> {
    type Item = Result<(&'a [u8], HeaderValue<'a>), DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let header = self.read();
        if header.is_none() {
            self.rest = &[];
        }
        Some(header.ok_or(DecodeError::Headers))
    }
}

/// Encodes one frame whose headers are all text: an exception of ours, or what a test scripts.
#[must_use]
pub fn encode_frame(headers: &[(&str, &str)], payload: &[u8]) -> Bytes {
    let mut block = Vec::new();
    for (name, value) in headers {
        block.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
        block.extend_from_slice(name.as_bytes());
        block.push(7);
        block.extend_from_slice(&u16::try_from(value.len()).unwrap_or(u16::MAX).to_be_bytes());
        block.extend_from_slice(value.as_bytes());
    }
    let total = FRAME_OVERHEAD + block.len() + payload.len();
    let mut frame = Vec::with_capacity(total);
    frame.extend_from_slice(&u32::try_from(total).unwrap_or(u32::MAX).to_be_bytes());
    frame.extend_from_slice(&u32::try_from(block.len()).unwrap_or(u32::MAX).to_be_bytes());
    frame.extend_from_slice(&crc32fast::hash(&frame).to_be_bytes());
    frame.extend_from_slice(&block);
    frame.extend_from_slice(payload);
    frame.extend_from_slice(&crc32fast::hash(&frame).to_be_bytes());
    Bytes::from(frame)
}

#[cfg(test)]
mod tests;
