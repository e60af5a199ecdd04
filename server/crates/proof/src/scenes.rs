//! What is proved at each write: a chain, a diamond, a fan, one of every strategy, a release that is
//! taken back by hand, and releases of which one service is.

use lockstep_engine::testing::{command_spec, manifest, process_spec, staging};
use lockstep_model::manifest::{Manifest, Strategy};

/// One of them.
#[derive(Debug, Clone)]
pub struct Scene {
    /// What people call it.
    pub name: &'static str,
    /// Services and edges.
    pub manifest: Manifest,
    /// A step that fails.
    pub failing: Option<&'static str>,
    /// The last thing is that the release is taken back.
    pub restores: bool,
    /// When it asks an operator, this service is taken back and the others go on.
    pub part: Option<&'static str>,
}

/// All of them.
pub fn scenes() -> Vec<Scene> {
    let scene = |name, manifest, failing, restores| Scene { name, manifest, failing, restores, part: None };
    let part = |name, manifest: Manifest, failing, part| Scene {
        name,
        manifest: asking(manifest),
        failing: Some(failing),
        restores: false,
        part: Some(part),
    };
    let chain = || manifest(3, &[(1, 0), (2, 1)], &process_spec());
    let diamond = || manifest(4, &[(1, 0), (2, 0), (3, 1), (3, 2)], &process_spec());
    let fan = || manifest(5, &[(1, 0), (2, 0), (3, 0), (4, 0)], &process_spec());
    vec![
        scene("a chain whose last watch fails", chain(), Some("s0002.watch"), false),
        scene("a diamond whose top does not verify", diamond(), Some("s0003.verify"), false),
        scene("one of every strategy that fails late", mixed(), Some("s0002.watch"), false),
        scene("a fan that succeeds", fan(), None, false),
        scene("a chain that is taken back by hand", chain(), None, true),
        part("a chain whose last service is taken back alone", chain(), "s0002.watch", "s0002"),
        part("a diamond one side of which is taken back", diamond(), "s0001.verify", "s0001"),
    ]
}

/// The same, where a failure asks an operator.
fn asking(mut manifest: Manifest) -> Manifest {
    for service in manifest.services.values_mut() {
        service.environments.get_mut(&staging()).expect("it is there").rollback.auto = false;
    }
    manifest
}

fn mixed() -> Manifest {
    let mut mixed = manifest(3, &[(1, 0), (2, 1)], &process_spec());
    for (place, service) in mixed.services.values_mut().enumerate() {
        let spec = service.environments.get_mut(&staging()).expect("it is there");
        match place {
            0 => *spec = command_spec(),
            1 => spec.strategy = Strategy::Recreate,
            _ => {}
        }
    }
    mixed
}
