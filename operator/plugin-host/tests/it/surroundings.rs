//! What a guest finds around it: nothing, and always the same.

use std::time::{Duration, Instant};

use dbbackup_plugin_host::Plugin;
use dbbackup_protocol::plan::{Fragment, PartSource};

use crate::support::{misbehaving, request};

fn text(name: &str) -> String {
    text_of(misbehaving(), name)
}

fn text_of(plugin: &Plugin, name: &str) -> String {
    let plan = plugin.plan(&request("misbehaving-type", name)).unwrap().unwrap();
    let PartSource::One(part) = &plan.parts[0] else { panic!() };
    let Fragment::Text(text) = &part.process.env[0].value[0] else { panic!() };
    text.clone()
}

#[test]
fn there_is_nothing() {
    assert_eq!(text("surroundings"), "0 0 Ok(0) true true");
}

#[test]
fn a_sleep_takes_no_time_but_the_guest_believes_in_it() {
    let start = Instant::now();
    assert_eq!(text("sleep"), "3600");
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn clock_and_randomness_are_the_same_in_every_call() {
    // Not 0, of which Go's runtime dies.
    assert_eq!(text("clock"), "1");
    assert_eq!(text("random"), text("random"));
}

#[test]
fn who_tests_plugins_can_move_both() {
    let other = misbehaving().starting_at(7);
    assert_eq!(text_of(&other, "clock"), "7");
    assert_ne!(text_of(&other, "random"), text("random"));
}
