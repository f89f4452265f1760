//! Builders of plans.

use crate::{
    BackupPlan, Check, Completion, Expectation, Output, Part, PartSource, PerItem, Process, Separator, Tail,
};

impl BackupPlan {
    #[expect(clippy::new_without_default, reason = "an empty plan is no plan")]
    /// Nothing yet: at least one part has to follow. Without an image the user's `spec.image` is required.
    pub fn new() -> Self {
        Self { image: None, checks: Vec::new(), parts: Vec::new(), scratch_mebibytes: None }
    }

    /// Name of an image of the plugin's description.
    #[must_use]
    pub fn image(mut self, name: impl Into<String>) -> Self {
        self.image = Some(name.into());
        self
    }

    /// Runs before the dump.
    #[must_use]
    pub fn check(mut self, check: Check) -> Self {
        self.checks.push(check);
        self
    }

    /// One more object in storage.
    #[must_use]
    pub fn part(mut self, part: Part) -> Self {
        self.parts.push(PartSource::One(part));
        self
    }

    /// One more object for each item that `items` prints.
    #[must_use]
    pub fn part_per_item(mut self, items: Process, separator: Separator, each: Part) -> Self {
        self.parts.push(PartSource::PerItem(PerItem { items, separator, each }));
        self
    }

    /// Size of the scratch folder, for parts that leave a file or a folder.
    #[must_use]
    pub fn scratch_mebibytes(mut self, mebibytes: u32) -> Self {
        self.scratch_mebibytes = Some(mebibytes);
        self
    }
}

impl Check {
    /// A process that has to give what is expected. Otherwise the run fails with the words of
    /// [`Check::or_fail_with`].
    pub fn new(name: impl Into<String>, process: Process, expectation: Expectation) -> Self {
        Self {
            name: name.into(),
            process,
            expectation,
            reason: "CheckFailed".to_owned(),
            message: String::new(),
        }
    }

    /// Stable CamelCase word, and a sentence that says what is wrong and what to do.
    #[must_use]
    pub fn or_fail_with(mut self, reason: impl Into<String>, message: impl Into<String>) -> Self {
        self.reason = reason.into();
        self.message = message.into();
        self
    }
}

impl Part {
    /// What `process` writes to its standard output. Until more is said the dump is whole when the process exits
    /// with 0 and wrote at least one byte; few tools deserve that much trust.
    ///
    /// `name` is unique in the plan (lower case letters, digits, `-`), `extension` and `media_type` are those of
    /// the plain bytes.
    pub fn new(
        name: impl Into<String>,
        extension: impl Into<String>,
        media_type: impl Into<String>,
        process: Process,
    ) -> Self {
        Self {
            name: name.into(),
            extension: extension.into(),
            media_type: media_type.into(),
            process,
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
        }
    }

    /// The dump is elsewhere.
    #[must_use]
    pub fn output(mut self, output: Output) -> Self {
        self.output = output;
        self
    }

    /// Exit codes that mean success, instead of only 0.
    #[must_use]
    pub fn exit_codes(mut self, codes: impl IntoIterator<Item = i32>) -> Self {
        self.completion.exit_codes = codes.into_iter().collect();
        self
    }

    /// The dump starts with these bytes.
    #[must_use]
    pub fn header(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.completion.header = Some(bytes.as_ref().to_vec());
        self
    }

    /// These bytes occur within so many last bytes of the dump.
    #[must_use]
    pub fn tail(mut self, bytes: impl AsRef<[u8]>, within: u32) -> Self {
        self.completion.tail = Some(Tail { bytes: bytes.as_ref().to_vec(), within });
        self
    }

    /// Reads the same bytes on its standard input and has to exit with 0.
    #[must_use]
    pub fn verifier(mut self, process: Process) -> Self {
        self.completion.verifier = Some(process);
        self
    }

    /// Has to occur in standard error.
    #[must_use]
    pub fn stderr_required(mut self, text: impl Into<String>) -> Self {
        self.completion.stderr_required = Some(text.into());
        self
    }

    /// Fewer bytes are no dump.
    #[must_use]
    pub fn minimum_bytes(mut self, bytes: u32) -> Self {
        self.completion.minimum_bytes = bytes;
        self
    }

    /// Last command of a restore by hand. It goes into the manifest and is fixed text: no word of the user's or
    /// the server's.
    #[must_use]
    pub fn restore_command(mut self, command: &'static str) -> Self {
        self.restore_command = Some(command.to_owned());
        self
    }
}
