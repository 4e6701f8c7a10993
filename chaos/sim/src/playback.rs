//! From events to the steps of a response body: frames, faults, pauses and how bytes fall into writes.

use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;
use serde::Serialize;

use crate::{
    body::{Step, Written},
    converse::json,
    draw::Stream,
    event_stream,
    events::{Event, Part},
    script::{Action, CutManner, StreamFaults},
    validate::Refusal,
};

/// How the bytes of a stream fall into writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Chunking {
    /// Frames whole, split, or several in one write, drawn from the seed: what a client must cope with.
    #[default]
    Random,
    /// One write for each frame.
    Framed,
    /// Writes of at most so many bytes, whatever the frames; 0 counts as 1.
    Sliced(usize),
    /// As few writes as the pauses allow.
    Merged,
}

/// A stretch of the stream between two pauses or frame borders.
#[derive(Debug, Clone, Default)]
struct Piece {
    wait: Duration,
    bytes: Vec<u8>,
    /// Whole events that end with this piece.
    events: u32,
    /// Of these, the ones that carry paid output.
    deltas: u32,
    /// Watermarks that end with this piece.
    words: u32,
}

impl Piece {
    /// Keeps the first bytes only: nothing ends with them any more.
    fn cut(&mut self, keep: usize) {
        self.bytes.truncate(keep);
        (self.events, self.deltas, self.words) = (0, 0, 0);
    }
}

/// What follows the last piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Finish {
    End,
    Cut(CutManner),
}

#[derive(Serialize)]
struct ExceptionBody<'a> {
    message: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ModelStreamErrorBody<'a> {
    message: &'a str,
    original_status_code: u16,
    original_message: &'a str,
}

/// The steps of a stream of `events` under `faults`.
pub(crate) fn stream_steps(
    events: Vec<Event>,
    faults: &StreamFaults,
    cut_after_bytes: Option<(usize, CutManner)>,
    chunking: Chunking,
    rng: &mut Stream,
) -> Result<VecDeque<Step>, Refusal> {
    let (pieces, finish) = arrange(events, faults)?;
    let (pieces, finish) = cut_at(pieces, finish, cut_after_bytes);
    let mut steps = write_steps(pieces, chunking, rng);
    if let Finish::Cut(manner) = finish {
        steps.push_back(Step::Cut(manner));
    }
    Ok(steps)
}

/// The steps of a body that is no event stream.
pub(crate) fn plain_steps(body: Bytes, cut_after_bytes: Option<(usize, CutManner)>) -> VecDeque<Step> {
    let Some((limit, manner)) = cut_after_bytes else {
        return if body.is_empty() {
            VecDeque::new()
        } else {
            VecDeque::from([Step::Write(Written { bytes: body, ..Written::default() })])
        };
    };
    let kept = body.slice(..limit.min(body.len()));
    let mut steps = VecDeque::with_capacity(2);
    if !kept.is_empty() {
        steps.push_back(Step::Write(Written { bytes: kept, ..Written::default() }));
    }
    steps.push_back(Step::Cut(manner));
    steps
}

/// Falls silent after so many bytes of the body; a body that is not longer has nothing to hold back.
pub(crate) fn stall_at(steps: VecDeque<Step>, at: usize, pause: Duration) -> VecDeque<Step> {
    let mut stalled = VecDeque::with_capacity(steps.len() + 2);
    let mut before = Some(at);
    for step in steps {
        match (step, before) {
            (Step::Write(written), Some(left)) if written.bytes.len() > left => {
                let rest = Written { bytes: written.bytes.slice(left..), ..written };
                let head = Written { bytes: written.bytes.slice(..left), ..Written::default() };
                if left > 0 {
                    stalled.push_back(Step::Write(head));
                }
                stalled.extend([Step::Wait(pause), Step::Write(rest)]);
                before = None;
            }
            (step, left) => {
                before = match &step {
                    Step::Write(written) => left.map(|left| left - written.bytes.len()),
                    _ => left,
                };
                stalled.push_back(step);
            }
        }
    }
    stalled
}

/// Bytes of a body.
pub(crate) fn body_bytes(steps: &VecDeque<Step>) -> usize {
    steps.iter().map(|step| if let Step::Write(written) = step { written.bytes.len() } else { 0 }).sum()
}

/// Frames the events and applies the faults in the order they were scripted.
fn arrange(events: Vec<Event>, faults: &StreamFaults) -> Result<(Vec<Piece>, Finish), Refusal> {
    let mut events = events;
    if let Some(pause) = faults.between {
        for event in &mut events {
            event.wait = pause;
        }
    }
    for fault in &faults.list {
        reshape(&mut events, fault);
    }
    let mut pieces: Vec<Piece> = events.into_iter().map(framed).collect();
    let mut finish = Finish::End;
    for fault in &faults.list {
        damage(&mut pieces, &mut finish, fault)?;
    }
    Ok((pieces, finish))
}

fn framed(event: Event) -> Piece {
    Piece {
        wait: event.wait,
        bytes: event_stream::event(event.kind, &event.payload),
        events: 1,
        deltas: u32::from(event.delta),
        words: event.words,
    }
}

/// Faults that change which events there are.
fn reshape(events: &mut Vec<Event>, fault: &Action) {
    match fault {
        Action::NoStop => events.retain(|event| !matches!(event.part, Part::Stop(_))),
        Action::NoUsage => events.retain_mut(without_usage),
        Action::LateUsage(pause) => {
            for event in events.iter_mut().filter(|event| matches!(event.part, Part::Usage(_))) {
                event.wait += *pause;
            }
        }
        Action::DuplicateEvent { after_events } => {
            if let Some(event) = events.get(*after_events).cloned() {
                events.insert(after_events + 1, event);
            }
        }
        _ => {}
    }
}

/// Takes the usage out of an event; false if nothing else is in it.
fn without_usage(event: &mut Event) -> bool {
    match &mut event.part {
        Part::Usage(None) => false,
        Part::Usage(Some(bare)) | Part::Stop(Some(bare)) => {
            event.payload = std::mem::take(bare);
            true
        }
        Part::Stop(None) | Part::Content => true,
    }
}

/// Faults that change bytes or end the stream.
fn damage(pieces: &mut Vec<Piece>, finish: &mut Finish, fault: &Action) -> Result<(), Refusal> {
    match fault {
        Action::ExceptionFrame { after_events, kind, message } => {
            pieces.truncate(*after_events);
            pieces.push(Piece { bytes: exception(kind, message)?, ..Piece::default() });
        }
        Action::ErrorFrame { after_events, code, message } => {
            pieces.truncate(*after_events);
            pieces.push(Piece { bytes: event_stream::error(code, message), ..Piece::default() });
        }
        Action::CutAfterEvents { events, manner } => {
            pieces.truncate(*events);
            *finish = Finish::Cut(*manner);
        }
        Action::StallAfterEvents { events, pause } => match pieces.get_mut(*events) {
            Some(piece) => piece.wait += *pause,
            // Nothing is left to send: the end itself is late.
            None => pieces.push(Piece { wait: *pause, ..Piece::default() }),
        },
        Action::CorruptFrame { after_events, field } => {
            if let Some(piece) = pieces.get_mut(*after_events) {
                event_stream::corrupt(&mut piece.bytes, *field);
            }
        }
        Action::TruncateFrame { after_events, keep_bytes } => {
            pieces.truncate(after_events + 1);
            if let Some(piece) = pieces.get_mut(*after_events).filter(|piece| piece.bytes.len() > *keep_bytes) {
                piece.cut(*keep_bytes);
            }
            *finish = Finish::Cut(CutManner::Close);
        }
        _ => {}
    }
    Ok(())
}

fn exception(kind: &str, message: &str) -> Result<Vec<u8>, Refusal> {
    // The one exception with further members; the service model calls it `modelStreamErrorException`.
    let payload = if kind == "modelStreamErrorException" {
        json(&ModelStreamErrorBody { message, original_status_code: 500, original_message: message })?
    } else {
        json(&ExceptionBody { message })?
    };
    Ok(event_stream::exception(kind, &payload))
}

fn cut_at(mut pieces: Vec<Piece>, finish: Finish, cut: Option<(usize, CutManner)>) -> (Vec<Piece>, Finish) {
    let Some((limit, manner)) = cut else { return (pieces, finish) };
    let mut left = limit;
    for at in 0..pieces.len() {
        let Some(piece) = pieces.get_mut(at) else { break };
        if piece.bytes.len() > left {
            piece.cut(left);
            pieces.truncate(at + 1);
            break;
        }
        left -= piece.bytes.len();
    }
    (pieces, Finish::Cut(manner))
}

fn write_steps(pieces: Vec<Piece>, chunking: Chunking, rng: &mut Stream) -> VecDeque<Step> {
    let mut writer = Writer { steps: VecDeque::with_capacity(pieces.len() * 2), gathered: Piece::default() };
    for piece in pieces {
        if !piece.wait.is_zero() {
            writer.flush();
            writer.steps.push_back(Step::Wait(piece.wait));
        }
        match chunking {
            Chunking::Framed => {
                writer.gather(piece);
                writer.flush();
            }
            Chunking::Merged => writer.gather(piece),
            Chunking::Sliced(size) => writer.slice(piece, size.max(1)),
            Chunking::Random => match rng.below(3) {
                0 => writer.gather(piece),
                1 => {
                    writer.gather(piece);
                    writer.flush();
                }
                _ => writer.split(piece, rng),
            },
        }
    }
    writer.flush();
    writer.steps
}

/// Gathers pieces into writes.
struct Writer {
    steps: VecDeque<Step>,
    gathered: Piece,
}

impl Writer {
    fn gather(&mut self, piece: Piece) {
        self.gathered.bytes.extend_from_slice(&piece.bytes);
        self.gathered.events += piece.events;
        self.gathered.deltas += piece.deltas;
        self.gathered.words += piece.words;
    }

    fn flush(&mut self) {
        let piece = std::mem::take(&mut self.gathered);
        if piece.bytes.is_empty() {
            return;
        }
        if matches!(self.steps.back(), Some(Step::Write(_))) {
            self.steps.push_back(Step::Flush);
        }
        let Piece { bytes, events, deltas, words, .. } = piece;
        self.steps.push_back(Step::Write(Written { bytes: bytes.into(), events, deltas, words }));
    }

    /// Gathers the piece in up to three parts, with a write after each but the last.
    fn split(&mut self, mut piece: Piece, rng: &mut Stream) {
        for _ in 0..rng.within(1..=2) {
            if piece.bytes.len() < 2 {
                break;
            }
            let rest = piece.bytes.split_off(rng.within(1..=piece.bytes.len() - 1));
            let head = std::mem::replace(&mut piece.bytes, rest);
            self.gathered.bytes.extend_from_slice(&head);
            self.flush();
        }
        self.gather(piece);
    }

    /// Gathers the piece and writes whenever `size` bytes are together.
    fn slice(&mut self, mut piece: Piece, size: usize) {
        while self.gathered.bytes.len() + piece.bytes.len() > size {
            let take = size - self.gathered.bytes.len();
            let rest = piece.bytes.split_off(take);
            let head = std::mem::replace(&mut piece.bytes, rest);
            self.gathered.bytes.extend_from_slice(&head);
            self.flush();
        }
        self.gather(piece);
    }
}

#[cfg(test)]
mod tests;
