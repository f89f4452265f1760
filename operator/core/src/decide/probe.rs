//! Ask the server: before the first run, after a change of what is asked, and once a day. A probe never stands in the way of
//! a run: it waits while one is active, what it finds keeps none from starting, and a run that succeeds knows better.
//!
//! While the object is suspended nothing is asked: who suspends wants the server left alone.

use dbbackup_api::status::{RunResult, ServerProblem, ServerStatus};
use dbbackup_protocol::optional::{Findings, Problem};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{Draft, OldJob};
use crate::{
    names,
    observed::{ObservedProbe, ProbeState},
    planning::{Planning, Probing},
    probing,
};

/// At least so much later, at a time of day of the object's own, is the next probe.
const HALF_A_DAY: SignedDuration = SignedDuration::from_hours(12);
/// First wait after a probe that found a blocking problem or could not be made; doubled for each further one.
const FIRST_RETRY: SignedDuration = SignedDuration::from_mins(5);
/// Longest such wait: a wrong password, tried too often, locks accounts.
const LONGEST_RETRY: SignedDuration = SignedDuration::from_hours(6);
/// An object of this age or less was just made, and its user waits for what the probe finds.
const NEW: SignedDuration = SignedDuration::from_mins(5);
/// The first probes of older objects, after an update of the operator, are spread over so much time.
const FIRST_SPREAD: SignedDuration = SignedDuration::from_mins(10);

pub(super) fn ask(draft: &mut Draft<'_>) {
    let probes = ours(draft);
    let Planning::Planned(planned) = draft.observed.planning else {
        // Nothing can be asked, and nothing is known to be otherwise than before.
        return forget(draft, &probes);
    };
    if planned.probing == Probing::Nothing {
        draft.status.server = None;
    }
    let Probing::Planned(_) = planned.probing else { return forget(draft, &probes) };

    let inputs = probing::inputs(&draft.object.spec);
    let known = draft.status.server.take().filter(|server| server.inputs == inputs);
    let mut server = known.unwrap_or_else(|| unknown(draft, inputs));
    let name = job_name(draft, &server);
    let (current, others): (Vec<_>, Vec<_>) = probes.into_iter().partition(|probe| probe.name == name);
    // Of an older question, or told already.
    forget(draft, &others);
    let mut busy = !others.is_empty();
    for probe in current {
        match &probe.state {
            ProbeState::Active | ProbeState::Answered(_) => busy = true,
            ProbeState::Found(findings) => {
                found(draft, &mut server, findings);
                forget(draft, &[probe]);
            }
            ProbeState::Failed { reason, message, blocking } => {
                let problem = problem((reason, message, ""), *blocking);
                could_not(draft, &mut server, problem);
                forget(draft, &[probe]);
            }
        }
    }
    if let Some(refused) = draft.observed.refused_create.as_ref().filter(|refused| refused.job == name) {
        could_not(draft, &mut server, problem((&refused.reason, &refused.message, ""), false));
    }
    trust_success(draft, &mut server);
    start(draft, &server, busy);
    draft.status.server = Some(server);
}

/// Probes that this object controls: a name or a label proves nothing.
fn ours<'a>(draft: &Draft<'a>) -> Vec<&'a ObservedProbe> {
    let uid = draft.object.metadata.uid.as_deref();
    let ours = draft.observed.probes.iter();
    ours.filter(|probe| probe.owner.is_some() && probe.owner.as_deref() == uid).collect()
}

fn forget(draft: &mut Draft<'_>, probes: &[&ObservedProbe]) {
    let here = probes.iter().filter(|probe| !probe.deleting);
    draft.delete.extend(here.map(|probe| OldJob {
        name: probe.name.clone(),
        uid: probe.uid.clone(),
        slot: None,
    }));
}

fn job_name(draft: &Draft<'_>, server: &ServerStatus) -> String {
    let due = server.next_probe.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0);
    names::probe_job_name(draft.name(), draft.uid(), &server.inputs, due)
}

/// Nothing is known, or no more. The first probe of all objects that an operator finds is not made at once.
fn unknown(draft: &Draft<'_>, inputs: String) -> ServerStatus {
    let old = draft.old.server.is_none() && draft.created_at() + NEW < draft.now;
    let wait = if old { names::spread(draft.uid(), FIRST_SPREAD) } else { SignedDuration::ZERO };
    ServerStatus { next_probe: Some(Time(draft.now + wait)), inputs, ..ServerStatus::default() }
}

/// What the plugin read from the answers. What could not be found out this time is still known from before.
fn found(draft: &Draft<'_>, server: &mut ServerStatus, findings: &Findings) {
    let Findings { server: version, size_mebibytes, problems } = findings;
    if let Some(found) = version {
        server.version = Some(found.version.clone());
        server.facts = found.facts.iter().map(|fact| (fact.key.clone(), fact.value.clone())).collect();
    }
    server.size_mebibytes = size_mebibytes.map(i64::from).or(server.size_mebibytes);
    server.problems = problems
        .iter()
        .map(|Problem { reason, message, hint, blocking }| problem((reason, message, hint), *blocking))
        .collect();
    server.probed_at = Some(Time(draft.now));
    if server.problems.iter().any(|problem| problem.blocking) {
        return again_soon(draft, server);
    }
    server.failures = None;
    server.next_probe = Some(Time(tomorrow(draft)));
}

/// The server was not asked.
fn could_not(draft: &Draft<'_>, server: &mut ServerStatus, problem: ServerProblem) {
    server.problems = vec![problem];
    server.probed_at = Some(Time(draft.now));
    again_soon(draft, server);
}

fn again_soon(draft: &Draft<'_>, server: &mut ServerStatus) {
    let failures = server.failures.unwrap_or(0).saturating_add(1);
    let doubled = u32::try_from(failures - 1).ok().and_then(|times| 2_i32.checked_pow(times));
    let wait = doubled.and_then(|times| FIRST_RETRY.checked_mul(times)).unwrap_or(LONGEST_RETRY);
    server.failures = Some(failures);
    server.next_probe = Some(Time(draft.now + wait.min(LONGEST_RETRY)));
}

/// A time of day that is always the same for an object, and different from most others'.
fn tomorrow(draft: &Draft<'_>) -> Timestamp {
    const DAY: SignedDuration = SignedDuration::from_hours(24);
    let earliest = draft.now + HALF_A_DAY;
    let time_of_day = names::spread(draft.uid(), DAY).as_secs();
    let wait = (time_of_day - earliest.as_second()).rem_euclid(DAY.as_secs());
    earliest + SignedDuration::from_secs(wait)
}

fn problem((reason, message, hint): (&str, &str, &str), blocking: bool) -> ServerProblem {
    let message = if hint.is_empty() { message.to_owned() } else { format!("{message}; {hint}") };
    ServerProblem { reason: reason.to_owned(), message, blocking }
}

/// A backup that succeeded after the probe proves it wrong, or out of date.
fn trust_success(draft: &Draft<'_>, server: &mut ServerStatus) {
    let successes = draft.status.recent_runs.iter().filter(|run| run.result == RunResult::Succeeded);
    let newest = successes.filter_map(|run| run.completion_time.as_ref()).map(|at| at.0).max();
    if newest > server.probed_at.as_ref().map(|at| at.0) && server.probed_at.is_some() {
        server.problems.retain(|problem| !problem.blocking);
        server.failures = None;
    }
}

/// Only what stands in status has a name that another operator would give it, too: a new instant is written first.
fn start(draft: &mut Draft<'_>, server: &ServerStatus, busy: bool) {
    let Some(due) = server.next_probe.as_ref().map(|time| time.0) else { return };
    if draft.object.spec.suspend {
        return;
    }
    let written = draft.old.server.as_ref().is_some_and(|old| {
        old.inputs == server.inputs && old.next_probe.as_ref().map(|time| time.0) == Some(due)
    });
    let running = !draft.create.is_empty() || draft.ours.iter().any(|job| job.is_active());
    if due > draft.now {
        draft.wake_by(due);
    } else if written && !busy && !running {
        draft.probe = Some(job_name(draft, server));
    }
}
