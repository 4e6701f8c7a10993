//! From a file to a scenario: syntax, inheritance, then every key by itself.

use std::{
    cell::RefCell,
    collections::BTreeSet,
    fmt, fs,
    path::{Path, PathBuf},
    rc::Rc,
};

use super::{
    GatewayPlan, Scenario, Target, faults, load, parts,
    section::{Problems, Section},
    tail::LIVENESS,
    tree::{self, Node, Place, Problem, Value},
};

/// A scenario that does not load: all of its problems, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScenarioError(pub Vec<Problem>);

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ScenarioError {}

/// Longest chain of `base`.
const DEEPEST: usize = 8;
/// Files that are only inherited from begin with this.
const FRAGMENT: char = '_';

/// The scenario files of a folder, sorted by name.
///
/// # Errors
/// A folder that cannot be read.
pub fn find(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?.into_iter().map(|entry| entry.path()).collect();
    files.retain(|file| {
        let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.ends_with(".toml") && !name.starts_with(FRAGMENT)
    });
    files.sort();
    Ok(files)
}

/// Loads a file and what it inherits from.
///
/// # Errors
/// Every problem of all files.
pub fn load_file(file: &Path) -> Result<Scenario, ScenarioError> {
    let place = Place { file: file.display().to_string().into(), line: 1 };
    let text = fs::read_to_string(file).map_err(|error| ScenarioError(vec![Problem { place, words: error.to_string() }]))?;
    parse_text(file, &text)
}

/// Loads a text as if it stood in `file`.
///
/// # Errors
/// As [`load_file`].
pub fn parse_text(file: &Path, text: &str) -> Result<Scenario, ScenarioError> {
    let mut gathered = Vec::new();
    let tree = chain(file, text, 0, &mut gathered);
    let problems: Problems = Rc::new(RefCell::new(gathered));
    let expanded = toml::to_string_pretty(&tree::plain(&tree)).unwrap_or_default();
    let scenario = scenario(file, Section::of("the scenario", tree, &problems), expanded);
    let mut problems = Rc::try_unwrap(problems).map(RefCell::into_inner).unwrap_or_else(|shared| shared.borrow().clone());
    problems.sort();
    problems.dedup();
    if problems.is_empty() { Ok(scenario) } else { Err(ScenarioError(problems)) }
}

fn chain(file: &Path, text: &str, depth: usize, problems: &mut Vec<Problem>) -> Node {
    let mut own = tree::parse(file, text, problems);
    let Value::Table(table) = &mut own.value else { return own };
    let Some(base) = table.remove("base") else { return own };
    let Value::Text(name) = &base.value else {
        problems.push(Problem { place: base.place, words: format!("`base` must be a text, not {}", base.value.kind()) });
        return own;
    };
    let path = file.with_file_name(format!("{name}.toml"));
    if depth >= DEEPEST {
        problems.push(Problem { place: base.place, words: format!("more than {DEEPEST} files inherit from each other") });
        return own;
    }
    match fs::read_to_string(&path) {
        Ok(text) => tree::inherit(chain(&path, &text, depth + 1, problems), own),
        Err(error) => {
            problems.push(Problem { place: base.place, words: format!("base {}: {error}", path.display()) });
            own
        }
    }
}

fn scenario(file: &Path, mut section: Section, text: String) -> Scenario {
    let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_owned();
    let name = section.needed_text("name");
    if name != stem && !name.is_empty() {
        section.complain(&section.place.clone(), format!("the file is called {stem}, its scenario {name}"));
    }
    let hypothesis = section.needed_text("hypothesis");
    let seed = section.whole("seed").unwrap_or(1);
    let smoke = section.truth("smoke").unwrap_or(false);
    let alone = section.truth("alone").unwrap_or(false);
    let quick = section.share("quick").unwrap_or(1.0);
    let target = section.section("target").map_or(Target::Gateway(GatewayPlan { replicas: 1, ..GatewayPlan::default() }), parts::target);
    let (run, judge) = strategies(&mut section);
    let regions = parts::regions(&mut section);
    let models = parts::models(&mut section);
    let phases = parts::phases(&mut section);
    let load = load::load(&mut section, &models, &regions);
    let faults = faults::faults(&mut section, &regions);
    let bounds = parts::bounds(&mut section, "bounds", &phases);
    if bounds.is_empty() {
        section.complain(&section.place.clone(), "a scenario needs `bounds`: what must be true of its numbers");
    }
    let rules = parts::rules(&mut section);
    let stop_if = parts::stop_if(&mut section);
    let (place, problems) = (section.place.clone(), section.problems());
    section.finish();
    let mut scenario = Scenario {
        name,
        hypothesis,
        seed,
        smoke,
        alone,
        quick,
        target,
        run,
        judge,
        regions,
        models,
        phases,
        load,
        faults,
        bounds,
        rules,
        stop_if,
        text,
    };
    recovers(&mut scenario, &place, &problems);
    scenario
}

/// A scenario with faults must show that all is well after them, unless it says why it does not.
fn recovers(scenario: &mut Scenario, place: &Place, problems: &Problems) {
    if scenario.rules.waived.contains_key(LIVENESS) || scenario.last_fault().is_none() {
        return;
    }
    if !scenario.rules.must.iter().any(|id| id == LIVENESS) {
        scenario.rules.must.push(LIVENESS.to_owned());
    }
    // Times that could not be read say nothing.
    if problems.borrow().is_empty()
        && let Some(words) = scenario.missing_tail()
    {
        problems.borrow_mut().push(Problem { place: place.clone(), words });
    }
}

fn strategies(section: &mut Section) -> (Vec<String>, Vec<String>) {
    /// What the shipped production settings choose.
    const USUAL: &str = "adaptive";
    let Some(mut strategies) = section.section("strategies") else { return (vec![USUAL.to_owned()], vec![USUAL.to_owned()]) };
    let run = strategies.texts("run");
    let judge = strategies.texts("judge");
    let known: BTreeSet<&String> = run.iter().collect();
    for judged in judge.iter().filter(|judged| !known.contains(judged)) {
        strategies.complain(&strategies.place.clone(), format!("`{judged}` is judged and not run"));
    }
    if run.is_empty() || judge.is_empty() {
        strategies.complain(&strategies.place.clone(), "strategies need `run` and `judge`");
    }
    strategies.finish();
    (run, judge)
}
