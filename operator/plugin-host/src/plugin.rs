//! A loaded plugin.

use std::sync::Arc;

use dbbackup_protocol::contract::{Description, Issue, Request};
use dbbackup_protocol::plan::BackupPlan;
use dbbackup_protocol::work_order::PluginRef;
use serde_json::{Map, Value};

use crate::call::Callee;
use crate::convert::Convert;
use crate::error::CallError;
use crate::settings::Settings;

/// A component that was loaded and said who it is. Cheap to clone, thread-safe; calls share nothing.
#[derive(Clone)]
pub struct Plugin(Arc<Inner>);

struct Inner {
    callee: Callee,
    description: Description,
    settings: Settings,
    digest: String,
}

impl std::fmt::Debug for Plugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plugin")
            .field("id", &self.id())
            .field("digest", &self.digest())
            .finish_non_exhaustive()
    }
}

impl Plugin {
    pub(crate) fn new(callee: Callee, description: Description, settings: Settings, digest: String) -> Self {
        Self(Arc::new(Inner { callee, description, settings, digest }))
    }

    /// Unique among the loaded plugins.
    pub fn id(&self) -> &str {
        &self.0.description.id
    }

    /// Its semantic version.
    pub fn version(&self) -> &str {
        &self.0.description.version
    }

    /// `sha256:` and the hex digest of the component's bytes.
    pub fn digest(&self) -> &str {
        &self.0.digest
    }

    /// Where its bytes came from, as [`crate::Host::load`] was told.
    pub fn source(&self) -> &str {
        &self.0.callee.source
    }

    /// What it says of itself; validated.
    pub fn description(&self) -> &Description {
        &self.0.description
    }

    /// The schema of its settings: JSON Schema 2020-12, every `$ref` replaced by what it names.
    pub fn settings_schema(&self) -> &Value {
        self.0.settings.schema()
    }

    /// Who it is, for records of what it planned.
    pub fn identity(&self) -> PluginRef {
        PluginRef {
            id: self.id().to_owned(),
            version: self.version().to_owned(),
            digest: self.digest().to_owned(),
        }
    }

    /// `spec.settings` with the schema's defaults filled in, or everything that is wrong with it: pointers begin
    /// with `/settings`.
    ///
    /// # Errors
    /// At least one issue.
    pub fn validate_settings(
        &self,
        settings: Option<&Map<String, Value>>,
    ) -> Result<Map<String, Value>, Vec<Issue>> {
        self.0.settings.validate(settings)
    }

    /// Everything that the plugin finds wrong with a request; empty: nothing. Blocks, for at most the deadline.
    ///
    /// # Errors
    /// [`CallError`] when the plugin gave no usable answer.
    pub fn check(&self, request: &Request) -> Result<Vec<Issue>, CallError> {
        issues(self.0.callee.check(&request.clone().convert())?.convert(), "")
    }

    /// The plan, or the plugin's reasons (at least one) for having none. Blocks, for at most the deadline.
    ///
    /// # Errors
    /// [`CallError`] when the plugin gave no usable answer.
    pub fn plan(&self, request: &Request) -> Result<Result<BackupPlan, Vec<Issue>>, CallError> {
        let refusal = match self.0.callee.plan(&request.clone().convert())? {
            Ok(plan) => return Ok(Ok(plan.convert())),
            Err(refusal) => issues(refusal.issues.convert(), "/issues")?,
        };
        if refusal.is_empty() {
            // Some guest languages turn any crash into an empty list.
            return Err(bad("/issues", "a refusal has to name at least one issue"));
        }
        Ok(Err(refusal))
    }
}

/// Issues go into conditions and events as they are: they have to have the form.
fn issues(issues: Vec<Issue>, at: &str) -> Result<Vec<Issue>, CallError> {
    for (index, issue) in issues.iter().enumerate() {
        if !(issue.path.is_empty() || issue.path.starts_with('/')) {
            return Err(bad(&format!("{at}/{index}/path"), "a JSON pointer begins with `/`"));
        }
        let word = issue.reason.starts_with(|c: char| c.is_ascii_uppercase())
            && issue.reason.len() <= 64
            && issue.reason.chars().all(|c| c.is_ascii_alphanumeric());
        if !word {
            return Err(bad(&format!("{at}/{index}/reason"), "a reason is one CamelCase word"));
        }
        if issue.message.trim().is_empty() {
            return Err(bad(&format!("{at}/{index}/message"), "a message has to say something"));
        }
    }
    Ok(issues)
}

fn bad(at: &str, why: &str) -> CallError {
    CallError::BadOutput { at: at.to_owned(), why: why.to_owned() }
}
