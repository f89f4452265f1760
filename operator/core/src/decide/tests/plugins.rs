//! What is told of the plugin: who plans, what changed, and why a newer one does not.

use dbbackup_api::{DatabaseBackupStatus, condition};

use super::fixture::*;
use crate::planning::{Planning, PluginNews};

fn version(world: &mut World, version: &str, news: PluginNews) {
    let Planning::Planned(planned) = &mut world.planning else { panic!("there is a plan") };
    planned.plugin.version = version.into();
    planned.plugin.digest = format!("sha256:{version}");
    world.plugin_news = news;
}

fn resolved(status: &DatabaseBackupStatus) -> (&str, &str) {
    let conditions = &status.conditions;
    let found = conditions.iter().find(|one| one.type_ == condition::PLUGIN_RESOLVED).unwrap();
    (&found.reason, &found.message)
}

#[test]
fn a_new_version_is_told_with_what_it_changes() {
    let mut world = World::new();
    world.settle("00:30");
    let changed = Some("its plan differs: /plan/a: 1 -> 2".to_owned());
    version(&mut world, "0.2.0", PluginNews { changed, kept: None });
    let events = world.decide("00:31").events;
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!((events[0].reason.as_str(), events[0].warning), ("PluginChanged", false));
    let message = &events[0].message;
    assert!(message.contains("plugin postgres 0.2.0 (sha256:0.2.0) plans from now on"), "{message}");
    assert!(
        message.contains("before it was postgres 0.1.0 (sha256:00); its plan differs: /plan/a: 1 -> 2"),
        "{message}"
    );
    let status = world.settle("00:31");
    let (reason, message) = resolved(&status);
    assert_eq!(reason, "Resolved");
    assert!(message.ends_with("(sha256:0.2.0); its plan differs: /plan/a: 1 -> 2"), "{message}");
    assert_eq!(status.plugin.unwrap().digest, "sha256:0.2.0");
}

#[test]
fn a_last_good_one_that_is_kept_is_a_warning_once() {
    let mut world = World::new();
    world.settle("00:30");
    let kept = Some("/plugins/x.wasm holds another one now, which is not used: it traps".to_owned());
    version(&mut world, "0.1.0", PluginNews { kept, changed: None });
    let events = world.decide("00:31").events;
    let kept: Vec<_> = events.iter().filter(|event| event.reason == "LastGoodKept").collect();
    assert!(kept.len() == 1 && kept[0].warning && kept[0].message.contains("it traps"), "{events:?}");
    let status = world.settle("00:31");
    assert_eq!(resolved(&status).0, "LastGoodKept");
    assert_eq!(condition(&status, condition::READY), ("True".into(), "Ready".into()));
    world.plugin_news = PluginNews::default();
    assert_eq!(world.decide("00:32").events, []);
    assert_eq!(resolved(&world.settle("00:32")).0, "Resolved");
}
