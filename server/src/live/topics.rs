//! Which topics are worked out, and who listens to them: bounded in all and for each user, so that
//! nobody keeps others from hearing. What nobody listens to makes room first.

use super::channel::{Channel, Listener};
use app::AppError;
use lockstep_model::{UserName, access::Sight, error::ErrorKind, live::Topic};
use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    ops::Deref,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::Notify;

/// Topics that are worked out at a time.
const TOPICS_AT_A_TIME_MAX: usize = 512;
/// Topics that one user listens to at a time, on all pages together.
const TOPICS_OF_A_USER_MAX: usize = 128;

/// A topic as somebody hears it: the overview shows each what they may see.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Heard {
    /// The topic.
    pub(super) topic: Topic,
    /// What of it may be seen; none = all. Only the overview differs.
    pub(super) sight: Option<Sight>,
}

impl From<Topic> for Heard {
    fn from(topic: Topic) -> Self {
        Self { topic, sight: None }
    }
}

impl Heard {
    /// A topic as it is heard by whoever may see so much.
    pub(super) fn with(topic: Topic, sight: &Sight) -> Self {
        match topic {
            Topic::Overview => Self { topic, sight: (!sight.is_everything()).then(|| sight.clone()) },
            Topic::Deployment(_) | Topic::Log(_) => topic.into(),
        }
    }

    /// The count of frames of one is never taken for that of another.
    pub(super) fn generation(&self, base: u64) -> u64 {
        let Some(sight) = &self.sight else { return base };
        let mut hasher = DefaultHasher::new();
        sight.hash(&mut hasher);
        // Below 2^53, which JavaScript's numbers hold.
        base ^ (hasher.finish() >> 12)
    }
}

/// All topics that are worked out.
#[derive(Default)]
pub(super) struct Topics(Mutex<State>);

#[derive(Default)]
struct State {
    channels: HashMap<Heard, Arc<Channel>>,
    /// What each user listens to, and how often.
    held: HashMap<UserName, HashMap<Topic, u32>>,
}

/// Somebody who listens to a topic; not any more when this is dropped.
pub(super) struct Listening {
    listener: Listener,
    topics: Arc<Topics>,
    user: UserName,
    topic: Topic,
}

impl Deref for Listening {
    type Target = Listener;
    fn deref(&self) -> &Listener {
        &self.listener
    }
}

impl Topics {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has a user listen to a topic. The channel comes back, too, when nobody works it out yet.
    ///
    /// # Errors
    /// `Throttled` when the user listens to too many, `Unavailable` when all together do.
    pub(super) fn listen(
        self: &Arc<Self>,
        heard: Heard,
        user: &UserName,
        bell: Arc<Notify>,
        generation: u64,
    ) -> Result<(Listening, Option<Arc<Channel>>), AppError> {
        let topic = heard.topic;
        let mut state = self.lock();
        let held = state.held.get(user);
        if held.is_some_and(|held| held.len() >= TOPICS_OF_A_USER_MAX && !held.contains_key(&topic)) {
            let message = format!(
                "{user} listens to {TOPICS_OF_A_USER_MAX} deployments and logs already; close some of the pages"
            );
            return Err(AppError::new(ErrorKind::Throttled, message));
        }
        let (channel, is_new) = match state.channels.get(&heard) {
            Some(channel) => (channel.clone(), false),
            None => {
                state.make_room()?;
                let generation = heard.generation(generation);
                let channel = Arc::new(Channel::new(heard.clone(), generation));
                state.channels.insert(heard, channel.clone());
                (channel, true)
            }
        };
        *state.held.entry(user.clone()).or_default().entry(topic).or_default() += 1;
        let listener = channel.listen(bell);
        drop(state);
        let listening = Listening { listener, topics: self.clone(), user: user.clone(), topic };
        Ok((listening, is_new.then_some(channel)))
    }

    /// Whether a channel is not to be worked out any more: it made room for others, or nobody has
    /// listened for so long, in which case it is forgotten.
    pub(super) fn is_given_up(&self, channel: &Arc<Channel>, linger: Duration) -> bool {
        let mut state = self.lock();
        let heard = channel.heard();
        if state.channels.get(heard).is_none_or(|known| !Arc::ptr_eq(known, channel)) {
            return true;
        }
        let is_unwanted = channel.idle().is_some_and(|idle| idle >= linger);
        if is_unwanted {
            state.channels.remove(heard);
        }
        is_unwanted
    }
}

impl State {
    /// Forgets what nobody has listened to for longest, when there are too many.
    fn make_room(&mut self) -> Result<(), AppError> {
        if self.channels.len() < TOPICS_AT_A_TIME_MAX {
            return Ok(());
        }
        let idle = self.channels.values().filter_map(|one| Some((one.idle()?, one.heard().clone())));
        let Some((_, heard)) = idle.max() else {
            let message = "too many deployments are looked at; try again in a minute";
            return Err(AppError::new(ErrorKind::Unavailable, message));
        };
        self.channels.remove(&heard);
        Ok(())
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let mut state = self.topics.lock();
        let Some(held) = state.held.get_mut(&self.user) else { return };
        if let Some(count) = held.get_mut(&self.topic) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.topic);
            }
        }
        if held.is_empty() {
            state.held.remove(&self.user);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockstep_model::{
        DeploymentId,
        access::{Grant, Rights, Role, Scope},
    };

    fn user(name: &str) -> UserName {
        name.parse().expect("valid")
    }

    fn listen(topics: &Arc<Topics>, name: &str, id: i64) -> Result<Listening, AppError> {
        topics
            .listen(Topic::Deployment(DeploymentId(id)).into(), &user(name), Arc::default(), 7)
            .map(|(listening, _)| listening)
    }

    #[test]
    fn one_user_cannot_take_all_topics() {
        let topics = Arc::new(Topics::default());
        let max = TOPICS_OF_A_USER_MAX as i64;
        let mut held: Vec<Listening> =
            (0..max).map(|id| listen(&topics, "anna", id).expect("there is room")).collect();
        let refused = listen(&topics, "anna", max).err().expect("too many");
        assert_eq!(refused.0.kind, ErrorKind::Throttled);
        assert!(listen(&topics, "anna", 3).is_ok(), "another page of what is held already");
        assert!(listen(&topics, "ben", max).is_ok(), "others are not held up");
        held.pop();
        assert!(listen(&topics, "anna", max).is_ok(), "a page was closed");
    }

    #[test]
    fn what_nobody_listens_to_makes_room() {
        let topics = Arc::new(Topics::default());
        let max = TOPICS_AT_A_TIME_MAX as i64;
        for id in 0..max {
            drop(listen(&topics, "anna", id).expect("there is room"));
        }
        let users = ["a", "b", "c", "d"];
        let held: Vec<Listening> = (max..2 * max)
            .map(|id| listen(&topics, users[(id % 4) as usize], id).expect("idle ones make room"))
            .collect();
        assert_eq!(topics.lock().channels.len(), TOPICS_AT_A_TIME_MAX);
        let refused = listen(&topics, "e", 0).err().expect("all are listened to");
        assert_eq!(refused.0.kind, ErrorKind::Unavailable);
        drop(held);
        assert!(topics.lock().held.is_empty());
        assert!(listen(&topics, "e", 0).is_ok());
    }

    #[test]
    fn each_sight_has_an_overview_of_its_own_and_a_count_of_its_own() {
        let grant =
            |project: &str| Grant { on: Scope::project(project.parse().expect("valid")), role: Role::Viewer };
        let heard = |rights: Rights| Heard::with(Topic::Overview, &rights.sight());
        let everything = heard(Rights::everywhere(Role::Viewer));
        let [shop, other] = ["shop", "other"].map(|project| heard(Rights(vec![grant(project)])));
        assert_eq!(everything, Topic::Overview.into());
        assert_ne!(shop, other);
        let counts = [&everything, &shop, &other].map(|one| one.generation(1_764_000_000_000));
        assert!(counts[0] != counts[1] && counts[1] != counts[2] && counts[0] != counts[2], "{counts:?}");
        assert!(counts.into_iter().all(|count| count < 1 << 53));
        let one = Topic::Deployment(DeploymentId(1));
        assert_eq!(
            Heard::with(one, &Rights(vec![grant("shop")]).sight()),
            one.into(),
            "worked out once for all"
        );
    }

    #[test]
    fn what_made_room_is_not_worked_out_any_more() {
        let topics = Arc::new(Topics::default());
        let topic = Topic::Overview;
        let (listening, channel) =
            topics.listen(topic.into(), &user("anna"), Arc::default(), 7).expect("there is room");
        let first = channel.expect("new");
        assert!(!topics.is_given_up(&first, Duration::ZERO), "somebody listens");
        drop(listening);
        assert!(!topics.is_given_up(&first, Duration::from_secs(60)));
        assert!(topics.is_given_up(&first, Duration::ZERO));
        let (_again, channel) =
            topics.listen(topic.into(), &user("anna"), Arc::default(), 7).expect("there is room");
        assert!(topics.is_given_up(&first, Duration::from_secs(60)), "another took its place");
        assert!(!topics.is_given_up(&channel.expect("new"), Duration::from_secs(60)));
    }
}
