//! The socket of a page. It is opened, kept, and opened again after waits that grow and vary; when
//! it does not get through at all, the same frames are asked for instead.

use super::{Link, Live, backoff::wait_ms};
use crate::api::deployment_monitor;
use futures_channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use futures_util::{
    SinkExt, StreamExt,
    future::{Either, select},
    stream::SplitSink,
};
use gloo_net::websocket::{Message, WebSocketError, futures::WebSocket};
use leptos::{ev, leptos_dom::helpers::window_event_listener, prelude::*, task::spawn_local};
use lockstep_model::{
    api::MonitorRequest,
    error::ErrorKind,
    live::{CLOSED_SIGNED_OUT, ClientFrame, SILENCE_MAX_MS, ServerFrame, Topic},
};
use std::{
    cell::{Cell, RefCell},
    pin::pin,
    rc::Rc,
};
use wasm_bindgen::{JsCast, JsValue, prelude::Closure};

/// After so many sockets that were never opened although the server answers, it is asked instead.
const BLOCKED_AFTER: u32 = 3;
const POLL_EVERY_MS: f64 = 10_000.0;
/// A socket is tried again after so many questions.
const POLLS_BETWEEN_TRIES: u32 = 6;
/// What is shown counts as old after this time without a word.
const STALE_AFTER_MS: f64 = 20_000.0;
/// How often the page says that it is there.
const PING_EVERY_MS: f64 = 15_000.0;
/// How often silence is looked at.
const TICK_MS: f64 = 5_000.0;
/// A socket that lived for so long was a good one: the waits begin anew after it.
const STEADY_MS: f64 = 10_000.0;
/// An answer that somebody waits for comes within this time, or the connection is dead.
const PROBE_MS: f64 = 3_000.0;
/// Timers and clocks of a browser agree to within this.
const SLACK_MS: f64 = 50.0;
/// A question to the server takes no longer.
const ASK_LIMIT_MS: f64 = 10_000.0;
/// A hidden page gets no frames of animation; it catches up this often.
const HIDDEN_EVERY_MS: i32 = 500;

/// What the rest of the page tells the socket.
enum Order {
    /// Other topics are wanted.
    Changed,
    /// Try at once.
    Now,
    /// The browser has lost its network.
    Offline,
}

/// Tells the socket. Cheap to clone.
#[derive(Clone)]
pub(super) struct Orders(UnboundedSender<Order>);

impl Orders {
    pub(super) fn changed(&self) {
        // The receiver lives as long as the page.
        let _ = self.0.unbounded_send(Order::Changed);
    }

    pub(super) fn now(&self) {
        let _ = self.0.unbounded_send(Order::Now);
    }
}

/// What is shared by the parts of one page.
struct Shared {
    live: Live,
    /// Frames that wait for the next frame of animation.
    waiting: RefCell<Vec<ServerFrame>>,
    is_scheduled: Cell<bool>,
    /// When something was heard, by a clock that never jumps.
    heard: Cell<f64>,
    /// Whether a person did something since the last ping.
    is_active: Cell<bool>,
}

fn performance_now() -> f64 {
    js_sys::Reflect::get(&window(), &"performance".into())
        .and_then(|performance| {
            let now: js_sys::Function = js_sys::Reflect::get(&performance, &"now".into())?.into();
            now.call0(&performance)
        })
        .ok()
        .and_then(|now| now.as_f64())
        .unwrap_or_else(js_sys::Date::now)
}

/// Begins to hear.
pub(super) fn begin(live: Live) -> Orders {
    let (sender, receiver) = unbounded();
    let orders = Orders(sender);
    let shared = Rc::new(Shared {
        live,
        waiting: RefCell::default(),
        is_scheduled: Cell::new(false),
        heard: Cell::new(performance_now()),
        is_active: Cell::new(true),
    });
    // Until the first word: the page's own clock.
    live.heard.set(js_sys::Date::now() as i64);
    keep_time(&shared);
    on(&["focus", "online", "pageshow"], {
        let orders = orders.clone();
        move || orders.now()
    });
    on(&["offline"], {
        let (orders, shared) = (orders.clone(), shared.clone());
        move || {
            shared.set(Link::Offline);
            let _ = orders.0.unbounded_send(Order::Offline);
        }
    });
    // It bubbles up to the window. A page that was hidden shows at once what it heard meanwhile, and
    // looks whether anybody is still there.
    on(&["visibilitychange"], {
        let (orders, shared) = (orders.clone(), shared.clone());
        move || {
            shared.catch_up();
            if !document().hidden() {
                orders.now();
            }
        }
    });
    on(&["pointerdown", "keydown"], {
        let shared = shared.clone();
        move || shared.is_active.set(true)
    });
    spawn_local(run(shared, receiver));
    orders
}

/// Does something whenever the window hears of one of these, as long as there is the page.
fn on(names: &[&'static str], act: impl Fn() + Clone + 'static) {
    for name in names {
        let act = act.clone();
        let event = ev::Custom::<web_sys::Event>::new(*name);
        std::mem::forget(window_event_listener(event, move |_| act()));
    }
}

/// The clocks of the page go with the server's, and stand still when nothing is heard.
fn keep_time(shared: &Rc<Shared>) {
    let shared = shared.clone();
    let tick = move || {
        let live = shared.live;
        let silent = performance_now() - shared.heard.get();
        let is_stale = silent > STALE_AFTER_MS;
        if live.is_stale.get_untracked() != is_stale {
            live.is_stale.set(is_stale);
        }
        if is_stale {
            // What is shown is from then, and so is the time.
            let heard = live.heard.get_untracked();
            if live.clock.get_untracked() != heard {
                live.clock.set(heard);
            }
            return;
        }
        // Nobody is asked now: what goes on is not known.
        if matches!(live.link.get_untracked(), Link::Waiting { .. } | Link::Offline | Link::SignedOut) {
            return;
        }
        let now = live.heard.get_untracked() + silent as i64;
        live.clock.set(now);
        let minutes = now - now.rem_euclid(10_000);
        if live.minutes.get_untracked() != minutes {
            live.minutes.set(minutes);
        }
    };
    tick();
    set_interval(tick, std::time::Duration::from_secs(1));
}

impl Shared {
    fn hear(self: &Rc<Self>, frames: Vec<ServerFrame>) {
        self.heard.set(performance_now());
        self.waiting.borrow_mut().extend(frames);
        if self.is_scheduled.replace(true) {
            return;
        }
        let this = self.clone();
        let apply = move || this.catch_up();
        let is_hidden = document().hidden();
        if is_hidden {
            let wait = std::time::Duration::from_millis(HIDDEN_EVERY_MS as u64);
            set_timeout(apply, wait);
        } else {
            request_animation_frame(apply);
        }
    }

    /// Shows what was heard.
    fn catch_up(&self) {
        self.is_scheduled.set(false);
        let frames = std::mem::take(&mut *self.waiting.borrow_mut());
        self.live.apply(frames);
    }

    fn set(&self, link: Link) {
        if self.live.link.get_untracked() != link {
            self.live.link.set(link);
        }
    }

    /// Asks for what the socket would have told; the error's kind, when it did not work.
    async fn ask(self: &Rc<Self>) -> Result<(), ErrorKind> {
        let request = MonitorRequest { topics: self.live.wanted(), wait_ms: 0 };
        let answer = match select(pin!(deployment_monitor(request)), pin!(sleep(ASK_LIMIT_MS))).await {
            Either::Left((answer, _)) => answer,
            // A network that takes everything and answers nothing.
            Either::Right(_) => return Err(ErrorKind::Unreachable),
        };
        match answer {
            Ok(view) => {
                let mut frames = vec![ServerFrame::Ping { now: view.now }];
                frames.extend(view.frames);
                self.hear(frames);
                Ok(())
            }
            Err(error) => Err(error.0.kind),
        }
    }
}

/// How a socket ended.
enum Ended {
    /// It was never open.
    NeverOpen,
    /// It was open for so many milliseconds and broke.
    Broken(f64),
    /// Nobody is signed in.
    SignedOut,
    /// The network is gone.
    Offline,
}

async fn run(shared: Rc<Shared>, mut orders: UnboundedReceiver<Order>) {
    let mut failures = 0usize;
    let mut blocked = 0u32;
    // The page itself has just come from the server.
    let mut is_first = true;
    loop {
        if !std::mem::take(&mut is_first) && !window().navigator().on_line() {
            shared.set(Link::Offline);
            // A server on the same machine is there all the same: who wants it tried, has it tried.
            if !wait(&mut orders, f64::INFINITY).await {
                continue;
            }
        }
        if blocked < BLOCKED_AFTER {
            shared.set(Link::Connecting);
        }
        match talk(&shared, &mut orders).await {
            Ended::SignedOut => {
                shared.set(Link::SignedOut);
                return;
            }
            Ended::Offline => continue,
            Ended::Broken(lived_ms) if lived_ms >= STEADY_MS => {
                (failures, blocked) = (0, 0);
            }
            Ended::Broken(_) | Ended::NeverOpen => {}
        }
        // Is it the server, or only the socket?
        match shared.ask().await {
            Ok(()) => {
                blocked += 1;
                if blocked >= BLOCKED_AFTER {
                    poll(&shared, &mut orders).await;
                    continue;
                }
            }
            Err(ErrorKind::Unauthenticated) => {
                shared.set(Link::SignedOut);
                return;
            }
            Err(_) => {}
        }
        let pause_ms = wait_ms(failures, document().hidden(), js_sys::Math::random());
        failures += 1;
        shared.set(Link::Waiting { until: (js_sys::Date::now() + pause_ms) as i64 });
        if wait(&mut orders, pause_ms).await {
            failures = 0;
        }
    }
}

/// Asks again and again for a while.
async fn poll(shared: &Rc<Shared>, orders: &mut UnboundedReceiver<Order>) {
    for _ in 0..POLLS_BETWEEN_TRIES {
        shared.set(Link::Polling);
        wait(orders, POLL_EVERY_MS).await;
        if !window().navigator().on_line() || shared.ask().await.is_err() {
            return;
        }
    }
}

/// Waits, unless somebody wants it at once; whether somebody did. Whoever opens another page ends the
/// wait, too.
async fn wait(orders: &mut UnboundedReceiver<Order>, ms: f64) -> bool {
    match select(pin!(sleep(ms)), orders.next()).await {
        Either::Right((Some(Order::Now), _)) => true,
        Either::Left(_) | Either::Right((Some(Order::Changed | Order::Offline) | None, _)) => false,
    }
}

type Out = SplitSink<WebSocket, Message>;

async fn talk(shared: &Rc<Shared>, orders: &mut UnboundedReceiver<Order>) -> Ended {
    let location = window().location();
    let scheme = if location.protocol().is_ok_and(|protocol| protocol == "https:") { "wss" } else { "ws" };
    let Ok(host) = location.host() else { return Ended::NeverOpen };
    let Ok(socket) = WebSocket::open(&format!("{scheme}://{host}/live")) else { return Ended::NeverOpen };
    let (mut out, mut frames) = socket.split();
    let mut listened = Vec::new();
    let mut is_open = false;
    let begun = performance_now();
    let mut said = begun;
    // Since when somebody waits for a word.
    let mut probed = None;
    let ended = |is_open| if is_open { Ended::Broken(performance_now() - begun) } else { Ended::NeverOpen };
    // One timer at a time, however many frames come.
    let mut tick = Box::pin(sleep(TICK_MS));
    loop {
        match select(frames.next(), select(orders.next(), &mut tick)).await {
            Either::Left((Some(Ok(Message::Text(text))), _)) => {
                let Ok(frame) = crate::codec::tree::read::<ServerFrame>(&text) else {
                    leptos::logging::warn!("a frame was not understood; is the page older than the server?");
                    continue;
                };
                if let ServerFrame::Refused { topic, .. } = &frame {
                    // Whoever asks again asks for it, too.
                    listened.retain(|one| one != topic);
                }
                shared.hear(vec![frame]);
                if !is_open {
                    is_open = true;
                    shared.set(Link::Live);
                    if subscribe(shared, &mut out, &mut listened).await.is_err() {
                        return ended(is_open);
                    }
                }
            }
            Either::Left((Some(Ok(Message::Bytes(_))), _)) => {}
            Either::Left((Some(Err(WebSocketError::ConnectionClose(close))), _)) => {
                return if close.code == CLOSED_SIGNED_OUT { Ended::SignedOut } else { ended(is_open) };
            }
            Either::Left((Some(Err(_)) | None, _)) => {
                return ended(is_open);
            }
            Either::Right((Either::Left((Some(Order::Offline), _)), _)) => return Ended::Offline,
            Either::Right((Either::Left((Some(Order::Now), _)), _)) => {
                // The server answers at once; a connection that died says nothing of it by itself.
                let now = performance_now();
                if !is_open && now - begun > PROBE_MS {
                    return ended(is_open);
                }
                // One question at a time; one that was answered is over.
                if is_open && probed.is_none_or(|at| shared.heard.get() > at) {
                    probed = Some(now);
                    tick = Box::pin(sleep(PROBE_MS));
                    let ping = ClientFrame::Ping { active: shared.is_active.replace(false) };
                    if say(&mut out, &ping).await.is_err() {
                        return ended(is_open);
                    }
                }
            }
            Either::Right((Either::Left(_), _)) => {
                if is_open && subscribe(shared, &mut out, &mut listened).await.is_err() {
                    return ended(is_open);
                }
            }
            Either::Right((Either::Right(_), _)) => {
                tick = Box::pin(sleep(TICK_MS));
                let now = performance_now();
                let heard = shared.heard.get().max(begun);
                let is_unanswered = probed.is_some_and(|at| heard <= at && now - at > PROBE_MS - SLACK_MS);
                if is_unanswered || now - heard > SILENCE_MAX_MS as f64 {
                    return ended(is_open);
                }
                probed = probed.filter(|at| heard <= *at);
                if is_open && now - said > PING_EVERY_MS {
                    said = performance_now();
                    let ping = ClientFrame::Ping { active: shared.is_active.replace(false) };
                    if say(&mut out, &ping).await.is_err() {
                        return ended(is_open);
                    }
                }
            }
        }
    }
}

/// Brings the topics that are listened to in line with those that are wanted.
async fn subscribe(shared: &Rc<Shared>, out: &mut Out, listened: &mut Vec<Topic>) -> Result<(), ()> {
    let wanted = shared.live.wanted();
    let topics: Vec<Topic> = wanted.iter().map(|listen| listen.topic).collect();
    for topic in listened.iter().filter(|topic| !topics.contains(topic)) {
        say(out, &ClientFrame::Unsubscribe { topic: *topic }).await?;
    }
    for listen in wanted.iter().filter(|listen| !listened.contains(&listen.topic)) {
        say(out, &ClientFrame::Subscribe { topic: listen.topic, from: listen.from }).await?;
    }
    *listened = topics;
    Ok(())
}

async fn say(out: &mut Out, frame: &ClientFrame) -> Result<(), ()> {
    let text = serde_json::to_string(frame).map_err(|_| ())?;
    out.send(Message::Text(text)).await.map_err(|_| ())
}

/// Returns after so many milliseconds.
async fn sleep(ms: f64) {
    let promise = js_sys::Promise::new(&mut |resolve, _| {
        let wake = Closure::once_into_js(move || resolve.call0(&JsValue::NULL));
        let ms = ms.clamp(0.0, 2_000_000_000.0) as i32;
        let _ = window().set_timeout_with_callback_and_timeout_and_arguments_0(wake.unchecked_ref(), ms);
    });
    let _ = wasm_bindgen_futures::JsFuture::from(promise).await;
}
