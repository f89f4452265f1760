//! Interfaces that a plugin may have: found one by one, and only where its author exports them.

use dbbackup_plugin_host::Plugin;
use dbbackup_protocol::{
    contract::{Fact, Request},
    optional::{Answer, Failure},
};
use serde_json::json;

use crate::support::{component, host, misbehaving, request};

fn load(package: &str) -> Plugin {
    host().load(&component(package), package).unwrap()
}

fn failure(stderr: &str) -> Failure {
    let fact = |key: &str, value: &str| Fact { key: key.into(), value: value.into() };
    Failure {
        phase: "dump".into(),
        part: Some("database".into()),
        exit_code: Some(1),
        signal: None,
        stderr: stderr.into(),
        facts: vec![fact("host", "db"), fact("port", "5432")],
    }
}

fn with_settings(plugin: &Plugin, database_type: &str) -> Request {
    let own =
        if database_type == "generic" { json!({"argv": ["dump"], "probe": ["ask"]}) } else { json!({}) };
    let filled = plugin.validate_settings(own.as_object()).unwrap();
    Request { settings: serde_json::Value::Object(filled).to_string(), ..request(database_type, "orders") }
}

#[test]
fn a_plugin_without_them_is_none_the_worse() {
    let plain = load("plain-guest");
    for (plugin, database_type) in [(&plain, "plain-type"), (misbehaving(), "misbehaving-type")] {
        let request = request(database_type, "ok");
        assert!(plugin.plan(&request).unwrap().is_ok());
        assert!(plugin.probe_plan(&request).is_none());
        assert!(plugin.probe_read(&request, &[]).is_none());
        assert_eq!(plugin.explain(&failure("FATAL")), Ok(None));
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
        let answer = |name: &String| Answer {
            name: name.clone(),
            exit_code: Some(1),
            stdout: String::new(),
            stderr: "connection refused".into(),
            truncated: false,
        };
        let answers: Vec<_> = plan.queries.iter().map(|query| answer(&query.name)).collect();
        let findings = plugin.probe_read(&request, &answers).unwrap().unwrap();
        assert_eq!(findings.problems[0].reason, "ConnectionRefused", "{package}");
        let found = plugin.explain(&failure("dial tcp: connection refused")).unwrap().unwrap();
        assert_eq!((found.reason.as_str(), found.retryable), ("ConnectionRefused", true));
        assert!(found.message.contains("db:5432"), "{}", found.message);
        assert_eq!(plugin.explain(&failure("what nobody ever said")), Ok(None));
    }
}
