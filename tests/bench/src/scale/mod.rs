//! Many objects on a real API server: how late their Jobs are made, beside `CronJob`s and beside a client that only posts; what the operator
//! needs for 10,000 of them; what it asks for while nothing is due.

mod arrivals;
mod load;
mod operator;
mod rig;

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use dbbackup_api::DatabaseBackup;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::batch::v1::{CronJob, Job};
use kube::{Api, Client, api::ListParams};
use tempfile::TempDir;

use self::{
    arrivals::{Arrivals, percentile},
    load::{backups, clear, cron_jobs, jobs, namespace, post},
    operator::Program,
    rig::Rig,
};

/// Objects that are due at once.
const DUE: usize = 1_000;
/// Objects in a large cluster, and how often each comes due.
const MANY: usize = 10_000;
const ROUNDS: usize = 4;
/// Between two rounds: all Jobs of one are made by then.
const ROUND: SignedDuration = SignedDuration::from_mins(2);
/// Before the first one: what there is to say of new objects, and the probe of each, are done by then.
const FIRST: Duration = Duration::from_mins(5);
/// How long nothing happens.
const IDLE: Duration = Duration::from_mins(1);
const PATIENCE: Duration = Duration::from_mins(10);
/// The controller manager with its limits out of the way.
const RAISED: [&str; 3] = ["--kube-api-qps=2000", "--kube-api-burst=2000", "--concurrent-cron-job-syncs=20"];

/// `tools`: the cluster's binary and the folder of definitions; `own`: the operator and the folder of plugins; of `skew` and `many` the
/// wanted one, or none of them for both.
///
/// # Errors
/// Something does not start, or does not get done.
pub(crate) fn run(
    (components, crds): (&Path, &Path),
    (operator, plugins): (&Path, &Path),
    part: &[PathBuf],
) -> anyhow::Result<()> {
    let wanted = |name: &str| part.is_empty() || part == [Path::new(name)];
    ensure!(wanted("skew") || wanted("many"), "PART is one of skew, many");
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let rig = Rig::start(components, crds).await?;
        let cache = TempDir::new()?;
        let program = Program { operator, plugins, cache: cache.path().join("plugins") };
        if wanted("skew") {
            skew(&rig, &program).await?;
        }
        if wanted("many") {
            many(&rig, &program).await?;
        }
        Ok(())
    })
}

async fn skew(rig: &Rig, program: &Program<'_>) -> anyhow::Result<()> {
    let client = rig.client().await?;
    println!("{DUE} Jobs due in one second, from then until each is there");
    let (own, template) = own(rig, program, &client).await?;
    tell("the operator", &own, &own);
    let floor = floor(&client, &template).await?;
    tell("a client that only posts them", &floor, &own);
    for (name, flags) in [("CronJobs, limits raised", &RAISED[..]), ("CronJobs, defaults", &[])] {
        let taken = cron(rig, &client, &template, flags).await.context(name)?;
        tell(name, &taken, &own);
    }
    Ok(())
}

fn tell(name: &str, taken: &[Duration], own: &[Duration]) {
    let [half, most, all] = [50, 99, 100].map(|percent| percentile(taken, percent));
    let ratio = percentile(own, 99).div_duration_f64(most);
    println!(
        "  {name:<30} p50 {half:>8.2?}  p99 {most:>8.2?}  all {all:>8.2?}    the operator's p99 is {ratio:.2} of it"
    );
}

/// What the operator takes, and a Job of its.
async fn own(rig: &Rig, program: &Program<'_>, client: &Client) -> anyhow::Result<(Vec<Duration>, Job)> {
    namespace(client, "own").await?;
    let arrivals = Arrivals::watch(client, "own");
    let mut operator = program.start(rig, "own")?;
    // Its plugins are compiled by then.
    operator.decided(0).await?;
    let due = next_minute(Duration::from_secs(45))?;
    post(client, "own", backups(DUE, &[due])?).await?;
    let taken = arrivals.after(due, DUE, PATIENCE).await?;
    let jobs: Api<Job> = Api::namespaced(client.clone(), "own");
    let mut template = jobs.list(&ListParams::default().limit(1)).await?.items.pop().context("no Job")?;
    forget_itself(&mut template);
    clear::<DatabaseBackup>(client, "own").await?;
    clear::<Job>(client, "own").await?;
    Ok((taken, template))
}

/// Without what the API server adds to each Job of its own accord.
fn forget_itself(job: &mut Job) {
    if let Some(spec) = &mut job.spec {
        spec.selector = None;
        let labels = spec.template.metadata.get_or_insert_default().labels.get_or_insert_default();
        labels.retain(|label, _| !label.ends_with("controller-uid") && !label.ends_with("job-name"));
    }
}

async fn floor(client: &Client, template: &Job) -> anyhow::Result<Vec<Duration>> {
    namespace(client, "floor").await?;
    let arrivals = Arrivals::watch(client, "floor");
    let all = jobs(DUE, template)?;
    let due = Timestamp::now();
    post(client, "floor", all).await?;
    let taken = arrivals.after(due, DUE, PATIENCE).await?;
    clear::<Job>(client, "floor").await?;
    Ok(taken)
}

async fn cron(rig: &Rig, client: &Client, template: &Job, flags: &[&str]) -> anyhow::Result<Vec<Duration>> {
    let name = format!("cron-{}", flags.len());
    namespace(client, &name).await?;
    let arrivals = Arrivals::watch(client, &name);
    let _controller = rig.cron_controller(flags)?;
    let due = next_minute(Duration::from_secs(45))?;
    post(client, &name, cron_jobs(DUE, due, template)?).await?;
    let taken = arrivals.after(due, DUE, PATIENCE).await?;
    clear::<CronJob>(client, &name).await?;
    clear::<Job>(client, &name).await?;
    Ok(taken)
}

async fn many(rig: &Rig, program: &Program<'_>) -> anyhow::Result<()> {
    let client = rig.client().await?;
    namespace(&client, "many").await?;
    let arrivals = Arrivals::watch(&client, "many");
    let mut operator = program.start(rig, "many")?;
    let first = next_minute(FIRST)?;
    let due: Vec<_> =
        (0..ROUNDS).map_while(|round| first.checked_add(ROUND * i32::try_from(round).ok()?).ok()).collect();
    post(&client, "many", backups(MANY, &due)?).await?;
    println!("{MANY} objects");
    for (round, due) in due.iter().enumerate() {
        let taken = arrivals.after(*due, MANY, PATIENCE).await?;
        if round == 0 {
            tell("the operator", &taken, &taken);
        }
    }
    settle(&operator).await;
    let (now, peak) = operator.memory();
    println!("  with {} Jobs: {now} MiB resident, {peak} MiB at the peak (at most 100)", MANY * ROUNDS);
    let before = requests(&client).await?;
    tokio::time::sleep(IDLE).await;
    let after = requests(&client).await?;
    println!(
        "  at rest for {IDLE:?}: {} writes, {} reads, {} watches renewed",
        after.writes - before.writes,
        after.reads - before.reads,
        after.watches - before.watches
    );
    drop(operator);
    operator = program.start(rig, "many")?;
    let first = operator.decided(1).await?;
    let all = operator.decided(MANY as u64).await?;
    println!("  from a start to the first decision {first:.2?} (at most 5 s), to the last {all:.2?}");
    Ok(())
}

/// Waits until no more passes are made.
async fn settle(operator: &operator::Operator) {
    let mut last = u64::MAX;
    let began = Instant::now();
    while operator.passes() != last && began.elapsed() < PATIENCE {
        last = operator.passes();
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
}

/// Requests that the API server has answered for the kinds that the operator uses.
#[derive(Default)]
struct Requests {
    writes: i64,
    reads: i64,
    watches: i64,
}

async fn requests(client: &Client) -> anyhow::Result<Requests> {
    let request = http::Request::get("/metrics").body(vec![])?;
    let metrics = client.request_text(request).await?;
    let mut counted = Requests::default();
    let kinds = [
        "databasebackups",
        "databasesnapshots",
        "databaserestores",
        "jobs",
        "pods",
        "events",
        "persistentvolumeclaims",
    ];
    for line in metrics.lines().filter(|line| line.starts_with("apiserver_request_total{")) {
        let label =
            |name: &str| line.split_once(&format!("{name}=\"")).and_then(|(_, rest)| rest.split('"').next());
        let (Some(verb), Some(kind)) = (label("verb"), label("resource")) else { continue };
        let count: i64 = line.rsplit(' ').next().and_then(|count| count.parse().ok()).unwrap_or_default();
        match verb {
            _ if !kinds.contains(&kind) => {}
            "WATCH" => counted.watches += count,
            "GET" | "LIST" => counted.reads += count,
            _ => counted.writes += count,
        }
    }
    Ok(counted)
}

/// A full minute that is at least so far away.
fn next_minute(ahead: Duration) -> anyhow::Result<Timestamp> {
    let at = Timestamp::now() + SignedDuration::try_from(ahead)?;
    Ok(Timestamp::from_second((at.as_second() / 60 + 1) * 60)?)
}
