//! Chance and time below the dependencies: hash maps, ids and `select!` of other crates draw from `getrandom`, some of them read the
//! wall clock. On the thread of a simulation both come from the seed; everywhere else they are the system's.
#![allow(unsafe_code, reason = "two symbols of the C library are replaced in this test binary, and nowhere else")]

use std::{
    cell::Cell,
    ffi::{c_int, c_long, c_uint, c_void},
    time::Duration,
};

use tokio::time::Instant;

thread_local! {
    /// State of the generator; `None` on threads that simulate nothing.
    static CHANCE: Cell<Option<u64>> = const { Cell::new(None) };
    /// When the simulated clock began, by the runtime's own time.
    static BEGAN: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Seconds since 1970 at which every simulation begins: 2027-01-15.
pub const EPOCH: Duration = Duration::from_secs(1_800_000_000);

/// From now on this thread draws from `seed`.
pub fn seed(seed: u64) {
    CHANCE.set(Some(seed));
    fastrand::seed(seed);
}

/// From now on this thread's wall clock is the runtime's.
pub fn begin() {
    BEGAN.set(Some(Instant::now()));
}

/// Splitmix64.
fn next(state: u64) -> (u64, u64) {
    let state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (state, mixed ^ (mixed >> 31))
}

unsafe extern "C" {
    fn syscall(number: c_long, ...) -> c_long;
}

#[cfg(target_arch = "x86_64")]
const NUMBERS: (c_long, c_long) = (318, 228);
#[cfg(target_arch = "aarch64")]
const NUMBERS: (c_long, c_long) = (278, 113);

/// As the C library's.
#[unsafe(no_mangle)]
unsafe extern "C" fn getrandom(buffer: *mut c_void, length: usize, flags: c_uint) -> isize {
    let Some(mut state) = CHANCE.try_with(Cell::get).ok().flatten() else {
        // SAFETY: the caller's own arguments, for the same call.
        return unsafe { syscall(NUMBERS.0, buffer, length, flags) } as isize;
    };
    // SAFETY: the caller gives a buffer of so many bytes, as for the call that this replaces.
    let bytes = unsafe { std::slice::from_raw_parts_mut(buffer.cast::<u8>(), length) };
    for piece in bytes.chunks_mut(8) {
        let (after, drawn) = next(state);
        state = after;
        piece.copy_from_slice(&drawn.to_le_bytes()[..piece.len()]);
    }
    CHANCE.set(Some(state));
    length as isize
}

/// As the C library's.
#[repr(C)]
struct Timespec {
    seconds: i64,
    nanoseconds: i64,
}

const REALTIME: c_int = 0;

/// As the C library's.
#[unsafe(no_mangle)]
unsafe extern "C" fn clock_gettime(clock: c_int, time: *mut Timespec) -> c_int {
    let began = if clock == REALTIME { BEGAN.try_with(Cell::get).ok().flatten() } else { None };
    let Some(began) = began else {
        // SAFETY: the caller's own arguments, for the same call.
        return unsafe { syscall(NUMBERS.1, clock, time) } as c_int;
    };
    let now = EPOCH + began.elapsed();
    let told = Timespec { seconds: now.as_secs() as i64, nanoseconds: i64::from(now.subsec_nanos()) };
    // SAFETY: the caller gives a place for the time, as for the call that this replaces.
    unsafe { time.write(told) };
    0
}
