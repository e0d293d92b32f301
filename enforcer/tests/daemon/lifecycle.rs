//! Start, stop, and what must not disturb each other.

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::UnixDatagram;
use std::process::Command;

use api::wire::{GetEventsRequest, GetHealthStatusRequest, GetVersionRequest};

use super::instance::{Instance, PATIENCE, run_to_end, wait_until};

#[test]
fn root_events_reach_the_file_and_the_stream_and_nothing_stays_behind() {
    let instance = Instance::start(&[]);
    let (runtime, mut client) = instance.client();
    let mut stream = runtime.block_on(client.get_events(GetEventsRequest::default())).unwrap().into_inner();
    Command::new("/bin/true").arg("seen-by-the-test").status().unwrap();
    let mut streamed = false;
    while !streamed {
        let event = runtime.block_on(stream.message()).unwrap().unwrap();
        streamed = format!("{event:?}").contains("seen-by-the-test");
    }
    let in_file = |event: &serde_json::Value| {
        event["process_exec"]["process"]["arguments"] == "seen-by-the-test"
            && event["process_exec"]["process"]["binary"] == "/bin/true"
            && event["process_exec"]["parent"]["pid"] == std::process::id()
    };
    wait_until("the event is in the file", || instance.events().iter().any(in_file));
    let run_dir = instance.run_dir();
    let socket = fs::metadata(instance.socket()).unwrap();
    assert!(socket.file_type().is_socket());
    assert_eq!(socket.permissions().mode() & 0o7777, 0o660);
    let directory = &instance.directory.path().to_owned();
    let keep = tempfile::tempdir().unwrap();
    let ended = instance.stop();
    assert!(ended.status.success(), "{}", ended.log);
    assert!(ended.log.contains("enforcer stopped"), "{}", ended.log);
    // The stream ends; it is not cut off.
    while runtime.block_on(stream.message()).is_ok_and(|message| message.is_some()) {}
    drop(keep);
    assert!(!run_dir.exists() || fs::read_dir(&run_dir).unwrap().next().is_none(), "{}", directory.display());
}

// proves: INST-01 (readiness)
#[test]
fn root_a_supervisor_is_told_when_policies_are_in_force_and_when_the_daemon_ends() {
    let directory = tempfile::tempdir().unwrap();
    let supervisor = UnixDatagram::bind(directory.path().join("supervisor")).unwrap();
    supervisor.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut said = [0; 64];
    let mut next = || {
        let len = supervisor.recv(&mut said).unwrap();
        String::from_utf8_lossy(&said[..len]).trim().to_owned()
    };
    let instance = Instance::start_in(directory, &[]);
    assert_eq!(next(), "READY=1");
    instance.signal(nix::sys::signal::Signal::SIGTERM);
    assert_eq!(next(), "STOPPING=1");
}

#[test]
fn root_a_second_daemon_is_refused_and_the_first_does_not_notice() {
    let first = Instance::start(&[]);
    let second = run_to_end(&first.run_dir(), &[]);
    assert_eq!(second.status.code(), Some(1));
    assert!(
        second.log.contains(&format!("another instance is running with pid {}", first.pid())),
        "{}",
        second.log
    );
    let (runtime, mut client) = first.client();
    let version = runtime.block_on(client.get_version(GetVersionRequest {})).unwrap().into_inner();
    assert!(version.version.starts_with('v'));
    assert!(first.stop().status.success());
}

#[test]
fn root_a_new_daemon_follows_a_killed_one() {
    let first = Instance::start(&[]);
    let directory = tempfile::tempdir().unwrap();
    let run_dir = directory.path().join("run");
    fs::create_dir(&run_dir).unwrap();
    for name in ["tetragon.pid", "tetragon-info.json"] {
        fs::copy(first.run_dir().join(name), run_dir.join(name)).unwrap();
    }
    drop(first);
    fs::write(run_dir.join("tetragon.sock"), "left").unwrap();
    let ended = run_to_end(&run_dir, &["--tracing-policy=/no/such/file"]);
    assert!(
        ended.log.contains("cannot read /no/such/file"),
        "the pid file of a dead daemon is no hindrance: {}",
        ended.log
    );
}

#[test]
fn root_health_says_running_first() {
    let instance = Instance::start(&[]);
    let (runtime, mut client) = instance.client();
    let health = runtime.block_on(client.get_health(GetHealthStatusRequest::default())).unwrap().into_inner();
    let first = health.health_status.first().unwrap();
    assert_eq!((first.event, first.status, first.details.as_str()), (1, 1, "running"));
}
