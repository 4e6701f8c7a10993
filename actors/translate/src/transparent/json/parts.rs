//! Parts of a text that was read before, and hence is known to be JSON.

use std::borrow::Cow;

use super::{Fault, Kind, Scanner, Span, Text, Value};

/// Most parts of one list that are told. No request has so many, and a body of millions must not become a list of them.
const MAX_PARTS: usize = 100_000;

/// Reads a whole text that should be an object: its members. `None` for any other value.
///
/// # Errors
/// Where the text is no JSON.
pub(in crate::transparent) fn object(text: &[u8]) -> Result<Option<Vec<(Text, Value)>>, Fault> {
    let mut scanner = Scanner::new(text);
    let mut found = None;
    if scanner.kind()? == Kind::Object {
        let found = found.insert(Vec::new());
        let mut members = scanner.enter()?;
        while let Some(key) = scanner.key(&mut members)? {
            let value = scanner.skip()?;
            if found.len() < MAX_PARTS {
                found.push((key, value));
            }
        }
    } else {
        scanner.skip()?;
    }
    scanner.end()?;
    Ok(found)
}

/// The members of an object, each key with its value.
pub(in crate::transparent) fn members_of(text: &[u8], object: Span) -> Vec<(Text, Value)> {
    let mut found = Vec::new();
    let mut scanner = Scanner::within(text, object);
    let mut walk = || -> Result<(), Fault> {
        if scanner.kind()? != Kind::Object {
            return Ok(());
        }
        let mut members = scanner.enter()?;
        while let Some(key) = scanner.key(&mut members)?.filter(|_| found.len() < MAX_PARTS) {
            found.push((key, scanner.skip()?));
        }
        Ok(())
    };
    // Read before, hence without a fault: what could be read is all there is.
    let _read = walk();
    found
}

/// The elements of an array.
pub(in crate::transparent) fn elements_of(text: &[u8], array: Span) -> Vec<Value> {
    let mut found = Vec::new();
    let mut scanner = Scanner::within(text, array);
    let mut walk = || -> Result<(), Fault> {
        if scanner.kind()? != Kind::Array {
            return Ok(());
        }
        let mut members = scanner.enter()?;
        while found.len() < MAX_PARTS && scanner.element(&mut members)? {
            found.push(scanner.skip()?);
        }
        Ok(())
    };
    let _read = walk();
    found
}

/// A member and its key as one part.
pub(in crate::transparent) fn whole(member: &(Text, Value)) -> Span {
    Span { start: member.0.span.start, end: member.1.span.end }
}

/// A whole number, if it is one.
pub(in crate::transparent) fn whole_number(text: &[u8], value: Value) -> Option<u64> {
    std::str::from_utf8(value.span.of(text)).ok().filter(|_| value.kind == Kind::Number)?.parse().ok()
}

/// What a string value says.
pub(in crate::transparent) fn said(text: &[u8], value: Value) -> Option<Cow<'_, str>> {
    if value.kind != Kind::String {
        return None;
    }
    Scanner::within(text, value.span).string().ok()?.decode(text)
}
