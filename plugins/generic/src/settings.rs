//! `spec.settings`.

use std::collections::BTreeMap;

use db_backup_plugin_sdk::{Issue, Output, Refusal, Text};
use serde::Deserialize;

/// `spec.settings`; `settings.schema.json` is the user's side of it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Settings {
    pub(crate) argv: Vec<String>,
    pub(crate) probe: Vec<String>,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) secret_env: BTreeMap<String, String>,
    pub(crate) output: OutputSettings,
    pub(crate) extension: Option<String>,
    pub(crate) media_type: Option<String>,
    pub(crate) scratch_mebibytes: Option<u32>,
    pub(crate) success_exit_codes: Vec<i32>,
    pub(crate) minimum_bytes: u32,
    pub(crate) header: Option<Text>,
    pub(crate) tail: Option<Text>,
    pub(crate) stderr_required: Option<Text>,
    pub(crate) verifier_argv: Vec<String>,
    pub(crate) restore_argv: Vec<String>,
    pub(crate) restore_contents_argv: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            argv: Vec::new(),
            probe: Vec::new(),
            env: BTreeMap::new(),
            secret_env: BTreeMap::new(),
            output: OutputSettings::default(),
            extension: None,
            media_type: None,
            scratch_mebibytes: None,
            success_exit_codes: vec![0],
            minimum_bytes: 1,
            header: None,
            tail: None,
            stderr_required: None,
            verifier_argv: Vec::new(),
            restore_argv: Vec::new(),
            restore_contents_argv: Vec::new(),
        }
    }
}

/// Where the command leaves its dump.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct OutputSettings {
    #[serde(rename = "type")]
    type_: OutputType,
    path: Option<Text>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum OutputType {
    #[default]
    Stdout,
    File,
    Directory,
}

impl OutputSettings {
    /// A path is relative and stays under the scratch folder.
    pub(crate) fn output(&self) -> Result<Output, Refusal> {
        let invalid =
            |message: &str| Err(Issue::new("/settings/output/path", "SettingInvalid", message).into());
        match (self.type_, &self.path) {
            (OutputType::Stdout, None) => Ok(Output::Stdout),
            (OutputType::Stdout, Some(_)) => {
                invalid("standard output has no path; leave it out, or choose a type")
            }
            (_, None) => invalid("missing; name the file or folder relative to {scratchDir}"),
            (_, Some(path))
                if path.contains(char::is_control)
                    || path.split('/').any(|segment| matches!(segment, "" | "." | "..")) =>
            {
                invalid(
                    "must be relative to {scratchDir}, without control characters and without empty, '.' or '..' segments",
                )
            }
            (OutputType::File, Some(path)) => Ok(Output::File(path.to_string())),
            (OutputType::Directory, Some(path)) => Ok(Output::Directory(path.to_string())),
        }
    }
}
