//! Secrets reach nobody: not `Debug`, not `config show`, not problems.

use super::{Source, entry};
use crate::settings::{Change, Environment, Origins, changes};

/// Stands in every place that takes a secret.
const HUSH: &str = "hush-7f3a";

fn everywhere() -> Source {
    let text = format!(
        "[aws]\n\
         regions = [\"us-east-1\"]\n\
         bearer_token = \"{HUSH}-bearer\"\n\
         credentials = {{ access_key_id = \"public\", secret_access_key = \"{HUSH}-secret\", session_token = \"{HUSH}-session\" }}\n\
         endpoints.default = \"http://127.0.0.1:1\"\n\
         proxy.https = \"http://user:{HUSH}-proxy@proxy.test:3128\"\n\
         [keys]\n\
         file = \"keys.txt\"\n\
         [[keys.key]]\n\
         id = \"one\"\n\
         secret = \"{HUSH}-one\"\n\
         [[keys.key]]\n\
         id = \"two\"\n\
         secret_env = \"KEY_OF_TWO\"\n"
    );
    Source::empty()
        .with_file("outcrop.toml", &text)
        .beside("keys.txt", &format!("three:{HUSH}-three\n"))
        .environment(&[
            ("KEY_OF_TWO", &format!("{HUSH}-two\n")),
            ("OUTCROP_API_KEY", &format!("{HUSH}-four")),
            ("OUTCROP_API_KEYS", &format!("five:{HUSH}-five, {HUSH}-six")),
        ])
        .flag("--secret", "chat.drop_params", HUSH)
}

#[test]
fn secrets_of_every_source_arrive() {
    let settings = everywhere().load();
    let mut keys: Vec<(String, String)> =
        settings.keys.list.iter().map(|key| (key.id.to_string(), key.secret.expose().to_owned())).collect();
    keys.sort();
    let expected = [("env-1", "four"), ("env-3", "six"), ("five", "five"), ("one", "one"), ("three", "three"), ("two", "two")];
    assert_eq!(keys, expected.map(|(id, secret)| (id.to_owned(), format!("{HUSH}-{secret}"))));
    assert_eq!(settings.aws.bearer_token.as_ref().map(|token| token.expose().to_owned()), Some(format!("{HUSH}-bearer")));
    let credentials = settings.aws.credentials.unwrap();
    assert_eq!(credentials.secret_access_key.expose(), format!("{HUSH}-secret"));
    assert!(settings.aws.proxy.https.unwrap().expose().contains(HUSH));
}

#[test]
fn secrets_are_neither_debugged_nor_shown_nor_serialised() {
    let mut source = everywhere();
    source.options.flags.clear();
    let settings = source.load();
    for text in [
        format!("{settings:?}"),
        settings.show(Origins::Hidden),
        settings.show(Origins::Shown),
        settings.summary(),
        serde_json::to_string(&settings).unwrap(),
        format!("{:?}", source.options),
    ] {
        assert!(!text.contains(HUSH), "{text}");
    }
    let shown = settings.show(Origins::Hidden);
    assert!(shown.contains("bearer_token = \"[redacted]\""), "{shown}");
    assert!(shown.contains("http://[redacted]@proxy.test:3128"), "{shown}");
    assert!(shown.contains("\"five:[redacted]\""), "{shown}");
    // Flags may carry anything.
    assert!(!format!("{:?}", everywhere().options.flags).contains(HUSH));
}

#[test]
fn problems_do_not_quote_secrets_even_in_wrong_places() {
    let text = format!(
        "[aws]\n\
         bearer_token = [\"{HUSH}\"]\n\
         credentials = {{ access_key_id = [\"{HUSH}\"], secret_access_key = \"{HUSH} {HUSH}\" }}\n\
         proxy.https = \"https://user:{HUSH}@proxy.test\"\n\
         [keys]\n\
         required = \"{HUSH}\"\n\
         secrets = [\"bad id:{HUSH}\", \"{HUSH} {HUSH}\"]\n\
         file = \"keys.txt\"\n\
         [[keys.key]]\n\
         id = \"{HUSH} {HUSH}\"\n\
         secret_env = \"{HUSH}\"\n\
         models = \"{HUSH}\"\n"
    );
    let source = Source::empty()
        .with_file("outcrop.toml", &text)
        .beside("keys.txt", &format!("{HUSH}\nx:{HUSH}\u{7f}\nanonymous:{HUSH}\n"))
        .environment(&[("AWS_REGION", "us-east-1")]);
    let problems = source.problems();
    assert!(problems.iter().all(|problem| !problem.contains(HUSH)), "{problems:#?}");
    for part in ["aws.bearer_token", "aws.proxy.https", "keys.required", "keys.secrets[0]", "keys.secrets[1]", "keys.key[0].id"] {
        assert!(problems.iter().any(|problem| problem.contains(part)), "no {part} in {problems:#?}");
    }
}

#[test]
fn a_syntax_error_does_not_quote_its_line() {
    let problems = Source::file(&format!("[aws]\nbearer_token = \"{HUSH}\n")).problems();
    assert!(problems.iter().all(|problem| !problem.contains(HUSH)), "{problems:#?}");
    let source = Source::file("").environment(&[("AWS_REGION", "us-east-1"), ("OUTCROP_KEYS__KEY", &format!("[{{ id = \"{HUSH}"))]);
    assert!(source.problems().iter().all(|problem| !problem.contains(HUSH)));
}

#[test]
fn ids_and_secrets_are_used_once() {
    let source = Source::file("[[keys.key]]\nid = \"a\"\nsecret = \"sk-1\"\n[[keys.key]]\nid = \"a\"\nsecret = \"sk-2\"\n")
        .environment(&[("AWS_REGION", "us-east-1"), ("OUTCROP_API_KEYS", "b:sk-1")]);
    let problems = source.problems();
    assert_eq!(problems.len(), 2, "{problems:#?}");
    assert_eq!(problems[0], "outcrop.toml:1:1: keys: key `a` has the same secret as key `b`");
    assert!(problems[1].starts_with("outcrop.toml:4:1: keys: key id `a` is also used at "), "{problems:#?}");
}

#[test]
fn a_key_has_exactly_one_secret() {
    let source = Source::file("[[keys.key]]\nid = \"a\"\n[[keys.key]]\nid = \"b\"\nsecret = \"x\"\nsecret_env = \"Y\"\n")
        .environment(&[("AWS_REGION", "us-east-1"), ("Y", "y")]);
    assert_eq!(
        source.problems(),
        [
            "outcrop.toml:1:1: keys.key[0]: expected exactly one of `secret` and `secret_env`",
            "outcrop.toml:3:1: keys.key[1]: expected exactly one of `secret` and `secret_env`",
        ]
    );
}

#[test]
fn a_key_file_with_bad_lines_is_told_line_by_line() {
    let problems = Source::file("keys.file = \"keys.txt\"\n").beside("keys.txt", "good:sk\nno colon\n:x\nempty:\n").problems();
    assert_eq!(problems.len(), 3, "{problems:#?}");
    assert_eq!(problems[0], "keys.txt:2:1: keys.file: expected `id:secret`");
    assert!(problems[1].starts_with("keys.txt:3:1: keys.file: expected an id"), "{problems:#?}");
    assert!(problems[2].starts_with("keys.txt:4:1: keys.file: expected a secret"), "{problems:#?}");
}

#[test]
fn a_rotated_secret_is_a_change_that_shows_nothing() {
    let source = everywhere();
    let old = source.load();
    source.write("keys.txt", &format!("three:{HUSH}-rotated\n"));
    let new = source.load();
    let path = entry(&old, "keys.file").0;
    assert_eq!(changes(&old, &new), [Change { path: "keys.file".into(), before: path.clone(), after: path, reloadable: true }]);
}

#[test]
fn keys_may_be_switched_off() {
    let settings = Source::empty().environment(&[("AWS_REGION", "us-east-1"), ("OUTCROP_KEYS__REQUIRED", "false")]).load();
    assert!(!settings.keys.required && settings.keys.list.is_empty());
    assert!(settings.summary().ends_with("open to everybody"), "{}", settings.summary());
    assert_eq!(Environment::default().get("OUTCROP_KEYS__REQUIRED"), None);
}
