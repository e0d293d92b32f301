//! Stacks of kernel and program in reports.

use bpf_probes::abi::{STACK_FRAMES, hook_flag, value_flag};
use bpf_probes::kernel::KernelView;

use crate::kernel::recorded;
use crate::run::{Emulated, policy, resolved};

fn kernels() -> [KernelView; 4] {
    [recorded("5.10"), recorded("6.1"), recorded("6.12"), recorded("7.2")]
}

fn emulated<'k>(selectors: &[&str], view: &'k KernelView) -> Emulated<'k> {
    let text = |selectors| policy("security_file_open", "{index: 0, type: file}", selectors);
    let policies: Vec<_> = selectors.iter().map(|selectors| resolved(&text(selectors), view)).collect();
    Emulated::new(&policies, view)
}

fn addresses(bytes: &[u8]) -> Vec<u64> {
    bytes.as_chunks().0.iter().map(|frame| u64::from_ne_bytes(*frame)).collect()
}

// proves: ACT-14 (kernel and user)
#[test]
fn a_report_carries_the_stacks_that_its_selector_asks_for() {
    let selectors = [
        "{matchActions: [{action: Post, kernelStackTrace: true}]}",
        "{matchPIDs: [{operator: In, values: [5]}], matchActions: [{action: Post}]},
         {matchActions: [{action: Signal, argSig: 2}, {action: Post, userStackTrace: true, kernelStackTrace: true}]}",
        "{matchActions: [{action: Post, userStackTrace: true}]}",
        "{}",
        "{matchActions: [{action: NoPost}, {action: Post, userStackTrace: true}]}",
    ];
    let (kernel, user) = (hook_flag::KERNEL_STACK, hook_flag::USER_STACK);
    for view in &kernels() {
        let mut it = emulated(&selectors, view);
        it.process(1, &[]);
        it.machine.world_mut().kernel_stack = vec![11, 12, 13];
        it.machine.world_mut().user_stack = vec![21];
        for (tgid, second) in [(1000, kernel | user), (5, 0)] {
            it.machine.world_mut().task.tgid = tgid;
            it.process(1, &[]);
            let file = it.objects.file(&mut it.machine, view, "/some/file", 0);
            it.call([file, 0, 0, 0, 0, 0]);
            let reports = it.reports();
            let flags: Vec<u8> = reports.iter().map(|report| report.record.flags).collect();
            assert_eq!(flags, [kernel, second, user, 0]);
            for report in &reports {
                assert_eq!(report.values[0].1, b"/some/file");
                let stacks: Vec<_> = report.stacks.iter().map(|(_, bytes)| addresses(bytes)).collect();
                let mut expected = Vec::new();
                if report.record.flags & kernel != 0 {
                    expected.push(vec![11, 12, 13]);
                }
                if report.record.flags & user != 0 {
                    expected.push(vec![21]);
                }
                assert_eq!(stacks, expected);
            }
        }
    }
}

// proves: ACT-14 (depth)
#[test]
fn a_stack_has_127_frames_and_one_that_cannot_be_taken_says_so() {
    let selector =
        "{matchActions: [{action: Post, kernelStackTrace: true, userStackTrace: true, rateLimit: 1m}]}";
    for view in &kernels() {
        let mut it = emulated(&[selector], view);
        it.machine.world_mut().kernel_stack = (1..=200).collect();
        let file = it.objects.file(&mut it.machine, view, "/a", 0);
        it.call([file, 0, 0, 0, 0, 0]);
        let report = &it.reports()[0];
        let frames: Vec<u64> = (1..=u64::from(STACK_FRAMES)).collect();
        assert_eq!(addresses(&report.stacks[0].1), frames);
        let (header, bytes) = &report.stacks[1];
        assert_eq!((header.flags, header.status, bytes.len()), (value_flag::ERROR, 14, 0));
    }
}
