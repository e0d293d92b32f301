//! What changed since a process's image began.

use bpf_probes::abi::map_name;
use bpf_probes::emulate::Context;
use bpf_probes::kernel::{KernelView, Namespace};

use crate::kernel::{Thread, recorded, thread};
use crate::run::{Emulated, policy, resolved};

fn kernels() -> Vec<KernelView> {
    ["5.10", "6.1", "6.12", "7.2"].map(recorded).into()
}

fn start() -> Thread {
    Thread { namespaces: [10, 11, 12, 13, 13, 0, 16, 16, 18, 19], capabilities: [0b111, 0, 0b1111] }
}

fn emulated<'k>(selectors: &[&str], view: &'k KernelView) -> Emulated<'k> {
    let text = |selector: &&str| policy("sys_close", "{index: 0, type: int}", selector);
    let policies: Vec<_> = selectors.iter().map(|selector| resolved(&text(selector), view)).collect();
    Emulated::new(&policies, view)
}

/// The process calls exec in this state.
fn exec(it: &mut Emulated<'_>, current: &Thread) {
    thread(&mut it.machine, it.view, current);
    it.machine.run("record_exec", Context::kprobe([0; 6])).unwrap();
}

/// Which policies report a call in this state.
fn call(it: &mut Emulated<'_>, current: &Thread) -> Vec<u32> {
    thread(&mut it.machine, it.view, current);
    let registers = it.machine.world_mut().syscall_registers(3, [7, 0, 0, 0, 0, 0]);
    it.call([registers, 0, 0, 0, 0, 0]);
    it.reporters()
}

fn with(kind: Namespace, number: u32) -> Thread {
    let mut current = start();
    current.namespaces[kind as usize] = number;
    current
}

// proves: SEL-10
#[test]
fn a_changed_namespace_is_told_once_by_those_who_ask_for_it() {
    let selectors = [
        "{matchNamespaceChanges: [{operator: In, values: [Mnt, User]}]}",
        "{matchNamespaceChanges: [{operator: NotIn, values: [Mnt, User]}]}",
        "{matchPIDs: [{operator: In, values: [1]}]}, {matchNamespaceChanges: [{operator: In, values: [Uts]}]}",
    ];
    for view in &kernels() {
        let mut it = emulated(&selectors, view);
        assert!(call(&mut it, &with(Namespace::Mnt, 1)).is_empty(), "nothing is recorded of it");
        exec(&mut it, &start());
        assert!(call(&mut it, &start()).is_empty());
        assert_eq!(call(&mut it, &with(Namespace::Mnt, 1)), [0]);
        assert!(call(&mut it, &with(Namespace::Mnt, 1)).is_empty(), "told before");
        assert_eq!(call(&mut it, &start()), [0], "changed back");
        assert_eq!(call(&mut it, &with(Namespace::Uts, 1)), [1, 2]);
        // changed back, and another one
        assert_eq!(call(&mut it, &with(Namespace::Ipc, 1)), [1, 2]);
        let mut both = with(Namespace::Ipc, 1);
        both.namespaces[Namespace::User as usize] = 5;
        assert_eq!(call(&mut it, &both), [0]);
        exec(&mut it, &with(Namespace::Mnt, 77));
        assert!(call(&mut it, &with(Namespace::Mnt, 77)).is_empty());
    }
}

// proves: SEL-12
#[test]
fn a_changed_capability_is_told_once_by_those_who_ask_for_it() {
    let selectors = [
        "{matchCapabilityChanges: [{operator: In, values: [CAP_CHOWN, CAP_BPF]}]}",
        "{matchCapabilityChanges: [{operator: NotIn, values: [CAP_CHOWN]}]}",
        "{matchCapabilityChanges: [{type: Permitted, operator: In, values: [CAP_CHOWN]}]}",
    ];
    for view in &kernels() {
        let mut it = emulated(&selectors, view);
        let with =
            |effective: u64, permitted: u64| Thread { capabilities: [effective, 9, permitted], ..start() };
        assert!(call(&mut it, &with(0, 0)).is_empty(), "nothing is recorded of it");
        exec(&mut it, &with(0b111, 0b1111));
        assert!(call(&mut it, &with(0b111, 0b1111)).is_empty());
        assert_eq!(call(&mut it, &with(0b110, 0b1111)), [0]);
        assert!(call(&mut it, &with(0b110, 0b1111)).is_empty(), "told before");
        assert_eq!(call(&mut it, &with(0b100, 0b1111)), [1]);
        // both one that is listed and one that is not
        assert_eq!(call(&mut it, &with(0b111, 0b1111)), [0]);
        assert_eq!(call(&mut it, &with(0b111, 0b1110)), [2]);
        assert_eq!(call(&mut it, &with(1 << 39 | 0b111, 0b1110)), [0, 1]);
    }
}

#[test]
fn an_exit_forgets_what_was_recorded() {
    for view in &kernels() {
        let mut it = emulated(&["{matchNamespaceChanges: [{operator: In, values: [Mnt]}]}"], view);
        exec(&mut it, &start());
        let key = it.machine.world().task.tgid.to_ne_bytes();
        assert!(it.machine.map(map_name::RECORDED).unwrap().lookup(&key).is_some());
        it.machine.run("record_exit", Context::kprobe([1, 1, 0, 0, 0, 0])).unwrap();
        assert!(it.machine.map(map_name::RECORDED).unwrap().lookup(&key).is_none());
    }
}
