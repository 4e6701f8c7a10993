//! Which conversation a request belongs to, as one number that every replica computes alike.
//!
//! The hash is SipHash-1-3 without a key, written out here. It must give the same number in every replica and every
//! release, because replicas behind a hashing balancer, and restarts, should agree where a conversation lives: std's
//! `DefaultHasher` and the fast hashers among our dependencies all reserve the right to change. FNV would be as stable,
//! but takes a byte at a time, and a system prompt with its tools has hundreds of kilobytes. Nobody gains by a collision:
//! two conversations that share a number share a preference for a region.

use std::hash::Hasher;

/// What a request says of its conversation, best first.
#[derive(Debug, Clone, Copy, Default)]
pub struct ConversationHints<'a> {
    /// A session id header.
    pub session: Option<&'a str>,
    /// OpenAI's `prompt_cache_key`.
    pub prompt_cache_key: Option<&'a str>,
    /// Anthropic's `metadata.user_id`, into which agents put their session, or OpenAI's `user`, which may be the same for all
    /// conversations of an application: it keeps apart whose openings are alike, and does not name a conversation by itself.
    pub user: Option<&'a str>,
}

/// The key of a conversation.
///
/// `scope` keeps tenants and models apart (e.g. key id and model id). Of the hints the first that is not empty counts;
/// without any, `opening` does: tools, system prompt and first user turn, in pieces that are the same in every turn. So it
/// does together with `user`.
pub fn affinity_key<'a>(scope: &[&str], hints: &ConversationHints<'_>, opening: impl IntoIterator<Item = &'a [u8]>) -> u64 {
    let mut hasher = StableHasher::default();
    for part in scope {
        hasher.piece(part.as_bytes());
    }
    let named = [(b"session", hints.session), (b"cacheky", hints.prompt_cache_key), (b"user-id", hints.user)];
    let hint = named.iter().find_map(|(kind, value)| value.filter(|text| !text.is_empty()).map(|text| (*kind, text)));
    if let Some((kind, text)) = hint {
        hasher.piece(kind);
        hasher.piece(text.as_bytes());
    }
    if hint.is_none_or(|(kind, _)| kind == b"user-id") {
        opening.into_iter().for_each(|piece| hasher.piece(piece));
    }
    hasher.finish()
}

/// The stable number of a target: what rendezvous and the affinity table know it by.
#[must_use]
pub fn target_id(parts: &[&str]) -> u64 {
    let mut hasher = StableHasher::default();
    for part in parts {
        hasher.piece(part.as_bytes());
    }
    hasher.finish()
}

/// Rounds per word, and at the end. SipHash-1-3 is what std uses for its maps; 2-4 is the paper's, used to test this code.
const WORD_ROUNDS: u32 = 1;
const END_ROUNDS: u32 = 3;

/// SipHash with a key of zeros.
#[derive(Debug, Clone)]
struct SipHasher<const WORD: u32, const END: u32> {
    state: [u64; 4],
    /// Bytes that do not fill a word yet, lowest first.
    tail: u64,
    /// Bytes so far.
    length: u64,
}

type StableHasher = SipHasher<WORD_ROUNDS, END_ROUNDS>;

impl<const WORD: u32, const END: u32> Default for SipHasher<WORD, END> {
    fn default() -> Self {
        Self::keyed(0, 0)
    }
}

impl<const WORD: u32, const END: u32> SipHasher<WORD, END> {
    fn keyed(k0: u64, k1: u64) -> Self {
        // "somepseudorandomlygeneratedbytes", as the paper has it.
        let state = [k0 ^ 0x736f_6d65_7073_6575, k1 ^ 0x646f_7261_6e64_6f6d, k0 ^ 0x6c79_6765_6e65_7261, k1 ^ 0x7465_6462_7974_6573];
        Self { state, tail: 0, length: 0 }
    }

    /// Adds one piece with its length, so that pieces cannot run into each other.
    fn piece(&mut self, bytes: &[u8]) {
        self.write(&u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_le_bytes());
        self.write(bytes);
    }

    fn rounds(&mut self, count: u32) {
        let [mut a, mut b, mut c, mut d] = self.state;
        for _ in 0..count {
            a = a.wrapping_add(b);
            b = b.rotate_left(13) ^ a;
            a = a.rotate_left(32);
            c = c.wrapping_add(d);
            d = d.rotate_left(16) ^ c;
            a = a.wrapping_add(d);
            d = d.rotate_left(21) ^ a;
            c = c.wrapping_add(b);
            b = b.rotate_left(17) ^ c;
            c = c.rotate_left(32);
        }
        self.state = [a, b, c, d];
    }

    fn word(&mut self, word: u64) {
        let [_, _, _, d] = &mut self.state;
        *d ^= word;
        self.rounds(WORD);
        let [a, ..] = &mut self.state;
        *a ^= word;
    }

    fn byte(&mut self, byte: u8) {
        let place = self.length % 8;
        self.tail |= u64::from(byte) << (8 * place);
        self.length = self.length.wrapping_add(1);
        if place == 7 {
            let word = std::mem::take(&mut self.tail);
            self.word(word);
        }
    }
}

impl<const WORD: u32, const END: u32> Hasher for SipHasher<WORD, END> {
    fn write(&mut self, bytes: &[u8]) {
        // Up to the next whole word byte by byte, then word by word, then the rest.
        let started = usize::try_from(self.length % 8).unwrap_or(0);
        let (head, rest) = bytes.split_at(bytes.len().min((8 - started) % 8));
        head.iter().for_each(|byte| self.byte(*byte));
        let (words, rest) = rest.as_chunks::<8>();
        for word in words {
            self.word(u64::from_le_bytes(*word));
            self.length = self.length.wrapping_add(8);
        }
        rest.iter().for_each(|byte| self.byte(*byte));
    }

    fn finish(&self) -> u64 {
        let mut last = self.clone();
        last.word(self.tail | (self.length << 56));
        let [_, _, c, _] = &mut last.state;
        *c ^= 0xff;
        last.rounds(END);
        let [a, b, c, d] = last.state;
        a ^ b ^ c ^ d
    }
}

#[cfg(test)]
mod tests {
    use std::hash::DefaultHasher;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_published_vector_comes_out() {
        // SipHash-2-4, appendix A of the paper: key 00..0f, input 00..0e.
        let mut hasher = SipHasher::<2, 4>::keyed(0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908);
        hasher.write(&(0..15).collect::<Vec<u8>>());
        assert_eq!(hasher.finish(), 0xa129_ca61_49be_45e5);
    }

    #[test]
    fn the_numbers_of_a_release_are_those_of_the_next() {
        assert_eq!(target_id(&["eu-central-1", "a-model"]), 17_259_792_959_810_751_730);
        let hints = ConversationHints { session: Some("one"), ..ConversationHints::default() };
        assert_eq!(affinity_key(&["key", "model"], &hints, []), 13_100_926_115_586_225_057);
    }

    #[test]
    fn the_best_hint_decides_and_the_opening_only_without_hints() {
        let of = |hints: &ConversationHints<'_>, opening: &[u8]| affinity_key(&["scope"], hints, [opening]);
        let session = ConversationHints { session: Some("s"), prompt_cache_key: Some("p"), user: Some("u") };
        assert_eq!(of(&session, b"a"), of(&ConversationHints { user: Some("v"), ..session }, b"b"));
        assert_ne!(of(&session, b""), of(&ConversationHints { session: Some("t"), ..session }, b""));
        let cached = ConversationHints { session: Some(""), ..session };
        assert_eq!(of(&cached, b""), of(&ConversationHints { session: None, ..session }, b""), "an empty hint is none");
        assert_ne!(of(&cached, b""), of(&ConversationHints { session: Some("p"), ..session }, b""), "kinds are kept apart");
        let none = ConversationHints::default();
        assert_ne!(of(&none, b"a"), of(&none, b"b"));
        assert_eq!(of(&none, b"a"), of(&none, b"a"));
    }

    #[test]
    fn scopes_and_pieces_are_kept_apart() {
        let none = ConversationHints::default();
        assert_ne!(affinity_key(&["ab", "c"], &none, []), affinity_key(&["a", "bc"], &none, []));
        let pieces: [&[u8]; 2] = [b"ab", b"c"];
        let others: [&[u8]; 2] = [b"a", b"bc"];
        assert_ne!(affinity_key(&[], &none, pieces), affinity_key(&[], &none, others));
    }

    proptest! {
        #[test]
        fn bytes_hash_as_stds_sip_hasher_hashes_them(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..6)) {
            let mut ours = StableHasher::default();
            let mut theirs = DefaultHasher::new();
            for piece in &pieces {
                ours.write(piece);
                theirs.write(piece);
            }
            prop_assert_eq!(ours.finish(), theirs.finish());
        }
    }
}
