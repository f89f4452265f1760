//! What the plugins cost when the operator starts: compiled for the first time in the child process, and out of the cache;
//! and what each of them takes in memory.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use dbbackup_plugin_host::{
    AllowList, CodeCache, CompileLimits, Compiler, Host, Limits, Loader, Options, Plugin, Quarantine,
    Registry,
};
use tempfile::TempDir;

use crate::median;

const ROUNDS: u32 = 5;
const COPIES: usize = 16;

pub(crate) fn run(folder: &Path, operator: &Path) -> anyhow::Result<()> {
    let parent = TempDir::new()?;
    let plugins = parent.path().join("plugins");
    fs::create_dir(&plugins)?;
    let files = built_in(folder)?;
    println!("loading, compiler in a child process        file      cold      warm    memory while loaded");
    for file in &files {
        let name = file.file_name().context("a file has a name")?;
        let bytes = fs::read(file)?;
        fs::copy(file, plugins.join(name))?;
        let cold = median(
            (0..ROUNDS)
                .map(|round| cold(operator, &bytes, parent.path(), round))
                .collect::<Result<_, _>>()?,
        );
        let host = host(operator, &parent.path().join("cache"))?;
        host.load(&bytes, "bench")?;
        let warm =
            median((0..ROUNDS).map(|_| timed(|| host.load(&bytes, "bench"))).collect::<Result<_, _>>()?);
        let memory = memory(&host, &bytes)?;
        println!(
            "  {:<38} {:>5} KiB {cold:>9.1?} {warm:>9.1?} {:>6} KiB",
            name.to_string_lossy(),
            bytes.len() / 1024,
            memory / 1024
        );
    }
    let start = median(
        (0..ROUNDS)
            .map(|_| start(operator, &parent.path().join("cache"), &plugins, files.len()))
            .collect::<Result<_, _>>()?,
    );
    println!("  all of them, a restart with a warm cache           {start:>18.1?}    (at most 50 ms)");
    Ok(())
}

fn built_in(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.to_string_lossy().ends_with("_plugin.wasm") {
            files.push(path);
        }
    }
    files.sort();
    ensure!(!files.is_empty(), "there are no plugins in {}: run make plugins", folder.display());
    Ok(files)
}

fn host(operator: &Path, cache: &Path) -> anyhow::Result<Host> {
    let quarantine = Quarantine::new(operator, ["compile-plugin"], CompileLimits::default());
    let cache = Some(CodeCache::open(cache, 256 << 20)?);
    let compiler = Compiler::Quarantine(quarantine);
    Ok(Host::with(Options { limits: Limits::default(), compiler, cache, observer: None })?)
}

fn timed<T, E: Into<anyhow::Error>>(what: impl FnOnce() -> Result<T, E>) -> anyhow::Result<Duration> {
    let began = Instant::now();
    what().map_err(Into::into)?;
    Ok(began.elapsed())
}

fn cold(operator: &Path, bytes: &[u8], parent: &Path, round: u32) -> anyhow::Result<Duration> {
    let cache = parent.join(format!("cold-{round}"));
    let host = host(operator, &cache)?;
    let time = timed(|| host.load(bytes, "bench"))?;
    fs::remove_dir_all(cache)?;
    Ok(time)
}

/// What the operator does before it is ready: engine, cache, files, self-checks.
fn start(operator: &Path, cache: &Path, plugins: &Path, count: usize) -> anyhow::Result<Duration> {
    let began = Instant::now();
    let mut loader = Loader::new(host(operator, cache)?, vec![plugins.to_owned()], AllowList::default());
    let registry = loader.look(&Registry::default()).unwrap_or_default();
    let time = began.elapsed();
    ensure!(registry.plugins().len() == count, "not all plugins were loaded: {:?}", registry.failures());
    Ok(time)
}

/// Growth of this process's resident memory for each of many copies.
fn memory(host: &Host, bytes: &[u8]) -> anyhow::Result<usize> {
    let before = resident()?;
    let copies: Vec<Plugin> = (0..COPIES).map(|_| host.load(bytes, "bench")).collect::<Result<_, _>>()?;
    let grown = resident()?.saturating_sub(before);
    drop(copies);
    Ok(grown / COPIES)
}

fn resident() -> anyhow::Result<usize> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kibibytes: usize = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kibibytes * 1024)
}
