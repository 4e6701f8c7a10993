//! Each seed in a process of its own: what a process keeps from one run to the next could not repeat itself.

use std::{
    collections::BTreeMap,
    env,
    io::Write as _,
    process::{Command, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::{check, options::Options, plant::Plant, run::run, shim, trace};

/// What came of a seed.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    pub seed: u64,
    /// Of the trace.
    pub hash: u64,
    /// Names of the checks that failed.
    pub failed: Vec<String>,
    /// Cases that each check looked at.
    pub checked: BTreeMap<String, u64>,
    /// How often an answer that broke went on elsewhere, with words on both sides.
    pub seams: u64,
    /// Calls that began beside another one of their request: copies of it.
    pub copies: u64,
    /// What the process said.
    pub text: String,
    /// The trace, where it was asked for.
    pub trace: Vec<String>,
}

const CHILD: &str = "OUTCROP_SIM_CHILD";
const PLANT: &str = "OUTCROP_SIM_PLANT";
const CONTROL: &str = "OUTCROP_SIM_CONTROL";
const TRACE: &str = "OUTCROP_SIM_TRACE";
const SALT: &str = "OUTCROP_SIM_SALT";
/// Begins the line in which a process tells its result.
const RESULT: &str = "simulated:";
/// Begins the line with what the checks looked at.
const CHECKED: &str = "checked:";
/// Begins the line with the number of answers that went on.
const SEAMS: &str = "went on:";
/// Begins the line with the number of copies.
const COPIES: &str = "copied:";
/// A copy is beside its original for longer than a call that is given up is beside the next one.
const BESIDE: Duration = Duration::from_millis(100);
/// So many seeds reach all that the checks are for.
const MANY: u64 = 200;
/// No seed takes so long, whatever the machine has to do besides.
const WALL: Duration = Duration::from_secs(180);
/// Processes at a time.
const AT_ONCE: usize = 2;
/// One seed in so many is run twice.
const TWICE: u64 = 20;

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

/// The process of one seed: simulates, judges, tells.
pub fn child() {
    let (seed, plant) = (number(CHILD).unwrap_or(0), Plant::of_number(number(PLANT).unwrap_or(0) as usize));
    let (told, control) = (env::var_os(TRACE).is_some(), env::var_os(CONTROL).is_some());
    // A fresh thread: nothing on it has drawn a number yet.
    let failed = thread::Builder::new().stack_size(16 << 20).spawn(move || one(seed, plant, control, told)).unwrap().join().unwrap();
    assert!(!failed, "seed {seed} violates what must hold");
}

fn one(seed: u64, plant: Plant, control: bool, told: bool) -> bool {
    // Another salt gives other orders to hash maps and `select!`, and changes nothing else.
    shim::seed(seed ^ number(SALT).unwrap_or(0).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    log();
    let mut options = Options::of(seed, plant);
    if control {
        options.plant = Plant::None;
    }
    println!("{options}");
    // Without I/O: a socket would panic. Paused from the first moment.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let books = runtime.block_on(async {
        shim::begin();
        run(options).await
    });
    let lines = trace::lines(&books);
    if told {
        println!("{TRACE}");
        lines.iter().for_each(|line| println!("{line}"));
        println!("{TRACE}");
    }
    let mut failed = Vec::new();
    let mut checked = Vec::new();
    for check in check::ALL {
        let verdict = (check.judge)(&books);
        checked.push(format!("{} {}", verdict.checked, check.name));
        for violation in &verdict.violations {
            println!("VIOLATED {} at {:.6}: {}", check.name, violation.at.as_secs_f64(), violation.words);
        }
        if !verdict.violations.is_empty() {
            failed.push(check.name);
        }
    }
    println!("{CHECKED} {}", checked.join(", "));
    let seams: usize = books.requests.iter().flat_map(|seen| seen.said.values()).map(|said| said.runs.len().saturating_sub(1)).sum();
    println!("{SEAMS} {seams}");
    println!("{COPIES} {}", check::copies::copies(&books, BESIDE));
    println!("{RESULT} {:016x} {} requests, {} calls; {}", trace::hash(&lines), books.requests.len(), books.calls.len(), failed.join("|"));
    !failed.is_empty()
}

/// The gateway's log on standard error, where it is asked for.
fn log() {
    if let Ok(level) = env::var("OUTCROP_SIM_LOG") {
        let filter = tracing_subscriber::EnvFilter::new(level);
        tracing_subscriber::fmt().with_env_filter(filter).without_time().with_ansi(false).with_writer(std::io::stdout).init();
    }
}

/// Runs a seed in a process of its own.
pub fn run_apart(seed: u64, plant: Plant, traced: Option<()>) -> Outcome {
    apart(seed, plant, false, traced)
}

/// Runs a seed that is prepared for a plant, without it.
pub fn run_control(seed: u64, plant: Plant) -> Outcome {
    apart(seed, plant, true, None)
}

fn apart(seed: u64, plant: Plant, control: bool, traced: Option<()>) -> Outcome {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", "one_seed", "--ignored", "--nocapture", "--test-threads=1"]);
    command.env(CHILD, seed.to_string()).env(PLANT, plant.number().to_string());
    if control {
        command.env(CONTROL, "1");
    }
    if traced.is_some() {
        command.env(TRACE, "1");
    } else {
        command.env_remove("OUTCROP_SIM_LOG");
    }
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let readers = (reading(child.stdout.take().unwrap()), reading(child.stderr.take().unwrap()));
    let began = Instant::now();
    let (mut ended, mut late) = (child.try_wait().unwrap(), false);
    while ended.is_none() {
        if began.elapsed() > WALL && !late {
            late = true;
            child.kill().unwrap();
        }
        thread::sleep(Duration::from_millis(5));
        ended = child.try_wait().unwrap();
    }
    let (said, complained) = (readers.0.join().unwrap(), readers.1.join().unwrap());
    outcome(seed, &said, &complained, late)
}

fn reading(mut from: impl std::io::Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

fn outcome(seed: u64, said: &str, complained: &str, late: bool) -> Outcome {
    let mut outcome = Outcome { seed, ..Outcome::default() };
    let mut in_trace = false;
    for line in said.lines() {
        match line {
            TRACE => in_trace = !in_trace,
            line if in_trace => outcome.trace.push(line.to_owned()),
            line => {
                outcome.text.push_str(line);
                outcome.text.push('\n');
            }
        }
    }
    let count = |of: &str| said.lines().find_map(|line| line.strip_prefix(of)).map_or(0, |count| count.trim().parse().unwrap());
    (outcome.seams, outcome.copies) = (count(SEAMS), count(COPIES));
    outcome.checked = said.lines().find_map(|line| line.strip_prefix(CHECKED)).map_or_else(BTreeMap::new, checked);
    let result = said.lines().find_map(|line| line.strip_prefix(RESULT));
    match result.and_then(|line| line.trim().split_once(' ')) {
        Some((hash, rest)) => {
            outcome.hash = u64::from_str_radix(hash, 16).unwrap();
            let failed = rest.split_once(';').map_or("", |(_, failed)| failed.trim());
            outcome.failed = failed.split('|').filter(|name| !name.is_empty()).map(str::to_owned).collect();
        }
        None => {
            outcome.failed.push(if late { "time".to_owned() } else { "no panic".to_owned() });
            outcome.text.push_str(complained);
        }
    }
    outcome
}

/// `12 money, 0 back to rest`
fn checked(line: &str) -> BTreeMap<String, u64> {
    let parts = line.split(',').filter_map(|part| part.trim().split_once(' '));
    parts.map(|(count, name)| (name.to_owned(), count.parse().unwrap())).collect()
}

/// What all seeds together have shown.
#[derive(Default)]
struct Shown {
    seams: u64,
    copies: u64,
    checked: BTreeMap<String, u64>,
}

impl Shown {
    fn add(&mut self, outcome: &Outcome) {
        self.seams += outcome.seams;
        self.copies += outcome.copies;
        for (name, count) in &outcome.checked {
            *self.checked.entry(name.clone()).or_default() += count;
        }
    }

    /// The checks that no seed gave anything to look at.
    fn idle(&self) -> Vec<&'static str> {
        let cases = |name: &str| self.checked.get(name).copied().unwrap_or(0);
        check::ALL.iter().map(|check| check.name).filter(|name| cases(name) == 0).collect()
    }
}

/// Which seeds are run.
pub struct Runner {
    from: u64,
    count: u64,
    only: Option<u64>,
    all_twice: bool,
}

impl Runner {
    pub fn of_environment() -> Self {
        Self {
            from: number("OUTCROP_SIM_FROM").unwrap_or(0),
            count: number("OUTCROP_SIM_SEEDS").unwrap_or(200),
            only: number("OUTCROP_SIM_SEED"),
            all_twice: env::var("OUTCROP_SIM_TWICE").is_ok_and(|what| what == "all"),
        }
    }

    pub fn run(&self) {
        match self.only {
            Some(seed) => Self::replay(seed),
            None => self.all(),
        }
    }

    fn replay(seed: u64) {
        let outcome = run_apart(seed, Plant::None, Some(()));
        tell(&outcome.trace.join("\n"));
        tell(&outcome.text);
        assert!(outcome.failed.is_empty(), "seed {seed} violates: {}", outcome.failed.join(", "));
    }

    fn all(&self) {
        let (next, done, began) = (AtomicU64::new(self.from), AtomicU64::new(0), Instant::now());
        let (bad, shown) = (Mutex::new(Vec::new()), Mutex::new(Shown::default()));
        thread::scope(|scope| {
            for _ in 0..AT_ONCE {
                scope.spawn(|| {
                    loop {
                        let seed = next.fetch_add(1, Ordering::Relaxed);
                        if seed >= self.from + self.count {
                            return;
                        }
                        if let Some(outcome) = self.seed(seed, &shown) {
                            complain(&outcome);
                            bad.lock().unwrap().push(outcome);
                        }
                        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
                        if done.is_multiple_of((self.count / 10).clamp(1, 100)) || done == self.count {
                            let failed = bad.lock().unwrap().len();
                            tell(&format!(
                                "simulation: {done} of {} seeds in {:.0} s, {failed} failed",
                                self.count,
                                began.elapsed().as_secs_f64()
                            ));
                        }
                    }
                });
            }
        });
        let mut seeds: Vec<u64> = bad.into_inner().unwrap().iter().map(|outcome| outcome.seed).collect();
        seeds.sort_unstable();
        assert!(seeds.is_empty(), "{} seeds fail: {seeds:?}", seeds.len());
        let shown = shown.into_inner().unwrap();
        tell(&format!("simulation: looked at {:?}; {} answers went on, {} calls were copied", shown.checked, shown.seams, shown.copies));
        if self.count >= MANY {
            assert!(shown.seams > 0, "no answer that broke went on: the checks of seams had nothing to look at");
            assert!(shown.copies > 0, "no late call was copied: the checks of copies had nothing to look at");
            assert_eq!(shown.idle(), [""; 0], "checks that had nothing to look at");
        }
    }

    /// What is wrong with a seed.
    fn seed(&self, seed: u64, shown: &Mutex<Shown>) -> Option<Outcome> {
        let first = run_apart(seed, Plant::None, None);
        shown.lock().unwrap().add(&first);
        if !first.failed.is_empty() {
            return Some(first);
        }
        if !self.all_twice && !seed.is_multiple_of(TWICE) {
            return None;
        }
        let again = run_apart(seed, Plant::None, None);
        (first.hash != again.hash).then(|| differing(seed))
    }
}

/// Where two runs of a seed part.
fn differing(seed: u64) -> Outcome {
    let (one, other) = (run_apart(seed, Plant::None, Some(())), run_apart(seed, Plant::None, Some(())));
    let at = one.trace.iter().zip(&other.trace).position(|(one, other)| one != other);
    let text = match at {
        Some(at) => format!("line {at} differs:\n  {}\n  {}\n", one.trace[at], other.trace[at]),
        None => format!("the traces have {} and {} lines; run it twice again\n", one.trace.len(), other.trace.len()),
    };
    Outcome { failed: vec!["the same trace twice".to_owned()], text, ..one }
}

fn complain(outcome: &Outcome) {
    let Outcome { seed, failed, text, .. } = outcome;
    let found: Vec<&str> = text.lines().filter(|line| !line.starts_with("set: ")).collect();
    tell(&format!(
        "simulation: seed {seed} violates {}\n{}\nreplay: OUTCROP_SIM_SEED={seed} cargo test -p outcrop --test simulation every_seed_holds\n",
        failed.join(", "),
        found.join("\n")
    ));
}

/// Past the capture of the test harness: progress is for now.
fn tell(text: &str) {
    let mut out = std::io::stderr().lock();
    // Nobody may be reading.
    let _told = writeln!(out, "{text}");
}

#[test]
fn a_check_without_a_case_in_any_seed_is_told() {
    let line = check::ALL.map(|check| format!("{} {}", u64::from(check.name != "money"), check.name)).join(", ");
    let said = format!("{CHECKED} {line}\n{SEAMS} 2\n{COPIES} 5\n{RESULT} 00000000000000ff 3 requests, 4 calls; ");
    let one = outcome(1, &said, "", false);
    assert_eq!((one.hash, one.failed.len(), one.checked.len()), (0xff, 0, check::ALL.len()));
    let mut shown = Shown::default();
    shown.add(&one);
    assert_eq!((shown.seams, shown.copies, shown.idle()), (2, 5, vec!["money"]));
    shown.add(&Outcome { checked: BTreeMap::from([("money".to_owned(), 5)]), ..Outcome::default() });
    assert_eq!(shown.idle(), [""; 0]);
}
