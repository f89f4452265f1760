//! The values of the bindings, read once from their files, exact to the byte: a newline at the end of a Secret's
//! value is part of it.

use std::{collections::BTreeMap, fmt, fs, io, path::Path};

use dbbackup_protocol::{plan::SecretRef, report::Reason, work_order::BoundSecret};

use super::encode::encode;
use crate::failure::Failure;

/// One supplied binding.
#[derive(Clone)]
struct Binding {
    secret: String,
    key: String,
    /// None: the file is not there.
    value: Option<Vec<u8>>,
}

/// All supplied bindings. Its `Debug` shows names only.
#[derive(Clone)]
pub(crate) struct Secrets(BTreeMap<String, Binding>);

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Secrets {
    /// Reads the file of every binding in `dir`. A missing one is no error until a process needs it.
    ///
    /// # Errors
    /// A file that is there and cannot be read.
    pub(crate) fn read(dir: &Path, bindings: &[BoundSecret]) -> Result<Self, Failure> {
        let read = |bound: &BoundSecret| -> Result<(String, Binding), Failure> {
            let value = match fs::read(dir.join(&bound.name)) {
                Ok(value) => Some(value),
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(error) => {
                    return Err(Failure::new(
                        Reason::SecretMissing,
                        format!("key {:?} of Secret {:?} cannot be read: {error}", bound.key, bound.secret),
                    ));
                }
            };
            Ok((bound.name.clone(), Binding { secret: bound.secret.clone(), key: bound.key.clone(), value }))
        };
        bindings.iter().map(read).collect::<Result<_, _>>().map(Self)
    }

    /// The value of `wanted` in its encoding.
    ///
    /// # Errors
    /// It is not supplied, not there, or cannot be encoded.
    pub(crate) fn render(&self, wanted: &SecretRef) -> Result<Vec<u8>, Failure> {
        let name = &wanted.binding;
        let binding = self
            .0
            .get(name)
            .ok_or_else(|| Failure::plan(format!("it uses the binding {name:?}, which is not supplied")))?;
        let value = binding.value.as_ref().ok_or_else(|| {
            Failure::new(
                Reason::SecretMissing,
                format!(
                    "Secret {:?} or its key {:?} is missing; it holds the {name} of the database: create it, or \
                     name other keys in spec.connection.credentials",
                    binding.secret, binding.key
                ),
            )
        })?;
        encode(value, &wanted.encoding).map_err(|error| self.not_encodable(name, error))
    }

    /// The failure of a value of `binding` that cannot be written.
    pub(crate) fn not_encodable(&self, binding: &str, why: impl fmt::Display) -> Failure {
        let place = self
            .0
            .get(binding)
            .map(|bound| format!(" (key {:?} of Secret {:?})", bound.key, bound.secret))
            .unwrap_or_default();
        Failure::new(
            Reason::SecretNotEncodable,
            format!(
                "the value of {binding}{place} cannot be handed to the database's tool: {why}; change it"
            ),
        )
    }

    /// Names and values of the bindings that are there.
    pub(crate) fn values(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().filter_map(|(name, binding)| Some((name.as_str(), binding.value.as_deref()?)))
    }
}
