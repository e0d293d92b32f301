//! Stacks of records to those of events.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use api::event::{Event, EventKind, StackFrame};

use super::super::config::Config;
use super::records::{Bench, INIT, config, hook_with_stacks};

const KERNEL: [u64; 3] = [0xffff_ffff_8100_0010, 0xffff_ffff_8100_0123, 0xffff_ffff_9000_0000];
const USER: [u64; 2] = [0x55d0_a000_1004, 0x10];

/// A procfs with the functions of a kernel, and the mappings of init.
fn procfs() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let symbols = "ffffffff81000000 T security_file_open\nffffffff81000100 t do_open\n";
    std::fs::write(dir.path().join("kallsyms"), symbols).unwrap();
    std::fs::create_dir(dir.path().join("1")).unwrap();
    let maps = "55d0a0001000-55d0a0003000 r-xp 00001000 fd:01 1234    /sbin/init\n";
    std::fs::write(dir.path().join("1/maps"), maps).unwrap();
    dir
}

fn stacks(event: &Event) -> (Vec<StackFrame>, Vec<StackFrame>) {
    let EventKind::Kprobe(kprobe) = &event.kind else { panic!("{event:?}") };
    (kprobe.kernel_stack.clone(), kprobe.user_stack.clone())
}

fn frame(address: u64, offset: u64, symbol: &str, module: &str) -> StackFrame {
    StackFrame { address, offset, symbol: symbol.into(), module: module.into() }
}

// proves: ACT-14 (symbols), EVT-03 (stacks), EVT-19, ENR-15, SEC-05
#[test]
fn frames_are_named_and_their_addresses_shown_only_on_demand() {
    let procfs = procfs();
    for show in [false, true] {
        let config = Config { proc_root: procfs.path().into(), stack_addresses: show, ..config() };
        let mut bench = Bench::new(&config);
        let at = |address| if show { address } else { 0 };
        let (kernel, user) = stacks(&bench.one(hook_with_stacks(INIT, &KERNEL, Some(&USER))));
        let expected = [
            frame(at(KERNEL[0]), 0x10, "security_file_open", ""),
            frame(at(KERNEL[1]), 0x23, "do_open", ""),
            frame(at(KERNEL[2]), 0, "", ""),
        ];
        assert_eq!(kernel, expected);
        assert_eq!(user, [frame(at(USER[0]), 0x1004, "", "/sbin/init"), frame(at(USER[1]), 0, "", "")]);
    }
}

#[test]
fn a_stack_that_could_not_be_taken_is_empty_and_unknown_files_have_no_names() {
    let mut bench = Bench::new(&config());
    let (kernel, user) = stacks(&bench.one(hook_with_stacks(INIT, &KERNEL[..1], None)));
    assert_eq!((kernel, user), (vec![frame(0, 0, "", "")], Vec::new()));
    let (_, user) = stacks(&bench.one(hook_with_stacks(INIT, &[], Some(&USER[..1]))));
    assert_eq!(user, [frame(0, 0, "", "")]);
}

#[test]
fn stacks_that_end_outside_the_record_are_refused() {
    let mut bench = Bench::new(&config());
    let whole = hook_with_stacks(INIT, &KERNEL, Some(&USER));
    let mut cut = whole.clone();
    // the size of the record, one frame too small
    let size = u32::try_from(8 * whole.len() - 8).unwrap();
    cut[0] = cut[0] & 0xffff_ffff | u64::from(size) << 32;
    assert!(bench.take(&[cut]).is_empty());
    assert_eq!(bench.take(&[whole]).len(), 1);
}
