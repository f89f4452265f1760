//! What the work order says of the stored bytes: for whom, how small, how many to expect.

use super::*;

#[test]
fn the_agent_learns_whose_keys_open_the_backup() {
    let key = "age1n75wkqrd3xhxmtdn78ervq6ww6sy7fzxzmuv7far0tz23zpfwatq0nypwa";
    let with = |recipients: serde_json::Value| {
        let mut spec = s3_spec();
        spec["encryption"] = json!({"recipients": recipients});
        rendered(spec)
    };
    let order = work_order_of(&with(json!([key])).unwrap(), "mover");
    assert_eq!(order.encryption.unwrap().recipients, [key]);
    assert_eq!(work_order_of(&rendered(s3_spec()).unwrap(), "mover").encryption, None);
    for (recipients, pointer, words) in [
        (json!([]), "/encryption/recipients", "spec.encryption.recipients is empty"),
        (json!([key, "oops"]), "/encryption/recipients/1", "spec.encryption.recipients[1] is no public key"),
        (
            json!(["AGE-SECRET-KEY-1QQ"]),
            "/encryption/recipients/0",
            "spec.encryption.recipients[0] is a private key",
        ),
    ] {
        let issues = with(recipients).unwrap_err().issues();
        assert_eq!((issues.len(), issues[0].path.as_str()), (1, pointer));
        assert!(issues[0].message.starts_with(words) && !issues[0].message.contains("KEY-1"), "{issues:?}");
    }
}

#[rstest]
#[case::usual(json!({}), (1, false), "512Mi")]
#[case::threads(json!({"threads": 4}), (4, false), "576Mi")]
#[case::small(json!({"threads": 2, "level": 19}), (2, false), "736Mi")]
#[case::window(json!({"longWindow": true}), (1, true), "656Mi")]
#[case::both(json!({"longWindow": true, "threads": 8}), (1, true), "656Mi")]
#[case::hostile(json!({"threads": -7}), (1, false), "512Mi")]
#[case::off(json!({"algorithm": "none", "threads": 8, "longWindow": true}), (1, false), "512Mi")]
fn what_compressing_costs_is_in_the_movers_limit(
    #[case] compression: serde_json::Value,
    #[case] (threads, long_window): (u32, bool),
    #[case] limit: &str,
) {
    let mut spec = s3_spec();
    spec["compression"] = compression;
    let job = rendered(spec).unwrap();
    assert_eq!(work_order_of(&job, "mover").effort, work_order::Effort { threads, long_window });
    let pod = job.spec.unwrap().template.spec.unwrap();
    let mover = pod.containers.iter().find(|container| container.name == MOVER).unwrap();
    assert_eq!(mover.resources.as_ref().unwrap().limits.as_ref().unwrap()["memory"].0, limit);
}

#[test]
fn the_agent_learns_how_large_the_last_good_dump_was() {
    let (mut object, planned, config) = (object(pvc_spec()), planned(), config());
    let run = |result: &str, end: &str, bytes: i64| json!({"slot": end, "result": result, "completionTime": end, "bytesRead": bytes});
    let runs = json!([
        run("Succeeded", "2026-11-22T02:30:00Z", 3),
        run("Succeeded", "2026-11-23T02:30:00Z", 5),
        run("Failed", "2026-11-24T02:30:00Z", 7),
    ]);
    for (runs, expected) in [(json!([]), None), (runs, Some(5))] {
        object.status = Some(serde_json::from_value(json!({"recentRuns": runs})).unwrap());
        let input = RenderInput { object: &object, job: &job(None), planned: &planned, config: &config };
        assert_eq!(work_order_of(&render(&input).unwrap(), "mover").expected_bytes, expected);
    }
}
