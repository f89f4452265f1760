//! Requests and what is planned for them.

use db_backup_plugin_sdk::{
    Connection, Output, Plugin, Request,
    testing::{
        argv, assert_settings_agree, assert_settings_matter_to_some, env, issues_of, parts, plan_of,
        processes,
    },
};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use crate::Generic;

fn request() -> Request {
    Request::example("generic").with_bindings(&["password"])
}

fn with_argv(settings: &Json) -> Json {
    let mut settings = settings.clone();
    settings["argv"] = json!(["dump"]);
    settings
}

#[test]
fn settings_and_schema_agree() {
    assert_settings_agree::<Generic>();
    let samples = [
        json!({"probe": ["ask"]}),
        json!({"env": {"A": "b"}}),
        json!({"secretEnv": {"A": "password"}}),
        json!({"output": {"type": "file", "path": "x"}}),
        json!({"extension": "rdb"}),
        json!({"mediaType": "application/gzip"}),
        json!({"scratchMebibytes": 5}),
        json!({"successExitCodes": [0, 1]}),
        json!({"minimumBytes": 5}),
        json!({"header": "x"}),
        json!({"tail": "x"}),
        json!({"stderrRequired": "x"}),
        json!({"verifierArgv": ["x"]}),
        json!({"restoreArgv": ["x"]}),
        json!({"restoreArgv": ["x"], "restoreContentsArgv": ["y"]}),
    ];
    let samples: Vec<_> = [json!({})].iter().chain(&samples).map(with_argv).collect();
    assert_settings_matter_to_some::<Generic>(&request(), &samples);
}

#[test]
fn the_users_image_runs_the_users_command() {
    let settings = json!({
        "argv": ["/bin/x", "", "--to={scratchDir}/a", "$(x)"], "env": {"A": "$B"}, "secretEnv": {"P": "password"},
        "output": {"type": "directory", "path": "a/b"}, "successExitCodes": [0, 3], "minimumBytes": 10,
        "header": "H", "tail": "T", "stderrRequired": "S", "scratchMebibytes": 7, "extension": "x",
        "verifierArgv": ["check", "{scratchDir}", "-"],
    });
    let mut connection = Connection::example("db").with_database("name");
    connection.port = Some(99);
    let plan = plan_of::<Generic>(&request().with_connection(connection).with_settings(&settings));
    assert_eq!((plan.image.as_ref(), plan.scratch_mebibytes), (None, Some(7)));
    let [part] = parts(&plan)[..] else { panic!("{plan:?}") };
    assert_eq!(argv(&part.process), ["/bin/x", "", "--to=/run/db-backup/scratch/a", "$(x)"]);
    for (name, value) in
        [("A", "$B"), ("P", "{password}"), ("DB_HOST", "db"), ("DB_PORT", "99"), ("DB_NAME", "name")]
    {
        assert_eq!(env(&part.process, name).as_deref(), Some(value), "{name}");
    }
    assert_eq!(part.output, Output::Directory("a/b".into()));
    assert_eq!((part.extension.as_str(), part.media_type.as_str()), ("tar", "application/x-tar"));
    assert_eq!((&part.completion.exit_codes[..], part.completion.minimum_bytes), (&[0, 3][..], 10));
    assert_eq!(part.completion.header.as_deref(), Some(&b"H"[..]));
    assert_eq!(part.completion.tail.as_ref().map(|tail| &tail.bytes[..]), Some(&b"T"[..]));
    assert_eq!(part.completion.stderr_required.as_deref(), Some("S"));
    let verifier = part.completion.verifier.as_ref().unwrap();
    assert_eq!(argv(verifier), ["check", "/run/db-backup/scratch", "-"]);
    assert_eq!((env(verifier, "A").as_deref(), env(verifier, "P")), (Some("$B"), None), "it needs no secret");
    assert_eq!(part.restore_command, None, "only the user knows");
}

#[test]
fn the_users_variables_win() {
    let request = request()
        .with_connection(Connection::example("db"))
        .with_settings(&with_argv(&json!({"env": {"DB_HOST": "other"}})));
    let plan = plan_of::<Generic>(&request);
    let hosts = processes(&plan)[0].env.iter().filter(|variable| variable.name == "DB_HOST").count();
    assert_eq!((hosts, env(processes(&plan)[0], "DB_HOST").as_deref()), (1, Some("other")));
}

#[test]
fn standing_in_for_an_unknown_type_it_says_so() {
    let refusal = db_backup_plugin_sdk::plan::<Generic>(&Request::example("oracle")).unwrap_err();
    let [issue] = &refusal.issues[..] else { panic!("{refusal:?}") };
    assert_eq!((issue.path.as_str(), issue.reason.as_str()), ("/settings/argv", "ArgvMissing"));
    assert!(
        issue.message.contains("no plugin serves the type \"oracle\"")
            && issue.message.contains("spec.image")
    );
    let refusal = db_backup_plugin_sdk::plan::<Generic>(&Request::example("generic")).unwrap_err();
    assert!(!refusal.issues[0].message.contains("no plugin"));
    let served = Request::example("oracle").with_settings(&with_argv(&json!({})));
    assert_eq!(argv(processes(&plan_of::<Generic>(&served))[0]), ["dump"]);
}

#[test]
fn what_is_wrong_is_named() {
    let at = |path: &str, reason: &str| (path.to_owned(), reason.to_owned());
    let invalid = |path: &str| at(path, "SettingInvalid");
    for (settings, expected) in [
        (json!({"env": {"1A": ""}}), invalid("/settings/env/1A")),
        (json!({"env": {"a/b": ""}}), invalid("/settings/env/a~1b")),
        (json!({"env": {"": ""}}), invalid("/settings/env/")),
        (json!({"env": {"A": "\u{0}"}}), invalid("/settings/env/A")),
        (json!({"secretEnv": {"A": "secret"}}), invalid("/settings/secretEnv/A")),
        (json!({"secretEnv": {"A": "token"}}), at("/settings/secretEnv/A", "CredentialsMissing")),
        (
            json!({"secretEnv": {"A": "password"}, "env": {"A": ""}}),
            at("/settings/secretEnv/A", "SettingsConflict"),
        ),
        (json!({"output": {"type": "file"}}), invalid("/settings/output/path")),
        (json!({"output": {"path": "x"}}), invalid("/settings/output/path")),
        (json!({"output": {"type": "file", "path": "/x"}}), invalid("/settings/output/path")),
        (json!({"output": {"type": "directory", "path": "a/../../x"}}), invalid("/settings/output/path")),
        (json!({"output": {"type": "file", "path": "a\nb"}}), invalid("/settings/output/path")),
        (json!({"output": {"type": "pipe"}}), invalid("/settings/output/type")),
        (json!({"extension": "../x"}), invalid("/settings/extension")),
        (json!({"minimumBytes": 0}), invalid("/settings/minimumBytes")),
        (json!({"minimumBytes": -1}), invalid("/settings/minimumBytes")),
        (json!({"successExitCodes": []}), invalid("/settings/successExitCodes")),
        (json!({"successExitCodes": [256]}), invalid("/settings/successExitCodes")),
        (json!({"tail": "x".repeat(1025)}), invalid("/settings/tail")),
        (json!({"header": ""}), invalid("/settings/header")),
        (json!({"scratchMebibytes": "1Gi"}), invalid("/settings/scratchMebibytes")),
        (json!({"verifierArgv": ["-c"]}), invalid("/settings/verifierArgv/0")),
        (json!({"verifierArgv": ["a", "b\u{0}"]}), invalid("/settings/verifierArgv/1")),
        (json!({"image": "x"}), invalid("/settings/image")),
    ] {
        let request = request().with_settings(&with_argv(&settings));
        assert_eq!(issues_of::<Generic>(&request), [expected], "{settings}");
    }
    for argv in
        ["", "-c", "{scratchDir}/x", "bin/dump", "/bin/../dump", "/", "a\nb"].map(|program| json!([program]))
    {
        let request = request().with_settings(&json!({"argv": argv}));
        assert_eq!(issues_of::<Generic>(&request), [invalid("/settings/argv/0")], "{argv}");
    }
    let probe = request().with_settings(&with_argv(&json!({"probe": ["-x"]})));
    assert_eq!(issues_of::<Generic>(&probe), [invalid("/settings/probe/0")]);
    let nul = request().with_settings(&json!({"argv": ["a", "b\u{0}"]}));
    assert_eq!(issues_of::<Generic>(&nul), [invalid("/settings/argv/1")]);
}

#[test]
fn every_binding_can_be_used() {
    for binding in Generic::describe().bindings {
        assert!(!binding.required);
        let settings = with_argv(&json!({"secretEnv": {"A": binding.name}}));
        let request = request().with_bindings(&[&binding.name]).with_settings(&settings);
        assert_eq!(
            env(processes(&plan_of::<Generic>(&request))[0], "A"),
            Some(format!("{{{}}}", binding.name))
        );
    }
}

proptest! {
    /// What the user writes arrives as it is: no word is split, joined or read.
    #[test]
    fn words_stay_words(words in proptest::collection::vec("[^\u{0}{]{0,12}", 0..5), value in "[^\u{0}]{0,12}") {
        let argv_given: Vec<_> = ["x".to_owned()].into_iter().chain(words).collect();
        let settings = json!({"argv": argv_given, "env": {"A": value}});
        let plan = plan_of::<Generic>(&request().with_settings(&settings));
        prop_assert_eq!(&argv(processes(&plan)[0]), &argv_given);
        prop_assert_eq!(env(processes(&plan)[0], "A"), Some(value));
    }
}
