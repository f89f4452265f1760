//! What the SDK adds to the contract: settings, refusals, builders.

use db_backup_plugin_sdk::{
    BackupPlan, Binding, Check, Description, Expectation, Image, Part, Plugin, Process, Refusal, Request, Separator,
    Value, percent, secret, slug,
};

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    jobs: u8,
}

struct Guest;

impl Plugin for Guest {
    type Settings = Settings;

    fn describe() -> Description {
        Description::new("museum.example.com", "0.1.0", "An exhibit")
            .database_types(["museum"])
            .default_port(4711)
            .binding(Binding::required("password", "a secret"))
            .image(Image::new("client", "docker.io/library/client:1").server_versions(">=9, <19"))
            .settings_schema(
                r#"{"type":"object","properties":{"jobs":{"type":"integer","description":"How many."}}}"#,
            )
            .label("made", "2026")
    }

    fn plan(request: &Request, settings: &Settings) -> Result<BackupPlan, Refusal> {
        let connection = request.server_connection()?;
        request.require_bindings(&["password"])?;
        let named = connection.database.as_deref().unwrap_or_default();
        let dump = Process::new("dump")
            .arg(format!("--host={}", connection.host))
            .arg(format!("--jobs={}", settings.jobs))
            .args([percent(named), slug(named)])
            .env("RAW", secret("password"))
            .env("PERCENT", secret("password").percent())
            .file("client.cnf", Value::new().text("password=").secret(secret("password").json()));
        let one = Part::new("one", "dump", "application/octet-stream", dump)
            .header([255, 0])
            .tail("end", 64)
            .verifier(Process::new("verify"))
            .restore_command("restore -d \"$TARGET_DATABASE\"");
        let each = Part::new("many", "sql", "application/sql", Process::new("dump").arg("--").item_arg());
        Ok(BackupPlan::new()
            .image("client")
            .check(
                Check::new("least", Process::new("check"), Expectation::StdoutAtLeast(2))
                    .or_fail_with("GrantMissing", "grant it"),
            )
            .part(one)
            .part_per_item(Process::new("list"), Separator::BackslashNewline, each)
            .scratch_mebibytes(64))
    }
}

db_backup_plugin_sdk::export!(Guest);
