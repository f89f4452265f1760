//! `plugin new`: a project that needs nothing of this repository.

mod bindings;
mod language;

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::Args;

pub(super) use bindings::{Arguments as BindingsArguments, run as bindings};
use language::{Kit, Language};

use crate::{
    ending::{Ending, Unusable},
    output,
};

/// What the project is made of, listed by `build.rs`.
mod embedded {
    include!(concat!(env!("OUT_DIR"), "/embedded.rs"));
}

/// Longest name: what becomes of it must be a name in every language.
const MAX_NAME: usize = 40;

/// Its arguments.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// What it backs up, for example redis: lower case letters, digits and `-`.
    #[arg(value_parser = name)]
    name: String,
    #[arg(long, value_enum)]
    language: Language,
    /// Build by `cargo component build` (Rust only).
    #[arg(long)]
    component: bool,
    /// Folder to make. Default: the name.
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
}

fn name(text: &str) -> Result<String, String> {
    let good = (1..=MAX_NAME).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && !text.ends_with('-')
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    if good {
        return Ok(text.to_owned());
    }
    Err(format!(
        "write 1 to {MAX_NAME} lower case letters, digits and `-`, beginning with a letter, for example redis"
    ))
}

/// Carries it out.
pub(super) fn run(arguments: &Arguments) -> Result<Ending, Unusable> {
    let Arguments { name, language, component, directory } = arguments;
    let Some(kit) = language.kit(*component) else {
        return Err(Unusable::Input("--component: only Rust has this way to build; leave it out".to_owned()));
    };
    let directory = directory.clone().unwrap_or_else(|| name.into());
    if directory.exists() {
        let message =
            format!("{} is there already: choose another folder with --directory", directory.display());
        return Err(Unusable::Input(message));
    }
    for (path, content) in project(*language, &kit) {
        let file = directory.join(path);
        let parent = file.parent().unwrap_or(&directory);
        fs::create_dir_all(parent).map_err(Unusable::on("make", parent))?;
        fs::write(&file, fill(&content, name, &kit)).map_err(Unusable::on("write", &file))?;
    }
    if *language == Language::Go {
        bindings::generate(&directory)?;
    }
    output::print(&fill(&told(&directory, &kit), name, &kit))?;
    Ok(Ending::Good)
}

/// Path and content of every file.
fn project(language: Language, kit: &Kit) -> Vec<(String, String)> {
    let common = under("common/").filter(|(path, _)| *path != "settings.schema.json" && *path != "world.wit");
    let mut files: Vec<(String, String)> = Vec::new();
    let mut add = |path: String, content: &str| files.push((path, content.to_owned()));
    for (path, content) in common.chain(under(language.templates())) {
        // A dot in front would hide it from whoever reads the templates.
        let path = if path == "gitignore" { ".gitignore" } else { path };
        add(path.to_owned(), content);
    }
    if let Some(schema) = kit.schema {
        add(schema.to_owned(), template("common/settings.schema.json"));
    }
    let contract = match language {
        Language::Rust => {
            add("vendor/db-backup-plugin-sdk/Cargo.toml".to_owned(), template("vendor/Cargo.toml"));
            for (path, content) in embedded::SDK {
                add(format!("vendor/db-backup-plugin-sdk/src/{path}"), content);
            }
            "wit"
        }
        Language::Javascript | Language::Go => {
            add("wit/world.wit".to_owned(), template("common/world.wit"));
            "wit/deps/db-backup-plugin"
        }
    };
    for (path, content) in embedded::CONTRACT {
        add(format!("{contract}/{path}"), content);
    }
    files
}

fn under(folder: &str) -> impl Iterator<Item = (&'static str, &'static str)> {
    embedded::TEMPLATES.iter().filter_map(move |(path, content)| Some((path.strip_prefix(folder)?, *content)))
}

fn template(path: &str) -> &'static str {
    embedded::TEMPLATES.iter().find(|(known, _)| *known == path).map_or("", |(_, content)| content)
}

/// Fills in a template. The kit's own texts have placeholders too.
fn fill(text: &str, name: &str, kit: &Kit) -> String {
    text.replace("__tools__", kit.tools.trim_end())
        .replace("__build__", kit.build.trim_end())
        .replace("__edit__", kit.edit.trim_end())
        .replace("__name__", name)
        .replace("__snake__", &name.replace('-', "_"))
        .replace("__version__", env!("CARGO_PKG_VERSION"))
        .replace("__contract__", contract_version())
}

/// As its `package` line says.
fn contract_version() -> &'static str {
    let mut lines = embedded::CONTRACT.iter().flat_map(|(_, content)| content.lines());
    let version = |line: &'static str| line.strip_prefix("package db-backup:plugin@")?.strip_suffix(';');
    lines.find_map(version).unwrap_or("0.1.0")
}

fn told(directory: &Path, kit: &Kit) -> String {
    let directory = directory.display();
    let build = kit.build.lines().map(|line| format!("  {line}\n")).collect::<Vec<_>>().concat();
    format!(
        "{directory} is a plugin. You need:\n__tools__\n\nNow:\n  cd {directory}\n{build}  kubectl dbbackup plugin check __name__.wasm\n  \
         kubectl dbbackup plugin test __name__.wasm\n  kubectl dbbackup plugin run __name__.wasm -f backup.yaml\n\n\
         __edit__ {directory}/README.md has the rest.\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_to_fill_in() {
        for (language, component) in [
            (Language::Rust, false),
            (Language::Rust, true),
            (Language::Javascript, false),
            (Language::Go, false),
        ] {
            let kit = language.kit(component).unwrap();
            let files = project(language, &kit);
            for (path, content) in &files {
                let filled = fill(content, "my-db", &kit);
                for placeholder in ["name", "snake", "version", "contract", "tools", "build", "edit"] {
                    assert!(!filled.contains(&format!("__{placeholder}__")), "{path}: {placeholder}");
                }
            }
            let paths: Vec<_> = files.iter().map(|(path, _)| path.as_str()).collect();
            for path in ["README.md", "backup.yaml", ".gitignore"] {
                assert!(paths.contains(&path), "{language:?} has no {path}");
            }
            assert!(paths.iter().any(|path| path.ends_with("types.wit")), "{language:?} has no contract");
        }
        assert_eq!(contract_version().split('.').count(), 3);
    }

    #[test]
    fn a_name_is_a_name_in_every_language() {
        for good in ["redis", "my-db-2", "a"] {
            assert!(name(good).is_ok(), "{good}");
        }
        for bad in ["", "Redis", "2db", "a_b", "a-", "../x", "a b", &"a".repeat(41)] {
            assert!(name(bad).is_err(), "{bad}");
        }
    }

    /// The copy of the SDK is built with the dependencies that the SDK itself is tested with.
    #[test]
    fn the_copy_of_the_sdk_has_the_same_dependencies() {
        let dependencies = |manifest: &str| -> Vec<String> {
            let lines = manifest.lines().skip_while(|line| *line != "[dependencies]").skip(1);
            lines.take_while(|line| !line.is_empty()).map(str::to_owned).collect()
        };
        let workspace = include_str!("../../../../Cargo.toml");
        let own = dependencies(include_str!("../../../../plugins/sdk/Cargo.toml")).into_iter().map(|line| {
            let name = line.strip_suffix(".workspace = true").unwrap_or(&line).to_owned();
            workspace.lines().find(|line| line.starts_with(&format!("{name} = "))).unwrap().to_owned()
        });
        assert_eq!(dependencies(template("vendor/Cargo.toml")), own.collect::<Vec<_>>());
    }
}
