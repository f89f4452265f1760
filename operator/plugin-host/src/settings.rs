//! `spec.settings` against a plugin's schema: defaults filled in, faults as sentences.

use dbbackup_protocol::contract::Issue;
use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{PatternOptions, ValidationError, Validator};
use serde_json::{Map, Value};

use crate::schema::{self, escape};
use crate::text;

/// Most issues that are told at once.
const MAX_ISSUES: usize = 16;
/// Most values that a sentence lists.
const MAX_LISTED: usize = 20;
/// Most bytes of defaults, as JSON: a work order holds no more.
const MAX_DEFAULTS: usize = 64 << 10;
/// Most bytes that the program of one pattern takes, as its engine counts.
const MAX_PATTERN: usize = 256 << 10;
/// Where settings are in the user's `spec`.
const ROOT: &str = "/settings";

/// A plugin's schema, ready for use.
#[derive(Debug)]
pub(crate) struct Settings {
    schema: Value,
    validator: Validator,
}

impl Settings {
    /// Reads a schema.
    ///
    /// # Errors
    /// A sentence that says where and why it is none.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let schema = schema::resolve(text)?;
        let validator = jsonschema::options()
            .with_draft(jsonschema::Draft::Draft202012)
            // The engine whose time is linear: patterns are as untrusted as the rest.
            .with_pattern_options(PatternOptions::regex().size_limit(MAX_PATTERN))
            .build(&schema)
            .map_err(|error| format!("{} is not valid: {error}", error.instance_path()))?;
        let settings = Self { schema, validator };
        settings.require_valid_defaults()?;
        Ok(settings)
    }

    pub(crate) fn schema(&self) -> &Value {
        &self.schema
    }

    /// The settings with the schema's defaults, or all that is wrong with them.
    ///
    /// # Errors
    /// At least one issue, at most [`MAX_ISSUES`].
    pub(crate) fn validate(
        &self,
        settings: Option<&Map<String, Value>>,
    ) -> Result<Map<String, Value>, Vec<Issue>> {
        let mut filled = Value::Object(settings.cloned().unwrap_or_default());
        fill(&self.schema, &mut filled, &mut MAX_DEFAULTS.clone())
            .map_err(|why| vec![issue(ROOT.to_owned(), why)])?;
        let mut issues: Vec<Issue> = self
            .validator
            .iter_errors(&filled)
            .flat_map(|error| self.issues(&error))
            .take(MAX_ISSUES)
            .collect();
        issues.dedup();
        match filled {
            Value::Object(filled) if issues.is_empty() => Ok(filled),
            _ => Err(issues),
        }
    }

    /// Nothing but missing values may be wrong with settings that are all defaults.
    fn require_valid_defaults(&self) -> Result<(), String> {
        let mut defaults = Value::Object(Map::new());
        fill(&self.schema, &mut defaults, &mut MAX_DEFAULTS.clone())?;
        let wrong = self
            .validator
            .iter_errors(&defaults)
            .find(|error| !matches!(error.kind(), ValidationErrorKind::Required { .. }) && !at_root(error));
        match wrong {
            Some(error) => Err(format!(
                "the default of {} breaks the schema: {}",
                error.instance_path(),
                sentence(&error)
            )),
            None => Ok(()),
        }
    }

    /// An error of the validator in the user's terms; some are several issues.
    fn issues(&self, error: &ValidationError<'_>) -> Vec<Issue> {
        let at = format!("{ROOT}{}", error.instance_path());
        match error.kind() {
            ValidationErrorKind::AdditionalProperties { unexpected }
            | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
                let known = self.known(error);
                let message = |name: &String| format!("`{name}` is not a setting here; {known}");
                unexpected.iter().map(|name| issue(format!("{at}/{}", escape(name)), message(name))).collect()
            }
            ValidationErrorKind::Required { property } => {
                let name = property.as_str().unwrap_or_default();
                vec![issue(format!("{at}/{}", escape(name)), format!("`{name}` is required"))]
            }
            _ => vec![issue(at, sentence(error))],
        }
    }

    /// Names of the properties of the schema that refused one.
    fn known(&self, error: &ValidationError<'_>) -> String {
        let parent = error.schema_path().as_str().rsplit_once('/').map_or("", |(parent, _)| parent);
        let properties = self.schema.pointer(parent).and_then(|schema| schema.get("properties"));
        match properties.and_then(Value::as_object) {
            Some(known) if !known.is_empty() => {
                let mut names: Vec<_> = known
                    .keys()
                    .take(MAX_LISTED)
                    .map(|name| format!("`{}`", text::start(name, 64)))
                    .collect();
                names.extend((known.len() > MAX_LISTED).then(|| "…".to_owned()));
                format!("known are {}", names.join(", "))
            }
            _ => "there are none".to_owned(),
        }
    }
}

fn at_root(error: &ValidationError<'_>) -> bool {
    error.instance_path().as_str().is_empty()
}

fn issue(path: String, message: String) -> Issue {
    Issue { path, reason: "SettingInvalid".to_owned(), message }
}

/// Inserts the `default` of every property that is missing, in nested objects and lists too. An object that is absent
/// and has no default stays absent. Defaults within defaults multiply: `room` is how many bytes of them may still come.
///
/// # Errors
/// They are more.
fn fill(schema: &Value, value: &mut Value, room: &mut usize) -> Result<(), String> {
    if let (Some(properties), Value::Object(object)) =
        (schema.get("properties").and_then(Value::as_object), &mut *value)
    {
        for (name, property) in properties {
            if !object.contains_key(name)
                && let Some(default) = property.get("default")
            {
                let bytes = name.len() + default.to_string().len();
                *room = room
                    .checked_sub(bytes)
                    .ok_or_else(|| format!("all defaults together have more than {MAX_DEFAULTS} bytes"))?;
                object.insert(name.clone(), default.clone());
            }
            if let Some(inner) = object.get_mut(name) {
                fill(property, inner, room)?;
            }
        }
    }
    if let (Some(items), Value::Array(list)) = (schema.get("items"), &mut *value) {
        for item in list {
            fill(items, item, room)?;
        }
    }
    for part in schema.get("allOf").and_then(Value::as_array).into_iter().flatten() {
        fill(part, value, room)?;
    }
    Ok(())
}

/// What is wrong and what may stand there.
fn sentence(error: &ValidationError<'_>) -> String {
    let found = shorten(error.instance());
    match error.kind() {
        ValidationErrorKind::Enum { options } => {
            format!(
                "{found} is not allowed here; allowed are {}",
                list(options.as_array().into_iter().flatten())
            )
        }
        ValidationErrorKind::Constant { expected_value } => {
            format!("{found} is not allowed here; allowed is {}", shorten(expected_value))
        }
        ValidationErrorKind::Type { kind } => {
            let wanted = match kind {
                TypeKind::Single(kind) => kind.to_string(),
                TypeKind::Multiple(kinds) => {
                    kinds.iter().map(|kind| kind.to_string()).collect::<Vec<_>>().join(" or ")
                }
            };
            format!("{found} is not of type {wanted}")
        }
        ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } => {
            alternatives(&found, context)
        }
        _ => text::start(&error.to_string(), 512).to_owned(),
    }
}

/// None of several forms fits. A list of constants is what most of them are.
fn alternatives(found: &str, branches: &[Vec<ValidationError<'static>>]) -> String {
    let firsts: Vec<&ValidationError<'static>> =
        branches.iter().filter_map(|branch| branch.first()).collect();
    let constants: Vec<&Value> = firsts
        .iter()
        .flat_map(|error| match error.kind() {
            ValidationErrorKind::Constant { expected_value } => vec![&**expected_value],
            ValidationErrorKind::Enum { options } => options.as_array().into_iter().flatten().collect(),
            _ => Vec::new(),
        })
        .collect();
    let plain = |error: &&&ValidationError<'static>| {
        matches!(error.kind(), ValidationErrorKind::Constant { .. } | ValidationErrorKind::Enum { .. })
    };
    if firsts.iter().filter(plain).count() == branches.len() {
        return format!("{found} is not allowed here; allowed are {}", list(constants.into_iter()));
    }
    let reasons: Vec<String> = firsts.iter().take(MAX_LISTED).map(|error| sentence(error)).collect();
    format!("{found} has none of the allowed forms: {}", reasons.join("; or: "))
}

fn list<'a>(mut values: impl Iterator<Item = &'a Value>) -> String {
    let mut listed: Vec<_> = values.by_ref().take(MAX_LISTED).map(shorten).collect();
    listed.extend(values.next().map(|_| "…".to_owned()));
    listed.join(", ")
}

fn shorten(value: &Value) -> String {
    let whole = value.to_string();
    let short = text::start(&whole, 64);
    if short.len() < whole.len() { format!("{short}…") } else { whole }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn settings(properties: &Value) -> Settings {
        let schema = json!({"type": "object", "additionalProperties": false, "properties": properties});
        Settings::parse(&schema.to_string()).unwrap()
    }

    fn faults(settings: &Settings, value: &Value) -> Vec<(String, String)> {
        let issues = settings.validate(value.as_object()).unwrap_err();
        issues.into_iter().map(|issue| (issue.path, issue.message)).collect()
    }

    #[test]
    fn defaults_are_filled_in_wherever_their_object_is() {
        let settings = settings(&json!({
            "jobs": {"type": "integer", "default": 4, "description": "d"},
            "auth": {"type": "object", "description": "d", "default": {}, "properties": {
                "source": {"type": "string", "default": "admin", "description": "d"}}},
            "absent": {"type": "object", "description": "d", "properties": {
                "inner": {"type": "string", "default": "x", "description": "d"}}},
            "tables": {"type": "array", "description": "d", "items": {"type": "object", "properties": {
                "schema": {"type": "string", "default": "public", "description": "d"}}}},
        }));
        let filled = settings.validate(json!({"jobs": null, "tables": [{}]}).as_object());
        assert!(filled.is_err(), "null is a value of the user's, not an absence");
        let filled = settings.validate(json!({"tables": [{}]}).as_object()).unwrap();
        let expected = json!({"jobs": 4, "auth": {"source": "admin"}, "tables": [{"schema": "public"}]});
        assert_eq!(Value::Object(filled), expected);
    }

    #[test]
    fn faults_name_what_may_stand_there() {
        let settings = settings(&json!({
            "kind": {"description": "d", "oneOf": [{"const": "a"}, {"const": "b"}]},
            "size": {"description": "d", "anyOf": [{"type": "integer"}, {"enum": ["all"]}]},
            "port": {"type": ["integer", "null"], "description": "d"},
            "name": {"type": "string", "pattern": "^[a-z]+$", "description": "d"},
            "part": {"type": "object", "description": "d", "required": ["a/b"], "additionalProperties": false,
                     "properties": {"a/b": {"type": "string", "description": "d"}}},
            "list": {"type": "array", "description": "d", "items": {"type": "string"}},
        }));
        let cases = [
            (json!({"kind": "c"}), "/settings/kind", "\"c\" is not allowed here; allowed are \"a\", \"b\""),
            (
                json!({"size": "some"}),
                "/settings/size",
                "\"some\" has none of the allowed forms: \"some\" is not of type integer; or: \"some\" is not \
                 allowed here; allowed are \"all\"",
            ),
            (json!({"port": "x"}), "/settings/port", "\"x\" is not of type null or integer"),
            (json!({"name": "A"}), "/settings/name", "\"A\" does not match \"^[a-z]+$\""),
            (json!({"part": {}}), "/settings/part/a~1b", "`a/b` is required"),
            (
                json!({"part": {"a/b": "", "c": 1}}),
                "/settings/part/c",
                "`c` is not a setting here; known are `a/b`",
            ),
            (json!({"list": ["", 7]}), "/settings/list/1", "7 is not of type string"),
        ];
        for (value, path, message) in cases {
            assert_eq!(faults(&settings, &value), [(path.to_owned(), message.to_owned())]);
        }
        let long = faults(&settings, &json!({"port": "ä".repeat(500)}));
        assert!(long[0].1.len() < 150, "{long:?}");
    }

    #[test]
    fn the_number_of_issues_is_bounded() {
        let many: Map<String, Value> = (0..500).map(|n| (n.to_string(), Value::Null)).collect();
        assert_eq!(faults(&settings(&json!({})), &Value::Object(many)).len(), MAX_ISSUES);
    }

    #[test]
    fn a_schema_whose_own_defaults_break_it_is_refused() {
        let schema = |default: Value| {
            json!({"type": "object", "required": ["user"], "properties": {
                "user": {"type": "string", "description": "d"},
                "jobs": {"type": "integer", "minimum": 1, "default": default, "description": "d"}}})
            .to_string()
        };
        assert!(Settings::parse(&schema(json!(1))).is_ok());
        let why = Settings::parse(&schema(json!(0))).unwrap_err();
        assert!(why.contains("default of /jobs"), "{why}");
        let why = Settings::parse(r#"{"type": "object", "minProperties": "two"}"#).unwrap_err();
        assert!(why.contains("minProperties"), "{why}");
    }

    #[test]
    fn defaults_cannot_multiply_without_end() {
        // Ten lists of ten objects in each other.
        let mut inner = json!({"type": "string", "default": "x", "description": "d"});
        for _ in 0..10 {
            let items = json!({"type": "object", "properties": {"p": inner}});
            inner =
                json!({"type": "array", "description": "d", "default": vec![json!({}); 10], "items": items});
        }
        let schema = json!({"type": "object", "properties": {"p": inner}});
        let why = Settings::parse(&schema.to_string()).unwrap_err();
        assert!(why.contains("all defaults together have more than 65536 bytes"), "{why}");
        // The user's own list brings them out.
        let item = json!({"type": "object", "properties": {
            "p": {"type": "string", "default": "x".repeat(1000), "description": "d"}}});
        let settings = settings(&json!({"l": {"type": "array", "description": "d", "items": item}}));
        let why = faults(&settings, &json!({"l": vec![json!({}); 100]}));
        assert!(why[0].0 == "/settings" && why[0].1.contains("all defaults"), "{why:?}");
    }

    #[test]
    fn what_is_listed_is_short() {
        let many: Vec<_> = (0..5000).map(|n| n.to_string()).collect();
        let settings = settings(&json!({"kind": {"description": "d", "enum": many}}));
        let told = faults(&settings, &json!({"kind": "c"}));
        assert!(told[0].1.len() < 300 && told[0].1.ends_with(", …"), "{told:?}");
    }

    #[test]
    fn patterns_are_few_and_small() {
        let pattern = |pattern: &str| json!({"type": "string", "pattern": pattern, "description": "d"});
        let why = |properties: Value| {
            Settings::parse(&json!({"type": "object", "properties": properties}).to_string()).unwrap_err()
        };
        let large = why(json!({"a": pattern("[a-z]{1000}{1000}")}));
        assert!(large.contains("is not valid"), "{large}");
        let many: Map<_, _> = (0..65).map(|n| (format!("p{n}"), pattern("a"))).collect();
        let many = why(Value::Object(many));
        assert!(many.contains("more than 64 patterns"), "{many}");
    }

    #[test]
    fn a_pattern_that_would_backtrack_for_ever_does_not() {
        let settings = settings(&json!({
            "name": {"type": "string", "pattern": "^(a+)+$", "description": "d"}}));
        let start = std::time::Instant::now();
        faults(&settings, &json!({"name": format!("{}!", "a".repeat(50_000))}));
        assert!(start.elapsed() < std::time::Duration::from_secs(10));
    }
}
