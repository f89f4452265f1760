//! What a setting's schema marks as secret never comes back. Secrets do not belong into settings at all: they are
//! bindings, whose values no plugin sees.

use dbbackup_protocol::plan::BackupPlan;
use serde_json::Value;

use super::{
    examiner::{Answer, Examiner},
    report::{Id, Report},
    schema,
    settings::Planned,
};

/// Holds every character that an encoding would change.
const SECRET: &str = "s3cr3t/\"%ä";

/// Gives a secret to every setting that is marked so, and looks for it in the plans.
pub(super) fn examine(examiner: &mut Examiner<'_>, planned: &[Planned], report: &mut Report) {
    let plugin = examiner.plugin;
    let marked: Vec<_> = schema::properties(plugin.settings_schema())
        .filter(|(_, property)| is_secret(property))
        .map(|(name, _)| name.clone())
        .collect();
    let mut faults = Vec::new();
    for name in &marked {
        for Planned { seed, settings, .. } in planned {
            let mut settings = settings.clone();
            settings.insert(name.clone(), SECRET.into());
            let Ok(request) = seed.request(plugin, &settings) else { continue };
            let about = format!("{}, /settings/{name} = {SECRET:?}", seed.about);
            if let Answer::Plan(plan) = examiner.ask(&request, &about)
                && shows(&plan, SECRET)
            {
                faults.push(format!(
                    "{about}: its value is in the plan, which everybody may read who may read Jobs; make it a secret \
                     value (binding) of the descriptor"
                ));
                break;
            }
        }
    }
    let message = match marked.as_slice() {
        [] => "no setting is marked secret (writeOnly); secret values are bindings".to_owned(),
        names => format!("never repeated: {}", names.join(", ")),
    };
    report.settle(Id::Secrets, faults, message);
}

/// In JSON Schema's words, or in those of OpenAPI.
fn is_secret(property: &Value) -> bool {
    property.get("writeOnly") == Some(&Value::Bool(true))
        || property.get("format") == Some(&"password".into())
}

/// Whether a text is in a plan, as it is or in one of the usual encodings.
fn shows(plan: &BackupPlan, secret: &str) -> bool {
    use base64::Engine;
    let json = serde_json::to_string(plan).unwrap_or_default();
    let hex = secret.bytes().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
    let percent = secret
        .bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect::<Vec<_>>()
        .concat();
    let quoted = serde_json::to_string(secret).unwrap_or_default();
    let twice = serde_json::to_string(&quoted).unwrap_or_default();
    let encoded = [
        quoted.trim_matches('"').to_owned(),
        twice.trim_matches('"').to_owned(),
        base64::engine::general_purpose::STANDARD.encode(secret).trim_end_matches('=').to_owned(),
        hex.to_uppercase(),
        hex,
        percent.to_lowercase(),
        percent,
    ];
    encoded.iter().any(|text| json.contains(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_found_however_it_is_written() {
        use base64::Engine;
        let plan = |text: &str| BackupPlan {
            image: Some(format!("x{text}y")),
            checks: vec![],
            parts: vec![],
            scratch_mebibytes: None,
        };
        for text in [
            SECRET,
            "s3cr3t%2F%22%25%C3%A4",
            "s3cr3t%2f%22%25%c3%a4",
            "7333637233742f2225c3a4",
            &format!("{SECRET:?}"),
        ] {
            assert!(shows(&plan(text), SECRET), "{text}");
        }
        assert!(shows(&plan(&base64::engine::general_purpose::STANDARD.encode(SECRET)), SECRET));
        assert!(!shows(&plan("s3cr3"), SECRET));
    }
}
