//! A plugin that goes beyond a limit is stopped, and the cause is named.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dbbackup_plugin_host::{CallError, Host, Limits};
use tracing_subscriber::fmt::MakeWriter;

use crate::support::{component, misbehaving, request};

fn failure(name: &str) -> CallError {
    misbehaving().plan(&request("misbehaving-type", name)).unwrap_err()
}

#[test]
fn each_death_has_its_cause() {
    assert_eq!(failure("spin"), CallError::OutOfFuel { fuel: 1_000_000_000 });
    assert_eq!(failure("allocate"), CallError::OutOfMemory { limit: 64 << 20 });
    let recursion = failure("recurse");
    let named = matches!(&recursion, CallError::Trap(cause) if cause.contains("recursed too deeply"));
    assert!(named, "{recursion}");
    assert_eq!(failure("trap"), CallError::Trap("it executed `unreachable`".into()));
    assert_eq!(failure("exit"), CallError::Panic("fatal: cannot go on".into()));
    assert_eq!(failure("huge"), CallError::Limit("it handed over more than 1048576 bytes at once".into()));
}

#[test]
fn a_panic_is_told_in_its_own_words() {
    for (name, words) in [("panic", "the answer is not 42"), ("panic-with-a-hook", "through the hook")] {
        let CallError::Panic(text) = failure(name) else { panic!("{}", failure(name)) };
        assert!(text.contains(words) && text.contains("lib.rs"), "{text}");
    }
}

#[test]
fn the_clock_ends_what_fuel_does_not() {
    let deadline = Duration::from_millis(200);
    let host = Host::new(Limits { fuel: u64::MAX, deadline, ..Limits::default() }).unwrap();
    let plugin = host.load(&component("misbehaving-guest"), "").unwrap();
    let start = Instant::now();
    let error = plugin.plan(&request("misbehaving-type", "spin")).unwrap_err();
    assert_eq!(error, CallError::Deadline(deadline));
    assert!(
        start.elapsed() >= deadline && start.elapsed() < Duration::from_secs(20),
        "{:?}",
        start.elapsed()
    );
}

#[test]
fn a_plugin_lives_on_after_a_failed_call() {
    failure("spin");
    assert!(misbehaving().plan(&request("misbehaving-type", "ok")).unwrap().is_ok());
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;
    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[test]
fn a_flood_of_output_is_cut() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_writer(log.clone()).finish();
    tracing::subscriber::with_default(subscriber, || {
        assert!(misbehaving().plan(&request("misbehaving-type", "flood-logs")).unwrap().is_ok());
    });
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let lines = text.matches("of a flood").count();
    assert!((100..1000).contains(&lines), "{lines} lines");
    assert!(text.contains("misbehaving.wasm") && text.contains("logs too much"), "{text}");

    let CallError::Panic(text) = failure("flood-stdout") else { panic!() };
    assert!(text.ends_with("RUST_BACKTRACE=1` environment variable to display a backtrace"), "{text}");
    assert!(text.len() <= 2048 && text.contains("after the flood"), "{text}");
}

#[test]
fn the_thread_of_a_host_ends_with_it() {
    let threads = || {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap();
        let names = tasks.filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).ok());
        names.filter(|name| name.trim() == "plugin-deadline").count()
    };
    // Other tests have hosts of their own, and a thread gets its name a little after its start.
    let wait_until = |what: &dyn Fn(usize) -> bool| {
        let start = Instant::now();
        while !what(threads()) {
            assert!(start.elapsed() < Duration::from_mins(1), "{} threads", threads());
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    let hosts: Vec<Host> = (0..50).map(|_| Host::new(Limits::default()).unwrap()).collect();
    wait_until(&|count| count >= 50);
    drop(hosts);
    wait_until(&|count| count < 50);
}
