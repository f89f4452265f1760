//! For tests of plugins: requests to try, and checks that every plugin should pass.
//!
//! The checks panic with what is wrong, as assertions do.

mod optional;

use std::fmt::Debug;

use serde_json::{Map, Value as Json};

pub use optional::{assert_explained, assert_probe_is_total, findings_of, probe_of, problems, restore_of};

use crate::{
    Argument, ArgumentPiece, BackupPlan, Connection, Fragment, Part, PartSource, Plugin, Probe, Process,
    Refusal, Request, Restore, RestoreRequest, Server, Tls, TlsMode, both, plan, probe, restore,
};

impl Request {
    /// A request without connection, bindings and settings.
    pub fn example(database_type: &str) -> Self {
        Self {
            namespace: "shop".to_owned(),
            name: "orders".to_owned(),
            database_type: database_type.to_owned(),
            connection: None,
            bindings: Vec::new(),
            server: None,
            settings: "{}".to_owned(),
            config_dir: "/run/db-backup/config".to_owned(),
            scratch_dir: "/run/db-backup/scratch".to_owned(),
            facts: Vec::new(),
        }
    }

    /// With this server.
    #[must_use]
    pub fn with_connection(mut self, connection: Connection) -> Self {
        self.connection = Some(connection);
        self
    }

    /// With values for these bindings.
    #[must_use]
    pub fn with_bindings(mut self, names: &[&str]) -> Self {
        self.bindings = names.iter().map(|name| (*name).to_owned()).collect();
        self
    }

    /// With this `spec.settings`.
    #[must_use]
    pub fn with_settings(mut self, settings: &Json) -> Self {
        self.settings = settings.to_string();
        self
    }

    /// With what an earlier probe found.
    #[must_use]
    pub fn with_server(mut self, version: &str) -> Self {
        self.server = Some(Server { version: version.to_owned(), facts: Vec::new() });
        self
    }
}

impl Connection {
    /// A server of which only the host is said.
    pub fn example(host: &str) -> Self {
        let tls = Tls { mode: TlsMode::Prefer, ca_file: None, certificate_file: None, key_file: None };
        Self { host: host.to_owned(), port: None, database: None, tls }
    }

    /// With this database.
    #[must_use]
    pub fn with_database(mut self, database: &str) -> Self {
        self.database = Some(database.to_owned());
        self
    }

    /// With this mode and all files of TLS.
    #[must_use]
    pub fn with_tls(mut self, mode: TlsMode) -> Self {
        self.tls = Tls {
            mode,
            ca_file: Some("/tls/ca.crt".to_owned()),
            certificate_file: Some("/tls/tls.crt".to_owned()),
            key_file: Some("/tls/tls.key".to_owned()),
        };
        self
    }
}

/// The settings schema and the `Settings` type say the same: every property has a description, its default and
/// its examples deserialise, all defaults together are what `{}` gives, and an unknown property is refused.
///
/// # Panics
/// Where they differ.
pub fn assert_settings_agree<P>()
where
    P: Plugin,
    P::Settings: PartialEq + Debug,
{
    let schema: Json = serde_json::from_str(&P::describe().settings_schema).unwrap_or_default();
    let is = |key: &str, expected: Json| schema.get(key) == Some(&expected);
    assert!(is("type", "object".into()), "the schema is JSON and describes an object");
    assert!(is("additionalProperties", false.into()), "unknown settings are refused by the schema");
    let none = Map::new();
    let properties = schema.get("properties").and_then(Json::as_object).unwrap_or(&none);
    let mut defaults = Map::new();
    for (name, property) in properties {
        assert!(property.get("description").is_some_and(Json::is_string), "{name} has a description");
        let examples = property.get("examples").and_then(Json::as_array).into_iter().flatten();
        let samples = property.get("default").into_iter().chain(examples);
        let mut tried = 0;
        for sample in samples {
            let alone = Json::Object([(name.clone(), sample.clone())].into_iter().collect());
            assert!(parses::<P>(&alone).is_ok(), "{alone}: {:?}", parses::<P>(&alone));
            tried += 1;
        }
        assert!(tried > 0, "{name} has a default or an example");
        if let Some(default) = property.get("default") {
            defaults.insert(name.clone(), default.clone());
        }
    }
    let filled_in = parses::<P>(&Json::Object(defaults)).map_err(|error| error.to_string());
    let empty = parses::<P>(&Json::Object(none)).map_err(|error| error.to_string());
    assert_eq!(filled_in, empty, "defaults are equal");
    assert!(parses::<P>(&serde_json::json!({"no-such-setting": 1})).is_err(), "unknown settings are refused");
}

fn parses<P: Plugin>(settings: &Json) -> Result<P::Settings, serde_json::Error> {
    serde_json::from_value(settings.clone())
}

/// Every property of the settings schema changes the plan: each has a sample here, that is settings with which the
/// plan differs from what the same request without that property gives.
///
/// # Panics
/// Where one has no sample or changes nothing.
pub fn assert_settings_matter<P: Plugin>(request: &Request, samples: &[Json]) {
    assert_matter::<P, _>(request, samples, plan::<P>);
}

/// The same where a property may change what the probe asks, or the plan of a restore, instead.
///
/// # Panics
/// Where one has no sample or changes nothing.
pub fn assert_settings_matter_to_some<P: Probe + Restore>(request: &Request, samples: &[Json]) {
    assert_matter::<P, _>(request, samples, |request| {
        let backup = both(plan::<P>(request), probe::<P>(request))?;
        Ok((backup, restore::<P>(&RestoreRequest::example(request.clone())).ok()))
    });
}

fn assert_matter<P: Plugin, A: PartialEq>(
    request: &Request,
    samples: &[Json],
    answer: impl Fn(&Request) -> Result<A, Refusal>,
) {
    let schema: Json = serde_json::from_str(&P::describe().settings_schema).unwrap_or_default();
    let none = Map::new();
    for name in schema.get("properties").and_then(Json::as_object).unwrap_or(&none).keys() {
        let matters =
            samples.iter().filter_map(Json::as_object).filter(|sample| sample.contains_key(name)).any(
                |sample| {
                    let mut without = sample.clone();
                    without.remove(name);
                    let with = answer(&request.clone().with_settings(&Json::Object(sample.clone())));
                    with.is_ok() && with != answer(&request.clone().with_settings(&Json::Object(without)))
                },
            );
        assert!(matters, "{name} changes nothing in {samples:?}");
    }
}

/// The plan, asked for twice.
///
/// # Panics
/// When it refuses, or answers the same request differently.
#[expect(clippy::panic, reason = "an assertion")]
pub fn plan_of<P: Plugin>(request: &Request) -> BackupPlan {
    let first = plan::<P>(request);
    assert_eq!(first, plan::<P>(request), "equal requests get equal answers");
    match first {
        Ok(plan) => plan,
        Err(refusal) => panic!("refused: {refusal:?}"),
    }
}

/// Pointer and reason of each issue.
///
/// # Panics
/// When there is a plan.
#[expect(clippy::panic, reason = "an assertion")]
pub fn issues_of<P: Plugin>(request: &Request) -> Vec<(String, String)> {
    match plan::<P>(request) {
        Ok(plan) => panic!("not refused: {plan:?}"),
        Err(refusal) => {
            assert!(!refusal.issues.is_empty(), "a refusal says why");
            refusal.issues.into_iter().map(|issue| (issue.path, issue.reason)).collect()
        }
    }
}

/// All processes of a plan.
pub fn processes(plan: &BackupPlan) -> Vec<&Process> {
    let sources = plan.parts.iter().flat_map(|source| match source {
        PartSource::One(part) => vec![part],
        PartSource::PerItem(per_item) => vec![&per_item.each],
    });
    let dumps = sources.flat_map(|part| [Some(&part.process), part.completion.verifier.as_ref()]).flatten();
    let listings = plan.parts.iter().filter_map(|source| match source {
        PartSource::One(_) => None,
        PartSource::PerItem(per_item) => Some(&per_item.items),
    });
    plan.checks.iter().map(|check| &check.process).chain(listings).chain(dumps).collect()
}

/// All parts of a plan.
pub fn parts(plan: &BackupPlan) -> Vec<&Part> {
    plan.parts
        .iter()
        .map(|source| match source {
            PartSource::One(part) => part,
            PartSource::PerItem(per_item) => &per_item.each,
        })
        .collect()
}

/// A process's arguments as text; an item is shown as `{item}`.
pub fn argv(process: &Process) -> Vec<String> {
    process.argv.iter().map(text_of).collect()
}

fn text_of(argument: &Argument) -> String {
    argument
        .pieces
        .iter()
        .map(|piece| match piece {
            ArgumentPiece::Text(text) => text.as_str(),
            ArgumentPiece::Item => "{item}",
        })
        .collect()
}

/// A value as text; secrets are shown as `{name}`, an item as `{item}`.
pub fn value(fragments: &[Fragment]) -> String {
    fragments
        .iter()
        .map(|fragment| match fragment {
            Fragment::Text(text) => text.clone(),
            Fragment::Secret(secret) => format!("{{{}}}", secret.binding),
            Fragment::Item => "{item}".to_owned(),
        })
        .collect()
}

/// The value of an environment variable, see [`value`].
pub fn env(process: &Process, name: &str) -> Option<String> {
    process.env.iter().find(|variable| variable.name == name).map(|variable| value(&variable.value))
}

/// The content of a file, see [`value`].
pub fn file(process: &Process, name: &str) -> Option<String> {
    process.files.iter().find(|file| file.name == name).map(|file| value(&file.content))
}

/// A string of the user's stands only where it can do no harm: as one whole argument behind a literal `--`, behind
/// `--option=` within one argument, or as one whole fragment of an environment variable. Files are the plugin's
/// own business: how their format is escaped only it knows.
///
/// # Panics
/// Where it stands elsewhere.
pub fn assert_contained(plan: &BackupPlan, hostile: &str) {
    for process in processes(plan) {
        let argv = argv(process);
        let options_end = argv.iter().position(|argument| argument == "--").unwrap_or(argv.len());
        for (at, argument) in argv.iter().enumerate().filter(|(_, argument)| argument.contains(hostile)) {
            let whole = argument == hostile && at > options_end;
            let behind_option = argument.strip_suffix(hostile).is_some_and(|option| {
                option.starts_with("--") && option.ends_with('=') && !option.contains(hostile)
            });
            assert!(at > 0 && (whole || behind_option), "{hostile:?} is loose in argument {at} of {argv:?}");
        }
        for variable in &process.env {
            assert!(!variable.name.contains(hostile), "{hostile:?} is in a variable's name");
            for fragment in &variable.value {
                if let Fragment::Text(text) = fragment {
                    assert!(!text.contains(hostile) || text == hostile, "{hostile:?} is mixed into {text:?}");
                }
            }
        }
        assert!(
            process.files.iter().all(|file| !file.name.contains(hostile)),
            "{hostile:?} is in a file's name"
        );
    }
    for part in parts(plan) {
        let fixed =
            [Some(&part.name), Some(&part.extension), Some(&part.media_type), part.restore_command.as_ref()];
        assert!(
            fixed.into_iter().flatten().all(|text| !text.contains(hostile)),
            "{hostile:?} is in {fixed:?}"
        );
    }
    assert!(
        plan.image.as_ref().is_none_or(|image| !image.contains(hostile)),
        "{hostile:?} is in the image's name"
    );
}
