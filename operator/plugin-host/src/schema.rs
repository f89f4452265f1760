//! Makes a plugin's JSON Schema harmless before anything evaluates it: that happens in our process, outside of the
//! sandbox.
//!
//! The result is a tree: each `$ref` (only to `#/$defs/…`) is replaced by what it names. References that lead in
//! circles, to other documents, or that multiply beyond measure are refused; without them the work of a validation is
//! bounded by the size of the schema times that of the settings.

use serde_json::{Map, Value};

/// Most objects of the resolved schema.
const MAX_SCHEMAS: usize = 4096;
/// Most patterns of the resolved schema.
const MAX_PATTERNS: usize = 64;
/// Deepest nesting of schemas.
const MAX_DEPTH: usize = 32;
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// Keywords whose value is a schema, a list of schemas, or a map from names to schemas.
const ONE: [&str; 11] = [
    "additionalProperties",
    "contains",
    "else",
    "if",
    "items",
    "not",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
    "contentSchema",
];
const MANY: [&str; 4] = ["allOf", "anyOf", "oneOf", "prefixItems"];
const NAMED: [&str; 2] = ["dependentSchemas", "properties"];
/// Keywords that only speak to humans: beside a `$ref` they win over those of its target.
const ANNOTATIONS: [&str; 5] = ["default", "deprecated", "description", "examples", "title"];

/// Reads and resolves a schema of settings.
///
/// # Errors
/// A sentence with the JSON pointer of what is wrong.
pub(crate) fn resolve(text: &str) -> Result<Value, String> {
    let schema: Value = serde_json::from_str(text).map_err(|error| format!("is not JSON: {error}"))?;
    let Value::Object(root) = &schema else { return Err("must be a JSON object".to_owned()) };
    match root.get("$schema") {
        None => {}
        Some(Value::String(dialect)) if dialect.trim_end_matches('#') == DIALECT => {}
        Some(other) => return Err(format!("/$schema is {other}, only {DIALECT:?} is known")),
    }
    if root.get("type") != Some(&Value::from("object")) {
        return Err("/type must be \"object\": settings are an object".to_owned());
    }
    let mut resolver = Resolver {
        definitions: root.get("$defs"),
        within: Vec::new(),
        left: MAX_SCHEMAS,
        patterns: MAX_PATTERNS,
        depth: 0,
    };
    resolver.schema(&schema, "")
}

struct Resolver<'a> {
    definitions: Option<&'a Value>,
    /// Names of the definitions that are being resolved.
    within: Vec<&'a str>,
    /// How many more schemas the result may have.
    left: usize,
    /// How many more patterns it may have.
    patterns: usize,
    depth: usize,
}

impl<'a> Resolver<'a> {
    fn schema(&mut self, schema: &'a Value, at: &str) -> Result<Value, String> {
        self.left = self.left.checked_sub(1).ok_or_else(|| {
            format!("{at} goes beyond {MAX_SCHEMAS} schemas, counting every use of a definition")
        })?;
        if self.depth == MAX_DEPTH {
            return Err(format!("{at} is nested too deeply"));
        }
        self.depth += 1;
        let resolved = self.members(schema, at)?;
        self.depth -= 1;
        Ok(resolved)
    }

    fn members(&mut self, schema: &'a Value, at: &str) -> Result<Value, String> {
        let object = match schema {
            Value::Bool(_) => return Ok(schema.clone()),
            Value::Object(object) => object,
            _ => return Err(format!("{at} must be a schema: an object, true or false")),
        };
        let mut resolved = Map::new();
        for (keyword, value) in object {
            let at = format!("{at}/{}", escape(keyword));
            let value = match keyword.as_str() {
                "$ref" | "$defs" | "$schema" | "$comment" => continue,
                // `definitions` and `dependencies` are of older drafts; some validators still follow them.
                "$id" | "$anchor" | "$dynamicAnchor" | "$dynamicRef" | "$recursiveRef"
                | "$recursiveAnchor" | "$vocabulary" | "definitions" | "dependencies" => {
                    return Err(format!("{at} is not supported; only \"$ref\": \"#/$defs/…\" is"));
                }
                "pattern" => {
                    self.pattern(1)?;
                    value.clone()
                }
                "patternProperties" => {
                    self.pattern(value.as_object().map_or(0, Map::len))?;
                    self.named(value, &at, false)?
                }
                one if ONE.contains(&one) => self.schema(value, &at)?,
                many if MANY.contains(&many) => self.many(value, &at)?,
                named if NAMED.contains(&named) => self.named(value, &at, named == "properties")?,
                _ => value.clone(),
            };
            resolved.insert(keyword.clone(), value);
        }
        match object.get("$ref") {
            Some(reference) => merge(self.definition(reference, at)?, resolved, at),
            None => Ok(Value::Object(resolved)),
        }
    }

    fn pattern(&mut self, count: usize) -> Result<(), String> {
        self.patterns = self.patterns.checked_sub(count).ok_or_else(|| {
            format!("has more than {MAX_PATTERNS} patterns, counting every use of a definition")
        })?;
        Ok(())
    }

    fn many(&mut self, value: &'a Value, at: &str) -> Result<Value, String> {
        let Value::Array(items) = value else { return Err(format!("{at} must be a list of schemas")) };
        items.iter().enumerate().map(|(index, item)| self.schema(item, &format!("{at}/{index}"))).collect()
    }

    fn named(&mut self, value: &'a Value, at: &str, settings: bool) -> Result<Value, String> {
        let Value::Object(items) = value else { return Err(format!("{at} must be an object of schemas")) };
        let mut resolved = Map::new();
        for (name, item) in items {
            let at = format!("{at}/{}", escape(name));
            let item = self.schema(item, &at)?;
            if settings && item.get("description").and_then(Value::as_str).is_none_or(str::is_empty) {
                return Err(format!("{at} has no description: users read it"));
            }
            resolved.insert(name.clone(), item);
        }
        Ok(Value::Object(resolved))
    }

    fn definition(&mut self, reference: &'a Value, at: &str) -> Result<Value, String> {
        let name = reference.as_str().and_then(|text| text.strip_prefix("#/$defs/")).ok_or_else(|| {
            format!("{at}/$ref is {reference}: only \"#/$defs/…\" is followed, never another document")
        })?;
        if self.within.contains(&name) {
            return Err(format!("{at}/$ref leads in a circle through `{name}`"));
        }
        let target = self
            .definitions
            .and_then(|definitions| definitions.get(name.replace("~1", "/").replace("~0", "~")))
            .ok_or_else(|| format!("{at}/$ref names `{name}`, which is not in /$defs"))?;
        self.within.push(name);
        let resolved = self.schema(target, &format!("/$defs/{name}"))?;
        self.within.pop();
        Ok(resolved)
    }
}

/// A definition together with the keywords beside the reference to it.
fn merge(definition: Value, beside: Map<String, Value>, at: &str) -> Result<Value, String> {
    if beside.is_empty() {
        return Ok(definition);
    }
    let Value::Object(mut merged) = definition else {
        return Err(format!("{at}/$ref names true or false and has keywords beside it"));
    };
    for (keyword, value) in beside {
        if merged.contains_key(&keyword) && !ANNOTATIONS.contains(&keyword.as_str()) {
            return Err(format!(
                "{at}/{keyword} stands beside a $ref whose target has it too: use \"allOf\""
            ));
        }
        merged.insert(keyword, value);
    }
    Ok(Value::Object(merged))
}

/// A name as part of a JSON pointer (RFC 6901).
pub(crate) fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn references_become_a_tree() {
        let schema = json!({
            "$schema": DIALECT,
            "type": "object",
            "properties": {
                "a": {"$ref": "#/$defs/size", "description": "first", "default": 3},
                "b": {"type": "array", "description": "second", "items": {"$ref": "#/$defs/size"}},
                "c": {"enum": [{"$ref": "data, no reference"}], "description": "third"},
                "$ref": {"type": "string", "description": "a setting of that name"},
            },
            "$defs": {"size": {"type": "integer", "description": "a size"}},
        });
        let expected = json!({
            "type": "object",
            "properties": {
                "a": {"type": "integer", "description": "first", "default": 3},
                "b": {"type": "array", "description": "second",
                      "items": {"type": "integer", "description": "a size"}},
                "c": {"enum": [{"$ref": "data, no reference"}], "description": "third"},
                "$ref": {"type": "string", "description": "a setting of that name"},
            },
        });
        assert_eq!(resolve(&schema.to_string()), Ok(expected));
    }

    #[test]
    fn dangerous_schemas_are_refused() {
        let object = |key: &str, value: Value| json!({"type": "object", key: value}).to_string();
        // 2^40 schemas in forty lines.
        let mut bomb = json!({"type": "object", "$ref": "#/$defs/d0", "$defs": {"d40": {}}});
        for level in 0..40 {
            let next = json!({"$ref": format!("#/$defs/d{}", level + 1)});
            bomb["$defs"][format!("d{level}")] = json!({"allOf": [next.clone(), next]});
        }
        let mut deep = json!({});
        for _ in 0..50 {
            deep = json!({"items": deep});
        }
        let cases = [
            ("[]".to_owned(), "must be a JSON object"),
            ("{".to_owned(), "is not JSON"),
            ("{}".to_owned(), "/type must be"),
            (object("$schema", json!("http://json-schema.org/draft-07/schema#")), "/$schema is"),
            (object("$ref", json!("https://example.com/schema")), "/$ref is \"https"),
            (object("$ref", json!("file:///etc/passwd")), "/$ref is \"file"),
            (object("$ref", json!("#")), "/$ref is \"#\""),
            (object("not", json!({"$ref": "#/$defs/none"})), "/not/$ref names `none`"),
            (object("$id", json!("https://example.com/schema")), "/$id is not supported"),
            (object("not", json!({"$dynamicRef": "#x"})), "/not/$dynamicRef is not supported"),
            (object("properties", json!({"a": {"type": "string"}})), "/properties/a has no description"),
            (object("properties", json!({"a/b": 1})), "/properties/a~1b must be a schema"),
            (object("allOf", json!({})), "/allOf must be a list"),
            (
                json!({"type": "object", "$defs": {"a": {"items": {"$ref": "#/$defs/a"}}}, "$ref": "#/$defs/a"})
                    .to_string(),
                "leads in a circle",
            ),
            (
                json!({"type": "object", "not": {"$ref": "#/$defs/a", "type": "object"},
                       "$defs": {"a": {"type": "string"}}})
                .to_string(),
                "/not/type stands beside",
            ),
            (bomb.to_string(), "nested too deeply"),
            (object("items", deep), "nested too deeply"),
        ];
        for (schema, expected) in cases {
            let why = resolve(&schema).unwrap_err();
            assert!(why.contains(expected), "{why} (expected {expected})");
        }
    }

    #[test]
    fn definitions_cannot_multiply_without_end() {
        let mut bomb = json!({"type": "object", "not": {"$ref": "#/$defs/d0"}, "$defs": {"d14": {}}});
        for level in 0..14 {
            let next = json!({"$ref": format!("#/$defs/d{}", level + 1)});
            bomb["$defs"][format!("d{level}")] = json!({"allOf": [next.clone(), next]});
        }
        assert!(resolve(&bomb.to_string()).unwrap_err().contains("goes beyond 4096 schemas"));
    }
}
