//! Ids of items: made from the response's id and the item's place, so that the same response always has the same ones,
//! and the response can be found by any of them.

/// Stands before the random part of a response's id.
const RESPONSE: &str = "resp_";

/// Kind of an item that gets an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ItemKind {
    Message,
    Reasoning,
    Function,
    Custom,
    WebSearch,
    Code,
    Compaction,
}

impl ItemKind {
    fn prefix(self) -> &'static str {
        match self {
            Self::Message => "msg",
            Self::Reasoning => "rs",
            Self::Function => "fc",
            Self::Custom => "ctc",
            Self::WebSearch => "ws",
            Self::Code => "ci",
            Self::Compaction => "cmp",
        }
    }
}

/// Id of the item at `index` of the output.
pub(super) fn of_output(response_id: &str, kind: ItemKind, index: u32) -> String {
    format!("{}_{}_{index}", kind.prefix(), core(response_id))
}

/// Id of the item at `index` of the input, by the prefix of its kind.
pub(super) fn of_input(response_id: &str, prefix: &str, index: usize) -> String {
    format!("{prefix}_{}_i{index}", core(response_id))
}

/// Id of the container that a response's programs run in.
pub(super) fn of_container(response_id: &str) -> String {
    format!("cntr_{}", core(response_id))
}

/// The response that an item belongs to, by the item's id; `None` for ids that are not of this gateway's making. The
/// place after the last `_` is a number, for input items with an `i` before it.
#[must_use]
pub fn response_of(item_id: &str) -> Option<String> {
    let (_, rest) = item_id.split_once('_')?;
    let (core, place) = rest.rsplit_once('_')?;
    let number = place.strip_prefix('i').unwrap_or(place);
    let is_place = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    (is_place && !core.is_empty()).then(|| format!("{RESPONSE}{core}"))
}

fn core(response_id: &str) -> &str {
    response_id.strip_prefix(RESPONSE).unwrap_or(response_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_leads_back_to_its_response() {
        for id in [of_output("resp_a1_b2", ItemKind::Reasoning, 12), of_input("resp_a1_b2", "msg", 0)] {
            assert_eq!(response_of(&id).as_deref(), Some("resp_a1_b2"), "{id}");
        }
        assert_eq!(of_output("resp_x", ItemKind::Function, 3), "fc_x_3");
        for foreign in ["", "msg", "msg_", "msg_68a1f0", "rs__1", "msg_x_", "msg_x_i", "fc_x_1a"] {
            assert_eq!(response_of(foreign), None, "{foreign}");
        }
    }
}
