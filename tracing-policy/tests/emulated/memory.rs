//! Working memory: enough of it, given back, and what happens when there is none.

use std::mem::offset_of;

use bpf_probes::abi::{Counters, Loss, map_name};
use bpf_probes::emulate::Context;
use bpf_probes::spec::AttachSpec;
use tracing_policy::policy::Role;
use zerocopy::FromBytes;

use crate::kernel::recorded;
use crate::run::{Emulated, attached, policy, resolved};

fn lsm() -> AttachSpec {
    AttachSpec::Lsm { hook: "file_open".to_owned() }
}

const DENY: &str = "{matchArgs: [{index: 0, operator: Prefix, values: [/etc]}], matchActions: [{action: Override, argError: -13}]}";

fn lost(it: &Emulated<'_>, loss: Loss) -> u64 {
    let counters = it.machine.map(map_name::COUNTERS).unwrap().lookup(&[0; 4]).unwrap();
    let at = offset_of!(Counters, lost) + 8 * loss as usize;
    u64::read_from_bytes(&counters[at..at + 8]).unwrap()
}

#[test]
fn a_call_that_finds_no_memory_is_not_let_through_and_counted() {
    let view = recorded("6.12");
    let text = policy("security_file_open", "{index: 0, type: file}", DENY);
    let mut it = Emulated::new(&[attached(resolved(&text, &view), &lsm(), Role::Deny)], &view);
    let file = it.objects.file(&mut it.machine, &view, "/bin/ls", 0);
    let taken = |it: &mut Emulated<'_>, word: u8, entries: std::ops::Range<u32>| {
        let map = it.machine.map_mut(map_name::CLAIMED).unwrap();
        for entry in entries {
            let mut value = map.lookup(&entry.to_ne_bytes()).unwrap().to_vec();
            value[0] = word;
            map.update(&entry.to_ne_bytes(), &value).unwrap();
        }
    };
    taken(&mut it, 1, 0..32);
    assert_eq!(it.run(Context::arguments(&[file, 0])).result(), -11);
    assert_eq!(lost(&it, Loss::Scratch), 1);
    taken(&mut it, 0, 31..32);
    for _ in 0..3 {
        assert_eq!(
            it.run(Context::arguments(&[file, 0])).result(),
            0,
            "the last one of another CPU is found"
        );
    }
    let key = 31_u32.to_ne_bytes();
    let entry = it.machine.map(map_name::CLAIMED).unwrap().lookup(&key).unwrap();
    assert_eq!(entry[..8], [0; 8], "it is given back");
    assert_eq!(lost(&it, Loss::Scratch), 1);
}

#[test]
fn what_an_earlier_module_denied_stays_denied() {
    let view = recorded("6.12");
    let text = policy("security_file_open", "{index: 0, type: file}", DENY);
    let mut it = Emulated::new(&[attached(resolved(&text, &view), &lsm(), Role::Deny)], &view);
    let file = it.objects.file(&mut it.machine, &view, "/bin/ls", 0);
    assert_eq!(it.run(Context::arguments(&[file, (-1_i64).cast_unsigned()])).result(), -1);
}

#[test]
fn a_hook_that_needs_more_memory_than_is_shared_has_its_own() {
    let arguments = "{index: 0, type: string}, {index: 1, type: string}, {index: 2, type: string}, \
                     {index: 3, type: string}, {index: 4, type: string}";
    let filters: Vec<String> =
        (0..5).map(|index| format!("{{index: {index}, operator: Equal, values: [v{index}]}}")).collect();
    let selector = format!("{{matchArgs: [{}]}}", filters.join(", "));
    for view in [recorded("6.12"), recorded("5.10")] {
        let text = policy("sys_mount", arguments, &selector);
        let mut it = Emulated::new(&[resolved(&text, &view), resolved(&text, &view)], &view);
        let mut mount = |last: &str| {
            let user = &mut it.machine.world_mut().user;
            let mut words: Vec<u64> = (0..4).map(|index| user.string(format!("v{index}"))).collect();
            words.push(user.string(last));
            let arguments = [words[0], words[1], words[2], words[3], words[4], 0];
            let registers = it.machine.world_mut().syscall_registers(165, arguments);
            it.call([registers, 0, 0, 0, 0, 0]);
            it.reports()
        };
        let reports = mount("v4");
        assert_eq!(reports.len(), 2);
        let values: Vec<_> = reports[1].values.iter().map(|(_, bytes)| bytes.as_slice()).collect();
        assert_eq!(values, [b"v0", b"v1", b"v2", b"v3", b"v4"]);
        assert!(mount("v5").is_empty());
        assert!(it.compiled.bodies[0].collection.map("memory").is_some());
    }
}

#[test]
fn an_argument_that_no_selector_needs_any_more_is_not_read() {
    let view = recorded("6.12");
    let text = |value: &str| {
        let filters = format!(
            "{{matchArgs: [{{index: 1, operator: Equal, values: ['{value}']}}, {{index: 0, operator: Prefix, values: [/]}}]}}"
        );
        policy("security_file_permission", "{index: 0, type: file}, {index: 1, type: int}", &filters)
    };
    let mut it = Emulated::new(&[resolved(&text("4"), &view), resolved(&text("5"), &view)], &view);
    let file = it.objects.file(&mut it.machine, &view, "/a/b/c", 0);
    it.call([file, 3, 0, 0, 0, 0]);
    let without = it.steps;
    it.call([file, 4, 0, 0, 0, 0]);
    assert_eq!(it.reporters(), [0]);
    assert!(it.steps > 3 * without, "{} and {without} steps", it.steps);
}

#[test]
fn who_passes_a_denial_that_can_be_missed_is_killed() {
    let view = recorded("6.12");
    let text = policy("security_file_open", "{index: 0, type: file}", DENY);
    let kprobe = AttachSpec::Kprobe { symbol: "security_file_open".to_owned() };
    let mut it =
        Emulated::new(&[attached(resolved(&text, &view), &kprobe, Role::ReportAndKillDenied)], &view);
    let denied = it.objects.file(&mut it.machine, &view, "/etc/shadow", 0);
    let other = it.objects.file(&mut it.machine, &view, "/bin/ls", 0);
    let signals = |outcome: bpf_probes::emulate::Outcome| -> Vec<u32> {
        outcome.signals.iter().map(|signal| signal.number).collect()
    };
    assert_eq!(signals(it.call([denied, 0, 0, 0, 0, 0])), [9]);
    assert_eq!(signals(it.call([other, 0, 0, 0, 0, 0])), [0; 0]);
    let reports = it.reports();
    assert_eq!((reports.len(), reports[0].record.action), (1, bpf_probes::abi::Action::Override as u8));
}

#[test]
fn the_first_policy_that_denies_says_with_which_error() {
    let view = recorded("6.12");
    let deny = |path: &str, errno: i32| {
        let selectors = format!(
            "{{matchArgs: [{{index: 0, operator: Equal, values: [{path}]}}], matchActions: [{{action: Post}}]}}, \
             {{matchArgs: [{{index: 0, operator: Prefix, values: [/etc]}}], matchActions: [{{action: Override, argError: {errno}}}]}}"
        );
        let text = policy("security_file_open", "{index: 0, type: file}", &selectors);
        attached(resolved(&text, &view), &lsm(), Role::Deny)
    };
    let mut it = Emulated::new(&[deny("/etc/a", -1), deny("/etc/b", -2), deny("/etc/a", -3)], &view);
    for (path, errno) in [("/etc/x", -1), ("/etc/a", -2), ("/etc/b", -1), ("/bin", 0)] {
        let file = it.objects.file(&mut it.machine, &view, path, 0);
        assert_eq!(it.run(Context::arguments(&[file, 0])).result(), errno, "{path}");
    }
    it.monitor(0);
    let file = it.objects.file(&mut it.machine, &view, "/etc/a", 0);
    assert_eq!(it.run(Context::arguments(&[file, 0])).result(), -2);
    it.monitor(1);
    assert_eq!(
        it.run(Context::arguments(&[file, 0])).result(),
        0,
        "the third policy's first selector matches"
    );
}
