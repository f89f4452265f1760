//! A plan by a sandboxed plugin (a fresh store for each call) against two floors: wasmtime alone on the same component, and
//! the same code called natively.

use std::{
    fs,
    hint::black_box,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::Context;
use db_backup_plugin_sdk as sdk;
use dbbackup_plugin_host::{Host, Limits};
use dbbackup_protocol::{
    contract::{Connection, Request, Tls, TlsMode},
    pod,
};
use postgres_plugin::Postgres;
use serde_json::Value;

use crate::{bare::Bare, median};

const CALLS: u32 = 500;
const ROUNDS: usize = 9;

pub(crate) fn run(file: &Path) -> anyhow::Result<()> {
    let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let plugin = Host::new(Limits::default())?.load(&bytes, "bench")?;
    let bare = Bare::load(&bytes)?;
    let settings = plugin.validate_settings(None).map_err(|issues| anyhow::anyhow!("{issues:?}"))?;
    let request = request(Value::Object(settings).to_string());
    let (told_bare, told_native) = (Bare::request(&request), native(&request));

    // In turns, so that a busy machine is busy for all.
    let mut times: [Vec<Duration>; 3] = Default::default();
    for _ in 0..ROUNDS {
        let round = [
            round(|| black_box(plugin.plan(black_box(&request))).is_ok_and(|plan| plan.is_ok())),
            round(|| black_box(bare.plan(black_box(&told_bare))).is_ok()),
            round(|| black_box(sdk::plan::<Postgres>(black_box(&told_native))).is_ok()),
        ];
        times.iter_mut().zip(round).for_each(|(times, time)| times.push(time));
    }
    let [sandboxed, bare, native] = times.map(median);
    let ratio = |floor: Duration| sandboxed.div_duration_f64(floor);
    println!("plan, postgres plugin, limits on, fresh store");
    println!("  end to end                {sandboxed:>10.1?}");
    println!("  bare instantiate and call {bare:>10.1?}    ratio {:.2} (at most 2)", ratio(bare));
    println!("  the same code, native     {native:>10.1?}    ratio {:.1}", ratio(native));
    println!("  plans a second, one core  {:>10.0}    (at least 1000)", 1.0 / sandboxed.as_secs_f64());
    Ok(())
}

fn round(call: impl Fn() -> bool) -> Duration {
    let began = Instant::now();
    let good = (0..CALLS).filter(|_| call()).count();
    assert_eq!(good, CALLS as usize, "every call gives a plan");
    began.elapsed() / CALLS
}

/// One request for all: they are told the same.
fn request(settings: String) -> Request {
    let tls = Tls { mode: TlsMode::Prefer, ca_file: None, certificate_file: None, key_file: None };
    Request {
        namespace: "shop".into(),
        name: "orders".into(),
        database_type: "postgres".into(),
        connection: Some(Connection { host: "orders-db".into(), port: Some(5432), database: None, tls }),
        bindings: vec!["username".into(), "password".into()],
        server: None,
        settings,
        config_dir: pod::CONFIG_DIR.into(),
        scratch_dir: pod::SCRATCH_DIR.into(),
        facts: vec![],
    }
}

fn native(request: &Request) -> sdk::Request {
    told!(sdk, request)
}
