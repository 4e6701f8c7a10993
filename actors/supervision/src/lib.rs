//! The message-passing supervisor kit: strategies, restart intensity, backoff, slots, replies, bounded intake.
