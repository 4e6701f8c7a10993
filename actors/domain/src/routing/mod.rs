//! Which target answers: pure functions of snapshots.
