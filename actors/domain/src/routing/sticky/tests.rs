use std::{collections::VecDeque, time::Duration};

use proptest::prelude::*;

use super::*;

fn at(seconds: u64) -> Moment {
    Moment(Duration::from_secs(seconds))
}

/// The same table, slowly: newest last.
struct Naive {
    capacity: usize,
    entries: VecDeque<(u64, Home)>,
}

impl Naive {
    fn home(&self, key: u64, now: Moment) -> Option<Home> {
        self.entries.iter().find(|(known, _)| *known == key).map(|(_, home)| *home).filter(|home| home.warm(now))
    }

    fn settle(&mut self, key: u64, home: Home) {
        self.entries.retain(|(known, _)| *known != key);
        if self.entries.len() == self.capacity {
            self.entries.pop_front();
        }
        self.entries.push_back((key, home));
    }
}

#[test]
fn a_conversation_lives_where_it_was_last_answered() {
    let mut table = Sticky::new(10);
    assert_eq!(table.home(1, at(0)), None);
    table.settle(1, 7, CacheLife::Short, at(0));
    table.settle(1, 8, CacheLife::Short, at(10));
    assert_eq!(table.home(1, at(11)).map(|home| home.target), Some(8));
    assert_eq!(table.len(), 1);
}

#[test]
fn a_home_ends_with_its_cache() {
    let mut table = Sticky::new(10);
    table.settle(1, 7, CacheLife::Short, at(0));
    table.settle(2, 7, CacheLife::Long, at(0));
    assert!(table.home(1, at(300)).is_some());
    assert!(table.home(1, at(301)).is_none());
    assert!(table.home(2, at(3_600)).is_some());
    assert!(table.home(2, at(3_601)).is_none());
}

#[test]
fn a_full_table_forgets_the_conversation_used_longest_ago() {
    let mut table = Sticky::new(3);
    for key in 1..=3 {
        table.settle(key, key, CacheLife::Short, at(0));
    }
    table.settle(1, 1, CacheLife::Short, at(1));
    table.settle(4, 4, CacheLife::Short, at(2));
    assert!(table.home(2, at(2)).is_none());
    assert!([1, 3, 4].iter().all(|key| table.home(*key, at(2)).is_some()));
}

#[test]
fn nothing_allocates_once_the_table_is_full() {
    let mut table = Sticky::new(1_000);
    for key in 0..1_000u64 {
        table.settle(key, 1, CacheLife::Short, at(0));
    }
    let (entries, index) = (table.entries.capacity(), table.index.capacity());
    let (entries_at, index_at) = (table.entries.as_ptr(), table.index.as_ptr());
    for key in 1_000..50_000u64 {
        table.settle(key.wrapping_mul(0x5851_f42d_4c95_7f2d), 1, CacheLife::Short, at(1));
    }
    assert_eq!((table.entries.capacity(), table.index.capacity()), (entries, index));
    assert_eq!((table.entries.as_ptr(), table.index.as_ptr()), (entries_at, index_at));
}

/// What can be done to a table: settle a key at a target, for long or not.
fn steps() -> impl Strategy<Value = Vec<(u64, u64, bool)>> {
    // Few different keys, and keys whose spread collides: multiples of the inverse of the multiplier share their top bits.
    let key = prop_oneof![0u64..12, (0u64..12).prop_map(|small| small.wrapping_mul(0xf1de_83e1_9937_733d))];
    prop::collection::vec((key, 0u64..4, any::<bool>()), 0..400)
}

proptest! {
    #[test]
    fn the_table_does_what_a_list_does(steps in steps(), capacity in 1usize..20) {
        let mut table = Sticky::new(capacity);
        let mut naive = Naive { capacity, entries: VecDeque::new() };
        for (second, (key, target, long)) in (0u64..).step_by(3).zip(steps) {
            let now = at(second);
            let cache = if long { CacheLife::Long } else { CacheLife::Short };
            table.settle(key, target, cache, now);
            naive.settle(key, Home { target, used: now, cache });
            prop_assert_eq!(table.len(), naive.entries.len());
            for (known, _) in &naive.entries {
                prop_assert_eq!(table.home(*known, now), naive.home(*known, now));
            }
            prop_assert_eq!(table.home(key, now), naive.home(key, now));
        }
    }
}

#[test]
fn the_drift_of_a_conversation_outlives_its_cache_and_its_moves() {
    use crate::{routing::reserve::Drift, usage::Usage};

    let mut table = Sticky::new(2);
    let drift = |real| Drift::of(100, &Usage { input: real, ..Usage::default() }).unwrap();
    table.learn_drift(1, drift(150));
    assert_eq!(table.drift(1), None, "it lives nowhere");
    table.settle(1, 7, CacheLife::Short, at(0));
    table.learn_drift(1, drift(150));
    table.settle(1, 8, CacheLife::Short, at(1));
    assert_eq!((table.home(1, at(1_000)), table.drift(1)), (None, Some(drift(150))));
    table.learn_drift(1, drift(120));
    assert_eq!(table.drift(1), Some(drift(150).then(drift(120))));
    // Another conversation takes over its place, and nothing of what was known of it.
    table.settle(2, 7, CacheLife::Short, at(2));
    table.settle(3, 7, CacheLife::Short, at(3));
    assert_eq!((table.drift(1), table.drift(3)), (None, None));
}
