//! Panics in the log: where, and no more of what was said than the code itself holds.

use std::{any::Any, panic};

/// From now on panics are told in the log instead of on standard error, whose lines would quote whatever was being worked on.
pub fn log_panics() {
    panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(tracing::field::display);
        tracing::error!(panic.location = location, panic.words = literal(panic.payload()), "a part of the program panicked");
    }));
}

/// Words that stand in the source as they are. Formatted ones may hold a piece of a request.
fn literal(payload: &dyn Any) -> Option<&'static str> {
    payload.downcast_ref::<&'static str>().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_words_of_the_source_are_told() {
        let words = |panicking: fn()| literal(panic::catch_unwind(panicking).unwrap_err().as_ref());
        assert_eq!(words(|| panic!("an index is out of place")), Some("an index is out of place"));
        assert_eq!(words(|| panic!("cannot read {}", std::hint::black_box("a secret word"))), None);
        assert_eq!(words(|| panic::panic_any(String::from("a secret word"))), None);
    }
}
