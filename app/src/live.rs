//! What a page knows of the server, kept up to date. Frames come from the first answer, from the
//! socket, or from asking again and again where no socket reaches; all of them are applied here, and
//! every view, the title and the icon follow from it.

#[cfg(any(test, feature = "hydrate"))]
mod backoff;
mod log;
mod overview;
#[cfg(feature = "hydrate")]
mod socket;

pub use log::{Level, Line, LogStore, Places, Wanted, find, lines_of};
pub use overview::{Cell, OverviewStore};

use crate::{few::Few, time::WrittenAt};
use leptos::prelude::*;
use lockstep_model::{
    DeploymentId, Timestamp,
    api::{Listen, MonitorRequest},
    approval::ApprovalView,
    error::ErrorBody,
    live::{Patch, Place, ServerFrame, Snapshot, Topic},
    view::{CheckpointView, DeploymentDetail, DeploymentSummary, OutsideView, RollbackView, StepView},
};
use std::sync::Arc;

/// How the page hears of changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// Not yet.
    Connecting,
    /// Over the socket.
    Live,
    /// By asking again and again: sockets do not get through.
    Polling,
    /// Not now; it is tried again at this time of the browser's clock.
    Waiting {
        /// When, in milliseconds.
        until: i64,
    },
    /// The browser says that there is no network.
    Offline,
    /// Nobody is signed in any more.
    SignedOut,
}

/// A deployment as its page shows it.
#[derive(Debug, Clone)]
pub struct DeploymentStore {
    /// The head.
    pub summary: ArcRwSignal<DeploymentSummary>,
    /// The steps, one signal each.
    pub steps: ArcRwSignal<Vec<ArcRwSignal<StepView>>>,
    /// What served before.
    pub checkpoints: ArcRwSignal<Vec<CheckpointView>>,
    /// What needs these services and is not part of it.
    pub outside: ArcRwSignal<Vec<OutsideView>>,
    /// How it goes back.
    pub rollback: ArcRwSignal<Option<RollbackView>>,
    /// Why it waits in the queue.
    pub waits_for: ArcRwSignal<Option<String>>,
    /// What approvals it waits for.
    pub approval: ArcRwSignal<Option<ApprovalView>>,
    /// What never changes: the manifest, warnings, what is expected.
    pub rest: Arc<DeploymentDetail>,
}

impl DeploymentStore {
    fn new(mut detail: DeploymentDetail) -> Self {
        let steps = std::mem::take(&mut detail.steps).into_iter().map(ArcRwSignal::new).collect();
        Self {
            summary: ArcRwSignal::new(detail.summary.clone()),
            steps: ArcRwSignal::new(steps),
            checkpoints: ArcRwSignal::new(std::mem::take(&mut detail.checkpoints)),
            outside: ArcRwSignal::new(std::mem::take(&mut detail.outside)),
            rollback: ArcRwSignal::new(detail.rollback.take()),
            waits_for: ArcRwSignal::new(detail.waits_for.take()),
            approval: ArcRwSignal::new(detail.approval.take()),
            rest: Arc::new(detail),
        }
    }

    fn renew(&self, detail: DeploymentDetail) {
        let same = self.steps.with_untracked(|known| {
            let ids = |step: &ArcRwSignal<StepView>| step.with_untracked(|step| step.id.clone());
            known.len() == detail.steps.len()
                && known.iter().map(ids).eq(detail.steps.iter().map(|s| s.id.clone()))
        });
        if same {
            self.steps.with_untracked(|known| {
                for (known, step) in known.iter().zip(&detail.steps) {
                    set_if_new(known, step.clone());
                }
            });
        } else {
            self.steps.set(detail.steps.iter().cloned().map(ArcRwSignal::new).collect());
        }
        set_if_new(&self.summary, detail.summary.clone());
        set_if_new(&self.checkpoints, detail.checkpoints.clone());
        set_if_new(&self.outside, detail.outside.clone());
        set_if_new(&self.rollback, detail.rollback.clone());
        set_if_new(&self.waits_for, detail.waits_for.clone());
        set_if_new(&self.approval, detail.approval.clone());
    }
}

pub(crate) fn set_if_new<T: PartialEq + Send + Sync + 'static>(signal: &ArcRwSignal<T>, value: T) {
    if signal.with_untracked(|known| *known != value) {
        signal.set(value);
    }
}

#[derive(Default)]
struct Known {
    deployments: Few<DeploymentId, DeploymentStore>,
    logs: Few<DeploymentId, LogStore>,
    /// Topics that somebody listens to, and how many do.
    wanted: Few<Topic, u32>,
    /// How far each has come.
    places: Few<Topic, Place>,
    #[cfg(feature = "hydrate")]
    socket: Option<socket::Orders>,
}

/// What a page knows; in the context of all.
#[derive(Clone, Copy)]
pub struct Live {
    /// How it hears of changes.
    pub link: RwSignal<Link>,
    /// The server's clock by the second, 0 before the page is taken over. It stands still while
    /// nothing is heard, and every clock of the page with it.
    pub clock: RwSignal<i64>,
    /// The same, in steps of ten seconds.
    pub minutes: RwSignal<i64>,
    /// When the server wrote the page that was opened, by its clock.
    pub written: i64,
    /// When something was heard last, by the server's clock.
    pub heard: RwSignal<i64>,
    /// Whether what is shown may be out of date.
    pub is_stale: RwSignal<bool>,
    /// All services and the deployments that matter.
    pub overview: OverviewStore,
    /// Topics that were refused.
    pub refused: RwSignal<Few<Topic, ErrorBody>>,
    /// Ticks when a deployment or a log comes to be known that was not.
    arrived: RwSignal<u32>,
    /// The build of the server's pages, when another than this page's came up.
    pub build: RwSignal<Option<String>>,
    known: StoredValue<Known>,
}

impl Live {
    /// Puts an empty one into the context.
    pub fn provide() -> Self {
        let live = Self {
            link: RwSignal::new(Link::Connecting),
            clock: RwSignal::new(0),
            minutes: RwSignal::new(0),
            written: WrittenAt::here().0,
            heard: RwSignal::new(0),
            is_stale: RwSignal::new(false),
            overview: OverviewStore::new(),
            refused: RwSignal::new(Few::default()),
            arrived: RwSignal::new(0),
            build: RwSignal::new(None),
            known: StoredValue::new(Known::default()),
        };
        provide_context(live);
        live
    }

    /// From the context.
    pub fn here() -> Self {
        expect_context()
    }

    /// Whether the browser has taken the page over; before, it shows what the server wrote.
    pub fn is_taken_over(self) -> bool {
        self.minutes.get() != 0
    }

    /// Whether the output of a deployment is known. Tracked, as [`Live::log`] is not.
    pub fn knows_log(self, id: DeploymentId) -> bool {
        self.arrived.track();
        self.log(id).is_some()
    }

    /// Whether a deployment is known. Tracked, as [`Live::deployment`] is not.
    pub fn knows(self, id: DeploymentId) -> bool {
        self.arrived.track();
        self.deployment(id).is_some()
    }

    /// A deployment, when it is known.
    pub fn deployment(self, id: DeploymentId) -> Option<DeploymentStore> {
        self.known.with_value(|known| known.deployments.get(&id).cloned())
    }

    /// The output of a deployment, when it is known.
    pub fn log(self, id: DeploymentId) -> Option<LogStore> {
        self.known.with_value(|known| known.logs.get(&id).cloned())
    }

    /// What to ask for, to come up to date.
    pub fn request(topics: &[Topic]) -> MonitorRequest {
        let topics = topics.iter().map(|topic| Listen { topic: *topic, from: None }).collect();
        MonitorRequest { topics, wait_ms: 0 }
    }

    /// Takes frames up.
    pub fn apply(self, frames: Vec<ServerFrame>) {
        for frame in frames {
            self.apply_one(frame);
        }
    }

    fn apply_one(self, frame: ServerFrame) {
        let topic = frame.topic();
        let place = match frame {
            ServerFrame::Hello { build, now } => {
                self.heard_at(now);
                self.hello(build);
                return;
            }
            ServerFrame::Ping { now } => {
                self.heard_at(now);
                return;
            }
            ServerFrame::Refused { topic, error } => {
                // The same answer again changes nothing on the page.
                if self.refused.with_untracked(|refused| refused.get(&topic) != Some(&error)) {
                    self.refused.update(|refused| refused.set(topic, error));
                }
                return;
            }
            // An answer that was asked for may come after what the socket has told already.
            ServerFrame::Resume { topic, place }
            | ServerFrame::Snapshot { topic, place, .. }
            | ServerFrame::Patch { topic, place, .. }
            | ServerFrame::Log { topic, place, .. }
                if !self.is_new(topic, place) =>
            {
                return;
            }
            ServerFrame::Resume { place, .. } => place,
            ServerFrame::Snapshot { topic, place, body } => {
                self.snapshot(topic, body);
                place
            }
            ServerFrame::Patch { topic, place, body } => {
                self.patch(topic, body);
                place
            }
            ServerFrame::Log { topic: Topic::Log(id), place, lines } => {
                if let Some(log) = self.log(id) {
                    log.append(lines);
                }
                place
            }
            ServerFrame::Log { place, .. } => place,
        };
        if let Some(topic) = topic {
            if self.refused.with_untracked(|refused| refused.get(&topic).is_some()) {
                self.refused.update(|refused| drop(refused.take(&topic)));
            }
            self.known.update_value(|known| known.places.set(topic, place));
        }
    }

    /// Whether a place comes after what is known of a topic. Another run of the server counts anew.
    fn is_new(self, topic: Topic, place: Place) -> bool {
        self.known.with_value(|known| {
            known
                .places
                .get(&topic)
                .is_none_or(|known| known.generation != place.generation || known.seq < place.seq)
        })
    }

    fn snapshot(self, topic: Topic, body: Snapshot) {
        match (topic, body) {
            (Topic::Overview, Snapshot::Overview(overview)) => self.overview.renew(overview),
            (Topic::Deployment(id), Snapshot::Deployment(detail)) => match self.deployment(id) {
                Some(known) => known.renew(detail),
                None => {
                    let store = DeploymentStore::new(detail);
                    self.known.update_value(|known| known.deployments.set(id, store));
                    self.arrived.update(|tick| *tick = tick.wrapping_add(1));
                }
            },
            (Topic::Log(id), Snapshot::Log(tail)) => match self.log(id) {
                Some(known) => known.renew(tail),
                None => {
                    let store = LogStore::new(tail);
                    self.known.update_value(|known| known.logs.set(id, store));
                    self.arrived.update(|tick| *tick = tick.wrapping_add(1));
                }
            },
            _ => {}
        }
    }

    fn patch(self, topic: Topic, body: Patch) {
        match (topic, body) {
            (Topic::Overview, Patch::Overview(patch)) => self.overview.patch(patch),
            (Topic::Deployment(id), Patch::Deployment(patch)) => {
                let Some(known) = self.deployment(id) else { return };
                known.steps.with_untracked(|steps| {
                    for (place, step) in patch.steps {
                        if let Some(known) = steps.get(place as usize) {
                            known.set(step);
                        }
                    }
                });
                if let Some(summary) = patch.summary {
                    known.summary.set(summary);
                }
                if let Some(checkpoints) = patch.checkpoints {
                    known.checkpoints.set(checkpoints);
                }
                if let Some(outside) = patch.outside {
                    known.outside.set(outside);
                }
                if patch.rollback.is_some() {
                    known.rollback.set(patch.rollback);
                }
            }
            _ => {}
        }
    }

    fn heard_at(self, now: Timestamp) {
        self.heard.set(now.0);
    }

    fn hello(self, build: String) {
        let ours = document().document_element().and_then(|root| root.get_attribute("data-build"));
        if ours.is_some_and(|ours| ours != build) {
            self.build.set(Some(build));
        }
    }

    /// Listens to a topic until the caller's owner is cleaned up; in the browser only.
    pub fn listen(self, topic: Topic) {
        Effect::new(move |_| {
            self.known.update_value(|known| {
                let count = known.wanted.get(&topic).copied().unwrap_or(0);
                known.wanted.set(topic, count + 1);
            });
            self.order(|orders| orders.changed());
        });
        on_cleanup(move || {
            let _ = self.known.try_update_value(|known| {
                if let Some(count) = known.wanted.get_mut(&topic) {
                    *count = count.saturating_sub(1);
                    if *count == 0 {
                        known.wanted.take(&topic);
                        known.places.take(&topic);
                        match topic {
                            Topic::Deployment(id) => drop(known.deployments.take(&id)),
                            Topic::Log(id) => drop(known.logs.take(&id)),
                            Topic::Overview => {}
                        }
                    }
                }
            });
            self.order(|orders| orders.changed());
        });
    }

    /// Asks once more for topics that were refused: what was not there may have come.
    pub fn ask_again(self) {
        self.order(|orders| orders.changed());
    }

    /// Tries at once, whatever the wait.
    pub fn retry(self) {
        self.order(|orders| orders.now());
    }

    #[cfg(feature = "hydrate")]
    fn order(self, order: impl FnOnce(&socket::Orders)) {
        let _ = self.known.try_with_value(|known| known.socket.as_ref().map(order));
    }

    #[cfg(not(feature = "hydrate"))]
    #[allow(clippy::unused_self, clippy::needless_pass_by_value, reason = "the browser's has a use for both")]
    fn order(self, _: impl FnOnce(&Nobody)) {}

    /// Begins to hear; in the browser, once.
    pub fn begin(self) {
        #[cfg(feature = "hydrate")]
        Effect::new(move |_| {
            let orders = socket::begin(self);
            self.known.update_value(|known| known.socket = Some(orders));
        });
    }

    /// Topics that are wanted, with how far each has come.
    #[cfg(feature = "hydrate")]
    fn wanted(self) -> Vec<Listen> {
        let listen = |known: &Known| {
            let place = |topic: &Topic| known.places.get(topic).copied();
            known.wanted.keys().map(|topic| Listen { topic: *topic, from: place(topic) }).collect()
        };
        self.known.with_value(listen)
    }
}

/// Stands for the socket where there is none.
#[cfg(not(feature = "hydrate"))]
struct Nobody;

#[cfg(not(feature = "hydrate"))]
impl Nobody {
    #[allow(clippy::unused_self, reason = "as the browser's")]
    fn changed(&self) {}
    #[allow(clippy::unused_self, reason = "as the browser's")]
    fn now(&self) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockstep_model::live::{Figures, OverviewPatch, OverviewView};

    const TOPIC: Topic = Topic::Overview;

    fn snapshot(generation: u64, seq: u64, agents: u32) -> ServerFrame {
        let figures = Figures { agents, ..Figures::default() };
        let body = Snapshot::Overview(OverviewView { figures, ..OverviewView::default() });
        ServerFrame::Snapshot { topic: TOPIC, place: Place { generation, seq }, body }
    }

    fn patch(generation: u64, seq: u64, agents: u32) -> ServerFrame {
        let figures = Some(Figures { agents, ..Figures::default() });
        let body = Patch::Overview(OverviewPatch { figures, ..OverviewPatch::default() });
        ServerFrame::Patch { topic: TOPIC, place: Place { generation, seq }, body }
    }

    #[test]
    fn what_comes_late_changes_nothing_and_another_run_begins_anew() {
        let owner = Owner::new();
        owner.set();
        let live = Live::provide();
        let agents = |frame: ServerFrame| {
            live.apply(vec![frame]);
            live.overview.figures.with_untracked(|figures| figures.agents)
        };
        assert_eq!(agents(snapshot(7, 5, 1)), 1);
        assert_eq!(agents(patch(7, 6, 2)), 2);
        assert_eq!(agents(snapshot(7, 5, 1)), 2, "an answer that was long under way");
        assert_eq!(agents(patch(7, 6, 9)), 2, "what is in the answer already");
        assert_eq!(agents(patch(7, 7, 3)), 3);
        assert_eq!(agents(snapshot(8, 1, 4)), 4, "the server was started anew");
        assert_eq!(agents(patch(8, 2, 5)), 5);
    }
}
