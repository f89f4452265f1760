//! A plan with a value in every place of contract 0.1.

wit_bindgen::generate!({ path: "wit", world: "guest", generate_all });

use db_backup::plugin::types::*;
use exports::db_backup::plugin::{backup, descriptor, diagnose, probe};

struct Guest;
export!(Guest);

fn text(text: &str) -> Fragment {
    Fragment::Text(text.to_owned())
}

fn argument(pieces: &[&str]) -> Argument {
    Argument { pieces: pieces.iter().map(|&text| ArgumentPiece::Text(text.to_owned())).collect() }
}

fn process(argv: &[&str]) -> Process {
    Process { argv: argv.iter().map(|&word| argument(&[word])).collect(), env: vec![], files: vec![] }
}

fn variable(name: &str, value: Vec<Fragment>) -> EnvVar {
    EnvVar { name: name.to_owned(), value }
}

fn secret(encoding: Encoding) -> Fragment {
    Fragment::Secret(Secret { binding: "password".to_owned(), encoding })
}

fn issue(path: &str, reason: &str, message: &str) -> Issue {
    Issue { path: path.to_owned(), reason: reason.to_owned(), message: message.to_owned() }
}

fn check(name: &str, expectation: Expectation) -> Check {
    Check {
        name: name.to_owned(),
        process: process(&["check", name]),
        expectation,
        reason: "GrantMissing".to_owned(),
        message: "grant it".to_owned(),
    }
}

impl descriptor::Guest for Guest {
    fn describe() -> descriptor::Description {
        descriptor::Description {
            id: "museum.example.com".to_owned(),
            version: "0.1.0".to_owned(),
            summary: "An exhibit".to_owned(),
            database_types: vec!["museum".to_owned()],
            default_port: Some(4711),
            bindings: vec![descriptor::Binding {
                name: "password".to_owned(),
                required: true,
                summary: "a secret".to_owned(),
            }],
            images: vec![descriptor::Image {
                name: "client".to_owned(),
                reference: "docker.io/library/client:1".to_owned(),
                server_versions: Some(">=9, <19".to_owned()),
            }],
            settings_schema: r#"{"type":"object","properties":{"jobs":{"type":"integer","description":"How many."}}}"#
                .to_owned(),
            labels: vec![Fact { key: "made".to_owned(), value: "2026".to_owned() }],
        }
    }
}

impl backup::Guest for Guest {
    fn check(_request: Request) -> Vec<Issue> {
        vec![issue("/settings/jobs", "TooMany", "ask for fewer")]
    }

    fn plan(request: Request) -> Result<BackupPlan, Refusal> {
        let Some(connection) = &request.connection else {
            return Err(Refusal { issues: vec![issue("/connection", "ConnectionMissing", "say where it is")] });
        };
        let version = request.server.map(|server| server.version).unwrap_or_default();
        let mut dump = process(&[
            "dump",
            connection.database.as_deref().unwrap_or_default(),
            &request.settings,
            &version,
            &request.scratch_dir,
            connection.tls.ca_file.as_deref().unwrap_or_default(),
        ]);
        dump.argv.push(argument(&["--host=", &connection.host]));
        dump.env = vec![
            variable("RAW", vec![text("p:"), secret(Encoding::Raw)]),
            variable("PERCENT", vec![secret(Encoding::Percent)]),
            variable("BASE64", vec![secret(Encoding::Base64)]),
            variable("JSON", vec![secret(Encoding::JsonString)]),
        ];
        let escape = Escape {
            substitutions: vec![Substitution { character: '\u{e9}', replacement: "e'".to_owned() }],
            refuse: "\n".to_owned(),
            max: Some(64),
        };
        dump.files = vec![ConfigFile {
            name: "client.cnf".to_owned(),
            content: vec![text("password="), secret(Encoding::Escaped(escape))],
        }];
        let one = Part {
            name: "one".to_owned(),
            extension: "dump".to_owned(),
            media_type: "application/octet-stream".to_owned(),
            process: dump,
            output: Output::File("out/dump".to_owned()),
            completion: Completion {
                exit_codes: vec![0, 3],
                header: Some(vec![255, 0]),
                tail: Some(Tail { bytes: b"end".to_vec(), within: 64 }),
                verifier: Some(process(&["verify"])),
                stderr_required: Some("done".to_owned()),
                minimum_bytes: 2,
            },
            restore_command: Some("restore -d \"$TARGET_DATABASE\"".to_owned()),
        };
        let mut each = process(&["dump", "--"]);
        each.argv.push(Argument { pieces: vec![ArgumentPiece::Item] });
        each.env = vec![variable("ITEM", vec![Fragment::Item])];
        let many = PerItem {
            items: process(&["list"]),
            separator: Separator::BackslashNewline,
            each: Part {
                name: "many".to_owned(),
                extension: "tar".to_owned(),
                media_type: "application/x-tar".to_owned(),
                process: each,
                output: Output::Directory("all".to_owned()),
                completion: Completion {
                    exit_codes: vec![0],
                    header: None,
                    tail: None,
                    verifier: None,
                    stderr_required: None,
                    minimum_bytes: 1,
                },
                restore_command: None,
            },
        };
        Ok(BackupPlan {
            image: Some("client".to_owned()),
            checks: vec![
                check("zero", Expectation::ExitZero),
                check("equal", Expectation::StdoutEquals("1".to_owned())),
                check("least", Expectation::StdoutAtLeast(2)),
            ],
            parts: vec![PartSource::One(one), PartSource::PerItem(many)],
            scratch_mebibytes: Some(64),
        })
    }
}

impl probe::Guest for Guest {
    fn plan(_request: Request) -> Result<probe::ProbePlan, Refusal> {
        let queries = ["version", "size"]
            .map(|name| probe::Query { name: name.to_owned(), process: process(&["ask", name]) });
        Ok(probe::ProbePlan { image: Some("client".to_owned()), queries: queries.to_vec() })
    }

    fn read(_request: Request, answers: Vec<probe::Answer>) -> probe::Findings {
        let version = answers[0].stdout.trim().to_owned();
        probe::Findings {
            server: Some(Server { version, facts: vec![] }),
            size_mebibytes: Some(7),
            problems: vec![probe::Problem {
                reason: "GrantMissing".to_owned(),
                message: answers[1].stderr.clone(),
                hint: "grant it".to_owned(),
                blocking: answers[0].truncated,
            }],
        }
    }
}

impl diagnose::Guest for Guest {
    fn explain(failure: diagnose::Failure) -> Option<diagnose::Diagnosis> {
        Some(diagnose::Diagnosis {
            reason: "Killed".to_owned(),
            message: failure.stderr,
            hint: failure.part.unwrap_or_default(),
            retryable: failure.signal == Some(9),
        })
    }
}
