//! Builds real components, once each, and calls the binary.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use serde_json::Value;

/// The component of a workspace package, where the plugin host's tests build them too.
pub(crate) fn component(package: &str) -> PathBuf {
    static BUILT: Mutex<BTreeMap<String, PathBuf>> = Mutex::new(BTreeMap::new());
    let mut built = BUILT.lock().unwrap();
    built.entry(package.to_owned()).or_insert_with(|| build(package)).clone()
}

fn build(package: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("guests");
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--profile", "plugin", "--target", "wasm32-wasip2", "-p", package])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("CARGO_TARGET_DIR", &target)
        .status()
        .unwrap();
    assert!(status.success(), "{package} does not build");
    target.join(format!("wasm32-wasip2/plugin/{}.wasm", package.replace('-', "_")))
}

/// What a call of the binary gave.
pub(crate) struct Called {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Called {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}{}", self.stdout, self.stderr))
    }
}

/// Calls `kubectl-dbbackup plugin …` in a folder.
pub(crate) fn plugin_in(folder: &Path, arguments: &[&str]) -> Called {
    called_in(folder, &[&["plugin"], arguments].concat())
}

/// Calls `kubectl-dbbackup …` in a folder.
pub(crate) fn called_in(folder: &Path, arguments: &[&str]) -> Called {
    let output = Command::new(env!("CARGO_BIN_EXE_kubectl-dbbackup"))
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Called { code: output.status.code().unwrap(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

pub(crate) fn plugin(arguments: &[&str]) -> Called {
    plugin_in(Path::new("."), arguments)
}

/// The good plugin with this fault; `none` is none.
pub(crate) fn faulty(folder: &Path, fault: &str) -> PathBuf {
    const PLACE: &[u8] = b"fault:none                      ";
    let mut bytes = std::fs::read(component("faulty-guest")).unwrap();
    let at = bytes.windows(PLACE.len()).position(|window| window == PLACE).unwrap();
    bytes[at..at + PLACE.len()].copy_from_slice(format!("{:<32}", format!("fault:{fault}")).as_bytes());
    let file = folder.join(format!("{fault}.wasm"));
    std::fs::write(&file, bytes).unwrap();
    file
}
