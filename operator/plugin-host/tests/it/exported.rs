//! Interfaces that a plugin may have: found one by one, only where its author exports them, and contained like the others.

use dbbackup_plugin_host::{CallError, Plugin};
use dbbackup_protocol::{
    contract::{Fact, Request},
    optional::{Answer, Failure},
    restore::{Effect, Input, Mode, Rename, RestoreRequest},
};
use serde_json::json;

use crate::support::{component, host, misbehaving, request};

fn load(package: &str) -> Plugin {
    host().load(&component(package), package).unwrap()
}

fn failure(phase: &str, stderr: &str) -> Failure {
    let fact = |key: &str, value: &str| Fact { key: key.into(), value: value.into() };
    Failure {
        phase: phase.into(),
        part: Some("database".into()),
        exit_code: Some(1),
        signal: None,
        stderr: stderr.into(),
        facts: vec![fact("host", "db"), fact("port", "5432")],
    }
}

fn answer(name: &str, exit_code: i32, stdout: &str, stderr: &str) -> Answer {
    Answer {
        name: name.into(),
        exit_code: Some(exit_code),
        stdout: stdout.into(),
        stderr: stderr.into(),
        truncated: false,
    }
}

fn restore(target: Request) -> RestoreRequest {
    let renames = vec![Rename { source: "a".into(), target: "b".into() }];
    RestoreRequest { target, databases: vec!["c".into()], renames, mode: Mode::Replace, facts: vec![] }
}

fn with_settings(plugin: &Plugin, database_type: &str) -> Request {
    let own =
        if database_type == "generic" { json!({"argv": ["dump"], "probe": ["ask"]}) } else { json!({}) };
    let filled = plugin.validate_settings(own.as_object()).unwrap();
    Request { settings: serde_json::Value::Object(filled).to_string(), ..request(database_type, "orders") }
}

#[test]
fn a_plugin_without_them_is_none_the_worse() {
    let (plugin, request) = (load("plain-guest"), request("plain-type", "ok"));
    assert!(plugin.plan(&request).unwrap().is_ok());
    assert!(plugin.probe_plan(&request).is_none());
    assert!(plugin.probe_read(&request, &[]).is_none());
    assert_eq!(plugin.explain(&failure("dump", "FATAL")), Ok(None));
    assert!(plugin.restore_plan(&restore(request)).is_none());
}

#[test]
fn they_are_found_one_by_one() {
    let plugin = misbehaving();
    let plan = plugin.probe_plan(&request("misbehaving-type", "ok")).unwrap().unwrap().unwrap();
    assert_eq!(plan.queries[0].name, "version");
    assert_eq!(plugin.explain(&failure("dump", "")).unwrap(), None);
    assert!(plugin.explain(&failure("sleep", "")).unwrap().unwrap().message.contains("3600"));
    let plan = plugin.restore_plan(&restore(request("misbehaving-type", "ok"))).unwrap().unwrap().unwrap();
    let [part] = &plan.parts[..] else { panic!("{plan:?}") };
    assert_eq!((&part.load.input, part.load.effect), (&Input::Directory("in".into()), Effect::AtEnd));
    assert_eq!((part.create.len(), part.clear.len(), part.finish.len()), (1, 0, 2));
    let told = &part.create[0].purpose;
    assert!(["\"c\"", "\"a\"", "\"b\"", "Replace"].iter().all(|word| told.contains(word)), "{told}");
    let refused = plugin.restore_plan(&restore(request("misbehaving-type", "refuse"))).unwrap().unwrap();
    assert_eq!(refused.unwrap_err()[0].reason, "NotNow");
}

#[test]
fn each_function_is_contained() {
    let causes = |answer: Result<(), CallError>| answer.map_err(|error| error.reason());
    for (name, cause) in [
        ("panic", "PluginPanicked"),
        ("trap", "PluginTrapped"),
        ("recurse", "PluginTrapped"),
        ("allocate", "PluginOutOfMemory"),
        ("spin", "PluginOutOfFuel"),
        ("huge", "PluginLimitExceeded"),
        ("garbage-pointer", "PluginBadOutput"),
        ("not-utf-8", "PluginBadOutput"),
    ] {
        let (plugin, request) = (misbehaving(), request("misbehaving-type", name));
        let answer = answer("version", 0, "1", "");
        assert_eq!(causes(plugin.plan(&request).map(drop)), Err(cause), "plan, {name}");
        assert_eq!(causes(plugin.probe_plan(&request).unwrap().map(drop)), Err(cause), "probe.plan, {name}");
        assert_eq!(
            causes(plugin.probe_read(&request, &[answer]).unwrap().map(drop)),
            Err(cause),
            "read, {name}"
        );
        assert_eq!(causes(plugin.explain(&failure(name, "")).map(drop)), Err(cause), "explain, {name}");
        let answer = plugin.restore_plan(&restore(request)).unwrap();
        assert_eq!(causes(answer.map(drop)), Err(cause), "restore.plan, {name}");
    }
}

#[test]
fn the_built_in_plugins_have_both() {
    for (package, database_type) in [
        ("postgres-plugin", "postgres"),
        ("mysql-plugin", "mysql"),
        ("mongodb-plugin", "mongodb"),
        ("generic-plugin", "generic"),
    ] {
        let plugin = load(package);
        let request = with_settings(&plugin, database_type);
        let plan = plugin.probe_plan(&request).unwrap().unwrap().unwrap();
        assert!(!plan.queries.is_empty(), "{package}");
        let answers: Vec<_> =
            plan.queries.iter().map(|query| answer(&query.name, 1, "", "connection refused")).collect();
        let findings = plugin.probe_read(&request, &answers).unwrap().unwrap();
        assert_eq!(findings.problems[0].reason, "ConnectionRefused", "{package}");
        let found = plugin.explain(&failure("dump", "dial tcp: connection refused")).unwrap().unwrap();
        assert_eq!((found.reason.as_str(), found.retryable), ("ConnectionRefused", true));
        assert!(found.message.contains("db:5432"), "{}", found.message);
        assert_eq!(plugin.explain(&failure("dump", "what nobody ever said")), Ok(None));
    }
}
