//! Cache marks: how many, with which lifetime, and where a whole request is marked at once.

use outcrop_domain::{
    chat::{CachePolicy, CacheTtl},
    estimate::Size,
    model::{CacheSupport, ChatCapabilities},
    routing::view::CacheLife,
};

use super::{
    CachedPrefix, Draft, Mark, Marks, Message, Part, Role,
    block::{Block, read_block},
};
use crate::transparent::json::{Kind, Scanner, Span, Value, members_of, said};

/// User turns that get a mark of ours: the newest, and the one before, whose prefix the last call wrote.
const AUTOMATIC_TURNS: usize = 2;

/// Brings all marks into a form that the model takes, and tells what they will cache.
pub(super) fn settle(draft: &mut Draft<'_>, marks: &Marks, model: &ChatCapabilities, policy: CachePolicy) -> Option<CachedPrefix> {
    let ours = whole_request(draft, marks, policy, model);
    let none = CacheSupport { min_tokens: 0, max_points: 0, ttls: Vec::new(), system: false, messages: false, tools: false };
    let support = model.cache.as_ref().unwrap_or(&none);
    // In the order in which caches see a prompt, which need not be the order of the body. A mark stands at the end of its block:
    // behind those on blocks within it.
    let mut ordered: Vec<(Span, Mark)> = marks.iter().map(|(object, mark)| (*object, *mark)).collect();
    ordered.sort_by_key(|(object, mark)| (mark.part, object.end));
    let limit = usize::try_from(support.max_points).unwrap_or(usize::MAX);
    let taken = |part: Part| match part {
        Part::Tools => support.tools,
        Part::System => support.system,
        Part::Messages => support.messages,
    };
    let count = ordered.iter().filter(|(_, mark)| taken(mark.part)).count() + ours.iter().filter(|new| taken(new.part)).count();
    let mut spare = count.saturating_sub(limit);
    let mut kept: Vec<Kept> = Vec::new();
    for (object, mark) in ordered {
        if taken(mark.part) && spare == 0 {
            kept.push(keep(draft, object, &mark, support));
            continue;
        }
        if taken(mark.part) {
            spare -= 1;
            draft.notes.note("cache_control", "earliest_dropped");
        } else {
            draft.notes.note("cache_control", "dropped");
        }
        draft.objects.change(object).drop.insert("cache_control".to_owned());
    }
    for new in ours.into_iter().filter(|new| taken(new.part)).skip(spare) {
        kept.push(new.write(draft, support));
    }
    kept.sort_by_key(|kept| kept.part);
    cached(draft, &kept, support)
}

/// A mark that is sent.
struct Kept {
    part: Part,
    long: bool,
    covers: Size,
}

/// A model with one lifetime alone refuses to be told it.
fn takes_ttls(support: &CacheSupport) -> bool {
    support.ttls.len() > 1
}

/// Keeps a mark of the client's, on the block where it was or on the one it moved to.
fn keep(draft: &mut Draft<'_>, object: Span, mark: &Mark, support: &CacheSupport) -> Kept {
    let ttl = ttl_of(draft.text, mark.value);
    let strip = ttl.is_some() && !takes_ttls(support);
    if strip {
        draft.notes.note("cache_control.ttl", "dropped");
    }
    let long = mark.long && !strip;
    if object.contains(mark.value) {
        if strip {
            draft.objects.change(mark.value).drop.insert("ttl".to_owned());
        }
    } else {
        mark_object(draft, object, long.then_some(CacheTtl::OneHour));
    }
    Kept { part: mark.part, long, covers: mark.covers }
}

fn ttl_of(text: &[u8], object: Span) -> Option<Value> {
    members_of(text, object).into_iter().find(|(key, _)| key.is(text, "ttl")).map(|(_, value)| value)
}

fn mark_text(ttl: Option<CacheTtl>) -> &'static str {
    match ttl {
        None => "{\"type\":\"ephemeral\"}",
        Some(CacheTtl::FiveMinutes) => "{\"type\":\"ephemeral\",\"ttl\":\"5m\"}",
        Some(CacheTtl::OneHour) => "{\"type\":\"ephemeral\",\"ttl\":\"1h\"}",
    }
}

fn mark_object(draft: &mut Draft<'_>, object: Span, ttl: Option<CacheTtl>) {
    let change = draft.objects.change(object);
    // A client may have written `null`.
    change.drop.insert("cache_control".to_owned());
    change.add = Some(format!("\"cache_control\":{}", mark_text(ttl)));
}

/// A mark that is set by us.
struct New {
    part: Part,
    place: Place,
    ttl: Option<CacheTtl>,
    covers: Size,
}

/// Where it goes.
enum Place {
    /// Onto a tool or block.
    Object(Span),
    /// Onto a text, which becomes a list of one block for it.
    Text(Span),
}

impl New {
    /// The client has marked the same block.
    fn is_marked(&self, marks: &Marks) -> bool {
        match self.place {
            Place::Object(object) => marks.contains_key(&object),
            Place::Text(_) => false,
        }
    }

    fn write(self, draft: &mut Draft<'_>, support: &CacheSupport) -> Kept {
        let ttl = self.ttl.filter(|_| takes_ttls(support));
        match self.place {
            Place::Object(object) => mark_object(draft, object, ttl),
            Place::Text(text) => {
                draft.edits.insert(text.start, "[{\"type\":\"text\",\"text\":");
                draft.edits.insert(text.end, format!(",\"cache_control\":{}}}]", mark_text(ttl)));
            }
        }
        Kept { part: self.part, long: ttl == Some(CacheTtl::OneHour), covers: self.covers }
    }
}

/// Marks for a client that marks its request as a whole, which Bedrock does not know, or that sets none while the gateway shall.
fn whole_request(draft: &mut Draft<'_>, marks: &Marks, policy: CachePolicy, model: &ChatCapabilities) -> Vec<New> {
    let asked = draft.value("cache_control").filter(|value| value.kind == Kind::Object);
    draft.remove("cache_control");
    if model.cache.is_none() {
        if asked.is_some() {
            draft.notes.note("cache_control", "dropped");
        }
        return Vec::new();
    }
    if let Some(asked) = asked {
        let long = ttl_of(draft.text, asked.span).and_then(|ttl| said(draft.text, ttl)).as_deref() == Some("1h");
        draft.notes.note("cache_control", "set_on_last_block");
        let last = draft.index.messages.iter().rev().find_map(|message| of_message(draft, message, long.then_some(CacheTtl::OneHour)));
        return last.filter(|last| !last.is_marked(marks)).into_iter().collect();
    }
    if !marks.is_empty() {
        return Vec::new();
    }
    automatic(draft, policy)
}

fn automatic(draft: &Draft<'_>, policy: CachePolicy) -> Vec<New> {
    let index = draft.index;
    let new = |part, place, covers| New { part, place, ttl: policy.ttl, covers };
    let mut marks = Vec::new();
    if let Some((last, covers)) = index.tools.last.filter(|_| policy.tools) {
        marks.push(new(Part::Tools, Place::Object(last), covers));
    }
    if let Some(system) = draft.value("system").filter(|_| policy.system && !index.system.blank) {
        let place = match (system.kind, index.system.last) {
            (Kind::String, _) => Some(Place::Text(system.span)),
            (_, Some((last, _))) => Some(Place::Object(last)),
            _ => None,
        };
        marks.extend(place.map(|place| new(Part::System, place, index.system.size)));
    }
    if policy.messages {
        let users = index.messages.iter().rev().filter(|message| message.role == Role::User);
        let newest: Vec<New> = users.filter_map(|message| of_message(draft, message, policy.ttl)).take(AUTOMATIC_TURNS).collect();
        marks.extend(newest.into_iter().rev());
    }
    marks
}

/// A mark on the last block of a message; `None` when none may stand there.
fn of_message(draft: &Draft<'_>, message: &Message, ttl: Option<CacheTtl>) -> Option<New> {
    // Blocks that are repaired may be gone.
    if message.traits.blank || message.traits.unsigned || message.role == Role::Other {
        return None;
    }
    let content = message.content?;
    let place = match content.kind {
        Kind::String => Place::Text(content.span),
        Kind::Array => {
            let block = last_block(draft.text, content.span).filter(|block| !block.kind.is_thinking())?;
            Place::Object(block.span)
        }
        _ => return None,
    };
    Some(New { part: Part::Messages, place, ttl, covers: draft.index.messages_size })
}

fn last_block(text: &[u8], array: Span) -> Option<Block> {
    let mut scanner = Scanner::within(text, array);
    let mut last = None;
    let mut members = scanner.enter().ok()?;
    while scanner.element(&mut members).ok()? {
        last = Some(read_block(&mut scanner, Part::Messages, Size::default(), &mut Vec::new()).ok()?);
    }
    last
}

/// What a cache will know of the conversation in its next turn.
fn cached(draft: &Draft<'_>, kept: &[Kept], support: &CacheSupport) -> Option<CachedPrefix> {
    let last = kept.last()?;
    let life = if kept.iter().any(|mark| mark.long) { CacheLife::Long } else { CacheLife::Short };
    // A shorter prefix is not cached at all.
    Some(draft.index.prefix(last.part, last.covers, life)).filter(|prefix| prefix.tokens >= u64::from(support.min_tokens))
}
