//! Validates what a plugin says of itself. All faults at once: an author should not have to guess twice.

use std::collections::BTreeSet;

use dbbackup_protocol::contract::Description;
use dbbackup_protocol::speech::fit;

use crate::error::Fault;
use crate::settings::Settings;

/// Longest name of anything, in bytes: that of a DNS label.
const MAX_NAME: usize = 63;
/// Longest free text, in bytes.
const MAX_TEXT: usize = 1024;
/// Most faults that are told, besides that of the schema.
const MAX_FAULTS: usize = 16;
/// Longest list.
const MAX_LIST: usize = 64;

/// Checks every field and reads the settings' schema.
///
/// # Errors
/// At least one fault.
pub(crate) fn validate(description: &Description) -> Result<Settings, Vec<Fault>> {
    let Description {
        id,
        version,
        summary,
        database_types,
        default_port,
        bindings,
        images,
        settings_schema,
        labels,
    } = description;
    let mut faults = Faults::default();
    faults.check("id", dotted_name(id), "must be lower case letters, digits, `-` and `.`, at most 63");
    if let Err(error) = semver::Version::parse(version) {
        faults.add("version", format!("{:?} is no semantic version: {error}", fit(version, MAX_NAME)));
    }
    faults.check("summary", text(summary), "must be one line of at most 1024 bytes, not empty");
    faults.check("default-port", *default_port != Some(0), "0 is no port");

    faults.list("database-types", database_types, |one| one);
    faults.check("database-types", !database_types.is_empty(), "must name at least one type");
    for (index, one) in database_types.iter().enumerate() {
        faults.check(
            &format!("database-types[{index}]"),
            dotted_name(one),
            "must be lower case letters, digits, `-` and `.`; one type each, there is no `*`",
        );
    }
    faults.list("bindings", bindings, |binding| &binding.name);
    for (index, binding) in bindings.iter().enumerate() {
        faults.check(
            &format!("bindings[{index}].name"),
            name(&binding.name),
            "must be lower case letters, digits and `-`, for example `username`",
        );
        faults.check(&format!("bindings[{index}].summary"), text(&binding.summary), "must say what it is");
    }
    faults.list("images", images, |image| &image.name);
    for (index, image) in images.iter().enumerate() {
        faults.check(
            &format!("images[{index}].name"),
            dotted_name(&image.name),
            "must be lower case letters, digits, `-` and `.`, for example `postgres-18`",
        );
        faults.check(
            &format!("images[{index}].reference"),
            reference(&image.reference),
            "must be a full image reference, for example `docker.io/library/postgres:18`",
        );
        if let Some(Err(error)) = image.server_versions.as_deref().map(semver::VersionReq::parse) {
            faults.add(
                &format!("images[{index}].server-versions"),
                format!("{error}; for example `>=9.2, <19`"),
            );
        }
    }
    faults.list("labels", labels, |label| &label.key);
    faults.0.truncate(MAX_FAULTS);

    let settings = Settings::parse(settings_schema);
    match settings {
        Ok(settings) if faults.0.is_empty() => return Ok(settings),
        Ok(_) => {}
        Err(why) => faults.add("settings-schema", why),
    }
    Err(faults.0)
}

#[derive(Default)]
struct Faults(Vec<Fault>);

impl Faults {
    fn add(&mut self, field: &str, why: impl Into<String>) {
        self.0.push(Fault { field: field.to_owned(), why: why.into() });
    }

    fn check(&mut self, field: &str, holds: bool, why: &str) {
        if !holds {
            self.add(field, why);
        }
    }

    /// A list is short and its keys are unique.
    fn list<T>(&mut self, field: &str, items: &[T], key: fn(&T) -> &String) {
        self.check(field, items.len() <= MAX_LIST, "has more than 64 entries");
        let mut seen = BTreeSet::new();
        for key in items.iter().take(MAX_LIST).map(key) {
            if !seen.insert(key) {
                self.add(field, format!("`{}` is there twice", fit(key, MAX_NAME)));
            }
        }
    }
}

fn alphanumeric(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit()
}

/// As the API wants it of `spec.databaseType`.
fn dotted_name(text: &str) -> bool {
    text.len() <= MAX_NAME
        && text.starts_with(alphanumeric)
        && text.ends_with(alphanumeric)
        && text.chars().all(|c| alphanumeric(c) || matches!(c, '-' | '.'))
}

/// A DNS label: it becomes a file name and part of a volume.
fn name(text: &str) -> bool {
    dotted_name(text) && !text.contains('.')
}

fn text(text: &str) -> bool {
    !text.trim().is_empty() && text.len() <= MAX_TEXT && !text.chars().any(char::is_control)
}

/// Whether it is written in the letters of image references; only a registry knows more.
fn reference(text: &str) -> bool {
    text.len() <= 512
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.ends_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | ':' | '@'))
        && !text.contains("//")
        && !text.contains("..")
}

#[cfg(test)]
mod tests {
    use dbbackup_protocol::contract::{Binding, Fact, Image};

    use super::*;

    fn good() -> Description {
        let binding = |name: &str| Binding { name: name.into(), required: true, summary: "a secret".into() };
        Description {
            id: "redis.example.com".into(),
            version: "1.2.3-rc.1".into(),
            summary: "Redis".into(),
            database_types: vec!["redis".into(), "key-db".into()],
            default_port: Some(6379),
            bindings: vec![binding("username"), binding("password")],
            images: vec![Image {
                name: "redis-8.2".into(),
                reference: "registry.example.com:5000/library/redis:8.2@sha256:0badcafe".into(),
                server_versions: Some(">=7, <9".into()),
            }],
            settings_schema: r#"{"type": "object"}"#.into(),
            labels: vec![Fact { key: "a".into(), value: String::new() }],
        }
    }

    #[test]
    fn a_good_one_passes() {
        assert_eq!(validate(&good()).err(), None);
    }

    #[test]
    fn each_fault_names_its_field() {
        type Break = fn(&mut Description);
        let cases: [(&str, Break); 22] = [
            ("id", |d| d.id.clear()),
            ("id", |d| d.id = "Redis".into()),
            ("id", |d| d.id = "../redis".into()),
            ("id", |d| d.id = "r".repeat(64)),
            ("version", |d| d.version = "1.2".into()),
            ("summary", |d| d.summary = "two\nlines".into()),
            ("summary", |d| d.summary = " ".into()),
            ("default-port", |d| d.default_port = Some(0)),
            ("database-types", |d| d.database_types.clear()),
            ("database-types[1]", |d| d.database_types[1] = "*".into()),
            ("database-types", |d| d.database_types[1] = "redis".into()),
            ("database-types", |d| d.database_types = (0..65).map(|n| n.to_string()).collect()),
            ("bindings[0].name", |d| d.bindings[0].name = "user/name".into()),
            ("bindings[0].name", |d| d.bindings[0].name = "user.name".into()),
            ("bindings[1].summary", |d| d.bindings[1].summary.clear()),
            ("bindings", |d| d.bindings[0].name = "password".into()),
            ("images[0].name", |d| d.images[0].name = "a b".into()),
            ("images[0].reference", |d| d.images[0].reference = "redis:8 --privileged".into()),
            ("images[0].reference", |d| d.images[0].reference = String::new()),
            ("images[0].server-versions", |d| d.images[0].server_versions = Some("new ones".into())),
            ("settings-schema", |d| d.settings_schema = "{".into()),
            ("labels", |d| d.labels.push(d.labels[0].clone())),
        ];
        for (field, break_it) in cases {
            let mut description = good();
            break_it(&mut description);
            let faults = validate(&description).err().unwrap_or_default();
            assert_eq!(faults.iter().map(|f| f.field.as_str()).collect::<Vec<_>>(), [field], "{faults:?}");
        }
    }
}
