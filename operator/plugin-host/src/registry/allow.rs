//! Which plugins an administrator knows, by digest.

use std::collections::BTreeSet;
use std::path::Path;

use tracing::warn;

use super::files::Eyes;
use crate::error::LoadError;

/// What happens to a plugin that is not on the list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AllowMode {
    /// It is loaded: whoever may write the plugin directories decides.
    #[default]
    Off,
    /// It is loaded, and the log says so.
    Warn,
    /// It is not loaded, not even compiled.
    Enforce,
}

/// Digests that an administrator allows.
#[derive(Clone, Debug, Default)]
pub struct AllowList {
    mode: AllowMode,
    digests: BTreeSet<String>,
}

impl AllowList {
    /// Digests are `sha256:` and 64 hex digits, as `sha256sum` prints them.
    ///
    /// # Errors
    /// A sentence on the first that is none.
    pub fn new(mode: AllowMode, digests: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let digests: BTreeSet<String> = digests.into_iter().collect();
        match digests.iter().find(|digest| !is_digest(digest)) {
            Some(wrong) => {
                Err(format!("{wrong:?} is no digest: write sha256: and 64 hex digits in lower case"))
            }
            None => Ok(Self { mode, digests }),
        }
    }

    /// The same list, with everything that is in a folder now: what the operator's own image brings.
    #[must_use]
    pub fn with_folder(mut self, folder: &Path) -> Self {
        let look = Eyes::new(usize::MAX).look(&[folder.to_owned()]);
        self.digests.extend(look.files.into_values().flatten());
        self
    }

    pub(super) fn check(&self, digest: &str, file: &str) -> Result<(), LoadError> {
        match self.mode {
            _ if self.digests.contains(digest) => Ok(()),
            AllowMode::Off => Ok(()),
            AllowMode::Warn => {
                warn!(file, digest, "the plugin is not on the allow-list; it is loaded all the same");
                Ok(())
            }
            AllowMode::Enforce => Err(LoadError::NotAllowed { digest: digest.to_owned() }),
        }
    }
}

fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:").is_some_and(|hex| {
        hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_enforcing_refuses() {
        let (known, unknown) = (format!("sha256:{}", "a".repeat(64)), format!("sha256:{}", "b".repeat(64)));
        for (mode, loads) in [(AllowMode::Off, true), (AllowMode::Warn, true), (AllowMode::Enforce, false)] {
            let list = AllowList::new(mode, [known.clone()]).unwrap();
            assert!(list.check(&known, "f").is_ok());
            assert_eq!(list.check(&unknown, "f").is_ok(), loads);
        }
    }

    #[test]
    fn what_the_image_brings_is_known() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.wasm"), "one").unwrap();
        let list = AllowList::new(AllowMode::Enforce, []).unwrap().with_folder(folder.path());
        let digest = "sha256:7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed";
        assert!(list.check(digest, "f").is_ok());
        assert_eq!(list.with_folder(Path::new("/nowhere")).digests.len(), 1);
    }

    #[test]
    fn digests_are_whole() {
        let upper = format!("sha256:{}", "A".repeat(64));
        for wrong in ["", "sha256:", "a", &upper] {
            let error = AllowList::new(AllowMode::Enforce, [wrong.to_owned()]).unwrap_err();
            assert!(error.contains("64 hex digits"), "{error}");
        }
    }
}
