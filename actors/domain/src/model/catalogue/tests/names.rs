//! From names to models.

use proptest::prelude::*;

use super::*;

const HAIKU_4_5: &str = "anthropic.claude-haiku-4-5-20251001-v1:0";
const SONNET_4_5: &str = "anthropic.claude-sonnet-4-5-20250929-v1:0";
const SONNET_4_6: &str = "anthropic.claude-sonnet-4-6";
const SONNET_5_5: &str = "anthropic.claude-sonnet-5-5";
const OSS_120B: &str = "openai.gpt-oss-120b-1:0";

/// What callers write, and the model they mean.
const SPELLINGS: &[(&str, &str)] = &[
    // canonical ids and their profile forms
    (SONNET_4_6, SONNET_4_6),
    ("us.anthropic.claude-sonnet-4-6", SONNET_4_6),
    ("eu.anthropic.claude-sonnet-4-6", SONNET_4_6),
    ("global.anthropic.claude-sonnet-4-6", SONNET_4_6),
    ("US.Anthropic.Claude-Sonnet-4-6", SONNET_4_6),
    // Anthropic's names, dated and not
    ("claude-sonnet-4-6", SONNET_4_6),
    ("claude-sonnet-4-5", SONNET_4_5),
    ("claude-sonnet-4-5-20250929", SONNET_4_5),
    ("claude-sonnet-4-5-v1:0", SONNET_4_5),
    ("claude-sonnet-4-5-20250929-v1:0", SONNET_4_5),
    ("claude-haiku-4-5@20251001", HAIKU_4_5),
    ("claude-haiku-4-5-20251001", HAIKU_4_5),
    ("claude-haiku-4.5", HAIKU_4_5),
    ("claude-4-5-haiku", HAIKU_4_5),
    ("claude-4.5-sonnet", SONNET_4_5),
    ("Claude Sonnet 4.6", SONNET_4_6),
    ("CLAUDE-SONNET-4-6", SONNET_4_6),
    ("claude-sonnet-4-6-20260217", SONNET_4_6),
    ("claude-sonnet-4-6@default", SONNET_4_6),
    ("claude-opus-4-6", "anthropic.claude-opus-4-6-v1"),
    ("claude-opus-4-8", "anthropic.claude-opus-4-8"),
    ("claude-opus-5", "anthropic.claude-opus-5"),
    ("claude-opus-5-5", "anthropic.claude-opus-5-5"),
    ("claude-fable-5", "anthropic.claude-fable-5"),
    ("claude-fable-5.1", "anthropic.claude-fable-5-1"),
    ("claude-sonnet-5", "anthropic.claude-sonnet-5"),
    ("claude-haiku-5-5", "anthropic.claude-haiku-5-5"),
    ("claude-sonnet-latest", SONNET_5_5),
    ("anthropic/claude-opus-latest", "anthropic.claude-opus-5-5"),
    // OpenRouter
    ("anthropic/claude-sonnet-4.6", SONNET_4_6),
    ("anthropic/claude-sonnet-4-6", SONNET_4_6),
    ("anthropic/claude-haiku-4.5", HAIKU_4_5),
    ("anthropic/claude-4.5-sonnet", SONNET_4_5),
    ("openrouter/anthropic/claude-sonnet-4.6", SONNET_4_6),
    ("amazon/nova-pro-v1", "amazon.nova-pro-v1:0"),
    ("amazon/nova-lite-v1", "amazon.nova-lite-v1:0"),
    ("amazon/nova-2-lite-v1", "amazon.nova-2-lite-v1:0"),
    ("meta-llama/llama-3.3-70b-instruct", "meta.llama3-3-70b-instruct-v1:0"),
    ("meta-llama/llama-3.1-8b-instruct", "meta.llama3-1-8b-instruct-v1:0"),
    ("meta-llama/llama-3-8b-instruct", "meta.llama3-8b-instruct-v1:0"),
    ("meta-llama/llama-4-maverick", "meta.llama4-maverick-17b-instruct-v1:0"),
    ("meta-llama/Llama-4-Scout-17B-Instruct", "meta.llama4-scout-17b-instruct-v1:0"),
    ("mistralai/mistral-7b-instruct-v0.2", "mistral.mistral-7b-instruct-v0:2"),
    ("mistralai/mixtral-8x7b-instruct", "mistral.mixtral-8x7b-instruct-v0:1"),
    ("mistralai/mistral-large-2407", "mistral.mistral-large-2407-v1:0"),
    ("mistralai/devstral-2512", "mistral.devstral-2-123b"),
    ("deepseek/deepseek-r1", "deepseek.r1-v1:0"),
    ("deepseek/deepseek-chat-v3.1", "deepseek.v3-v1:0"),
    ("deepseek/deepseek-v3.2", "deepseek.v3.2"),
    ("deepseek-ai/DeepSeek-V3.1", "deepseek.v3-v1:0"),
    ("qwen/qwen3-coder", "qwen.qwen3-coder-480b-a35b-v1:0"),
    ("qwen/qwen3-32b", "qwen.qwen3-32b-v1:0"),
    ("Qwen/Qwen3-235B-A22B-2507", "qwen.qwen3-235b-a22b-2507-v1:0"),
    ("moonshotai/kimi-k2-thinking", "moonshot.kimi-k2-thinking"),
    ("moonshotai/kimi-k2.5", "moonshotai.kimi-k2.5"),
    ("minimax/minimax-m2.1", "minimax.minimax-m2.1"),
    ("z-ai/glm-4.7", "zai.glm-4.7"),
    ("z.ai/glm-5", "zai.glm-5"),
    ("x-ai/grok-4.6", "xai.grok-4.6"),
    ("google/gemma-3-27b-it", "google.gemma-3-27b-it"),
    ("nvidia/nemotron-nano-9b-v2", "nvidia.nemotron-nano-9b-v2"),
    ("openai/gpt-oss-120b", OSS_120B),
    ("openai/gpt-5.6-sol", "openai.gpt-5.6-sol"),
    ("cohere/embed-v4.0", "cohere.embed-v4:0"),
    // LiteLLM
    ("bedrock/anthropic.claude-sonnet-4-6", SONNET_4_6),
    ("bedrock/us.anthropic.claude-sonnet-4-6", SONNET_4_6),
    ("bedrock/converse/us.anthropic.claude-sonnet-4-6", SONNET_4_6),
    ("bedrock/invoke/anthropic.claude-haiku-4-5-20251001-v1:0", HAIKU_4_5),
    ("bedrock/us-east-1/anthropic.claude-sonnet-4-6", SONNET_4_6),
    ("bedrock_converse/claude-sonnet-4-6", SONNET_4_6),
    ("litellm_proxy/bedrock/claude-sonnet-4-6", SONNET_4_6),
    ("openai/claude-sonnet-4-6", SONNET_4_6),
    ("anthropic/nova-pro", "amazon.nova-pro-v1:0"),
    // short names
    ("gpt-oss-120b", OSS_120B),
    ("gpt-oss-20b", "openai.gpt-oss-20b-1:0"),
    ("nova-pro", "amazon.nova-pro-v1:0"),
    ("nova-2-lite", "amazon.nova-2-lite-v1:0"),
    ("titan-embed-text-v2", "amazon.titan-embed-text-v2:0"),
    ("titan-embed-text-v1", "amazon.titan-embed-text-v1"),
    ("titan-embed-text", "amazon.titan-embed-text-v2:0"),
    ("llama3-1-70b-instruct", "meta.llama3-1-70b-instruct-v1:0"),
    ("mistral-large-3", "mistral.mistral-large-3-675b-instruct"),
    ("pixtral-large", "mistral.pixtral-large-2502-v1:0"),
    ("stable-image-core", "stability.stable-image-core-v1:1"),
    ("  claude-sonnet-4-6  ", SONNET_4_6),
    // patterns
    ("claude-sonnet-*", SONNET_5_5),
    ("anthropic/claude-haiku-*", "anthropic.claude-haiku-5-5"),
    ("us.anthropic.claude-opus-*", "anthropic.claude-opus-5-5"),
    ("*titan-embed-text*", "amazon.titan-embed-text-v2:0"),
    ("claude-sonnet-4-5*", SONNET_4_5),
    // foundation-model and system-profile ARNs
    ("arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-pro-v1:0", "amazon.nova-pro-v1:0"),
    ("arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-sonnet-4-6", SONNET_4_6),
    ("bedrock/converse/arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-sonnet-4-6", SONNET_4_6),
];

#[test]
fn every_usual_spelling_finds_its_model() {
    let catalogue = usual();
    assert!(SPELLINGS.len() >= 60);
    for (name, expected) in SPELLINGS {
        assert_eq!(id_of(&catalogue, name), *expected, "{name}");
        assert_eq!(resolved(&catalogue, name).asked.as_str(), *name);
    }
}

#[test]
fn no_two_models_share_a_spelling() {
    assert_eq!(usual().words.collisions(), Vec::<String>::new());
}

#[test]
fn names_that_contradict_an_id_do_not_find_it() {
    let catalogue = usual();
    for name in [
        "nova-pro-v2",
        "claude-sonnet-4-5-20250514",
        "claude-haiku-4-5@20260101",
        "claude-sonnet-9",
        "google/claude-sonnet-4-6",
        "azure/gpt-4o",
        "gpt-4o",
        "openai/gpt-4o",
        "",
        "   ",
        "/",
        "bedrock/",
        "arn:aws:s3:::bucket",
        "arn:aws:bedrock:us-east-1::foundation-model/none.such",
        "arn:aws:bedrock:us-east-1::foundation-model/arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-pro-v1:0",
        "[1m]",
    ] {
        assert!(matches!(refused(&catalogue, name), ResolveError::NotFound { .. }), "{name}: {:?}", refused(&catalogue, name));
    }
}

#[test]
fn an_unknown_name_is_answered_with_close_ones() {
    let ResolveError::NotFound { close, .. } = refused(&usual(), "claude-sonet-4-6") else { panic!("expected NotFound") };
    assert_eq!(close.first().map(String::as_str), Some("claude-sonnet-4-6"));
    assert!(close.len() <= 3);
    let message = refused(&usual(), "anthropic/claude-sonet-4-6").to_string();
    assert!(message.contains("`claude-sonnet-4-6`"), "{message}");
    assert_eq!(refused(&usual(), "qqqqqqqq").to_string(), "the model `qqqqqqqq` does not exist");
}

#[test]
fn patterns_need_letters_and_one_newest_model() {
    let catalogue = usual();
    for name in ["*", "a*", "**", "bedrock/*"] {
        assert!(matches!(refused(&catalogue, name), ResolveError::BareWildcard { .. }), "{name}");
    }
    let ResolveError::Ambiguous { matches, .. } = refused(&catalogue, "claude-*") else { panic!("expected Ambiguous") };
    assert_eq!(matches, ["anthropic.claude-haiku-5-5", "anthropic.claude-opus-5-5", "anthropic.claude-sonnet-5-5"]);
    assert!(matches!(refused(&catalogue, "nosuch-*"), ResolveError::NotFound { .. }));
}

#[test]
fn the_long_window_suffix_is_native_a_beta_flag_or_reported() {
    let catalogue = usual();
    let native = resolved(&catalogue, "claude-sonnet-4-6[1m]");
    assert_eq!((native.model.id.as_str(), native.beta_flag, native.notes.is_empty()), (SONNET_4_6, None, true));
    let beta = resolved(&catalogue, "us.anthropic.claude-sonnet-4-5-20250929-v1:0[1M]");
    assert_eq!(beta.beta_flag.as_deref(), Some("context-1m-2025-08-07"));
    assert!(beta.notes.is_empty());
    let lost = resolved(&catalogue, "claude-haiku-4-5[1m]");
    assert_eq!((lost.beta_flag, lost.notes.to_string().as_str()), (None, "model=1m_context_unsupported"));
}

#[test]
fn ids_of_the_other_endpoint_lead_to_the_runtime_or_to_a_clear_error() {
    let catalogue = usual();
    let twin = resolved(&catalogue, "openai.gpt-oss-120b");
    assert_eq!((twin.model.id.as_str(), twin.notes.to_string().as_str()), (OSS_120B, "model=runtime_id_used"));
    assert_eq!(id_of(&catalogue, "openai.gpt-5.4-2026-03-05"), "openai.gpt-5.4");
    for name in ["xai.grok-4.3", "x-ai/grok-4.3", "google.gemma-4-31b", "z-ai/glm-4.6"] {
        let error = refused(&catalogue, name);
        assert!(matches!(error, ResolveError::MantleOnly { .. }), "{name}: {error}");
        assert!(error.to_string().contains("bedrock-mantle"));
    }
}

#[test]
fn aliases_carry_their_index_and_stand_before_spellings_but_after_ids() {
    let policy = CataloguePolicy {
        aliases: vec![
            alias("fast", "claude-haiku-*"),
            alias("gpt-4o", "fast"),
            alias("claude-opus-5", "amazon.nova-pro-v1:0"),
            alias(SONNET_4_6, "amazon.nova-pro-v1:0"),
            alias("Team-Model", "amazon.nova-lite-v1:0"),
            alias("loop-a", "loop-b"),
            alias("loop-b", "loop-a"),
            alias("broken", "no-such-model"),
            alias("old", "anthropic.claude-3-opus-20240229-v1:0"),
        ],
        ..CataloguePolicy::default()
    };
    let catalogue = build(&["us-east-1"], &policy);
    let of = |name: &str| (id_of(&catalogue, name), resolved(&catalogue, name).alias.map(|alias| alias.as_str().to_owned()));
    let named = |alias: &str| Some(alias.to_owned());
    assert_eq!(of("fast"), ("anthropic.claude-haiku-5-5".to_owned(), named("fast")));
    assert_eq!(of("gpt-4o"), ("anthropic.claude-haiku-5-5".to_owned(), named("gpt-4o")));
    assert_eq!(of("openai/gpt-4o"), ("anthropic.claude-haiku-5-5".to_owned(), named("gpt-4o")));
    assert_eq!(of("GPT-4O"), ("anthropic.claude-haiku-5-5".to_owned(), named("gpt-4o")));
    assert_eq!(of("claude-opus-5"), ("amazon.nova-pro-v1:0".to_owned(), named("claude-opus-5")));
    assert_eq!(of("anthropic.claude-opus-5"), ("anthropic.claude-opus-5".to_owned(), None));
    assert_eq!(of(SONNET_4_6), (SONNET_4_6.to_owned(), None));
    assert_eq!(of("team-model"), ("amazon.nova-lite-v1:0".to_owned(), named("Team-Model")));
    assert_eq!(of("deepseek-v3.1").1, None);
    assert!(matches!(refused(&catalogue, "loop-a"), ResolveError::AliasLoop { .. }));
    assert!(matches!(refused(&catalogue, "broken"), ResolveError::NotFound { .. }));
    let old = resolved(&catalogue, "old");
    assert_eq!(old.alias.as_ref().map(|alias| alias.as_str()), Some("old"));
    assert_eq!((old.model.id.as_str(), old.replaced.unwrap().asked.as_str()), ("anthropic.claude-opus-5-5", "old"));
    // Also of names that cannot be called, in any spelling.
    for (name, alias) in [("broken", "broken"), ("FAST[1m]", "fast"), ("openai/gpt-4o", "gpt-4o")] {
        assert_eq!(catalogue.operator_alias(name).as_ref().map(|alias| alias.as_str()), Some(alias), "{name}");
    }
    assert_eq!(catalogue.operator_alias("anthropic.claude-opus-5"), None);
    let problems = catalogue.problems().join("\n");
    for word in ["has no effect", "`loop-a`", "`broken`"] {
        assert!(problems.contains(word), "{word}: {problems}");
    }
}

#[test]
fn retired_models_are_replaced_and_the_answer_says_so() {
    let catalogue = usual();
    for (name, expected) in [
        ("anthropic.claude-3-opus-20240229-v1:0", "anthropic.claude-opus-5-5"),
        ("claude-3-opus-20240229", "anthropic.claude-opus-5-5"),
        ("claude-3-opus", "anthropic.claude-opus-5-5"),
        ("anthropic/claude-3.5-haiku", "anthropic.claude-haiku-5-5"),
        ("claude-3-5-haiku-latest", "anthropic.claude-haiku-5-5"),
        ("us.anthropic.claude-3-5-haiku-20241022-v1:0", "anthropic.claude-haiku-5-5"),
        ("claude-opus-4-20250514", "anthropic.claude-opus-5-5"),
        ("claude-2.1", SONNET_5_5),
        ("anthropic.claude-v2:1", SONNET_5_5),
        ("claude-instant-1.2", "anthropic.claude-haiku-5-5"),
        ("amazon.nova-canvas-v1:0", "stability.stable-image-core-v1:1"),
        ("nova-canvas", "stability.stable-image-core-v1:1"),
        ("amazon.titan-image-generator-v2:0", "stability.stable-image-core-v1:1"),
        ("amazon.titan-text-express-v1", "amazon.nova-2-lite-v1:0"),
        ("meta.llama3-2-11b-instruct-v1:0", "meta.llama4-scout-17b-instruct-v1:0"),
        ("meta-llama/llama-3.2-11b-vision-instruct", "meta.llama4-scout-17b-instruct-v1:0"),
        ("cohere.command-r-plus-v1:0", "amazon.nova-2-lite-v1:0"),
        ("ai21.j2-ultra-v1", "amazon.nova-2-lite-v1:0"),
        ("amazon.nova-sonic-v1:0", "amazon.nova-2-5-sonic"),
    ] {
        let resolution = resolved(&catalogue, name);
        assert_eq!(resolution.model.id.as_str(), expected, "{name}");
        let replaced = resolution.replaced.unwrap_or_else(|| panic!("{name} is not marked"));
        assert_eq!((replaced.asked.as_str(), replaced.by.as_str()), (name, expected));
        assert!(!replaced.words.is_empty());
        assert_eq!(resolution.notes.to_string(), format!("model=replaced_by_{expected}"), "{name}");
    }
}

#[test]
fn a_legacy_model_answers_itself_where_it_is_offered_and_is_replaced_where_not() {
    let tokyo = build(&["ap-northeast-1"], &CataloguePolicy::default());
    let own = resolved(&tokyo, "claude-3-7-sonnet-latest");
    assert_eq!((own.model.id.as_str(), own.replaced), ("anthropic.claude-3-7-sonnet-20250219-v1:0", None));
    let gone = vec![offer_of("us-east-1", |spec| !spec.id.as_str().contains("claude-3-7"))];
    let virginia = Catalogue::build(book(), &gone, &CataloguePolicy::default());
    assert_eq!(resolved(&virginia, "claude-3-7-sonnet-latest").replaced.unwrap().by.as_str(), SONNET_5_5);
    let refusing = build(&["ap-northeast-1"], &CataloguePolicy { legacy: LegacyModels::Refuse, ..CataloguePolicy::default() });
    assert!(resolved(&refusing, "claude-3-7-sonnet-latest").replaced.is_some());
    assert!(matches!(refused(&refusing, "twelvelabs.marengo-embed-3-0-v1:0"), ResolveError::Legacy { .. } | ResolveError::Retired { .. }));
}

#[test]
fn without_fallback_the_error_names_the_replacement() {
    let policy = CataloguePolicy { retired_fallback: false, ..CataloguePolicy::default() };
    let error = refused(&build(&["us-east-1"], &policy), "claude-3-opus");
    assert!(error.to_string().starts_with("the model `claude-3-opus` is retired, use `anthropic.claude-opus-5-5`"), "{error}");
    // Vectors of another model cannot stand for the old ones: never by itself.
    let elsewhere = Catalogue::build(
        book(),
        &[offer_of("us-east-1", |spec| spec.id.as_str().contains("marengo-embed-3"))],
        &CataloguePolicy::default(),
    );
    let error = refused(&elsewhere, "twelvelabs.marengo-embed-2-7-v1:0");
    assert!(matches!(&error, ResolveError::Retired { by, .. } if by.as_str() == "twelvelabs.marengo-embed-3-0-v1:0"), "{error}");
}

#[test]
fn chains_of_retired_models_end() {
    let extra = r#"
        [[model]]
        id = "acme.a"
        name = "A"
        provider = "Acme"
        kind = "rerank"
        input = ["text"]
        output = ["text"]
        surfaces = ["invoke"]
        [[model]]
        id = "acme.b"
        name = "B"
        provider = "Acme"
        kind = "rerank"
        input = ["text"]
        output = ["text"]
        surfaces = ["invoke"]
        [[retired]]
        id = "acme.first"
        use = ["acme.a"]
        words = "first has ended"
        [[retired]]
        id = "acme.a"
        use = ["acme.b"]
        words = "a has ended"
        [[retired]]
        id = "acme.b"
        use = ["acme.a", "NEXT"]
        words = "b has ended"
    "#;
    let with = |next: &str| {
        let mut files = BUILTIN.to_vec();
        let text = extra.replace("NEXT", next);
        files.push(("mine.toml", &text));
        let book = ModelBook::load(&files).unwrap();
        Catalogue::build(&book, &offers(&["us-east-1"]), &CataloguePolicy::default())
    };
    let chained = with("amazon.nova-pro-v1:0");
    for name in ["acme.first", "acme.a", "acme.b"] {
        assert_eq!(id_of(&chained, name), "amazon.nova-pro-v1:0", "{name}");
    }
    let circular = with("acme.a");
    for name in ["acme.first", "acme.a", "acme.b"] {
        let error = refused(&circular, name);
        assert!(matches!(error, ResolveError::Retired { .. }) && error.to_string().contains("cannot be called"), "{name}: {error}");
    }
}

#[test]
fn every_canonical_id_means_itself() {
    let catalogue = usual();
    for listed in catalogue.list() {
        let resolution = resolved(&catalogue, listed.id.as_str());
        assert_eq!(resolution.model.id, listed.id);
        assert_eq!((resolution.replaced, resolution.alias, resolution.notes.is_empty()), (None, None, true));
        for alias in &listed.aliases {
            assert_eq!(id_of(&catalogue, alias.as_str()), listed.id.as_str(), "{alias}");
        }
    }
}

#[test]
fn before_discovery_every_name_is_told_to_wait() {
    for catalogue in [Catalogue::not_ready(), Catalogue::build(book(), &[], &CataloguePolicy::default())] {
        assert!(!catalogue.is_ready() && catalogue.list().len() == 0);
        assert_eq!(catalogue.resolve(SONNET_4_6), Err(ResolveError::NotReady));
        let error = crate::error::GatewayError::from(ResolveError::NotReady);
        assert!(error.retryable() && error.retry_after().is_some());
    }
}

/// Pieces that names are made of, so that random ones reach deep into the resolver.
fn piece() -> impl Strategy<Value = String> {
    const WORDS: &[&str] = &[
        "us.",
        "eu.",
        "global.",
        "anthropic.",
        "anthropic/",
        "bedrock/",
        "converse/",
        "us-east-1/",
        "claude",
        "-sonnet",
        "-4-6",
        "-4.5",
        "-v1:0",
        "-20250929",
        "@20251001",
        "[1m]",
        "*",
        "arn:aws:bedrock:us-east-1::foundation-model/",
        "openai/",
        "gpt-oss-120b",
        ":0",
        "-latest",
        "amazon.nova",
        "-pro",
        "/",
        ".",
        ":",
        "-",
        " ",
        "é",
        "\u{0}",
        "[1M]",
        "arn:",
        "llama",
        "3",
    ];
    prop_oneof![4 => proptest::sample::select(WORDS).prop_map(str::to_owned), 1 => ".{0,6}"]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn any_name_is_answered_without_panic_and_its_model_means_itself(pieces in proptest::collection::vec(piece(), 0..8)) {
        thread_local!(static CATALOGUE: Catalogue = usual());
        let name = pieces.concat();
        CATALOGUE.with(|catalogue| match catalogue.resolve(&name) {
            Ok(resolution) => {
                let id = resolution.model.id.as_str();
                let again = catalogue.resolve(id).unwrap();
                assert_eq!(again.model.id.as_str(), id, "{name:?}");
                assert!(!resolution.targets.is_empty());
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        });
    }
}
