//! `wit/` against every contract that was released on its track.
//!
//! The direction that matters is one: a plugin made for the old contract works with the new one. The other way round a
//! plugin of the new contract may use what an old operator lacks.

use std::fs;
use std::path::Path;

use wit_parser::{Resolve, Span, WorldId};

use crate::{entries, name, repository};

/// Has every optional interface, so that it grows with each new one. No plugin targets it: those that have everything
/// include the single worlds.
const GROWS: &str = "complete-plugin";

#[test]
fn the_contract_is_compatible_with_its_releases() {
    let current = repository("wit");
    let (_, version) = package(&current);
    let mut checked = 0;
    for released in entries(&repository("tests/museum/contract")) {
        let (_, old) = package(&released);
        assert_eq!(old.to_string(), name(&released), "a folder is called as its package's version");
        if semver::VersionReq::parse(&format!("^{old}")).unwrap().matches(&version) {
            compatible(&released, &current).unwrap_or_else(|error| panic!("wit/ breaks {old}: {error}"));
            checked += 1;
        }
    }
    assert!(
        checked > 0,
        "no release is on the track of {version}: tests/museum/README.md says how one gets there"
    );
}

/// Breaking changes are found, allowed ones are not. Each replaces a text in a file of the contract.
#[test]
fn the_check_can_fail_and_does_not_cry_wolf() {
    let breaking = [
        ("types.wit", "value: string,\n  }", "value: string,\n    more: u32,\n  }", "a field more"),
        ("types.wit", "    scratch-dir: string,\n", "", "a field less"),
        ("types.wit", "minimum-bytes: u32", "minimum-bytes: u64", "a wider number"),
        ("types.wit", "    verify-full,\n", "    verify-full,\n    pinned,\n", "a case more"),
        ("types.wit", "  record fact {", "  record fakt {", "a record of another name"),
        (
            "backup.wit",
            "-> list<issue>;",
            "-> list<issue>;\n  estimate: func() -> u32;",
            "a function more to export",
        ),
        (
            "backup.wit",
            "check: func(request: request)",
            "check: func(request: request, again: bool)",
            "a parameter more",
        ),
        (
            "backup.wit",
            "export backup;",
            "export backup;\n  include with-probe;",
            "an interface that was optional",
        ),
        ("diagnose.wit", "retryable: bool,", "", "a field less of an optional interface"),
        ("host.wit", "    panic,\n", "", "a level less"),
        ("host.wit", "log: func(level: level, message: string);", "", "a function less to import"),
        ("probe.wit", "world with-probe", "world probing", "a world of another name"),
    ];
    let allowed = [
        ("host.wit", "  log: func", "  beep: func();\n  log: func", "a function more to import"),
        (
            "types.wit",
            "interface types {",
            "interface types {\n  record novelty { text: string }",
            "a type more",
        ),
        ("types.wit", "/// An open key and value", "/// A pair", "other words"),
        (
            "complete.wit",
            "include with-probe;",
            "include with-probe;\n  export novelty;\n}\ninterface novelty {\n  x: func();\n}\nworld with-novelty {\n  export novelty;",
            "an optional interface more",
        ),
    ];
    let released = repository("tests/museum/contract/0.1.0");
    for (changes, sound) in [(breaking.as_slice(), false), (allowed.as_slice(), true)] {
        for (file, from, to, what) in changes {
            let changed = tempfile::tempdir().unwrap();
            for path in entries(&released) {
                fs::copy(&path, changed.path().join(name(&path))).unwrap();
            }
            let text = fs::read_to_string(released.join(file)).unwrap();
            assert!(text.contains(from), "{file} has no {from:?}");
            fs::write(changed.path().join(file), text.replacen(from, to, 1)).unwrap();
            let answer = compatible(&released, changed.path());
            assert_eq!(answer.is_ok(), sound, "{what}: {answer:?}");
        }
    }
}

/// A contract and its version.
fn package(folder: &Path) -> (Resolve, semver::Version) {
    let mut resolve = Resolve::default();
    let (id, _) = resolve.push_dir(folder).unwrap_or_else(|error| panic!("{}: {error:#}", folder.display()));
    let version = resolve.packages[id].name.version.clone().expect("the package has a version");
    (resolve, version)
}

/// Whether plugins of every world of the released contract are plugins of the same world of the new one.
fn compatible(released: &Path, new: &Path) -> Result<(), String> {
    let mut worlds: Vec<_> = package(released).0.worlds.iter().map(|(_, world)| world.name.clone()).collect();
    worlds.retain(|world| world != GROWS);
    assert!(!worlds.is_empty());
    worlds.iter().try_for_each(|world| {
        let (resolve, prev, new) = side_by_side(released, new, world)?;
        wit_component::semver_check(resolve, prev, new).map_err(|error| format!("world {world}: {error:#}"))
    })
}

/// A world of both contracts in one set of packages, where the released one has no version, so that they do not merge.
fn side_by_side(released: &Path, new: &Path, world: &str) -> Result<(Resolve, WorldId, WorldId), String> {
    let mut all = Resolve::default();
    let (new, _) = all.push_dir(new).map_err(|error| format!("{error:#}"))?;
    let new = *all.packages[new].worlds.get(world).ok_or_else(|| format!("world {world} is gone"))?;
    let mut old = Resolve::default();
    let (prev, _) = old.push_dir(released).map_err(|error| format!("{error:#}"))?;
    let prev_world = *old.packages[prev].worlds.get(world).ok_or("the world was not there before")?;
    old.packages[prev].name.version = None;
    old.package_names = [(old.packages[prev].name.clone(), prev)].into_iter().collect();
    let moved = all.merge(old).map_err(|error| format!("{error:#}"))?;
    let prev = moved.map_world(prev_world, Span::default()).map_err(|error| format!("{error:#}"))?;
    Ok((all, prev, new))
}
