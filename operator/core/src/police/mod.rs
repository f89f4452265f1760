//! Looks at a plan before anything is made of it. A plugin is foreign code and its plan hostile input: what this
//! module lets through can be rendered and run, and can do no more than run programs in the client image with the
//! secrets of this one object.
//!
//! Every refusal has a stable rule and a JSON pointer into the plan. The text of the plan is not repeated beyond a
//! few characters: it may hold what a log should not.

mod process;
mod restore;
mod rules;
mod speech;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use dbbackup_protocol::{
    contract::Description,
    optional::ProbePlan,
    plan::{BackupPlan, Check, Completion, Expectation, Output, Part, PartSource, PerItem},
    probe::MAX_QUERIES,
};

pub use restore::check_restore;
pub use rules::Rule;
pub use speech::{diagnosis, findings};

/// Longest plan as JSON, in bytes: with storage and bindings it fits into a work order.
const MAX_PLAN_BYTES: usize = 48 * 1024;
/// Most checks, and most parts that are known beforehand.
const MAX_COUNT: usize = 256;
/// Longest header, tail, or required piece of standard error, in bytes: the agent keeps them in memory.
const MAX_MARK_BYTES: usize = 4096;
/// Widest window for a tail, in bytes, as the contract says.
const MAX_TAIL_WINDOW: u32 = 64 * 1024;
/// Longest sentence for a user, in bytes.
const MAX_TEXT_BYTES: usize = 1024;
/// Most violations that are told: an author mends them one by one anyway.
const MAX_VIOLATIONS: usize = 32;
/// Largest scratch folder: 1 TiB. It is the node's disk.
const MAX_SCRATCH_MEBIBYTES: u32 = 1024 * 1024;

/// Something in a plan that is not allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which rule.
    pub rule: Rule,
    /// JSON pointer into the plan.
    pub pointer: String,
    /// What is wrong and what would be right, for the plugin's author.
    pub message: String,
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} at {:?}: {}", self.rule, self.pointer, self.message)
    }
}

/// What is wrong with a plan, in its order, at most [`MAX_VIOLATIONS`]; empty: nothing. `supplied` are the names of the bindings
/// that the pod has.
pub fn check(plan: &BackupPlan, description: &Description, supplied: &[String]) -> Vec<Violation> {
    let mut police = Police::new(description, supplied);
    let BackupPlan { image, checks, parts, scratch_mebibytes } = plan;
    if !police.size(&serde_json::to_vec(plan)) {
        return police.violations;
    }
    police.image(image.as_deref(), description);
    let scratch = scratch_mebibytes.unwrap_or_default();
    police.require(scratch <= MAX_SCRATCH_MEBIBYTES, Rule::Scratch, "/scratch_mebibytes", || {
        format!("at most {MAX_SCRATCH_MEBIBYTES}")
    });
    police.require(!parts.is_empty(), Rule::NoPart, "/parts", || "a backup has at least one part".into());
    for (count, pointer) in [(parts.len(), "/parts"), (checks.len(), "/checks")] {
        police.require(count <= MAX_COUNT, Rule::Count, pointer, || {
            format!("there are {count}, at most {MAX_COUNT} are allowed")
        });
    }
    for (at, check) in checks.iter().enumerate() {
        police.check(check, &format!("/checks/{at}"));
    }
    let mut names = BTreeSet::new();
    for (at, source) in parts.iter().enumerate() {
        police.source(source, &format!("/parts/{at}"), &mut names);
    }
    police.violations
}

/// Everything that is wrong with a probe's plan; as [`check`].
pub fn check_probe(plan: &ProbePlan, description: &Description, supplied: &[String]) -> Vec<Violation> {
    let mut police = Police::new(description, supplied);
    let ProbePlan { image, queries } = plan;
    if !police.size(&serde_json::to_vec(plan)) {
        return police.violations;
    }
    police.image(image.as_deref(), description);
    police.require(queries.len() <= MAX_QUERIES, Rule::QueryCount, "/queries", || {
        format!("there are {}, at most {MAX_QUERIES} are allowed", queries.len())
    });
    let mut names = BTreeSet::new();
    for (at, query) in queries.iter().enumerate() {
        let pointer = format!("/queries/{at}");
        police
            .require(is_name(&query.name), Rule::QueryName, &format!("{pointer}/name"), || NAME_RULE.into());
        police.require(names.insert(&query.name), Rule::QueryNameTwice, &format!("{pointer}/name"), || {
            "another query of the plan has this name".into()
        });
        police.process(&query.process, &format!("{pointer}/process"), Items::None);
    }
    police.violations
}

/// Whether an `item` may stand somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Items {
    /// Inside a per-item part.
    Some,
    /// Everywhere else.
    None,
}

#[derive(Debug)]
struct Police<'a> {
    declared: BTreeSet<&'a str>,
    supplied: BTreeSet<&'a str>,
    violations: Vec<Violation>,
}

impl<'a> Police<'a> {
    fn new(description: &'a Description, supplied: &'a [String]) -> Self {
        Self {
            declared: description.bindings.iter().map(|binding| binding.name.as_str()).collect(),
            supplied: supplied.iter().map(String::as_str).collect(),
            violations: vec![],
        }
    }

    fn require(&mut self, holds: bool, rule: Rule, pointer: &str, message: impl FnOnce() -> String) {
        if !holds && self.violations.len() < MAX_VIOLATIONS {
            self.violations.push(Violation { rule, pointer: pointer.to_owned(), message: message() });
        }
    }

    /// Whether a plan is small enough to be looked at: a larger one could break each rule a hundred thousand times.
    fn size(&mut self, plan: &serde_json::Result<Vec<u8>>) -> bool {
        let size = plan.as_ref().map_or(usize::MAX, Vec::len);
        self.require(size <= MAX_PLAN_BYTES, Rule::PlanSize, "", || {
            format!("the plan has {size} bytes as JSON, at most {MAX_PLAN_BYTES} fit into a Job")
        });
        size <= MAX_PLAN_BYTES
    }

    fn image(&mut self, image: Option<&str>, description: &Description) {
        let known = image.is_none_or(|image| description.images.iter().any(|it| it.name == image));
        self.require(known, Rule::Image, "/image", || "it names no image of the descriptor".into());
    }

    /// Text that ends up in an argument, an environment, a file name or a message of the agent.
    fn no_nul(&mut self, text: &str, pointer: &str) {
        self.require(!text.contains('\0'), Rule::Nul, pointer, || "it holds a NUL character".into());
    }

    fn sentence(&mut self, text: &str, pointer: &str) {
        let fits =
            !text.trim().is_empty() && text.len() <= MAX_TEXT_BYTES && !text.chars().any(char::is_control);
        self.require(fits, Rule::Text, pointer, || {
            format!("a sentence of 1 to {MAX_TEXT_BYTES} bytes without control characters")
        });
    }

    fn check(&mut self, check: &Check, pointer: &str) {
        let Check { name, process, expectation, reason, message } = check;
        self.require(is_name(name), Rule::CheckName, &format!("{pointer}/name"), || NAME_RULE.into());
        self.process(process, &format!("{pointer}/process"), Items::None);
        if let Expectation::StdoutEquals(text) = expectation {
            let place = format!("{pointer}/expectation");
            self.no_nul(text, &place);
            self.mark(text.as_bytes(), &place, Empty::Allowed);
        }
        self.require(is_reason(reason), Rule::CheckReason, &format!("{pointer}/reason"), || {
            "a reason is one CamelCase word of at most 64 letters and digits, for example GrantMissing".into()
        });
        self.sentence(message, &format!("{pointer}/message"));
    }

    fn source(&mut self, source: &'a PartSource, pointer: &str, names: &mut BTreeSet<&'a str>) {
        match source {
            PartSource::One(part) => self.part(part, &format!("{pointer}/one"), Items::None, names),
            PartSource::PerItem(PerItem { items, separator: _, each }) => {
                self.process(items, &format!("{pointer}/per-item/items"), Items::None);
                self.part(each, &format!("{pointer}/per-item/each"), Items::Some, names);
            }
        }
    }

    fn part(&mut self, part: &'a Part, pointer: &str, items: Items, names: &mut BTreeSet<&'a str>) {
        let Part { name, extension, media_type, process, output, completion, restore_command } = part;
        let at = |field: &str| format!("{pointer}/{field}");
        self.require(is_name(name), Rule::PartName, &at("name"), || NAME_RULE.into());
        self.require(names.insert(name), Rule::PartNameTwice, &at("name"), || {
            "another part of the plan has this name".into()
        });
        self.require(is_extension(extension), Rule::Extension, &at("extension"), || {
            "an extension has 1 to 16 lower case letters, digits and single dots between them".into()
        });
        self.require(is_media_type(media_type), Rule::MediaType, &at("media_type"), || {
            "a media type is type/subtype, for example application/octet-stream".into()
        });
        self.process(process, &at("process"), items);
        if let Output::File(path) | Output::Directory(path) = output {
            self.require(is_relative(path), Rule::OutputPath, &at("output"), || {
                "a path under scratch-dir: relative, at most 255 bytes, without empty, '.' or '..' segments"
                    .into()
            });
        }
        self.completion(completion, &at("completion"), items);
        if let Some(command) = restore_command {
            self.sentence(command, &at("restore_command"));
        }
    }

    fn completion(&mut self, completion: &Completion, pointer: &str, items: Items) {
        let Completion { exit_codes, header, tail, verifier, stderr_required, minimum_bytes } = completion;
        let at = |field: &str| format!("{pointer}/{field}");
        self.exit_codes(exit_codes, &at("exit_codes"));
        self.require(*minimum_bytes >= 1, Rule::MinimumBytes, &at("minimum_bytes"), || {
            "an empty dump is no dump: at least 1".into()
        });
        if let Some(header) = header {
            self.mark(header, &at("header"), Empty::Refused);
        }
        if let Some(tail) = tail {
            self.mark(&tail.bytes, &at("tail/bytes"), Empty::Refused);
            let window = usize::try_from(tail.within).unwrap_or(usize::MAX);
            let fits = tail.within <= MAX_TAIL_WINDOW && tail.bytes.len() <= window;
            self.require(fits, Rule::TailWindow, &at("tail/within"), || {
                format!("at least the length of the tail and at most {MAX_TAIL_WINDOW}")
            });
        }
        if let Some(verifier) = verifier {
            self.process(verifier, &at("verifier"), items);
        }
        if let Some(text) = stderr_required {
            self.mark(text.as_bytes(), &at("stderr_required"), Empty::Refused);
        }
    }

    fn exit_codes(&mut self, exit_codes: &[i32], pointer: &str) {
        let sane = !exit_codes.is_empty()
            && exit_codes.len() <= MAX_COUNT
            && exit_codes.iter().all(|code| (0..=255).contains(code));
        self.require(sane, Rule::ExitCodes, pointer, || {
            "at least one exit code from 0 to 255 means success".into()
        });
    }

    /// Bytes that are looked for: looking for nothing would always succeed.
    fn mark(&mut self, bytes: &[u8], pointer: &str, empty: Empty) {
        let fits = bytes.len() <= MAX_MARK_BYTES && (empty == Empty::Allowed || !bytes.is_empty());
        self.require(fits, Rule::Mark, pointer, || format!("1 to {MAX_MARK_BYTES} bytes"));
    }
}

/// Whether a mark may be empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Empty {
    /// An expected output can be.
    Allowed,
    /// What must occur cannot.
    Refused,
}

const NAME_RULE: &str = "a name has 1 to 40 lower case letters, digits and '-'";

fn is_name(name: &str) -> bool {
    (1..=40).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

fn is_extension(extension: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    extension.len() <= 16
        && extension.split('.').all(|segment| !segment.is_empty() && segment.bytes().all(word))
}

fn is_media_type(text: &str) -> bool {
    // RFC 6838, section 4.2.
    let word = |c: char| c.is_ascii_alphanumeric() || "!#$&-^_.+".contains(c);
    text.len() <= 127
        && text.split_once('/').is_some_and(|(kind, subtype)| {
            !kind.is_empty() && !subtype.is_empty() && kind.chars().all(word) && subtype.chars().all(word)
        })
}

fn is_reason(reason: &str) -> bool {
    reason.len() <= 64
        && reason.bytes().next().is_some_and(|byte| byte.is_ascii_uppercase())
        && reason.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn is_relative(path: &str) -> bool {
    path.len() <= 255
        && !path.chars().any(char::is_control)
        && path.split('/').all(|segment| !matches!(segment, "" | "." | ".."))
}
