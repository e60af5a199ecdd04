//! The example in `server/examples/web` is a manifest that Lockstep reads, and every file that it
//! names is there.

use lockstep_manifest::parse;
use lockstep_model::{
    ServiceName, Version,
    manifest::{Strategy, Target},
    template::{self, Vars},
};
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/web")
}

#[test]
fn the_web_example_is_read_and_its_artifacts_are_there() {
    let folder = folder();
    let source = std::fs::read_to_string(folder.join("lockstep.yaml")).expect("the example is there");
    let source = source.replace("@DIR@", folder.to_str().expect("UTF-8"));
    // A checkout below a path with `..` must not matter to what is tested here.
    let source = source.replace("/server/crates/manifest/../../examples/", "/server/examples/");
    let manifest = parse("lockstep.yaml", &source).unwrap_or_else(|problems| panic!("{problems:#?}"));
    assert_eq!(manifest.services.len(), 3);
    for (name, service) in &manifest.services {
        assert_eq!(service.environments.len(), 1);
        for spec in service.environments.values() {
            let path = &spec.artifact.as_ref().expect("each has an artifact").path;
            for version in ["1.0.0", "1.1.0"] {
                let version: Version = version.parse().expect("valid");
                let path = template::render(path, Vars { version: &version, port: None }).expect("valid");
                assert!(folder.join(&path).exists(), "{name}: {path}");
            }
        }
    }
    let report = &manifest.services[&"report".parse::<ServiceName>().expect("valid")];
    let spec = report.environments.values().next().expect("one environment");
    assert_eq!(spec.strategy, Strategy::Recreate);
    match &spec.target {
        Target::Command(command) => assert!(command.observe.is_some() && command.undo.is_some()),
        Target::Process(_) => panic!("report is a command"),
    }
}
