//! The base programs on the running kernel. Needs root; run in the VM on each supported kernel and natively.
#![cfg(feature = "load")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::mem::size_of;
use std::process::Command;
use std::sync::Arc;

use bpf_probes::abi::{ExecRecord, ExitRecord, ForkRecord, Header, RecordKind, map_name};
use bpf_probes::attach::Exactness;
use bpf_probes::btf::Btf;
use bpf_probes::builder::{Facts, LoopForm, ReadForm};
use bpf_probes::load::{Collection, Head, LoadContext, MapSet, Ring};
use bpf_probes::sensor::{BaseOptions, BaseTargets, base_at};
use bpf_probes::spec::AttachSpec;
use zerocopy::FromBytes;

fn facts(btf: &Btf) -> Facts<'_> {
    let helper = |name: &str| btf.enum_value("bpf_func_id", name).is_some();
    let cast = btf.func_named("bpf_rdonly_cast").is_ok();
    Facts {
        btf,
        reads: if cast { ReadForm::Cast } else { ReadForm::Probe },
        loops: if helper("BPF_FUNC_loop") { LoopForm::Callback } else { LoopForm::Bounded },
        fetching_atomics: helper("BPF_FUNC_snprintf"),
        allocating_maps: btf.func_named("bpf_mem_alloc_init").is_ok(),
        ancestor_cgroup_id: true,
    }
}

fn targets() -> BaseTargets {
    let kprobes = std::path::Path::new("/sys/bus/event_source/devices/kprobe/type").exists();
    let kprobe = |symbol: &str| AttachSpec::Kprobe { symbol: symbol.to_owned() };
    let raw = |name: &str| AttachSpec::RawTracepoint { name: name.to_owned() };
    if kprobes {
        BaseTargets {
            exec: kprobe("finalize_exec"),
            fork: kprobe("wake_up_new_task"),
            exit: kprobe("acct_process"),
            gains: Some(kprobe("security_bprm_committing_creds")),
            exactness: Exactness::Exact,
        }
    } else {
        BaseTargets {
            exec: raw("sched_process_exec"),
            fork: raw("sched_process_fork"),
            exit: raw("sched_process_exit"),
            gains: None,
            exactness: Exactness::Exact,
        }
    }
}

#[test]
fn root_a_child_is_seen_from_fork_to_exit_with_its_path_and_arguments() {
    let btf = Btf::parse(Arc::from(std::fs::read("/sys/kernel/btf/vmlinux").unwrap())).unwrap();
    let facts = facts(&btf);
    let spec = base_at(&facts, &targets(), BaseOptions::default()).unwrap();
    let context = LoadContext::new(Some(&btf)).unwrap();
    let mut collection = match Collection::load(&spec, &MapSet::new(), &context) {
        Ok(collection) => collection,
        Err(error) => panic!("{error}"),
    };
    for program in collection.programs() {
        assert!(
            program.info().unwrap().verified_insns < 100_000,
            "{} is expensive to verify",
            program.name()
        );
    }
    let mut ring = Ring::open(collection.map(map_name::EVENTS).unwrap()).unwrap();
    collection.attach_all().unwrap();
    let long = "x".repeat(20_000);
    let child = Command::new("/bin/sh").args(["-c", "exit 7", "a b"]).arg(&long).spawn().unwrap();
    let pid = child.id();
    let status = { child }.wait().unwrap();
    assert_eq!(status.code(), Some(7));
    let mut seen = Vec::new();
    let mut data = 0;
    loop {
        match ring.peek() {
            Head::Empty => break,
            Head::Record(bytes) => {
                let (header, _) = Header::read_from_prefix(bytes).unwrap();
                assert_eq!(header.size as usize, bytes.len());
                match RecordKind::from_number(header.kind).unwrap() {
                    RecordKind::Exec => {
                        let (exec, rest) = ExecRecord::read_from_prefix(bytes).unwrap();
                        if exec.process.tgid == pid {
                            let name = String::from_utf8_lossy(&rest[..exec.filename_len as usize]);
                            let path = &rest[exec.filename_len as usize..][..exec.path_len as usize];
                            let cwd = &rest[(exec.filename_len + exec.path_len) as usize..]
                                [..exec.cwd_len as usize];
                            assert_eq!(name, "/bin/sh");
                            let real = std::fs::canonicalize("/bin/sh").unwrap();
                            assert_eq!(path, real.as_os_str().as_encoded_bytes());
                            assert_eq!(cwd, std::env::current_dir().unwrap().as_os_str().as_encoded_bytes());
                            assert_eq!(exec.data_len as usize, 8 + 3 + 7 + 4 + long.len() + 1);
                            assert_eq!(data, exec.data_len);
                            assert_eq!(exec.parent.tgid, std::process::id());
                            seen.push(RecordKind::Exec);
                        }
                    }
                    RecordKind::Fork => {
                        let (fork, _) = ForkRecord::read_from_prefix(bytes).unwrap();
                        if fork.process.tgid == pid {
                            assert_eq!(fork.parent.tgid, std::process::id());
                            seen.push(RecordKind::Fork);
                        }
                    }
                    RecordKind::Exit => {
                        let (exit, _) = ExitRecord::read_from_prefix(bytes).unwrap();
                        if exit.process.tgid == pid {
                            assert_eq!(exit.code, 7 << 8);
                            seen.push(RecordKind::Exit);
                        }
                    }
                    RecordKind::Data => {
                        data +=
                            u32::try_from(bytes.len() - size_of::<bpf_probes::abi::DataRecord>()).unwrap();
                    }
                    RecordKind::Hook | RecordKind::Return => panic!("no hook is attached"),
                    RecordKind::Throttle | RecordKind::Gone => panic!("no cgroup is throttled"),
                }
                ring.advance();
                ring.release();
            }
            Head::Busy => {}
            Head::Corrupt => panic!("the ring is corrupt"),
        }
    }
    assert_eq!(seen, [RecordKind::Fork, RecordKind::Exec, RecordKind::Exit]);
}
