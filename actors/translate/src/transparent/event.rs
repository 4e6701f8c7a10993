//! One event of a model's stream, looked at once: what is needed of it, and where it stands.

use super::json::{Fault, Kind, Scanner, Span, Text, Value};

/// Member that Bedrock adds to the last event.
pub(super) const METRICS: &str = "amazon-bedrock-invocationMetrics";

/// What an event says. Members are found whatever their order.
#[derive(Debug, Default)]
pub(super) struct Event {
    /// `type`.
    pub(super) name: Option<Text>,
    /// `message.model`.
    pub(super) model: Option<Span>,
    /// `usage` or `message.usage`.
    pub(super) usage: Option<Span>,
    /// `delta.stop_reason`.
    pub(super) stop: Option<Text>,
    /// Bytes of text, tool calls and thinking that the model wrote in it.
    pub(super) produced: u64,
    /// Bedrock's metrics.
    pub(super) metrics: Option<Span>,
    /// `error`.
    pub(super) error: Option<Span>,
}

impl Event {
    /// Reads an event.
    pub(super) fn read(json: &[u8]) -> Result<Self, Fault> {
        let mut scanner = Scanner::new(json);
        if scanner.kind()? != Kind::Object {
            return Err(Fault { at: scanner.at(), what: "expected an object" });
        }
        let mut event = Self::default();
        let mut members = scanner.enter()?;
        while let Some(key) = scanner.key(&mut members)? {
            match key.decode(json).as_deref() {
                Some("type") => event.name = string(&mut scanner)?,
                Some("delta") => event.delta(&mut scanner)?,
                Some("content_block") => event.block(&mut scanner)?,
                Some("message") => event.message(&mut scanner)?,
                Some("usage") => event.usage = object(scanner.skip()?),
                Some("error") => event.error = object(scanner.skip()?),
                Some(METRICS) => event.metrics = object(scanner.skip()?),
                _ => drop(scanner.skip()?),
            }
        }
        scanner.end()?;
        Ok(event)
    }

    fn delta(&mut self, scanner: &mut Scanner<'_>) -> Result<(), Fault> {
        if scanner.kind()? != Kind::Object {
            return scanner.skip().map(drop);
        }
        let mut members = scanner.enter()?;
        while let Some(key) = scanner.key(&mut members)? {
            match key.decode(scanner.text()).as_deref() {
                Some("text" | "partial_json" | "thinking") => self.count(scanner)?,
                Some("stop_reason") => self.stop = string(scanner)?,
                _ => drop(scanner.skip()?),
            }
        }
        Ok(())
    }

    fn block(&mut self, scanner: &mut Scanner<'_>) -> Result<(), Fault> {
        if scanner.kind()? != Kind::Object {
            return scanner.skip().map(drop);
        }
        let mut members = scanner.enter()?;
        while let Some(key) = scanner.key(&mut members)? {
            match key.decode(scanner.text()).as_deref() {
                Some("text" | "thinking" | "data" | "name") => self.count(scanner)?,
                _ => drop(scanner.skip()?),
            }
        }
        Ok(())
    }

    fn message(&mut self, scanner: &mut Scanner<'_>) -> Result<(), Fault> {
        if scanner.kind()? != Kind::Object {
            return scanner.skip().map(drop);
        }
        let mut members = scanner.enter()?;
        while let Some(key) = scanner.key(&mut members)? {
            match key.decode(scanner.text()).as_deref() {
                Some("model") => self.model = Some(scanner.skip()?.span),
                Some("usage") => self.usage = object(scanner.skip()?),
                _ => drop(scanner.skip()?),
            }
        }
        Ok(())
    }

    fn count(&mut self, scanner: &mut Scanner<'_>) -> Result<(), Fault> {
        let text = string(scanner)?;
        self.produced = self.produced.saturating_add(text.map_or(0, |text| u64::from(text.decoded)));
        Ok(())
    }
}

fn string(scanner: &mut Scanner<'_>) -> Result<Option<Text>, Fault> {
    if scanner.kind()? == Kind::String { scanner.string().map(Some) } else { scanner.skip().map(|_| None) }
}

fn object(value: Value) -> Option<Span> {
    (value.kind == Kind::Object).then_some(value.span)
}
