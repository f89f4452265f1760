//! Files that are no plugin: each has its own cause.

use dbbackup_plugin_host::{CallError, Host, Limits, LoadError, NotAComponent, Plugin};

use crate::support::{component, host, patched};

fn load(bytes: &[u8]) -> Result<Plugin, LoadError> {
    host().load(bytes, "test.wasm")
}

fn load_text(text: &str) -> Result<Plugin, LoadError> {
    load(&wat::parse_str(text).unwrap())
}

/// A component that exports both interfaces with wrong functions, and has more in it.
fn wrong_shape(core: &str, more: &str) -> String {
    format!(
        r#"(component {more}
            (core module $m (func (export "f") (result i32) i32.const 7) {core})
            (core instance $i (instantiate $m))
            (func $f (result u32) (canon lift (core func $i "f")))
            (instance $d (export "describe" (func $f)))
            (export "db-backup:plugin/descriptor@0.1.0" (instance $d))
            (instance $b (export "check" (func $f)) (export "plan" (func $f)))
            (export "db-backup:plugin/backup@0.1.0" (instance $b)))"#
    )
}

#[test]
fn what_is_no_component_is_named() {
    assert!(matches!(load(b""), Err(LoadError::NotAComponent(NotAComponent::Empty))));
    assert!(matches!(load(b"(component)"), Err(LoadError::NotAComponent(NotAComponent::NotWasm))));
    assert!(matches!(
        load_text("(module (memory 1))"),
        Err(LoadError::NotAComponent(NotAComponent::CoreModule))
    ));
}

#[test]
fn a_truncated_component_is_named_wherever_it_was_cut() {
    let whole = component("misbehaving-guest");
    for cut in [3, 7, 9, 1000, whole.len() / 2, whole.len() - 1] {
        let error = load(&whole[..cut]).unwrap_err();
        // Between two sections nothing shows that something is missing, but for the exports.
        assert!(
            matches!(error, LoadError::NotAComponent(NotAComponent::Truncated { .. })),
            "cut at {cut}: {error}"
        );
    }
}

#[test]
fn a_component_with_broken_bytes_is_not_valid() {
    let mut bytes = component("misbehaving-guest");
    let middle = bytes.len() / 3;
    bytes[middle..middle + 64].fill(0xff);
    assert!(matches!(load(&bytes), Err(LoadError::Invalid(_))));
}

#[test]
fn a_file_beyond_the_limit_is_not_looked_at() {
    let host = Host::new(Limits { file_bytes: 1000, ..Limits::default() }).unwrap();
    assert!(matches!(host.load(&[0; 1001], ""), Err(LoadError::TooLarge { max: 1000 })));
}

#[test]
fn another_world_lacks_exports() {
    let Err(LoadError::MissingExport(name)) = load_text("(component)") else { panic!() };
    assert_eq!(name, "db-backup:plugin/descriptor");
}

#[test]
fn unknown_imports_are_named_with_their_remedy() {
    let cases = [
        ("wasi:sockets/tcp@0.2.6", "--stub-wasi"),
        ("wasi:http/outgoing-handler@0.2.6", "disableFeatures"),
        ("wasi:cli/environment@0.3.0", "wasm32-wasip2"),
        ("wasi:nn/graph@0.2.0", "wasi-virt"),
        ("db-backup:plugin/secrets@0.1.0", "a newer one may"),
        ("acme:store/keys", "wac plug"),
    ];
    for (import, remedy) in cases {
        let error = load_text(&format!(r#"(component (import "{import}" (instance)))"#)).unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, LoadError::UnknownImport { .. }), "{text}");
        assert!(text.contains(import) && text.contains(remedy), "{text}");
    }
}

#[test]
fn another_version_of_the_contract_is_incompatible() {
    let import = r#"(component (import "db-backup:plugin/host@0.2.0" (instance)))"#;
    let export = r#"(component
        (core module $m (func (export "f"))) (core instance $i (instantiate $m))
        (func $f (canon lift (core func $i "f"))) (instance $d (export "describe" (func $f)))
        (export "db-backup:plugin/descriptor@0.2.0" (instance $d)))"#;
    for text in [import, export] {
        let error = load_text(text).unwrap_err();
        assert!(
            matches!(&error, LoadError::Incompatible { found, wanted, .. }
                if found == "0.2.0" && wanted == "0.1.0"),
            "{error}"
        );
    }
}

#[test]
fn interfaces_of_another_shape_are_found_at_load_time() {
    let error = load_text(&wrong_shape("", "")).unwrap_err();
    let LoadError::WrongShape { interface, why } = &error else { panic!("{error}") };
    assert_eq!(interface, "descriptor");
    assert!(why.contains("type mismatch"), "{why}");
    // One field of a record of the second interface has another name.
    let error = load(&patched(&[("minimum-bytes", "maximum-bytes")])).unwrap_err();
    let LoadError::WrongShape { interface, why } = &error else { panic!("{error}") };
    assert_eq!(interface, "backup");
    assert!(why.contains("maximum-bytes"), "{why}");
    // The same of the optional ones: found now, and not at their first use.
    for (interface, from, to) in [
        ("probe", "size-mebibytes", "size-megabytes"),
        ("diagnose", "retryable", "retriable"),
        ("restore", "existing", "existant"),
    ] {
        let error = load(&patched(&[(from, to)])).unwrap_err();
        let LoadError::WrongShape { interface: named, why } = &error else { panic!("{error}") };
        assert_eq!(named, interface);
        assert!(why.contains(to), "{why}");
    }
    let log = r#"(import "db-backup:plugin/host@0.1.0" (instance (export "log" (func))))"#;
    let error = load_text(&wrong_shape("", log)).unwrap_err();
    assert!(matches!(error, LoadError::WrongShape { .. }), "{error}");
}

#[test]
fn a_component_is_limited_from_its_first_instruction() {
    let error = load_text(&wrong_shape("(memory 2000)", "")).unwrap_err();
    assert!(matches!(error, LoadError::Describe(CallError::OutOfMemory { .. })), "{error}");
    let error = load_text(&wrong_shape("(table 200000 funcref)", "")).unwrap_err();
    assert!(matches!(error, LoadError::Describe(CallError::Limit(_))), "{error}");
    let error = load_text(&wrong_shape("(func $s (loop (br 0))) (start $s)", "")).unwrap_err();
    assert!(matches!(error, LoadError::Describe(CallError::OutOfFuel { .. })), "{error}");
    let many = format!("(core module $n) {}", "(core instance (instantiate $n))".repeat(257));
    let error = load_text(&wrong_shape("", &many)).unwrap_err();
    assert!(
        matches!(&error, LoadError::Describe(CallError::Limit(why)) if why.contains("instance")),
        "{error}"
    );
}

#[test]
fn a_description_that_cannot_be_is_refused_with_its_field() {
    let bytes = patched(&[("misbehaving-type", "misbehaving*type"), ("0.1.0-guest", "0.1.x-guest")]);
    let error = load(&bytes).unwrap_err();
    let LoadError::Description(faults) = &error else { panic!("{error}") };
    let fields: Vec<_> = faults.iter().map(|fault| fault.field.as_str()).collect();
    assert_eq!(fields, ["version", "database-types[0]"]);
}

/// What Go 1.26 and later compile to.
#[test]
fn typed_function_references_are_understood() {
    let core = "(type $t (func)) (elem declare func $g) (func $g) (func (call_ref $t (ref.func $g)))";
    let error = load_text(&wrong_shape(core, "")).unwrap_err();
    assert!(matches!(error, LoadError::WrongShape { .. }), "{error}");
}
