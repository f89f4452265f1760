//! The rows of the decision table, and the worlds that they speak of.

use jiff::SignedDuration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{fixture::*, table::Row};
use crate::{
    names,
    observed::{JobState, RefusedCreate},
};

/// The same under every policy.
const fn all(outcome: &'static str) -> [&'static str; 3] {
    [outcome; 3]
}

/// Hourly, made at 01:10: its first slot is 02:00.
fn new() -> World {
    World::new().with(|world| {
        world.object.metadata.creation_timestamp = Some(Time(at("01:10")));
    })
}

/// Its run of 02:00 has succeeded.
fn ran() -> World {
    let mut world = new();
    world.settle("02:00");
    world.end(complete("02:10"), Some(success()));
    world.settle("02:11");
    world
}

/// Its run of 02:00 has not ended.
fn runs() -> World {
    let mut world = new();
    world.settle("02:00");
    world
}

fn suspended(mut world: World, now: &str) -> World {
    world.object.spec.suspend = true;
    world.settle(now);
    world
}

fn deadline(world: World, seconds: i64) -> World {
    world.with(|world| world.object.spec.starting_deadline_seconds = Some(seconds))
}

fn refused(world: World, slot: &str, reason: &str, permanent: bool) -> World {
    world.with(|world| {
        world.refused = Some(RefusedCreate {
            job: names::job_name("orders", UID, at(slot)),
            reason: reason.into(),
            message: "the API server's own words".into(),
            permanent,
            retry_at: at("03:59"),
        });
    })
}

pub(super) const ROWS: &[Row] = &[
    // Never ran.
    (
        "its schedule cannot be parsed",
        || new().with(|w| w.object.spec.schedule = "obvious error".into()),
        "02:01",
        all("InvalidSchedule"),
    ),
    (
        "its schedule names a date that does not exist",
        || new().with(|w| w.object.spec.schedule = "0 0 30 2 *".into()),
        "02:01",
        all("NeverFires"),
    ),
    (
        "its zone is unknown",
        || new().with(|w| w.object.spec.time_zone = "Europe/Atlantis".into()),
        "02:01",
        all("UnknownTimeZone"),
    ),
    (
        "its schedule is more frequent than the administrator allows",
        || new().with(|w| w.min_interval = SignedDuration::from_hours(2)),
        "02:01",
        all("TooFrequent"),
    ),
    ("it never ran and it is not time", new, "01:59", all("nothing")),
    ("it never ran and it is time, to the second", new, "02:00", all("Schedule 02:00")),
    ("it never ran and it is time", new, "02:01", all("Schedule 02:00")),
    ("it never ran, it is time and it is suspended", || suspended(new(), "01:20"), "02:01", all("Suspended")),
    (
        "it never ran, it is time and it is suspended from the beginning",
        || new().with(|w| w.object.spec.suspend = true),
        "02:01",
        all("Suspended"),
    ),
    (
        "it never ran and its slot is past the deadline (CronJob notices that at each sync anew)",
        || deadline(new(), 10),
        "02:01",
        all("Missed StartingDeadlineExceeded, 1 missed"),
    ),
    (
        "it never ran and its slot is not past the deadline",
        || deadline(new(), 600),
        "02:01",
        all("Schedule 02:00"),
    ),
    (
        "it never ran and its slot is at the deadline, to the second",
        || deadline(new(), 60),
        "02:01",
        all("Schedule 02:00"),
    ),
    (
        "it was made before the first slot of its schedule, weeks ago",
        || new().with(|w| w.object.spec.schedule = "0 0 24 12 *".into()),
        "2026-12-23T12:00:00Z",
        all("nothing"),
    ),
    // Ran before.
    ("it ran and it is not time", ran, "02:59", all("nothing")),
    ("it ran and it is time", ran, "03:01", all("Schedule 03:00")),
    ("it ran, it is time and it is suspended", || suspended(ran(), "02:20"), "03:01", all("Suspended")),
    (
        "it ran, it is time and it is suspended at this moment (CronJob forgets that slot)",
        || ran().with(|w| w.object.spec.suspend = true),
        "03:01",
        all("Missed ScheduleChanged, 1 missed, Suspended"),
    ),
    (
        "it ran and the next slot is past the deadline",
        || deadline(ran(), 10),
        "03:01",
        all("Missed StartingDeadlineExceeded, 1 missed"),
    ),
    (
        "it ran and the next slot is not past the deadline",
        || deadline(ran(), 600),
        "03:01",
        all("Schedule 03:00"),
    ),
    (
        "it ran and is a week late (CronJob warns of too many missed times and does not count)",
        ran,
        "2026-12-01T03:01:00Z",
        all("Schedule 03:00, Missed NotStarted, 168 missed"),
    ),
    (
        "it ran and is a week late, within a long deadline",
        || deadline(ran(), 1_000_000),
        "2026-12-01T03:01:00Z",
        all("Schedule 03:00, Missed NotStarted, 168 missed"),
    ),
    (
        "it ran and is a week late, past a short deadline",
        || deadline(ran(), 10),
        "2026-12-01T03:01:00Z",
        all("Missed StartingDeadlineExceeded, Missed NotStarted, 169 missed"),
    ),
    (
        "it ran and the deadline reaches back over many slots: still only the latest is made up",
        || deadline(ran(), 7200),
        "2026-12-01T03:01:00Z",
        all("Schedule 03:00, Missed NotStarted, 168 missed"),
    ),
    // Still active.
    ("its run is active and it is not time", runs, "02:59", all("nothing")),
    (
        "its run is active and it is time (CronJob lets it pass by; under Replace it does not wait for the pods)",
        runs,
        "03:01",
        ["Waiting", "Schedule 03:00", "deletes 1, Replaced, Waiting"],
    ),
    (
        "its run is active, it is time and it is suspended",
        || suspended(runs(), "02:20"),
        "03:01",
        all("Suspended"),
    ),
    (
        "its run is active and the next slot is past the deadline",
        || deadline(runs(), 10),
        "03:01",
        all("Missed StartingDeadlineExceeded, 1 missed"),
    ),
    (
        "its run is active and the next slot is not past the deadline",
        || deadline(runs(), 600),
        "03:01",
        ["Waiting", "Schedule 03:00", "deletes 1, Replaced, Waiting"],
    ),
    (
        "its run is being deleted and it is time",
        || runs().with(|w| w.jobs[0].deletes_since = Some(at("03:00"))),
        "03:01",
        ["Waiting", "Schedule 03:00", "Replaced, Waiting"],
    ),
    (
        "its run has ended but its Job is still being deleted",
        || ran().with(|w| w.jobs[0].deletes_since = Some(at("03:00"))),
        "03:01",
        ["Waiting", "Schedule 03:00", "Waiting"],
    ),
    // What status and what the list of Jobs say differs.
    ("its active run has gone missing", || runs().with(|w| w.jobs.clear()), "02:59", all("Lost")),
    (
        "its active run has gone missing and it is time",
        || runs().with(|w| w.jobs.clear()),
        "03:01",
        all("Schedule 03:00, Lost"),
    ),
    (
        "its Job was made, but status does not know of it",
        || runs().with(|w| w.object.status = None),
        "02:59",
        all("nothing"),
    ),
    (
        "its Job was made and has failed, but status does not know of it",
        || {
            runs().with(|w| {
                w.end(failed("02:10"), None);
                w.object.status = None;
            })
        },
        "02:59",
        all("ReportLost"),
    ),
    (
        "a Job of its slot belongs to somebody else and the API server has not been asked yet",
        || new().job("02:00", JobState::Active).with(|w| w.jobs[0].owner = None),
        "02:01",
        all("Schedule 02:00"),
    ),
    (
        "an active Job with its label belongs to somebody else",
        || ran().job("02:30", JobState::Active).with(|w| w.jobs[1].owner = Some("x".into())),
        "03:01",
        all("Schedule 03:00"),
    ),
    (
        "a Job of another slot was made by hand from its own, by the rules",
        || ran().job("02:30", JobState::Active),
        "03:01",
        ["Waiting", "Schedule 03:00", "deletes 1, Replaced, Waiting"],
    ),
    // Time drifts back.
    ("the clock drifts back before the slot that has run", ran, "01:59", all("nothing")),
    ("the clock drifts back before the slot that is running", runs, "01:59", all("nothing")),
    ("the clock drifts back by days", ran, "2026-11-20T02:01:00Z", all("nothing")),
    // What the API server says.
    (
        "the name is taken by somebody else (CronJob stalls)",
        || refused(ran(), "03:00", "NameConflict", true),
        "03:01",
        all("Skipped NameConflict, NameConflict"),
    ),
    ("the quota is full", || refused(ran(), "03:00", "QuotaExceeded", false), "03:01", all("QuotaExceeded")),
    (
        "the namespace is terminating",
        || refused(ran(), "03:00", "NamespaceTerminating", false),
        "03:01",
        all("NamespaceTerminating"),
    ),
    (
        "it is being deleted",
        || ran().with(|w| w.object.metadata.deletion_timestamp = Some(Time(at("02:30")))),
        "03:01",
        all("nothing is written"),
    ),
    ("no plan can be made", || ran().refuse_plan(), "03:01", all("SettingInvalid")),
    // The user edits.
    (
        "its schedule is edited to one whose slot has just passed (CronJob starts it)",
        || ran().with(|w| w.object.spec.schedule = "30 * * * *".into()),
        "02:31",
        all("nothing"),
    ),
    (
        "its schedule is edited while a slot is due (CronJob forgets it)",
        || ran().with(|w| w.object.spec.schedule = "30 * * * *".into()),
        "03:01",
        all("Missed ScheduleChanged, 1 missed"),
    ),
    (
        "its schedule is edited to the same in other words",
        || ran().with(|w| w.object.spec.schedule = "@hourly".into()),
        "02:59",
        all("nothing"),
    ),
    (
        "its zone is edited to one whose slot has just passed",
        || ran().with(|w| w.object.spec.time_zone = "Asia/Kolkata".into()),
        "02:31",
        all("nothing"),
    ),
    (
        "its template is edited",
        || {
            ran().with(|w| {
                w.object.spec.backoff_limit = 3;
                w.object.metadata.generation = Some(2);
            })
        },
        "02:59",
        all("nothing"),
    ),
    (
        "its template is edited while a slot is due",
        || ran().with(|w| w.object.spec.backoff_limit = 3),
        "03:01",
        all("Schedule 03:00"),
    ),
    (
        "its deadline is edited while a slot waits",
        || deadline(ran(), 10),
        "03:30",
        all("Missed StartingDeadlineExceeded, 1 missed"),
    ),
    (
        "it is resumed after its slot (CronJob starts it at once)",
        || suspended(ran(), "02:20").with(|w| w.object.spec.suspend = false),
        "03:01",
        all("nothing"),
    ),
    (
        "it is resumed to the second of its slot",
        || suspended(ran(), "02:20").with(|w| w.object.spec.suspend = false),
        "03:00",
        all("nothing"),
    ),
    // Asked for by hand.
    ("a run is asked for", || ran().run_now("please"), "02:31", all("Manual 02:31")),
    (
        "a run is asked for while suspended",
        || suspended(ran(), "02:20").run_now("please"),
        "02:31",
        all("Manual 02:31, Suspended"),
    ),
    (
        "a run is asked for while one is active",
        || runs().run_now("please"),
        "02:31",
        ["Waiting", "Manual 02:31", "deletes 1, Replaced, Waiting"],
    ),
    (
        "a run is asked for while a slot is due: one after the other, but under Allow",
        || ran().run_now("please"),
        "03:01",
        ["Schedule 03:00, Waiting", "Schedule 03:00, Manual 03:01", "Schedule 03:00, Waiting"],
    ),
    (
        "a run is asked for whose schedule cannot be parsed",
        || new().with(|w| w.object.spec.schedule = "x".into()).run_now("please"),
        "02:31",
        all("Manual 02:31, InvalidSchedule"),
    ),
];
