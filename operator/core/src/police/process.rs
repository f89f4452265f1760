//! Rules for one process: its arguments, environment and files.

use std::collections::BTreeSet;

use dbbackup_protocol::plan::{
    Argument, ArgumentPiece, ConfigFile, Encoding, EnvVar, Escape, Fragment, Process, SecretRef,
};

use super::{Items, MAX_COUNT, Police, Rule};

/// Longest result of an encoding in bytes; the shim writes it in memory.
const MAX_ENCODED_BYTES: u32 = 64 * 1024;
/// Longest text that stands for one character.
const MAX_REPLACEMENT_BYTES: usize = 16;

/// Variables that decide which code runs. Beginnings end with `*`.
const ENV_REFUSED: [&str; 9] =
    ["PATH", "IFS", "ENV", "BASH_ENV", "LD_*", "DYLD_*", "GCONV_PATH", "GLIBC_*", "MALLOC_*"];

impl Police<'_> {
    pub(super) fn process(&mut self, process: &Process, pointer: &str, items: Items) {
        let Process { argv, env, files } = process;
        for (count, field) in [(argv.len(), "argv"), (env.len(), "env"), (files.len(), "files")] {
            self.require(count <= MAX_COUNT, Rule::Count, &format!("{pointer}/{field}"), || {
                format!("there are {count}, at most {MAX_COUNT} are allowed")
            });
        }
        self.argv(argv, &format!("{pointer}/argv"), items);
        self.env(env, &format!("{pointer}/env"), items);
        self.files(files, &format!("{pointer}/files"), items);
    }

    fn argv(&mut self, argv: &[Argument], pointer: &str, items: Items) {
        let program = argv.first().and_then(literal);
        self.require(
            program.as_deref().is_some_and(is_program),
            Rule::Program,
            &format!("{pointer}/0"),
            || "the program is an absolute path or a name without a slash, as text".into(),
        );
        let mut behind_dashes = false;
        for (at, argument) in argv.iter().enumerate() {
            let place = format!("{pointer}/{at}");
            for (piece_at, piece) in argument.pieces.iter().enumerate() {
                let place = format!("{place}/pieces/{piece_at}");
                match piece {
                    ArgumentPiece::Text(text) => self.no_nul(text, &place),
                    ArgumentPiece::Item => {
                        self.item(&place, items);
                        self.require(behind_dashes, Rule::ItemPosition, &place, || {
                            "what a server lists may look like an option: put it behind an argument that is \
                             exactly --, or into the environment"
                                .into()
                        });
                    }
                }
            }
            behind_dashes |= literal(argument).as_deref() == Some("--");
        }
    }

    fn env(&mut self, env: &[EnvVar], pointer: &str, items: Items) {
        let mut names = BTreeSet::new();
        for (at, EnvVar { name, value }) in env.iter().enumerate() {
            let place = format!("{pointer}/{at}");
            let allowed = is_env_name(name) && !ENV_REFUSED.iter().any(|refused| covers(refused, name));
            self.require(allowed, Rule::EnvName, &format!("{place}/name"), || {
                "a name has 1 to 64 letters, digits and '_' and begins with no digit; PATH and variables that \
                 change how programs are loaded are not for plugins"
                    .into()
            });
            self.require(names.insert(name), Rule::EnvNameTwice, &format!("{place}/name"), || {
                "the variable is set twice".into()
            });
            self.fragments(value, &format!("{place}/value"), items);
        }
    }

    fn files(&mut self, files: &[ConfigFile], pointer: &str, items: Items) {
        let mut names = BTreeSet::new();
        for (at, ConfigFile { name, content }) in files.iter().enumerate() {
            let place = format!("{pointer}/{at}");
            self.require(is_file_name(name), Rule::FileName, &format!("{place}/name"), || {
                "a file name has 1 to 64 letters, digits, '.', '_' and '-' and begins with no '-'; not '.' or '..'"
                    .into()
            });
            self.require(names.insert(name), Rule::FileNameTwice, &format!("{place}/name"), || {
                "the file is written twice".into()
            });
            self.fragments(content, &format!("{place}/content"), items);
        }
    }

    fn fragments(&mut self, fragments: &[Fragment], pointer: &str, items: Items) {
        for (at, fragment) in fragments.iter().enumerate() {
            let place = format!("{pointer}/{at}");
            match fragment {
                Fragment::Text(text) => self.no_nul(text, &place),
                Fragment::Item => self.item(&place, items),
                Fragment::Secret(SecretRef { binding, encoding }) => {
                    self.binding(binding, &format!("{place}/secret/binding"));
                    self.encoding(encoding, &format!("{place}/secret/encoding"));
                }
            }
        }
    }

    fn item(&mut self, pointer: &str, items: Items) {
        self.require(items == Items::Some, Rule::ItemScope, pointer, || {
            "an item exists only in the part of a per-item".into()
        });
    }

    fn binding(&mut self, name: &str, pointer: &str) {
        let declared = self.declared.contains(name) && super::is_name(name);
        self.require(declared, Rule::BindingDeclared, pointer, || {
            "the descriptor declares no binding of this name".into()
        });
        let supplied = self.supplied.contains(name);
        self.require(supplied || !declared, Rule::BindingSupplied, pointer, || {
            "the request's bindings do not have this name: plan only with what is supplied".into()
        });
    }

    fn encoding(&mut self, encoding: &Encoding, pointer: &str) {
        let Encoding::Escaped(Escape { substitutions, refuse, max }) = encoding else { return };
        let mut characters = BTreeSet::new();
        let sane = substitutions.len() <= MAX_COUNT
            && refuse.len() <= MAX_COUNT
            && max.is_none_or(|max| (1..=MAX_ENCODED_BYTES).contains(&max))
            && substitutions.iter().all(|substitution| {
                characters.insert(substitution.character)
                    && !refuse.contains(substitution.character)
                    && !substitution.replacement.contains('\0')
                    && substitution.replacement.len() <= MAX_REPLACEMENT_BYTES
            });
        self.require(sane, Rule::Encoding, pointer, || {
            format!(
                "every character is replaced once (by at most {MAX_REPLACEMENT_BYTES} bytes) or refused, not both; \
                 max is 1 to {MAX_ENCODED_BYTES}"
            )
        });
    }
}

/// The argument, where it is known beforehand.
fn literal(argument: &Argument) -> Option<String> {
    let texts = argument.pieces.iter().map(|piece| match piece {
        ArgumentPiece::Text(text) => Some(text.as_str()),
        ArgumentPiece::Item => None,
    });
    texts.collect()
}

fn is_program(program: &str) -> bool {
    let path = program.strip_prefix('/').unwrap_or(program);
    let relative = !program.starts_with('/') && program.contains('/');
    !relative && !program.starts_with('-') && super::is_relative(path)
}

fn is_env_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().next().is_some_and(|byte| !byte.is_ascii_digit())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn covers(refused: &str, name: &str) -> bool {
    match refused.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == refused,
    }
}

fn is_file_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && !matches!(name, "." | "..")
        && !name.starts_with('-')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}
