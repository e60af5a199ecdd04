//! One GET over a connection of its own: no pool, no proxy, no redirect, a bounded body.

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::{Request, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// What is read of a body.
const BODY_BYTES_MAX: usize = 64 << 10;

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Its content type.
    pub content_type: Option<String>,
    /// The body, at most 64 KiB.
    pub body: Bytes,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The address cannot be asked.
    #[error("'{url}' cannot be asked: {problem}")]
    Address {
        /// The address.
        url: String,
        /// Why.
        problem: &'static str,
    },
    /// Nobody takes connections.
    #[error("nobody accepts connections at {address} ({problem})")]
    Refused {
        /// Where.
        address: String,
        /// The system's words.
        problem: String,
    },
    /// The answer broke off or is not HTTP.
    #[error("the answer broke off or is not HTTP ({problem})")]
    Broken {
        /// The library's words.
        problem: String,
    },
    /// The body is too large to be an answer to a health probe.
    #[error("the body is larger than {BODY_BYTES_MAX} bytes")]
    TooLarge,
    /// No answer in time.
    #[error("no answer within {timeout_ms} ms")]
    TooSlow {
        /// The limit.
        timeout_ms: u64,
    },
}

/// Asks `url` once. The caller sets the limit of time.
///
/// # Errors
/// [`HttpError`], which tells apart who did not answer and how.
pub async fn get(url: &str) -> Result<Answer, HttpError> {
    let wrong = |problem| HttpError::Address { url: url.to_owned(), problem };
    let uri: hyper::Uri = url.parse().map_err(|_| wrong("it is not an address"))?;
    if uri.scheme_str() != Some("http") {
        return Err(wrong("probes speak http:// only; put a check in a command for anything else"));
    }
    let authority = uri.authority().ok_or_else(|| wrong("it has no host"))?.clone();
    let address = format!("{}:{}", authority.host(), authority.port_u16().unwrap_or(80));
    let stream = TcpStream::connect(&address)
        .await
        .map_err(|error| HttpError::Refused { address: address.clone(), problem: error.to_string() })?;
    let broken = |error: hyper::Error| HttpError::Broken { problem: error.to_string() };
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let driver = tokio::spawn(connection);
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::get(path)
        .header(header::HOST, authority.as_str())
        .header(header::USER_AGENT, "lockstep-probe")
        .header(header::ACCEPT, "application/json, text/plain, */*")
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|_| wrong("it cannot be sent"))?;
    let response = sender.send_request(request).await.map_err(broken)?;
    let status = response.status().as_u16();
    let content_type = response
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .map(ToOwned::to_owned);
    let body = Limited::new(response.into_body(), BODY_BYTES_MAX).collect().await;
    driver.abort();
    let body = body.map_err(|error| {
        if error.is::<http_body_util::LengthLimitError>() {
            HttpError::TooLarge
        } else {
            HttpError::Broken { problem: error.to_string() }
        }
    })?;
    Ok(Answer { status, content_type, body: body.to_bytes() })
}
