//! The accept loop: bounds on headers, connections in all and by address, and an end that lets
//! requests under way finish. The framework's own loop has none of these bounds.

use super::{
    Web,
    crowd::{Crowd, Seat},
    metrics::Counters,
    stall::{Paced, STALL_LIMIT},
    tls::Tls,
};
use crate::identity::network;
use axum::{
    Router,
    extract::ConnectInfo,
    http::{HeaderMap, StatusCode},
};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use std::{
    net::{IpAddr, SocketAddr},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::watch,
    time::{Instant, sleep, timeout},
};
use tower::ServiceExt;

/// How connections come in.
#[derive(Default)]
pub struct Door {
    /// With TLS; none = as they are.
    pub tls: Option<Tls>,
    /// Proxies: what they say of where a request came from is believed, and of nobody else.
    pub proxies: Vec<IpAddr>,
    /// Whether only this machine and the proxies may come in.
    pub is_closed: bool,
}

impl Door {
    fn lets_in(&self, address: IpAddr) -> bool {
        !self.is_closed || address.to_canonical().is_loopback() || self.is_proxy(address)
    }

    /// Whether connections of many come from there, so that it is none of them that is counted.
    fn is_proxy(&self, address: IpAddr) -> bool {
        // An address of IPv4 may be written as one of IPv6, here and there.
        self.proxies.iter().any(|proxy| proxy.to_canonical() == address.to_canonical())
    }

    /// Where a request came from: the last address that a proxy names and that is no proxy itself.
    fn origin(&self, peer: SocketAddr, headers: &HeaderMap) -> SocketAddr {
        if !self.is_proxy(peer.ip()) {
            return peer;
        }
        let named = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
        let named: Vec<&str> = named.flat_map(|value| value.split(',')).map(str::trim).collect();
        for text in named.into_iter().rev() {
            match text.parse::<IpAddr>() {
                Ok(address) if self.is_proxy(address) => {}
                Ok(address) => return SocketAddr::new(address.to_canonical(), 0),
                Err(_) => break,
            }
        }
        peer
    }
}

const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);
/// For headers to come, also those of the next request on a connection that stays open.
const HEADER_LIMIT: Duration = Duration::from_secs(30);
const HEADER_BYTES_MAX: usize = 64 * 1024;
const CONNECTIONS_MAX: u64 = 2_048;
/// Requests under way may take this long when the server ends.
const DRAIN_LIMIT: Duration = Duration::from_secs(5);

/// Serves until `ending` turns true, then lets what is under way finish.
pub async fn serve(web: Web, listener: TcpListener, door: Door, ending: watch::Receiver<bool>) {
    accept(web.router(), web, listener, door, CONNECTIONS_MAX, ending).await;
}

/// Where connections are counted.
trait Counted: Clone + Send + 'static {
    fn counters(&self) -> &Counters;
}

impl Counted for Web {
    fn counters(&self) -> &Counters {
        &self.counters
    }
}

async fn accept(
    router: Router,
    counted: impl Counted,
    listener: TcpListener,
    door: Door,
    most: u64,
    mut ending: watch::Receiver<bool>,
) {
    let door = Arc::new(door);
    let (near, behind) = (Arc::new(Crowd::default()), Arc::new(Crowd::default()));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = ending.wait_for(|ending| *ending) => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors: those that end make room.
                tracing::warn!("a connection could not be accepted: {error}");
                sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        let counters = counted.counters();
        let is_full = counters.connections.load(Ordering::Relaxed) >= most;
        let is_proxy = door.is_proxy(peer.ip());
        let place = if is_proxy { None } else { near.enter(network(peer.ip())) };
        if is_full || !door.lets_in(peer.ip()) || !(is_proxy || place.is_some()) {
            counters.connections_refused.fetch_add(1, Ordering::Relaxed);
            continue;
        }
        counters.connections.fetch_add(1, Ordering::Relaxed);
        let (router, door, ending) = (router.clone(), door.clone(), ending.clone());
        let (counted, behind) = (counted.clone(), behind.clone());
        tokio::spawn(async move {
            enter(router, stream, Peer { address: peer, door, behind }, ending).await;
            counted.counters().connections.fetch_sub(1, Ordering::Relaxed);
            drop(place);
        });
    }
    drop(listener);
    let end = Instant::now() + DRAIN_LIMIT;
    while counted.counters().connections.load(Ordering::Relaxed) > 0 {
        if Instant::now() > end {
            tracing::warn!("some requests were still under way and are cut off");
            return;
        }
        sleep(Duration::from_millis(10)).await;
    }
}

/// Who is at the other end of a connection.
#[derive(Clone)]
struct Peer {
    address: SocketAddr,
    door: Arc<Door>,
    /// What those have under way who come through a proxy.
    behind: Arc<Crowd>,
}

async fn enter(router: Router, stream: TcpStream, peer: Peer, ending: watch::Receiver<bool>) {
    // A page is a few writes; each is to arrive at once.
    let _ = stream.set_nodelay(true);
    let is_socket = Arc::new(AtomicBool::new(false));
    let stream = Paced::new(stream, STALL_LIMIT, is_socket.clone());
    let address = peer.address.ip();
    let Some(tls) = &peer.door.tls else {
        return connection(router, stream, is_socket, peer, HEADER_LIMIT, ending).await;
    };
    match timeout(HANDSHAKE_LIMIT, tls.acceptor().accept(stream)).await {
        Ok(Ok(stream)) => connection(router, stream, is_socket, peer, HEADER_LIMIT, ending).await,
        Ok(Err(error)) => tracing::debug!("{address} did not come with TLS: {error}"),
        Err(_) => tracing::debug!("{address} did not finish its handshake"),
    }
}

async fn connection(
    router: Router,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    is_socket: Arc<AtomicBool>,
    peer: Peer,
    header_limit: Duration,
    mut ending: watch::Receiver<bool>,
) {
    let address = peer.address.ip();
    let service = router.map_request(move |mut request: axum::http::Request<hyper::body::Incoming>| {
        let origin = peer.door.origin(peer.address, request.headers());
        if origin != peer.address {
            let place = peer.behind.enter(network(origin.ip()));
            request.extensions_mut().insert(Seat::of(place));
        }
        request.extensions_mut().insert(ConnectInfo(origin));
        request.map(axum::body::Body::new)
    });
    let service = service.map_response(move |response: axum::response::Response| {
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            is_socket.store(true, Ordering::Relaxed);
        }
        response
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(header_limit)
        .max_header_size(HEADER_BYTES_MAX)
        // What is read at a time besides; without more room than headers take, none would be told that they are
        // too large.
        .max_buf_size(2 * HEADER_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service))
        .with_upgrades();
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        _ = ending.wait_for(|ending| *ending) => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!("a connection from {address} ended early: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::get;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        task::JoinHandle,
    };

    /// For what must come to pass; tests judge nothing by how long it took.
    const PATIENCE: Duration = Duration::from_secs(60);

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn a_closed_door_lets_in_this_machine_and_its_proxies() {
        let door = Door { tls: None, proxies: vec![ip("10.0.0.2")], is_closed: true };
        assert!(door.lets_in(ip("127.0.0.1")) && door.lets_in(ip("::1")) && door.lets_in(ip("10.0.0.2")));
        assert!(!door.lets_in(ip("10.0.0.3")));
        assert!(door.lets_in(ip("::ffff:127.0.0.1")) && door.lets_in(ip("::ffff:10.0.0.2")));
        assert!(!door.lets_in(ip("::ffff:10.0.0.3")));
        assert!(Door::default().lets_in(ip("10.0.0.3")));
    }

    #[test]
    fn what_is_said_of_an_origin_is_believed_up_to_the_last_proxy() {
        let door = Door { tls: None, proxies: vec![ip("10.0.0.2"), ip("10.0.0.3")], is_closed: true };
        let from = |peer: &str, said: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in said {
                headers.append("x-forwarded-for", axum::http::HeaderValue::from_static(value));
            }
            door.origin(SocketAddr::new(ip(peer), 1), &headers).ip()
        };
        assert_eq!(from("10.0.0.2", &["192.0.2.1, 203.0.113.9"]), ip("203.0.113.9"));
        assert_eq!(from("10.0.0.2", &["203.0.113.9, 10.0.0.3"]), ip("203.0.113.9"));
        assert_eq!(from("10.0.0.2", &["192.0.2.1", "203.0.113.9"]), ip("203.0.113.9"));
        assert_eq!(from("10.0.0.2", &["nonsense"]), ip("10.0.0.2"));
        assert_eq!(from("10.0.0.2", &[]), ip("10.0.0.2"));
        // The same address in the notation of IPv6 is the same proxy, and the same client.
        assert_eq!(from("::ffff:10.0.0.2", &["203.0.113.9, ::ffff:10.0.0.3"]), ip("203.0.113.9"));
        assert_eq!(from("10.0.0.2", &["::ffff:203.0.113.9"]), ip("203.0.113.9"));
        // Who is no proxy says nothing.
        assert_eq!(from("192.0.2.7", &["203.0.113.9"]), ip("192.0.2.7"));
    }

    #[test]
    fn a_proxy_is_none_of_those_whose_connections_are_counted() {
        let door = Door { tls: None, proxies: vec![ip("10.0.0.2")], is_closed: true };
        assert!(door.is_proxy(ip("10.0.0.2")) && !door.is_proxy(ip("10.0.0.3")));
        assert!(!Door::default().is_proxy(ip("127.0.0.1")));
    }

    impl Counted for Arc<Counters> {
        fn counters(&self) -> &Counters {
            self
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn f3_there_are_so_many_connections_in_all_and_one_that_ends_makes_room() {
        let hello = Router::new().route("/", get(|| async { "hello" }));
        let counters = Arc::new(Counters::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let (end, ending) = watch::channel(false);
        let served = tokio::spawn(accept(hello, counters.clone(), listener, Door::default(), 3, ending));
        // The answer of a connection that stays open; none = it was closed.
        let ask = async || {
            let mut client = TcpStream::connect(address).await.expect("connected");
            let _ = client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
            let mut answer = [0; 12];
            let read = timeout(PATIENCE, client.read_exact(&mut answer)).await.expect("in time");
            read.ok().map(|_| (client, answer))
        };
        let mut open = Vec::new();
        for _ in 0..3 {
            let (client, answer) = ask().await.expect("there is room");
            assert_eq!(&answer, b"HTTP/1.1 200");
            open.push(client);
        }
        assert!(ask().await.is_none(), "a fourth");
        assert_eq!(counters.connections_refused.load(Ordering::Relaxed), 1);
        open.pop();
        let until = Instant::now() + PATIENCE;
        while counters.connections.load(Ordering::Relaxed) > 2 {
            assert!(Instant::now() < until, "what ended is still counted");
            sleep(Duration::from_millis(5)).await;
        }
        assert!(ask().await.is_some(), "one made room");
        drop(open);
        end.send(true).expect("it serves");
        served.await.expect("ended");
    }

    /// A server of one connection, which ends what comes in after these times; and whoever is connected.
    async fn stage(router: Router, header: Duration, stall: Duration) -> (JoinHandle<()>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let client = TcpStream::connect(listener.local_addr().expect("bound")).await.expect("connected");
        let (stream, address) = listener.accept().await.expect("accepted");
        let served = tokio::spawn(async move {
            let is_socket = Arc::new(AtomicBool::new(false));
            let stream = Paced::new(stream, stall, is_socket.clone());
            let peer = Peer { address, door: Arc::default(), behind: Arc::default() };
            let (_keep, ending) = watch::channel(false);
            connection(router, stream, is_socket, peer, header, ending).await;
        });
        (served, client)
    }

    const LARGE: usize = 64 << 20;

    fn large() -> Router {
        Router::new().route("/", get(|| async { vec![7_u8; LARGE] }))
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn f3_who_asks_for_much_and_reads_nothing_is_cut_off() {
        let (served, mut client) = stage(large(), HEADER_LIMIT, Duration::from_millis(200)).await;
        client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("written");
        timeout(PATIENCE, served).await.expect("the connection is closed").expect("ended");
        drop(client);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn who_reads_slowly_gets_everything() {
        let (served, mut client) = stage(large(), HEADER_LIMIT, PATIENCE).await;
        client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.expect("written");
        let (mut got, mut piece) = (0, vec![0; 1 << 20]);
        loop {
            tokio::time::sleep(Duration::from_millis(2)).await;
            match client.read(&mut piece).await.expect("read") {
                0 => break,
                more => got += more,
            }
        }
        assert!(got > LARGE, "{got}");
        served.await.expect("ended");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn f3_a_connection_on_which_nothing_more_is_asked_is_closed() {
        let hello = Router::new().route("/", get(|| async { "hello" }));
        let (served, mut client) = stage(hello, Duration::from_millis(300), PATIENCE).await;
        client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("written");
        let mut answer = Vec::new();
        let read = timeout(PATIENCE, client.read_to_end(&mut answer)).await.expect("it is closed");
        read.expect("read");
        assert!(String::from_utf8_lossy(&answer).ends_with("hello"));
        served.await.expect("ended");
    }
}
