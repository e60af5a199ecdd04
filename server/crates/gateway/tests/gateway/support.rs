//! What the tests share: a gateway in a folder of its own, programs behind it, and users before it.

use bytes::Bytes;
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::{
    Request, Response, StatusCode, body::Incoming, client::conn::http1 as client, server, service::service_fn,
};
use hyper_util::rt::TokioIo;
use lockstep_gateway::{GatewayClient, GatewayError, GatewayOptions, Limits, run, socket_path};
use lockstep_model::gateway::{
    Backend, GatewayRequest, GatewayResponse, GatewayState, RevisionTraffic, Route, Slot,
};
use std::{convert::Infallible, future::Future, net::SocketAddr, path::Path, time::Duration};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// Whatever should happen has happened after this time, on the slowest machine.
pub const BOUND: Duration = Duration::from_secs(30);

pub type Body = BoxBody<Bytes, hyper::Error>;

/// Waits for `future`, at most the bound.
pub async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(BOUND, future).await.expect("it should have happened by now")
}

/// Looks again and again until `done`.
pub async fn until<F: Future<Output = bool>>(what: &str, mut done: impl FnMut() -> F) {
    let looked = async {
        while !done().await {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(BOUND, looked).await.unwrap_or_else(|_| panic!("waited in vain: {what}"));
}

pub struct Up {
    pub dir: TempDir,
    pub client: GatewayClient,
    pub task: JoinHandle<Result<(), GatewayError>>,
}

impl Up {
    pub async fn start() -> Self {
        Self::with(Limits::default()).await
    }

    pub async fn with(limits: Limits) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let task = spawn(dir.path(), false, limits);
        let client = GatewayClient::new(socket_path(dir.path()));
        until_it_answers(&client).await;
        Self { dir, client, task }
    }

    pub async fn route(&self, route: Route, drain: bool) -> GatewayResponse {
        within(self.client.request(&GatewayRequest::Route { route, drain })).await.unwrap()
    }

    /// Sets a route that cannot be refused.
    pub async fn set(&self, route: Route) {
        assert_eq!(self.route(route, false).await, GatewayResponse::Done { drained: true });
    }

    pub async fn state(&self) -> GatewayState {
        match within(self.client.request(&GatewayRequest::State)).await.unwrap() {
            GatewayResponse::State { state } => state,
            other => panic!("{other:?}"),
        }
    }

    pub async fn traffic(&self, revision: &str) -> Option<RevisionTraffic> {
        let revisions = self.state().await.routes.into_iter().flat_map(|route| route.revisions);
        revisions.into_iter().find(|traffic| traffic.revision.as_str() == revision)
    }

    /// Waits until new requests of the only route go to `revision`.
    pub async fn until_switched_to(&self, revision: &str) {
        until("the switch", || async {
            let routes = self.state().await.routes;
            routes[0].route.backends.iter().any(|backend| backend.revision.as_str() == revision)
        })
        .await;
    }

    pub async fn until_in_flight(&self, revision: &str, count: u64) {
        until("requests under way", || async {
            self.traffic(revision).await.map_or(0, |traffic| traffic.in_flight) == count
        })
        .await;
    }

    /// Stops it and starts another in the same folder.
    pub async fn restart(self) -> Self {
        let stopped = within(self.client.request(&GatewayRequest::Stop)).await.unwrap();
        assert_eq!(stopped, GatewayResponse::Done { drained: true });
        within(self.task).await.unwrap().unwrap();
        let task = spawn(self.dir.path(), false, Limits::default());
        until_it_answers(&self.client).await;
        Self { task, ..self }
    }
}

pub fn spawn(dir: &Path, handover: bool, limits: Limits) -> JoinHandle<Result<(), GatewayError>> {
    tokio::spawn(run(GatewayOptions { dir: dir.to_owned(), handover, limits }))
}

pub async fn until_it_answers(client: &GatewayClient) {
    until("the gateway answers", || async { client.request(&GatewayRequest::State).await.is_ok() }).await;
}

/// An address that nobody listens on.
pub async fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string()
}

pub fn slot(service: &str) -> Slot {
    Slot {
        project: "shop".parse().unwrap(),
        environment: "staging".parse().unwrap(),
        service: service.parse().unwrap(),
    }
}

/// A route of `service`, for any host.
pub fn route(service: &str, listen: &str, backends: &[(&str, SocketAddr, u32)]) -> Route {
    let backends = backends.iter().map(|(revision, address, weight)| Backend {
        revision: revision.parse().unwrap(),
        address: address.to_string(),
        weight: *weight,
    });
    Route {
        slot: slot(service),
        listen: listen.to_owned(),
        host: None,
        backends: backends.collect(),
        sticky: None,
        drain_timeout_ms: 20_000,
    }
}

/// A program that answers with `handler`.
pub async fn program<H, F>(handler: H) -> SocketAddr
where
    H: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
    F: Future<Output = Response<Body>> + Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let handler = handler.clone();
            let service = service_fn(move |request| {
                let answer = handler(request);
                async move { Ok::<_, Infallible>(answer.await) }
            });
            let connection =
                server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            tokio::spawn(connection.with_upgrades());
        }
    });
    address
}

/// A program that always answers with `text`.
pub async fn says(text: &'static str) -> SocketAddr {
    program(move |_| async move { Response::new(full(text)) }).await
}

pub fn full(text: impl Into<Bytes>) -> Body {
    Full::new(text.into()).map_err(|never| match never {}).boxed()
}

/// A program that does with each raw connection what `handler` says.
pub async fn raw_program<H, F>(handler: H) -> SocketAddr
where
    H: Fn(Raw) -> F + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(handler(Raw(stream)));
        }
    });
    address
}

/// A user who keeps his connection.
pub struct User(client::SendRequest<Full<Bytes>>);

impl User {
    pub async fn connect(address: &str) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        let (sender, connection) = client::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self(sender)
    }

    pub async fn get(&mut self, host: &str) -> Result<(StatusCode, String), hyper::Error> {
        let request = Request::get("/").header("host", host).body(Full::default()).unwrap();
        self.send(request).await.map(|response| (response.status(), response.into_body()))
    }

    pub async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Response<String>, hyper::Error> {
        within(async {
            self.0.ready().await?;
            let (parts, body) = self.0.send_request(request).await?.into_parts();
            let body = body.collect().await?.to_bytes();
            Ok(Response::from_parts(parts, String::from_utf8(body.to_vec()).unwrap()))
        })
        .await
    }

    pub fn is_connected(&self) -> bool {
        !self.0.is_closed()
    }
}

/// Asks once, on a connection of its own.
pub async fn ask(address: &str, host: &str) -> (StatusCode, String) {
    User::connect(address).await.get(host).await.unwrap()
}

/// A connection written and read by hand.
pub struct Raw(pub TcpStream);

impl Raw {
    pub async fn connect(address: &str) -> Self {
        Self(TcpStream::connect(address).await.unwrap())
    }

    pub async fn write(&mut self, text: impl AsRef<[u8]>) {
        within(self.0.write_all(text.as_ref())).await.unwrap();
    }

    /// Reads until what was read ends with `end`.
    pub async fn read_until(&mut self, end: &str) -> String {
        let mut read = Vec::new();
        while !read.ends_with(end.as_bytes()) {
            let byte = within(self.0.read_u8()).await;
            let so_far = String::from_utf8_lossy(&read).into_owned();
            read.push(byte.unwrap_or_else(|error| panic!("{error} after {so_far:?}, before {end:?}")));
        }
        String::from_utf8(read).unwrap()
    }

    pub async fn read_head(&mut self) -> String {
        self.read_until("\r\n\r\n").await
    }

    /// Everything until the connection is closed.
    pub async fn read_rest(&mut self) -> String {
        let mut rest = Vec::new();
        // A reset ends the connection as well.
        let _ = within(self.0.read_to_end(&mut rest)).await;
        String::from_utf8(rest).unwrap()
    }
}
