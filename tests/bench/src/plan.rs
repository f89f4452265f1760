//! A plan by the sandboxed postgres plugin (a fresh store for each call) against the same code called natively.

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

use crate::median;

const CALLS: u32 = 500;
const ROUNDS: u32 = 7;

pub(crate) fn run(file: &Path) -> anyhow::Result<()> {
    let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let host = Host::new(Limits::default())?;
    let began = Instant::now();
    let plugin = host.load(&bytes, "bench")?;
    let load = began.elapsed();
    let settings = plugin.validate_settings(None).map_err(|issues| anyhow::anyhow!("{issues:?}"))?;
    let settings = Value::Object(settings).to_string();

    let request = request(settings);
    let sandboxed = rounds(|| black_box(plugin.plan(black_box(&request))).is_ok_and(|plan| plan.is_ok()));
    let request = native(&request);
    let native = rounds(|| black_box(sdk::plan::<Postgres>(black_box(&request))).is_ok());
    println!("plan, postgres plugin ({} KiB, compiled in {load:.0?})", bytes.len() / 1024);
    println!("  sandboxed, fresh store    {sandboxed:>10.1?}");
    println!(
        "  the same code, native     {native:>10.1?}    ratio {:.1}",
        sandboxed.div_duration_f64(native)
    );
    println!("  plans a second, one core  {:>10.0}", 1.0 / sandboxed.as_secs_f64());
    Ok(())
}

fn rounds(call: impl Fn() -> bool) -> Duration {
    let round = |_| {
        let began = Instant::now();
        let good = (0..CALLS).filter(|_| call()).count();
        assert_eq!(good, CALLS as usize, "every call gives a plan");
        began.elapsed() / CALLS
    };
    median((0..ROUNDS).map(round).collect())
}

/// One request for both: the sandbox and the native code are told the same.
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
    let tls = sdk::Tls { mode: sdk::TlsMode::Prefer, ca_file: None, certificate_file: None, key_file: None };
    let connection = |server: &Connection| sdk::Connection {
        host: server.host.clone(),
        port: server.port,
        database: server.database.clone(),
        tls: tls.clone(),
    };
    sdk::Request {
        namespace: request.namespace.clone(),
        name: request.name.clone(),
        database_type: request.database_type.clone(),
        connection: request.connection.as_ref().map(connection),
        bindings: request.bindings.clone(),
        server: None,
        settings: request.settings.clone(),
        config_dir: request.config_dir.clone(),
        scratch_dir: request.scratch_dir.clone(),
        facts: vec![],
    }
}
