//! Reads values from a parsed JSON tree. A parser of text that is generic over what it reads is
//! compiled anew for each type, from arrays and from objects; here the text is parsed once, by one
//! function, and a type costs only its own fields. Two thirds of the WASM's reading code goes with it.

use serde::{
    Deserializer,
    de::{
        DeserializeOwned, Error as _, Expected, IntoDeserializer, Unexpected, Visitor,
        value::{MapAccessDeserializer, MapDeserializer, SeqDeserializer},
    },
};
use serde_json::{Number, Value};
use std::fmt::{Display, Formatter};

/// What a JSON text says.
pub(crate) fn read<T: DeserializeOwned>(text: &str) -> Result<T, Error> {
    let tree: Value = serde_json::from_str(text).map_err(Error::custom)?;
    T::deserialize(Tree(tree))
}

/// Why a text cannot be read. It says what was expected, not what was found: to say that takes what writes
/// floating point numbers, kilobytes that nothing else needs.
#[derive(Debug)]
pub struct Error(String);

impl Display for Error {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

impl serde::de::Error for Error {
    fn custom<T: Display>(words: T) -> Self {
        Self(words.to_string())
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self(format!("invalid type, expected {expected}"))
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self(format!("invalid value, expected {expected}"))
    }
}

struct Tree(Value);

type Entry = (String, Tree);

fn entries(map: serde_json::Map<String, Value>) -> MapDeserializer<'static, Entries, Error> {
    let entry: fn((String, Value)) -> Entry = |(key, value)| (key, Tree(value));
    MapDeserializer::new(map.into_iter().map(entry))
}

type Entries = std::iter::Map<serde_json::map::IntoIter, fn((String, Value)) -> Entry>;
type Elements = std::iter::Map<std::vec::IntoIter<Value>, fn(Value) -> Tree>;

fn elements(list: Vec<Value>) -> SeqDeserializer<Elements, Error> {
    let element: fn(Value) -> Tree = Tree;
    SeqDeserializer::new(list.into_iter().map(element))
}

impl Tree {
    #[cold]
    fn unlike(&self, wanted: &str) -> Error {
        let found = match &self.0 {
            Value::Null => "null",
            Value::Bool(_) => "a truth value",
            Value::Number(_) => "a number",
            Value::String(_) => "a text",
            Value::Array(_) => "a list",
            Value::Object(_) => "an object",
        };
        Error::custom(format_args!("{found} stands where {wanted} is expected"))
    }

    fn number(self) -> Result<Number, Error> {
        match self.0 {
            Value::Number(number) => Ok(number),
            _ => Err(self.unlike("a number")),
        }
    }
}

impl IntoDeserializer<'static, Error> for Tree {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

fn visit_number<V: Visitor<'static>>(number: &Number, visitor: V) -> Result<V::Value, Error> {
    if let Some(number) = number.as_u64() {
        visitor.visit_u64(number)
    } else if let Some(number) = number.as_i64() {
        visitor.visit_i64(number)
    } else {
        visitor.visit_f64(number.as_f64().unwrap_or(f64::NAN))
    }
}

macro_rules! numbers {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'static>>(self, visitor: V) -> Result<V::Value, Error> {
            visit_number(&self.number()?, visitor)
        }
    )*};
}

macro_rules! like {
    ($($method:ident($($argument:ident: $kind:ty),*) = $other:ident;)*) => {$(
        fn $method<V: Visitor<'static>>(self, $($argument: $kind,)* visitor: V) -> Result<V::Value, Error> {
            $(let _ = $argument;)*
            self.$other(visitor)
        }
    )*};
}

impl Deserializer<'static> for Tree {
    type Error = Error;

    fn deserialize_any<V: Visitor<'static>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(value),
            Value::Number(number) => visit_number(&number, visitor),
            Value::String(text) => visitor.visit_string(text),
            Value::Array(list) => visitor.visit_seq(elements(list)),
            Value::Object(map) => visitor.visit_map(entries(map)),
        }
    }

    fn deserialize_bool<V: Visitor<'static>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Bool(value) => visitor.visit_bool(value),
            _ => Err(self.unlike("a truth value")),
        }
    }

    numbers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_u8 deserialize_u16
        deserialize_u32 deserialize_u64 deserialize_f32 deserialize_f64
    }

    fn deserialize_string<V: Visitor<'static>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::String(text) => visitor.visit_string(text),
            _ => Err(self.unlike("a text")),
        }
    }

    fn deserialize_option<V: Visitor<'static>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_unit<V: Visitor<'static>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            _ => Err(self.unlike("null")),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'static>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'static>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Array(list) => visitor.visit_seq(elements(list)),
            _ => Err(self.unlike("a list")),
        }
    }

    fn deserialize_map<V: Visitor<'static>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Object(map) => visitor.visit_map(entries(map)),
            _ => Err(self.unlike("an object")),
        }
    }

    fn deserialize_enum<V: Visitor<'static>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.0 {
            Value::String(text) => visitor.visit_enum(text.into_deserializer()),
            Value::Object(map) => visitor.visit_enum(MapAccessDeserializer::new(entries(map))),
            _ => Err(self.unlike("one of several words or an object")),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'static>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    like! {
        deserialize_char() = deserialize_string;
        deserialize_str() = deserialize_string;
        deserialize_identifier() = deserialize_string;
        deserialize_bytes() = deserialize_seq;
        deserialize_byte_buf() = deserialize_seq;
        deserialize_unit_struct(_name: &'static str) = deserialize_unit;
        deserialize_tuple(_length: usize) = deserialize_seq;
        deserialize_tuple_struct(_name: &'static str, _length: usize) = deserialize_seq;
        deserialize_struct(_name: &'static str, _fields: &'static [&'static str]) = deserialize_map;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::{Deserialize, Serialize};
    use std::collections::BTreeMap;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "type", rename_all = "snake_case")]
    enum Tagged {
        Alone,
        With { number: i64, inner: Option<Box<Tagged>> },
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    enum Plain {
        Alone,
        One(u64),
        Two(String, bool),
        Named { value: f64 },
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Wrapped(u32);

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct All {
        tagged: Vec<Tagged>,
        plain: Vec<Plain>,
        map: BTreeMap<String, Option<Wrapped>>,
        pair: (i8, char),
        unit: (),
        answer: Result<String, Wrapped>,
        #[serde(default)]
        left_out: bool,
    }

    #[test]
    fn what_was_written_is_read_as_it_was() {
        let all = All {
            tagged: vec![
                Tagged::Alone,
                Tagged::With { number: -3, inner: Some(Box::new(Tagged::Alone)) },
                Tagged::With { number: i64::MAX, inner: None },
            ],
            plain: vec![
                Plain::Alone,
                Plain::One(u64::MAX),
                Plain::Two("\u{1F680} \"x\"\n".to_owned(), true),
                Plain::Named { value: 0.25 },
            ],
            map: [("a".to_owned(), Some(Wrapped(7))), ("b".to_owned(), None)].into(),
            pair: (-128, 'é'),
            unit: (),
            answer: Err(Wrapped(1)),
            left_out: true,
        };
        let text = serde_json::to_string(&all).expect("JSON");
        assert_eq!(read::<All>(&text).expect("read"), all);
    }

    #[test]
    fn what_is_new_is_passed_over_and_what_lacks_takes_its_default() {
        let text = r#"{"tagged":[],"plain":[],"map":{},"pair":[1,"a"],"unit":null,"answer":{"Ok":"x"},"new":{"a":[1]}}"#;
        let all = read::<All>(text).expect("read");
        assert!(!all.left_out);
        assert_eq!(all.answer, Ok("x".to_owned()));
    }

    #[test]
    fn what_does_not_fit_is_refused_in_words() {
        for (text, words) in [
            ("7", "a number stands where an object is expected"),
            (r#"{"tagged":{}}"#, "an object stands where a list"),
            (r#"{"tagged":[{"type":"with","number":"1"}]}"#, "invalid type"),
            (r#"{"plain":["Three"]}"#, "unknown variant"),
            (r#"{"pair":[300,"a"]}"#, "expected i8"),
            (r#"{"tagged":[]}"#, "missing field"),
            ("{", "EOF"),
        ] {
            let error = read::<All>(text).expect_err(text).to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
