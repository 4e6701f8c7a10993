//! Ids of tool calls. Other models write into them what Claude refuses, `functions.Bash:0` for example: a conversation that began
//! with one of those could not go on.

use std::collections::{HashMap, VecDeque};

use outcrop_domain::model::ToolIds;

use super::{Draft, Role, block::is_call};
use crate::{
    converse::request::{ToolIdMap, is_tool_id},
    transparent::json::{Span, Value, elements_of, members_of, said},
};

/// Is this an id that Claude takes? Source: `tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'`.
pub(super) fn is_taken(id: &str) -> bool {
    is_tool_id(id, ToolIds::Words)
}

/// Gives every call whose id is refused another one, and its result the same. All other ids stay.
pub(super) fn settle(draft: &mut Draft<'_>) {
    let mut renaming = Renaming { ids: ToolIdMap::new(ToolIds::Words), waiting: HashMap::new() };
    let mut before = None;
    for message in &draft.index.messages {
        // Messages of the assistant in a row are one turn.
        if message.role == Role::Assistant && before != Some(Role::Assistant) {
            renaming.waiting.clear();
        }
        before = Some(message.role);
        if !message.traits.odd_id {
            continue;
        }
        let blocks = message.content.map(|content| elements_of(draft.text, content.span)).unwrap_or_default();
        for block in blocks {
            renaming.block(draft, block);
        }
    }
}

struct Renaming {
    ids: ToolIdMap,
    /// New ids of the newest turn's calls that have no result yet, by the client's: some number their calls anew in every turn.
    waiting: HashMap<String, VecDeque<String>>,
}

impl Renaming {
    fn block(&mut self, draft: &mut Draft<'_>, block: Value) {
        let members = members_of(draft.text, block.span);
        let text = draft.text;
        let member = |name: &str| {
            let (_, value) = members.iter().find(|(key, _)| key.is(text, name))?;
            Some((value.span, said(text, *value)?.into_owned()))
        };
        if let Some((place, id)) = member("id").filter(|(_, id)| !is_taken(id))
            && member("type").is_some_and(|(_, kind)| is_call(&kind))
        {
            let new = self.assign(draft, place, &id);
            self.waiting.entry(id).or_default().push_back(new);
        }
        if let Some((place, id)) = member("tool_use_id").filter(|(_, id)| !is_taken(id)) {
            match self.waiting.get_mut(&id).and_then(VecDeque::pop_front) {
                Some(new) => write(draft, place, &new),
                None => drop(self.assign(draft, place, &id)),
            }
        }
    }

    fn assign(&mut self, draft: &mut Draft<'_>, place: Span, id: &str) -> String {
        let new = self.ids.assign(id.into(), &mut draft.notes).into_owned();
        write(draft, place, &new);
        new
    }
}

fn write(draft: &mut Draft<'_>, place: Span, id: &str) {
    draft.edits.replace(place, serde_json::to_string(id).unwrap_or_default());
}
