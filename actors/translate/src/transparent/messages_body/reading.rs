//! The one pass over a body.

use outcrop_domain::{error::GatewayError, estimate::Size};

use super::{
    Index, Mark, Message, Part, Purpose, Role, Section, Traits,
    block::{MAX_BLOCKS, TOO_MANY_BLOCKS, read_block, read_mark},
};
use crate::{
    errors::anthropic::thread_unsupported,
    transparent::json::{Fault, Kind, Members, Scanner, Span, Text, Value, members_of, said, whole_number},
};

/// Most members of a body. The API has some thirty.
const MAX_MEMBERS: usize = 256;

/// Most messages of a body. Source: Messages API, which refuses more.
const MAX_MESSAGES: usize = 100_000;

/// Most texts of the first user turn that identify a conversation.
const MAX_FIRST_WORDS: usize = 16;

/// Reads a whole body.
pub(in crate::transparent) fn index(body: &[u8], purpose: Purpose) -> Result<Index, GatewayError> {
    if u32::try_from(body.len()).is_err() {
        return Err(GatewayError::BodyTooLarge { limit_bytes: u64::from(u32::MAX) });
    }
    if let Err(error) = std::str::from_utf8(body) {
        return Err(no_json(body, Fault { at: error.valid_up_to(), what: "the text is not UTF-8" }));
    }
    let mut reader = Reader { scanner: Scanner::new(body), index: Index::default(), refused: None };
    let read = reader.body().and_then(|()| reader.scanner.end());
    if let Some(refused) = reader.refused {
        return Err(refused);
    }
    read.map_err(|fault| no_json(body, fault))?;
    let index = reader.index;
    if index.member(body, "messages").is_none() {
        return Err(GatewayError::invalid("messages", "messages: Field required"));
    }
    if index.max_tokens.is_none() && purpose == Purpose::Answer {
        return Err(GatewayError::invalid("max_tokens", "max_tokens: Field required"));
    }
    Ok(index)
}

fn no_json(body: &[u8], fault: Fault) -> GatewayError {
    let (line, column) = fault.place(body);
    GatewayError::InvalidRequest {
        message: format!("the request body cannot be read: {} (line {line}, column {column})", fault.what),
        param: None,
        code: None,
    }
}

struct Reader<'t> {
    scanner: Scanner<'t>,
    index: Index,
    /// What is wrong with a body that is valid JSON. Reading stops with any fault then.
    refused: Option<GatewayError>,
}

impl<'t> Reader<'t> {
    fn text(&self) -> &'t [u8] {
        self.scanner.text()
    }

    fn refuse(&mut self, error: GatewayError) -> Fault {
        self.refused = Some(error);
        Fault { at: self.scanner.at(), what: "refused" }
    }

    fn body(&mut self) -> Result<(), Fault> {
        if self.scanner.kind()? != Kind::Object {
            return Err(self.refuse(GatewayError::InvalidRequest {
                message: "the request body is not a JSON object".to_owned(),
                param: None,
                code: None,
            }));
        }
        let mut members = self.scanner.enter()?;
        while let Some(key) = self.scanner.key(&mut members)? {
            let name = key.decode(self.text()).unwrap_or_default();
            if self.index.member(self.text(), &name).is_some() {
                return Err(self.refuse(GatewayError::invalid(shown(&name), format!("`{}` is given twice", shown(&name)))));
            }
            if self.index.members.len() == MAX_MEMBERS {
                let message = format!("the request body has more than {MAX_MEMBERS} fields");
                return Err(self.refuse(GatewayError::InvalidRequest { message, param: None, code: None }));
            }
            let value = self.member(&name)?;
            self.index.members.push((key, value));
        }
        Ok(())
    }

    fn member(&mut self, name: &str) -> Result<Value, Fault> {
        let (start, kind) = (self.scanner.at(), self.scanner.kind()?);
        match (name, kind) {
            ("messages", Kind::Array) => self.messages()?,
            ("messages", _) => return Err(self.refuse(GatewayError::invalid("messages", "messages: Input should be a valid list"))),
            ("system", Kind::Array) => self.system_blocks()?,
            ("system", Kind::String) => self.system_text()?,
            ("tools", Kind::Array) => self.tools()?,
            _ => {
                let value = self.scanner.skip()?;
                return self.plain(name, value);
            }
        }
        Ok(Value { span: Span::new(start, self.scanner.at()), kind })
    }

    fn plain(&mut self, name: &str, value: Value) -> Result<Value, Fault> {
        let text = self.text();
        match name {
            "model" => self.index.model = said(text, value).map(Into::into),
            "stream" => self.index.stream = value.span.of(text) == b"true",
            "metadata" => {
                let member = members_of(text, value.span).into_iter().find(|(key, _)| key.is(text, "user_id"));
                self.index.user_id = member.and_then(|(_, value)| said(text, value)).map(Into::into);
            }
            "max_tokens" if value.kind != Kind::Null => match whole_number(text, value) {
                Some(number) => self.index.max_tokens = Some(number),
                None => return Err(self.refuse(GatewayError::invalid("max_tokens", "max_tokens: Input should be a valid integer"))),
            },
            "thread" if value.kind != Kind::Null => return Err(self.refuse(thread_unsupported())),
            _ => {}
        }
        Ok(value)
    }

    fn system_text(&mut self) -> Result<(), Fault> {
        let said = self.scanner.string()?;
        self.index.system =
            Section { size: Size::of_bytes(said.decoded.into()), opening: vec![said.span], last: None, blank: said.is_blank(self.text()) };
        Ok(())
    }

    fn system_blocks(&mut self) -> Result<(), Fault> {
        let mut section = Section::default();
        let mut members = self.scanner.enter()?;
        while self.scanner.element(&mut members)? {
            let block = read_block(&mut self.scanner, Part::System, section.size, &mut self.index.marks)?;
            section.size = section.size.and(block.size);
            section.opening.extend(block.text.map(|said| said.span));
            section.last = Some((block.span, section.size));
            section.blank |= block.is_blank_text();
        }
        self.index.system = section;
        Ok(())
    }

    fn tools(&mut self) -> Result<(), Fault> {
        let mut section = Section::default();
        let mut members = self.scanner.enter()?;
        while self.scanner.element(&mut members)? {
            self.tool(&mut section)?;
        }
        self.index.tools = section;
        Ok(())
    }

    fn tool(&mut self, section: &mut Section) -> Result<(), Fault> {
        let start = self.scanner.at();
        if self.scanner.kind()? != Kind::Object {
            self.scanner.skip()?;
            return Ok(());
        }
        let (mut size, mut has_schema, mut deferred, mut mark) = (Size::default(), false, false, None);
        let mut members = self.scanner.enter()?;
        while let Some(key) = self.scanner.key(&mut members)? {
            match key.decode(self.text()).as_deref() {
                Some("cache_control") => mark = read_mark(&mut self.scanner)?,
                Some("defer_loading") => deferred = self.scanner.skip()?.span.of(self.text()) == b"true",
                Some(name @ ("name" | "description" | "input_schema" | "type")) => {
                    let value = self.scanner.skip()?;
                    has_schema |= name == "input_schema";
                    if matches!(name, "name" | "input_schema") {
                        section.opening.push(value.span);
                    }
                    if name != "type" {
                        size = size.and(written(self.text(), value));
                    }
                }
                _ => drop(self.scanner.skip()?),
            }
        }
        let object = Span::new(start, self.scanner.at());
        // A tool of Anthropic's own has its description at the model.
        let size = if has_schema { size } else { Size::of_bytes(object.len()) };
        section.size = section.size.and(size.framed());
        if !deferred {
            section.last = Some((object, section.size));
        }
        if let Some((value, long)) = mark {
            self.index.marks.push(Mark { part: Part::Tools, object, value, long, covers: section.size });
        }
        Ok(())
    }

    fn messages(&mut self) -> Result<(), Fault> {
        let mut members = self.scanner.enter()?;
        while self.scanner.element(&mut members)? {
            if self.index.messages.len() == MAX_MESSAGES {
                let message = format!("messages: at most {MAX_MESSAGES} messages");
                return Err(self.refuse(GatewayError::invalid("messages", message)));
            }
            self.message()?;
        }
        if self.index.messages.is_empty() {
            return Err(self.refuse(GatewayError::invalid("messages", "messages: at least one message is required")));
        }
        Ok(())
    }

    fn message(&mut self) -> Result<(), Fault> {
        let start = self.scanner.at();
        self.index.messages_size_before_last = self.index.messages_size;
        let mut message =
            Message { span: Span::default(), role: Role::Other, role_value: Span::default(), content: None, traits: Traits::default() };
        let mut size = Size::default();
        let mut words = Vec::new();
        if self.scanner.kind()? == Kind::Object {
            let mut members = self.scanner.enter()?;
            while let Some(key) = self.scanner.key(&mut members)? {
                if key.is(self.text(), "content") {
                    size = self.content(&mut message, &mut words)?;
                } else {
                    let value = self.scanner.skip()?;
                    if key.is(self.text(), "role") {
                        message.role = role(self.text(), value);
                        message.role_value = value.span;
                    }
                }
            }
        } else {
            self.scanner.skip()?;
        }
        message.span = Span::new(start, self.scanner.at());
        self.index.messages_size = self.index.messages_size.and(size.framed());
        if message.role == Role::User && self.index.first_words.is_empty() {
            self.index.first_words = words;
        }
        self.index.messages.push(message);
        Ok(())
    }

    fn content(&mut self, message: &mut Message, words: &mut Vec<Span>) -> Result<Size, Fault> {
        let (start, kind) = (self.scanner.at(), self.scanner.kind()?);
        let mut size = Size::default();
        match kind {
            Kind::String => {
                let said = self.scanner.string()?;
                size = Size::of_bytes(said.decoded.into());
                words.push(said.span);
                message.traits.blank = said.is_blank(self.text());
            }
            Kind::Array => {
                let members = self.scanner.enter()?;
                size = self.blocks(members, message, words)?;
            }
            _ => drop(self.scanner.skip()?),
        }
        message.content = Some(Value { span: Span::new(start, self.scanner.at()), kind });
        Ok(size)
    }

    fn blocks(&mut self, mut members: Members, message: &mut Message, words: &mut Vec<Span>) -> Result<Size, Fault> {
        let (mut size, mut count) = (Size::default(), 0);
        let first = self.index.first_words.is_empty();
        let before = self.index.messages_size;
        while self.scanner.element(&mut members)? {
            count += 1;
            if count > MAX_BLOCKS {
                return Err(Fault { at: self.scanner.at(), what: TOO_MANY_BLOCKS });
            }
            let block = read_block(&mut self.scanner, Part::Messages, before.and(size), &mut self.index.marks)?;
            size = size.and(block.size);
            message.traits.add(block.traits);
            if first && words.len() < MAX_FIRST_WORDS {
                words.extend(block.text.map(|said| said.span));
            }
        }
        message.traits.blank |= count == 0;
        Ok(size)
    }
}

fn role(text: &[u8], value: Value) -> Role {
    match said(text, value).as_deref() {
        Some("user") => Role::User,
        Some("assistant") => Role::Assistant,
        Some("system") => Role::System,
        _ => Role::Other,
    }
}

/// A string by what it says, everything else by its text.
fn written(text: &[u8], value: Value) -> Size {
    let said = (value.kind == Kind::String).then(|| Scanner::within(text, value.span).string().ok()).flatten();
    Size::of_bytes(said.map_or(value.span.len(), |said: Text| said.decoded.into()))
}

/// A name as far as an error shows it.
fn shown(name: &str) -> String {
    name.chars().take(64).collect()
}
