//! The number of a block, at the beginning of a piece of a stream.

/// What follows the whole number that a text begins with; `None` when it begins with none, or with one that no block has.
pub(in crate::transparent) fn after_number(text: &[u8]) -> Option<&[u8]> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let number = text.get(..digits).filter(|number| matches!(number, [b'0'] | [b'1'..=b'9', ..]) && digits <= NUMBER_DIGITS)?;
    text.get(number.len()..)
}

/// Digits that a block's number has at most.
const NUMBER_DIGITS: usize = 9;
