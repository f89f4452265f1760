//! Builds real components, once each, and what the tests ask of them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use dbbackup_plugin_host::{Host, Limits, Plugin};
use dbbackup_protocol::contract::{Connection, Request, Tls, TlsMode};

/// The component of a workspace package, as `make plugins` would build it. In a target folder of its own: the one in
/// use is locked by the `cargo test` that runs us. With `PLUGINS_BY_CARGO_COMPONENT` set, that tool builds it, in yet
/// another one: it must not find what cargo left.
pub(crate) fn component(package: &str) -> Vec<u8> {
    static BUILT: Mutex<BTreeMap<String, Vec<u8>>> = Mutex::new(BTreeMap::new());
    let mut built = BUILT.lock().unwrap();
    built.entry(package.to_owned()).or_insert_with(|| build(package)).clone()
}

fn build(package: &str) -> Vec<u8> {
    let component = std::env::var_os("PLUGINS_BY_CARGO_COMPONENT").map(|_| "component");
    let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(component.unwrap_or("guests"));
    let status = Command::new(env!("CARGO"))
        .args(component)
        .args(["build", "--quiet", "--profile", "plugin", "--target", "wasm32-wasip2", "-p", package])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("CARGO_TARGET_DIR", &target)
        .status()
        .unwrap();
    assert!(status.success(), "{package} does not build");
    let file = format!("wasm32-wasip2/plugin/{}.wasm", package.replace('-', "_"));
    std::fs::read(target.join(&file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// The host of most tests. Its deadline is out of reach on a machine that is busy: what is tested has to be found by the
/// limits that do not depend on time.
pub(crate) fn host() -> &'static Host {
    static HOST: OnceLock<Host> = OnceLock::new();
    HOST.get_or_init(|| Host::new(Limits { deadline: Duration::from_mins(5), ..Limits::default() }).unwrap())
}

pub(crate) fn misbehaving() -> &'static Plugin {
    static PLUGIN: OnceLock<Plugin> = OnceLock::new();
    PLUGIN.get_or_init(|| host().load(&component("misbehaving-guest"), "misbehaving.wasm").unwrap())
}

/// The misbehaving plugin with some of its text replaced by other text of the same length.
pub(crate) fn patched(replacements: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = component("misbehaving-guest");
    for (from, to) in replacements {
        assert_eq!(from.len(), to.len());
        let places: Vec<usize> = bytes
            .windows(from.len())
            .enumerate()
            .filter(|(_, w)| *w == from.as_bytes())
            .map(|(at, _)| at)
            .collect();
        assert!(!places.is_empty(), "{from} is not in the component");
        for at in places {
            bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
        }
    }
    bytes
}

/// The misbehaving plugin that always does the same, whatever it is asked.
pub(crate) fn with_habit(habit: &str) -> Vec<u8> {
    let place = "@as-the-request-says";
    patched(&[(place, &format!("{habit:.<width$}", width = place.len()))])
}

/// The same component with other bytes: a custom section that nobody reads.
pub(crate) fn relabelled(mut bytes: Vec<u8>, label: u8) -> Vec<u8> {
    bytes.extend([0, 3, 1, b'x', label]);
    bytes
}

/// A complete request; `name` tells the misbehaving plugin what to do.
pub(crate) fn request(database_type: &str, name: &str) -> Request {
    Request {
        namespace: "shop".into(),
        name: name.into(),
        database_type: database_type.into(),
        connection: Some(Connection {
            host: "db.example".into(),
            port: None,
            database: None,
            tls: Tls { mode: TlsMode::Require, ca_file: None, certificate_file: None, key_file: None },
        }),
        bindings: vec!["username".into(), "password".into()],
        server: None,
        settings: "{}".into(),
        config_dir: "/config".into(),
        scratch_dir: "/scratch".into(),
        facts: vec![],
    }
}
