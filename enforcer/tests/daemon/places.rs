//! Ways to say where in a file a hook is, and which file is meant: tried on a program that the tests have made.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use super::instance::{Instance, wait_until};
use super::policies::{add, delete};
use super::program::{BUILD_ID, COUNTER, FUNCTION, FUNCTION_ADDRESS, Go, Names, write};

fn policy(name: &str, options: &str, path: &Path, rest: &str) -> String {
    format!(
        "apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata: {{name: {name}}}
spec:
  options: [{options}]
  uprobes:
  - path: {}
    args: [{{index: 0, type: int}}]
    {rest}
",
        path.display()
    )
}

fn program(instance: &Instance, name: &str, names: Names) -> PathBuf {
    let path = instance.directory.path().join(name);
    write(&path, names);
    path
}

/// Runs the program; the status is what its counter had.
fn run(path: &Path) -> Option<i32> {
    Command::new(path).status().unwrap().code()
}

/// Events of a policy: the program's path and what else tells the place.
fn told(instance: &Instance, policy: &str) -> Vec<(String, String, u64, u64)> {
    let events = instance.events();
    let of_policy =
        events.iter().map(|event| &event["process_uprobe"]).filter(|it| it["policy_name"] == policy);
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let number = |value: &serde_json::Value| text(value).parse().unwrap_or_default();
    let told = of_policy.map(|it| {
        assert_eq!(it["args"][0]["int_arg"], 7, "{it}");
        let path = text(&it["process"]["binary"]);
        (path, text(&it["symbol"]), number(&it["offset"]), number(&it["ref_ctr_offset"]))
    });
    told.collect()
}

// proves: HOOK-10
#[test]
fn root_a_place_is_named_by_symbol_offset_and_address() {
    let instance = Instance::start(&[]);
    let path = program(&instance, "program", Names::Symbols);
    let ways = [
        ("symbol", "symbols: [work]".to_owned(), "work", 0),
        ("behind", "symbols: [work+0x1]".to_owned(), "work+0x1", 0),
        ("offset", format!("offsets: [{FUNCTION}]"), "", FUNCTION),
        ("address", format!("addrs: [{FUNCTION_ADDRESS}]"), "", FUNCTION_ADDRESS),
    ];
    for (name, place, ..) in &ways {
        add(&instance, policy(name, "", &path, place)).unwrap();
    }
    assert_eq!(run(&path), Some(0));
    for (name, _, symbol, offset) in ways {
        let expected = [(path.display().to_string(), symbol.to_owned(), offset, 0)];
        wait_until("the call is reported", || told(&instance, name) == expected);
    }
    let beyond = add(&instance, policy("beyond", "", &path, "symbols: [work+0x1000]")).unwrap_err();
    assert!(beyond.message().contains("no instructions"), "{beyond}");
}

// proves: HOOK-12
#[test]
fn root_a_counter_in_the_program_is_raised_while_a_place_is_hooked_by_either_mechanism() {
    let instance = Instance::start(&[]);
    let path = program(&instance, "program", Names::Symbols);
    let place = format!("symbols: [work]\n    refCtrOffsets: [{COUNTER}]");
    assert_eq!(run(&path), Some(0));
    for (name, options) in [("many", ""), ("single", "{name: disable-uprobe-multi, value: 'true'}")] {
        add(&instance, policy(name, options, &path, &place)).unwrap();
        assert_eq!(run(&path), Some(1), "{name}");
        delete(&instance, name).unwrap();
        assert_eq!(run(&path), Some(0), "{name}");
        let expected = [(path.display().to_string(), "work".to_owned(), 0, COUNTER)];
        wait_until("the call is reported", || told(&instance, name) == expected);
    }
}

// proves: HOOK-13
#[test]
fn root_functions_of_stripped_go_programs_are_hooked_by_name() {
    let instance = Instance::start(&[]);
    for version in [Go::V1_16, Go::V1_18, Go::V1_20] {
        for (names, kind) in [(Names::Go(version), "sections"), (Names::GoAlone(version), "segments")] {
            let name = format!("{version:?}-{kind}").to_lowercase().replace('_', "-");
            let path = program(&instance, &name, names);
            add(&instance, policy(&name, "", &path, "symbols: [main.work]")).unwrap();
            assert_eq!(run(&path), Some(0));
            let expected = [(path.display().to_string(), "main.work".to_owned(), 0, 0)];
            wait_until("the call is reported", || told(&instance, &name) == expected);
            let other = policy("other", "", &path, "symbols: [main.other]");
            let other = add(&instance, other).unwrap_err();
            assert!(other.message().contains("main.other"), "{other}");
            // the kernel's return address on a stack that Go moves would break the program
            let returns = "symbols: [main.work]\n    return: true\n    returnArg: {index: 0, type: int}";
            let returns = add(&instance, policy("returns", "", &path, returns)).unwrap_err();
            assert!(returns.message().contains("Go program"), "{returns}");
        }
    }
}

/// What another tool says that the file comes to.
fn digest(tool: &str, path: &Path) -> String {
    let output = Command::new(tool).arg(path).output().unwrap();
    String::from_utf8(output.stdout).unwrap().split(' ').next().unwrap().to_owned()
}

// proves: HOOK-14 (each digest, in the daemon)
#[test]
fn root_a_file_is_known_by_each_kind_of_digest() {
    let instance = Instance::start(&[]);
    let path = program(&instance, "program", Names::Symbols);
    let build_id = BUILD_ID.map(|byte| format!("{byte:02x}")).concat();
    let digests = [
        ("sha1", digest("sha1sum", &path)),
        ("sha256", digest("sha256sum", &path)),
        ("SHA384", digest("sha384sum", &path)),
        ("sha512", digest("sha512sum", &path)),
        ("build-id", build_id),
    ];
    for (number, (algorithm, hex)) in digests.into_iter().enumerate() {
        let name = format!("digest-{number}");
        let place = |hex: &str| format!("symbols: [work]\n    binaryDigests: ['{algorithm}:{hex}']");
        let first = if hex.starts_with('0') { "1" } else { "0" };
        let wrong = format!("{first}{}", hex.get(1..).unwrap());
        let error = add(&instance, policy(&name, "", &path, &place(&wrong))).unwrap_err();
        let message: String = error.message().split_whitespace().collect();
        assert!(message.contains(&format!("{}:{hex}", algorithm.to_lowercase())), "{error}");
        add(&instance, policy(&name, "", &path, &place(&hex))).unwrap();
        assert_eq!(run(&path), Some(0));
        wait_until("the call is reported", || told(&instance, &name).len() == 1);
        delete(&instance, &name).unwrap();
    }
}

/// Says that it is over when dropped, however that comes.
struct Over<'o>(&'o AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

// proves: HOOK-14
#[test]
fn root_what_is_hooked_is_the_file_that_had_the_digest_whatever_its_path_leads_to_meanwhile() {
    const EACH: usize = 5;
    let instance = Instance::start(&[]);
    let meant = program(&instance, "meant", Names::Symbols);
    let other = program(&instance, "other", Names::Symbols);
    let longer = [fs::read(&other).unwrap(), vec![0]].concat();
    fs::write(&other, longer).unwrap();
    let place = format!("symbols: [work]\n    binaryDigests: ['sha256:{}']", digest("sha256sum", &meant));
    let (link, next) = (instance.directory.path().join("link"), instance.directory.path().join("next"));
    symlink(&meant, &link).unwrap();
    let is_over = AtomicBool::new(false);
    let (mut hooked, mut refused) = (0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for target in [&other, &meant].into_iter().cycle() {
                if is_over.load(Ordering::Relaxed) {
                    break;
                }
                symlink(target, &next).unwrap();
                fs::rename(&next, &link).unwrap();
            }
        });
        let _over = Over(&is_over);
        for _ in 0..1_000 {
            if hooked >= EACH && refused >= EACH {
                break;
            }
            match add(&instance, policy("pinned", "", &link, &place)) {
                Ok(()) => {
                    hooked += 1;
                    assert_eq!((run(&meant), run(&other)), (Some(0), Some(0)));
                    delete(&instance, "pinned").unwrap();
                }
                Err(error) => {
                    refused += 1;
                    assert!(error.message().contains("none of these digests"), "{error}");
                }
            }
        }
    });
    assert!(hooked >= EACH && refused >= EACH, "hooked {hooked} times, refused {refused} times");
    wait_until("all calls are reported", || told(&instance, "pinned").len() >= hooked);
    let of_other = other.display().to_string();
    assert!(told(&instance, "pinned").iter().all(|(path, ..)| *path != of_other));
}
