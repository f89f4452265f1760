//! The operator compiles plugins in a process of its own binary: what is hostile there ends there.

#![expect(clippy::unwrap_used, clippy::panic, reason = "these are tests, their helpers too")]

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use dbbackup_plugin_host::{
    AllowList, CodeCache, CompileError, CompileLimits, Compiler, Host, LoadError, Loader, Options,
    Quarantine, Registry,
};

const OPERATOR: &str = env!("CARGO_BIN_EXE_operator");

fn host(program: &str, limits: CompileLimits, cache: Option<&Path>) -> Host {
    let compiler = Compiler::Quarantine(Quarantine::new(program, ["compile-plugin"], limits));
    let cache = cache.map(|folder| CodeCache::open(folder, 1 << 20).unwrap());
    Host::with(Options { compiler, cache, ..Options::default() }).unwrap()
}

fn load(host: &Host, bytes: &[u8]) -> LoadError {
    host.load(bytes, "test.wasm").unwrap_err()
}

fn fails(limits: CompileLimits, bytes: &[u8]) -> CompileError {
    match load(&host(OPERATOR, limits, None), bytes) {
        LoadError::Compile(error) => error,
        other => panic!("{other}"),
    }
}

/// Valid, and no plugin: whoever says that exports are missing has compiled it.
fn small() -> Vec<u8> {
    wat::parse_str("(component (core module (func (export \"f\") (result i32) i32.const 7)))").unwrap()
}

fn is_compiled(error: &LoadError) -> bool {
    matches!(error, LoadError::MissingExport(_))
}

/// One function with thousands of locals and blocks: valid, small, and what compilers are worst at.
fn bomb() -> Vec<u8> {
    let (locals, blocks) = (2000, 30_000);
    let mut text = "(component (core module (func (param i32)".to_owned();
    text.push_str(&" (local i32)".repeat(locals));
    for block in 0..blocks {
        let (from, to) = ((block * 7919) % locals, (block * 104_729) % locals);
        write!(
            text,
            "(block (br_if 0 (local.get 0)) (local.set {to} (i32.add (local.get {from}) (local.get {to}))))"
        )
        .unwrap();
    }
    text.push_str(")))");
    wat::parse_str(text).unwrap()
}

#[test]
fn a_bomb_is_stopped_by_each_limit_and_the_next_plugin_is_not_harmed() {
    let bomb = bomb();
    assert!(bomb.len() < 1 << 20, "{} bytes", bomb.len());
    // One limit at a time; the others are out of reach, on a busy machine too.
    let wide = CompileLimits {
        address_space: 4 << 30,
        cpu_seconds: 600,
        wall: Duration::from_mins(20),
        ..CompileLimits::default()
    };

    let error = fails(CompileLimits { address_space: 300 << 20, ..wide }, &bomb);
    assert!(matches!(error, CompileError::Memory { limit } if limit == 300 << 20), "{error}");
    assert!(error.to_string().contains("more than the 300 MiB of memory"), "{error}");
    assert!(!error.is_transient());

    let error = fails(CompileLimits { cpu_seconds: 1, ..wide }, &bomb);
    assert!(matches!(error, CompileError::Cpu { seconds: 1 }), "{error}");

    let began = Instant::now();
    let error = fails(CompileLimits { wall: Duration::from_millis(300), ..wide }, &bomb);
    assert!(matches!(error, CompileError::Wall(_)) && error.is_transient(), "{error}");
    assert!(began.elapsed() < Duration::from_mins(1), "{:?}", began.elapsed());

    let error = load(&host(OPERATOR, CompileLimits::default(), None), &small());
    assert!(is_compiled(&error), "{error}");
}

#[test]
fn causes_are_those_of_the_compiler() {
    let mut broken = small();
    let middle = broken.len() - 3;
    broken[middle] = 0xff;
    let quarantined = load(&host(OPERATOR, CompileLimits::default(), None), &broken);
    let here = load(&Host::new(dbbackup_plugin_host::Limits::default()).unwrap(), &broken);
    assert!(matches!(&quarantined, LoadError::Invalid(_)), "{quarantined}");
    assert_eq!(quarantined.to_string(), here.to_string());

    let error = fails(CompileLimits { code_bytes: 100, ..CompileLimits::default() }, &small());
    assert!(matches!(error, CompileError::CodeTooLarge { max: 100 }), "{error}");
    // So little that the program cannot even begin.
    let error = fails(CompileLimits { address_space: 1 << 20, ..CompileLimits::default() }, &small());
    assert!(matches!(error, CompileError::Memory { .. } | CompileError::Failed { .. }), "{error}");
}

#[test]
fn what_was_packed_is_compiled_unpacked() {
    let packed = zstd::encode_all(small().as_slice(), 19).unwrap();
    let error = load(&host(OPERATOR, CompileLimits::default(), None), &packed);
    assert!(is_compiled(&error), "{error}");
}

#[test]
fn another_program_compiles_nothing() {
    let cases =
        [("/nonexistent", "cannot start"), ("/bin/false", "exit code 1"), ("/bin/echo", "seal is broken")];
    for (program, words) in cases {
        let error = load(&host(program, CompileLimits::default(), None), &small());
        assert!(matches!(error, LoadError::Compile(_)) && error.to_string().contains(words), "{error}");
    }
    let quarantine = Quarantine::new(OPERATOR, ["no-such-command"], CompileLimits::default());
    let options = Options { compiler: Compiler::Quarantine(quarantine), ..Options::default() };
    let error = load(&Host::with(options).unwrap(), &small());
    assert!(matches!(error, LoadError::Compile(_)) && error.to_string().contains("exit code 2"), "{error}");
}

#[test]
fn what_is_cached_is_not_compiled_again_and_what_is_torn_is() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("cache");
    let error = load(&host(OPERATOR, CompileLimits::default(), Some(&folder)), &small());
    assert!(is_compiled(&error), "{error}");
    let without_compiler = host("/nonexistent", CompileLimits::default(), Some(&folder));
    let error = load(&without_compiler, &small());
    assert!(is_compiled(&error), "{error}");

    let files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    let [file] = files.as_slice() else { panic!("{files:?}") };
    let whole = fs::read(file).unwrap();
    fs::write(file, &whole[..whole.len() - 1]).unwrap();
    let error = load(&without_compiler, &small());
    assert!(error.to_string().contains("cannot start"), "{error}");
    let error = load(&host(OPERATOR, CompileLimits::default(), Some(&folder)), &small());
    assert!(is_compiled(&error), "{error}");
    assert_eq!(fs::read(file).unwrap(), whole);
}

#[test]
fn a_bomb_in_the_plugin_directory_keeps_no_other_plugin_from_its_work() {
    let folder = tempfile::tempdir().unwrap();
    let museum =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/museum/plugins/0.1.0/rust-unknown.wasm");
    fs::copy(museum, folder.path().join("good.wasm")).unwrap();
    for name in ["a.wasm", "z.wasm"] {
        fs::write(folder.path().join(name), bomb()).unwrap();
    }
    let host = host(OPERATOR, CompileLimits::default(), None);
    let mut loader = Loader::new(host, vec![folder.path().into()], AllowList::default());
    let mut registry = Registry::default();
    while let Some(next) = loader.look(&registry) {
        registry = next;
        if registry.is_complete() {
            break;
        }
    }
    assert_eq!(registry.plugins().len(), 1);
    assert_eq!(registry.failures().len(), 2);
    for failure in registry.failures() {
        // Of memory or of time, whichever it needs first on this machine.
        assert!(failure.error.starts_with("compiling it takes more than the "), "{}", failure.error);
    }
}
