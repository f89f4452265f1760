//! The way back.

use crate::{
    Effect, Input, Listing, Load, PartRestore, Plugin, Process, Refusal, RestorePlan, RestoreRequest,
    Separator, Signs, Step, probe::numbers, settings,
};

/// A plugin that restores what it has backed up. The function is pure.
pub trait Restore: Plugin {
    /// What is done with which part, or why there is no way back.
    fn restore(request: &RestoreRequest, settings: &Self::Settings) -> Result<RestorePlan, Refusal>;
}

/// What the exported `plan` answers; what [`crate::plan`] refuses is refused here, too.
///
/// # Errors
/// A [`Refusal`] with at least one issue.
pub fn restore<P: Restore>(request: &RestoreRequest) -> Result<RestorePlan, Refusal> {
    let settings = settings::parse(&request.target.settings)?;
    request.target.refuse_unusable_text()?;
    P::restore(request, &settings)
}

impl RestoreRequest {
    /// Version of the tools that made the backup, by the tag of their image, or else of the server that was backed up: its
    /// leading numbers. The tools that restore are to be these: older ones may not read the backup, and newer ones may say what
    /// an old server does not know. None: nobody knows.
    pub fn source_version(&self) -> Option<Vec<u32>> {
        let fact = |key| self.facts.iter().find(|fact| fact.key == key).map(|fact| fact.value.as_str());
        let tag = fact("client-image").and_then(tag).and_then(numbers);
        tag.or_else(|| fact("server-version").and_then(numbers))
    }
}

/// Of a full reference: `18` of `registry.example.com:5000/postgres:18@sha256:…`.
fn tag(reference: &str) -> Option<&str> {
    let (name, _) = reference.split_once('@').unwrap_or((reference, ""));
    let (_, name) = name.rsplit_once('/').unwrap_or(("", name));
    name.split_once(':').map(|(_, tag)| tag)
}

impl RestorePlan {
    #[expect(clippy::new_without_default, reason = "an empty plan is no plan")]
    /// Nothing yet: at least one part has to follow. Without an image the user's `spec.image` is required.
    pub fn new() -> Self {
        Self { image: None, existing: None, parts: Vec::new(), skipped: Vec::new(), scratch_mebibytes: None }
    }

    /// Name of an image of the plugin's description.
    #[must_use]
    pub fn image(mut self, name: impl Into<String>) -> Self {
        self.image = Some(name.into());
        self
    }

    /// `items` prints the names of the targets that are there.
    #[must_use]
    pub fn existing(mut self, items: Process, separator: Separator) -> Self {
        self.existing = Some(Listing { items, separator });
        self
    }

    /// What is done with the parts of one more name.
    #[must_use]
    pub fn part(mut self, part: PartRestore) -> Self {
        self.parts.push(part);
        self
    }

    /// Parts of this name are left out on purpose.
    #[must_use]
    pub fn skip(mut self, part: impl Into<String>) -> Self {
        self.skipped.push(part.into());
        self
    }

    /// Size of the scratch folder, for processes that read a file or a folder.
    #[must_use]
    pub fn scratch_mebibytes(mut self, mebibytes: u32) -> Self {
        self.scratch_mebibytes = Some(mebibytes);
        self
    }
}

impl PartRestore {
    /// `process` reads the plain bytes of the parts named `part` on its standard input and has to exit with 0. Until more
    /// is said, its work stays bit by bit and nobody asks whether the target is empty.
    pub fn new(part: impl Into<String>, process: Process) -> Self {
        Self {
            part: part.into(),
            required: false,
            contents: None,
            signs: None,
            create: Vec::new(),
            clear: Vec::new(),
            load: Load {
                process,
                input: Input::Stdin,
                effect: Effect::Gradual,
                exit_codes: vec![0],
                stderr_required: Vec::new(),
            },
            finish: Vec::new(),
        }
    }

    /// A backup without such a part is refused.
    #[must_use]
    pub fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// `process` prints what is in the target; nothing: it is empty.
    #[must_use]
    pub fn contents(mut self, process: Process) -> Self {
        self.contents = Some(process);
        self
    }

    /// `process` prints no lines: `signs` say what in its output tells of something in the target.
    #[must_use]
    pub fn contents_by_signs(mut self, process: Process, signs: Signs) -> Self {
        self.signs = Some(signs);
        self.contents(process)
    }

    /// Each of these has to occur in the standard error of what takes the bytes.
    #[must_use]
    pub fn stderr_required(mut self, texts: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.load.stderr_required.extend(texts.into_iter().map(Into::into));
        self
    }

    /// Done where the target is not there. `purpose` says it to the user, for example `create the database`.
    #[must_use]
    pub fn create(mut self, purpose: impl Into<String>, process: Process) -> Self {
        self.create.push(step(purpose, process));
        self
    }

    /// Done where the target is not empty and may be replaced.
    #[must_use]
    pub fn clear(mut self, purpose: impl Into<String>, process: Process) -> Self {
        self.clear.push(step(purpose, process));
        self
    }

    /// Done after the bytes.
    #[must_use]
    pub fn finish(mut self, purpose: impl Into<String>, process: Process) -> Self {
        self.finish.push(step(purpose, process));
        self
    }

    /// The process reads a file or a folder instead of its standard input.
    #[must_use]
    pub fn input(mut self, input: Input) -> Self {
        self.load.input = input;
        self
    }

    /// What the process does becomes visible only at its end, once it has read all bytes.
    #[must_use]
    pub fn at_end(mut self) -> Self {
        self.load.effect = Effect::AtEnd;
        self
    }
}

fn step(purpose: impl Into<String>, process: Process) -> Step {
    Step { purpose: purpose.into(), process, exit_codes: vec![0] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Request;

    #[test]
    fn the_tools_of_the_backup_come_before_its_server() {
        for (facts, expected) in [
            (&[][..], None),
            (&[("client-image", "docker.io/library/postgres:15")], Some(&[15][..])),
            (&[("client-image", "r:5000/a/postgres:16.4-alpine@sha256:00")], Some(&[16, 4])),
            (&[("client-image", "r:5000/postgres:18"), ("server-version", "15.18 (Debian)")], Some(&[18])),
            // Tags that tell of no version.
            (&[("server-version", "15.18 (Debian)"), ("client-image", "r:5000/postgres")], Some(&[15, 18])),
            (
                &[("client-image", "postgres:latest"), ("server-version", "10.11.6-MariaDB")],
                Some(&[10, 11, 6]),
            ),
            (&[("client-image", "x@sha256:12"), ("server-version", "?"), ("other", "9")], None),
        ] {
            let request = RestoreRequest::example(Request::example("postgres"));
            let request = facts.iter().fold(request, |request, (key, value)| request.with_fact(key, value));
            assert_eq!(request.source_version().as_deref(), expected, "{facts:?}");
        }
    }
}
