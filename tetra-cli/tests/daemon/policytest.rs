//! `tetra policytest`.

use std::path::Path;

use crate::service::{Daemon, printed, refused, serde_json_line, tetra, text};

const NOWHERE: &str = "/nonexistent.sock";

// proves: CLI-20 (list, dump-policy)
#[test]
fn tests_that_are_built_in_are_listed_and_their_policies_printed() {
    let list = printed(&tetra(Path::new(NOWHERE), &["policytest", "list"]));
    assert!(list.starts_with("connect [network observe]\n") && list.lines().count() > 7, "{list}");
    let parameters = printed(&tetra(Path::new(NOWHERE), &["pt", "list", "--list-params"]));
    assert!(
        parameters.contains(
            "by the number in its argument.\n parameters:\n   operator: Equal, GT (default: Equal)\n"
        )
    );
    let words = ["pt", "dump-policy", "seek", "--set-param", "operator=GT"];
    let policy = printed(&tetra(Path::new(NOWHERE), &words));
    assert!(policy.starts_with("# For everybody") && policy.contains("name: policytest-seek"), "{policy}");
    assert!(policy.contains("GT") && !policy.contains("{{"), "{policy}");
}

// proves: CLI-20 (run: what is not told or cannot be)
#[test]
fn what_cannot_be_run_is_said_and_nothing_is_left_behind() {
    let daemon = Daemon::start();
    for (words, expected) in [
        (&["pt", "run"][..], "name the tests to run, or give --all-tests"),
        (&["pt", "run", "no-such"], "there is no test \"no-such\""),
        (&["pt", "run", "/nonexistent.yaml"], "\"/nonexistent.yaml\": No such file"),
        (&["pt", "run", "seek", "--set-param", "operator"], "give NAME=VALUE"),
    ] {
        let error = refused(&daemon.tetra(words));
        assert!(error.contains(expected), "{words:?}: {error}");
    }
    // The stream of this daemon has one event, which is somebody else's, and ends.
    let output = daemon.tetra(&["pt", "run", "seek", "--output", "json"]);
    assert!(text(&output.stderr).ends_with("Error: result errors: 1/1\n"), "{}", text(&output.stderr));
    let test = serde_json_line(&text(&output.stdout));
    let scenario = &test["result"]["scenarios"][0];
    assert_eq!(
        (&test["name"], &scenario["trigger_error"]),
        (&"seek (operator=Equal)".into(), &serde_json::Value::Null)
    );
    assert!(scenario["checker_error"].as_str().unwrap().contains("the stream of events ended"), "{test}");
    let asked = daemon.asked();
    let added = asked.find("AddTracingPolicyRequest").unwrap();
    assert!(asked.contains("matchPIDs") && asked.contains("followForks: true"), "{asked}");
    assert!(asked.rfind("DeleteTracingPolicyRequest { name: \"policytest-seek\"").unwrap() > added);
}
