//! The contract, for every built-in plugin.

use std::collections::BTreeSet;
use std::time::Instant;

use dbbackup_plugin_host::Plugin;
use serde_json::{Map, Value, json};

use crate::support::{component, host, request};

/// Package and one of its types.
const BUILT_IN: [(&str, &str); 4] = [
    ("postgres-plugin", "postgres"),
    ("mysql-plugin", "mysql"),
    ("mongodb-plugin", "mongodb"),
    ("generic-plugin", "generic"),
];

fn each(test: impl Fn(&Plugin, &str)) {
    for (package, database_type) in BUILT_IN {
        let bytes = component(package);
        let start = Instant::now();
        let plugin = host().load(&bytes, package).unwrap_or_else(|error| panic!("{package}: {error}"));
        println!("{package}: {} KiB, loaded in {:?}", bytes.len() / 1024, start.elapsed());
        test(&plugin, database_type);
    }
}

/// Settings with which a plan can be made.
fn settings(plugin: &Plugin, database_type: &str) -> String {
    let own: Map<String, Value> = match database_type {
        "generic" => json!({"command": ["dump", "--all"]}).as_object().unwrap().clone(),
        _ => Map::new(),
    };
    let filled = plugin.validate_settings(Some(&own)).unwrap_or_else(|issues| panic!("{issues:?}"));
    Value::Object(filled).to_string()
}

#[test]
fn the_description_is_complete_and_types_are_unique() {
    let mut types = BTreeSet::new();
    for (package, database_type) in BUILT_IN {
        let plugin = host().load(&component(package), package).unwrap_or_else(|error| panic!("{error}"));
        let description = plugin.description();
        assert_eq!(package, format!("{}-plugin", plugin.id()));
        assert!(description.database_types.iter().any(|served| served == database_type), "{description:?}");
        for served in &description.database_types {
            assert!(types.insert(served.clone()), "{served} is served twice");
        }
        assert!(plugin.settings_schema()["properties"].is_object());
    }
}

#[test]
fn equal_requests_get_equal_plans() {
    each(|plugin, database_type| {
        let mut request = request(database_type, "orders");
        request.settings = settings(plugin, database_type);
        assert_eq!(plugin.check(&request).unwrap(), [], "{database_type}");
        let plan = plugin.plan(&request).unwrap().unwrap_or_else(|issues| panic!("{issues:?}"));
        let start = Instant::now();
        let again = plugin.plan(&request).unwrap().unwrap();
        println!("{database_type}: planned in {:?}", start.elapsed());
        assert_eq!(serde_json::to_vec(&plan).unwrap(), serde_json::to_vec(&again).unwrap());
        assert!(!plan.parts.is_empty());
        if let Some(image) = &plan.image {
            assert!(plugin.description().images.iter().any(|known| known.name == *image), "{image}");
        }
    });
}

#[test]
fn settings_that_nobody_knows_are_refused_with_a_pointer() {
    each(|plugin, _| {
        let unknown = json!({"noSuchSetting": 1}).as_object().unwrap().clone();
        let issues = plugin.validate_settings(Some(&unknown)).unwrap_err();
        assert!(issues.iter().any(|issue| issue.path == "/settings/noSuchSetting"), "{issues:?}");
    });
}

#[test]
fn hostile_settings_never_crash_a_plugin() {
    each(|plugin, database_type| {
        for text in ["", "{", "null", "[]", r#"{"jobs":"x"}"#, r#"{"command":[]}"#, "{\"x\":\"\u{0}\"}"] {
            let mut request = request(database_type, "orders");
            request.settings = text.into();
            // An answer of either kind; what it says is the plugin's business.
            plugin.check(&request).unwrap_or_else(|error| panic!("{database_type}, {text:?}: {error}"));
            let _ =
                plugin.plan(&request).unwrap_or_else(|error| panic!("{database_type}, {text:?}: {error}"));
        }
    });
}
