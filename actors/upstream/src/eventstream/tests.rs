use proptest::prelude::*;

use super::*;

fn drain(decoder: &mut Decoder) -> Result<Vec<RawFrame>, DecodeError> {
    let mut frames = Vec::new();
    while let Some(frame) = decoder.next_frame()? {
        frames.push(frame);
    }
    Ok(frames)
}

fn text_headers(frame: &RawFrame) -> Vec<(String, String)> {
    Headers::new(&frame.headers)
        .map(|header| match header.unwrap() {
            (name, HeaderValue::Text(value)) => (String::from_utf8(name.to_vec()).unwrap(), String::from_utf8(value.to_vec()).unwrap()),
            (name, HeaderValue::Other) => panic!("unexpected type of {name:?}"),
        })
        .collect()
}

/// The published example of the format: an empty message is 16 bytes with these checksums.
#[test]
fn the_published_empty_message_is_decoded() {
    let bytes: [u8; 16] = [0, 0, 0, 16, 0, 0, 0, 0, 0x05, 0xc2, 0x48, 0xeb, 0x7d, 0x98, 0xc8, 0xff];
    let mut decoder = Decoder::default();
    decoder.push(Bytes::copy_from_slice(&bytes));
    let frames = drain(&mut decoder).unwrap();
    let whole = encode_frame(&[], b"");
    assert_eq!(frames, [RawFrame { headers: Bytes::new(), payload: Bytes::new(), whole }]);
    assert!(decoder.at_boundary());
    assert_eq!(encode_frame(&[], b"").as_ref(), bytes);
}

#[test]
fn a_payload_inside_one_chunk_is_a_slice_of_that_chunk() {
    let chunk = encode_frame(&[(":message-type", "event")], b"{\"a\":1}");
    let range = chunk.as_ptr() as usize..chunk.as_ptr() as usize + chunk.len();
    let mut decoder = Decoder::default();
    decoder.push(chunk.clone());
    let frame = decoder.next_frame().unwrap().unwrap();
    assert!(range.contains(&(frame.payload.as_ptr() as usize)));
    assert_eq!(text_headers(&frame), [(":message-type".to_owned(), "event".to_owned())]);
}

#[test]
fn every_header_type_is_skipped_by_its_length() {
    let mut block = Vec::new();
    for (type_code, value) in [
        (0u8, vec![]),
        (1, vec![]),
        (2, vec![1]),
        (3, vec![1; 2]),
        (4, vec![1; 4]),
        (5, vec![1; 8]),
        (6, vec![0, 2, 7, 7]),
        (8, vec![1; 8]),
        (9, vec![1; 16]),
    ] {
        block.extend_from_slice(&[1, b'x', type_code]);
        block.extend_from_slice(&value);
    }
    block.extend_from_slice(&[1, b'y', 7, 0, 2, b'o', b'k']);
    let headers: Vec<_> = Headers::new(&block).collect::<Result<_, _>>().unwrap();
    assert_eq!(headers.len(), 10);
    assert_eq!(headers[9], (b"y".as_slice(), HeaderValue::Text(b"ok")));
}

#[test]
fn unknown_types_and_cut_headers_are_errors() {
    for block in [&[1u8, b'x', 10][..], &[0, 7], &[5, b'x'], &[1, b'x', 7, 0, 9, b'a'], &[1, b'x', 6, 0]] {
        assert_eq!(Headers::new(block).last(), Some(Err(DecodeError::Headers)), "{block:?}");
    }
}

#[test]
fn lengths_beyond_the_limits_are_refused_before_anything_is_allocated() {
    for (total, headers) in
        [(15u32, 0u32), (16, 1), (200_000, 131_073), (16 + 16 * 1024 * 1024 + 1, 0), (u32::MAX, 0), (u32::MAX, u32::MAX)]
    {
        let mut prelude = Vec::new();
        prelude.extend_from_slice(&total.to_be_bytes());
        prelude.extend_from_slice(&headers.to_be_bytes());
        prelude.extend_from_slice(&crc32fast::hash(&prelude).to_be_bytes());
        let mut decoder = Decoder::default();
        decoder.push(Bytes::from(prelude));
        assert_eq!(decoder.next_frame(), Err(DecodeError::Lengths { total, headers }));
    }
}

#[test]
fn the_largest_lengths_are_accepted_and_awaited() {
    let total = u32::try_from(FRAME_OVERHEAD + MAX_HEADER_BYTES + MAX_PAYLOAD_BYTES).unwrap();
    let headers = u32::try_from(MAX_HEADER_BYTES).unwrap();
    let mut prelude = Vec::new();
    prelude.extend_from_slice(&total.to_be_bytes());
    prelude.extend_from_slice(&headers.to_be_bytes());
    prelude.extend_from_slice(&crc32fast::hash(&prelude).to_be_bytes());
    let mut decoder = Decoder::default();
    decoder.push(Bytes::from(prelude));
    assert_eq!(decoder.next_frame(), Ok(None));
    assert!(!decoder.at_boundary());
    assert!(decoder.partial.capacity() <= 2 * FIRST_RESERVATION);
}

fn frames_strategy() -> impl Strategy<Value = Vec<(String, Vec<u8>)>> {
    prop::collection::vec(("[a-zA-Z]{1,20}", prop::collection::vec(any::<u8>(), 0..200)), 0..6)
}

fn encode_all(frames: &[(String, Vec<u8>)]) -> Vec<u8> {
    frames
        .iter()
        .flat_map(|(event, payload)| encode_frame(&[(":message-type", "event"), (":event-type", event)], payload).to_vec())
        .collect()
}

proptest! {
    #[test]
    fn any_split_of_the_bytes_gives_the_same_frames(
        frames in frames_strategy(),
        cuts in prop::collection::vec(0usize..2000, 0..12),
        take_between in any::<bool>(),
    ) {
        let bytes = encode_all(&frames);
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).chain([0, bytes.len()]).collect();
        cuts.sort_unstable();
        let mut decoder = Decoder::default();
        let mut decoded = Vec::new();
        for pair in cuts.windows(2) {
            decoder.push(Bytes::copy_from_slice(&bytes[pair[0]..pair[1]]));
            if take_between {
                decoded.extend(drain(&mut decoder).unwrap());
            } else if let Some(frame) = decoder.next_frame().unwrap() {
                decoded.push(frame);
            }
        }
        decoded.extend(drain(&mut decoder).unwrap());
        prop_assert!(decoder.at_boundary());
        let seen: Vec<(String, Vec<u8>)> =
            decoded.iter().map(|frame| (text_headers(frame)[1].1.clone(), frame.payload.to_vec())).collect();
        prop_assert_eq!(seen, frames);
    }

    #[test]
    fn a_changed_byte_is_always_noticed_and_never_panics(frames in frames_strategy(), position in any::<prop::sample::Index>(), flip in 1u8..) {
        prop_assume!(!frames.is_empty());
        let mut bytes = encode_all(&frames);
        let position = position.index(bytes.len());
        bytes[position] ^= flip;
        let mut decoder = Decoder::default();
        decoder.push(Bytes::from(bytes));
        let noticed = drain(&mut decoder).is_err() || !decoder.at_boundary();
        prop_assert!(noticed);
    }

    #[test]
    fn random_bytes_never_panic(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..64), 0..8)) {
        let mut decoder = Decoder::default();
        for chunk in chunks {
            for header in Headers::new(&chunk) {
                drop(header);
            }
            decoder.push(Bytes::from(chunk));
            drop(drain(&mut decoder));
        }
    }
}
