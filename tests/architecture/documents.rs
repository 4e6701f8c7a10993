//! What the documents must name, because the code has it: each function tells what is missing.

use super::{rules::Actors, source::Source};

/// Rows of the actor table that are missing, and message names in it that are wrong.
///
/// A row reads ``| `Actor` | `Message`, `Message` | ... |``.
pub(crate) fn actor_table(readme: &str, found: &Actors) -> Vec<String> {
    let mut complaints = Vec::new();
    for actor in found.actors.keys() {
        let Some(row) = row_of(readme, actor) else {
            complaints.push(format!("actors/README.md has no row that begins with | `{actor}` |"));
            continue;
        };
        let told = quoted(row.split('|').nth(2).unwrap_or_default());
        let known = found.messages.get(actor).cloned().unwrap_or_default();
        let missing = known.iter().filter(|message| !told.contains(message));
        complaints.extend(missing.map(|message| format!("actors/README.md: the row of `{actor}` lacks the message `{message}`")));
        let wrong = told.iter().filter(|message| !known.contains(message));
        complaints.extend(wrong.map(|message| format!("actors/README.md: `{actor}` has no message `{message}`")));
    }
    complaints
}

fn row_of<'r>(readme: &'r str, actor: &str) -> Option<&'r str> {
    readme.lines().find(|line| line.starts_with(&format!("| `{actor}` |")))
}

/// What stands between backticks.
fn quoted(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// A supervisor as the tree's source writes it down.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Supervised {
    /// `name [strategy restarts/seconds]`, as the drawing of the tree has it.
    pub(crate) drawn: String,
}

/// The supervisors of `SupervisorSpec::new("name", Strategy::RestForOne, Intensity::new(3, 60))`.
pub(crate) fn supervisors(tree: &Source) -> Vec<Supervised> {
    let specs = tree.spoken.split("SupervisorSpec::new(").skip(1);
    let read = |spec: &str| {
        let name = spec.split('"').nth(1)?;
        let strategy = spec.split_once("Strategy::")?.1.split(',').next()?;
        let (restarts, rest) = spec.split_once("Intensity::new(")?.1.split_once(',')?;
        let seconds = rest.split(')').next()?;
        Some(Supervised { drawn: format!("{name} [{} {}/{}]", snake(strategy.trim()), restarts.trim(), seconds.trim()) })
    };
    specs.map(|spec| read(spec).unwrap_or_else(|| panic!("{}: a supervisor that this test cannot read", tree.path))).collect()
}

fn snake(camel: &str) -> String {
    let mut snake = String::new();
    for letter in camel.chars() {
        if letter.is_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}

/// Names in `Slot::new("name")`, `LaneSpec::new("name", ...)` and `name: "..."` of background jobs.
pub(crate) fn named_children(source: &Source) -> Vec<String> {
    let starts = ["Slot::new(\"", "LaneSpec::new(\"", "BackgroundJob { name: \"", "Slot::new(format!(\""];
    let found = starts.iter().flat_map(|start| source.spoken.split(start).skip(1));
    // `target-{region}` is drawn as `target-REGION`.
    found.filter_map(|rest| rest.split('"').next()).map(|name| name.replace("{region}", "REGION")).collect()
}

/// Names of metrics that a file counts in or describes.
pub(crate) fn metrics(source: &Source) -> Vec<String> {
    let macros = ["counter!(", "gauge!(", "histogram!("];
    let calls = macros.iter().flat_map(|call| source.spoken.split(call).skip(1));
    let mut names: Vec<String> =
        calls.filter_map(|rest| rest.trim_start().strip_prefix('"')?.split('"').next().map(str::to_owned)).collect();
    names.sort();
    names.dedup();
    names
}

/// Paths of routes: `.route("/x", ...)` and `.route(&at("/x"), ...)`.
pub(crate) fn routes(source: &Source) -> Vec<String> {
    let calls = source.spoken.split(".route(").skip(1);
    calls
        .filter_map(|rest| rest.trim_start().trim_start_matches("&at(").strip_prefix('"')?.split('"').next())
        .map(|path| path.replace("{*id}", "{id}"))
        .collect()
}

/// Response headers of ours.
pub(crate) fn headers(source: &Source) -> Vec<String> {
    let texts = source.spoken.split('"').skip(1).step_by(2);
    texts.filter(|text| text.starts_with("x-outcrop-")).map(str::to_owned).collect()
}

/// Those of `names` that `document` does not have between backticks or in a drawing.
pub(crate) fn unnamed(document_name: &str, document: &str, names: &[String]) -> Vec<String> {
    names.iter().filter(|name| !document.contains(name.as_str())).map(|name| format!("{document_name} does not name `{name}`")).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn found() -> Actors {
        Actors {
            actors: BTreeMap::from([("Keeper".to_owned(), String::new()), ("Lonely".to_owned(), String::new())]),
            messages: BTreeMap::from([("Keeper".to_owned(), vec!["Ask".to_owned(), "Tell".to_owned()])]),
        }
    }

    #[test]
    fn a_full_table_is_fine() {
        let readme = "| `Keeper` | `Ask`, `Tell` | a `thing` |\n| `Lonely` | none | b |";
        assert_eq!(actor_table(readme, &found()), [""; 0]);
    }

    #[test]
    fn missing_rows_missing_messages_and_wrong_messages_are_told() {
        assert_eq!(actor_table("| `Keeper` | `Ask`, `Gone` | `Tell` |", &found()).len(), 3);
    }

    #[test]
    fn supervisors_are_read_with_strategy_and_intensity() {
        let source = Source::of("t.rs", "fn f() { SupervisorSpec::new(\"root\", Strategy::RestForOne, Intensity::new(3, 60)).child(x) }");
        assert_eq!(supervisors(&source), [Supervised { drawn: "root [rest_for_one 3/60]".to_owned() }]);
    }

    #[test]
    fn children_metrics_routes_and_headers_are_read() {
        let source = Source::of(
            "t.rs",
            "fn f() { Slot::new(\"a-keeper\"); Slot::new(format!(\"target-{region}\")); metrics::counter!(\"n_total\", \"l\" => x);\n\
             describe_gauge!(\n \"g\", \"words\"); r.route(\"/health\", y).route(&at(\"/models/{*id}\"), z); h(\"x-outcrop-region\") }",
        );
        assert_eq!(named_children(&source), ["a-keeper", "target-REGION"]);
        assert_eq!(metrics(&source), ["g", "n_total"]);
        assert_eq!(routes(&source), ["/health", "/models/{id}"]);
        assert_eq!(headers(&source), ["x-outcrop-region"]);
    }

    #[test]
    fn what_a_document_does_not_name_is_told() {
        assert_eq!(unnamed("R", "has `a_total`", &["a_total".to_owned(), "b_total".to_owned()]), ["R does not name `b_total`"]);
    }
}
