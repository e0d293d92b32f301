#![expect(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use tempfile::TempDir;

use super::super::fake::{FakeCompiler, FakeKernel, FakeLayouts, FakeProcesses};
use super::super::identity::{GRPC_DOMAIN, STATIC_DOMAIN};
use super::super::state::{Board, State};
use super::super::store::World;
use super::*;

/// A daemon's policies on a kernel of their own.
struct Life {
    policies: Durable<FakeKernel, FakeCompiler, FakeProcesses, FakeLayouts>,
    kernel: FakeKernel,
    board: Board,
}

/// One that begins with what `directory` holds.
fn begin(directory: &Path) -> Life {
    let kernel = FakeKernel::default();
    let board = Board::default();
    let processes = FakeProcesses { kernel: kernel.clone(), ..FakeProcesses::default() };
    let compiler = FakeCompiler::default();
    let world = World { port: kernel.clone(), compiler, processes, layouts: FakeLayouts::default() };
    let kept = KeptPolicies::open(&directory.join("kept")).unwrap();
    Life { policies: Durable::new(Store::new(world, board.clone()), Some(kept)), kernel, board }
}

impl Life {
    fn add(&mut self, text: &str) -> Result<Vec<Identity>, PolicyError> {
        self.policies.add(GRPC_DOMAIN, &[SourceText::new("request", text)], Keep::Yes)
    }

    fn shown(&self) -> Vec<(String, State, Mode)> {
        let policies = self.board.policies();
        policies.iter().map(|policy| (policy.identity.name.clone(), policy.state, policy.mode)).collect()
    }
}

fn grpc(name: &str) -> Identity {
    Identity { namespace: String::new(), name: name.to_owned(), domain: GRPC_DOMAIN.to_owned() }
}

fn shown(name: &str, state: State, mode: Mode) -> (String, State, Mode) {
    (name.to_owned(), state, mode)
}

fn directory() -> TempDir {
    tempfile::tempdir().unwrap()
}

// proves: API-14 (as they were)
#[test]
fn policies_of_clients_come_back_as_they_were_and_those_of_files_do_not() {
    let directory = directory();
    let mut first = begin(directory.path());
    first.policies.add(STATIC_DOMAIN, &[SourceText::new("file", "s f")], Keep::No).unwrap();
    for text in ["a f", "b f", "c f", "d f"] {
        first.add(text).unwrap();
    }
    first.policies.configure(&grpc("b"), None, Some(Mode::Monitor)).unwrap();
    first.policies.configure(&grpc("c"), Some(false), Some(Mode::Monitor)).unwrap();
    first.policies.remove(&grpc("d")).unwrap();
    drop(first);
    let mut second = begin(directory.path());
    assert_eq!(second.policies.restore().unwrap(), Restored { restored: 3, failed: 0 });
    let expected = [
        shown("a", State::Enabled, Mode::Enforce),
        shown("b", State::Enabled, Mode::Monitor),
        shown("c", State::Disabled, Mode::Monitor),
    ];
    assert_eq!(second.shown(), expected);
    let monitor: Vec<bool> = second.kernel.0.monitor.borrow().values().copied().collect();
    assert_eq!(monitor, [false, true], "a mode is set before its programs run, and disabled ones do not");
    second.policies.configure(&grpc("c"), Some(true), None).unwrap();
    second.policies.remove(&grpc("a")).unwrap();
    let mut third = begin(directory.path());
    assert_eq!(third.policies.restore().unwrap(), Restored { restored: 2, failed: 0 });
    let expected = [shown("b", State::Enabled, Mode::Monitor), shown("c", State::Enabled, Mode::Monitor)];
    assert_eq!(third.shown(), expected);
}

// proves: API-14 (policies that cannot be loaded)
#[test]
fn a_policy_that_cannot_be_restored_is_shown_and_harms_no_other() {
    let directory = directory();
    let mut first = begin(directory.path());
    for text in ["a f", "b f", "c f", "d f"] {
        first.add(text).unwrap();
    }
    drop(first);
    let kept = directory.path().join("kept");
    // b's text is none any more, c's is another policy's, d's is cut off.
    for (name, content) in [
        ("b", r#"{"yaml":"Not-A-Name f","enabled":true}"#),
        ("c", r#"{"yaml":"e f","enabled":true}"#),
        ("d", r#"{"yaml":"d f","ena"#),
    ] {
        fs::write(kept.join(format!("{name}::grpc.json")), content).unwrap();
    }
    let mut second = begin(directory.path());
    assert_eq!(second.policies.restore().unwrap(), Restored { restored: 1, failed: 3 });
    let expected = [shown("a", State::Enabled, Mode::Enforce), shown("b", State::LoadError, Mode::Enforce)];
    assert_eq!(second.shown(), expected);
    assert_eq!(fs::read_dir(&kept).unwrap().count(), 4, "the files stay, for a person to look at");
    second.policies.remove(&grpc("b")).unwrap();
    assert!(!kept.join("b::grpc.json").exists());
    second.add("d f g").unwrap();
    assert!(fs::read_to_string(kept.join("d::grpc.json")).unwrap().contains("d f g"));
}

// proves: API-14 (of one daemon each)
#[test]
fn a_policy_that_the_kernel_refuses_today_is_kept_for_tomorrow() {
    let directory = directory();
    begin(directory.path()).add("a f").unwrap();
    let mut refused = begin(directory.path());
    refused.kernel.0.failure.arm(0);
    assert_eq!(refused.policies.restore().unwrap(), Restored { restored: 0, failed: 1 });
    assert_eq!(refused.shown(), [shown("a", State::LoadError, Mode::Enforce)]);
    drop(refused);
    let mut third = begin(directory.path());
    third.policies.restore().unwrap();
    assert_eq!(third.shown(), [shown("a", State::Enabled, Mode::Enforce)]);
}

#[test]
fn a_policy_that_is_there_already_is_not_replaced_by_a_kept_one() {
    let directory = directory();
    let mut first = begin(directory.path());
    first.policies.add(STATIC_DOMAIN, &[SourceText::new("request", "a f")], Keep::Yes).unwrap();
    let mut second = begin(directory.path());
    second.policies.add(STATIC_DOMAIN, &[SourceText::new("file", "a f g")], Keep::No).unwrap();
    assert_eq!(second.policies.restore().unwrap(), Restored { restored: 0, failed: 1 });
    assert_eq!(second.kernel.running().len(), 2, "those of the file");
}

#[test]
fn a_policy_that_cannot_be_kept_is_not_added() {
    let directory = directory();
    let mut life = begin(directory.path());
    life.add("a f").unwrap();
    let domain = "d".repeat(250);
    let error = life.policies.add(&domain, &[SourceText::new("x", "b f")], Keep::Yes).unwrap_err();
    assert!(error.to_string().contains("is not added"), "{error}");
    assert_eq!(life.shown(), [shown("a", State::Enabled, Mode::Enforce)]);
    fs::rename(directory.path().join("kept"), directory.path().join("gone")).unwrap();
    let error = life.add("c f").unwrap_err().to_string();
    assert!(error.contains("c (domain grpc) is") && error.contains("No such file"), "{error}");
    assert_eq!(life.shown().len(), 1);
    let error = life.policies.configure(&grpc("a"), None, Some(Mode::Monitor)).unwrap_err().to_string();
    assert!(error.contains("is changed, and is as before"), "{error}");
    assert_eq!(life.shown(), [shown("a", State::Enabled, Mode::Monitor)]);
}

#[test]
fn without_a_directory_nothing_is_written() {
    let directory = directory();
    let mut life = begin(directory.path());
    life.policies.kept = None;
    life.add("a f").unwrap();
    life.policies.configure(&grpc("a"), Some(false), None).unwrap();
    assert_eq!(life.policies.restore().unwrap(), Restored::default());
    assert_eq!(fs::read_dir(directory.path().join("kept")).unwrap().count(), 0);
    assert_eq!(fs::metadata(directory.path().join("kept")).unwrap().permissions().mode() & 0o777, 0o700);
}
