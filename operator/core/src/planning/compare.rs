//! What a new version of a plugin makes of an object, beside the old one: before it takes over, and for authors.

use serde_json::{Map, Value};

use super::{Planned, Planning, Refused};

/// Most changes that a summary names.
const MAX_NAMED: usize = 6;
/// Longest value in a summary, in characters.
const MAX_VALUE: usize = 60;

/// One place where two plans differ.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// JSON pointer: `/plan/…`, `/image` (the whole reference) or `/bindings/…`.
    pub pointer: String,
    /// none: the new one added it.
    pub old: Option<Value>,
    /// none: the new one left it out.
    pub new: Option<Value>,
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = |value: &Option<Value>| value.as_ref().map_or_else(|| "nothing".to_owned(), shorten);
        write!(f, "{}: {} -> {}", self.pointer, shown(&self.old), shown(&self.new))
    }
}

/// The new answer beside the old one.
#[derive(Clone, Debug, PartialEq)]
pub enum Comparison {
    /// The same, byte for byte.
    Same,
    /// Another plan.
    Differs(Vec<Change>),
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

/// Every place where what would run differs. Who planned is not compared.
pub fn diff(old: &Planned, new: &Planned) -> Vec<Change> {
    let value = |planned: &Planned| {
        // What is asked of the server beforehand changes no backup.
        let Planned { plugin: _, fallback: _, plan, image, bindings, probing: _ } = planned;
        // Plans are made of what JSON has.
        serde_json::json!({"plan": plan, "image": image, "bindings": bindings})
    };
    let mut changes = Vec::new();
    walk(Some(&value(old)), Some(&value(new)), "", &mut changes);
    changes
}

fn walk(old: Option<&Value>, new: Option<&Value>, pointer: &str, changes: &mut Vec<Change>) {
    match (old, new) {
        (Some(Value::Object(old)), Some(Value::Object(new))) => objects(old, new, pointer, changes),
        (Some(Value::Array(old)), Some(Value::Array(new))) => lists(old, new, pointer, changes),
        (old, new) if old == new => {}
        (old, new) => {
            changes.push(Change { pointer: pointer.to_owned(), old: old.cloned(), new: new.cloned() });
        }
    }
}

fn objects(old: &Map<String, Value>, new: &Map<String, Value>, pointer: &str, changes: &mut Vec<Change>) {
    let added = new.keys().filter(|name| !old.contains_key(*name));
    for name in old.keys().chain(added) {
        let place = format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"));
        walk(old.get(name), new.get(name), &place, changes);
    }
}

/// What both begin and end with is the same; in between, one by one. So an argument that is inserted is one change.
fn lists(old: &[Value], new: &[Value], pointer: &str, changes: &mut Vec<Change>) {
    let begin = old.iter().zip(new).take_while(|(old, new)| old == new).count();
    let (old, new) = (old.get(begin..).unwrap_or_default(), new.get(begin..).unwrap_or_default());
    let end = old.iter().rev().zip(new.iter().rev()).take_while(|(old, new)| old == new).count();
    let (old, new) = (old.get(..old.len() - end), new.get(..new.len() - end));
    let (old, new) = (old.unwrap_or_default(), new.unwrap_or_default());
    for at in 0..old.len().max(new.len()) {
        walk(old.get(at), new.get(at), &format!("{pointer}/{}", begin + at), changes);
    }
}

fn summary(changes: &[Change]) -> String {
    let named = changes.iter().take(MAX_NAMED).map(ToString::to_string).collect::<Vec<_>>().join("; ");
    match changes.len().saturating_sub(MAX_NAMED) {
        0 => named,
        more => format!("{named}; and {more} more"),
    }
}

fn shorten(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(MAX_VALUE) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use dbbackup_protocol::{
        plan::{Argument, ArgumentPiece, BackupPlan, Completion, Output, Part, PartSource, Process},
        work_order::{BoundSecret, PluginRef},
    };

    use super::*;
    use crate::planning::Probing;

    fn planned(argv: &[&str]) -> Planned {
        let argument = |text: &&str| Argument { pieces: vec![ArgumentPiece::Text((*text).to_owned())] };
        let part = Part {
            name: "all".into(),
            extension: "sql".into(),
            media_type: "application/sql".into(),
            process: Process { argv: argv.iter().map(argument).collect(), env: vec![], files: vec![] },
            output: Output::Stdout,
            completion: Completion {
                exit_codes: vec![0],
                header: None,
                tail: None,
                verifier: None,
                stderr_required: None,
                minimum_bytes: 1,
            },
            restore_command: None,
        };
        Planned {
            plugin: PluginRef { id: "p".into(), version: "1.0.0".into(), digest: "sha256:00".into() },
            fallback: false,
            plan: BackupPlan {
                image: Some("client".into()),
                checks: vec![],
                parts: vec![PartSource::One(part)],
                scratch_mebibytes: None,
            },
            image: "docker.io/library/postgres:18".into(),
            bindings: vec![],
            probing: Probing::Nothing,
        }
    }

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
        Planning::Planned(Box::new(planned(argv)))
    }

    #[test]
    fn changes_are_few_and_in_their_place() {
        let argv = |at: usize| format!("/plan/parts/0/one/process/argv/{at}");
        let cases: [(&[&str], &[&str], Vec<String>); 5] = [
            (&["dump", "-a"], &["dump", "-a"], vec![]),
            (&["dump", "-a"], &["dump", "-b"], vec![format!("{}/pieces/0/text: \"-a\" -> \"-b\"", argv(1))]),
            (
                &["dump", "-a", "-c"],
                &["dump", "-a", "-b", "-c"],
                vec![format!("{}: nothing -> {{\"pieces\":[{{\"text\":\"-b\"}}]}}", argv(2))],
            ),
            (
                &["dump", "-a", "-b"],
                &["dump", "-b"],
                vec![format!("{}: {{\"pieces\":[{{\"text\":\"-a\"}}]}} -> nothing", argv(1))],
            ),
            (
                &["x", "y"],
                &["y", "x"],
                vec![
                    format!("{}/pieces/0/text: \"x\" -> \"y\"", argv(0)),
                    format!("{}/pieces/0/text: \"y\" -> \"x\"", argv(1)),
                ],
            ),
        ];
        for (old, new, expected) in cases {
            let changes: Vec<_> =
                diff(&planned(old), &planned(new)).iter().map(ToString::to_string).collect();
            assert_eq!(changes, expected);
        }
        let mut other = planned(&["dump"]);
        other.image = "docker.io/library/postgres:19".into();
        other.plugin.version = "2.0.0".into();
        other.bindings.push(BoundSecret { name: "p".into(), secret: "s".into(), key: "k".into() });
        let pointers: Vec<_> =
            diff(&planned(&["dump"]), &other).into_iter().map(|change| change.pointer).collect();
        assert_eq!(pointers, ["/bindings/0", "/image"]);
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
        let many: Vec<String> = (0..100).map(|n| format!("{n}{}", "ä".repeat(500))).collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        let summary = compare(&answer(&["dump"]), &answer(&many)).summary().unwrap();
        assert!(summary.starts_with("its plan differs: /plan/parts/0/one/process/argv/0"), "{summary}");
        assert!(summary.ends_with("; and 94 more") && summary.len() < 1000, "{} bytes", summary.len());
        assert_eq!(Comparison::Same.summary(), None);
    }
}
