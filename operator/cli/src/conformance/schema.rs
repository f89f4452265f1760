//! From a settings schema to values that keep it and values that break it. The schema is the host's: a tree without
//! references.

use serde_json::{Map, Value, json};

/// Most values that are suggested for one place.
const MOST: usize = 12;
/// Deepest place that is looked at.
const DEEPEST: usize = 6;
/// Texts that patterns often allow.
const TEXTS: [&str; 5] = ["a", "ab", "a.b", "1", "https://a.example/b"];

/// Values that may stand where the schema is: its own examples first. Not all are valid; a validator has the last word.
pub(super) fn candidates(schema: &Value) -> Vec<Value> {
    let mut found = Vec::new();
    collect(schema, 0, &mut found);
    let mut distinct: Vec<Value> = Vec::new();
    for value in found {
        if !distinct.contains(&value) {
            distinct.push(value);
        }
    }
    distinct.truncate(MOST);
    distinct
}

fn collect(schema: &Value, depth: usize, found: &mut Vec<Value>) {
    if depth > DEEPEST {
        return;
    }
    let list = |keyword: &str| schema.get(keyword).and_then(Value::as_array).into_iter().flatten();
    found.extend(list("examples").cloned());
    found.extend(schema.get("const").cloned());
    found.extend(list("enum").cloned());
    found.extend(schema.get("default").cloned());
    if schema.get("enum").is_none() && schema.get("const").is_none() {
        for kind in types(schema) {
            typed(schema, kind, depth, found);
        }
    }
    for branch in ["anyOf", "oneOf", "allOf"].into_iter().flat_map(list) {
        collect(branch, depth + 1, found);
    }
}

fn typed(schema: &Value, kind: &str, depth: usize, found: &mut Vec<Value>) {
    match kind {
        "boolean" => found.extend([json!(true), json!(false)]),
        "integer" => {
            let limit = |keyword: &str| schema.get(keyword).and_then(Value::as_i64);
            let least = limit("minimum").unwrap_or(1);
            found.extend([json!(least), json!(least.saturating_add(1))]);
            found.extend(limit("maximum").map(|most| json!(most)));
        }
        "number" => {
            let limit = |keyword: &str| schema.get(keyword).and_then(Value::as_f64);
            found
                .extend([limit("minimum").unwrap_or(0.5), limit("maximum").unwrap_or(1.5)].map(|n| json!(n)));
        }
        "string" => {
            let least = length(schema, "minLength").unwrap_or_default();
            let suggested = TEXTS.iter().map(|text| (*text).to_owned());
            found.extend(suggested.filter(|text| text.len() >= least).map(Value::from));
            if least > 0 {
                found.push("a".repeat(least).into());
            }
        }
        "array" => {
            let items = schema.get("items").map_or_else(|| vec![json!("a")], candidates);
            let least = length(schema, "minItems").unwrap_or_default().max(1);
            found.push(Value::Array(items.iter().take(least).cloned().collect()));
            found.push(Value::Array(items.iter().take(least + 1).cloned().collect()));
            found.extend(items.into_iter().map(|item| Value::Array(vec![item])));
        }
        "object" => objects(schema, depth, found),
        "null" => found.push(Value::Null),
        _ => {}
    }
}

/// What is required, alone and with each other property; one entry where names are free.
fn objects(schema: &Value, depth: usize, found: &mut Vec<Value>) {
    let required = required(schema);
    found.push(Value::Object(required.clone()));
    for (name, property) in properties(schema) {
        let mut values = Vec::new();
        collect(property, depth + 1, &mut values);
        for value in values.into_iter().take(3) {
            let mut object = required.clone();
            object.insert(name.clone(), value);
            found.push(Value::Object(object));
        }
    }
    if let Some(free) = schema.get("additionalProperties").filter(|free| free.is_object()) {
        let mut values = Vec::new();
        collect(free, depth + 1, &mut values);
        found.extend(values.into_iter().take(3).map(|value| json!({ "NAME": value })));
    }
}

/// The properties that must be there, each with the first value that may stand there.
pub(super) fn required(schema: &Value) -> Map<String, Value> {
    let names =
        schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    names
        .filter_map(|name| {
            let property = schema.get("properties")?.get(name)?;
            Some((name.to_owned(), candidates(property).into_iter().next()?))
        })
        .collect()
}

/// The named properties of an object's schema.
pub(super) fn properties(schema: &Value) -> impl Iterator<Item = (&String, &Value)> {
    schema.get("properties").and_then(Value::as_object).into_iter().flatten()
}

/// JSON pointers of all named properties, those of objects and of lists' items too (these as `*`), each with its schema.
pub(super) fn places(schema: &Value) -> Vec<(String, &Value)> {
    fn walk<'a>(schema: &'a Value, at: &str, depth: usize, found: &mut Vec<(String, &'a Value)>) {
        if depth > DEEPEST {
            return;
        }
        for (name, property) in properties(schema) {
            let at = format!("{at}/{}", escape(name));
            walk(property, &at, depth + 1, found);
            found.push((at, property));
        }
        if let Some(items) = schema.get("items") {
            walk(items, &format!("{at}/*"), depth + 1, found);
        }
        for keyword in ["allOf", "anyOf", "oneOf"] {
            for branch in schema.get(keyword).and_then(Value::as_array).into_iter().flatten() {
                walk(branch, at, depth + 1, found);
            }
        }
    }
    let mut found = Vec::new();
    walk(schema, "", 0, &mut found);
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    found.dedup_by(|(a, _), (b, _)| a == b);
    found
}

/// A name as part of a JSON pointer (RFC 6901).
pub(super) fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// Values that surely break the schema, each with what is wrong about it.
pub(super) fn violations(schema: &Value) -> Vec<(&'static str, Value)> {
    let mut found = Vec::new();
    let kinds = types(schema);
    let samples = [
        ("null", Value::Null),
        ("boolean", json!(true)),
        ("number", json!(1.5)),
        ("string", json!("no such value")),
        ("array", json!([])),
        ("object", json!({})),
    ];
    if !kinds.is_empty() {
        found.extend(
            samples
                .into_iter()
                .filter(|(kind, _)| !kinds.contains(kind))
                .map(|(_, v)| ("of the wrong type", v)),
        );
    }
    if schema.get("enum").is_some() || schema.get("const").is_some() {
        found.push(("not one of the list", json!("no such value")));
    }
    let whole = |keyword: &str| schema.get(keyword).and_then(Value::as_i64);
    if kinds.iter().any(|kind| matches!(*kind, "integer" | "number")) {
        found.extend(whole("minimum").and_then(|n| n.checked_sub(1)).map(|n| ("too small", json!(n))));
        found.extend(whole("maximum").and_then(|n| n.checked_add(1)).map(|n| ("too large", json!(n))));
    }
    if kinds.contains(&"string") {
        found.extend(length(schema, "maxLength").map(|n| ("too long", json!("a".repeat(n + 1)))));
        let short = length(schema, "minLength").filter(|n| *n > 0);
        found.extend(short.map(|n| ("too short", json!("a".repeat(n - 1)))));
    }
    if kinds.contains(&"array") {
        let item = schema
            .get("items")
            .map(candidates)
            .and_then(|items| items.into_iter().next())
            .unwrap_or_default();
        let items = |count: usize| Value::Array(vec![item.clone(); count]);
        found.extend(length(schema, "maxItems").map(|n| ("too many", items(n + 1))));
        found.extend(length(schema, "minItems").filter(|n| *n > 0).map(|n| ("too few", items(n - 1))));
        if schema.get("uniqueItems") == Some(&Value::Bool(true)) {
            found.push(("there twice", items(2)));
        }
    }
    found
}

/// Whether a schema says something of what may stand there.
pub(super) fn restricts(schema: &Value) -> bool {
    ["type", "enum", "const", "anyOf", "oneOf", "allOf", "not", "if"]
        .iter()
        .any(|keyword| schema.get(keyword).is_some())
}

fn types(schema: &Value) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(kind)) => vec![kind],
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => vec![],
    }
}

fn length(schema: &Value, keyword: &str) -> Option<usize> {
    schema.get(keyword).and_then(Value::as_u64).and_then(|length| usize::try_from(length).ok())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::examples_first(json!({"type": "string", "examples": ["x"], "default": "y"}), &["\"x\"", "\"y\"", "\"a\""])]
    #[case::list(json!({"enum": ["p", 7]}), &["\"p\"", "7"])]
    #[case::number(json!({"type": "integer", "minimum": 3, "maximum": 9}), &["3", "4", "9"])]
    #[case::items(json!({"type": "array", "items": {"enum": ["p", "q"]}}), &["[\"p\"]", "[\"p\",\"q\"]", "[\"q\"]"])]
    #[case::object(json!({"type": "object", "required": ["a"], "properties": {"a": {"const": 1}, "b": {"type": "boolean"}}}), &["{\"a\":1}", "{\"a\":1,\"b\":true}", "{\"a\":1,\"b\":false}"])]
    #[case::free_names(json!({"type": "object", "additionalProperties": {"const": 1}}), &["{}", "{\"NAME\":1}"])]
    #[case::either(json!({"oneOf": [{"type": "null"}, {"const": 2}]}), &["null", "2"])]
    fn candidates_come_from_the_schema(#[case] schema: Value, #[case] expected: &[&str]) {
        let found: Vec<_> = candidates(&schema).iter().map(Value::to_string).collect();
        assert_eq!(found[..expected.len()], *expected);
    }

    #[rstest]
    #[case(json!({"type": "integer", "minimum": 1, "maximum": 4}), &["null", "true", "1.5", "\"no such value\"", "[]", "{}", "0", "5"])]
    #[case(json!({"type": ["string", "null"], "minLength": 2, "maxLength": 3}), &["true", "1.5", "[]", "{}", "\"aaaa\"", "\"a\""])]
    #[case(json!({"enum": ["x"]}), &["\"no such value\""])]
    #[case(json!({"type": "array", "uniqueItems": true, "minItems": 1, "items": {"const": 1}}), &["null", "true", "1.5", "\"no such value\"", "{}", "[]", "[1,1]"])]
    #[case(json!({}), &[])]
    fn violations_surely_are(#[case] schema: Value, #[case] expected: &[&str]) {
        let found: Vec<_> = violations(&schema).iter().map(|(_, value)| value.to_string()).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn places_are_all_named_properties() {
        let schema = json!({"properties": {
            "a/b": {"properties": {"c": {}}},
            "list": {"items": {"properties": {"d": {}}}},
        }});
        let found: Vec<_> = places(&schema).into_iter().map(|(at, _)| at).collect();
        assert_eq!(found, ["/a~1b", "/a~1b/c", "/list", "/list/*/d"]);
    }
}
