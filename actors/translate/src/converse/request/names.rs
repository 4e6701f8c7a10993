//! Tool names and tool-call ids that Converse takes, mapped from whatever the client uses.
//!
//! Both maps are functions of the name alone (a readable beginning and a hash), so that the same history gives the
//! same bytes in every turn; a counter enters the hash only when two would collide.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
};

use outcrop_domain::{
    adjust::Adjustments,
    chat::{ChatRequest, Content, Tool, ToolChoice},
    model::ToolIds,
};

/// Longest name and id. Source: Converse `ToolName`, `ToolUseId`.
const MAX_LENGTH: usize = 64;
/// Hexadecimal digits of a hash in a mapped name: 40 bits.
const HASH_DIGITS: usize = 10;
/// Length of an id in [`ToolIds::NineAlphanumerics`].
const NINE: usize = 9;

/// All tool names of a request.
#[derive(Default)]
pub(super) struct ToolNames {
    /// Client's name to name on the wire, where they differ.
    wire: HashMap<String, String>,
    /// Names on the wire.
    taken: HashSet<String>,
}

impl ToolNames {
    /// Maps the names of tools on offer, of the choice, and of calls in the history.
    pub(super) fn of(request: &ChatRequest, notes: &mut Adjustments) -> Self {
        let names = Self::map(all_names(request));
        if !names.wire.is_empty() {
            notes.note("tools.name", "renamed");
        }
        names
    }

    fn map<'n>(names: impl Iterator<Item = &'n str> + Clone) -> Self {
        let mut taken: HashSet<String> = names.clone().filter(|name| is_tool_name(name)).map(str::to_owned).collect();
        let mut wire = HashMap::new();
        for name in names.filter(|name| !is_tool_name(name)) {
            if !wire.contains_key(name) {
                let mapped = free_name(name, &taken);
                taken.insert(mapped.clone());
                wire.insert(name.to_owned(), mapped);
            }
        }
        Self { wire, taken }
    }

    /// The name on the wire.
    pub(super) fn wire<'n>(&self, name: &'n str) -> Cow<'n, str> {
        match self.wire.get(name) {
            Some(mapped) => Cow::Owned(mapped.clone()),
            None => Cow::Borrowed(name),
        }
    }

    /// A name for a tool of our own that nobody uses.
    pub(super) fn reserve(&mut self, name: &str) -> String {
        let free = if self.taken.contains(name) { free_name(name, &self.taken) } else { name.to_owned() };
        self.taken.insert(free.clone());
        free
    }

    /// Names on the wire to the client's, where they differ.
    pub(super) fn into_reply_names(self) -> HashMap<String, String> {
        self.wire.into_iter().map(|(client, wire)| (wire, client)).collect()
    }
}

fn all_names(request: &ChatRequest) -> impl Iterator<Item = &str> + Clone {
    let offered = request.tools.iter().filter_map(|tool| match tool {
        Tool::Function { name, .. } => Some(name.as_str()),
        Tool::System(system) => Some(system.name.as_str()),
        Tool::CachePoint(_) => None,
    });
    let chosen = match &request.tool_choice {
        ToolChoice::Named(name) => Some(name.as_str()),
        _ => None,
    };
    let called = request.messages.iter().flat_map(|message| &message.content).filter_map(|content| match content {
        Content::ToolUse { name, .. } => Some(name.as_str()),
        _ => None,
    });
    offered.chain(chosen).chain(called)
}

/// `[a-zA-Z][a-zA-Z0-9_-]{0,63}`: Converse's pattern, with a letter first as some models insist.
pub(super) fn is_tool_name(name: &str) -> bool {
    name.len() <= MAX_LENGTH && name.starts_with(|first: char| first.is_ascii_alphabetic()) && name.chars().all(is_name_character)
}

fn is_name_character(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '_' | '-')
}

fn free_name(name: &str, taken: &HashSet<String>) -> String {
    let mut counter = 0;
    loop {
        let candidate = mapped_name(name, counter);
        if !taken.contains(&candidate) {
            return candidate;
        }
        counter += 1;
    }
}

fn mapped_name(name: &str, counter: u32) -> String {
    let mut mapped = String::with_capacity(MAX_LENGTH);
    if !name.starts_with(|first: char| first.is_ascii_alphabetic()) {
        mapped.push_str("t_");
    }
    let room = MAX_LENGTH - HASH_DIGITS - 1 - mapped.len();
    mapped.extend(name.chars().take(room).map(|character| if is_name_character(character) { character } else { '_' }));
    mapped.push('_');
    mapped.push_str(&hash(name, counter, HASH_DIGITS));
    mapped
}

fn hash(text: &str, counter: u32, digits: usize) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(text.as_bytes());
    if counter > 0 {
        hasher.update(&counter.to_be_bytes());
    }
    hasher.finalize().to_hex().chars().take(digits).collect()
}

/// Tool-call ids of one request. Each call gets an id of its own, also when a client numbers its calls anew in
/// every turn.
pub(crate) struct ToolIdMap {
    form: ToolIds,
    used: HashSet<String>,
}

impl ToolIdMap {
    pub(crate) fn new(form: ToolIds) -> Self {
        Self { form, used: HashSet::new() }
    }

    /// An id on the wire for one call.
    pub(crate) fn assign<'i>(&mut self, id: Cow<'i, str>, notes: &mut Adjustments) -> Cow<'i, str> {
        if is_tool_id(&id, self.form) && self.used.insert(id.clone().into_owned()) {
            return id;
        }
        notes.note("messages.tool_call_id", "renamed");
        let mut counter = 0;
        loop {
            let candidate = mapped_id(&id, counter, self.form);
            if self.used.insert(candidate.clone()) {
                return Cow::Owned(candidate);
            }
            counter += 1;
        }
    }
}

/// An id of this form.
pub(crate) fn is_tool_id(id: &str, form: ToolIds) -> bool {
    match form {
        ToolIds::Any => (1..=MAX_LENGTH).contains(&id.len()) && id.chars().all(is_id_character),
        ToolIds::Words => !id.is_empty() && id.chars().all(is_name_character),
        ToolIds::NineAlphanumerics => id.len() == NINE && id.chars().all(|character| character.is_ascii_alphanumeric()),
    }
}

fn is_id_character(character: char) -> bool {
    is_name_character(character) || matches!(character, '.' | ':')
}

fn mapped_id(id: &str, counter: u32, form: ToolIds) -> String {
    match form {
        ToolIds::Any | ToolIds::Words => {
            let room = MAX_LENGTH - HASH_DIGITS - 1;
            let kept = if form == ToolIds::Any { is_id_character } else { is_name_character };
            let mut mapped: String = id.chars().filter(|character| kept(*character)).take(room).collect();
            mapped.push('_');
            mapped.push_str(&hash(id, counter, HASH_DIGITS));
            mapped
        }
        // The whole id is hashed: Bedrock's own ids all begin alike.
        ToolIds::NineAlphanumerics => hash(id, counter, NINE),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn pain_06_name_mapping_is_bijective_and_valid(names in prop::collection::vec(prop_oneof![".{0,90}", "[a-zA-Z][a-z_.]{60,70}", "[a-z]{1,3}"], 0..12)) {
            let map = ToolNames::map(names.iter().map(String::as_str));
            let mut seen: HashMap<String, &str> = HashMap::new();
            for name in &names {
                let wire = map.wire(name).into_owned();
                prop_assert!(is_tool_name(&wire), "{wire}");
                let before = seen.insert(wire, name);
                prop_assert!(before.is_none_or(|other| other == name));
            }
            let back = map.into_reply_names();
            for (wire, name) in &seen {
                prop_assert_eq!(back.get(wire).map_or(wire.as_str(), String::as_str), *name);
            }
        }

        #[test]
        fn tool_ids_are_valid_and_unique(ids in prop::collection::vec(prop_oneof![".{0,80}", "call_[0-9]"], 0..12)) {
            for form in [ToolIds::Any, ToolIds::Words, ToolIds::NineAlphanumerics] {
                let mut map = ToolIdMap::new(form);
                let mut seen = HashSet::new();
                for id in &ids {
                    let wire = map.assign(Cow::Borrowed(id), &mut Adjustments::default());
                    prop_assert!(is_tool_id(&wire, form), "{wire}");
                    prop_assert!(seen.insert(wire.into_owned()));
                }
            }
        }
    }

    #[test]
    fn pain_06_a_mapped_name_never_takes_the_place_of_a_valid_one() {
        let long = "x".repeat(70);
        let squatter = mapped_name(&long, 0);
        let map = ToolNames::map([long.as_str(), squatter.as_str()].into_iter());
        assert_ne!(map.wire(&long), squatter);
        assert_eq!(map.wire(&squatter), squatter);
    }

    #[test]
    fn pain_06_a_long_name_stays_readable() {
        let map = ToolNames::map(["mcp.server/read file"].into_iter());
        assert!(map.wire("mcp.server/read file").starts_with("mcp_server_read_file_"));
    }

    #[test]
    fn nine_character_ids_do_not_collide_on_a_shared_prefix() {
        let mut map = ToolIdMap::new(ToolIds::NineAlphanumerics);
        let mut notes = Adjustments::default();
        let first = map.assign(Cow::Borrowed("tooluse_abcdefgh1"), &mut notes);
        let second = map.assign(Cow::Borrowed("tooluse_abcdefgh2"), &mut notes);
        assert_ne!(first, second);
    }
}
