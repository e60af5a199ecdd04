//! A page's socket: subscriptions come in, frames go out. Frames are taken from the rings of the
//! topics when the socket can take them, so a page that reads slowly costs nothing but its place.

use super::{
    Audience, Inner, Live,
    channel::{Frame, place},
};
use crate::{http::Seat, identity::Shown};
use app::backend::Caller;
use axum::{
    extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use lockstep_model::{
    access::Permission,
    live::{CLOSED_SIGNED_OUT, ClientFrame, PING_EVERY_MS, Place, ServerFrame, TOPICS_MAX, Topic},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::{
    sync::{Notify, watch},
    time::{Instant, MissedTickBehavior, interval, timeout},
};

/// Sockets at a time.
const SOCKETS_MAX: usize = 2_048;
/// What a page says is a few words.
const FRAME_BYTES_MAX: usize = 16 * 1024;
/// A page says a few words when it opens, and one every few seconds after that.
const FRAMES_AT_ONCE: u32 = 200;
const FRAMES_PER_SECOND: u32 = 20;
/// A page that takes nothing for so long is gone.
const SEND_LIMIT: Duration = Duration::from_secs(3);
/// A page that says nothing for so long is gone.
const SILENCE_LIMIT: Duration = Duration::from_secs(60);
/// How often it is asked whether whoever listens may still; also at once when anybody may do less.
const RECHECK_EVERY: Duration = Duration::from_secs(2);
/// Codes of the protocol.
const CLOSED_AWAY: u16 = 1001;
const CLOSED_PROTOCOL: u16 = 1008;

/// With what somebody came in, to be looked at again.
struct Credentials {
    authorization: Vec<Vec<u8>>,
    cookies: Vec<Vec<u8>>,
    address: Option<IpAddr>,
}

/// Why a socket ends.
enum End {
    Gone,
    SignedOut,
    Protocol(&'static str),
    Away,
}

impl Live {
    /// Takes a socket up, for somebody who may see something; what, is looked at for each topic.
    pub(crate) fn accept(
        &self,
        caller: Caller,
        headers: &HeaderMap,
        address: Option<IpAddr>,
        upgrade: WebSocketUpgrade,
        seat: Option<Seat>,
    ) -> Response {
        if self.0.sockets.fetch_add(1, Ordering::Relaxed) >= SOCKETS_MAX {
            self.0.sockets.fetch_sub(1, Ordering::Relaxed);
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        }
        let counted = Counted(self.clone());
        let values = |name: header::HeaderName| {
            headers.get_all(name).iter().map(|value| value.as_bytes().to_vec()).collect()
        };
        let credentials = Credentials {
            authorization: values(header::AUTHORIZATION),
            cookies: values(header::COOKIE),
            address,
        };
        upgrade
            .max_message_size(FRAME_BYTES_MAX)
            .max_frame_size(FRAME_BYTES_MAX)
            .on_upgrade(async move |socket| {
                let live = &counted.0;
                Connection::new(live.clone(), caller, credentials).run(socket).await;
                // Its place behind a proxy is free again.
                drop(seat);
            })
            .into_response()
    }
}

struct Counted(Live);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.0.sockets.fetch_sub(1, Ordering::Relaxed);
    }
}

struct Connection {
    live: Live,
    /// Whoever listens, as they were looked up last.
    caller: Caller,
    credentials: Credentials,
    bell: Arc<Notify>,
    withdrawals: watch::Receiver<()>,
    checked: Instant,
    /// What the page asked for; some of it may be refused.
    wanted: BTreeSet<Topic>,
    topics: BTreeMap<Topic, Subscription>,
    /// What is said next, whatever the topics have.
    answers: Vec<ServerFrame>,
    heard: Instant,
    allowance: Allowance,
}

/// How much a page may still say at this moment: whoever talks without end keeps the server from others.
struct Allowance {
    frames: u32,
    since: Instant,
}

impl Allowance {
    fn new(now: Instant) -> Self {
        Self { frames: FRAMES_AT_ONCE, since: now }
    }

    /// Counts a frame; false when it is one too many.
    fn takes(&mut self, now: Instant) -> bool {
        let each = Duration::from_secs(1) / FRAMES_PER_SECOND;
        let regained = now.duration_since(self.since).as_nanos() / each.as_nanos();
        let regained = u32::try_from(regained).unwrap_or(u32::MAX);
        self.since = if regained >= FRAMES_AT_ONCE { now } else { self.since + each * regained };
        self.frames = self.frames.saturating_add(regained).min(FRAMES_AT_ONCE);
        let is_allowed = self.frames > 0;
        self.frames = self.frames.saturating_sub(1);
        is_allowed
    }
}

struct Subscription {
    audience: Audience,
    place: Option<Place>,
    /// Whether the page was told how it goes on.
    is_begun: bool,
    is_refused: bool,
}

impl Connection {
    fn new(live: Live, caller: Caller, credentials: Credentials) -> Self {
        let withdrawals = live.0.identities.withdrawals();
        let now = Instant::now();
        Self {
            live,
            caller,
            credentials,
            bell: Arc::default(),
            withdrawals,
            checked: now,
            wanted: BTreeSet::new(),
            topics: BTreeMap::new(),
            answers: Vec::new(),
            heard: now,
            allowance: Allowance::new(now),
        }
    }

    fn inner(&self) -> &Inner {
        &self.live.0
    }

    async fn run(mut self, mut socket: WebSocket) {
        let end = self.talk(&mut socket).await;
        let (code, reason) = match end {
            End::Gone => return,
            End::SignedOut => (CLOSED_SIGNED_OUT, "signed out"),
            End::Protocol(reason) => (CLOSED_PROTOCOL, reason),
            End::Away => (CLOSED_AWAY, "no word from the page"),
        };
        let frame = CloseFrame { code, reason: Utf8Bytes::from_static(reason) };
        let _ = timeout(Duration::from_secs(1), socket.send(Message::Close(Some(frame)))).await;
    }

    async fn talk(&mut self, socket: &mut WebSocket) -> End {
        let now = self.inner().services.clock.now();
        let hello = ServerFrame::Hello { build: self.inner().build.clone(), now };
        if let Err(end) = send(socket, Frame::new(hello).text).await {
            return end;
        }
        let mut ping = interval(Duration::from_millis(PING_EVERY_MS));
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut recheck = interval(RECHECK_EVERY);
        recheck.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let bell = self.bell.clone();
        loop {
            let done = tokio::select! {
                heard = socket.recv() => match heard {
                    Some(Ok(message)) => self.hear(message).await,
                    Some(Err(_)) | None => Err(End::Gone),
                },
                () = bell.notified() => Ok(()),
                _ = ping.tick() => {
                    if self.heard.elapsed() > SILENCE_LIMIT {
                        return End::Away;
                    }
                    let frame = ServerFrame::Ping { now: self.inner().services.clock.now() };
                    send(socket, Frame::new(frame).text).await
                },
                _ = recheck.tick() => self.recheck(false).await,
                Ok(()) = self.withdrawals.changed() => self.recheck(false).await,
            };
            let told = match done {
                Ok(()) => self.tell(socket).await,
                Err(end) => Err(end),
            };
            if let Err(end) = told {
                return end;
            }
        }
    }

    async fn hear(&mut self, message: Message) -> Result<(), End> {
        self.heard = Instant::now();
        if !self.allowance.takes(self.heard) {
            return Err(End::Protocol("too many frames"));
        }
        let text = match message {
            Message::Text(text) => text,
            Message::Ping(_) | Message::Pong(_) => return Ok(()),
            Message::Close(_) => return Err(End::Gone),
            Message::Binary(_) => return Err(End::Protocol("frames are text")),
        };
        match serde_json::from_str(&text).map_err(|_| End::Protocol("this frame is not known"))? {
            ClientFrame::Subscribe { topic, from } => {
                self.wanted.insert(topic);
                if self.wanted.len() > TOPICS_MAX {
                    return Err(End::Protocol("too many topics"));
                }
                self.listen(topic, from).await;
                Ok(())
            }
            ClientFrame::Unsubscribe { topic } => {
                self.wanted.remove(&topic);
                self.topics.remove(&topic);
                Ok(())
            }
            ClientFrame::Ping { active } => {
                // A page that asks whether anybody is there waits for this.
                self.answers.push(ServerFrame::Ping { now: self.inner().services.clock.now() });
                if active { self.recheck(true).await } else { Ok(()) }
            }
        }
    }

    async fn listen(&mut self, topic: Topic, from: Option<Place>) {
        match self.live.listen(topic, &self.caller, self.bell.clone()).await {
            Ok(audience) => {
                let begun = Subscription { audience, place: from, is_begun: false, is_refused: false };
                self.topics.insert(topic, begun);
            }
            Err(error) => self.answers.push(ServerFrame::Refused { topic, error: error.0 }),
        }
    }

    /// Whoever may see less or more than before is told so: the overview begins anew with what they may
    /// see now, and a deployment that is hidden from now on is not there.
    async fn review(&mut self) {
        let changed: Vec<Topic> = self
            .topics
            .iter()
            .filter(|(_, one)| !one.audience.may(&self.caller.rights))
            .map(|(topic, _)| *topic)
            .collect();
        for topic in changed {
            self.topics.remove(&topic);
            self.listen(topic, None).await;
        }
    }

    /// Sends what the topics have that the page does not.
    async fn tell(&mut self, socket: &mut WebSocket) -> Result<(), End> {
        loop {
            self.review().await;
            if self.tell_once(socket).await? {
                return Ok(());
            }
        }
    }

    /// The same; false when somebody's rights changed meanwhile.
    async fn tell_once(&mut self, socket: &mut WebSocket) -> Result<bool, End> {
        for answer in std::mem::take(&mut self.answers) {
            send(socket, Frame::new(answer).text).await?;
        }
        let mut topics = std::mem::take(&mut self.topics);
        let told = self.tell_all(&mut topics, socket).await;
        self.topics = topics;
        told
    }

    async fn tell_all(
        &mut self,
        topics: &mut BTreeMap<Topic, Subscription>,
        socket: &mut WebSocket,
    ) -> Result<bool, End> {
        for (topic, subscription) in topics {
            if !subscription.is_begun
                && let Some(place) =
                    subscription.place.filter(|place| subscription.audience.listening.resumes(Some(*place)))
            {
                subscription.is_begun = true;
                let frame = ServerFrame::Resume { topic: *topic, place };
                send(socket, Frame::new(frame).text).await?;
            }
            for frame in subscription.audience.listening.since(subscription.place) {
                let next = place(&frame.value);
                if next.is_none() && std::mem::replace(&mut subscription.is_refused, true) {
                    // A refusal is said once.
                    continue;
                }
                // Nothing is told to somebody who may not hear it any more; a page that reads slowly on
                // purpose hears no longer than others.
                if self.withdrawals.has_changed().unwrap_or(false) || self.checked.elapsed() >= RECHECK_EVERY
                {
                    self.recheck(false).await?;
                }
                if !subscription.audience.may(&self.caller.rights) {
                    return Ok(false);
                }
                subscription.is_begun = true;
                send(socket, frame.text.clone()).await?;
                subscription.place = next.or(subscription.place);
            }
        }
        Ok(true)
    }

    /// Whether whoever came in may still see. A person who is there keeps their session alive.
    async fn recheck(&mut self, is_person: bool) -> Result<(), End> {
        // What is withdrawn from now on makes it asked again.
        self.withdrawals.mark_unchanged();
        self.checked = Instant::now();
        let Credentials { authorization, cookies, address } = &self.credentials;
        let shown = Shown {
            authorization: authorization.iter().map(Vec::as_slice).collect(),
            cookies: cookies.iter().map(Vec::as_slice).collect(),
            address: *address,
            is_person,
            is_open: true,
            may_renew: false,
        };
        match self.inner().identities.sender(shown).await {
            Ok(sender) => match sender.caller {
                Some(caller) if caller.rights.allows_somewhere(Permission::View) => {
                    self.caller = caller;
                    Ok(())
                }
                Some(_) | None => Err(End::SignedOut),
            },
            // Nobody can be identified: nobody is told anything further until somebody can.
            Err(_) => Err(End::Away),
        }
    }
}

async fn send(socket: &mut WebSocket, text: Utf8Bytes) -> Result<(), End> {
    match timeout(SEND_LIMIT, socket.send(Message::Text(text))).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(End::Gone),
    }
}

#[cfg(test)]
mod tests {
    use super::{Allowance, FRAMES_AT_ONCE, FRAMES_PER_SECOND};
    use std::time::Duration;
    use tokio::time::Instant;

    #[test]
    fn f5_a_page_that_talks_without_end_is_cut_and_one_that_talks_on_is_not() {
        let begin = Instant::now();
        let mut at_once = Allowance::new(begin);
        assert!((0..FRAMES_AT_ONCE).all(|_| at_once.takes(begin)));
        assert!(!at_once.takes(begin));
        // A second later it may say as much as a second allows, and no more.
        let later = begin + Duration::from_secs(1);
        assert!((0..FRAMES_PER_SECOND).all(|_| at_once.takes(later)));
        assert!(!at_once.takes(later));
        // As much as is allowed, for an hour.
        let mut steady = Allowance::new(begin);
        let each = Duration::from_secs(1) / FRAMES_PER_SECOND;
        assert!((0..72_000).all(|frame| steady.takes(begin + each * frame)));
        // Long silence saves up no more than the first moment.
        let after = begin + Duration::from_secs(7_200);
        assert!((0..FRAMES_AT_ONCE).all(|_| steady.takes(after)));
        assert!(!steady.takes(after));
    }
}
