//! How the services of an environment need each other, laid out to be drawn.

use crate::{EnvironmentName, ProjectName, ServiceName};
use serde::{Deserialize, Serialize};

/// How wide a service is drawn.
pub const NODE_WIDTH: u32 = 180;
/// How high.
pub const NODE_HEIGHT: u32 = 44;
/// The most services that are laid out; more cannot be read, and take long.
pub const DRAWN_MAX: usize = 300;

/// A service and where it is drawn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GraphNode {
    /// The service.
    pub service: ServiceName,
    /// Its left edge.
    pub x: u32,
    /// Its upper edge.
    pub y: u32,
}

/// Services from left to right: what is needed stands left of what needs it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GraphView {
    /// Their project.
    pub project: ProjectName,
    /// Their environment.
    pub environment: EnvironmentName,
    /// By name; none when there are more than can be drawn.
    pub nodes: Vec<GraphNode>,
    /// Places in `nodes`: the first is needed by the second.
    pub edges: Vec<(u32, u32)>,
    /// How wide it is in all.
    pub width: u32,
    /// How high.
    pub height: u32,
    /// How many services there are.
    pub count: u32,
}
