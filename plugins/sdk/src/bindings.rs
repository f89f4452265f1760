//! Generated from `wit/`; only `export!` names it.
//! The canonical ABI needs raw memory; `unsafe_code` does not look into foreign macros.
//!
//! A world for each optional interface, because a world cannot mark an export as optional: a component exports what its
//! author asked for, and nothing else.
#![expect(clippy::same_length_and_capacity, reason = "generated code")]

wit_bindgen::generate!({
    path: "../../wit",
    world: "database-plugin",
    pub_export_macro: true,
    export_macro_name: "export_component",
    default_bindings_module: "db_backup_plugin_sdk::bindings",
    additional_derives: [PartialEq, Eq],
});

pub mod with_probe {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "with-probe",
        with: { "db-backup:plugin/types@0.1.0": crate::bindings::db_backup::plugin::types },
        pub_export_macro: true,
        export_macro_name: "export_probe",
        default_bindings_module: "db_backup_plugin_sdk::bindings::with_probe",
        additional_derives: [PartialEq, Eq],
    });
}

pub mod with_restore {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "with-restore",
        with: { "db-backup:plugin/types@0.1.0": crate::bindings::db_backup::plugin::types },
        pub_export_macro: true,
        export_macro_name: "export_restore",
        default_bindings_module: "db_backup_plugin_sdk::bindings::with_restore",
        additional_derives: [PartialEq, Eq],
    });
}

pub mod with_diagnose {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "with-diagnose",
        with: { "db-backup:plugin/types@0.1.0": crate::bindings::db_backup::plugin::types },
        pub_export_macro: true,
        export_macro_name: "export_diagnose",
        default_bindings_module: "db_backup_plugin_sdk::bindings::with_diagnose",
        additional_derives: [PartialEq, Eq],
    });
}
