//! The optional interfaces are contained like the others.

use dbbackup_plugin_host::CallError;
use dbbackup_protocol::optional::{Answer, Failure};

use crate::support::{host, misbehaving, request};

fn failure(phase: &str) -> Failure {
    Failure {
        phase: phase.into(),
        part: None,
        exit_code: Some(1),
        signal: None,
        stderr: String::new(),
        facts: vec![],
    }
}

#[test]
fn they_are_found_one_by_one() {
    let plugin = misbehaving();
    let plan = plugin.probe_plan(&request("misbehaving-type", "ok")).unwrap().unwrap().unwrap();
    assert_eq!(plan.queries[0].name, "version");
    assert_eq!(plugin.explain(&failure("dump")).unwrap(), None);
    assert!(plugin.explain(&failure("sleep")).unwrap().unwrap().message.contains("3600"));
    let without = host().load(&crate::support::component("generic-plugin"), "generic").unwrap();
    assert!(without.explain(&failure("dump")).unwrap().is_none());
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
        let answer = Answer {
            name: "version".into(),
            exit_code: Some(0),
            stdout: "1".into(),
            stderr: String::new(),
            truncated: false,
        };
        assert_eq!(causes(plugin.plan(&request).map(drop)), Err(cause), "plan, {name}");
        assert_eq!(causes(plugin.probe_plan(&request).unwrap().map(drop)), Err(cause), "probe.plan, {name}");
        assert_eq!(
            causes(plugin.probe_read(&request, &[answer]).unwrap().map(drop)),
            Err(cause),
            "read, {name}"
        );
        assert_eq!(causes(plugin.explain(&failure(name)).map(drop)), Err(cause), "explain, {name}");
    }
}
