//! The ports through which time, randomness and blocking work reach the gateway.
//!
//! Everything that decides anything takes them as arguments, so that a whole run can be replayed under a
//! paused clock and one seed. The real ones are wired in the edge's composition root.

use std::{
    fmt::Debug,
    sync::Arc,
    time::{Duration, SystemTime},
};

/// A point of the monotonic clock: time since the process (or the simulated world) began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Moment(pub Duration);

impl Moment {
    /// The moment `later` after this one, saturating.
    #[must_use]
    pub fn after(self, later: Duration) -> Self {
        Self(self.0.saturating_add(later))
    }

    /// How long from `earlier` to this moment; zero when `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Moment) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

/// Reads time.
pub trait Clock: Send + Sync + Debug {
    /// Monotonic time.
    fn now(&self) -> Moment;
    /// Wall-clock time, for signatures, logs and `created` fields.
    fn wall(&self) -> SystemTime;
}

/// Draws random numbers (ids, jitter). Not for keys.
pub trait Entropy: Send + Sync + Debug {
    /// 64 uniformly random bits.
    fn next_u64(&self) -> u64;

    /// A number in `[0, 1)`.
    fn unit(&self) -> f64 {
        // 53 bits: every value is exact in an f64.
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Runs work that would hold a runtime thread for more than 500 microseconds.
pub trait Blocking: Send + Sync + Debug {
    /// Starts `work` away from the runtime's threads (inline under simulation).
    fn run(&self, work: Box<dyn FnOnce() + Send>);
}

/// The ports together, as every actor and job gets them.
#[derive(Debug, Clone)]
pub struct Ports {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Blocking work.
    pub blocking: Arc<dyn Blocking>,
}

/// Characters of ids: no vowels, so that no id spells a word; 32 of them, 5 bits each.
const ID_ALPHABET: &[u8; 32] = b"bcdfghjklmnpqrstvwxz0123456789BC";

/// Writes an id: `prefix` and 24 random characters (120 bits).
#[must_use]
pub fn random_id(prefix: &str, entropy: &dyn Entropy) -> String {
    let mut id = String::with_capacity(prefix.len() + 24);
    id.push_str(prefix);
    for _ in 0..2 {
        let mut bits = entropy.next_u64();
        for _ in 0..12 {
            let character = ID_ALPHABET.get((bits & 31) as usize).copied().unwrap_or(b'b');
            id.push(char::from(character));
            bits >>= 5;
        }
    }
    id
}
