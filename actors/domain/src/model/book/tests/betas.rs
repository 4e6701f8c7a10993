//! Beta flags: which model takes which, on which surface, and rows that say so.

use super::*;

#[test]
fn beta_flags_differ_by_model_and_surface() {
    let book = book();
    let accepts = |name: &str, flag: &str| {
        let betas = chat(&book, &format!("anthropic.claude-{name}")).betas;
        (betas.converse.accepts(flag), betas.invoke.accepts(flag))
    };
    for (name, flag, taken) in [
        ("opus-4-5-20251101-v1:0", "effort-2025-11-24", (true, true)),
        ("sonnet-4-5-20250929-v1:0", "effort-2025-11-24", (false, false)),
        ("sonnet-4-5-20250929-v1:0", "context-1m-2025-08-07", (true, true)),
        ("sonnet-4-6", "context-1m-2025-08-07", (false, false)),
        ("opus-5", "tool-search-tool-2025-10-19", (false, true)),
        ("opus-4-7", "tool-search-tool-2025-10-19", (false, false)),
        ("opus-4-7", "compact-2026-01-12", (false, true)),
        ("opus-4-1-20250805-v1:0", "interleaved-thinking-2025-05-14", (false, true)),
        ("opus-4-6-v1", "interleaved-thinking-2025-05-14", (false, false)),
        ("3-7-sonnet-20250219-v1:0", "token-efficient-tools-2025-02-19", (false, true)),
        ("opus-5", "structured-outputs-2025-11-13", (false, false)),
        ("sonnet-5-5", "structured-outputs-2025-11-13", (true, false)),
        ("opus-4-5-20251101-v1:0", "computer-use-2025-01-24", (false, true)),
    ] {
        assert_eq!(accepts(name, flag), taken, "{name} {flag}");
    }
    let invoke = |name: &str| chat(&book, &format!("anthropic.claude-{name}")).betas.invoke;
    for refused in ["oauth-2025-04-20", "prompt-caching-scope-2026-01-05", "files-api-2025-04-14", "claude-code-20250219"] {
        assert_eq!(invoke("opus-5").standing(refused), FlagStanding::Refused, "{refused}");
    }
    assert_eq!(invoke("opus-5").standing("structured-outputs-2025-11-13"), FlagStanding::Unproven);
    let effort = |name: &str| invoke(name).fields.get("output_config.effort").copied();
    assert_eq!(
        ["haiku-4-5-20251001-v1:0", "opus-4-6-v1", "opus-5"].map(effort),
        [FieldStanding::Dropped, FieldStanding::Free, FieldStanding::Free].map(Some)
    );
    let nova = chat(&book, "amazon.nova-pro-v1:0").betas;
    assert!(nova.invoke.flags.is_empty() && nova.invoke.unproven == UnprovenFlags::Drop);
}

#[test]
fn pain_01_the_flags_of_appendix_a_are_sorted_as_they_were_reported() {
    const ACCEPTED: [&str; 10] = [
        "interleaved-thinking-2025-05-14",
        "context-management-2025-06-27",
        "context-1m-2025-08-07",
        "computer-use-2025-01-24",
        "fine-grained-tool-streaming-2025-05-14",
        "token-efficient-tools-2025-02-19",
        "output-128k-2025-02-19",
        "tool-search-tool-2025-10-19",
        "search-results-2025-06-09",
        "model-context-window-exceeded-2025-08-26",
    ];
    const REFUSED: [&str; 9] = [
        "oauth-2025-04-20",
        "prompt-caching-scope-2026-01-05",
        "fast-mode-2026-02-01",
        "prompt-caching-2024-07-31",
        "files-api-2025-04-14",
        "code-execution-2025-05-22",
        "memory-2025-08-18",
        "thinking-token-count-2026-05-13",
        "extended-cache-ttl-2025-04-11",
    ];
    let book = book();
    let claudes: Vec<_> =
        book.models().filter(|model| model.id.as_str().starts_with("anthropic.")).filter_map(|model| model.chat.as_ref()).collect();
    for flag in ACCEPTED {
        assert!(claudes.iter().any(|chat| chat.betas.invoke.accepts(flag)), "{flag} is taken by none");
    }
    for chat in &claudes {
        for rules in [&chat.betas.invoke, &chat.betas.converse] {
            let choice = rules.choose(REFUSED, &[]);
            assert!(choice.sent.is_empty() && choice.dropped.len() == REFUSED.len(), "{choice:?}");
        }
    }
    let alias = chat(&book, "anthropic.claude-opus-5").betas.invoke.choose(["advanced-tool-use-2025-11-20"], &[]);
    assert!(alias.sent.iter().any(|flag| flag == "tool-search-tool-2025-10-19"), "{alias:?}");
}

#[test]
fn a_row_about_flags_needs_only_what_differs() {
    let book = load(
        r#"
        [beta_flag."compact-2026-01-12"]
        fields = ["squeezing"]

        [[beta]]
        models = "anthropic.claude-opus-4-7"
        surface = "invoke"
        accepted = ["tool-search-tool-2025-10-19", "brand-new-*"]
        free_fields = ["diagnostics"]
        unproven = "drop"
        "#,
    )
    .unwrap();
    let rules = chat(&book, "anthropic.claude-opus-4-7").betas.invoke;
    assert!(rules.accepts("tool-search-tool-2025-10-19") && rules.accepts("brand-new-2027") && rules.accepts("compact-2026-01-12"));
    assert_eq!((rules.unproven, rules.fields.get("diagnostics")), (UnprovenFlags::Drop, Some(&FieldStanding::Free)));
    assert_eq!(rules.glossary.get("compact-2026-01-12").unwrap().fields, ["squeezing"]);
    let other = chat(&book, "anthropic.claude-opus-4-8").betas.invoke;
    assert!(!other.accepts("brand-new-2027") && other.unproven == UnprovenFlags::Pass);
}

#[test]
fn every_problem_of_a_row_about_flags_is_told() {
    let text = r#"
[[beta]]
surface = "invoke"

[[beta]]
family = "claude"
models = "anthropic.claude-opus-5"
surface = "invoke"

[[beta]]
family = "klaude"
surface = "mantle_messages"
accepted = ["a"]
refused = ["a"]

[[beta]]
models = "anthropic.*-5"
surface = "converse"

[[beta]]
models = "anthropic.claude-opus-55*"
surface = "converse"
free_fields = ["a.b.c", "tools[].x", "all[].x", ""]

[[beta]]
family = "claude"
surface = "invoke"
unproven = "perhaps"
acepted = []

[beta_flag."self"]
means = ["self"]
fields = ["x y"]

[[model]]
id = "amazon.nova-pro-v1:0"
chat = { beta_flags = [] }
"#;
    let problems = load(text).unwrap_err();
    for (place, words) in [
        ("mine.toml:2:", "either a `family` or `models`"),
        ("mine.toml:5:", "either a `family` or `models`"),
        ("mine.toml:10:", "family `klaude` does not exist"),
        ("mine.toml:10:", "`surface` is `converse` or `invoke`"),
        ("mine.toml:10:", "both accepted and refused"),
        ("mine.toml:16:", "not its end"),
        ("mine.toml:20:", "no chat model of the book"),
        ("mine.toml:20:", "`a.b.c` is no field"),
        ("mine.toml:20:", "`all[].x` is no field"),
        ("mine.toml:20:", "`` is no field"),
        ("mine.toml:28:", "unknown variant `perhaps`"),
        ("mine.toml:29:", "unknown field `acepted`"),
        ("mine.toml:31:", "means itself"),
        ("mine.toml:31:", "`x y` is no field"),
        ("mine.toml:35:", "`beta_flags`: unknown field"),
    ] {
        assert!(problems.iter().any(|problem| problem.starts_with(place) && problem.contains(words)), "{place} {words}\n{problems:#?}");
    }
    assert!(!problems.iter().any(|problem| problem.contains("tools[].x")));
}
