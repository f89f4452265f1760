//! `plugin inspect`: who a plugin is.

use std::path::PathBuf;

use clap::Args;
use dbbackup_protocol::contract::{Binding, Description, Image};
use serde::Serialize;
use serde_json::Value;

use super::{Loaded, host, load, world::World};
use crate::{
    ending::{Ending, Unusable},
    output::{self, Format, table},
};

/// Its arguments.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The plugin.
    file: PathBuf,
    #[arg(long, short, value_enum, default_value_t = Format::Table)]
    output: Format,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Inspection<'a> {
    id: &'a str,
    version: &'a str,
    summary: &'a str,
    digest: &'a str,
    bytes: usize,
    database_types: &'a [String],
    default_port: Option<u16>,
    images: &'a [Image],
    bindings: &'a [Binding],
    settings_schema: &'a Value,
    exports: Vec<String>,
    imports: Vec<String>,
}

/// Carries it out.
pub(super) fn run(arguments: &Arguments) -> Result<Ending, Unusable> {
    let Loaded { plugin, bytes } = load(&host()?, &arguments.file)?;
    let World { imports, exports } = World::of(&bytes).unwrap_or_default();
    let Description {
        id,
        version,
        summary,
        database_types,
        default_port,
        bindings,
        images,
        settings_schema: _,
        labels: _,
    } = plugin.description();
    let inspection = Inspection {
        id,
        version,
        summary,
        digest: plugin.digest(),
        bytes: bytes.len(),
        database_types,
        default_port: *default_port,
        images,
        bindings,
        settings_schema: plugin.settings_schema(),
        exports,
        imports,
    };
    match arguments.output {
        Format::Json => output::print_json(&inspection)?,
        Format::Table => output::print(&text(&inspection))?,
    }
    Ok(Ending::Good)
}

fn text(inspection: &Inspection<'_>) -> String {
    let port = inspection.default_port.map_or_else(|| "none".to_owned(), |port| port.to_string());
    let head = table(&[
        row(["id", inspection.id]),
        row(["version", inspection.version]),
        row(["summary", inspection.summary]),
        row(["types", &inspection.database_types.join(", ")]),
        row(["default port", &port]),
        row(["digest", inspection.digest]),
        row(["size", &format!("{} KiB", inspection.bytes.div_ceil(1024))]),
    ]);
    let images = inspection
        .images
        .iter()
        .map(|image| row([&image.name, &image.reference, image.server_versions.as_deref().unwrap_or("any")]));
    let bindings = inspection
        .bindings
        .iter()
        .map(|binding| row([&binding.name, if binding.required { "yes" } else { "" }, &binding.summary]));
    let properties = inspection.settings_schema.get("properties").and_then(Value::as_object);
    let settings = properties.into_iter().flatten().map(|(name, schema)| setting(name, schema));
    let sections = [
        section("images", row(["NAME", "REFERENCE", "SERVER VERSIONS"]), images.collect()),
        section("secret values", row(["NAME", "REQUIRED", "SUMMARY"]), bindings.collect()),
        section("settings", row(["NAME", "TYPE", "DEFAULT", "DESCRIPTION"]), settings.collect()),
        list("exports", &inspection.exports),
        list("imports", &inspection.imports),
    ];
    format!("{head}{}", sections.concat())
}

fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_owned).to_vec()
}

fn section(title: &str, head: Vec<String>, rows: Vec<Vec<String>>) -> String {
    if rows.is_empty() {
        return format!("\n{title}: none\n");
    }
    let rows: Vec<_> = std::iter::once(head).chain(rows).collect();
    format!("\n{title}\n{}", indented(&table(&rows)))
}

fn list(title: &str, items: &[String]) -> String {
    let lines = items.join("\n");
    if items.is_empty() { format!("\n{title}: none\n") } else { format!("\n{title}\n{}", indented(&lines)) }
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect::<Vec<_>>().concat()
}

fn setting(name: &str, schema: &Value) -> Vec<String> {
    let text = |keyword: &str| schema.get(keyword).and_then(Value::as_str).unwrap_or_default();
    let default = schema.get("default").map_or_else(String::new, Value::to_string);
    row([name, &kind(schema), &default, text("description")])
}

/// The type of a setting in a word, or the values that may stand there.
fn kind(schema: &Value) -> String {
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        return values.iter().map(Value::to_string).collect::<Vec<_>>().join(" | ");
    }
    match schema.get("type") {
        Some(Value::String(array)) if array == "array" => {
            schema.get("items").map_or_else(|| "list".to_owned(), |items| format!("list of {}", kind(items)))
        }
        Some(Value::String(kind)) => kind.clone(),
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or "),
        _ => "any".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_setting_is_one_row() {
        for (schema, expected) in [
            (json!({"enum": ["a", 1], "description": "d"}), ["x", "\"a\" | 1", "", "d"]),
            (
                json!({"type": "array", "items": {"type": "string"}, "default": []}),
                ["x", "list of string", "[]", ""],
            ),
            (json!({"type": ["integer", "null"], "default": 1}), ["x", "integer or null", "1", ""]),
            (json!({}), ["x", "any", "", ""]),
        ] {
            assert_eq!(setting("x", &schema), expected);
        }
    }
}
