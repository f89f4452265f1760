use dbbackup_protocol::{
    contract::{Binding, Image},
    optional::Query,
    plan::{
        Argument, ArgumentPiece, ConfigFile, Encoding, EnvVar, Escape, Fragment, Process, SecretRef,
        Separator, Substitution, Tail,
    },
};

use super::*;

fn description() -> Description {
    let binding = |name: &str| Binding { name: name.into(), required: false, summary: String::new() };
    Description {
        id: "postgres".into(),
        version: "1.0.0".into(),
        summary: String::new(),
        database_types: vec![],
        default_port: None,
        bindings: vec![binding("password"), binding("passphrase")],
        images: vec![Image { name: "client".into(), reference: "postgres:18".into(), server_versions: None }],
        settings_schema: "{}".into(),
        labels: vec![],
    }
}

fn text(text: &str) -> Argument {
    Argument { pieces: vec![ArgumentPiece::Text(text.into())] }
}

fn item() -> Argument {
    Argument { pieces: vec![ArgumentPiece::Item] }
}

fn secret(binding: &str, encoding: Encoding) -> Fragment {
    Fragment::Secret(SecretRef { binding: binding.into(), encoding })
}

fn escape() -> Escape {
    let substitution = Substitution { character: '"', replacement: "\\\"".into() };
    Escape { substitutions: vec![substitution], refuse: "\n\0".into(), max: Some(1000) }
}

fn process(argv: Vec<Argument>) -> Process {
    Process {
        argv,
        env: vec![EnvVar { name: "PGPASSWORD".into(), value: vec![secret("password", Encoding::Raw)] }],
        files: vec![ConfigFile {
            name: "my.cnf".into(),
            content: vec![
                Fragment::Text("password=\"".into()),
                secret("password", Encoding::Escaped(escape())),
                Fragment::Text("\"\n".into()),
            ],
        }],
    }
}

fn part(name: &str, argv: Vec<Argument>) -> Part {
    Part {
        name: name.into(),
        extension: "sql".into(),
        media_type: "application/sql".into(),
        process: process(argv),
        output: Output::File("out/dump.sql".into()),
        completion: Completion {
            exit_codes: vec![0],
            header: Some(b"-- ".into()),
            tail: Some(Tail { bytes: b"complete".into(), within: 1000 }),
            verifier: Some(process(vec![text("/usr/bin/verify")])),
            stderr_required: Some("done".into()),
            minimum_bytes: 1,
        },
        restore_command: Some("psql -v ON_ERROR_STOP=1 -d \"$TARGET\"".into()),
    }
}

/// Everything that a plan may have.
fn plan() -> BackupPlan {
    let mut each = part("database", vec![text("dump"), text("--"), item()]);
    each.process.env.push(EnvVar { name: "PGDATABASE".into(), value: vec![Fragment::Item] });
    BackupPlan {
        image: Some("client".into()),
        checks: vec![Check {
            name: "grants".into(),
            process: process(vec![text("mysql"), text("-e"), text("SELECT 1")]),
            expectation: Expectation::StdoutEquals("1".into()),
            reason: "GrantMissing".into(),
            message: "the user needs TRIGGER: GRANT TRIGGER ON *.* TO …".into(),
        }],
        parts: vec![
            PartSource::One(part("globals", vec![text("pg_dumpall"), text("--globals-only")])),
            PartSource::PerItem(PerItem {
                items: process(vec![text("list")]),
                separator: Separator::Nul,
                each,
            }),
        ],
        scratch_mebibytes: Some(1024),
    }
}

fn found(plan: &BackupPlan) -> Vec<(Rule, String)> {
    let supplied = ["password".to_owned()];
    let violations = check(plan, &description(), &supplied);
    violations.into_iter().map(|violation| (violation.rule, violation.pointer)).collect()
}

fn one(plan: &mut BackupPlan) -> &mut Part {
    match &mut plan.parts[0] {
        PartSource::One(part) => part,
        PartSource::PerItem(_) => panic!("the first part is known beforehand"),
    }
}

fn each(plan: &mut BackupPlan) -> &mut Part {
    match &mut plan.parts[1] {
        PartSource::PerItem(per_item) => &mut per_item.each,
        PartSource::One(_) => panic!("the second part is per item"),
    }
}

#[test]
fn a_good_plan_passes() {
    assert_eq!(found(&plan()), []);
}

type Spoil = fn(&mut BackupPlan);

/// Rule, pointer, and how to break exactly that.
const CASES: &[(Rule, &str, Spoil)] = &[
    (Rule::PlanSize, "", |plan| one(plan).process.argv.extend((0..60).map(|_| text(&"x".repeat(1000))))),
    (Rule::Image, "/image", |plan| plan.image = Some("other".into())),
    (Rule::Scratch, "/scratch_mebibytes", |plan| plan.scratch_mebibytes = Some(u32::MAX)),
    (Rule::NoPart, "/parts", |plan| plan.parts.clear()),
    (Rule::Count, "/parts/0/one/process/argv", |plan| one(plan).process.argv = vec![text("x"); 257]),
    (Rule::CheckName, "/checks/0/name", |plan| plan.checks[0].name = "a b".into()),
    (Rule::CheckReason, "/checks/0/reason", |plan| plan.checks[0].reason = "grantMissing".into()),
    (Rule::CheckReason, "/checks/0/reason", |plan| plan.checks[0].reason = "A".repeat(65)),
    (Rule::Text, "/checks/0/message", |plan| plan.checks[0].message = " ".into()),
    (Rule::Text, "/parts/0/one/restore_command", |plan| one(plan).restore_command = Some("a\nb".into())),
    (Rule::Text, "/parts/0/one/restore_command", |plan| one(plan).restore_command = Some("a".repeat(1025))),
    (Rule::Nul, "/parts/0/one/process/argv/1/pieces/0", |plan| one(plan).process.argv[1] = text("a\0b")),
    (Rule::Nul, "/parts/0/one/process/files/0/content/0", |plan| {
        one(plan).process.files[0].content[0] = Fragment::Text("\0".into());
    }),
    (Rule::Nul, "/checks/0/expectation", |plan| {
        plan.checks[0].expectation = Expectation::StdoutEquals("\0".into());
    }),
    (Rule::PartName, "/parts/0/one/name", |plan| one(plan).name = "../x".into()),
    (Rule::PartName, "/parts/0/one/name", |plan| one(plan).name = "a".repeat(41)),
    (Rule::PartName, "/parts/0/one/name", |plan| one(plan).name = String::new()),
    (Rule::PartNameTwice, "/parts/1/per-item/each/name", |plan| each(plan).name = "globals".into()),
    (Rule::Extension, "/parts/0/one/extension", |plan| one(plan).extension = "..".into()),
    (Rule::Extension, "/parts/0/one/extension", |plan| one(plan).extension = "a/b".into()),
    (Rule::MediaType, "/parts/0/one/media_type", |plan| one(plan).media_type = "text".into()),
    (Rule::OutputPath, "/parts/0/one/output", |plan| one(plan).output = Output::File("/etc/passwd".into())),
    (Rule::OutputPath, "/parts/0/one/output", |plan| {
        one(plan).output = Output::Directory("a/../../b".into());
    }),
    (Rule::OutputPath, "/parts/0/one/output", |plan| one(plan).output = Output::Directory(String::new())),
    (Rule::ExitCodes, "/parts/0/one/completion/exit_codes", |plan| one(plan).completion.exit_codes.clear()),
    (Rule::ExitCodes, "/parts/0/one/completion/exit_codes", |plan| one(plan).completion.exit_codes.push(-9)),
    (Rule::MinimumBytes, "/parts/0/one/completion/minimum_bytes", |plan| {
        one(plan).completion.minimum_bytes = 0;
    }),
    (Rule::Mark, "/parts/0/one/completion/header", |plan| one(plan).completion.header = Some(vec![])),
    (Rule::Mark, "/parts/0/one/completion/stderr_required", |plan| {
        one(plan).completion.stderr_required = Some(String::new());
    }),
    (Rule::Mark, "/parts/0/one/completion/header", |plan| one(plan).completion.header = Some(vec![0; 4097])),
    (Rule::TailWindow, "/parts/0/one/completion/tail/within", |plan| {
        one(plan).completion.tail.as_mut().unwrap().within = 65_537;
    }),
    (Rule::TailWindow, "/parts/0/one/completion/tail/within", |plan| {
        one(plan).completion.tail.as_mut().unwrap().within = 7;
    }),
    (Rule::Program, "/parts/0/one/process/argv/0", |plan| one(plan).process.argv.clear()),
    (Rule::Program, "/parts/0/one/process/argv/0", |plan| one(plan).process.argv[0] = text("bin/pg_dump")),
    (Rule::Program, "/parts/0/one/process/argv/0", |plan| one(plan).process.argv[0] = text("/bin/../x")),
    (Rule::Program, "/parts/0/one/process/argv/0", |plan| one(plan).process.argv[0] = text("")),
    (Rule::ItemPosition, "/parts/1/per-item/each/process/argv/1/pieces/0", |plan| {
        each(plan).process.argv.swap(1, 2);
    }),
    (Rule::ItemPosition, "/parts/1/per-item/each/process/argv/2/pieces/0", |plan| {
        each(plan).process.argv[1] = text("-- ");
    }),
    (Rule::ItemPosition, "/parts/1/per-item/each/completion/verifier/argv/1/pieces/0", |plan| {
        each(plan).completion.verifier.as_mut().unwrap().argv.push(item());
    }),
    (Rule::ItemScope, "/parts/0/one/process/argv/3/pieces/0", |plan| {
        one(plan).process.argv.extend([text("--"), item()]);
    }),
    (Rule::ItemScope, "/parts/0/one/process/env/0/value/0", |plan| {
        one(plan).process.env[0].value[0] = Fragment::Item;
    }),
    (Rule::EnvName, "/parts/0/one/process/env/0/name", |plan| one(plan).process.env[0].name = "PATH".into()),
    (Rule::EnvName, "/parts/0/one/process/env/0/name", |plan| {
        one(plan).process.env[0].name = "LD_PRELOAD".into();
    }),
    (Rule::EnvName, "/parts/0/one/process/env/0/name", |plan| one(plan).process.env[0].name = "A=B".into()),
    (Rule::EnvName, "/parts/0/one/process/env/0/name", |plan| one(plan).process.env[0].name = "1A".into()),
    (Rule::EnvNameTwice, "/parts/1/per-item/each/process/env/1/name", |plan| {
        each(plan).process.env[1].name = "PGPASSWORD".into();
    }),
    (Rule::FileName, "/parts/0/one/process/files/0/name", |plan| {
        one(plan).process.files[0].name = "../my.cnf".into();
    }),
    (Rule::FileName, "/parts/0/one/process/files/0/name", |plan| {
        one(plan).process.files[0].name = "..".into();
    }),
    (Rule::FileNameTwice, "/parts/0/one/process/files/1/name", |plan| {
        let again = one(plan).process.files[0].clone();
        one(plan).process.files.push(again);
    }),
    (Rule::BindingDeclared, "/parts/0/one/process/env/0/value/0/secret/binding", |plan| {
        one(plan).process.env[0].value[0] = secret("token", Encoding::Raw);
    }),
    (Rule::BindingSupplied, "/parts/0/one/process/env/0/value/0/secret/binding", |plan| {
        one(plan).process.env[0].value[0] = secret("passphrase", Encoding::Raw);
    }),
    (Rule::Encoding, "/parts/0/one/process/env/0/value/0/secret/encoding", |plan| {
        one(plan).process.env[0].value[0] =
            secret("password", Encoding::Escaped(Escape { refuse: "\"".into(), ..escape() }));
    }),
    (Rule::Encoding, "/parts/0/one/process/env/0/value/0/secret/encoding", |plan| {
        one(plan).process.env[0].value[0] =
            secret("password", Encoding::Escaped(Escape { max: Some(0), ..escape() }));
    }),
];

#[test]
fn every_rule_is_enforced() {
    for (rule, pointer, spoil) in CASES {
        let mut spoiled = plan();
        spoil(&mut spoiled);
        assert_eq!(found(&spoiled), [(*rule, (*pointer).to_owned())]);
        let json = serde_json::to_value(&spoiled).unwrap();
        let target = json.pointer(pointer).or_else(|| json.pointer(pointer.rsplit_once('/').unwrap().0));
        assert!(target.is_some(), "{pointer} points nowhere");
    }
}

#[test]
fn violations_are_bounded_whatever_the_plan() {
    let mut many = plan();
    one(&mut many).process.env = (0..300).map(|_| EnvVar { name: "PATH".into(), value: vec![] }).collect();
    assert_eq!(found(&many).len(), MAX_VIOLATIONS);
    one(&mut many).process.argv.extend((0..60_000).map(|_| text("\0")));
    assert_eq!(found(&many), [(Rule::PlanSize, String::new())]);
}

#[test]
fn every_rule_has_its_own_id_and_a_case() {
    let broken: BTreeSet<_> = CASES.iter().map(|(rule, _, _)| *rule).collect();
    let ids: BTreeSet<_> = broken.iter().map(|rule| rule.id()).collect();
    // The last rule's number counts the rules.
    assert_eq!(Rule::Encoding.id(), "P028-encoding");
    assert_eq!((broken.len(), ids.len()), (28, 28), "{ids:?}");
}

fn probe_violations(plan: &ProbePlan) -> Vec<(&'static str, String)> {
    let violations = check_probe(plan, &description(), &["password".into()]);
    violations.into_iter().map(|violation| (violation.rule.id(), violation.pointer)).collect()
}

#[test]
fn a_probe_is_policed_as_a_dump_is() {
    let query = |name: &str, process: Process| Query { name: name.into(), process };
    let good = || ProbePlan {
        image: Some("client".into()),
        queries: vec![
            query("version", process(vec![text("psql")])),
            query("size", process(vec![text("psql")])),
        ],
    };
    assert_eq!(probe_violations(&good()), []);
    let at = |id, pointer: &str| vec![(id, pointer.to_owned())];
    let cases: [(fn(&mut ProbePlan), _); 8] = [
        (|plan| plan.image = Some("other".into()), at("P002-image", "/image")),
        (|plan| plan.queries[1].name = "version".into(), at("P031-query-name-twice", "/queries/1/name")),
        (|plan| plan.queries[0].name = "a b".into(), at("P030-query-name", "/queries/0/name")),
        (
            |plan| {
                plan.queries = (0..17)
                    .map(|at| Query { name: format!("q{at}"), process: process(vec![text("psql")]) })
                    .collect();
            },
            at("P029-query-count", "/queries"),
        ),
        (
            |plan| plan.queries[0].process.argv = vec![text("./x")],
            at("P019-program", "/queries/0/process/argv/0"),
        ),
        (
            |plan| plan.queries[0].process.env[0].value = vec![Fragment::Item],
            at("P021-item-scope", "/queries/0/process/env/0/value/0"),
        ),
        (
            |plan| plan.queries[0].process.env[0].value = vec![secret("passphrase", Encoding::Raw)],
            at("P027-binding-supplied", "/queries/0/process/env/0/value/0/secret/binding"),
        ),
        (|plan| plan.queries[0].process.argv.push(text(&"x".repeat(50_000))), at("P001-plan-size", "")),
    ];
    for (change, expected) in cases {
        let mut plan = good();
        change(&mut plan);
        assert_eq!(probe_violations(&plan), expected);
    }
}
