//! Generated from `wit/`; only `export!` names it.
//! The canonical ABI needs raw memory; `unsafe_code` does not look into foreign macros.
#![expect(clippy::same_length_and_capacity, reason = "generated code")]

wit_bindgen::generate!({
    path: "../../wit",
    world: "database-plugin",
    pub_export_macro: true,
    export_macro_name: "export_component",
    default_bindings_module: "db_backup_plugin_sdk::bindings",
    additional_derives: [PartialEq, Eq],
});
