//! The data path under fire: a real S3 server, a proxy before it that breaks one thing in each run, and SIGKILL at every
//! request. What must hold whatever happens:
//!
//! - a manifest is there only if a restore of it gives back every byte; a report of success means that it is there;
//! - beside what a manifest names there is nothing but what the sweep will take: objects in the folder of an attempt, and
//!   unfinished uploads; and those only after a kill or a store that was out of reach to the end;
//! - the next attempt of the run succeeds.
//!
//! The server is versitygw, which `tests/images/build s3` leaves in the cache: `cargo test … -- --ignored faults`.

mod proxy;
mod run;
mod server;

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use proxy::{
    At,
    Fault::{self, *},
    Victim,
};
use run::{Dump, Outcome, PIECES};
use server::Server;

/// Runs at a time: most of a run is waiting.
const LANES: usize = 4;

/// What happens in one run, and the line of the table that it counts for.
#[derive(Clone, Debug)]
struct Scenario {
    group: String,
    at: At,
    fault: Fault,
    /// The run must succeed all the same.
    survives: bool,
}

impl Scenario {
    /// Nobody is left to clean up, or nothing to clean up with.
    fn may_leave_objects(&self) -> bool {
        let for_ever = matches!(&self.at, At::Requests(numbers) if numbers.end == usize::MAX);
        for_ever || self.kills()
    }

    fn kills(&self) -> bool {
        matches!(self.fault, Kill(_) | KillAfter(_))
    }
}

fn scenario(group: &str, at: At, fault: Fault, survives: bool) -> Scenario {
    Scenario { group: group.into(), at, fault, survives }
}

/// Each fault at each request of a run that has `requests`.
fn answers(requests: usize) -> Vec<Scenario> {
    let mut all = vec![];
    for (group, fault, times, survives) in [
        ("500", Refuse(500, "InternalError"), 1, true),
        ("500 three times", Refuse(500, "InternalError"), 3, true),
        ("503 three times", Refuse(503, "SlowDown"), 3, true),
        ("429 three times", Refuse(429, "TooManyRequests"), 3, true),
        ("403 for the clock", Refuse(403, "RequestTimeTooSkewed"), usize::MAX, false),
        ("403 of a policy", Refuse(403, "AccessDenied"), 1, false),
        ("404", Refuse(404, "NoSuchUpload"), 1, false),
        ("500 although done", Deny(500, "InternalError"), 1, false),
        ("504 although done", Deny(504, "GatewayTimeout"), 1, false),
        ("closed before", Reset, 1, false),
        ("closed although done", ResetAfter, 1, false),
        ("request cut in half", CutRequest, 1, false),
        ("answer cut in half", CutAnswer, 1, false),
        ("a bit of the request", FlipRequest, 1, false),
        ("a bit of the answer", FlipAnswer, 1, false),
        ("a second late", Slow, 1, true),
        ("store away for 3 s", Down(Duration::from_secs(3)), 1, true),
    ] {
        all.extend((0..requests).map(|request| {
            scenario(group, At::Requests(request..request.saturating_add(times)), fault, survives)
        }));
    }
    all
}

fn kills(requests: usize) -> Vec<Scenario> {
    let mut all = vec![];
    for (name, victim) in [
        ("the dump's process", Victim::Tool),
        ("the mover", Victim::Mover),
        ("the shim", Victim::Shim),
        ("the pod", Victim::Pod),
    ] {
        for (when, fault) in [("before", Kill(victim)), ("after", KillAfter(victim))] {
            let group = format!("SIGKILL of {name} {when} a request");
            all.extend(
                (0..requests).map(|number| scenario(&group, At::Requests(number..number + 1), fault, false)),
            );
        }
    }
    for piece in 0..=PIECES {
        all.push(scenario(
            "the dump's process kills itself at piece N",
            At::Requests(0..0),
            Die(piece),
            false,
        ));
    }
    all
}

fn others(bytes: u64) -> Vec<Scenario> {
    const CUTS: u64 = 40;
    let mut all: Vec<_> = (0..CUTS)
        .map(|cut| scenario("connection cut at byte N", At::Byte(bytes * cut / CUTS), Nothing, false))
        .collect();
    for (code, fault) in [
        ("404 to complete", Refuse(404, "NoSuchUpload")),
        ("404 to complete although done", Deny(404, "NoSuchUpload")),
        ("500 to complete although done", Deny(500, "InternalError")),
    ] {
        all.push(scenario(code, At::Completion, fault, false));
    }
    for chunk in 1..=3 {
        all.push(scenario("limit of chunks", At::Chunks(chunk), Refuse(400, "InvalidArgument"), false));
    }
    all
}

#[test]
#[ignore = "takes minutes and the S3 server of tests/images; a stage of `make test`"]
fn faults() {
    let (server, dump) = (Server::start(), Dump::new());
    let calm = run::run(&server, &dump, "calm", &scenario("no fault", At::Requests(0..0), Nothing, true));
    let (requests, bytes) = calm.unwrap_or_else(|violation| panic!("{violation}")).counted;
    // Repeated requests come on top: some kinds reach further than the calm run has requests.
    let all = [answers(requests + 1), kills(requests), others(bytes)].concat();
    let (next, table, violations) =
        (AtomicUsize::new(0), Mutex::new(BTreeMap::<String, Counts>::new()), Mutex::new(vec![]));
    thread::scope(|scope| {
        for _ in 0..LANES {
            scope.spawn(|| {
                while let Some((number, scenario)) = at(&all, &next) {
                    match run::run(&server, &dump, &format!("bucket-{number}"), scenario) {
                        Ok(outcome) => {
                            table.lock().unwrap().entry(scenario.group.clone()).or_default().add(&outcome);
                        }
                        Err(violation) => {
                            violations.lock().unwrap().push(format!("{scenario:?}: {violation}"));
                        }
                    }
                }
            });
        }
    });
    violations
        .lock()
        .unwrap()
        .extend(run::swept(&server, &dump).err().map(|why| format!("the sweep: {why}")));
    print(&table.into_inner().unwrap(), requests, bytes);
    let violations = violations.into_inner().unwrap();
    assert!(violations.is_empty(), "{} violations\n{}", violations.len(), violations.join("\n"));
}

fn at<'a>(all: &'a [Scenario], next: &AtomicUsize) -> Option<(usize, &'a Scenario)> {
    let number = next.fetch_add(1, Ordering::Relaxed);
    all.get(number).map(|scenario| (number, scenario))
}

/// How the runs of a group ended.
#[derive(Default)]
struct Counts {
    hit: usize,
    missed: usize,
    succeeded: usize,
    failed: usize,
    unreported: usize,
    left: usize,
}

impl Counts {
    fn add(&mut self, outcome: &Outcome) {
        if !outcome.hit {
            self.missed += 1;
            return;
        }
        self.hit += 1;
        self.left += usize::from(outcome.left > 0);
        match outcome.succeeded {
            Some(true) => self.succeeded += 1,
            Some(false) => self.failed += 1,
            None => self.unreported += 1,
        }
    }
}

#[expect(clippy::print_stdout, reason = "the counts are part of the result")]
fn print(table: &BTreeMap<String, Counts>, requests: usize, bytes: u64) {
    println!("a run without a fault: {requests} requests, {bytes} bytes of bodies");
    println!(
        "{:<48} {:>5} {:>9} {:>6} {:>9} {:>5}",
        "fault", "runs", "succeeded", "failed", "no report", "left"
    );
    let mut sum = Counts::default();
    for (group, counts) in table {
        line(group, counts);
        sum.hit += counts.hit;
        sum.succeeded += counts.succeeded;
        sum.failed += counts.failed;
        sum.unreported += counts.unreported;
        sum.left += counts.left;
        sum.missed += counts.missed;
    }
    line("all", &sum);
    println!("{} more came too late or too early to hit anything", sum.missed);
}

#[expect(clippy::print_stdout, reason = "as above")]
fn line(group: &str, counts: &Counts) {
    let Counts { hit, succeeded, failed, unreported, left, missed: _ } = counts;
    println!("{group:<48} {hit:>5} {succeeded:>9} {failed:>6} {unreported:>9} {left:>5}");
}
