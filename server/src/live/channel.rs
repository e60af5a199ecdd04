//! One topic: what it shows now, the last changes in a ring, and who listens.

use super::{Change, Changes, Look, topics::Heard};
use axum::extract::ws::Utf8Bytes;
use lockstep_model::{
    error::ErrorBody,
    live::{Place, ServerFrame, Snapshot, Topic},
};
use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

/// What the ring holds at most; whoever is further behind gets a snapshot.
const FRAMES_MAX: usize = 256;
const BYTES_MAX: usize = 1 << 20;

/// A frame, written once for all.
pub(super) struct Frame {
    pub(super) value: ServerFrame,
    pub(super) text: Utf8Bytes,
}

impl Frame {
    pub(super) fn new(value: ServerFrame) -> Self {
        let text = serde_json::to_string(&value).unwrap_or_else(|error| {
            tracing::error!("a frame could not be written: {error}");
            String::new()
        });
        Self { value, text: text.into() }
    }
}

/// A topic.
pub(super) struct Channel {
    heard: Heard,
    generation: u64,
    state: Mutex<State>,
    looked: watch::Sender<bool>,
}

struct State {
    seq: u64,
    /// Frames after this one are in the ring.
    base: u64,
    ring: VecDeque<Arc<Frame>>,
    bytes: usize,
    whole: Option<Snapshot>,
    /// The whole as a frame, made when somebody asks for it.
    written: Option<Arc<Frame>>,
    refused: Option<Arc<Frame>>,
    bells: HashMap<u64, Arc<Notify>>,
    listeners: u64,
    unwanted_since: Option<Instant>,
}

impl Channel {
    pub(super) fn new(heard: impl Into<Heard>, generation: u64) -> Self {
        Self {
            heard: heard.into(),
            generation,
            state: Mutex::new(State {
                seq: 0,
                base: 0,
                ring: VecDeque::new(),
                bytes: 0,
                whole: None,
                written: None,
                refused: None,
                bells: HashMap::new(),
                listeners: 0,
                unwanted_since: Some(Instant::now()),
            }),
            looked: watch::channel(false).0,
        }
    }

    pub(super) const fn topic(&self) -> Topic {
        self.heard.topic
    }

    pub(super) const fn heard(&self) -> &Heard {
        &self.heard
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A poisoned lock still holds whole values: each section replaces them one by one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For how long nobody has listened; none = somebody does.
    pub(super) fn idle(&self) -> Option<Duration> {
        self.lock().unwanted_since.map(|at| at.elapsed())
    }

    /// Takes up what was seen.
    pub(super) fn publish(&self, look: Look) {
        let mut state = self.lock();
        state.refused = None;
        match look.changes {
            Changes::Anew => {
                state.seq += 1;
                state.base = state.seq;
                state.ring.clear();
                state.bytes = 0;
            }
            Changes::Since(changes) if changes.is_empty() => {
                state.whole = Some(look.whole);
                return;
            }
            Changes::Since(changes) => {
                for change in changes {
                    state.seq += 1;
                    let place = Place { generation: self.generation, seq: state.seq };
                    let frame = Arc::new(Frame::new(match change {
                        Change::Patch(body) => ServerFrame::Patch { topic: self.topic(), place, body: *body },
                        Change::Lines(lines) => ServerFrame::Log { topic: self.topic(), place, lines },
                    }));
                    state.bytes += frame.text.len();
                    state.ring.push_back(frame);
                }
                while state.ring.len() > FRAMES_MAX || state.bytes > BYTES_MAX {
                    let Some(oldest) = state.ring.pop_front() else { break };
                    state.bytes -= oldest.text.len();
                    state.base += 1;
                }
            }
        }
        state.whole = Some(look.whole);
        state.written = None;
        state.ring_bells();
        drop(state);
        self.looked.send_replace(true);
    }

    /// There is no such thing.
    pub(super) fn refuse(&self, error: ErrorBody) {
        let mut state = self.lock();
        let frame = Frame::new(ServerFrame::Refused { topic: self.topic(), error });
        state.refused = Some(Arc::new(frame));
        state.whole = None;
        state.ring_bells();
        drop(state);
        self.looked.send_replace(true);
    }

    /// It could not be looked at this time. Listeners hear of it only when they have nothing else.
    pub(super) fn fail(&self, error: ErrorBody) {
        if self.lock().whole.is_none() {
            self.refuse(error);
        }
    }

    /// Listens from now on; `bell` rings when there is something new.
    pub(super) fn listen(self: &Arc<Self>, bell: Arc<Notify>) -> Listener {
        let mut state = self.lock();
        state.listeners += 1;
        let number = state.listeners;
        state.bells.insert(number, bell);
        state.unwanted_since = None;
        drop(state);
        Listener { channel: self.clone(), number }
    }
}

impl State {
    fn ring_bells(&self) {
        for bell in self.bells.values() {
            bell.notify_one();
        }
    }
}

/// Somebody who listens; not any more when this is dropped.
pub(super) struct Listener {
    channel: Arc<Channel>,
    number: u64,
}

impl Listener {
    /// Returns when the topic was looked at once.
    pub(super) async fn looked(&self) {
        // The sender lives in the channel.
        let _ = self.channel.looked.subscribe().wait_for(|looked| *looked).await;
    }

    /// Whether the ring still reaches back to a place.
    pub(super) fn resumes(&self, from: Option<Place>) -> bool {
        let state = self.channel.lock();
        state.reaches(self.channel.generation, from)
    }

    /// What comes after a place: the frames that were missed, or the whole. Nothing when nothing
    /// new is there.
    pub(super) fn since(&self, from: Option<Place>) -> Vec<Arc<Frame>> {
        let channel = &self.channel;
        let mut state = channel.lock();
        if let Some(refused) = &state.refused {
            return vec![refused.clone()];
        }
        if let Some(from) = from.filter(|from| state.reaches(channel.generation, Some(*from))) {
            let missed = usize::try_from(state.seq - from.seq).unwrap_or(usize::MAX);
            let skip = state.ring.len().saturating_sub(missed);
            return state.ring.iter().skip(skip).cloned().collect();
        }
        if state.written.is_none()
            && let Some(body) = state.whole.clone()
        {
            let place = Place { generation: channel.generation, seq: state.seq };
            let frame = Frame::new(ServerFrame::Snapshot { topic: channel.topic(), place, body });
            state.written = Some(Arc::new(frame));
        }
        state.written.iter().cloned().collect()
    }
}

impl State {
    fn reaches(&self, generation: u64, from: Option<Place>) -> bool {
        from.is_some_and(|from| {
            from.generation == generation
                && (self.base..=self.seq).contains(&from.seq)
                && self.whole.is_some()
        })
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut state = self.channel.lock();
        state.bells.remove(&self.number);
        if state.bells.is_empty() {
            state.unwanted_since = Some(Instant::now());
        }
    }
}

/// The place after a frame, when it has one.
pub(super) const fn place(frame: &ServerFrame) -> Option<Place> {
    match frame {
        ServerFrame::Resume { place, .. }
        | ServerFrame::Snapshot { place, .. }
        | ServerFrame::Patch { place, .. }
        | ServerFrame::Log { place, .. } => Some(*place),
        ServerFrame::Hello { .. } | ServerFrame::Refused { .. } | ServerFrame::Ping { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockstep_model::{
        DeploymentId, Timestamp,
        live::{LogTail, Snapshot},
        view::LogLine,
    };

    fn line(cursor: i64) -> LogLine {
        LogLine { cursor, at: Timestamp(cursor), step: "a.prepare".to_owned(), text: "x".repeat(100) }
    }

    fn look(changes: Changes) -> Look {
        Look { whole: Snapshot::Log(LogTail::default()), changes }
    }

    fn lines(number: i64) -> Look {
        look(Changes::Since(vec![Change::Lines(vec![line(number)])]))
    }

    fn seqs(frames: &[Arc<Frame>]) -> Vec<u64> {
        frames.iter().filter_map(|frame| place(&frame.value)).map(|place| place.seq).collect()
    }

    #[test]
    fn a_listener_gets_what_it_missed_and_nothing_twice() {
        let channel = Arc::new(Channel::new(Topic::Log(DeploymentId(1)), 7));
        let listener = channel.listen(Arc::default());
        assert!(listener.since(None).is_empty(), "nothing is known yet");
        channel.publish(look(Changes::Anew));
        let first = listener.since(None);
        let at = place(&first[0].value);
        assert!(matches!(first[0].value, ServerFrame::Snapshot { .. }));
        assert!(listener.since(at).is_empty());
        for number in 0..5 {
            channel.publish(lines(number));
        }
        assert_eq!(seqs(&listener.since(at)), [2, 3, 4, 5, 6]);
        assert_eq!(seqs(&listener.since(Some(Place { generation: 7, seq: 4 }))), [5, 6]);
        channel.publish(look(Changes::Since(Vec::new())));
        assert!(listener.since(Some(Place { generation: 7, seq: 6 })).is_empty());
    }

    #[test]
    fn whoever_is_too_far_behind_gets_the_whole() {
        let channel = Arc::new(Channel::new(Topic::Log(DeploymentId(1)), 7));
        let listener = channel.listen(Arc::default());
        channel.publish(look(Changes::Anew));
        for number in 0..(FRAMES_MAX as i64 + 10) {
            channel.publish(lines(number));
        }
        let last = FRAMES_MAX as u64 + 11;
        for from in [
            Place { generation: 7, seq: 1 },
            // Another run of the server counted this one.
            Place { generation: 6, seq: last },
            // This was never told.
            Place { generation: 7, seq: last + 1 },
        ] {
            let frames = listener.since(Some(from));
            assert!(matches!(frames[0].value, ServerFrame::Snapshot { .. }), "{from:?}");
            assert_eq!(seqs(&frames), [last]);
            assert!(!listener.resumes(Some(from)));
        }
        assert_eq!(listener.since(Some(Place { generation: 7, seq: last - 3 })).len(), 3);
    }

    #[test]
    fn a_ring_is_bounded_in_bytes_too() {
        let channel = Arc::new(Channel::new(Topic::Log(DeploymentId(1)), 7));
        let listener = channel.listen(Arc::default());
        channel.publish(look(Changes::Anew));
        for number in 0..20 {
            let many = (0..1_000).map(|place| line(number * 1_000 + place)).collect();
            channel.publish(look(Changes::Since(vec![Change::Lines(many)])));
        }
        assert!(channel.lock().bytes <= BYTES_MAX);
        assert!(listener.since(Some(Place { generation: 7, seq: 20 })).len() == 1);
        assert!(!listener.resumes(Some(Place { generation: 7, seq: 2 })));
    }

    #[test]
    fn a_topic_without_listeners_says_for_how_long() {
        let channel = Arc::new(Channel::new(Topic::Overview, 7));
        let listener = channel.listen(Arc::default());
        assert_eq!(channel.idle(), None);
        drop(listener);
        assert!(channel.idle().is_some_and(|idle| idle < Duration::from_secs(60)));
    }

    #[test]
    fn what_is_not_there_is_refused() {
        let channel = Arc::new(Channel::new(Topic::Deployment(DeploymentId(9)), 7));
        let listener = channel.listen(Arc::default());
        channel
            .refuse(ErrorBody::new(lockstep_model::error::ErrorKind::NotFound, "there is no deployment 9"));
        assert!(matches!(listener.since(None)[0].value, ServerFrame::Refused { .. }));
    }
}
