//! What the agent says to the gateway over its control socket, and what the gateway answers: one
//! JSON object a line, one answer a request.

use crate::{EnvironmentName, ProjectName, RevisionId, ServiceName, manifest::Sticky};
use serde::{Deserialize, Serialize};
use std::fmt;

/// One service in one environment: the thing that is served, whatever revision does it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Slot {
    /// Project.
    pub project: ProjectName,
    /// Environment.
    pub environment: EnvironmentName,
    /// Service.
    pub service: ServiceName,
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.project, self.environment, self.service)
    }
}

/// Where the traffic of a slot comes in and where it goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Route {
    /// Whose traffic.
    pub slot: Slot,
    /// Where the gateway listens, as `127.0.0.1:8080`.
    pub listen: String,
    /// Only requests with this `Host`; none = all that no other route of this address takes.
    pub host: Option<String>,
    /// Where it goes; empty = nobody serves, answered with 503. The newest stands last: who is
    /// [`sticky`](Self::sticky) and met it keeps it while its weight grows.
    pub backends: Vec<Backend>,
    /// Who stays with the revision that he met, while there are several.
    #[serde(default)]
    pub sticky: Option<Sticky>,
    /// Requests to a revision that lost its traffic may take this long to finish.
    pub drain_timeout_ms: u64,
}

/// A revision that gets traffic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Backend {
    /// Which revision.
    pub revision: RevisionId,
    /// Its own address, as `127.0.0.1:18003`.
    pub address: String,
    /// Its share of new requests, 0 to 100; the weights of a route add up to 100.
    pub weight: u32,
}

/// A request to the gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum GatewayRequest {
    /// Puts the route of a slot in place of the one it has. Answered when new requests follow it
    /// and it is durable; with `drain`, when no request is left on a revision that lost its
    /// traffic, or the drain timeout has passed.
    Route {
        /// The route.
        route: Route,
        /// Whether to wait for the drain.
        drain: bool,
    },
    /// Puts a second way in to a slot in place of the one it has, or closes it: people look at a
    /// revision there that has no traffic. Answered as [`Route`](Self::Route) without drain.
    Preview {
        /// Of what.
        slot: Slot,
        /// The route, of the same slot; none = nothing is to be seen any more.
        route: Option<Route>,
    },
    /// Forgets the route of a slot and closes its listener when nobody else uses it.
    Remove {
        /// Whose route.
        slot: Slot,
    },
    /// Tells the routes, counts and latencies.
    State,
    /// Hands the listening sockets to the process that asks (as SCM_RIGHTS) and drains.
    Handover,
    /// Ends the gateway.
    Stop,
}

/// An answer of the gateway.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum GatewayResponse {
    /// It is done. `drained` is false when requests were still running at the drain timeout.
    Done {
        /// Whether nothing was left on the revisions that lost their traffic.
        drained: bool,
    },
    /// The state.
    State {
        /// All of it.
        state: GatewayState,
    },
    /// It was not done.
    Refused {
        /// Why, and what to do.
        message: String,
    },
}

/// What the gateway does at this moment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GatewayState {
    /// Process id of the gateway.
    pub pid: u32,
    /// Its version.
    pub version: String,
    /// Open connections from users.
    pub connections: u64,
    /// Connections that were refused because too many were open.
    #[serde(default)]
    pub connections_refused: u64,
    /// The routes and what went through them.
    pub routes: Vec<RouteState>,
    /// The second ways in, where people look at what has no traffic.
    #[serde(default)]
    pub previews: Vec<RouteState>,
}

/// A route and what went through it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RouteState {
    /// The route.
    pub route: Route,
    /// Requests that found nobody to serve them.
    pub unserved: u64,
    /// Counts per revision, those that lost their traffic and are still draining included.
    pub revisions: Vec<RevisionTraffic>,
}

/// What one revision was asked since the gateway knows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RevisionTraffic {
    /// Which revision.
    pub revision: RevisionId,
    /// Its address.
    pub address: String,
    /// Its weight now; 0 = draining.
    pub weight: u32,
    /// Requests that were finished.
    pub requests: u64,
    /// Answers with a status from 500, and failures to get one.
    pub errors: u64,
    /// Requests under way.
    pub in_flight: u64,
    /// Median time to the head of the answer.
    pub p50_ms: f64,
    /// 95 of 100 were faster.
    pub p95_ms: f64,
    /// 99 of 100 were faster.
    pub p99_ms: f64,
}
