//! Directories that change while they are followed.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use dbbackup_plugin_host::{AllowList, AllowMode, Loader, Registry, Rejection};
use tempfile::{TempDir, tempdir};

use crate::support::{component, host, patched, relabelled, with_habit};

/// A directory, and what follows it.
struct Followed {
    folder: TempDir,
    loader: Loader,
    registry: Registry,
}

impl Followed {
    fn new() -> Self {
        let folder = tempdir().unwrap();
        let loader = Loader::new(host().clone(), vec![folder.path().to_owned()], AllowList::default());
        Self { folder, loader, registry: Registry::default() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(name), bytes).unwrap();
    }

    /// One look; whether it proposed something.
    fn look(&mut self) -> bool {
        let next = self.loader.look(&self.registry);
        let changed = next.is_some();
        self.registry = next.unwrap_or_else(|| std::mem::take(&mut self.registry));
        changed
    }

    /// Versions that are loaded, those with `!` although their file holds another one.
    fn versions(&self) -> Vec<String> {
        let kept =
            |file: &str| self.registry.failures().iter().any(|failure| failure.file == Path::new(file));
        let plugins = self.registry.plugins().iter();
        plugins
            .map(|plugin| format!("{}{}", plugin.version(), if kept(plugin.source()) { "!" } else { "" }))
            .collect()
    }

    fn why(&self) -> String {
        self.registry.failures().iter().map(|failure| failure.error.clone()).collect::<Vec<_>>().join("; ")
    }
}

fn version(version: &str) -> Vec<u8> {
    patched(&[("0.1.0-guest", version)])
}

#[test]
fn a_plugin_comes_changes_and_goes_without_a_restart() {
    let mut followed = Followed::new();
    assert!(followed.look() && followed.versions().is_empty() && followed.registry.is_complete());
    assert!(!followed.look(), "nothing has changed");
    followed.write("a.wasm", version("0.1.0-guest"));
    assert!(!followed.look(), "one look is not enough");
    assert!(followed.look() && followed.versions() == ["0.1.0-guest"]);
    followed.write("a.wasm", version("0.2.0-guest"));
    assert!(!followed.look() && followed.versions() == ["0.1.0-guest"]);
    assert!(followed.look() && followed.versions() == ["0.2.0-guest"]);
    fs::remove_file(followed.path("a.wasm")).unwrap();
    assert!(!followed.look() && followed.versions() == ["0.2.0-guest"]);
    assert!(followed.look() && followed.versions().is_empty());
}

#[test]
fn a_file_that_is_being_written_is_left_alone() {
    let whole = version("0.2.0-guest");
    let mut followed = Followed::new();
    followed.write("a.wasm", version("0.1.0-guest"));
    followed.look();
    for end in [whole.len() / 3, whole.len() / 2, whole.len()] {
        followed.write("a.wasm", &whole[..end]);
        assert!(!followed.look() && followed.why().is_empty(), "{end}: {}", followed.why());
    }
    assert!(followed.look() && followed.versions() == ["0.2.0-guest"]);
    // A writer that was interrupted: the last good one stays, and the reason is told.
    followed.write("a.wasm", &whole[..whole.len() / 2]);
    followed.look();
    assert!(followed.look() && followed.versions() == ["0.2.0-guest!"], "{:?}", followed.versions());
    assert!(followed.why().contains("truncated"), "{}", followed.why());
    followed.write("a.wasm", &whole);
    followed.look();
    assert!(followed.look() && followed.versions() == ["0.2.0-guest"] && followed.why().is_empty());
}

#[test]
fn a_config_map_swaps_its_folder() {
    let fill = |followed: &Followed, name: &str, bytes: Vec<u8>| {
        let data = followed.path(name);
        fs::create_dir(&data).unwrap();
        fs::write(data.join("a.wasm"), bytes).unwrap();
        symlink(name, followed.path("..new")).unwrap();
        fs::rename(followed.path("..new"), followed.path("..data")).unwrap();
    };
    let mut followed = Followed::new();
    fill(&followed, "..1", version("0.1.0-guest"));
    symlink("..data/a.wasm", followed.path("a.wasm")).unwrap();
    assert!(followed.look() && followed.versions() == ["0.1.0-guest"]);
    fill(&followed, "..2", version("0.2.0-guest"));
    fs::remove_dir_all(followed.path("..1")).unwrap();
    assert!(!followed.look());
    assert!(followed.look() && followed.versions() == ["0.2.0-guest"]);
}

#[test]
fn a_version_that_fails_its_self_check_does_not_take_over() {
    for (habit, words) in
        [("panic", "the answer is not 42"), ("spin", "units of fuel"), ("trap", "unreachable")]
    {
        let mut followed = Followed::new();
        followed.write("a.wasm", version("0.1.0-guest"));
        followed.look();
        followed.write("a.wasm", with_habit(habit));
        followed.look();
        assert!(followed.look() && followed.versions() == ["0.1.0-guest!"]);
        assert!(
            followed.why().contains("self-check, plan") && followed.why().contains(words),
            "{}",
            followed.why()
        );
    }
}

#[test]
fn a_rejected_version_does_not_take_over_under_any_name() {
    let mut followed = Followed::new();
    followed.write("a.wasm", version("0.1.0-guest"));
    followed.look();
    let old = followed.registry.plugins()[0].clone();
    fs::rename(followed.path("a.wasm"), followed.path("b.wasm")).unwrap();
    followed.write("b.wasm", version("0.2.0-guest"));
    followed.look();
    let proposal = followed.loader.look(&followed.registry).unwrap();
    let rejection = Rejection {
        digest: proposal.plugins()[0].digest().to_owned(),
        instead_of: [old.digest().to_owned()].into(),
        why: "it has no plan for shop/orders".into(),
    };
    followed.registry = followed.loader.reject(&followed.registry, &proposal, &[rejection]);
    assert_eq!(followed.versions(), ["0.1.0-guest"]);
    assert_eq!(followed.why(), "it has no plan for shop/orders");
    assert!(!followed.look(), "it is remembered");
    followed.write("b.wasm", version("0.3.0-guest"));
    followed.look();
    assert!(followed.look() && followed.versions() == ["0.3.0-guest"] && followed.why().is_empty());
}

#[test]
fn two_files_of_one_id_conflict_until_one_goes() {
    let mut followed = Followed::new();
    followed.write("a.wasm", component("misbehaving-guest"));
    followed.look();
    followed.write("b.wasm", relabelled(component("misbehaving-guest"), 1));
    followed.look();
    assert!(followed.look());
    let conflicts = followed.registry.conflicts();
    let claimants = &conflicts["id misbehaving-guest"];
    assert!(claimants.len() == 2 && claimants[1].contains("b.wasm"), "{claimants:?}");
    fs::remove_file(followed.path("a.wasm")).unwrap();
    followed.look();
    assert!(followed.look() && followed.registry.conflicts().is_empty());
}

#[test]
fn hundreds_of_files_and_a_folder_full_of_others() {
    let mut followed = Followed::new();
    for number in 0..300 {
        followed.write(&format!("{number}.wasm"), format!("nonsense {number}"));
        followed.write(&format!("{number}.txt"), "nonsense");
    }
    followed.write("z.wasm", version("0.1.0-guest"));
    while !(followed.look() && followed.registry.is_complete()) {}
    assert_eq!((followed.versions().len(), followed.registry.failures().len()), (1, 300));
    assert!(followed.why().contains("not WebAssembly"));
    assert!(!followed.look());
}

#[test]
fn a_directory_that_cannot_be_listed_unloads_nothing() {
    let parent = tempdir().unwrap();
    let folder = parent.path().join("plugins");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("a.wasm"), version("0.1.0-guest")).unwrap();
    let mut loader = Loader::new(host().clone(), vec![folder.clone()], AllowList::default());
    let registry = loader.look(&Registry::default()).unwrap();
    fs::rename(&folder, parent.path().join("away")).unwrap();
    let blind = loader.look(&registry).unwrap();
    assert_eq!((blind.plugins().len(), blind.failures().len()), (1, 1));
    assert!(blind.failures()[0].error.contains("cannot list"), "{:?}", blind.failures());
    assert!(loader.look(&blind).is_none());
}

#[test]
fn only_known_digests_load_where_that_is_enforced() {
    let folder = tempdir().unwrap();
    fs::write(folder.path().join("a.wasm"), version("0.1.0-guest")).unwrap();
    fs::write(folder.path().join("b.wasm"), b"not even looked at").unwrap();
    let look = |allow: AllowList| {
        Loader::new(host().clone(), vec![folder.path().to_owned()], allow).look(&Registry::default()).unwrap()
    };
    let known = look(AllowList::default()).plugins()[0].digest().to_owned();
    let registry = look(AllowList::new(AllowMode::Enforce, [known]).unwrap());
    assert_eq!((registry.plugins().len(), registry.failures().len()), (1, 1));
    let error = &registry.failures()[0].error;
    assert!(error.contains("allow-list") && error.contains("--plugin-allow"), "{error}");
    assert!(look(AllowList::new(AllowMode::Enforce, []).unwrap()).plugins().is_empty());
}
