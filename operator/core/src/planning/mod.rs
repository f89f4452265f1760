//! What the plugins say of an object: a plan that passed the police, or a sentence that says why there is none.

mod compare;
mod diff;
#[cfg(test)]
mod fixture;
mod make;
mod probe;
mod restore;

use dbbackup_protocol::{
    contract::Issue,
    plan::BackupPlan,
    work_order::{BoundSecret, PluginRef},
};

pub use compare::{Comparison, compare};
pub use diff::{Difference, diff};
pub use make::{Administration, plan};
pub use probe::{PlannedProbe, Probing, explain, findings};
pub use restore::{PlannedRestore, plan_restore};

/// The answer for one object as it is now.
#[derive(Clone, Debug, PartialEq)]
pub enum Planning {
    /// Runs can start.
    Planned(Box<Planned>),
    /// They cannot, until somebody changes something.
    Refused(Refused),
}

/// A plan that may be rendered.
#[derive(Clone, Debug, PartialEq)]
pub struct Planned {
    /// Who planned.
    pub plugin: PluginRef,
    /// The generic plugin stands in for an unknown type.
    pub fallback: bool,
    /// What passed the police.
    pub plan: BackupPlan,
    /// Full reference of the client image, allowed and mirrored.
    pub image: String,
    /// Secret values to mount.
    pub bindings: Vec<BoundSecret>,
    /// What is asked of the server beforehand.
    pub probing: Probing,
}

/// Why there is no plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Who refused; none where no plugin could be asked.
    pub plugin: Option<PluginRef>,
    /// The generic plugin stands in for an unknown type.
    pub fallback: bool,
    /// The plugin fails; otherwise it is the user or the administrator who has something to change.
    pub faulty: bool,
    /// Stable word.
    pub reason: String,
    /// Cause and remedy.
    pub message: String,
}

impl Refused {
    /// A refusal made of issues: the first one gives the reason, all are told.
    pub fn by_issues(plugin: &PluginRef, fallback: bool, issues: &[Issue]) -> Self {
        let sentence = |issue: &Issue| format!("spec{}: {}", issue.path.replace('/', "."), issue.message);
        Self {
            plugin: Some(plugin.clone()),
            fallback,
            faulty: false,
            reason: issues.first().map_or_else(|| "Refused".to_owned(), |issue| issue.reason.clone()),
            message: issues.iter().map(sentence).collect::<Vec<_>>().join("; "),
        }
    }
}

/// What there is to tell of the plugin itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PluginNews {
    /// It stays although its file holds another one now: why that is not used.
    pub kept: Option<String>,
    /// What changed for this object when it took over from another version.
    pub changed: Option<String>,
}

impl Planning {
    /// Who was asked.
    pub fn plugin(&self) -> Option<&PluginRef> {
        match self {
            Self::Planned(planned) => Some(&planned.plugin),
            Self::Refused(refused) => refused.plugin.as_ref(),
        }
    }

    /// Why the plugin's questions to the server cannot be asked, if so: reason and sentence.
    pub fn refused_probe(&self) -> Option<(&str, &str)> {
        match self {
            Self::Planned(planned) => match &planned.probing {
                Probing::Refused(reason, message) => Some((reason, message)),
                Probing::Nothing | Probing::Planned(_) => None,
            },
            Self::Refused(_) => None,
        }
    }

    /// Whether the generic plugin stands in for an unknown type.
    pub fn is_fallback(&self) -> bool {
        match self {
            Self::Planned(planned) => planned.fallback,
            Self::Refused(refused) => refused.fallback,
        }
    }
}
