//! Anything else: an image and a command that writes a dump. Also what an unknown `spec.databaseType` falls back
//! to.

mod probe;
mod restore;
mod settings;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use db_backup_plugin_sdk::{
    BackupPlan, Binding, Description, Issue, Issues, Output, Part, Plugin, Process, Refusal, Request, both,
    pointer, secret,
};

use crate::settings::Settings;

/// The type that the plugin serves by name.
const TYPE: &str = "generic";

/// What stands for the scratch folder in an argument: the folder's path is the operator's business.
const SCRATCH: &str = "{scratchDir}";

/// Of the stored object.
const DEFAULT_EXTENSION: &str = "dump";

/// The end mark may be followed by so many bytes, less its own length.
const TAIL_WITHIN: u32 = 1024;

/// Secret values that the user can map to keys of a Secret, and give to the command as environment variables.
const BINDINGS: [(&str, &str); 4] = [
    ("username", "user name, for settings.secretEnv"),
    ("password", "password, for settings.secretEnv"),
    ("token", "token or key, for settings.secretEnv"),
    ("uri", "connection string, for settings.secretEnv"),
];

/// The plugin.
#[derive(Debug)]
pub struct Generic;

impl Plugin for Generic {
    type Settings = Settings;

    fn describe() -> Description {
        let description = Description::new(
            "generic",
            env!("CARGO_PKG_VERSION"),
            "Any image and command that writes a dump to its output, a file or a folder",
        )
        .database_types([TYPE])
        .settings_schema(include_str!("../settings.schema.json"));
        BINDINGS.into_iter().fold(description, |description, (name, summary)| {
            description.binding(Binding::optional(name, summary))
        })
    }

    fn plan(request: &Request, settings: &Settings) -> Result<BackupPlan, Refusal> {
        let others = both(valid_completion(settings), valid_probe(settings));
        let completion = both(others, settings.output.output());
        let processes = both(dump(request, settings), verifier(request, settings));
        let ((process, verifier), (((), ()), output)) = both(processes, completion)?;
        let part = verifier.into_iter().fold(part(settings, process, output), Part::verifier);
        Ok(settings
            .scratch_mebibytes
            .into_iter()
            .fold(BackupPlan::new().part(part), BackupPlan::scratch_mebibytes))
    }
}

/// What writes the dump.
fn dump(request: &Request, settings: &Settings) -> Result<Process, Refusal> {
    if settings.argv.is_empty() {
        return Err(Issue::new("/settings/argv", "ArgvMissing", argv_missing(request)).into());
    }
    process(request, settings, ("argv", &settings.argv))
}

/// A command of the user's, with the name of its setting, in the user's environment, and what the operator knows of the
/// server.
fn process(
    request: &Request,
    settings: &Settings,
    (setting, argv): (&str, &[String]),
) -> Result<Process, Refusal> {
    let mut issues = Issues::new();
    check_argv(setting, argv, &mut issues);
    check_env(request, settings, &mut issues);
    issues.refuse_any()?;
    let mut process = command(request, argv);
    let mut env = server_env(request);
    env.retain(|name, _| !settings.secret_env.contains_key(name));
    env.extend(settings.env.clone());
    for (name, value) in env {
        process = process.env(name, value);
    }
    for (name, binding) in &settings.secret_env {
        process = process.env(name, secret(binding));
    }
    Ok(process)
}

/// The user's second command, if there is one: with no secret, because the bytes are all that it needs.
fn verifier(request: &Request, settings: &Settings) -> Result<Option<Process>, Refusal> {
    let mut issues = Issues::new();
    check_argv("verifierArgv", &settings.verifier_argv, &mut issues);
    issues.refuse_any()?;
    let process = command(request, &settings.verifier_argv);
    let process =
        settings.env.iter().fold(process, |process, (name, value)| process.env(name, value.clone()));
    Ok((!settings.verifier_argv.is_empty()).then_some(process))
}

fn command(request: &Request, words: &[String]) -> Process {
    let mut argv = words.iter().map(|argument| argument.replace(SCRATCH, &request.scratch_dir));
    Process::new(argv.next().unwrap_or_default()).args(argv)
}

/// `DB_HOST`, `DB_PORT` and `DB_NAME` as far as they are known.
fn server_env(request: &Request) -> BTreeMap<String, String> {
    let Some(connection) = &request.connection else { return BTreeMap::new() };
    let known = [
        ("DB_HOST", Some(connection.host.clone())),
        ("DB_PORT", connection.port.map(|port| port.to_string())),
        ("DB_NAME", connection.database.clone()),
    ];
    known.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

fn argv_missing(request: &Request) -> String {
    if request.database_type == TYPE {
        return "missing; say which command of spec.image writes the dump".to_owned();
    }
    format!(
        "no plugin serves the type {:?}, so the generic one was asked: choose a type that a plugin serves, or say here \
         which command of spec.image writes the dump",
        request.database_type
    )
}

fn check_argv(setting: &str, argv: &[String], issues: &mut Issues) {
    if argv.first().is_some_and(|program| !is_program(program)) {
        issues.add(
            format!("/settings/{setting}/0"),
            "SettingInvalid",
            "the first word is the program: a name or an absolute path",
        );
    }
    for (index, _) in argv.iter().enumerate().filter(|(_, argument)| argument.contains('\0')) {
        issues.add(
            format!("/settings/{setting}/{index}"),
            "SettingInvalid",
            "must not contain a NUL character",
        );
    }
}

/// A program is found in the image, by a name or by an absolute path.
fn is_program(word: &str) -> bool {
    let path = word.strip_prefix('/').unwrap_or(word);
    let relative = !word.starts_with('/') && word.contains('/');
    !relative
        && !word.starts_with('-')
        && !word.contains(SCRATCH)
        && !word.contains(char::is_control)
        && path.split('/').all(|segment| !matches!(segment, "" | "." | ".."))
}

fn check_env(request: &Request, settings: &Settings, issues: &mut Issues) {
    for (setting, names) in [("env", &settings.env), ("secretEnv", &settings.secret_env)] {
        for name in names.keys().filter(|name| !is_variable(name)) {
            let message = "a variable's name has letters, digits and '_', and does not begin with a digit";
            issues.add(pointer(["settings", setting, name]), "SettingInvalid", message);
        }
    }
    for name in settings.env.iter().filter(|(_, value)| value.contains('\0')).map(|(name, _)| name) {
        issues.add(pointer(["settings", "env", name]), "SettingInvalid", "must not contain a NUL character");
    }
    let known = BINDINGS.map(|(name, _)| name);
    for (name, binding) in &settings.secret_env {
        let path = pointer(["settings", "secretEnv", name]);
        if settings.env.contains_key(name) {
            issues.add(
                path.as_str(),
                "SettingsConflict",
                "settings.env sets this variable too; leave out one of them",
            );
        }
        if !known.contains(&binding.as_str()) {
            issues.add(
                path,
                "SettingInvalid",
                format!("there is no such secret value; use one of {}", known.join(", ")),
            );
        } else if !request.has_binding(binding) {
            let message = format!("map {binding} to a key of the Secret in spec.connection.credentials.keys");
            issues.add(path, "CredentialsMissing", message);
        }
    }
}

fn is_variable(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty()
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// A probe that cannot be asked is told with everything else, before anything is asked.
fn valid_probe(settings: &Settings) -> Result<(), Refusal> {
    let mut issues = Issues::new();
    check_argv("probe", &settings.probe, &mut issues);
    issues.refuse_any()
}

/// What the schema says of numbers and of the extension, for whoever did not ask the schema.
fn valid_completion(settings: &Settings) -> Result<(), Refusal> {
    let mut issues = Issues::new();
    if settings.minimum_bytes == 0 {
        issues.add("/settings/minimumBytes", "SettingInvalid", "no dump is empty; write at least 1");
    }
    if settings.success_exit_codes.is_empty()
        || settings.success_exit_codes.iter().any(|code| !(0..256).contains(code))
    {
        issues.add(
            "/settings/successExitCodes",
            "SettingInvalid",
            "at least one exit code, each from 0 to 255",
        );
    }
    let extension = settings.extension.as_deref().unwrap_or(DEFAULT_EXTENSION);
    if extension.is_empty()
        || extension.len() > 16
        || !extension.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
    {
        issues.add("/settings/extension", "SettingInvalid", "1 to 16 lower case letters and digits");
    }
    if settings
        .tail
        .as_deref()
        .is_some_and(|tail| u32::try_from(tail.len()).is_ok_and(|length| length > TAIL_WITHIN))
    {
        issues.add("/settings/tail", "SettingInvalid", "longer than the last bytes that are looked at");
    }
    issues.refuse_any()
}

fn part(settings: &Settings, process: Process, output: Output) -> Part {
    let (extension, media_type) = match output {
        Output::Directory(_) => ("tar", "application/x-tar"),
        Output::Stdout | Output::File(_) => {
            let media_type = settings.media_type.as_deref().unwrap_or("application/octet-stream");
            (settings.extension.as_deref().unwrap_or(DEFAULT_EXTENSION), media_type)
        }
    };
    let mut part = Part::new("dump", extension, media_type, process)
        .output(output)
        .exit_codes(settings.success_exit_codes.iter().copied())
        .minimum_bytes(settings.minimum_bytes);
    if let Some(header) = settings.header.as_deref() {
        part = part.header(header);
    }
    if let Some(tail) = settings.tail.as_deref() {
        part = part.tail(tail, TAIL_WITHIN);
    }
    if let Some(text) = settings.stderr_required.as_deref() {
        part = part.stderr_required(text);
    }
    part
}

db_backup_plugin_sdk::export!(Generic: Probe, Diagnose, Restore);
