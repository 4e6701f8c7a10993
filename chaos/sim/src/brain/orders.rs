//! Calls that a prompt orders word for word: a client that runs real tools can then be led through a session.
//!
//! A line `call exactly: Edit {"file_path": "a.txt"}` of what the user says is one call; several lines are made one a turn, in
//! their order, each after the results of the one before.

use serde_json::Value;

/// What such a line begins with.
const ORDER: &str = "call exactly:";

/// Name and arguments of every call that a text orders. A line whose arguments are no JSON object is prose.
pub(super) fn of(said: &str) -> Vec<(&str, Value)> {
    said.lines().filter_map(order).collect()
}

fn order(line: &str) -> Option<(&str, Value)> {
    let line = line.trim_start();
    let (begin, rest) = line.split_at_checked(ORDER.len())?;
    if !begin.eq_ignore_ascii_case(ORDER) {
        return None;
    }
    let (name, arguments) = rest.trim_start().split_once(char::is_whitespace)?;
    let arguments: Value = serde_json::from_str(arguments).ok()?;
    arguments.is_object().then_some((name, arguments))
}
