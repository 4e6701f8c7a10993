//! Tools whose input Anthropic has defined and that the client runs. Claude knows them by their type; any other model is
//! told what they take. The input forms are those of the official client's helpers and of Anthropic's tool pages.

/// A tool as any model can be told of it.
pub(super) struct Defined {
    /// Its name, where the request gives none.
    pub(super) name: &'static str,
    /// What it does.
    pub(super) description: &'static str,
    /// JSON Schema of its input.
    pub(super) schema: &'static str,
}

/// The tool of a dated type, where its input can be told in a schema. Tools that move a pointer on a screen cannot:
/// other models have not learnt where things are on one.
pub(super) fn schema(kind: &str, name: Option<&str>) -> Option<Defined> {
    let (family, version) = kind.rsplit_once('_')?;
    if version.is_empty() || !version.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    match family {
        "bash" => Some(Defined { name: "bash", description: BASH, schema: BASH_SCHEMA }),
        "memory" => Some(Defined { name: "memory", description: MEMORY, schema: MEMORY_SCHEMA }),
        // The first versions could take back an edit; they are told by their name.
        "text_editor" if name == Some("str_replace_editor") => {
            Some(Defined { name: "str_replace_editor", description: EDITOR, schema: EDITOR_WITH_UNDO_SCHEMA })
        }
        "text_editor" => Some(Defined { name: "str_replace_based_edit_tool", description: EDITOR, schema: EDITOR_SCHEMA }),
        _ => None,
    }
}

const BASH: &str = "Runs a command in a bash shell that stays open from call to call, and gives back what it prints.";

const BASH_SCHEMA: &str = r#"{"type":"object","properties":{"command":{"type":"string","description":"The command. Required unless `restart` is true."},"restart":{"type":"boolean","description":"True to close the shell and open a new one."}}}"#;

const EDITOR: &str = "Reads and edits text files: `view` shows a file with line numbers, or lists a folder; `create` writes a whole file; `str_replace` replaces a text that occurs exactly once; `insert` adds text after a line.";

const EDITOR_SCHEMA: &str = r#"{"type":"object","properties":{"command":{"type":"string","enum":["view","create","str_replace","insert"]},"path":{"type":"string","description":"File or folder."},"view_range":{"type":"array","items":{"type":"integer"},"description":"With `view` of a file: first and last line, counted from 1; -1 as the last means to the end."},"file_text":{"type":"string","description":"With `create`: the whole content."},"old_str":{"type":"string","description":"With `str_replace`: the text to be replaced, exactly as it stands in the file."},"new_str":{"type":"string","description":"With `str_replace`: the text that takes its place."},"insert_line":{"type":"integer","description":"With `insert`: the line after which the text is added; 0 for the beginning."},"insert_text":{"type":"string","description":"With `insert`: the text."}},"required":["command","path"]}"#;

const EDITOR_WITH_UNDO_SCHEMA: &str = r#"{"type":"object","properties":{"command":{"type":"string","enum":["view","create","str_replace","insert","undo_edit"],"description":"`undo_edit` takes back the last edit of the file."},"path":{"type":"string","description":"File or folder."},"view_range":{"type":"array","items":{"type":"integer"},"description":"With `view` of a file: first and last line, counted from 1; -1 as the last means to the end."},"file_text":{"type":"string","description":"With `create`: the whole content."},"old_str":{"type":"string","description":"With `str_replace`: the text to be replaced, exactly as it stands in the file."},"new_str":{"type":"string","description":"With `str_replace`: the text that takes its place; with `insert`: the text to be added."},"insert_line":{"type":"integer","description":"With `insert`: the line after which the text is added; 0 for the beginning."}},"required":["command","path"]}"#;

const MEMORY: &str = "Keeps notes in files below /memories that outlive the conversation. Look at them before a task, and write down what a later conversation should know: `view` shows a file or lists a folder, `create` writes a file, `str_replace` replaces a text in one, `insert` adds text at a line, `delete` removes a file or folder, `rename` moves one.";

const MEMORY_SCHEMA: &str = r#"{"type":"object","properties":{"command":{"type":"string","enum":["view","create","str_replace","insert","delete","rename"]},"path":{"type":"string","description":"File or folder below /memories; all commands but `rename` take it."},"view_range":{"type":"array","items":{"type":"integer"},"description":"With `view` of a file: first and last line."},"file_text":{"type":"string","description":"With `create`: the whole content."},"old_str":{"type":"string","description":"With `str_replace`: the text to be replaced."},"new_str":{"type":"string","description":"With `str_replace`: the text that takes its place."},"insert_line":{"type":"integer","description":"With `insert`: the line."},"insert_text":{"type":"string","description":"With `insert`: the text."},"old_path":{"type":"string","description":"With `rename`: where it is."},"new_path":{"type":"string","description":"With `rename`: where it shall be."}},"required":["command"]}"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_schema_is_an_object_schema_whose_required_members_exist() {
        for (kind, name) in [
            ("bash_20250124", None),
            ("text_editor_20250728", None),
            ("text_editor_20250124", Some("str_replace_editor")),
            ("memory_20250818", None),
        ] {
            let defined = schema(kind, name).unwrap();
            let schema: serde_json::Value = serde_json::from_str(defined.schema).unwrap();
            assert_eq!(schema["type"], "object", "{kind}");
            for required in schema["required"].as_array().into_iter().flatten() {
                assert!(schema["properties"].get(required.as_str().unwrap()).is_some(), "{kind}: {required}");
            }
        }
    }

    #[test]
    fn only_dated_types_of_known_families_are_defined() {
        for kind in ["bash", "bash_", "bash_new", "computer_20250124", "web_search_20250305", "memory_2025x", "custom"] {
            assert!(schema(kind, None).is_none(), "{kind}");
        }
    }
}
