//! What stops a run in the middle: signals, deadlines, a client that goes away.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use dbbackup_protocol::report::Reason;

use crate::fixture::{Pod, part};

/// Writes, says that it began, and goes on for ever; `trap` makes it deaf to SIGTERM like mongodump.
const ENDLESS: &str =
    "trap '' TERM; seq 100000; touch \"$HOME/begun\"; echo $$ > \"$HOME/pid\"; while :; do sleep 0.1; done";

fn signal(signal: &str, pid: u32) {
    assert!(Command::new("kill").args([signal, &pid.to_string()]).status().unwrap().success());
}

fn tool_is_gone(pod: &Pod) {
    let pid = std::fs::read_to_string(pod.path(dbbackup_protocol::pod::SCRATCH_DIR).join("pid")).unwrap();
    let begin = Instant::now();
    // A zombie has ended; whether somebody collects it is not ours to say.
    let runs = || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
        !stat.is_empty() && !stat.contains(") Z ")
    };
    while runs() {
        assert!(begin.elapsed() < Duration::from_secs(10), "the tool still runs");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn sigterm_in_the_middle_leaves_nothing() {
    let pod = Pod::of(part(ENDLESS));
    let running = pod.start();
    running.until("pid");
    signal("-TERM", running.mover.id());
    signal("-TERM", running.shim.id());
    let ended = running.wait();
    ended.failed(Reason::Terminated, &["terminated"]);
    assert_eq!(ended.shim.status.code(), Some(1));
    pod.nothing_left();
    tool_is_gone(&pod);
}

#[test]
fn what_a_killed_attempt_left_is_removed_by_the_next() {
    let pod = Pod::of(part(ENDLESS));
    let running = pod.start();
    running.until("pid");
    let left = pod.run_folder().join("12345678");
    assert!(left.exists());
    signal("-KILL", running.mover.id());
    running.wait_unreported();
    assert!(left.exists());
    let neighbour = pod.run_folder().with_file_name("another-run").join("attempt");
    std::fs::create_dir_all(&neighbour).unwrap();

    let mut pod = pod.again("87654321-x");
    pod.order.plan.parts = vec![dbbackup_protocol::plan::PartSource::One(part("seq 9"))];
    pod.succeeds();
    assert!(!left.exists() && neighbour.exists());
}

#[test]
fn a_mover_that_ends_takes_the_tool_with_it() {
    let pod = Pod::of(part(ENDLESS));
    let running = pod.start();
    running.until("pid");
    signal("-TERM", running.mover.id());
    let ended = running.wait();
    ended.failed(Reason::Terminated, &[]);
    assert_eq!(ended.shim.status.code(), Some(1));
    tool_is_gone(&pod);
}

#[test]
fn the_agents_own_deadline_is_reported() {
    let mut pod = Pod::of(part(ENDLESS));
    pod.order.limits.deadline_seconds = 2;
    pod.fails(Reason::DeadlineExceeded, &["2 s", "activeDeadlineSeconds"]);
    tool_is_gone(&pod);
}

#[test]
fn a_client_that_goes_away_is_no_end_of_the_dump() {
    let pod = Pod::of(part("trap '' TERM; seq 100000; echo $$ > \"$HOME/pid\"; sleep 3"));
    let running = pod.start();
    running.until("pid");
    signal("-KILL", running.shim.id());
    let ended = running.wait();
    ended.failed(Reason::ClientLost, &["went away"]);
    pod.nothing_left();
}

#[test]
fn a_client_that_never_comes_is_reported() {
    let mut pod = Pod::of(part("seq 9"));
    pod.order.limits.connect_seconds = 1;
    let ended = pod.start_mover_alone().wait();
    ended.failed(Reason::ClientNotStarted, &["fake:1", "1 s"]);
    pod.nothing_left();
}

#[test]
fn stragglers_end_with_their_process() {
    let pod = Pod::of(part("seq 9; (sleep 60 >/dev/null 2>&1 & echo $! > \"$HOME/pid\")"));
    let begin = Instant::now();
    pod.succeeds();
    assert!(begin.elapsed() < Duration::from_secs(30));
    tool_is_gone(&pod);
}
