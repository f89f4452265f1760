//! How two plans for the same object differ: what a reload of a plugin, or an author's change, would do to backups.

use std::{
    cmp::min,
    collections::BTreeSet,
    fmt::{self, Display, Formatter},
};

use serde_json::{Map, Value, json};

use super::Planned;

/// Most differences that are told one by one.
const MOST: usize = 64;
/// Deeper than any plan.
const DEEPEST: usize = 32;
/// Longest value in the text of a difference, in bytes.
const SHOWN: usize = 120;

/// One place in which two plans differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// JSON pointer: `/plan/…` as in the refusals of the police, `/image`, or `/bindings/…`. Where only the old plan has
    /// something it points into the old one, otherwise into the new one.
    pub pointer: String,
    /// What stood there; none: nothing.
    pub old: Option<Value>,
    /// What stands there now; none: nothing.
    pub new: Option<Value>,
}

impl Display for Difference {
    /// One line, in which long values are cut short.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { pointer, old, new } = self;
        write!(f, "{pointer}: {} -> {}", shown(old.as_ref()), shown(new.as_ref()))
    }
}

/// Everything that would run differently, in the order of the pointers' places; empty: nothing would. Who planned (id,
/// version, digest) is no difference.
///
/// At most 64 places: where more differ they are told together, as the innermost lists and objects around them that
/// are no more than that.
pub fn diff(old: &Planned, new: &Planned) -> Vec<Difference> {
    let (old, new) = (document(old), document(new));
    let mut told = Vec::new();
    for depth in (0..=DEEPEST).rev() {
        told.clear();
        compare(String::new(), Some(&old), Some(&new), depth, &mut told);
        if told.len() <= MOST {
            break;
        }
    }
    told
}

/// What a plan does, without who made it.
fn document(planned: &Planned) -> Value {
    // What is asked of the server beforehand changes no backup.
    let Planned { plugin: _, fallback: _, plan, image, bindings, probing: _ } = planned;
    json!({ "image": image, "plan": plan, "bindings": bindings })
}

/// Adds what differs between two values, at most `depth` levels down.
fn compare(
    pointer: String,
    old: Option<&Value>,
    new: Option<&Value>,
    depth: usize,
    told: &mut Vec<Difference>,
) {
    match (old, new) {
        (old, new) if old == new => {}
        (Some(Value::Object(old)), Some(Value::Object(new))) if depth > 0 => {
            members(&pointer, old, new, depth - 1, told);
        }
        (Some(Value::Array(old)), Some(Value::Array(new))) if depth > 0 => {
            items(&pointer, old, new, depth - 1, told);
        }
        (old, new) => told.push(Difference { pointer, old: old.cloned(), new: new.cloned() }),
    }
}

fn members(
    pointer: &str,
    old: &Map<String, Value>,
    new: &Map<String, Value>,
    depth: usize,
    told: &mut Vec<Difference>,
) {
    let names: BTreeSet<_> = old.keys().chain(new.keys()).collect();
    for name in names {
        compare(format!("{pointer}/{name}"), old.get(name), new.get(name), depth, told);
    }
}

/// What both lists begin and end with is left out, so that one more argument is one difference and not a shift of all
/// that follow.
fn items(pointer: &str, old: &[Value], new: &[Value], depth: usize, told: &mut Vec<Difference>) {
    let start = old.iter().zip(new).take_while(|(old, new)| old == new).count();
    let rest = min(old.len(), new.len()) - start;
    let end = old.iter().rev().zip(new.iter().rev()).take(rest).take_while(|(old, new)| old == new).count();
    let (old_end, new_end) = (old.len() - end, new.len() - end);
    for at in start..old_end.max(new_end) {
        let old = old.get(..old_end).and_then(|old| old.get(at));
        let new = new.get(..new_end).and_then(|new| new.get(at));
        compare(format!("{pointer}/{at}"), old, new, depth, told);
    }
}

fn shown(value: Option<&Value>) -> String {
    let Some(value) = value else { return "nothing".to_owned() };
    let whole = value.to_string();
    let short = whole.get(..whole.floor_char_boundary(SHOWN)).unwrap_or_default();
    if short.len() < whole.len() { format!("{short}…") } else { whole }
}

#[cfg(test)]
mod tests {
    use dbbackup_protocol::plan::{Output, Part, PartSource};
    use proptest::prelude::*;

    use super::*;
    use crate::planning::fixture::{argument, planned};

    fn part(planned: &mut Planned) -> &mut Part {
        match &mut planned.plan.parts[0] {
            PartSource::One(part) => part,
            PartSource::PerItem(_) => panic!("the part is known beforehand"),
        }
    }

    fn texts(old: &Planned, new: &Planned) -> Vec<String> {
        diff(old, new).iter().map(ToString::to_string).collect()
    }

    type Change = fn(&mut Planned);

    /// What changes, and all that is told of it.
    const CASES: &[(Change, &[&str])] = &[
        (|_| {}, &[]),
        (|new| new.plugin.version = "2.0.0".into(), &[]),
        (|new| new.plugin.digest = "sha256:1".into(), &[]),
        (
            |new| new.image = "example.com/client:2".into(),
            &[r#"/image: "example.com/client:1" -> "example.com/client:2""#],
        ),
        (|new| new.plan.scratch_mebibytes = Some(64), &["/plan/scratch_mebibytes: null -> 64"]),
        (
            |new| part(new).process.argv[2] = argument("--jobs=8"),
            &[r#"/plan/parts/0/one/process/argv/2/pieces/0/text: "--jobs=4" -> "--jobs=8""#],
        ),
        (
            |new| part(new).process.argv.insert(1, argument("--new")),
            &[r#"/plan/parts/0/one/process/argv/1: nothing -> {"pieces":[{"text":"--new"}]}"#],
        ),
        (
            |new| drop(part(new).process.argv.remove(1)),
            &[r#"/plan/parts/0/one/process/argv/1: {"pieces":[{"text":"--all"}]} -> nothing"#],
        ),
        (
            |new| part(new).process.argv.push(argument("--quiet")),
            &[r#"/plan/parts/0/one/process/argv/4: nothing -> {"pieces":[{"text":"--quiet"}]}"#],
        ),
        (
            |new| {
                part(new).process.argv[1] = argument("--some");
                part(new).process.env.clear();
            },
            &[
                r#"/plan/parts/0/one/process/argv/1/pieces/0/text: "--all" -> "--some""#,
                r#"/plan/parts/0/one/process/env/0: {"name":"HOST","value":[{"text":"db"}]} -> nothing"#,
            ],
        ),
        (
            |new| part(new).output = Output::File("a.sql".into()),
            &[r#"/plan/parts/0/one/output: "stdout" -> {"file":"a.sql"}"#],
        ),
        (
            |new| drop(new.bindings.remove(0)),
            &[r#"/bindings/0: {"key":"username","name":"username","secret":"orders"} -> nothing"#],
        ),
    ];

    #[test]
    fn what_changes_is_told_and_nothing_else() {
        for (change, expected) in CASES {
            let mut new = planned();
            change(&mut new);
            assert_eq!(texts(&planned(), &new), *expected);
        }
    }

    #[test]
    fn many_differences_are_told_together() {
        let with = |count: usize, prefix: &str| {
            let mut planned = planned();
            part(&mut planned).process.argv =
                (0..count).map(|at| argument(format!("{prefix}{at}"))).collect();
            planned
        };
        assert_eq!(diff(&with(MOST, "a"), &with(MOST, "b")).len(), MOST);
        let together = diff(&with(MOST + 1, "a"), &with(MOST + 1, "b"));
        let pointers: Vec<_> = together.iter().map(|difference| difference.pointer.as_str()).collect();
        assert_eq!(pointers, ["/plan/parts/0/one/process/argv"]);
        assert!(together[0].to_string().len() < 350, "{}", together[0]);
    }

    proptest! {
        /// Every change is told, at a place where the plans really have these values.
        #[test]
        fn a_difference_is_where_it_says(
            old in prop::collection::vec("[ab]", 0..6),
            new in prop::collection::vec("[ab]", 0..6),
        ) {
            let with = |argv: &[String]| {
                let mut planned = planned();
                part(&mut planned).process.argv = argv.iter().map(argument).collect();
                planned
            };
            let (before, after) = (with(&old), with(&new));
            let told = diff(&before, &after);
            prop_assert_eq!(told.is_empty(), old == new);
            for Difference { pointer, old, new } in told {
                prop_assert_ne!(&old, &new);
                if old.is_some() {
                    prop_assert_eq!(document(&before).pointer(&pointer).cloned(), old);
                }
                if new.is_some() {
                    prop_assert_eq!(document(&after).pointer(&pointer).cloned(), new);
                }
            }
        }
    }
}
