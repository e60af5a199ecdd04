//! The YAML text as a tree whose every node knows its place. Bounded in size, depth and number of
//! nodes; aliases and tags are refused, so nothing can grow or change its meaning.

use saphyr_parser::{Event, Parser, ScalarStyle};

/// The deepest nesting.
const DEPTH_MAX: usize = 32;
/// The most nodes: 10,000 services with all that one may say.
const NODES_MAX: usize = 2_000_000;

/// A place in the text, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) line: u32,
    pub(crate) column: u32,
}

/// Something wrong at a place.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) place: Place,
    pub(crate) message: String,
}

/// A node.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) value: Value,
}

/// What a node is.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    /// A text, and whether it stood in quotes.
    Scalar { text: String, is_quoted: bool },
    /// A list.
    List(Vec<Node>),
    /// A mapping, keys in the order of the text.
    Map(Vec<(Key, Node)>),
}

/// A key of a mapping.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) place: Place,
    pub(crate) text: String,
}

impl Node {
    /// What it is, for messages.
    pub(crate) fn kind(&self) -> String {
        match &self.value {
            Value::Scalar { text, is_quoted: false } if text.is_empty() || text == "~" || text == "null" => {
                "nothing".to_owned()
            }
            Value::Scalar { text, .. } => {
                let text: String = text.chars().filter(|c| !c.is_control()).take(40).collect();
                format!("'{text}'")
            }
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a mapping".to_owned(),
        }
    }

    pub(crate) fn is_nothing(&self) -> bool {
        self.kind() == "nothing"
    }
}

enum Open {
    List(Place, Vec<Node>),
    Map(Place, Vec<(Key, Node)>, Option<Key>),
}

/// The root of the only document in `source`.
pub(crate) fn parse(source: &str, problems: &mut Vec<Found>) -> Option<Node> {
    let start = Place { line: 1, column: 1 };
    let mut fail = |place, message: String| {
        problems.push(Found { place, message });
        None
    };
    if source.len() > crate::SOURCE_BYTES_MAX {
        return fail(start, format!("the manifest is larger than {} bytes", crate::SOURCE_BYTES_MAX));
    }
    let mut open: Vec<Open> = Vec::new();
    let mut root = None;
    let mut nodes = 0usize;
    let mut documents = 0usize;
    for event in Parser::new_from_str(source) {
        let (event, span) = match event {
            Ok(event) => event,
            Err(error) => {
                let place = place(error.marker().line(), error.marker().col());
                return fail(place, format!("this is not YAML: {}", error.info()));
            }
        };
        let at = place(span.start.line(), span.start.col());
        nodes += 1;
        if nodes > NODES_MAX {
            return fail(at, format!("the manifest has more than {NODES_MAX} nodes"));
        }
        let done = match event {
            Event::DocumentStart(_) => {
                documents += 1;
                if documents > 1 {
                    return fail(
                        at,
                        "one manifest is one document; remove the '---' and what follows".to_owned(),
                    );
                }
                None
            }
            Event::Alias(_) => {
                return fail(at, "aliases ('*name') are not supported; write the value out".to_owned());
            }
            Event::Scalar(_, _, _, Some(_))
            | Event::SequenceStart(_, Some(_))
            | Event::MappingStart(_, Some(_)) => {
                return fail(at, "tags ('!name') are not supported; write the plain value".to_owned());
            }
            Event::Scalar(text, style, _, None) => {
                let is_quoted = !matches!(style, ScalarStyle::Plain);
                Some(Node { place: at, value: Value::Scalar { text: text.into_owned(), is_quoted } })
            }
            Event::SequenceStart(..) => {
                open.push(Open::List(at, Vec::new()));
                None
            }
            Event::MappingStart(..) => {
                open.push(Open::Map(at, Vec::new(), None));
                None
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some(Open::List(place, items)) => Some(Node { place, value: Value::List(items) }),
                Some(Open::Map(place, entries, _)) => Some(Node { place, value: Value::Map(entries) }),
                None => None,
            },
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => None,
        };
        if open.len() > DEPTH_MAX {
            return fail(at, format!("nested deeper than {DEPTH_MAX} levels"));
        }
        let Some(node) = done else { continue };
        match open.last_mut() {
            None => root = Some(node),
            Some(Open::List(_, items)) => items.push(node),
            Some(Open::Map(_, entries, key)) => match key.take() {
                Some(key) => entries.push((key, node)),
                None => match node.value {
                    Value::Scalar { text, .. } => *key = Some(Key { place: node.place, text }),
                    Value::List(_) | Value::Map(_) => {
                        return fail(node.place, "a key must be a plain text".to_owned());
                    }
                },
            },
        }
    }
    match root {
        Some(root) if !root.is_nothing() => Some(root),
        _ => fail(start, "the manifest is empty; begin with 'version: 1' and 'project: NAME'".to_owned()),
    }
}

fn place(line: usize, column: usize) -> Place {
    let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
    Place { line: number(line.max(1)), column: number(column).saturating_add(1) }
}
