//! Encoder of `application/vnd.amazon.eventstream` messages.
//!
//! A message is: total length and headers length (big-endian `u32`), CRC-32 of those eight bytes, headers,
//! payload, CRC-32 of everything before it. Source: the public event-stream specification.

use crate::script::CorruptField;

/// Bytes of a message that are neither headers nor payload.
const OVERHEAD: usize = 16;
/// Header value type 7: UTF-8 text with a 16-bit length.
const TYPE_STRING: u8 = 7;

/// One text header of a message: name and value, each at most 255 and 32,767 bytes.
pub type HeaderText<'a> = (&'a str, &'a str);

/// Encodes one message with text headers.
///
/// Names beyond 255 and values beyond 32,767 bytes are cut at that length, as the format cannot carry them.
#[must_use]
pub fn encode_frame(headers: &[HeaderText<'_>], payload: &[u8]) -> Vec<u8> {
    let mut encoded_headers = Vec::with_capacity(96);
    for (name, value) in headers {
        put_header(&mut encoded_headers, name, value);
    }
    let total = OVERHEAD + encoded_headers.len() + payload.len();
    let mut frame = Vec::with_capacity(total);
    frame.extend_from_slice(&length(total));
    frame.extend_from_slice(&length(encoded_headers.len()));
    let prelude = crc32fast::hash(&frame);
    frame.extend_from_slice(&prelude.to_be_bytes());
    frame.extend_from_slice(&encoded_headers);
    frame.extend_from_slice(payload);
    let message = crc32fast::hash(&frame);
    frame.extend_from_slice(&message.to_be_bytes());
    frame
}

/// An ordinary event with a JSON payload.
pub(crate) fn event(kind: &str, payload: &[u8]) -> Vec<u8> {
    encode_frame(&[(":event-type", kind), (":content-type", "application/json"), (":message-type", "event")], payload)
}

/// A modeled exception inside a stream; `kind` as in the service model (`throttlingException`).
pub(crate) fn exception(kind: &str, payload: &[u8]) -> Vec<u8> {
    encode_frame(&[(":exception-type", kind), (":content-type", "application/json"), (":message-type", "exception")], payload)
}

/// An unmodeled error inside a stream: no payload.
pub(crate) fn error(code: &str, message: &str) -> Vec<u8> {
    encode_frame(&[(":error-code", code), (":error-message", message), (":message-type", "error")], &[])
}

/// Damages one field of an encoded message and leaves its length as it was.
pub(crate) fn corrupt(frame: &mut [u8], field: CorruptField) {
    let headers_length = frame.get(4..8).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_be_bytes) as usize;
    let last = frame.len().saturating_sub(1);
    let position = match field {
        // The lowest byte: the message then claims to be up to 255 bytes longer or shorter than it is.
        CorruptField::Length => 3,
        CorruptField::PreludeCrc => 8,
        CorruptField::MessageCrc => last,
        CorruptField::Header => 13,
        CorruptField::Payload => (12 + headers_length).min(last.saturating_sub(4)),
    };
    if let Some(byte) = frame.get_mut(position) {
        *byte ^= 0x55;
    }
}

fn put_header(into: &mut Vec<u8>, name: &str, value: &str) {
    let name = name.as_bytes().get(..255).unwrap_or(name.as_bytes());
    let value = value.as_bytes().get(..32_767).unwrap_or(value.as_bytes());
    into.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
    into.extend_from_slice(name);
    into.push(TYPE_STRING);
    into.extend_from_slice(&u16::try_from(value.len()).unwrap_or(u16::MAX).to_be_bytes());
    into.extend_from_slice(value);
}

fn length(bytes: usize) -> [u8; 4] {
    u32::try_from(bytes).unwrap_or(u32::MAX).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_without_headers_or_payload_has_the_published_bytes() {
        // The specification's own example of the empty message.
        assert_eq!(hex::encode(encode_frame(&[], &[])), "000000100000000005c248eb7d98c8ff");
    }

    #[test]
    fn lengths_headers_and_checksums_of_an_event_are_where_the_format_says() {
        let frame = event("messageStart", br#"{"role":"assistant"}"#);
        let total = u32::from_be_bytes(frame[0..4].try_into().unwrap()) as usize;
        let headers = u32::from_be_bytes(frame[4..8].try_into().unwrap()) as usize;
        assert_eq!(total, frame.len());
        assert_eq!(crc32fast::hash(&frame[..8]).to_be_bytes(), frame[8..12]);
        assert_eq!(crc32fast::hash(&frame[..total - 4]).to_be_bytes(), frame[total - 4..]);
        assert_eq!(&frame[12..24], b"\x0b:event-type");
        assert_eq!(&frame[24..27], &[7, 0, 12]);
        assert_eq!(&frame[12 + headers..total - 4], br#"{"role":"assistant"}"#);
    }

    #[test]
    fn each_corruption_breaks_its_own_field_only() {
        let good = event("messageStart", br#"{"role":"assistant"}"#);
        let differing = |field| {
            let mut bad = good.clone();
            corrupt(&mut bad, field);
            let places: Vec<usize> = (0..good.len()).filter(|at| good[*at] != bad[*at]).collect();
            assert_eq!(places.len(), 1, "{field:?}");
            places[0]
        };
        let headers = u32::from_be_bytes(good[4..8].try_into().unwrap()) as usize;
        assert_eq!(differing(CorruptField::Length), 3);
        assert_eq!(differing(CorruptField::PreludeCrc), 8);
        assert_eq!(differing(CorruptField::Header), 13);
        assert_eq!(differing(CorruptField::Payload), 12 + headers);
        assert_eq!(differing(CorruptField::MessageCrc), good.len() - 1);
    }
}
