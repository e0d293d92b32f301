//! `tetra info`, `loglevel`, `eventlog` and what else asks the daemon once.

use crate::service::{Daemon, printed, refused, serde_json_line, text};

// proves: CLI-15 (loglevel)
#[test]
fn the_log_level_is_printed_and_changed() {
    let daemon = Daemon::start();
    assert_eq!(printed(&daemon.tetra(&["loglevel", "get"])), "Current log level: LOG_LEVEL_INFO\n");
    for (word, name) in [("debug", "DEBUG"), ("Warning", "WARN"), ("panic", "PANIC"), ("trace", "TRACE")] {
        let expected = format!("Log level set to: LOG_LEVEL_{name}\n");
        assert_eq!(printed(&daemon.tetra(&["log", "set", word])), expected);
    }
    let error = refused(&daemon.tetra(&["loglevel", "set", "loud"]));
    assert!(error.contains("give trace, debug, info"), "{error}");
}

// proves: CLI-15 (eventlog)
#[test]
fn settings_of_the_event_log_are_printed_and_only_those_given_are_changed() {
    let daemon = Daemon::start();
    let expected = "Current logging parameters: max_size:10 rotation_interval:\"1h0m0s\" max_backups:5\n";
    assert_eq!(printed(&daemon.tetra(&["eventlog", "get"])), expected);
    assert_eq!(printed(&daemon.tetra(&["eventlog", "set", "--rotation-interval", "24h"])), "");
    let asked = "max_size: None, rotation_interval: Some(\"24h0m0s\"), max_backups: None";
    assert!(daemon.asked().contains(asked), "{}", daemon.asked());
}

// proves: CLI-15 (info)
#[test]
fn information_is_one_line_of_json() {
    let info = serde_json_line(&printed(&Daemon::start().tetra(&["info"])));
    assert_eq!((&info["Name"], &info["Build"]["Commit"]), (&"".into(), &"".into()));
}

// proves: CLI-18 (dump processcache, rthooks)
#[test]
fn processes_that_the_daemon_knows_come_one_a_line() {
    let daemon = Daemon::start();
    for words in [&["debug", "dump", "processcache"][..], &["dump", "processCache", "--skip-zero-refcnt"]] {
        let text = printed(&daemon.tetra(words));
        assert_eq!(text.lines().count(), 2);
        let process: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        assert_eq!(process["color"], "inUse");
    }
    assert!(daemon.asked().contains("skip_zero_refcnt: true, exclude_execve_map_processes: false"));
    let error = refused(&daemon.tetra(&["--max-recv-size=10", "dump", "processcache"]));
    assert!(error.contains("too large") && error.contains("raise --max-recv-size"), "{error}");
    let words = ["rthooks", "create-container", "--container-id", "c", "--annotations", "a=b,c=d"];
    assert_eq!(printed(&daemon.tetra(&words)), "");
    let asked = daemon.asked();
    assert!(asked.contains("container_id: \"c\"") && asked.contains("\"a\": \"b\""), "{asked}");
    let error = refused(&daemon.tetra(&["rthooks", "create-container", "--annotations", "a"]));
    assert!(error.contains("give NAME=VALUE"), "{error}");
}

// proves: CLI-18 (cri, policyfilter, cgtracker, dump)
#[test]
fn tools_for_what_is_not_here_say_what_serves_in_its_place() {
    let daemon = Daemon::start();
    for (words, instead) in [
        (&["cri", "version", "-r", "unix:///x"][..], "use `crictl version`"),
        (&["policyfilter", "dump", "--map-fname", "x"], "use `tetra tracingpolicy list`"),
        (&["policyfilter", "add", "1", "/x", "--arg-type", "file"], "give the policy a podSelector"),
        (&["policyfilter", "listpolicies", "c", "-r", "x"], "use `tetra tracingpolicy list`"),
        (&["cgtracker", "dump"], "use `tetra getevents`"),
        (&["cgtracker", "add", "1", "2"], "use `tetra getevents`"),
        (&["dump", "execve"], "use `tetra debug dump processcache`"),
        (&["debug", "dump", "policyfilter"], "use `tetra tracingpolicy list`"),
    ] {
        let error = refused(&daemon.tetra(words));
        assert!(error.contains("has no meaning here") && error.contains(instead), "{words:?}: {error}");
    }
    let error = refused(&daemon.tetra(&["policyfilter", "cgroupid", "/proc"]));
    assert!(error.contains("not the folder of a control group"), "{error}");
    let error = refused(&daemon.tetra(&["cri", "cgroup_path", "none"]));
    assert!(error.contains("no id of a container"), "{error}");
}

#[test]
fn what_a_daemon_does_not_offer_is_said() {
    let error = refused(&Daemon::start().tetra(&["sensors", "list"]));
    assert!(error.contains("does not offer this: no sensors"), "{error}");
}

// proves: CLI-17
#[test]
fn root_features_of_this_kernel_are_lines_of_true_and_false() {
    let daemon = Daemon::start();
    let output = daemon.tetra(&["probe"]);
    let features = printed(&output);
    for line in features.lines() {
        assert!(line.ends_with(": true") || line.ends_with(": false"), "{line}");
    }
    // Every kernel that this runs on has them.
    assert!(features.contains("signal: true\n") && features.contains("large: true\n"), "{features}");
    assert!(text(&output.stderr).lines().all(|line| line.contains("; run as root")));
}
