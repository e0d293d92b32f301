//! A policy that reaches nobody but the stage and its children.

use serde_json::{Value, json};

/// Lists of hooks.
const HOOKS: [&str; 6] = ["kprobes", "tracepoints", "uprobes", "usdts", "lsmhooks", "fentries"];
/// What else a policy of a test may have; nothing of this reaches anybody without a hook.
const OTHERS: [&str; 3] = ["lists", "options", "enforcers"];

/// The whole policy `policytest-NAME` with the hooks of `spec`, for the process `pid` and those that it starts; only monitoring where that is
/// asked for.
///
/// # Errors
/// A part of `spec` that cannot be limited so.
pub(super) fn policy(name: &str, spec: &Value, pid: u32, monitor: bool) -> Result<Value, String> {
    let mut spec = spec.clone();
    let fields = spec.as_object_mut().ok_or("the policy is no mapping; write what stands below `spec`")?;
    for (key, value) in fields.iter_mut() {
        if HOOKS.contains(&key.as_str()) {
            let hooks = value.as_array_mut().ok_or_else(|| format!("{key} is no list"))?;
            hooks.iter_mut().try_for_each(|hook| limit(hook, pid))?;
        } else if !OTHERS.contains(&key.as_str()) {
            return Err(format!("{key} cannot be limited to the processes of the test; leave it out"));
        }
    }
    if monitor {
        let options = fields.entry("options").or_insert_with(|| json!([]));
        let options = options.as_array_mut().ok_or("options is no list")?;
        options.retain(|option| option["name"] != "policy-mode");
        options.push(json!({ "name": "policy-mode", "value": "monitor" }));
    }
    Ok(whole(name, &spec))
}

/// The whole policy as it is written in the test, for everybody.
pub(super) fn whole(name: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": "cilium.io/v1alpha1",
        "kind": "TracingPolicy",
        "metadata": { "name": policy_name(name) },
        "spec": spec,
    })
}

/// The name of a test's policy.
pub(super) fn policy_name(test: &str) -> String {
    format!("policytest-{test}")
}

fn limit(hook: &mut Value, pid: u32) -> Result<(), String> {
    let fields = hook.as_object_mut().ok_or("a hook is no mapping")?;
    let selectors = fields.entry("selectors").or_insert_with(|| json!([{}]));
    let selectors = selectors.as_array_mut().ok_or("selectors is no list")?;
    if selectors.is_empty() {
        selectors.push(json!({}));
    }
    for selector in selectors {
        let selector = selector.as_object_mut().ok_or("a selector is no mapping")?;
        let own =
            json!([{ "operator": "In", "followForks": true, "isNamespacePID": false, "values": [pid] }]);
        if selector.insert("matchPIDs".to_owned(), own).is_some() {
            return Err("a selector has matchPIDs, where the test's own processes have to stand".to_owned());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn every_selector_is_for_the_stage_and_its_children() {
        let spec = json!({
            "lists": [{ "name": "l" }],
            "kprobes": [{ "call": "a" }, { "call": "b", "selectors": [] }, { "call": "c", "selectors": [{ "matchArgs": [] }, {}] }],
            "lsmhooks": [{ "hook": "d", "selectors": [{}] }],
        });
        let policy = policy("x", &spec, 7, true).unwrap();
        assert_eq!(policy["metadata"]["name"], "policytest-x");
        assert_eq!(policy["spec"]["options"][0]["value"], "monitor");
        let hooks =
            ["kprobes", "lsmhooks"].into_iter().flat_map(|kind| policy["spec"][kind].as_array().unwrap());
        let selectors: Vec<&Value> = hooks.flat_map(|hook| hook["selectors"].as_array().unwrap()).collect();
        assert_eq!(selectors.len(), 5);
        for selector in selectors {
            assert_eq!(selector["matchPIDs"][0]["values"], json!([7]));
            assert_eq!(selector["matchPIDs"][0]["followForks"], true);
        }
    }

    #[test]
    fn what_cannot_be_limited_is_refused() {
        for (spec, expected) in [
            (json!({ "kprobes": [{ "selectors": [{ "matchPIDs": [] }] }] }), "a selector has matchPIDs"),
            (json!({ "loader": true }), "loader cannot be limited"),
            (json!({ "kprobes": {} }), "kprobes is no list"),
            (json!([]), "no mapping"),
        ] {
            let error = policy("x", &spec, 7, false).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }
}
