//! What a process is given when it is forked: its parent's classes, and those of its numbers.

use std::mem::offset_of;

use bpf_probes::abi::{ClassSet, Control, NumberKey, ProcessState, map_name};
use bpf_probes::emulate::{Context, Machine};
use bpf_probes::kernel::KernelView;
use bpf_probes::sensor::{BaseOptions, base};
use bpf_probes::spec::ProgramKind;
use zerocopy::{FromBytes, IntoBytes};

use crate::kernel::{leader, other_task, own_pid, real_parent, recorded};

/// The child that is forked, and its parent.
const CHILD: u32 = 77;
const PARENT: u32 = 70;

fn classes(numbers: &[u32]) -> ClassSet {
    let mut set = ClassSet::default();
    for number in numbers {
        set.insert(*number);
    }
    set
}

/// The classes of a child with this number in a namespace of its own, or in the host's only; its parent has classes 3 and 500.
fn forked(view: &KernelView, own: Option<u32>, asked: bool) -> Vec<u32> {
    let spec = base(view, BaseOptions::default()).unwrap();
    let kind = spec.programs.iter().find(|program| program.name == "fork").unwrap().kind;
    let mut machine = Machine::new(&spec).unwrap();
    let control = machine.map_mut(map_name::CONTROL).unwrap();
    let mut cells = control.lookup(&[0; 4]).unwrap().to_vec();
    cells[offset_of!(Control, tables)] = if asked { 4 } else { 0 };
    control.update(&[0; 4], &cells).unwrap();
    let numbers = machine.map_mut(map_name::NUMBERS).unwrap();
    for (number, namespace, class) in [
        (0, NumberKey::OWN, 0),
        (1, NumberKey::OWN, 1),
        (1, NumberKey::HOST, 2),
        (CHILD, NumberKey::HOST, 64),
        (CHILD, NumberKey::OWN, 65),
        (PARENT, NumberKey::HOST, 66),
    ] {
        let key = NumberKey { number, namespace };
        numbers.update(key.as_bytes(), classes(&[class]).as_bytes()).unwrap();
    }
    let parent = ProcessState { ktime: 5, classes: classes(&[3, 500]), ..ProcessState::default() };
    machine.map_mut(map_name::PROCESSES).unwrap().update(&PARENT.to_ne_bytes(), parent.as_bytes()).unwrap();
    other_task(&mut machine, view);
    leader(&mut machine, view, CHILD);
    real_parent(&mut machine, view, PARENT);
    if let Some(own) = own {
        own_pid(&mut machine, view, own);
    }
    let task = machine.world().task.address;
    let context = if kind == ProgramKind::Kprobe {
        Context::kprobe([task, 0, 0, 0, 0, 0])
    } else {
        Context::arguments(&[0, task])
    };
    machine.run("fork", context).unwrap();
    let state = machine.map(map_name::PROCESSES).unwrap().lookup(&CHILD.to_ne_bytes()).unwrap();
    let state = ProcessState::read_from_bytes(state).unwrap();
    assert_eq!(state.parent.tgid, PARENT);
    (0..512).filter(|class| state.classes.contains(*class)).collect()
}

// proves: SEL-05 (followForks of those that are forked later), SEL-07 (inheritance in the kernel)
#[test]
fn a_child_has_the_classes_of_its_parent_and_of_its_numbers() {
    for kernel in ["5.10", "6.1", "6.12", "6.18", "7.2"] {
        let view = recorded(kernel);
        assert_eq!(forked(&view, None, true), [3, 64, 500], "{kernel}: of the host's namespace");
        assert_eq!(forked(&view, Some(1), true), [0, 1, 3, 64, 500], "{kernel}: the first of its namespace");
        assert_eq!(forked(&view, Some(2), true), [0, 3, 64, 500], "{kernel}: another of it");
        assert_eq!(forked(&view, Some(CHILD), true), [0, 3, 64, 65, 500], "{kernel}: with the host's number");
        assert_eq!(forked(&view, Some(1), false), [3, 500], "{kernel}: nobody asks");
    }
}
