//! Values that clients write in more than one way.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{
        Error, MapAccess, SeqAccess, Unexpected, Visitor,
        value::{MapAccessDeserializer, SeqAccessDeserializer},
    },
};
use serde_json::value::RawValue;

/// A whole number, also when a client writes it as `256.0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Whole(pub i64);

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WholeVisitor)
    }
}

struct WholeVisitor;

impl Visitor<'_> for WholeVisitor {
    type Value = Whole;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an integer")
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Whole, E> {
        Ok(Whole(number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Whole, E> {
        i64::try_from(number).map(Whole).map_err(|_| E::invalid_value(Unexpected::Unsigned(number), &self))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Whole, E> {
        // 2^53: up to here every whole number has exactly one f64.
        if number.fract() == 0.0 && number.abs() <= 9_007_199_254_740_992.0 {
            Ok(Whole(number as i64))
        } else {
            Err(E::invalid_value(Unexpected::Float(number), &self))
        }
    }
}

/// Text, or the JSON text of whatever else stands there: some clients write tool arguments as an object
/// instead of a string of JSON.
///
/// Read from JSON text that is at hand as a whole alone: it is borrowed from there, and a `Value` or a reader has none to lend.
#[derive(Clone, PartialEq, Eq)]
pub struct LooseText(pub String);

impl<'de> Deserialize<'de> for LooseText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?;
        if raw.get().starts_with('"') {
            serde_json::from_str(raw.get()).map(Self).map_err(D::Error::custom)
        } else {
            Ok(Self(raw.get().to_owned()))
        }
    }
}

/// A string or an object.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum TextOr<T> {
    /// A string.
    Text(String),
    /// An object.
    Object(T),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for TextOr<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextOrVisitor(PhantomData))
    }
}

struct TextOrVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for TextOrVisitor<T> {
    type Value = TextOr<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or an object")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(TextOr::Text(text.to_owned()))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Self::Value, E> {
        Ok(TextOr::Text(text))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(TextOr::Object)
    }
}

/// A string or an array.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum TextOrList<T> {
    /// A string.
    Text(String),
    /// An array.
    List(Vec<T>),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for TextOrList<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextOrListVisitor(PhantomData))
    }
}

struct TextOrListVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for TextOrListVisitor<T> {
    type Value = TextOrList<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or an array")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(TextOrList::Text(text.to_owned()))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Self::Value, E> {
        Ok(TextOrList::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(seq)).map(TextOrList::List)
    }
}

/// An array or an object.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum ListOr<T, O> {
    /// An array.
    List(Vec<T>),
    /// An object.
    Object(O),
}

impl<'de, T: Deserialize<'de>, O: Deserialize<'de>> Deserialize<'de> for ListOr<T, O> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ListOrVisitor(PhantomData))
    }
}

struct ListOrVisitor<T, O>(PhantomData<(T, O)>);

impl<'de, T: Deserialize<'de>, O: Deserialize<'de>> Visitor<'de> for ListOrVisitor<T, O> {
    type Value = ListOr<T, O>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array or an object")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(seq)).map(ListOr::List)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        O::deserialize(MapAccessDeserializer::new(map)).map(ListOr::Object)
    }
}

/// A string, an array or an object.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum TextListOr<T, O> {
    /// A string.
    Text(String),
    /// An array.
    List(Vec<T>),
    /// An object.
    Object(O),
}

impl<'de, T: Deserialize<'de>, O: Deserialize<'de>> Deserialize<'de> for TextListOr<T, O> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextListOrVisitor(PhantomData))
    }
}

struct TextListOrVisitor<T, O>(PhantomData<(T, O)>);

impl<'de, T: Deserialize<'de>, O: Deserialize<'de>> Visitor<'de> for TextListOrVisitor<T, O> {
    type Value = TextListOr<T, O>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string, an array or an object")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(TextListOr::Text(text.to_owned()))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Self::Value, E> {
        Ok(TextListOr::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(seq)).map(TextListOr::List)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        O::deserialize(MapAccessDeserializer::new(map)).map(TextListOr::Object)
    }
}

/// Text, or JSON of the caller's: what tools answer. Anything but text is kept as it was written, the elements of an array
/// each by itself. Read from JSON text alone, as [`LooseText`].
#[derive(Clone)]
pub enum TextOrRaw {
    /// A string.
    Text(String),
    /// An array.
    List(Vec<Box<RawValue>>),
    /// Anything else: an object, a number, true or false.
    Raw(Box<RawValue>),
}

impl<'de> Deserialize<'de> for TextOrRaw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Borrowed: what tools found is most of an agent's history.
        let raw = <&RawValue>::deserialize(deserializer)?;
        match raw.get().as_bytes().first() {
            Some(b'"') => serde_json::from_str(raw.get()).map(Self::Text).map_err(D::Error::custom),
            Some(b'[') => serde_json::from_str(raw.get()).map(Self::List).map_err(D::Error::custom),
            Some(b'n') => Err(D::Error::invalid_type(Unexpected::Unit, &"a string, an array or an object")),
            _ => Ok(Self::Raw(raw.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_may_be_written_as_floats_but_not_as_fractions_or_text() {
        assert_eq!(serde_json::from_str::<Whole>("256.0").unwrap(), Whole(256));
        assert_eq!(serde_json::from_str::<Whole>("-3").unwrap(), Whole(-3));
        assert_eq!(serde_json::from_str::<Whole>("1e3").unwrap(), Whole(1000));
        for wrong in ["256.5", "\"256\"", "true", "18446744073709551615", "1e300"] {
            assert!(serde_json::from_str::<Whole>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn arguments_may_be_text_or_an_object() {
        assert_eq!(serde_json::from_str::<LooseText>(r#""{\"a\":1}""#).unwrap().0, r#"{"a":1}"#);
        assert_eq!(serde_json::from_str::<LooseText>(r#"{"b":2,  "a":1}"#).unwrap().0, r#"{"b":2,  "a":1}"#);
    }

    #[test]
    fn what_a_tool_answers_is_text_or_stays_as_it_was_written() {
        let read = |json: &str| serde_json::from_str::<TextOrRaw>(json).unwrap();
        assert!(matches!(read(r#""a\nb""#), TextOrRaw::Text(text) if text == "a\nb"));
        let TextOrRaw::List(elements) = read(r#"[{"b": 1e400,  "a":[ ]}, "x"]"#) else { panic!("no list") };
        assert_eq!((elements[0].get(), elements[1].get()), (r#"{"b": 1e400,  "a":[ ]}"#, r#""x""#));
        for json in [r#"{"b": 1e400,  "a":[ ], "b":2}"#, "5", "true", "-1.50"] {
            assert!(matches!(read(json), TextOrRaw::Raw(raw) if raw.get() == json), "{json}");
        }
        assert!(serde_json::from_str::<TextOrRaw>("null").is_err());
    }
}
