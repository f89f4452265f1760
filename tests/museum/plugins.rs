//! Compiled plugins of the past.

use std::fs;
use std::path::Path;
use std::time::Duration;

use dbbackup_plugin_host::{Host, Limits, Plugin};
use dbbackup_protocol::contract::{Connection, Fact, Request, Server, Tls, TlsMode};
use dbbackup_protocol::optional::{Answer, Failure};
use serde_json::{Value, json};

use crate::{entries, name, repository};

/// Every exhibit of a contract's version: nothing gets lost.
const EXHIBITS: [(&str, &[&str]); 1] =
    [("0.1.0", &["go", "javascript-quickjs", "rust-component", "rust-sdk", "rust-unknown", "rust-wasip2"])];

#[test]
fn every_exhibit_answers_as_it_always_did() {
    // Out of reach of a busy machine; fuel and memory are bounded as in production.
    let host = Host::new(Limits { deadline: Duration::from_mins(5), ..Limits::default() }).unwrap();
    for (version, expected) in EXHIBITS {
        let room = repository(&format!("tests/museum/plugins/{version}"));
        let mut found = vec![];
        for exhibit in entries(&room).into_iter().filter(|path| path.extension().is_some_and(|e| e == "wasm"))
        {
            let bytes = fs::read(&exhibit).unwrap();
            let plugin = host
                .load(&bytes, &name(&exhibit))
                .unwrap_or_else(|error| panic!("{} does not load any more: {error}", exhibit.display()));
            compare(&exhibit.with_extension("json"), &answers(&plugin));
            found.push(name(&exhibit).replace(".wasm", ""));
        }
        assert_eq!(found, expected, "exhibits of {version}");
    }
}

/// Whether the answers are the golden ones. `MUSEUM_NEW` writes those of a new exhibit; none is ever written anew.
fn compare(golden: &Path, answers: &Value) {
    if !golden.exists() && std::env::var_os("MUSEUM_NEW").is_some() {
        fs::write(golden, format!("{answers:#}\n")).unwrap();
    }
    let text = fs::read_to_string(golden).unwrap_or_else(|error| panic!("{}: {error}", golden.display()));
    let expected: Value = serde_json::from_str(&text).unwrap();
    assert!(*answers == expected, "{} is not what came back: {answers:#}", golden.display());
}

/// Everything that a plugin can be asked.
fn answers(plugin: &Plugin) -> Value {
    let request = request();
    let mut nowhere = request.clone();
    nowhere.connection = None;
    let asked = |name: &str, exit_code| Answer {
        name: name.into(),
        exit_code,
        stdout: "17.2\n".into(),
        stderr: "as it was".into(),
        truncated: true,
    };
    let failure = Failure {
        phase: "dump".into(),
        part: Some("one".into()),
        exit_code: None,
        signal: Some(9),
        stderr: "out of luck".into(),
        facts: request.facts.clone(),
    };
    json!({
        "description": plugin.description(),
        "check": plugin.check(&request).unwrap(),
        "plan": plugin.plan(&request).unwrap().unwrap(),
        "refusal": plugin.plan(&nowhere).unwrap().unwrap_err(),
        "probePlan": plugin.probe_plan(&request).map(|answer| answer.unwrap().unwrap()),
        "findings": plugin.probe_read(&request, &[asked("version", Some(0)), asked("size", None)]).map(Result::unwrap),
        "diagnosis": plugin.explain(&failure).unwrap(),
    })
}

/// With a value in every field.
fn request() -> Request {
    let fact = |key: &str, value: &str| Fact { key: key.into(), value: value.into() };
    let file = |name: &str| Some(format!("/tls/{name}"));
    Request {
        namespace: "shop".into(),
        name: "orders".into(),
        database_type: "museum".into(),
        connection: Some(Connection {
            host: "db.shop.svc".into(),
            port: Some(4711),
            database: Some("a \"b\" \u{e9}\u{1f600}\n".into()),
            tls: Tls {
                mode: TlsMode::VerifyCa,
                ca_file: file("ca"),
                certificate_file: file("crt"),
                key_file: file("key"),
            },
        }),
        bindings: vec!["password".into()],
        server: Some(Server { version: "17.2".into(), facts: vec![fact("flavor", "vanilla")] }),
        settings: "{\"jobs\":4}".into(),
        config_dir: "/config".into(),
        scratch_dir: "/scratch".into(),
        facts: vec![fact("new", "to be ignored")],
    }
}
