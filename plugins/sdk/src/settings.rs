//! From the text of `spec.settings` to a plugin's own type.

use std::ops::Deref;

use serde::{Deserialize, Deserializer, de::DeserializeOwned, de::Error};
use serde_json::{Map, Value as Json};
use serde_path_to_error::Segment;

use crate::{Issue, Refusal, pointer};

/// Reads `spec.settings`.
///
/// # Errors
/// Reason `SettingInvalid`, at the value that does not fit.
pub(crate) fn parse<S: DeserializeOwned>(json: &str) -> Result<S, Refusal> {
    // Serde would take a list for a struct as well.
    let object = serde_json::from_str::<Map<String, Json>>(json)
        .map_err(|error| refuse("/settings".to_owned(), &without_position(&error)))?;
    serde_path_to_error::deserialize(Json::Object(object)).map_err(|error| {
        let segments = error.path().iter().filter_map(|segment| match segment {
            Segment::Seq { index } => Some(index.to_string()),
            Segment::Map { key } => Some(key.clone()),
            Segment::Enum { variant } => Some(variant.clone()),
            Segment::Unknown => None,
        });
        let path = pointer(["settings".to_owned()].into_iter().chain(segments));
        refuse(path, &without_position(error.inner()))
    })
}

fn refuse(path: String, cause: &str) -> Refusal {
    Issue::new(path, "SettingInvalid", format!("{cause}; write what the plugin's settings schema allows"))
        .into()
}

/// The user wrote YAML: a position in our JSON text would mislead.
fn without_position(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let position = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&position).map(str::to_owned).unwrap_or(text)
}

/// A string that a process can be given: not empty and without NUL. For settings that become arguments,
/// environment or names.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Text(String);

impl Text {
    /// The text, if it is one.
    pub fn new(text: impl Into<String>) -> Option<Self> {
        let text = text.into();
        (!text.is_empty() && !text.contains('\0')).then_some(Self(text))
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl From<Text> for String {
    fn from(text: Text) -> Self {
        text.0
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(deserializer)?)
            .ok_or_else(|| D::Error::custom("must not be empty and must not contain a NUL character"))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[derive(Debug, Default, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Settings {
        names: Vec<Text>,
        labels: BTreeMap<String, Text>,
        number: u8,
    }

    #[test]
    fn what_does_not_fit_is_named_by_pointer() {
        let settings: Settings = parse(r#"{"names": ["a"], "labels": {"k": "v"}, "number": 3}"#).unwrap();
        assert_eq!((&*settings.names[0], &*settings.labels["k"], settings.number), ("a", "v", 3));
        for (json, path) in [
            (r#"{"names": ["a", ""]}"#, "/settings/names/1"),
            (r#"{"names": ["a\u0000b"]}"#, "/settings/names/0"),
            (r#"{"labels": {"a/b~": "\u0000"}}"#, "/settings/labels/a~1b~0"),
            (r#"{"number": 256}"#, "/settings/number"),
            (r#"{"number": "1"}"#, "/settings/number"),
            (r#"{"nummer": 1}"#, "/settings/nummer"),
            ("[1]", "/settings"),
            ("null", "/settings"),
            ("", "/settings"),
            ("{", "/settings"),
            ("{} {}", "/settings"),
        ] {
            let refusal = parse::<Settings>(json).unwrap_err();
            let [issue] = refusal.issues.as_slice() else { panic!("{refusal:?}") };
            assert_eq!((issue.path.as_str(), issue.reason.as_str()), (path, "SettingInvalid"), "{json}");
        }
    }
}
