//! A graph as a saga of steno, one action a node, with gates, so that a test says which node goes on
//! when; or without, so that its overhead can be measured.

use serde_json::{Value, json};
use slog::{Discard, Logger, o};
use std::{
    collections::BTreeSet,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use steno::{
    Action, ActionContext, ActionError, ActionName, ActionRegistry, ActionResult, InMemorySecStore, SagaDag,
    SagaId, SagaName, SagaType, SecClient, UndoResult,
};
use tokio::sync::watch;

type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What a node did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Did {
    /// It began.
    Began(u32),
    /// It ended well.
    Ended(u32),
    /// It failed.
    Failed(u32),
    /// It went back.
    Undone(u32),
}

#[derive(Debug)]
struct World {
    /// Nodes that may end; all, when nobody holds them.
    released: watch::Sender<Option<BTreeSet<u32>>>,
    log: watch::Sender<Vec<Did>>,
    failing: Mutex<Option<u32>>,
}

#[derive(Debug)]
struct Nodes;

impl SagaType for Nodes {
    type ExecContextType = World;
}

/// The action of every node; which one it is stands in the label.
#[derive(Debug)]
struct Step;

const STEP: &str = "step";
/// The node after all others: a saga has one output.
const LAST: &str = "last";

fn number(context: &ActionContext<Nodes>) -> Option<u32> {
    context.node_label().parse().ok()
}

impl Action<Nodes> for Step {
    fn do_it(&self, context: ActionContext<Nodes>) -> Boxed<'_, ActionResult> {
        Box::pin(async move {
            let done = Ok(Arc::new(Value::Null));
            let Some(node) = number(&context) else { return done };
            let world = context.user_data();
            world.note(Did::Began(node));
            let mut released = world.released.subscribe();
            let is_free = |set: &Option<BTreeSet<u32>>| set.as_ref().is_none_or(|set| set.contains(&node));
            let _ = released.wait_for(is_free).await;
            if *locked(&world.failing) == Some(node) {
                world.note(Did::Failed(node));
                return Err(ActionError::action_failed("as the test says".to_owned()));
            }
            world.note(Did::Ended(node));
            done
        })
    }

    fn undo_it(&self, context: ActionContext<Nodes>) -> Boxed<'_, UndoResult> {
        Box::pin(async move {
            if let Some(node) = number(&context) {
                context.user_data().note(Did::Undone(node));
            }
            Ok(())
        })
    }

    fn name(&self) -> ActionName {
        ActionName::new(STEP)
    }
}

impl World {
    fn note(&self, did: Did) {
        self.log.send_modify(|log| log.push(did));
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A graph in steno's words, made once.
#[derive(Debug, Clone)]
pub struct Graph(Arc<SagaDag>);

impl Graph {
    /// The graph in which node `n` waits for `after[n]`.
    pub fn of(after: &[Vec<u32>]) -> Self {
        Self(Arc::new(dag(after)))
    }
}

fn dag(after: &[Vec<u32>]) -> SagaDag {
    let count = after.len();
    let action =
        |name: &str, label: &str| json!({"Action": {"name": name, "label": label, "action_name": STEP}});
    let mut nodes: Vec<Value> =
        (0..count).map(|node| action(&format!("n{node}"), &node.to_string())).collect();
    nodes.push(action(LAST, LAST));
    nodes.push(json!({"Start": {"params": null}}));
    nodes.push(json!("End"));
    let (last, start, end) = (count, count + 1, count + 2);
    let mut edges = vec![json!([last, end, null])];
    let mut is_waited_for = vec![false; count];
    for (node, before) in reduced(after).iter().enumerate() {
        if before.is_empty() {
            edges.push(json!([start, node, null]));
        }
        for other in before {
            edges.push(json!([other, node, null]));
            is_waited_for[*other as usize] = true;
        }
    }
    edges.extend((0..count).filter(|node| !is_waited_for[*node]).map(|node| json!([node, last, null])));
    let graph = json!({"nodes": nodes, "node_holes": [], "edge_property": "directed", "edges": edges});
    let dag = json!({
        "saga_name": SagaName::new("graph"),
        "graph": graph,
        "start_node": start,
        "end_node": end,
    });
    serde_json::from_value(dag).expect("the form in which steno stores a graph")
}

/// What a node waits for without what that waits for by itself: steno 0.4 panics while it unwinds a
/// graph in which an edge stands beside a longer way.
fn reduced(after: &[Vec<u32>]) -> Vec<Vec<u32>> {
    let all: Vec<BTreeSet<u32>> = (0u32..).zip(after).map(|(node, _)| ancestors(after, node)).collect();
    let is_needed = |before: &BTreeSet<u32>, one: u32| {
        !before.iter().any(|other| *other != one && all[*other as usize].contains(&one))
    };
    let reduce = |before: &Vec<u32>| {
        let before: BTreeSet<u32> = before.iter().copied().collect();
        before.iter().copied().filter(|one| is_needed(&before, *one)).collect()
    };
    after.iter().map(reduce).collect()
}

/// All that a node waits for, directly or not.
pub fn ancestors(after: &[Vec<u32>], node: u32) -> BTreeSet<u32> {
    let mut found = BTreeSet::new();
    let mut open = after[node as usize].clone();
    while let Some(next) = open.pop() {
        if found.insert(next) {
            open.extend(&after[next as usize]);
        }
    }
    found
}

/// Runs graphs by steno.
#[derive(Debug)]
pub struct Steno {
    client: SecClient,
    registry: Arc<ActionRegistry<Nodes>>,
    count: u128,
}

impl Steno {
    /// Starts an executor; within a tokio runtime.
    pub fn start() -> Self {
        let mut registry = ActionRegistry::new();
        registry.register(Arc::new(Step));
        let client = steno::sec(Logger::root(Discard, o!()), Arc::new(InMemorySecStore::new()));
        Self { client, registry: Arc::new(registry), count: 0 }
    }

    /// Ends it.
    pub async fn end(self) {
        self.client.shutdown().await;
    }

    async fn begin(&mut self, graph: &Graph, world: &Arc<World>) -> impl Future<Output = bool> + use<> {
        self.count += 1;
        let id = SagaId(uuid::Uuid::from_u128(self.count));
        let (dag, registry) = (graph.0.clone(), self.registry.clone());
        let saga = self.client.saga_create(id, world.clone(), dag, registry).await.expect("made");
        self.client.saga_start(id).await.expect("started");
        async move {
            match saga.await.kind {
                Ok(_) => true,
                Err(error) => {
                    assert!(error.undo_failure.is_none(), "no undo fails here: {error:?}");
                    false
                }
            }
        }
    }

    /// Runs a graph whose nodes do nothing.
    ///
    /// # Panics
    /// When it does not succeed.
    pub async fn run(&mut self, graph: &Graph) {
        let world = Arc::new(World {
            released: watch::Sender::new(None),
            log: watch::Sender::default(),
            failing: Mutex::new(None),
        });
        assert!(self.begin(graph, &world).await.await, "nothing fails");
    }

    /// Runs a graph: the nodes of `first` end well in this order, then `failing` fails while all that
    /// could begin runs, then the others end. Returns what happened.
    ///
    /// # Panics
    /// When the order is not one in which the graph can run.
    pub async fn fail(&mut self, after: &[Vec<u32>], first: &[u32], failing: u32) -> Vec<Did> {
        let world = Arc::new(World {
            released: watch::Sender::new(Some(BTreeSet::new())),
            log: watch::Sender::default(),
            failing: Mutex::new(Some(failing)),
        });
        let end = self.begin(&Graph::of(after), &world).await;
        let mut log = world.log.subscribe();
        for node in first {
            world.released.send_modify(|set| set.get_or_insert_default().extend([*node]));
            log.wait_for(|log| log.contains(&Did::Ended(*node))).await.expect("the world is there");
        }
        for node in ready(after, first) {
            log.wait_for(|log| log.contains(&Did::Began(node))).await.expect("the world is there");
        }
        world.released.send_modify(|set| set.get_or_insert_default().extend([failing]));
        log.wait_for(|log| log.contains(&Did::Failed(failing))).await.expect("the world is there");
        world.released.send_replace(None);
        assert!(!end.await, "a node fails");
        log.borrow().clone()
    }
}

/// Nodes that can begin when those of `done` have ended.
pub fn ready(after: &[Vec<u32>], done: &[u32]) -> Vec<u32> {
    (0u32..)
        .zip(after)
        .filter(|(node, before)| !done.contains(node) && before.iter().all(|other| done.contains(other)))
        .map(|(node, _)| node)
        .collect()
}
