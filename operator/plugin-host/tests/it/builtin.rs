//! The contract, for every built-in plugin.

use std::collections::BTreeSet;
use std::sync::{Mutex, OnceLock};
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

/// All of them, each loaded once.
fn each(test: impl Fn(&Plugin, &str)) {
    static LOADED: OnceLock<Vec<Plugin>> = OnceLock::new();
    let loaded = LOADED.get_or_init(|| BUILT_IN.iter().map(|(package, _)| load(package)).collect());
    for (plugin, (_, database_type)) in loaded.iter().zip(BUILT_IN) {
        test(plugin, database_type);
    }
}

fn load(package: &str) -> Plugin {
    let bytes = component(package);
    let start = Instant::now();
    let plugin = host().load(&bytes, package).unwrap_or_else(|error| panic!("{package}: {error}"));
    println!("{package}: {} KiB, loaded in {:?}", bytes.len() / 1024, start.elapsed());
    plugin
}

/// Settings with which a plan can be made.
fn settings(plugin: &Plugin, database_type: &str) -> String {
    let own: Map<String, Value> = match database_type {
        "generic" => json!({"argv": ["dump", "--all"]}).as_object().unwrap().clone(),
        _ => Map::new(),
    };
    let filled = plugin.validate_settings(Some(&own)).unwrap_or_else(|issues| panic!("{issues:?}"));
    Value::Object(filled).to_string()
}

#[test]
fn the_description_is_complete_and_types_are_unique() {
    let types = Mutex::new(BTreeSet::new());
    each(|plugin, database_type| {
        let description = plugin.description();
        assert_eq!(plugin.source(), format!("{}-plugin", plugin.id()));
        assert!(description.database_types.iter().any(|served| served == database_type), "{description:?}");
        for served in &description.database_types {
            assert!(types.lock().unwrap().insert(served.clone()), "{served} is served twice");
        }
        assert!(plugin.settings_schema()["properties"].is_object());
    });
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
        for text in ["", "{", "null", "[]", r#"{"jobs":"x"}"#, r#"{"argv":[]}"#, "{\"x\":\"\u{0}\"}"] {
            let mut request = request(database_type, "orders");
            request.settings = text.into();
            // An answer of either kind; what it says is the plugin's business.
            plugin.check(&request).unwrap_or_else(|error| panic!("{database_type}, {text:?}: {error}"));
            let _ =
                plugin.plan(&request).unwrap_or_else(|error| panic!("{database_type}, {text:?}: {error}"));
        }
    });
}
