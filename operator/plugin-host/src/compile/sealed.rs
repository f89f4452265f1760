//! Machine code with a seal: what it was made of, by which engine, and that it is whole. Written by the compiler's
//! process, kept as it is in the cache, opened before a byte of it is believed.

use std::fmt::Write;
use std::hash::{Hash, Hasher};

use sha2::{Digest as _, Sha256};
use wasmtime::Engine;

/// SHA-256 of a component.
pub(crate) type Digest = [u8; 32];

/// Length of the seal at the beginning.
pub(super) const SEAL: usize = 32;

/// What code has to be made of and for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seal {
    component: Digest,
    engine: Digest,
}

/// Code whose seal was right.
#[derive(Debug)]
pub(crate) struct Opened<'a>(&'a [u8]);

impl Opened<'_> {
    pub(super) fn bytes(&self) -> &[u8] {
        self.0
    }
}

impl Seal {
    pub(crate) fn new(component: Digest, engine: &Engine) -> Self {
        Self { component, engine: fingerprint(engine) }
    }

    /// Name of a cached file: which component, and which engine.
    pub(crate) fn file_name(&self) -> String {
        format!("{}-{}", hex(&self.component), Self::engine_name(&self.engine))
    }

    /// The end of the names of all files of an engine.
    pub(crate) fn file_name_end(engine: &Engine) -> String {
        format!("-{}", Self::engine_name(&fingerprint(engine)))
    }

    fn engine_name(engine: &Digest) -> String {
        hex(engine).chars().take(16).collect()
    }

    /// The seal of this code.
    pub(super) fn over(&self, code: &[u8]) -> Digest {
        Sha256::new()
            .chain_update(self.component)
            .chain_update(self.engine)
            .chain_update(code)
            .finalize()
            .into()
    }

    /// Code with its seal before it.
    pub(crate) fn close(&self, code: Vec<u8>) -> Vec<u8> {
        let mut sealed = self.over(&code).to_vec();
        sealed.extend(code);
        sealed
    }

    /// The code, if it is what was sealed.
    pub(crate) fn open<'a>(&self, sealed: &'a [u8]) -> Option<Opened<'a>> {
        let (seal, code) = sealed.split_at_checked(SEAL)?;
        (self.over(code) == seal).then_some(Opened(code))
    }
}

/// Everything that decides whether an engine can use code: wasmtime's version, the CPU's features, all settings.
fn fingerprint(engine: &Engine) -> Digest {
    struct Sha(Sha256);
    impl Hasher for Sha {
        fn write(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }
        fn finish(&self) -> u64 {
            0
        }
    }
    let mut sha = Sha(Sha256::new());
    engine.precompile_compatibility_hash().hash(&mut sha);
    sha.0.finalize().into()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use wasmtime::Config;

    use super::*;

    #[test]
    fn only_what_was_sealed_is_opened() {
        let engine = Engine::default();
        let seal = Seal::new([1; 32], &engine);
        let sealed = seal.close(b"code".to_vec());
        assert_eq!(seal.open(&sealed).unwrap().bytes(), b"code");
        let other_engine = Engine::new(Config::new().consume_fuel(true)).unwrap();
        for wrong in [Seal::new([2; 32], &engine), Seal::new([1; 32], &other_engine)] {
            assert!(wrong.open(&sealed).is_none());
            assert_ne!(wrong.file_name(), seal.file_name());
        }
        for at in 0..sealed.len() {
            let mut torn = sealed.clone();
            torn[at] ^= 1;
            assert!(seal.open(&torn).is_none(), "{at}");
            assert!(seal.open(&sealed[..at]).is_none(), "cut at {at}");
        }
        assert!(seal.file_name().ends_with(&Seal::file_name_end(&engine)));
    }
}
