//! What a reload changes.

use super::Source;
use crate::settings::{Origins, changes};

#[test]
fn a_reload_tells_what_changed_and_what_needs_a_restart() {
    let source = Source::file("[server]\nport = 1111\n[log]\nlevel = \"info\"\n[models.aliases]\na = \"x\"\n");
    let old = source.load();
    source.write(
        "outcrop.toml",
        "[server]\nport = 2222\n[log]\nlevel = \"debug\"\n[models.aliases]\na = \"y\"\n[chat]\ndefault_max_tokens = 5\n\
         [lanes.chat]\nqueue_wait = \"1s\"\n[aws.endpoints.us-east-1]\ndefault = \"http://a.test\"\n[timeouts]\nconnect = \"1s\"\ntotal = \"2h\"\n",
    );
    let found: Vec<_> =
        changes(&old, &source.load()).into_iter().map(|change| (change.path, change.before, change.after, change.reloadable)).collect();
    let change = |path: &str, before: Option<&str>, after: Option<&str>, reloadable| {
        (path.to_owned(), before.map(str::to_owned), after.map(str::to_owned), reloadable)
    };
    assert_eq!(
        found,
        [
            change("server.port", Some("1111"), Some("2222"), false),
            change("aws.endpoints.us-east-1.default", None, Some("\"http://a.test\""), false),
            change("timeouts.connect", Some("\"3s\""), Some("\"1s\""), false),
            change("timeouts.total", Some("\"1h\""), Some("\"2h\""), true),
            change("lanes.chat.queue_wait", Some("\"10s\""), Some("\"1s\""), true),
            change("models.aliases", Some("{ a = \"x\" }"), Some("{ a = \"y\" }"), true),
            change("chat.default_max_tokens", None, Some("5"), true),
            change("log.level", Some("\"info\""), Some("\"debug\""), true),
        ]
    );
}

#[test]
fn a_setting_that_disappears_is_a_change() {
    let source = Source::file("[aws.endpoints.us-east-1]\ndefault = \"http://a.test\"\n");
    let old = source.load();
    source.write("outcrop.toml", "");
    let found = changes(&old, &source.load());
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].path.as_str(), found[0].after.as_ref()), ("aws.endpoints.us-east-1.default", None));
}

#[test]
fn the_same_values_from_elsewhere_are_no_change() {
    let old = Source::file("[server]\nport = 1111\n").load();
    let new = Source::file("").set("server.port=1111").load();
    assert_eq!(changes(&old, &new), []);
}

#[test]
fn what_is_shown_reads_back_as_the_same_settings() {
    let source = Source::file(
        "[server]\nport = 1111\n[models.aliases]\n\"gpt-4.1\" = \"x\"\nrich = { model = \"y\", extra_params = { deep = [1, 2.5, { a = true }] } }\n\
         [aws.endpoints]\ndefault = \"http://{region}.test\"\n[aws.endpoints.us-east-1]\nbedrock = \"http://a.test\"\n\
         [chat]\nguardrail = { identifier = \"g\", version = \"1\", trace = \"enabled_full\" }\n[chat.prompt_caching]\nttl = \"1h\"\n[log.modules]\n\"outcrop::http\" = \"trace\"\n",
    )
    .environment(&[("AWS_REGION", "us-east-1"), ("OUTCROP_KEYS__REQUIRED", "false")]);
    let settings = source.load();
    for origins in [Origins::Hidden, Origins::Shown] {
        let again = Source::empty().with_file("shown.toml", &settings.show(origins)).load();
        assert_eq!(changes(&settings, &again), []);
    }
}

#[test]
fn show_tells_origins_as_comments() {
    let shown = Source::file("[server]\nport = 1111\n").set("log.level=warn").load().show(Origins::Shown);
    let line =
        |start: &str| shown.lines().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("no {start} in {shown}")).to_owned();
    assert!(line("port = 1111  # ").ends_with("outcrop.toml:2:8"));
    assert_eq!(line("level = "), "level = \"warn\"  # --set log.level");
    assert_eq!(line("bind = "), "bind = \"0.0.0.0\"  # default");
    assert_eq!(line("regions = "), "regions = [\"us-east-1\"]  # AWS_REGION");
    assert_eq!(line("# profile"), "# profile is not set");
}

#[test]
fn the_summary_names_file_regions_and_keys() {
    let source = Source::file("[server]\nport = 1111\n");
    let summary = source.load().summary();
    let file = source.options.file.as_ref().unwrap().display().to_string();
    assert_eq!(summary, format!("{file}: in order; 3 settings set; regions us-east-1; 1 key"));
}
