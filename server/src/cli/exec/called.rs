//! How the wrapper was called: by its own name, or through a link that is named like a script. The
//! plan's flags are taken out wherever they stand, since no script knows them.

use super::{Failure, Plan};
use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

/// How this program was called.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::cli) enum Called {
    /// As itself.
    Itself,
    /// As a script, orchestrated: the arguments as if it had been called as `lockstep exec`.
    Wrapping(Vec<OsString>),
    /// As a script that is not orchestrated: it is run as if there were no wrapper.
    Script(PathBuf, Vec<OsString>),
    /// As a script that is not there.
    Nothing(PathBuf),
}

/// Finds out by the name under which the program was called; `script` is where the script is, when
/// `LOCKSTEP_SCRIPT` says so.
pub(in crate::cli) fn called(mut arguments: Vec<OsString>, script: Option<PathBuf>) -> Called {
    let Some(as_path) = arguments.first().map(PathBuf::from) else { return Called::Itself };
    let Some(name) = as_path.file_name().and_then(|name| name.to_str()).map(ToOwned::to_owned) else {
        return Called::Itself;
    };
    let Some(stem) = name.strip_suffix(".sh") else { return Called::Itself };
    let real = script.unwrap_or_else(|| place(&as_path, &name).with_file_name(format!("{stem}.real.sh")));
    if !real.is_file() {
        return Called::Nothing(real);
    }
    let rest: Vec<OsString> = arguments.drain(1..).collect();
    if !rest.iter().any(|argument| argument == "--orchestrated") {
        return Called::Script(real, rest);
    }
    let mut wrapping: Vec<OsString> =
        ["lockstep", "exec", "--script", &name, "--"].into_iter().map(Into::into).collect();
    wrapping.push(real.into_os_string());
    wrapping.extend(rest);
    Called::Wrapping(wrapping)
}

/// Where a link is that was called: its path, or found along PATH.
fn place(as_path: &Path, name: &str) -> PathBuf {
    if as_path.components().count() > 1 {
        return as_path.to_owned();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file());
    found.unwrap_or_else(|| as_path.to_owned())
}

/// Moves the plan's flags out of a script's arguments, `--flag=value` and `--flag value`; what was said
/// before `--` counts more.
pub(super) fn take_plan(plan: &mut Plan, command: &mut Vec<String>) -> Result<(), Failure> {
    let mut left = Vec::with_capacity(command.len());
    let mut given = std::mem::take(command).into_iter();
    left.extend(given.next());
    while let Some(argument) = given.next() {
        if argument == "--orchestrated" {
            plan.orchestrated = true;
            continue;
        }
        let (flag, value) = match argument.split_once('=') {
            Some((flag, value)) => (flag, Some(value.to_owned())),
            None => (argument.as_str(), None),
        };
        if !["--deployment-id", "--coordination-endpoint", "--health-monitor"].contains(&flag) {
            left.push(argument);
            continue;
        }
        let Some(value) = value.or_else(|| given.next()) else {
            return Err(Failure::refused(format!("{flag} needs a value")));
        };
        match flag {
            "--deployment-id" if plan.deployment_id.is_none() => {
                let id = value.parse();
                plan.deployment_id = Some(id.map_err(|error: lockstep_model::scalar::InvalidText| {
                    Failure::refused(error.to_string())
                })?);
            }
            "--coordination-endpoint" => {
                plan.coordination_endpoint.get_or_insert(value);
            }
            "--health-monitor" => {
                plan.health_monitor.get_or_insert(value);
            }
            _ => {}
        }
    }
    *command = as_known(left);
    Ok(())
}

/// What a script of which we know it takes in one form only, in that form: `--project=x` ends it with
/// "unknown option", `--project x` does not. Other scripts get what was written.
fn as_known(command: Vec<String>) -> Vec<String> {
    const SCRIPT: &str = "deploy-cloudrun-direct";
    const FLAGS: [&str; 3] = ["--project", "--region", "--port"];
    let file = command.first().map(Path::new).and_then(Path::file_name).and_then(|name| name.to_str());
    let is_known =
        file.is_some_and(|name| [".sh", ".real.sh"].iter().any(|end| *name == format!("{SCRIPT}{end}")));
    if !is_known {
        return command;
    }
    let parts = |argument: String| match argument.split_once('=') {
        Some((flag, value)) if FLAGS.contains(&flag) => vec![flag.to_owned(), value.to_owned()],
        _ => vec![argument],
    };
    command.into_iter().flat_map(parts).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(ToOwned::to_owned).collect()
    }

    #[test]
    fn the_script_gets_only_what_is_its_own() {
        let mut plan = Plan::default();
        let mut command = words(
            "./d.sh --orchestrated --project x --deployment-id=7 --health-monitor http://h/ --force --coordination-endpoint=http://c --port 8090",
        );
        take_plan(&mut plan, &mut command).expect("taken");
        assert_eq!(command, words("./d.sh --project x --force --port 8090"));
        assert!(plan.orchestrated);
        assert_eq!(plan.deployment_id.expect("given").as_str(), "7");
        assert_eq!(plan.health_monitor.as_deref(), Some("http://h/"));
        assert_eq!(plan.coordination_endpoint.as_deref(), Some("http://c"));
    }

    #[test]
    fn a_script_that_is_known_gets_its_flags_in_the_form_that_it_takes() {
        let taken = |text: &str| {
            let mut command = words(text);
            take_plan(&mut Plan::default(), &mut command).expect("taken");
            command.join(" ")
        };
        let known =
            "./deploy-cloudrun-direct.sh --project=x --region=us-east1 --port=8090 --force --label=a=b";
        assert_eq!(
            taken(known),
            "./deploy-cloudrun-direct.sh --project x --region us-east1 --port 8090 --force --label=a=b"
        );
        assert_eq!(
            taken("a/deploy-cloudrun-direct.real.sh --project="),
            "a/deploy-cloudrun-direct.real.sh --project "
        );
        assert_eq!(taken("./deploy.sh --project=x"), "./deploy.sh --project=x");
    }

    #[test]
    fn a_flag_without_its_value_is_refused() {
        assert!(take_plan(&mut Plan::default(), &mut words("./d.sh --deployment-id")).is_err());
        assert!(take_plan(&mut Plan::default(), &mut words("./d.sh --deployment-id=a/b")).is_err());
    }

    #[test]
    fn a_link_named_like_a_script_wraps_it_only_when_it_is_orchestrated() {
        let dir = tempfile::tempdir().expect("a folder");
        let link = dir.path().join("deploy.sh");
        let arguments = |more: &[&str]| {
            let all = std::iter::once(link.as_os_str().to_owned());
            all.chain(more.iter().map(OsString::from)).collect::<Vec<_>>()
        };
        let real = dir.path().join("deploy.real.sh");
        assert_eq!(called(arguments(&[]), None), Called::Nothing(real.clone()));
        std::fs::write(&real, "").expect("written");
        assert_eq!(called(arguments(&["--help"]), None), Called::Script(real.clone(), vec!["--help".into()]));
        let Called::Wrapping(wrapping) = called(arguments(&["--orchestrated", "--force"]), None) else {
            panic!("it wraps")
        };
        assert_eq!(wrapping[..5], ["lockstep", "exec", "--script", "deploy.sh", "--"]);
        assert_eq!(called(vec!["/bin/lockstep".into()], None), Called::Itself);
    }
}
