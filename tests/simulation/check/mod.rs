//! What must hold in every seed: pure functions over the books of a run.

mod answers;
mod attempts;
pub mod copies;
mod drains;
mod ends;
mod money;
mod quiet;
mod rest;
mod room;

#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::books::Books;

/// What one check found.
#[derive(Debug, Clone, Default)]
pub struct Verdict {
    /// Cases looked at.
    pub checked: u64,
    pub violations: Vec<Violation>,
}

#[derive(Debug, Clone)]
pub struct Violation {
    pub at: Duration,
    pub words: String,
}

impl Verdict {
    pub fn look(&mut self) {
        self.checked += 1;
    }

    pub fn fail(&mut self, at: Duration, words: String) {
        self.violations.push(Violation { at, words });
    }

    pub fn expect(&mut self, good: bool, at: Duration, words: impl FnOnce() -> String) {
        self.look();
        if !good {
            self.fail(at, words());
        }
    }
}

/// A check.
#[derive(Clone, Copy)]
pub struct Check {
    pub name: &'static str,
    pub judge: fn(&Books) -> Verdict,
}

/// All of them.
pub const ALL: [Check; 12] = [
    Check { name: "every request ends", judge: ends::check },
    Check { name: "nothing fails for nothing", judge: ends::failures },
    Check { name: "errors keep their form", judge: ends::errors },
    Check { name: "true answers", judge: answers::check },
    Check { name: "said is said", judge: answers::said },
    Check { name: "drained is drained", judge: drains::check },
    Check { name: "quiet upstream", judge: quiet::check },
    Check { name: "money", judge: money::check },
    Check { name: "no throttle with room", judge: room::check },
    Check { name: "attempts in budget", judge: attempts::check },
    Check { name: "copies in budget", judge: copies::check },
    Check { name: "back to rest", judge: rest::check },
];
