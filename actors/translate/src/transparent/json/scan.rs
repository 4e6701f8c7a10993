//! One pass over a JSON text that checks its syntax and tells spans.

use std::{borrow::Cow, ops::Range};

/// Deepest nesting that is read. `serde_json` stops at the same depth.
const MAX_DEPTH: u32 = 128;

/// A part of a text, in bytes. Texts of 4 GiB and more are not read, so that a span is as small as a pointer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::transparent) struct Span {
    /// First byte.
    pub(in crate::transparent) start: u32,
    /// After the last byte.
    pub(in crate::transparent) end: u32,
}

impl Span {
    pub(in crate::transparent) fn new(start: usize, end: usize) -> Self {
        Self { start: offset(start), end: offset(end) }
    }

    /// An empty span: a place to insert at.
    pub(in crate::transparent) fn at(place: u32) -> Self {
        Self { start: place, end: place }
    }

    pub(in crate::transparent) fn range(self) -> Range<usize> {
        position(self.start)..position(self.end)
    }

    /// The bytes it stands for.
    pub(in crate::transparent) fn of(self, text: &[u8]) -> &[u8] {
        text.get(self.range()).unwrap_or_default()
    }

    pub(in crate::transparent) fn len(self) -> u64 {
        u64::from(self.end.saturating_sub(self.start))
    }

    pub(in crate::transparent) fn contains(self, other: Self) -> bool {
        self.start <= other.start && other.end <= self.end
    }
}

fn offset(position: usize) -> u32 {
    u32::try_from(position).unwrap_or(u32::MAX)
}

fn position(offset: u32) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::transparent) enum Kind {
    Object,
    Array,
    String,
    Number,
    Bool,
    Null,
}

/// A value that was passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::transparent) struct Value {
    pub(in crate::transparent) span: Span,
    pub(in crate::transparent) kind: Kind,
}

/// A string as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::transparent) struct Text {
    /// With its quotes.
    pub(in crate::transparent) span: Span,
    /// Bytes of UTF-8 that it stands for.
    pub(in crate::transparent) decoded: u32,
    /// Some of it is written as escapes.
    pub(in crate::transparent) escaped: bool,
}

impl Text {
    /// What stands between the quotes.
    pub(in crate::transparent) fn raw(self, text: &[u8]) -> &[u8] {
        let inner = Span { start: self.span.start.saturating_add(1), end: self.span.end.saturating_sub(1) };
        inner.of(text)
    }

    /// What it says. `None` for half a surrogate pair, which is valid JSON and no text.
    pub(in crate::transparent) fn decode(self, text: &[u8]) -> Option<Cow<'_, str>> {
        if self.escaped {
            serde_json::from_slice::<String>(self.span.of(text)).ok().map(Cow::Owned)
        } else {
            std::str::from_utf8(self.raw(text)).ok().map(Cow::Borrowed)
        }
    }

    /// True when it says `name`, however it is written.
    pub(in crate::transparent) fn is(self, text: &[u8], name: &str) -> bool {
        if self.escaped { self.decode(text).is_some_and(|said| said == name) } else { self.raw(text) == name.as_bytes() }
    }

    /// True when it says nothing but white space. Stops at the first character that is something else.
    pub(in crate::transparent) fn is_blank(self, text: &[u8]) -> bool {
        let raw = self.raw(text);
        match raw.first() {
            None => true,
            Some(first) if first.is_ascii_graphic() && *first != b'\\' => false,
            Some(_) => is_blank(raw),
        }
    }
}

fn is_blank(raw: &[u8]) -> bool {
    let mut rest = std::str::from_utf8(raw).unwrap_or("x").chars();
    while let Some(character) = rest.next() {
        let said = match character {
            '\\' => match rest.next() {
                Some('n' | 't' | 'r' | 'f') => ' ',
                Some('u') => {
                    let digits: String = rest.by_ref().take(4).collect();
                    u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32).unwrap_or('x')
                }
                _ => 'x',
            },
            plain => plain,
        };
        if !said.is_whitespace() {
            return false;
        }
    }
    true
}

/// Why a text is not the JSON that it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::transparent) struct Fault {
    /// Byte it was found at.
    pub(in crate::transparent) at: usize,
    /// What is wrong, as a clause.
    pub(in crate::transparent) what: &'static str,
}

impl Fault {
    /// Line and column, both from 1; the column counts bytes.
    pub(in crate::transparent) fn place(self, text: &[u8]) -> (usize, usize) {
        let before = text.get(..self.at).unwrap_or(text);
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
        (line, column)
    }
}

/// Where a walk through an object or array stands.
#[derive(Debug, Clone, Copy)]
pub(in crate::transparent) struct Members {
    first: bool,
}

/// Reads a text from its beginning on. Everything that is passed over is checked.
#[derive(Debug, Clone)]
pub(in crate::transparent) struct Scanner<'t> {
    text: &'t [u8],
    at: usize,
    depth: u32,
}

impl<'t> Scanner<'t> {
    pub(in crate::transparent) fn new(text: &'t [u8]) -> Self {
        let mut scanner = Self { text, at: 0, depth: 0 };
        scanner.white_space();
        scanner
    }

    /// Reads the value that stands at `span` in a text that was read before.
    pub(in crate::transparent) fn within(text: &'t [u8], span: Span) -> Self {
        Self { text, at: span.range().start, depth: 0 }
    }

    pub(in crate::transparent) fn text(&self) -> &'t [u8] {
        self.text
    }

    /// The byte that is read next.
    pub(in crate::transparent) fn at(&self) -> usize {
        self.at
    }

    /// What begins here.
    pub(in crate::transparent) fn kind(&self) -> Result<Kind, Fault> {
        match self.text.get(self.at) {
            Some(b'{') => Ok(Kind::Object),
            Some(b'[') => Ok(Kind::Array),
            Some(b'"') => Ok(Kind::String),
            Some(b'-' | b'0'..=b'9') => Ok(Kind::Number),
            Some(b't' | b'f') => Ok(Kind::Bool),
            Some(b'n') => Ok(Kind::Null),
            Some(_) => Err(self.fault("expected a value")),
            None => Err(self.fault("the text ends where a value should stand")),
        }
    }

    /// Enters the object or array that begins here.
    pub(in crate::transparent) fn enter(&mut self) -> Result<Members, Fault> {
        if self.depth == MAX_DEPTH {
            return Err(self.fault("nested too deeply"));
        }
        self.depth += 1;
        self.at += 1;
        Ok(Members { first: true })
    }

    /// The next key of an object; the scanner then stands at its value, which the caller reads or skips. `None` when the
    /// object is closed.
    pub(in crate::transparent) fn key(&mut self, members: &mut Members) -> Result<Option<Text>, Fault> {
        if self.closed(members, b'}')? { Ok(None) } else { self.key_and_colon().map(Some) }
    }

    /// True when the scanner stands at another element of an array, which the caller reads or skips; false when the array is
    /// closed.
    pub(in crate::transparent) fn element(&mut self, members: &mut Members) -> Result<bool, Fault> {
        Ok(!self.closed(members, b']')?)
    }

    fn closed(&mut self, members: &mut Members, closing: u8) -> Result<bool, Fault> {
        self.white_space();
        if self.eat(closing) {
            self.depth = self.depth.saturating_sub(1);
            return Ok(true);
        }
        if !std::mem::take(&mut members.first) {
            if !self.eat(b',') {
                return Err(self.fault("expected a comma or the end of an object or array"));
            }
            self.white_space();
        }
        Ok(false)
    }

    /// Passes over a value.
    pub(in crate::transparent) fn skip(&mut self) -> Result<Value, Fault> {
        let (start, kind) = (self.at, self.kind()?);
        match kind {
            Kind::Object | Kind::Array => self.nested()?,
            _ => self.scalar(kind)?,
        }
        Ok(Value { span: Span::new(start, self.at), kind })
    }

    /// Passes over a string.
    pub(in crate::transparent) fn string(&mut self) -> Result<Text, Fault> {
        if self.text.get(self.at) != Some(&b'"') {
            return Err(self.fault("expected a string"));
        }
        let start = self.at;
        self.at += 1;
        let (mut escapes, mut saved) = (false, 0usize);
        loop {
            self.at = first_special(self.text, self.at);
            match self.text.get(self.at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    escapes = true;
                    saved += self.escape()?;
                }
                Some(_) => return Err(self.fault("a control character stands in a string")),
                None => return Err(self.fault("the text ends in a string")),
            }
        }
        self.at += 1;
        let written = self.at - start - 2;
        Ok(Text { span: Span::new(start, self.at), decoded: offset(written.saturating_sub(saved)), escaped: escapes })
    }

    /// Nothing but white space is left.
    pub(in crate::transparent) fn end(&mut self) -> Result<(), Fault> {
        self.white_space();
        if self.at == self.text.len() { Ok(()) } else { Err(self.fault("something follows the value")) }
    }

    fn fault(&self, what: &'static str) -> Fault {
        Fault { at: self.at.min(self.text.len()), what }
    }

    fn eat(&mut self, byte: u8) -> bool {
        let there = self.text.get(self.at) == Some(&byte);
        self.at += usize::from(there);
        there
    }

    fn white_space(&mut self) {
        while matches!(self.text.get(self.at), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn key_and_colon(&mut self) -> Result<Text, Fault> {
        let key = self.string()?;
        self.white_space();
        if !self.eat(b':') {
            return Err(self.fault("expected a colon"));
        }
        self.white_space();
        Ok(key)
    }

    /// Passes over an object or array without calling itself: one bit per level says which of the two it is.
    fn nested(&mut self) -> Result<(), Fault> {
        let (mut objects, mut level) = (0u128, 0u32);
        loop {
            match self.kind()? {
                kind @ (Kind::Object | Kind::Array) => {
                    let object = kind == Kind::Object;
                    self.at += 1;
                    self.white_space();
                    if !self.eat(if object { b'}' } else { b']' }) {
                        if self.depth + level == MAX_DEPTH {
                            return Err(self.fault("nested too deeply"));
                        }
                        level += 1;
                        objects = objects << 1 | u128::from(object);
                        if object {
                            self.key_and_colon()?;
                        }
                        continue;
                    }
                }
                kind => self.scalar(kind)?,
            }
            if !self.on_to_the_next(&mut objects, &mut level)? {
                return Ok(());
            }
        }
    }

    /// After a value: closes what ends here, then stands at the next value. False when nothing is open any more.
    fn on_to_the_next(&mut self, objects: &mut u128, level: &mut u32) -> Result<bool, Fault> {
        while *level > 0 {
            let object = *objects & 1 == 1;
            self.white_space();
            if self.eat(b',') {
                self.white_space();
                if object {
                    self.key_and_colon()?;
                }
                return Ok(true);
            }
            if !self.eat(if object { b'}' } else { b']' }) {
                return Err(self.fault("expected a comma or the end of an object or array"));
            }
            *level -= 1;
            *objects >>= 1;
        }
        Ok(false)
    }

    fn scalar(&mut self, kind: Kind) -> Result<(), Fault> {
        match kind {
            Kind::String => self.string().map(drop),
            Kind::Number => self.number(),
            _ => {
                let rest = self.text.get(self.at..).unwrap_or_default();
                let word = ["true", "false", "null"].into_iter().find(|word| rest.starts_with(word.as_bytes()));
                let Some(word) = word else { return Err(self.fault("expected a value")) };
                self.at += word.len();
                Ok(())
            }
        }
    }

    fn number(&mut self) -> Result<(), Fault> {
        self.eat(b'-');
        if !self.eat(b'0') {
            self.digits()?;
        }
        if self.eat(b'.') {
            self.digits()?;
        }
        if matches!(self.text.get(self.at), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.text.get(self.at), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Fault> {
        let start = self.at;
        while self.text.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        if self.at == start { Err(self.fault("expected a digit")) } else { Ok(()) }
    }

    /// Passes over an escape; tells how many bytes shorter its character is.
    fn escape(&mut self) -> Result<usize, Fault> {
        match self.text.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 2;
                Ok(1)
            }
            Some(b'u') => {
                let digits = self.text.get(self.at + 2..self.at + 6).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
                let code =
                    digits.and_then(|digits| std::str::from_utf8(digits).ok()).and_then(|digits| u32::from_str_radix(digits, 16).ok());
                let Some(code) = code else { return Err(self.fault("an escape is malformed")) };
                self.at += 6;
                Ok(6 - match code {
                    0..0x80 => 1,
                    // Half of a pair, which is four bytes together.
                    0x80..0x800 | 0xd800..0xe000 => 2,
                    _ => 3,
                })
            }
            _ => Err(self.fault("an escape is malformed")),
        }
    }
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// First byte from `from` on that ends a plain run of a string: a quote, a backslash or a control character. Eight bytes at
/// a time: strings are nearly all of a body.
fn first_special(text: &[u8], from: usize) -> usize {
    let (words, tail) = text.get(from..).unwrap_or_default().as_chunks::<8>();
    let mut at = from;
    for word in words {
        let word = u64::from_le_bytes(*word);
        let hits = zeros(word ^ (ONES * u64::from(b'"'))) | zeros(word ^ (ONES * u64::from(b'\\'))) | below_space(word);
        if hits != 0 {
            return at + usize::try_from(hits.trailing_zeros() / 8).unwrap_or(0);
        }
        at += 8;
    }
    at + tail.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20)).unwrap_or(tail.len())
}

/// The high bit of every byte that is zero. Bytes above the lowest such one may be wrong, the lowest never is.
fn zeros(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & HIGHS
}

/// The high bit of every control character, as exact as [`zeros`].
fn below_space(word: u64) -> u64 {
    word.wrapping_sub(ONES * 0x20) & !word & HIGHS
}
