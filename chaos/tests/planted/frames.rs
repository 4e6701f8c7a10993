//! Event streams of AWS, read with their checksums.

/// One event.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Frame {
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(own, _)| own == name).map_or("", |(_, value)| value)
    }
}

/// Gathers bytes and gives whole frames.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    buffer: Vec<u8>,
}

impl Frames {
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next frame; an error when it is damaged and `strict`.
    pub(crate) fn next(&mut self, strict: bool) -> Result<Option<Frame>, String> {
        if self.buffer.len() < 12 {
            return Ok(None);
        }
        let number = |at: usize| u32::from_be_bytes(self.buffer[at..at + 4].try_into().unwrap());
        let (total, headers) = (number(0) as usize, number(4) as usize);
        if strict && crc32fast::hash(&self.buffer[..8]) != number(8) {
            return Err("prelude checksum".to_owned());
        }
        if !(16..=1 << 24).contains(&total) || headers + 16 > total {
            return Err("impossible length".to_owned());
        }
        if self.buffer.len() < total {
            return Ok(None);
        }
        if strict && crc32fast::hash(&self.buffer[..total - 4]) != number(total - 4) {
            return Err("message checksum".to_owned());
        }
        let frame = Frame { headers: pairs(&self.buffer[12..12 + headers]), payload: self.buffer[12 + headers..total - 4].to_vec() };
        self.buffer.drain(..total);
        Ok(Some(frame))
    }
}

fn pairs(mut bytes: &[u8]) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    while bytes.len() > 4 {
        let name = bytes[0] as usize;
        if bytes.len() < name + 4 {
            break;
        }
        let length = u16::from_be_bytes([bytes[name + 2], bytes[name + 3]]) as usize;
        let end = (name + 4 + length).min(bytes.len());
        let text = |part: &[u8]| String::from_utf8_lossy(part).into_owned();
        pairs.push((text(&bytes[1..=name]), text(&bytes[name + 4..end])));
        bytes = &bytes[end..];
    }
    pairs
}
