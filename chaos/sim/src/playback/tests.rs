use proptest::prelude::*;

use super::*;
use crate::{draw, script::CorruptField};

fn events(count: usize) -> Vec<Event> {
    (0..count)
        .map(|index| Event {
            kind: match count - index {
                1 => "metadata",
                2 => "messageStop",
                _ => "contentBlockDelta",
            },
            payload: format!("{{\"n\":{index}}}").into_bytes(),
            wait: Duration::ZERO,
            delta: count - index > 2,
            words: 0,
            part: match count - index {
                1 => Part::Usage(None),
                2 => Part::Stop(None),
                _ => Part::Content,
            },
        })
        .collect()
}

fn frames(count: usize) -> Vec<Vec<u8>> {
    events(count).into_iter().map(|event| framed(event).bytes).collect()
}

fn faults(list: Vec<Action>) -> StreamFaults {
    StreamFaults { list, ..StreamFaults::default() }
}

fn steps(count: usize, list: Vec<Action>, cut: Option<(usize, CutManner)>) -> VecDeque<Step> {
    stream_steps(events(count), &faults(list), cut, Chunking::Framed, &mut draw::stream(1, "steps", 0)).unwrap()
}

fn written(steps: &VecDeque<Step>) -> Vec<u8> {
    steps.iter().flat_map(|step| if let Step::Write(written) = step { written.bytes.to_vec() } else { Vec::new() }).collect()
}

fn sum(steps: &VecDeque<Step>) -> (u32, u32) {
    steps.iter().fold((0, 0), |(all, paid), step| match step {
        Step::Write(written) => (all + written.events, paid + written.deltas),
        _ => (all, paid),
    })
}

proptest! {
    #[test]
    fn chunking_never_changes_the_bytes_or_the_counts(count in 2_usize..40, seed in 0_u64..500, slice in 1_usize..200) {
        let expected = frames(count).concat();
        for chunking in [Chunking::Random, Chunking::Framed, Chunking::Sliced(slice), Chunking::Merged] {
            let steps = stream_steps(events(count), &faults(vec![]), None, chunking, &mut draw::stream(seed, "steps", 0)).unwrap();
            prop_assert_eq!(written(&steps), expected.clone());
            prop_assert_eq!(sum(&steps), (count as u32, count as u32 - 2));
            for step in &steps {
                if let (Chunking::Sliced(size), Step::Write(Written { bytes, .. })) = (chunking, step) {
                    prop_assert!(bytes.len() <= size);
                }
            }
        }
    }

    #[test]
    fn a_cut_after_bytes_sends_exactly_these_bytes(count in 2_usize..20, limit in 0_usize..2_000) {
        let whole = frames(count).concat();
        let cut = Some((limit, CutManner::Close));
        let steps = stream_steps(events(count), &faults(vec![]), cut, Chunking::Random, &mut draw::stream(limit as u64, "steps", 0)).unwrap();
        prop_assert_eq!(written(&steps), whole[..limit.min(whole.len())].to_vec());
        prop_assert!(matches!(steps.back(), Some(Step::Cut(CutManner::Close))));
    }
}

#[test]
fn random_chunking_splits_and_merges_frames() {
    let steps = stream_steps(events(60), &faults(vec![]), None, Chunking::Random, &mut draw::stream(2, "steps", 0)).unwrap();
    let counts: Vec<u32> =
        steps.iter().filter_map(|step| if let Step::Write(written) = step { Some(written.events) } else { None }).collect();
    assert!(counts.contains(&0) && counts.contains(&1) && counts.iter().any(|events| *events > 1), "{counts:?}");
}

#[test]
fn an_exception_replaces_the_rest() {
    let kind = "throttlingException".to_owned();
    let steps = steps(6, vec![Action::ExceptionFrame { after_events: 2, kind, message: "slow down".to_owned() }], None);
    let good = frames(6)[..2].concat();
    let bytes = written(&steps);
    assert_eq!(bytes[..good.len()], good);
    assert_eq!(bytes[good.len()..], event_stream::exception("throttlingException", br#"{"message":"slow down"}"#));
    assert_eq!(sum(&steps).0, 2);
    assert!(!matches!(steps.back(), Some(Step::Cut(_))));
}

#[test]
fn a_model_stream_error_carries_its_origin() {
    let payload = br#"{"message":"m","originalStatusCode":500,"originalMessage":"m"}"#;
    assert_eq!(exception("modelStreamErrorException", "m").unwrap(), event_stream::exception("modelStreamErrorException", payload));
}

#[test]
fn left_out_and_doubled_events_leave_the_others_alone() {
    let whole = frames(5);
    assert_eq!(written(&steps(5, vec![Action::NoStop], None)), [&whole[..3], &whole[4..]].concat().concat());
    assert_eq!(written(&steps(5, vec![Action::NoUsage], None)), whole[..4].concat());
    let doubled = steps(5, vec![Action::DuplicateEvent { after_events: 1 }], None);
    assert_eq!(written(&doubled), [&whole[..2], &whole[1..]].concat().concat());
}

#[test]
fn usage_among_other_things_is_taken_out_of_them() {
    let parts = [Part::Content, Part::Usage(Some(b"{\"u\":0}".to_vec())), Part::Stop(Some(b"{\"s\":0}".to_vec()))];
    let mut told = events(3);
    for (event, part) in told.iter_mut().zip(parts) {
        (event.part, event.kind) = (part, "chunk");
    }
    let framed = |payload: &[u8]| event_stream::event("chunk", payload);
    let told_under = |list: Vec<Action>| {
        let mut rng = draw::stream(1, "steps", 0);
        let steps = stream_steps(told.clone(), &faults(list), None, Chunking::Framed, &mut rng).unwrap();
        (written(&steps), steps)
    };
    let bare = [framed(b"{\"n\":0}"), framed(b"{\"u\":0}"), framed(b"{\"s\":0}")].concat();
    assert_eq!(told_under(vec![Action::NoUsage]).0, bare);
    assert_eq!(told_under(vec![Action::NoStop]).0, [framed(b"{\"n\":0}"), framed(b"{\"n\":1}")].concat());
    let (_, late) = told_under(vec![Action::LateUsage(Duration::from_secs(9))]);
    let waits: Vec<usize> = (0..late.len()).filter(|at| matches!(late[*at], Step::Wait(_))).collect();
    assert_eq!(waits.len(), 1, "before the usage, not before the end");
}

#[test]
fn cuts_stalls_and_truncations_fall_where_they_were_ordered() {
    let whole = frames(5);
    let cut = steps(5, vec![Action::CutAfterEvents { events: 2, manner: CutManner::Reset }], None);
    assert_eq!(written(&cut), whole[..2].concat());
    assert!(matches!(cut.back(), Some(Step::Cut(CutManner::Reset))));

    let pause = Duration::from_secs(9);
    let stalled = steps(5, vec![Action::StallAfterEvents { events: 2, pause }], None);
    let before: VecDeque<Step> = stalled.iter().take_while(|step| !matches!(step, Step::Wait(_))).cloned().collect();
    assert_eq!((written(&before), written(&stalled)), (whole[..2].concat(), whole.concat()));
    assert!(stalled.iter().any(|step| matches!(step, Step::Wait(wait) if *wait == pause)));

    let truncated = steps(5, vec![Action::TruncateFrame { after_events: 1, keep_bytes: 7 }], None);
    assert_eq!(written(&truncated), [&whole[0][..], &whole[1][..7]].concat());
    assert_eq!(sum(&truncated).0, 1);
    assert!(matches!(truncated.back(), Some(Step::Cut(CutManner::Close))));

    let late = steps(5, vec![Action::LateUsage(pause)], None);
    let before: VecDeque<Step> = late.iter().take_while(|step| !matches!(step, Step::Wait(_))).cloned().collect();
    assert_eq!(written(&before), whole[..4].concat());
}

#[test]
fn a_corrupt_frame_differs_in_one_byte() {
    let bytes = written(&steps(5, vec![Action::CorruptFrame { after_events: 3, field: CorruptField::MessageCrc }], None));
    let whole = frames(5).concat();
    let differing: Vec<usize> = (0..whole.len()).filter(|at| whole[*at] != bytes[*at]).collect();
    assert_eq!(differing, [frames(5)[..4].concat().len() - 1]);
}

#[test]
fn plain_bodies_are_written_whole_or_cut() {
    let body = Bytes::from_static(b"0123456789");
    assert_eq!(written(&plain_steps(body.clone(), None)), b"0123456789");
    assert!(plain_steps(Bytes::new(), None).is_empty());
    let cut = plain_steps(body.clone(), Some((4, CutManner::Close)));
    assert_eq!((written(&cut).as_slice(), cut.len()), (&b"0123"[..], 2));
    assert_eq!(plain_steps(body, Some((0, CutManner::Close))).len(), 1);
}
