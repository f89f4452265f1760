//! What a new version of a plugin makes of an object, beside the old one: before it takes over, and for authors.

use super::{Difference, Planning, Refused, diff};

/// Most changes that a summary names.
const MAX_NAMED: usize = 3;

/// The new answer beside the old one.
#[derive(Clone, Debug, PartialEq)]
pub enum Comparison {
    /// The same, byte for byte.
    Same,
    /// Another plan.
    Differs(Vec<Difference>),
    /// A plan where there was none.
    Mended,
    /// No plan any more, and it says why: a matter between the plugin and the user.
    Refused(Refused),
    /// No plan any more, because the plugin fails.
    Broken(Refused),
}

impl Comparison {
    /// What changed, in one line; none: nothing.
    pub fn summary(&self) -> Option<String> {
        match self {
            Self::Same => None,
            Self::Differs(changes) => Some(format!("its plan differs: {}", summary(changes))),
            Self::Mended => Some("it has a plan now".to_owned()),
            Self::Refused(refused) | Self::Broken(refused) => {
                Some(format!("it has no plan any more: {}: {}", refused.reason, refused.message))
            }
        }
    }
}

/// Compares two answers for the same object.
pub fn compare(old: &Planning, new: &Planning) -> Comparison {
    match (old, new) {
        (Planning::Planned(old), Planning::Planned(new)) => {
            let changes = diff(old, new);
            if changes.is_empty() { Comparison::Same } else { Comparison::Differs(changes) }
        }
        (Planning::Planned(_), Planning::Refused(refused)) if refused.faulty => {
            Comparison::Broken(refused.clone())
        }
        (Planning::Planned(_), Planning::Refused(refused)) => Comparison::Refused(refused.clone()),
        (Planning::Refused(_), Planning::Planned(_)) => Comparison::Mended,
        (Planning::Refused(old), Planning::Refused(new)) => {
            if (&old.reason, &old.message) == (&new.reason, &new.message) {
                Comparison::Same
            } else {
                Comparison::Refused(new.clone())
            }
        }
    }
}

fn summary(changes: &[Difference]) -> String {
    let named = changes.iter().take(MAX_NAMED).map(ToString::to_string).collect::<Vec<_>>().join("; ");
    match changes.len().saturating_sub(MAX_NAMED) {
        0 => named,
        more => format!("{named}; and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use dbbackup_protocol::plan::PartSource;

    use super::*;
    use crate::planning::fixture::{argument, planned};

    fn refused(reason: &str, faulty: bool) -> Planning {
        Planning::Refused(Refused {
            plugin: None,
            fallback: false,
            faulty,
            reason: reason.into(),
            message: "why".into(),
        })
    }

    fn answer(argv: &[&str]) -> Planning {
        let mut planned = planned();
        let Some(PartSource::One(part)) = planned.plan.parts.first_mut() else { panic!("one part") };
        part.process.argv = argv.iter().map(|text| argument(*text)).collect();
        Planning::Planned(Box::new(planned))
    }

    #[test]
    fn only_a_plugin_that_fails_is_broken() {
        let (plan, other) = (answer(&["dump"]), answer(&["dump", "-v"]));
        assert_eq!(compare(&plan, &plan), Comparison::Same);
        assert!(matches!(compare(&plan, &other), Comparison::Differs(_)));
        assert!(matches!(compare(&plan, &refused("SettingInvalid", false)), Comparison::Refused(_)));
        assert!(matches!(compare(&plan, &refused("PluginTrapped", true)), Comparison::Broken(_)));
        assert_eq!(compare(&refused("PluginTrapped", true), &plan), Comparison::Mended);
        // What failed before cannot get worse.
        assert_eq!(compare(&refused("A", true), &refused("A", true)), Comparison::Same);
        assert!(matches!(compare(&refused("A", false), &refused("B", true)), Comparison::Refused(_)));
    }

    #[test]
    fn a_summary_is_short_whatever_changed() {
        let long = |letter: &str| (0..20).map(|n| format!("{n}{}", letter.repeat(500))).collect::<Vec<_>>();
        let answer = |argv: &[String]| answer(&argv.iter().map(String::as_str).collect::<Vec<_>>());
        let summary = compare(&answer(&long("ä")), &answer(&long("ö"))).summary().unwrap();
        assert!(summary.starts_with("its plan differs: /plan/parts/0/one/process/argv/0"), "{summary}");
        assert!(summary.ends_with("; and 17 more") && summary.len() < 1000, "{} bytes", summary.len());
        assert_eq!(Comparison::Same.summary(), None);
    }
}
