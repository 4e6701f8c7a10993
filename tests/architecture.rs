//! The walls of the house: what must be absent where, and what the documents must say because the code does.
//!
//! The tables below are the rules; `architecture/` holds the checkers and their own tests. Where a wall stands wrong,
//! move it: in one change with `actors/README.md`. An exception needs a reason, and one that nothing needs any more
//! fails the test.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "tests fail by panicking")]

#[path = "architecture/documents.rs"]
mod documents;
#[path = "architecture/rules.rs"]
mod rules;
#[path = "architecture/source.rs"]
mod source;

use std::{collections::BTreeSet, fs, sync::OnceLock};

use rules::Absence;
use source::{Source, read, root, sources};

/// Fails with every complaint.
fn expect_none(complaints: Vec<String>) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

/// Everything that is compiled into a program, read once for all tests.
fn program() -> &'static [Source] {
    static PROGRAM: OnceLock<Vec<Source>> = OnceLock::new();
    PROGRAM.get_or_init(|| sources(&["src", "actors", "chaos"]))
}

// ---- Who may import whom ---------------------------------------------------------------------------------------------

/// Each room and the rooms it may import. A new room needs a row.
const IMPORTS: [(&str, &[&str]); 10] = [
    (
        ".",
        &[
            "outcrop-domain",
            "outcrop-protocol",
            "outcrop-translate",
            "outcrop-upstream",
            "outcrop-gateway",
            "outcrop-supervision",
            "outcrop-store",
            "outcrop-sim",
        ],
    ),
    ("actors/domain", &[]),
    ("actors/protocol", &[]),
    ("actors/translate", &["outcrop-domain", "outcrop-protocol"]),
    ("actors/upstream", &["outcrop-domain", "outcrop-protocol"]),
    ("actors/supervision", &[]),
    ("actors/store", &[]),
    (
        "actors/gateway",
        &["outcrop-domain", "outcrop-protocol", "outcrop-translate", "outcrop-upstream", "outcrop-supervision", "outcrop-store"],
    ),
    ("chaos", &["outcrop-sim"]),
    ("chaos/sim", &[]),
];

/// Rooms without input, output and waiting, and all the crates they may use: data structures, encodings, errors.
const PURE: [(&str, &[&str]); 3] = [
    ("actors/domain", &["bytes", "dashmap", "serde", "serde_json", "thiserror", "toml"]),
    ("actors/protocol", &["serde", "serde_json", "serde_path_to_error"]),
    ("actors/translate", &["base64", "base64-simd", "blake3", "memchr", "serde", "serde_json", "thiserror"]),
];

fn manifest(room: &str) -> toml::Table {
    toml::from_str(&read(&format!("{room}/Cargo.toml"))).unwrap()
}

#[test]
fn rooms_import_only_what_their_row_allows() {
    let workspace = manifest(".");
    let members: Vec<&str> = workspace["workspace"]["members"].as_array().unwrap().iter().map(|member| member.as_str().unwrap()).collect();
    assert_eq!(members, IMPORTS.map(|(room, _)| room), "every member of the workspace has one row in IMPORTS");
    expect_none(IMPORTS.iter().flat_map(|(room, allowed)| rules::wrong_imports(room, &manifest(room), allowed)).collect());
}

#[test]
fn pure_rooms_use_no_crate_that_does_input_or_output() {
    expect_none(PURE.iter().flat_map(|(room, allowed)| rules::foreign_imports(room, &manifest(room), allowed)).collect());
}

/// Which parts of the edge may name which crates behind it. The manifest allows more than each file may use.
const EDGE: [Absence; 4] = [
    Absence {
        rule: "the edge does not know the upstream: app.rs alone puts it together",
        words: &["outcrop_upstream"],
        within: &["src"],
        except: &[
            ("src/app.rs", "the composition root"),
            ("src/live.rs", "its other half: the values that a start and a reload both make, among them the limits of fetches"),
        ],
    },
    Absence {
        rule: "the edge knows ports, not supervision",
        words: &["outcrop_supervision"],
        within: &["src"],
        except: &[
            ("src/app.rs", "the composition root: limits of the lane"),
            ("src/cli/serve.rs", "why the tree ended decides how the process ends"),
        ],
    },
    Absence {
        rule: "only commands without an AWS account know the simulator",
        words: &["outcrop_sim"],
        within: &["src"],
        except: &[
            ("src/cli/scenario.rs", "`outcrop local`: the faults of a scenario are the simulator's"),
            ("src/cli/local.rs", "`outcrop local`"),
        ],
    },
    Absence {
        rule: "translation is for rendering: nothing else at the edge translates",
        words: &["outcrop_translate"],
        within: &["src"],
        except: &[("src/http", "rendering"), ("src/cli/explain.rs", "decodes a request as the HTTP edge does")],
    },
];

#[test]
fn the_edge_names_the_rooms_behind_it_only_where_it_must() {
    expect_none(EDGE.iter().flat_map(|absence| rules::check(absence, program())).collect());
}

#[test]
fn http_handlers_see_only_the_gateways_ports() {
    // `record` is the log line that edge and job share; `admission` gives the principal of a key.
    const SEEN: [&str; 3] = ["admission", "ports", "record"];
    let handlers = program().iter().filter(|source| rules::lies_in(&source.path, "src/http"));
    let wrong = handlers.flat_map(|source| {
        let named = rules::modules_of("outcrop_gateway", source).into_iter().filter(|module| !SEEN.contains(&module.as_str()));
        named.map(|module| format!("{}: outcrop_gateway::{module} is not for handlers", source.path)).collect::<Vec<_>>()
    });
    expect_none(wrong.collect());
}

// ---- What must be absent ---------------------------------------------------------------------------------------------

const PURE_SOURCES: &[&str] = &["actors/domain/src", "actors/protocol/src", "actors/translate/src"];

/// The rooms of the gateway itself: `chaos` looks at it from outside and may do as it needs.
const GATEWAY: &[&str] = &["src", "actors"];

const ABSENCES: [Absence; 9] = [
    Absence { rule: "pure rooms wait for nobody", words: &["tokio", "ractor", "async", "await"], within: PURE_SOURCES, except: &[] },
    Absence {
        rule: "no axum outside the HTTP edge",
        words: &["axum"],
        within: &["src", "actors", "chaos"],
        except: &[("src/http", "the HTTP edge"), ("chaos/src/baseline", "the handlers that the gateway is measured against")],
    },
    Absence {
        rule: "no ractor outside the actors",
        words: &["ractor"],
        within: &["src", "actors", "chaos"],
        except: &[("actors/supervision", "the kit"), ("actors/gateway", "the actors")],
    },
    Absence {
        rule: "the environment is read by the settings alone",
        words: &["env::var", "env::vars", "env::var_os", "env::vars_os", "env::set_var", "env::remove_var"],
        within: GATEWAY,
        except: &[("src/settings", "the settings")],
    },
    Absence {
        rule: "clocks are read through the Clock port",
        words: &["SystemTime::now", "Instant::now"],
        within: GATEWAY,
        except: &[
            ("src/world.rs", "the real Clock"),
            ("src/http/sse.rs", "tokio's timer clock, which a paused test moves: when the next keep-alive is due"),
            ("actors/supervision/src/time.rs", "tokio's timer clock: queue waits and restart windows"),
            ("actors/upstream/src/aws/runtime", "tokio's timer clock: deadlines of a call"),
            ("actors/upstream/src/frames.rs", "tokio's timer clock: silence within a stream"),
        ],
    },
    Absence {
        rule: "chance comes through the Entropy port",
        words: &["rand", "fastrand", "getrandom"],
        within: GATEWAY,
        except: &[("src/world.rs", "the real Entropy")],
    },
    Absence {
        rule: "blocking work goes through the Blocking port",
        words: &["spawn_blocking", "block_in_place", "thread::spawn", "thread::Builder", "thread::scope", "thread::sleep"],
        within: GATEWAY,
        except: &[("src/world.rs", "the real Blocking"), ("src/telemetry/log_writer.rs", "a slow pipe must hold no request")],
    },
    Absence {
        rule: "files are for settings and the command line",
        words: &["fs", "File"],
        within: GATEWAY,
        except: &[
            ("src/settings", "reads settings, keys and model data, at start and on reload"),
            ("src/cli", "reads and writes files that the command line names"),
            ("src/app.rs", "reads the CA bundle once, at start"),
            ("actors/store", "keeps what outlives the process; blocking, behind the Blocking port"),
        ],
    },
    Absence {
        rule: "every task belongs to an actor or to a listener that ends it",
        words: &["tokio::spawn", "task::spawn", "spawn_local"],
        within: GATEWAY,
        except: &[],
    },
];

#[test]
fn what_must_be_absent_is_absent() {
    expect_none(ABSENCES.iter().flat_map(|absence| rules::check(absence, program())).collect());
}

#[test]
fn no_aws_sdk_type_outside_the_aws_folder() {
    let workspace = manifest(".");
    let crates = workspace["workspace"]["dependencies"].as_table().unwrap().keys().filter(|name| name.starts_with("aws-"));
    let words: Vec<&'static str> = crates.map(|name| &*name.replace('-', "_").leak()).collect();
    assert!(words.contains(&"aws_sdk_bedrock") && words.contains(&"aws_smithy_types"), "{words:?}");
    let absence = Absence {
        rule: "AWS SDK types stay behind the upstream's ports",
        words: words.leak(),
        within: &["src", "actors", "chaos"],
        except: &[
            ("actors/upstream/src/aws", "the one place that knows them"),
            ("chaos/src/baseline/sdk.rs", "the SDK's own client, which the gateway is measured against"),
        ],
    };
    expect_none(rules::check(&absence, program()));
}

#[test]
fn no_sql_outside_the_store() {
    let drivers = Absence {
        rule: "databases are for actors/store",
        words: &["sqlx", "rusqlite", "tokio_postgres", "diesel", "redis"],
        within: &["src", "actors", "chaos"],
        except: &[],
    };
    let program: Vec<Source> = program().iter().filter(|source| !rules::lies_in(&source.path, "actors/store")).cloned().collect();
    let statements = program.iter().flat_map(rules::sql);
    expect_none(statements.chain(rules::check(&drivers, &program)).collect());
}

// ---- Sizes, marks, the top level -------------------------------------------------------------------------------------

#[test]
fn no_file_is_too_long() {
    expect_none(program().iter().filter_map(rules::too_long).collect());
}

#[test]
fn nothing_is_marked_as_unfinished() {
    let texts = ["rs", "toml", "py", "mjs", "sql"].iter().flat_map(|ending| {
        ["src", "actors", "chaos", "tests", "config"].into_iter().flat_map(|folder| source::files(folder, ending)).collect::<Vec<_>>()
    });
    expect_none(texts.flat_map(|path| rules::marks(&path, &read(&path))).collect());
}

#[test]
fn the_top_level_holds_only_what_was_agreed() {
    const AGREED: [&str; 13] = [
        "Cargo.lock",
        "Cargo.toml",
        "Dockerfile",
        "LICENSE",
        "README.md",
        "actors",
        "chaos",
        "config",
        "docker-compose.yml",
        "rust-toolchain.toml",
        "src",
        "target", // what builds leave behind
        "tests",
    ];
    let entries = fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let strange = entries.filter(|name| !name.starts_with('.') && !AGREED.contains(&name.as_str()));
    expect_none(strange.map(|name| format!("{name} does not belong on the top level")).collect());
}

// ---- Documents keep step with the code -------------------------------------------------------------------------------

/// Where actors live. The kit's actor for tests is no part of any tree.
fn actor_sources() -> Vec<Source> {
    let places = ["actors/gateway/src", "actors/supervision/src"];
    let of_actors = program().iter().filter(|source| places.iter().any(|place| rules::lies_in(&source.path, place)));
    of_actors.filter(|source| source.path != "actors/supervision/src/testkit.rs").cloned().collect()
}

#[test]
fn every_actor_and_message_is_in_the_actors_readme() {
    let found = rules::actors(&actor_sources());
    assert!(found.actors.len() >= 9 && found.messages.len() >= 9, "{found:?}");
    let without_actor: Vec<String> = found.messages.keys().filter(|name| !found.actors.contains_key(*name)).cloned().collect();
    assert_eq!(without_actor, [""; 0], "messages of nobody");
    expect_none(documents::actor_table(&read("actors/README.md"), &found));
}

#[test]
fn every_actor_answers_the_five_questions() {
    let found = rules::actors(&actor_sources());
    expect_none(found.actors.iter().flat_map(|(actor, documentation)| rules::open_questions(actor, documentation)).collect());
}

#[test]
fn the_tree_is_drawn_as_it_is() {
    let readme = read("actors/README.md");
    let tree = Source::of("actors/gateway/src/tree.rs", &read("actors/gateway/src/tree.rs"));
    let supervisors: Vec<String> = documents::supervisors(&tree).into_iter().map(|supervisor| supervisor.drawn).collect();
    assert!(supervisors.len() >= 6, "{supervisors:?}");
    // The tree, the slots of its children, and the work that the composition root adds.
    let slots = Source::of("actors/gateway/src/tree/handle.rs", &read("actors/gateway/src/tree/handle.rs"));
    let root_file = Source::of("src/app.rs", &read("src/app.rs"));
    let children: Vec<String> = [tree, slots, root_file].iter().flat_map(documents::named_children).collect();
    assert!(children.len() >= 8, "{children:?}");
    expect_none(documents::unnamed("actors/README.md", &readme, &[supervisors, children].concat()));
}

#[test]
fn the_readme_names_every_metric_route_and_header() {
    let gateway: Vec<&Source> = program().iter().filter(|source| GATEWAY.iter().any(|place| rules::lies_in(&source.path, place))).collect();
    let metrics: Vec<String> = gateway.iter().flat_map(|source| documents::metrics(source)).collect();
    let routes: Vec<String> = gateway.iter().flat_map(|source| documents::routes(source)).collect();
    let headers: Vec<String> = gateway.iter().flat_map(|source| documents::headers(source)).collect();
    assert!(metrics.len() >= 15 && routes.len() >= 10 && headers.len() >= 5, "{metrics:?} {routes:?} {headers:?}");
    expect_none(documents::unnamed("README.md", &read("README.md"), &[metrics, routes, headers].concat()));
}

#[test]
fn every_metric_is_described_to_scrapers() {
    let descriptions = "src/telemetry/described.rs";
    let gateway = || program().iter().filter(|source| GATEWAY.iter().any(|place| rules::lies_in(&source.path, place)));
    let of = |described: bool| {
        let files = gateway().filter(move |source| (source.path == descriptions) == described);
        files.flat_map(documents::metrics).collect::<BTreeSet<String>>()
    };
    let (counted, described) = (of(false), of(true));
    assert!(counted.len() >= 30, "{counted:?}");
    expect_none(counted.symmetric_difference(&described).map(|name| format!("`{name}` is counted or described, and not both")).collect());
}

#[test]
fn the_readme_names_every_room() {
    let rooms: Vec<String> = IMPORTS.iter().map(|(room, _)| (*room).to_owned()).filter(|room| room != ".").collect();
    expect_none(documents::unnamed("README.md", &read("README.md"), &rooms));
}
