//! Messages of `application/vnd.amazon.eventstream`, however they fall into reads. Source: the public event-stream specification.

/// Bytes of a message that are neither headers nor payload: two lengths and a checksum before, a checksum behind.
const PRELUDE: usize = 12;
const TRAILER: usize = 4;
/// The service's own limit is 16 MiB; a longer message is none.
const LONGEST: usize = 24 * 1024 * 1024;
/// Header value type 7: UTF-8 text with a 16-bit length. The service sends no other.
const TYPE_STRING: u8 = 7;

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    headers: Vec<(String, String)>,
    /// Payload.
    pub(super) payload: Vec<u8>,
}

impl Frame {
    /// The value of a header.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }
}

/// Reads a stream.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    buffer: Vec<u8>,
    /// Something was no message: nothing after it can be read.
    broken: bool,
}

impl Frames {
    /// Takes what was read.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole message, or the bytes that are none, once.
    pub(crate) fn next(&mut self) -> Option<Result<Frame, Vec<u8>>> {
        let total = number(&self.buffer, 0).filter(|_| !self.broken)?;
        let sound = (PRELUDE + TRAILER..=LONGEST).contains(&total);
        if sound && self.buffer.len() < total {
            return None;
        }
        let read = if sound { self.buffer.get(..total).and_then(frame) } else { None };
        match read {
            Some(frame) => {
                self.buffer.drain(..total);
                Some(Ok(frame))
            }
            None => {
                self.broken = true;
                Some(Err(std::mem::take(&mut self.buffer)))
            }
        }
    }
}

fn frame(bytes: &[u8]) -> Option<Frame> {
    let (rest, checksum) = bytes.split_last_chunk::<TRAILER>()?;
    let prelude = rest.get(..PRELUDE - TRAILER)?;
    let whole = crc32fast::hash(rest) == u32::from_be_bytes(*checksum);
    if !whole || number(rest, PRELUDE - TRAILER)? != crc32fast::hash(prelude) as usize {
        return None;
    }
    let payload_at = PRELUDE + number(bytes, 4)?;
    Some(Frame { headers: headers(rest.get(PRELUDE..payload_at)?)?, payload: rest.get(payload_at..)?.to_vec() })
}

fn headers(mut bytes: &[u8]) -> Option<Vec<(String, String)>> {
    let mut headers = Vec::new();
    while let [length, rest @ ..] = bytes {
        let (name, rest) = rest.split_at_checked(usize::from(*length))?;
        let [TYPE_STRING, high, low, rest @ ..] = rest else { return None };
        let (value, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([*high, *low])))?;
        headers.push((String::from_utf8(name.to_vec()).ok()?, String::from_utf8(value.to_vec()).ok()?));
        bytes = rest;
    }
    Some(headers)
}

fn number(bytes: &[u8], at: usize) -> Option<usize> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?) as usize)
}
