//! The routing as it is served: who listens where, and which revisions stand behind each slot. A
//! change takes effect for the next request; requests under way keep the revision they have.

mod endpoint;
mod entry;
mod stick;

pub(crate) use endpoint::{Admission, Endpoint, Phase};
pub(crate) use entry::Entry;
pub(crate) use stick::Stick;

use crate::{
    revision::Revision,
    routes_file::Routes,
    rules::{CheckedRoute, Key, Purpose},
};
use lockstep_model::gateway::RouteState;
use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// All of it.
#[derive(Default)]
pub(crate) struct Table {
    routes: BTreeMap<Key, Served>,
    endpoints: HashMap<SocketAddr, Arc<Endpoint>>,
}

struct Served {
    checked: CheckedRoute,
    /// Those of the route, and those that lost their traffic and are still draining.
    known: Vec<Arc<Revision>>,
    unserved: Arc<AtomicU64>,
}

impl Table {
    pub(crate) fn checked(&self) -> impl Iterator<Item = &CheckedRoute> {
        self.routes.values().map(|served| &served.checked)
    }

    /// The routes with `candidate` in place of the one with its key.
    pub(crate) fn routes_with(&self, candidate: &CheckedRoute) -> Routes {
        let mut routes = self.routes_without(&candidate.key);
        match candidate.key.purpose {
            Purpose::Users => routes.routes.push(candidate.route.clone()),
            Purpose::Preview => routes.previews.push(candidate.route.clone()),
        }
        routes
    }

    pub(crate) fn routes_without(&self, key: &Key) -> Routes {
        let of = |purpose| {
            let kept = self.checked().filter(|other| other.key.purpose == purpose && other.key != *key);
            kept.map(|checked| checked.route.clone()).collect()
        };
        Routes { routes: of(Purpose::Users), previews: of(Purpose::Preview) }
    }

    pub(crate) fn has(&self, key: &Key) -> bool {
        self.routes.contains_key(key)
    }

    pub(crate) fn endpoint(&self, address: SocketAddr) -> Option<&Arc<Endpoint>> {
        self.endpoints.get(&address)
    }

    pub(crate) fn endpoints(&self) -> impl Iterator<Item = &Arc<Endpoint>> {
        self.endpoints.values()
    }

    /// Makes new requests follow `checked`; answers with the revisions whose requests under way
    /// are now to be drained.
    pub(crate) fn install(&mut self, checked: CheckedRoute) -> Vec<Arc<Revision>> {
        let before = self.routes.remove(&checked.key);
        let (known, unserved, place) = match before {
            Some(served) => {
                (served.known, served.unserved, Some((served.checked.listen, served.checked.host)))
            }
            None => (vec![], Arc::default(), None),
        };
        let serving: Vec<_> = checked
            .backends
            .iter()
            .map(|backend| {
                let same =
                    |known: &&Arc<Revision>| known.id == backend.revision && known.address == backend.address;
                match known.iter().find(same) {
                    Some(revision) if revision.reweigh(backend.weight) => Arc::clone(revision),
                    Some(_) | None => {
                        Arc::new(Revision::new(backend.revision.clone(), backend.address, backend.weight))
                    }
                }
            })
            .collect();
        let weighted = serving.iter().cloned().zip(checked.backends.iter().map(|b| b.weight));
        let entry = Arc::new(Entry::new(weighted, checked.stick.clone(), Arc::clone(&unserved)));
        let endpoint =
            self.endpoints.entry(checked.listen).or_insert_with(|| Arc::new(Endpoint::new(checked.listen)));
        endpoint.set(checked.host.clone(), entry);
        match place {
            Some((listen, host)) if listen != checked.listen || host != checked.host => {
                self.endpoints.get(&listen).inspect(|endpoint| endpoint.unset(host.as_deref()));
            }
            Some(_) | None => {}
        }
        let gone = known.into_iter().filter(|old| !serving.iter().any(|new| Arc::ptr_eq(old, new)));
        let gone: Vec<_> = gone.inspect(|old| old.lose_traffic()).collect();
        let losers =
            gone.iter().chain(&serving).filter(|r| !r.has_traffic() && r.in_flight() > 0).cloned().collect();
        let known = serving.into_iter().chain(gone.into_iter().filter(|old| old.in_flight() > 0)).collect();
        self.routes.insert(checked.key.clone(), Served { checked, known, unserved });
        losers
    }

    /// Forgets a route; answers with it and the revisions that are to be drained.
    pub(crate) fn uninstall(&mut self, key: &Key) -> Option<(CheckedRoute, Vec<Arc<Revision>>)> {
        let Served { checked, known, unserved: _ } = self.routes.remove(key)?;
        if let Some(endpoint) = self.endpoints.get(&checked.listen) {
            endpoint.unset(checked.host.as_deref());
        }
        let draining =
            known.into_iter().inspect(|revision| revision.lose_traffic()).filter(|r| r.in_flight() > 0);
        Some((checked, draining.collect()))
    }

    /// Takes out the endpoints that no route uses.
    pub(crate) fn take_unused(&mut self) -> Vec<Arc<Endpoint>> {
        let unused: Vec<_> =
            self.endpoints.values().filter(|endpoint| endpoint.is_unused()).cloned().collect();
        self.endpoints.retain(|_, endpoint| !endpoint.is_unused());
        unused
    }

    /// Closes idle connections and forgets revisions that have drained.
    pub(crate) fn sweep(&mut self, idle_timeout: std::time::Duration) {
        for served in self.routes.values_mut() {
            served.forget_drained();
            served.known.iter().for_each(|revision| revision.pool.sweep(idle_timeout));
        }
    }

    pub(crate) fn state(&mut self, purpose: Purpose) -> Vec<RouteState> {
        let meant = self.routes.iter_mut().filter(|(key, _)| key.purpose == purpose);
        meant.map(|(_, served)| served.state()).collect()
    }

    /// The longest drain timeout of all routes, in milliseconds.
    pub(crate) fn drain_timeout_ms_max(&self) -> u64 {
        self.checked().map(|checked| checked.route.drain_timeout_ms).max().unwrap_or(0)
    }
}

impl Served {
    fn forget_drained(&mut self) {
        let backends = &self.checked.backends;
        let serves = |r: &Revision| backends.iter().any(|b| b.revision == r.id && b.address == r.address);
        self.known.retain(|revision| revision.in_flight() > 0 || serves(revision));
    }

    fn state(&mut self) -> RouteState {
        self.forget_drained();
        RouteState {
            route: self.checked.route.clone(),
            unserved: self.unserved.load(Ordering::Relaxed),
            revisions: self.known.iter().map(|revision| revision.traffic()).collect(),
        }
    }
}
