//! Calls that go well, and answers that mean nothing.

use dbbackup_plugin_host::CallError;
use dbbackup_protocol::plan::{ArgumentPiece, Encoding, Fragment, PartSource};

use crate::support::{component, host, misbehaving, request};

#[test]
fn a_plugin_says_who_it_is() {
    let plugin = misbehaving();
    assert_eq!((plugin.id(), plugin.version()), ("misbehaving-guest", "0.1.0-guest"));
    assert!(plugin.digest().starts_with("sha256:") && plugin.digest().len() == 71);
    assert_eq!(plugin.identity().digest, plugin.digest());
    assert_eq!(plugin.description().images[0].reference, "docker.io/library/client:1");
    let again = host().load(&component("misbehaving-guest"), "elsewhere").unwrap();
    assert_eq!(again.digest(), plugin.digest());
}

#[test]
fn a_plan_arrives_whole_and_equal_each_time() {
    let mut request = request("misbehaving-type", "ok");
    request.settings = r#"{"x":"ä$(id)"}"#.into();
    let plan = misbehaving().plan(&request).unwrap().unwrap();
    let PartSource::One(part) = &plan.parts[0] else { panic!() };
    assert_eq!(part.process.argv[0].pieces[1], ArgumentPiece::Item);
    assert_eq!(part.process.env[0].value[0], Fragment::Text(request.settings.clone()));
    let Fragment::Secret(secret) = &part.process.env[0].value[1] else { panic!() };
    let Encoding::Escaped(escape) = &secret.encoding else { panic!() };
    assert_eq!((escape.substitutions[0].character, escape.max), ('\'', Some(64)));
    assert_eq!(part.completion.exit_codes, [0, -1]);
    assert_eq!(part.completion.header.as_deref(), Some(b"--".as_slice()));
    assert_eq!(misbehaving().plan(&request).unwrap().unwrap(), plan);
}

#[test]
fn refusals_and_issues_arrive() {
    let issues = misbehaving().plan(&request("misbehaving-type", "refuse")).unwrap().unwrap_err();
    assert_eq!((issues[0].path.as_str(), issues[0].reason.as_str()), ("/connection", "NotNow"));
    let issues = misbehaving().check(&request("misbehaving-type", "issue")).unwrap();
    assert_eq!(issues[0].path, "/settings/jobs");
    assert!(misbehaving().check(&request("misbehaving-type", "ok")).unwrap().is_empty());
}

#[test]
fn meaningless_answers_are_bad_output() {
    let plan = |name| misbehaving().plan(&request("misbehaving-type", name)).unwrap_err();
    let check = |name| misbehaving().check(&request("misbehaving-type", name)).unwrap_err();
    let cases = [
        (plan("refuse-without-issue"), "/issues", "at least one"),
        (check("bad-pointer"), "/0/path", "begins with `/`"),
        (check("bad-reason"), "/0/reason", "CamelCase"),
        (check("bad-message"), "/0/message", "say something"),
        (plan("not-utf-8"), "what it handed over", "utf-8"),
        (plan("garbage-pointer"), "what it handed over", "out of bounds"),
    ];
    for (error, place, reason) in cases {
        let CallError::BadOutput { at, why } = &error else { panic!("{error}") };
        assert_eq!(at, place);
        assert!(why.replace("out-of-bounds", "out of bounds").contains(reason), "{why}");
    }
}

#[test]
fn calls_share_nothing_and_may_overlap() {
    std::thread::scope(|scope| {
        for thread in 0..8 {
            scope.spawn(move || {
                for name in ["ok", "panic", "ok", "refuse"] {
                    let mut request = request("misbehaving-type", name);
                    request.settings = format!("{{\"thread\":{thread}}}");
                    let answer = misbehaving().plan(&request);
                    match name {
                        "panic" => assert!(matches!(answer, Err(CallError::Panic(_)))),
                        "refuse" => assert!(answer.unwrap().is_err()),
                        _ => assert!(format!("{answer:?}").contains(&format!("{thread}}}"))),
                    }
                }
            });
        }
    });
}

#[test]
fn settings_are_filled_and_faults_are_sentences() {
    let settings = |text: &str| serde_json::from_str(text).unwrap();
    let filled = misbehaving().validate_settings(None).unwrap();
    assert_eq!(serde_json::to_string(&filled).unwrap(), r#"{"format":"custom","jobs":4}"#);
    let issues = misbehaving()
        .validate_settings(Some(&settings(r#"{"jobs": 0, "format": "tar", "verbos/e": true}"#)))
        .unwrap_err();
    let mut told: Vec<_> = issues.iter().map(|i| (i.path.as_str(), i.message.as_str())).collect();
    told.sort_unstable();
    assert_eq!(told[0], ("/settings/format", r#""tar" is not allowed here; allowed are "plain", "custom""#));
    assert_eq!(told[1], ("/settings/jobs", "0 is less than the minimum of 1"));
    assert_eq!(
        told[2],
        ("/settings/verbos~1e", "`verbos/e` is not a setting here; known are `format`, `jobs`")
    );
    assert!(issues.iter().all(|issue| issue.reason == "SettingInvalid"));
}
