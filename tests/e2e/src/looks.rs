//! What a user looks at: pods, sentences, conditions.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::{backup::text, world::World};

/// Name of the pod with these labels once this container of it runs.
pub(crate) fn pod_with_running(world: &World, selector: &str, container: &str) -> Result<String> {
    world.kubectl(["get", "pods", "--selector", selector]).watch("the pod", |pod| {
        // A watch with a selector shows single objects, the first time perhaps a list.
        let pods = pod.get("items").and_then(Value::as_array).cloned().unwrap_or_else(|| vec![pod.clone()]);
        let runs = |pod: &&Value| {
            let containers = pod.pointer("/status/containerStatuses").and_then(Value::as_array);
            containers.is_some_and(|all| {
                all.iter()
                    .any(|one| text(one, "/name") == container && one.pointer("/state/running").is_some())
            })
        };
        Ok(pods.iter().find(runs).map(|pod| text(pod, "/metadata/name").to_owned()))
    })
}

/// Makes sure that a sentence begins with the reason and holds the words, whatever their case.
pub(crate) fn says(sentence: &str, reason: &str, words: &[&str]) -> Result<()> {
    ensure!(sentence.starts_with(&format!("{reason}: ")), "expected reason {reason}, found: {sentence}");
    let lower = sentence.to_lowercase();
    for word in words {
        ensure!(lower.contains(&word.to_lowercase()), "{word:?} is not in: {sentence}");
    }
    Ok(())
}

/// Makes sure of a condition.
pub(crate) fn holds(object: &Value, type_: &str, status: &str, reason: &str) -> Result<()> {
    let conditions =
        object.pointer("/status/conditions").and_then(Value::as_array).context("no conditions")?;
    let condition = conditions.iter().find(|condition| text(condition, "/type") == type_);
    let condition = condition.with_context(|| format!("no condition {type_}"))?;
    ensure!(
        text(condition, "/status") == status && text(condition, "/reason") == reason,
        "condition {type_} is to be {status} because of {reason}: {condition:#}"
    );
    Ok(())
}
