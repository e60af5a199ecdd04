//! Manifests: checked here, applied there.

use super::{arguments::Global, client::Client, error::Failure, exit, print};
use crate::out::say;
use lockstep_model::{
    api::{ApplyManifest, ManifestApply},
    error::{ErrorBody, ErrorKind},
    view::ManifestView,
};
use std::{io::Read, path::Path};

pub(super) fn check(global: &Global, path: &Path) -> Result<u8, Failure> {
    let (file, source) = read(path)?;
    match lockstep_manifest::parse(&file, &source) {
        Ok(manifest) => {
            if global.json {
                print::json(&manifest)?;
            } else {
                let count = manifest.services.len();
                let services = if count == 1 { "service" } else { "services" };
                say!(
                    "{file} is right: project {}, {count} {services}, environments {}",
                    manifest.project,
                    manifest.environments.keys().map(ToString::to_string).collect::<Vec<_>>().join(", ")
                );
            }
            Ok(exit::SUCCEEDED)
        }
        Err(problems) => {
            let message = format!("{file} has {} problems", problems.len());
            Err(ErrorBody { problems, ..ErrorBody::new(ErrorKind::Invalid, message) }.into())
        }
    }
}

pub(super) fn schema() -> Result<u8, Failure> {
    print::json(&lockstep_manifest::schema())?;
    Ok(exit::SUCCEEDED)
}

pub(super) async fn apply(global: &Global, client: &Client, path: &Path) -> Result<u8, Failure> {
    let view = send(client, path).await?;
    if global.json {
        print::json(&view)?;
    } else {
        say!("applied to project {}: {}", view.project, view.digest);
        say!("next: lockstep plan, or lockstep deploy --wait");
    }
    Ok(exit::SUCCEEDED)
}

/// Applies a manifest.
pub(super) async fn send(client: &Client, path: &Path) -> Result<ManifestView, Failure> {
    let (file, source) = read(path)?;
    client.call(ManifestApply, &ApplyManifest { file, source }).await
}

fn read(path: &Path) -> Result<(String, String), Failure> {
    if path == Path::new("-") {
        let mut source = String::new();
        std::io::stdin()
            .take(lockstep_manifest::SOURCE_BYTES_MAX as u64 + 1)
            .read_to_string(&mut source)
            .map_err(|error| Failure::refused(format!("standard input cannot be read: {error}")))?;
        return Ok(("standard input".to_owned(), source));
    }
    let shown = path.display().to_string();
    let source = std::fs::read_to_string(path).map_err(|error| {
        let advice = match error.kind() {
            std::io::ErrorKind::NotFound => {
                "; name the manifest, or write one: `lockstep schema` says what may stand in it"
            }
            _ => "",
        };
        Failure::refused(format!("{shown} cannot be read: {error}{advice}"))
    })?;
    Ok((shown, source))
}
