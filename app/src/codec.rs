//! How server functions are written on the wire: a JSON body that is the single argument `req`
//! itself, not an object around it. Unknown keys and wrong types are refused with their path.

pub(crate) mod tree;

use crate::AppError;
use bytes::Bytes;
use leptos::{
    prelude::Resource,
    server::codee::{Decoder, Encoder},
};
use lockstep_model::error::{ErrorBody, ErrorKind};
use serde::{Serialize, de::DeserializeOwned};
use server_fn::{ContentType, Decodes, Encodes, Format, FormatType, codec::Post};

/// The codec of all server functions' requests; their answers are plain JSON.
pub type ApiJson = Post<Body>;

/// A JSON body that is the one argument.
#[derive(Debug, Clone, Copy)]
pub struct Body;

/// The codec of all server functions' answers: plain JSON, read in the same way as everything else
/// that a page reads, so that the code for it is there once.
pub type ApiAnswer = Post<Answer>;

/// A JSON body that is the answer.
#[derive(Debug, Clone, Copy)]
pub struct Answer;

impl ContentType for Answer {
    const CONTENT_TYPE: &'static str = "application/json";
}

impl FormatType for Answer {
    const FORMAT_TYPE: Format = Format::Text;
}

impl<T: Serialize> Encodes<T> for Answer {
    type Error = serde_json::Error;
    fn encode(answer: &T) -> Result<Bytes, Self::Error> {
        serde_json::to_vec(answer).map(Bytes::from)
    }
}

impl<T: DeserializeOwned> Decodes<T> for Answer {
    type Error = tree::Error;
    fn decode(bytes: Bytes) -> Result<T, Self::Error> {
        tree::read(&String::from_utf8_lossy(&bytes))
    }
}

impl<T: Serialize> Encoder<T> for Answer {
    type Error = serde_json::Error;
    type Encoded = String;
    fn encode(answer: &T) -> Result<String, Self::Error> {
        serde_json::to_string(answer)
    }
}

impl<T: DeserializeOwned> Decoder<T> for Answer {
    type Error = tree::Error;
    type Encoded = str;
    fn decode(text: &str) -> Result<T, Self::Error> {
        tree::read(text)
    }
}

/// What a page begins with: asked for by the server, and sent along with the page.
pub type Loaded<T> = Resource<Result<T, AppError>, Answer>;

/// Asks for what a page begins with, and again whenever `asked` changes.
pub fn load<S, T, F>(
    asked: impl Fn() -> S + Send + Sync + 'static,
    fetch: impl Fn(S) -> F + Send + Sync + 'static,
) -> Loaded<T>
where
    S: PartialEq + Clone + Send + Sync + 'static,
    T: Serialize + DeserializeOwned + Send + Sync + 'static,
    F: Future<Output = Result<T, AppError>> + Send + 'static,
{
    Resource::new_with_options(asked, fetch, false)
}

/// The name of the one argument of every server function.
const ARGUMENT: &str = "req";

impl ContentType for Body {
    const CONTENT_TYPE: &'static str = "application/json";
}

impl FormatType for Body {
    const FORMAT_TYPE: Format = Format::Text;
}

impl<T: Serialize> Encodes<T> for Body {
    type Error = serde_json::Error;
    fn encode(arguments: &T) -> Result<Bytes, Self::Error> {
        // `{"req":BODY}`: the body stands between the key and the last brace.
        let whole = serde_json::to_vec(arguments)?;
        let body = whole.get(ARGUMENT.len() + 4..whole.len().saturating_sub(1)).unwrap_or(b"{}");
        Ok(Bytes::copy_from_slice(body))
    }
}

impl<T: DeserializeOwned> Decodes<T> for Body {
    type Error = Unreadable;
    fn decode(bytes: Bytes) -> Result<T, Unreadable> {
        decode(&bytes).map_err(Unreadable)
    }
}

/// Why a body cannot be read. Shown as JSON: that is how it passes through the framework to
/// `AppError`.
#[derive(Debug)]
pub struct Unreadable(ErrorBody);

impl std::fmt::Display for Unreadable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&serde_json::to_string(&self.0).unwrap_or_default())
    }
}

/// Reads a body; the error tells where it is wrong.
fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ErrorBody> {
    let body: serde_json::Value = serde_json::from_slice(bytes)
        .map_err(|error| ErrorBody::new(ErrorKind::Malformed, format!("the body is not JSON: {error}")))?;
    let whole = serde_json::Value::Object([(ARGUMENT.to_owned(), body)].into_iter().collect());
    read(whole)
}

#[cfg(feature = "ssr")]
fn read<T: DeserializeOwned>(whole: serde_json::Value) -> Result<T, ErrorBody> {
    serde_path_to_error::deserialize(whole).map_err(|error| {
        let path = error.path().to_string();
        let path = path.trim_start_matches(ARGUMENT).trim_start_matches('.');
        let place = if path.is_empty() { String::new() } else { format!(" at '{path}'") };
        ErrorBody::new(ErrorKind::Invalid, format!("the body is not valid{place}: {}", error.inner()))
    })
}

#[cfg(not(feature = "ssr"))]
fn read<T: DeserializeOwned>(whole: serde_json::Value) -> Result<T, ErrorBody> {
    serde_json::from_value(whole).map_err(|error| ErrorBody::new(ErrorKind::Invalid, error.to_string()))
}

#[cfg(all(test, feature = "ssr"))]
mod tests {
    use super::*;
    use lockstep_model::api::StartDeployment;

    #[derive(Debug, serde::Deserialize)]
    struct Arguments {
        req: StartDeployment,
    }

    #[test]
    fn the_body_is_the_argument_itself() {
        let read: Arguments = decode(br#"{"environment":"staging"}"#).expect("valid");
        assert_eq!(read.req.environment.map(|e| e.to_string()).as_deref(), Some("staging"));
    }

    #[test]
    fn what_is_sent_is_the_argument_itself() {
        #[derive(Serialize)]
        struct Arguments {
            req: Vec<u32>,
        }
        let sent = <Body as Encodes<Arguments>>::encode(&Arguments { req: vec![1, 2] }).expect("written");
        assert_eq!(&sent[..], b"[1,2]");
    }

    #[test]
    fn a_wrong_body_is_refused_with_its_path() {
        let unknown = decode::<Arguments>(br#"{"enviroment":"staging"}"#).expect_err("unknown key");
        assert_eq!(unknown.kind, ErrorKind::Invalid);
        assert!(unknown.message.contains("enviroment"), "{unknown}");
        let nested = decode::<Arguments>(br#"{"source":{"comit":"1"}}"#).expect_err("unknown key");
        assert!(nested.message.contains("source"), "{nested}");
        let broken = decode::<Arguments>(b"{").expect_err("no JSON");
        assert_eq!(broken.kind, ErrorKind::Malformed);
    }
}
