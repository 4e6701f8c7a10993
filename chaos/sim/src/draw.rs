//! Named streams of random numbers.
//!
//! Each purpose and call draws from its own stream, so that adding a draw in one place leaves every other
//! place as it was under the same seed.

use fastrand::Rng;

/// The stream called `name` for item `number` of a run with `seed`.
pub(crate) fn stream(seed: u64, name: &str, number: u64) -> Rng {
    // FNV-1a over the name, then two rounds of splitmix64: cheap, and neighbouring numbers give unrelated streams.
    let mut state = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    state = mix(state ^ seed);
    Rng::with_seed(mix(state ^ number))
}

/// A request id in the form of a version-4 UUID.
pub(crate) fn request_id(rng: &mut Rng) -> String {
    let high = (rng.u64(..) & 0xffff_ffff_ffff_0fff) | 0x4000;
    let low = (rng.u64(..) & 0x3fff_ffff_ffff_ffff) | 0x8000_0000_0000_0000;
    format!("{:08x}-{:04x}-{:04x}-{:04x}-{:012x}", high >> 32, (high >> 16) & 0xffff, high & 0xffff, low >> 48, low & 0xffff_ffff_ffff)
}

fn mix(value: u64) -> u64 {
    let mut mixed = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_repeat_under_one_seed_and_differ_by_name_number_and_seed() {
        let first = stream(1, "frames", 1).u64(..);
        assert_eq!(first, stream(1, "frames", 1).u64(..));
        for other in [stream(1, "frames", 2), stream(1, "pace", 1), stream(2, "frames", 1)] {
            assert_ne!(first, other.clone().u64(..));
        }
    }

    #[test]
    fn request_ids_have_the_form_of_a_version_4_uuid() {
        let id = request_id(&mut stream(3, "id", 0));
        let lengths: Vec<usize> = id.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
        assert_eq!(id.as_bytes()[14], b'4');
        assert!(matches!(id.as_bytes()[19], b'8' | b'9' | b'a' | b'b'));
    }
}
