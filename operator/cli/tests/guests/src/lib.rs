//! A good plugin that has one fault: which one says a text that tests change in the compiled file. Only for the tests of
//! the conformance kit.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::time::SystemTime;

use serde_json::{Value, json};

wit_bindgen::generate!({ path: "../../../../wit", world: "complete-plugin", generate_all });

use db_backup::plugin::types::{
    Argument, ArgumentPiece, BackupPlan, Completion, Encoding, EnvVar, Fact, Fragment, Issue, Output, Part,
    PartSource, Process, Refusal, Request, Secret, Server,
};
use exports::db_backup::plugin::{backup, descriptor, diagnose, probe, restore};

struct Guest;
export!(Guest);

/// Tests write another fault over `none`.
static FAULT: [u8; 32] = *b"fault:none                      ";

/// Read at run time: the compiler must not know what it says.
fn fault() -> String {
    let bytes = unsafe { std::ptr::read_volatile(&raw const FAULT) };
    String::from_utf8_lossy(&bytes[6..]).trim_end().to_owned()
}

fn has(name: &str) -> bool {
    fault() == name
}

fn schema() -> Value {
    let mut schema = json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "tables": {"type": "array", "items": {"type": "string", "minLength": 1}, "default": [],
                       "description": "Tables.", "examples": [["orders"]]},
            "jobs": {"type": "integer", "minimum": 1, "maximum": 16, "default": 1, "description": "Jobs."},
        },
    });
    let properties = &mut schema["properties"];
    match fault().as_str() {
        "secret" => {
            properties["token"] = json!({"type": "string", "writeOnly": true, "description": "A token."})
        }
        "unreachable" => {
            properties["never"] = json!({"type": "string", "description": "Nothing is good enough."})
        }
        "untyped" => properties["any"] = json!({"description": "Anything."}),
        "open" => schema["additionalProperties"] = json!(true),
        "no-schema" => schema["type"] = json!("array"),
        _ => {}
    }
    schema
}

impl descriptor::Guest for Guest {
    fn describe() -> descriptor::Description {
        assert!(!has("describe"), "cannot say who it is");
        let binding = |name: &str| descriptor::Binding {
            name: name.to_owned(),
            required: true,
            summary: "a secret".to_owned(),
        };
        descriptor::Description {
            id: "faulty.example.com".to_owned(),
            version: if has("version") { "1" } else { "1.2.3" }.to_owned(),
            summary: "Has one fault".to_owned(),
            database_types: vec!["faulty".to_owned()],
            default_port: Some(5000),
            bindings: vec![binding("username"), binding("password")],
            images: vec![descriptor::Image {
                name: "1".to_owned(),
                reference: "docker.io/library/faulty:1".to_owned(),
                server_versions: None,
            }],
            settings_schema: schema().to_string(),
            labels: vec![],
        }
    }
}

impl backup::Guest for Guest {
    fn check(request: Request) -> Vec<Issue> {
        match planned(&request) {
            Ok(_) if has("check-differs") => vec![issue("/settings/jobs", "check knows more than plan")],
            Ok(_) => vec![],
            Err(refusal) => refusal.issues,
        }
    }

    fn plan(request: Request) -> Result<BackupPlan, Refusal> {
        planned(&request)
    }
}

fn issue(path: &str, message: &str) -> Issue {
    Issue { path: path.to_owned(), reason: "SettingInvalid".to_owned(), message: message.to_owned() }
}

fn refuse(path: &str, message: &str) -> Result<BackupPlan, Refusal> {
    Err(Refusal { issues: vec![issue(path, message)] })
}

fn planned(request: &Request) -> Result<BackupPlan, Refusal> {
    let settings: Value = serde_json::from_str(&request.settings).unwrap();
    let Some(connection) = &request.connection else { return refuse("/connection", "missing") };
    let database = connection.database.clone().unwrap_or_default();
    let jobs = settings["jobs"].as_u64().unwrap_or(1);
    let tables: Vec<&str> = settings["tables"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    if [&connection.host, &database]
        .into_iter()
        .chain(&tables.iter().map(|t| t.to_string()).collect::<Vec<_>>())
        .any(|text| text.contains('\0'))
        && !has("nul")
    {
        return refuse("/settings/tables", "must not contain a NUL character");
    }
    match fault().as_str() {
        "refuse" => return refuse("/connection/host", "not this one"),
        "panic" if !database.is_ascii() => panic!("only ASCII"),
        "unreachable" if settings.get("never").is_some() => return refuse("/settings/never", "not this one"),
        "pointer" if jobs == 16 => return refuse("/setings/jobs", "too many"),
        _ => {}
    }
    let mut argv = vec!["dump".to_owned(), format!("--host={}", connection.host), format!("--jobs={jobs}")];
    argv.extend(tables.iter().map(|table| format!("--table={table}")));
    match fault().as_str() {
        "shell" => argv = vec!["/bin/sh".to_owned(), "-c".to_owned(), format!("dump '{database}'")],
        "query" => argv.push(format!("SELECT * FROM {database}")),
        "loose" => argv.push(database.clone()),
        _ if !database.is_empty() => argv.extend(["--".to_owned(), database.clone()]),
        _ => {}
    }
    let text = |text: String| vec![Fragment::Text(text)];
    let env = |name: &str, value| EnvVar { name: name.to_owned(), value };
    let secret = |binding: &str| {
        vec![Fragment::Secret(Secret { binding: binding.to_owned(), encoding: Encoding::Raw })]
    };
    let mut environment = vec![env("DB_USER", secret("username")), env("DB_PASSWORD", secret("password"))];
    match fault().as_str() {
        "random" => environment.push(env("X", text(RandomState::new().hash_one("x").to_string()))),
        "clock" => environment.push(env("X", text(format!("{:?}", SystemTime::now())))),
        "order" => {
            let at = |name: &str| request.settings.find(name);
            environment.push(env("X", text((at("jobs") < at("tables")).to_string())));
        }
        "facts" => environment.push(env("X", text(request.facts.len().to_string()))),
        "server-facts" => {
            let facts = request.server.as_ref().map_or(0, |server| server.facts.len());
            environment.push(env("X", text(facts.to_string())));
        }
        "secret" => {
            environment.push(env("X", text(settings["token"].as_str().unwrap_or_default().to_owned())))
        }
        "environment" => environment.push(env("X", text(format!("name of {database}")))),
        "binding" => environment.push(env("X", secret("token"))),
        _ => {}
    }
    let name = if has("police") { "Not A Name" } else { "database" };
    let restore =
        if has("restore") { format!("restore {database}") } else { "restore \"$TARGET\"".to_owned() };
    Ok(plan(name, argv, environment, restore))
}

fn process(argv: Vec<String>, env: Vec<EnvVar>) -> Process {
    let argument = |word| Argument { pieces: vec![ArgumentPiece::Text(word)] };
    Process { argv: argv.into_iter().map(argument).collect(), env, files: vec![] }
}

fn plan(name: &str, argv: Vec<String>, env: Vec<EnvVar>, restore: String) -> BackupPlan {
    BackupPlan {
        image: Some("1".to_owned()),
        checks: vec![],
        parts: vec![PartSource::One(Part {
            name: name.to_owned(),
            extension: "dump".to_owned(),
            media_type: "application/octet-stream".to_owned(),
            process: process(argv, env),
            output: Output::Stdout,
            completion: Completion {
                exit_codes: vec![0],
                header: None,
                tail: None,
                verifier: None,
                stderr_required: None,
                minimum_bytes: 1,
            },
            restore_command: Some(restore),
        })],
        scratch_mebibytes: None,
    }
}

impl probe::Guest for Guest {
    fn plan(_: Request) -> Result<probe::ProbePlan, Refusal> {
        let query = |name: &str| probe::Query {
            name: name.to_owned(),
            process: process(vec!["ask".to_owned(), "version".to_owned()], vec![]),
        };
        let queries = if has("probe-twice") { vec![query("a"), query("a")] } else { vec![query("a")] };
        Ok(probe::ProbePlan { image: Some("1".to_owned()), queries })
    }

    fn read(_: Request, answers: Vec<probe::Answer>) -> probe::Findings {
        let good = answers.iter().find(|answer| answer.exit_code == Some(0));
        let server = good.map(|answer| Server { version: answer.stdout.trim().to_owned(), facts: vec![] });
        let problem = probe::Problem {
            reason: "ServerUnreachable".to_owned(),
            message: "the server did not answer".to_owned(),
            hint: String::new(),
            blocking: true,
        };
        let silent = good.is_some() || has("probe-silent");
        probe::Findings {
            server,
            size_mebibytes: None,
            problems: if silent { vec![] } else { vec![problem] },
        }
    }
}

impl diagnose::Guest for Guest {
    fn explain(failure: diagnose::Failure) -> Option<diagnose::Diagnosis> {
        assert!(!(has("diagnose") && failure.stderr.contains('\0')), "cannot read this");
        let _: &[Fact] = &failure.facts;
        None
    }
}

impl restore::Guest for Guest {
    fn plan(_: restore::RestoreRequest) -> Result<restore::RestorePlan, Refusal> {
        let mut load = process(vec!["load".to_owned()], vec![]);
        if has("restore-loose") {
            load.argv.push(Argument { pieces: vec![ArgumentPiece::Item] });
        }
        let part = if has("restore-silent") { "other" } else { "database" };
        Ok(restore::RestorePlan {
            image: Some("1".to_owned()),
            existing: None,
            parts: vec![restore::PartRestore {
                part: part.to_owned(),
                required: true,
                contents: None,
                signs: None,
                create: vec![],
                clear: vec![],
                load: restore::Load {
                    process: load,
                    input: restore::Input::Stdin,
                    effect: restore::Effect::Gradual,
                    exit_codes: vec![0],
                    stderr_required: vec![],
                },
                finish: vec![],
            }],
            skipped: vec![],
            scratch_mebibytes: None,
        })
    }
}
