//! Builders of processes, and of values with secrets in them.

use crate::{
    Argument, ArgumentPiece, ConfigFile, Encoding, EnvVar, Escape, Fragment, Process, Secret, Substitution,
};

impl Process {
    /// `program` is an absolute path, or a name looked up in the image's usual folders.
    pub fn new(program: impl Into<String>) -> Self {
        Self { argv: vec![Argument::text(program)], env: Vec::new(), files: Vec::new() }
    }

    /// One more argument, passed as it is: there is no shell. A string of the user's that could begin with `-`
    /// belongs behind `--option=` or behind an argument `--`.
    #[must_use]
    pub fn arg(mut self, argument: impl Into<String>) -> Self {
        self.argv.push(Argument::text(argument));
        self
    }

    /// More arguments.
    #[must_use]
    pub fn args<S: Into<String>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        self.argv.extend(arguments.into_iter().map(Argument::text));
        self
    }

    /// The current item as one whole argument. The operator refuses it unless an argument `--` stands before.
    #[must_use]
    pub fn item_arg(mut self) -> Self {
        self.argv.push(Argument { pieces: vec![ArgumentPiece::Item] });
        self
    }

    /// One more environment variable.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.env.push(EnvVar { name: name.into(), value: value.into().0 });
        self
    }

    /// One more file under [`crate::Request::config_dir`].
    #[must_use]
    pub fn file(mut self, name: impl Into<String>, content: impl Into<Value>) -> Self {
        self.files.push(ConfigFile { name: name.into(), content: content.into().0 });
        self
    }
}

impl Argument {
    fn text(text: impl Into<String>) -> Self {
        Self { pieces: vec![ArgumentPiece::Text(text.into())] }
    }
}

/// The value of an environment variable or the content of a file: text, secrets and the current item, joined
/// without anything between them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Value(Vec<Fragment>);

impl Value {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The current item of a per-item part.
    pub fn item() -> Self {
        Self(vec![Fragment::Item])
    }

    /// Then this text.
    #[must_use]
    pub fn text(mut self, text: impl Into<String>) -> Self {
        self.0.push(Fragment::Text(text.into()));
        self
    }

    /// Then this secret.
    #[must_use]
    pub fn secret(mut self, secret: Secret) -> Self {
        self.0.push(Fragment::Secret(secret));
        self
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::new().text(text)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::new().text(text)
    }
}

impl From<Secret> for Value {
    fn from(secret: Secret) -> Self {
        Self::new().secret(secret)
    }
}

/// The value of a binding, as it is; [`Secret::percent`] and its sisters write it otherwise.
pub fn secret(binding: impl Into<String>) -> Secret {
    Secret { binding: binding.into(), encoding: Encoding::Raw }
}

impl Secret {
    /// Percent-encoded (RFC 3986), for a URI.
    #[must_use]
    pub fn percent(self) -> Self {
        Self { encoding: Encoding::Percent, ..self }
    }

    /// In base64 with padding.
    #[must_use]
    pub fn base64(self) -> Self {
        Self { encoding: Encoding::Base64, ..self }
    }

    /// As a JSON string with its quotes; YAML reads it as well.
    #[must_use]
    pub fn json(self) -> Self {
        Self { encoding: Encoding::JsonString, ..self }
    }

    /// In a format of the plugin's own.
    #[must_use]
    pub fn escaped(self, escape: Escape) -> Self {
        Self { encoding: Encoding::Escaped(escape), ..self }
    }
}

impl Escape {
    /// What stands for which character. Applied in one pass: a replacement is not looked at again.
    pub fn new<S: Into<String>>(substitutions: impl IntoIterator<Item = (char, S)>) -> Self {
        let substitutions = substitutions
            .into_iter()
            .map(|(character, replacement)| Substitution { character, replacement: replacement.into() })
            .collect();
        Self { substitutions, refuse: String::new(), max: None }
    }

    /// Characters that the format cannot hold: a secret with one of them fails the run.
    #[must_use]
    pub fn refuse(mut self, characters: impl Into<String>) -> Self {
        self.refuse = characters.into();
        self
    }

    /// Longest result in bytes: a longer one fails the run.
    #[must_use]
    pub fn max(mut self, bytes: u32) -> Self {
        self.max = Some(bytes);
        self
    }

    /// The same for a text that the plugin has in its hands: none where the format cannot hold it.
    pub fn apply(&self, text: &str) -> Option<String> {
        if text.contains(|c| self.refuse.contains(c)) {
            return None;
        }
        let mut escaped = String::with_capacity(text.len());
        for c in text.chars() {
            match self.substitutions.iter().find(|substitution| substitution.character == c) {
                Some(substitution) => escaped.push_str(&substitution.replacement),
                None => escaped.push(c),
            }
        }
        let fits = self.max.is_none_or(|max| u32::try_from(escaped.len()).is_ok_and(|length| length <= max));
        fits.then_some(escaped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_go_over_the_text_once() {
        let escape = Escape::new([('\\', "\\\\"), ('n', "\\n")]).refuse("\0").max(6);
        assert_eq!(escape.apply("a\\n").as_deref(), Some("a\\\\\\n"));
        assert_eq!(escape.apply("nnnn"), None, "longer than max");
        assert_eq!(escape.apply("a\0"), None, "refused");
    }
}
