//! `-f FILE`: the DatabaseBackups of YAML or JSON files, as a user would apply them.

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use dbbackup_api::DatabaseBackup;
use serde_json::Value;

use crate::ending::Unusable;

/// The API version and kind that are read; documents of other kinds are left out.
const KIND: (&str, &str) = ("db.example.io/v1alpha1", "DatabaseBackup");
/// Stands for what the API server would give an object.
const NOT_STORED: &str = "00000000-0000-0000-0000-000000000000";

/// Reads all files, `-` being standard input. Each object gets the namespace `default` and a UID of zeros where it has
/// none.
///
/// # Errors
/// A sentence with file, document and field for the first thing that no API server would take, and where there is no
/// object at all.
pub(crate) fn read(files: &[PathBuf]) -> Result<Vec<DatabaseBackup>, Unusable> {
    let mut objects = Vec::new();
    for file in files {
        let text = text_of(file)?;
        let found = parse(&text).map_err(|why| Unusable::Input(format!("{}: {why}", file.display())))?;
        objects.extend(found);
    }
    if objects.is_empty() {
        let names: Vec<_> = files.iter().map(|file| file.display().to_string()).collect();
        let message = format!("{} has no object of kind {} ({})", names.join(", "), KIND.1, KIND.0);
        return Err(Unusable::Input(message));
    }
    Ok(objects)
}

/// `namespace/name`.
pub(crate) fn name(object: &DatabaseBackup) -> String {
    let metadata = &object.metadata;
    [&metadata.namespace, &metadata.name].map(|part| part.as_deref().unwrap_or_default()).join("/")
}

fn text_of(file: &Path) -> Result<String, Unusable> {
    if file == Path::new("-") {
        let mut text = String::new();
        io::stdin().lock().read_to_string(&mut text).map_err(Unusable::on("read", file))?;
        return Ok(text);
    }
    fs::read_to_string(file).map_err(Unusable::on("read", file))
}

fn parse(text: &str) -> Result<Vec<DatabaseBackup>, String> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(text).map_err(|error| {
        let error = error.to_string();
        format!("this is no YAML: {}", error.lines().next().unwrap_or_default())
    })?;
    let several = documents.len() > 1;
    let mut objects = Vec::new();
    for (index, document) in documents.iter().enumerate() {
        let items = match document.get("kind").and_then(Value::as_str) {
            Some("List") => document.get("items").and_then(Value::as_array).map_or(&[][..], Vec::as_slice),
            _ => std::slice::from_ref(document),
        };
        for item in items.iter().filter(|item| !item.is_null()) {
            let object = object(item)
                .map_err(|why| if several { format!("document {}: {why}", index + 1) } else { why })?;
            objects.extend(object);
        }
    }
    Ok(objects)
}

/// None: it is of another kind.
fn object(document: &Value) -> Result<Option<DatabaseBackup>, String> {
    let field = |name: &str| document.get(name).and_then(Value::as_str);
    let (Some(version), Some(kind)) = (field("apiVersion"), field("kind")) else {
        return Err("apiVersion and kind: missing; every object begins with them".to_owned());
    };
    if kind != KIND.1 {
        return Ok(None);
    }
    if version != KIND.0 {
        return Err(format!("apiVersion: {version:?} is not known; write {:?}", KIND.0));
    }
    let mut object: DatabaseBackup = serde_path_to_error::deserialize(document).map_err(|error| {
        let path = error.path().to_string();
        let explained = format!("databasebackup.{path}");
        format!(
            "{path}: {}; `kubectl explain {}` says what may stand there",
            error.inner(),
            explained.trim_end_matches('.')
        )
    })?;
    if object.metadata.name.is_none() {
        return Err("metadata.name: missing; every object has one".to_owned());
    }
    let understood = serde_json::to_value(&object).map_err(|error| error.to_string())?;
    if let Some(unknown) = lost(document, &understood, "") {
        return Err(format!(
            "{unknown}: there is no such field; `kubectl explain databasebackup --recursive` lists them"
        ));
    }
    object.metadata.namespace.get_or_insert_with(|| "default".to_owned());
    object.metadata.uid.get_or_insert_with(|| NOT_STORED.to_owned());
    Ok(Some(object))
}

/// The first field of `given` that is not in `understood`: the API server refuses or drops it.
fn lost(given: &Value, understood: &Value, path: &str) -> Option<String> {
    match (given, understood) {
        (Value::Object(given), Value::Object(understood)) => given.iter().find_map(|(name, value)| {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            match understood.get(name) {
                Some(understood) => lost(value, understood, &path),
                None => (!is_nothing(value)).then_some(path),
            }
        }),
        (Value::Array(given), Value::Array(understood)) => given
            .iter()
            .zip(understood)
            .enumerate()
            .find_map(|(at, (given, understood))| lost(given, understood, &format!("{path}[{at}]"))),
        _ => None,
    }
}

/// What a field that may be left out is not written as again.
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(members) => members.values().all(is_nothing),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const GOOD: &str = "
apiVersion: db.example.io/v1alpha1
kind: DatabaseBackup
metadata: {name: orders}
spec:
  schedule: '@daily'
  databaseType: postgres
  storageDestination: {type: pvc, pvcName: backups}
";

    #[test]
    fn other_kinds_are_left_out_and_lists_opened() {
        let object: Value = serde_saphyr::from_str(GOOD).unwrap();
        let list = serde_json::json!({"apiVersion": "v1", "kind": "List", "items": [object]});
        let text = format!("apiVersion: v1\nkind: Secret\n---\n{GOOD}---\n---\n{list}\n");
        let found = parse(&text).unwrap();
        assert_eq!(found.iter().map(name).collect::<Vec<_>>(), ["default/orders", "default/orders"]);
    }

    #[rstest]
    #[case::no_yaml("a: [", "this is no YAML")]
    #[case::no_kind("a: 1", "apiVersion and kind: missing")]
    #[case::version(&GOOD.replace("v1alpha1", "v9"), "apiVersion: \"db.example.io/v9\" is not known")]
    #[case::no_name(&GOOD.replace("name: orders", "labels: {}"), "metadata.name: missing")]
    #[case::missing(&GOOD.replace("  schedule: '@daily'\n", ""), "spec: missing field `schedule`")]
    #[case::wrong_word(&GOOD.replace("type: pvc", "type: nfs"), "spec.storageDestination.type: unknown variant `nfs`")]
    #[case::wrong_type(&GOOD.replace("'@daily'", "[]"), "spec.schedule: invalid type")]
    #[case::mistyped(&GOOD.replace("  databaseType", "  setings: {a: 1}\n  databaseType"), "spec.setings: there is no such field")]
    #[case::second(&format!("{GOOD}---\n{}", GOOD.replace("pvcName", "pvc")), "document 2: spec.storageDestination.pvc: there is no such field")]
    fn what_no_api_server_would_take_is_named(#[case] text: &str, #[case] expected: &str) {
        let why = parse(text).unwrap_err();
        assert!(why.contains(expected), "{why}");
    }

    #[test]
    fn every_sample_is_read() {
        let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/samples");
        let files: Vec<_> = fs::read_dir(samples)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|file| file.extension().is_some_and(|extension| extension == "yaml"))
            // Of another kind.
            .filter(|file| !file.ends_with("restore.yaml"))
            .collect();
        assert!(files.len() >= 4);
        for file in files {
            assert!(!read(std::slice::from_ref(&file)).unwrap().is_empty(), "{}", file.display());
        }
    }
}
