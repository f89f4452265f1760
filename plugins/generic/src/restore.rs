//! The way back: a second command of the user's gets what the first one has left.

use db_backup_plugin_sdk::{
    Input, Issue, Issues, Mode, Output, PartRestore, Refusal, Restore, RestorePlan, RestoreRequest, both,
};

use crate::{Generic, process, settings::Settings};

impl Restore for Generic {
    fn restore(request: &RestoreRequest, settings: &Settings) -> Result<RestorePlan, Refusal> {
        let (input, ()) = both(settings.output.output(), possible(request))?;
        if settings.restore_argv.is_empty() {
            let message = "missing; say which command of spec.image restores a dump, or restore by hand as the manifest says";
            return Err(Issue::new("/settings/restoreArgv", "ArgvMissing", message).into());
        }
        let restore = process(&request.target, settings, ("restoreArgv", &settings.restore_argv))?;
        let part = PartRestore::new("dump", restore).required().input(match input {
            Output::Stdout => Input::Stdin,
            Output::File(path) => Input::File(path),
            Output::Directory(path) => Input::Directory(path),
        });
        let part = if settings.restore_contents_argv.is_empty() {
            part
        } else {
            let argv = ("restoreContentsArgv", settings.restore_contents_argv.as_slice());
            part.contents(process(&request.target, settings, argv)?)
        };
        let plan = RestorePlan::new().part(part);
        Ok(settings.scratch_mebibytes.into_iter().fold(plan, RestorePlan::scratch_mebibytes))
    }
}

/// Nobody but the user knows what is in a dump, or how a target is emptied.
fn possible(request: &RestoreRequest) -> Result<(), Refusal> {
    let mut issues = Issues::new();
    let whole = "a dump of the generic plugin comes back as a whole; leave it out";
    for (path, wanted) in
        [("/databases", !request.databases.is_empty()), ("/renames", !request.renames.is_empty())]
    {
        if wanted {
            issues.add(path, "SelectionNotSupported", whole);
        }
    }
    if request.mode == Mode::Replace {
        issues.add(
            "/mode",
            "ReplaceNotSupported",
            "empty the target yourself; the generic plugin does not know how",
        );
    }
    issues.refuse_any()
}

#[cfg(test)]
mod tests {
    use db_backup_plugin_sdk::{
        Effect, Rename, Request,
        testing::{argv, restore_of},
    };
    use serde_json::{Value as Json, json};

    use super::*;

    fn request(settings: &Json) -> RestoreRequest {
        RestoreRequest::example(Request::example("generic").with_settings(settings))
    }

    #[test]
    fn the_command_gets_what_the_other_one_left() {
        for (output, input) in [
            (json!({"type": "stdout"}), Input::Stdin),
            (json!({"type": "file", "path": "a/b"}), Input::File("a/b".into())),
            (json!({"type": "directory", "path": "a"}), Input::Directory("a".into())),
        ] {
            let settings = json!({
                "argv": ["dump"], "restoreArgv": ["load", "{scratchDir}/x"], "restoreContentsArgv": ["ls"],
                "output": output, "scratchMebibytes": 7
            });
            let plan = restore_of::<Generic>(&request(&settings));
            let [part] = &plan.parts[..] else { panic!("{plan:?}") };
            assert_eq!((&part.load.input, part.load.effect), (&input, Effect::Gradual));
            assert_eq!(argv(&part.load.process), ["load", "/run/db-backup/scratch/x"]);
            assert_eq!(argv(part.contents.as_ref().unwrap()), ["ls"]);
            assert_eq!(plan.scratch_mebibytes, Some(7));
        }
    }

    #[test]
    fn what_it_cannot_do_is_refused() {
        let refused = |request: &RestoreRequest| {
            let issues = db_backup_plugin_sdk::restore::<Generic>(request).unwrap_err().issues;
            issues.into_iter().map(|issue| issue.path).collect::<Vec<_>>()
        };
        assert_eq!(refused(&request(&json!({"argv": ["dump"]}))), ["/settings/restoreArgv"]);
        let renames = vec![Rename { source: "a".into(), target: "b".into() }];
        let all = RestoreRequest {
            databases: vec!["a".into()],
            renames,
            mode: Mode::Replace,
            ..request(&json!({"restoreArgv": ["load"]}))
        };
        assert_eq!(refused(&all), ["/databases", "/renames", "/mode"]);
        assert_eq!(refused(&request(&json!({"restoreArgv": ["./load"]}))), ["/settings/restoreArgv/0"]);
    }
}
