//! A plugin that does on demand what no plugin should: the request's name, or a failure's phase, says what. Only for tests.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::hint::black_box;
use std::io::Read;
use std::time::{Duration, Instant, SystemTime};

wit_bindgen::generate!({ path: "../../../../wit", world: "complete-plugin" });

use db_backup::plugin::host::{Level, log};
use db_backup::plugin::types::{
    Argument, ArgumentPiece, BackupPlan, Completion, Encoding, EnvVar, Escape, Fragment, Issue, Output, Part,
    PartSource, Process, Refusal, Request, Secret, Separator, Substitution,
};
use exports::db_backup::plugin::{backup, descriptor, diagnose, probe, restore};

struct Guest;
export!(Guest);

/// Tests change these in the compiled file, by others of the same length.
const ID: &str = "misbehaving-guest";
const VERSION: &str = "0.1.0-guest";
const TYPE: &str = "misbehaving-type";
/// What it does: what the request says, or always the same thing where a test put that here (dots at the end do not count).
const HABIT: &str = "@as-the-request-says";

fn habit(said: &str) -> String {
    match black_box(HABIT) {
        habit if habit.starts_with('@') => said.to_owned(),
        habit => habit.trim_end_matches('.').to_owned(),
    }
}

const SCHEMA: &str = r##"{
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "jobs": {"type": "integer", "minimum": 1, "default": 4, "description": "How many at once."},
    "format": {"enum": ["plain", "custom"], "default": "custom", "description": "How."}
  }
}"##;

impl descriptor::Guest for Guest {
    fn describe() -> descriptor::Description {
        descriptor::Description {
            id: ID.to_owned(),
            version: VERSION.to_owned(),
            summary: "Misbehaves on demand".to_owned(),
            database_types: vec![TYPE.to_owned()],
            default_port: Some(1),
            bindings: vec![descriptor::Binding {
                name: "password".to_owned(),
                required: true,
                summary: "A secret".to_owned(),
            }],
            images: vec![descriptor::Image {
                name: "client".to_owned(),
                reference: "docker.io/library/client:1".to_owned(),
                server_versions: None,
            }],
            settings_schema: SCHEMA.to_owned(),
            labels: vec![],
        }
    }
}

impl backup::Guest for Guest {
    fn check(request: Request) -> Vec<Issue> {
        match request.name.as_str() {
            "issue" => vec![issue("/settings/jobs", "TooMany", "ask for fewer")],
            "bad-pointer" => vec![issue("settings", "TooMany", "ask for fewer")],
            "bad-reason" => vec![issue("", "too many", "ask for fewer")],
            "bad-message" => vec![issue("", "TooMany", " ")],
            _ => vec![],
        }
    }

    fn plan(request: Request) -> Result<BackupPlan, Refusal> {
        let what = habit(&request.name);
        if what == "clean-for-self-check" && request.namespace != "self-check" {
            panic!("not for real objects");
        }
        let mut plan = plan(text(&what, request)?);
        odd(&what, &mut plan);
        Ok(plan)
    }
}

impl probe::Guest for Guest {
    fn plan(request: Request) -> Result<probe::ProbePlan, Refusal> {
        let process = process(text(&request.name.clone(), request)?);
        Ok(probe::ProbePlan {
            image: None,
            queries: vec![probe::Query { name: "version".to_owned(), process }],
        })
    }

    fn read(request: Request, _: Vec<probe::Answer>) -> probe::Findings {
        let message = text(&request.name.clone(), request).unwrap_or_default();
        let problem =
            probe::Problem { reason: "Odd".to_owned(), message, hint: String::new(), blocking: true };
        probe::Findings { server: None, size_mebibytes: None, problems: vec![problem] }
    }
}

impl diagnose::Guest for Guest {
    fn explain(failure: diagnose::Failure) -> Option<diagnose::Diagnosis> {
        let message = misbehave(&failure.phase)?;
        Some(diagnose::Diagnosis { reason: "Odd".to_owned(), message, hint: String::new(), retryable: false })
    }
}

impl restore::Guest for Guest {
    /// What it is told comes back in the words of a step.
    fn plan(request: restore::RestoreRequest) -> Result<restore::RestorePlan, Refusal> {
        let restore::RestoreRequest { target, databases, renames, mode, facts } = request;
        let told = format!("{databases:?} {renames:?} {mode:?} {}", facts.len());
        // Once, because it may be as large as memory is.
        let items = process(text(&target.name.clone(), target)?);
        let process = process(String::new());
        let step =
            || restore::Step { purpose: told.clone(), process: process.clone(), exit_codes: vec![0, 2] };
        let load = restore::Load {
            process: process.clone(),
            input: restore::Input::Directory("in".to_owned()),
            effect: restore::Effect::AtEnd,
            exit_codes: vec![3],
            stderr_required: vec!["done".to_owned()],
        };
        let part = restore::PartRestore {
            part: "all".to_owned(),
            required: true,
            contents: Some(process.clone()),
            signs: Some(restore::Signs {
                any_of: vec![vec![1, 2]],
                but_not_before: vec![vec![3]],
                meaning: "things".to_owned(),
                until: Some(vec![4]),
            }),
            create: vec![step()],
            clear: vec![],
            load,
            finish: vec![step(), step()],
        };
        Ok(restore::RestorePlan {
            image: None,
            existing: Some(restore::Listing { items, separator: Separator::Nul }),
            parts: vec![part],
            skipped: vec!["globals".to_owned()],
            scratch_mebibytes: Some(7),
        })
    }
}

fn text(what: &str, request: Request) -> Result<String, Refusal> {
    match what {
        "refuse" => Err(Refusal { issues: vec![issue("/connection", "NotNow", "try later")] }),
        "refuse-without-issue" => Err(Refusal { issues: vec![] }),
        what => Ok(misbehave(what).unwrap_or(request.settings)),
    }
}

/// Plans that the police has to find, and one that is in order.
fn odd(what: &str, plan: &mut BackupPlan) {
    let text = |text: String| Argument { pieces: vec![ArgumentPiece::Text(text)] };
    let Some(PartSource::One(part)) = plan.parts.first_mut() else { return };
    match what {
        "foreign-image" => plan.image = Some("evil.example.com/miner:1".to_owned()),
        "escaping-path" => part.output = Output::File("../../etc/passwd".to_owned()),
        "clean" | "clean-for-self-check" => {
            part.process = Process { argv: vec![text("dump".to_owned())], env: vec![], files: vec![] };
            part.completion.exit_codes = vec![0];
        }
        "huge-argv" => part.process.argv.extend((0..10).map(|_| text("x".repeat(1 << 20)))),
        _ => {}
    }
}

fn misbehave(what: &str) -> Option<String> {
    let text = match what {
        "spin" => loop {
            black_box(0);
        },
        "recurse" => recurse(1).to_string(),
        "allocate" => allocate(),
        "panic" => panic!("the answer is not {}", 42),
        "panic-with-a-hook" => {
            std::panic::set_hook(Box::new(|info| log(Level::Panic, &info.to_string())));
            panic!("through the hook")
        }
        "exit" => {
            eprintln!("fatal: cannot go on");
            std::process::exit(3)
        }
        "trap" => trap(),
        "not-utf-8" => unsafe { String::from_utf8_unchecked(vec![0xc3, 0x28]) },
        "garbage-pointer" => unsafe { String::from_raw_parts(0xffff_ff00_u32 as *mut u8, 4096, 4096) },
        "huge" => "x".repeat(8 << 20),
        "flood-logs" => {
            for line in 0..10_000 {
                log(Level::Info, &format!("line {line} of a flood"));
            }
            log(Level::Info, "");
            String::new()
        }
        "flood-stdout" => {
            for line in 0..10_000 {
                println!("line {line} of a flood");
            }
            panic!("after the flood")
        }
        "sleep" => {
            let start = Instant::now();
            std::thread::sleep(Duration::from_secs(3600));
            start.elapsed().as_secs().to_string()
        }
        "clock" => SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos().to_string(),
        "random" => RandomState::new().hash_one("x").to_string(),
        "surroundings" => surroundings(),
        _ => return None,
    };
    Some(text)
}

fn issue(path: &str, reason: &str, message: &str) -> Issue {
    Issue { path: path.to_owned(), reason: reason.to_owned(), message: message.to_owned() }
}

#[expect(unconditional_recursion, reason = "it is to exhaust the stack")]
fn recurse(depth: u64) -> u64 {
    black_box(recurse(black_box(depth + 1))) + depth
}

fn allocate() -> String {
    let mut all = Vec::new();
    loop {
        all.push(black_box(vec![1_u8; 1 << 20]));
    }
}

fn trap() -> String {
    #[cfg(target_arch = "wasm32")]
    core::arch::wasm32::unreachable();
    #[cfg(not(target_arch = "wasm32"))]
    String::new()
}

fn surroundings() -> String {
    let mut input = String::new();
    let read = std::io::stdin().read_to_string(&mut input);
    format!(
        "{} {} {:?} {} {}",
        std::env::vars().count(),
        std::env::args().count(),
        read.map_err(|_| ()),
        std::fs::read("/etc/passwd").is_err(),
        std::fs::write("/tmp/x", "x").is_err(),
    )
}

/// A plan with `text` and one of everything else.
fn plan(text: String) -> BackupPlan {
    let process = process(text);
    BackupPlan {
        image: Some("client".to_owned()),
        checks: vec![],
        parts: vec![PartSource::One(Part {
            name: "all".to_owned(),
            extension: "sql".to_owned(),
            media_type: "application/sql".to_owned(),
            process,
            output: Output::Stdout,
            completion: Completion {
                exit_codes: vec![0, -1],
                header: Some(b"--".to_vec()),
                tail: None,
                verifier: None,
                stderr_required: None,
                minimum_bytes: 1,
            },
            restore_command: None,
        })],
        scratch_mebibytes: None,
    }
}

/// A process with `text` and one of everything else.
fn process(text: String) -> Process {
    Process {
        argv: vec![Argument { pieces: vec![ArgumentPiece::Text("dump".to_owned()), ArgumentPiece::Item] }],
        env: vec![EnvVar {
            name: "TEXT".to_owned(),
            value: vec![
                Fragment::Text(text),
                Fragment::Secret(Secret {
                    binding: "password".to_owned(),
                    encoding: Encoding::Escaped(Escape {
                        substitutions: vec![Substitution { character: '\'', replacement: "''".to_owned() }],
                        refuse: "\0".to_owned(),
                        max: Some(64),
                    }),
                }),
            ],
        }],
        files: vec![],
    }
}
