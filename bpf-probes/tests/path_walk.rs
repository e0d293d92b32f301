//! The path walk on made-up directories, in every form that a kernel may get.
#![cfg(feature = "emulate")]
#![expect(clippy::unwrap_used, reason = "tests")]

use std::path::Path;

use bpf_probes::asm::Prototype;
use bpf_probes::builder::{Facts, Function, LoopForm, Program, ReadForm};
use bpf_probes::emulate::{Context, FilePlace, Filesystem, Machine};
use bpf_probes::insn::{Register, Size};
use bpf_probes::kernel::KernelView;
use bpf_probes::routine::layout::PATH_END;
use bpf_probes::routine::{add_path_walk, walk_in_cpu_entry};
use bpf_probes::sensor::shared;
use bpf_probes::spec::{AttachSpec, CollectionSpec, ProgramKind, ProgramSpec, Reach};

fn kernel(version: &str) -> KernelView {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(version);
    KernelView::from_files(|name| std::fs::read(folder.join(name)).ok()).unwrap()
}

/// A kprobe program that walks from the dentry in its first argument and the mount in its second.
fn walker(facts: &Facts<'_>) -> CollectionSpec {
    let mut program = Program::new();
    add_path_walk(&mut program, facts, &shared::scratch()).unwrap();
    let mut f = Function::new("walk", Prototype::Main, facts);
    let out = f.label();
    f.copy(Register::R6, Register::R1);
    f.cpu_entry(Register::R7, "scratch", out).unwrap();
    let register = |name| i16::try_from(facts.offset_of("pt_regs", name).unwrap()).unwrap();
    f.load(Size::Double, Register::R1, Register::R6, register("di"));
    f.load(Size::Double, Register::R2, Register::R6, register("si"));
    walk_in_cpu_entry(&mut f, Register::R7);
    f.store(Size::Double, Register::R7, 48, Register::R0);
    f.bind(out);
    f.return_constant(0);
    CollectionSpec {
        maps: vec![shared::scratch()],
        imports: Vec::new(),
        programs: vec![ProgramSpec {
            name: "walk".to_owned(),
            kind: ProgramKind::Kprobe,
            target: AttachSpec::None,
            reach: Reach::TailCalled,
            code: program.link(f.finish().unwrap()).unwrap(),
        }],
    }
}

struct Walk {
    path: Vec<u8>,
    unresolved: bool,
}

/// The kernels, each with the forms that it has.
fn forms() -> Vec<(&'static str, ReadForm, LoopForm)> {
    vec![
        ("5.10", ReadForm::Probe, LoopForm::Bounded),
        ("6.1", ReadForm::Probe, LoopForm::Callback),
        ("6.12", ReadForm::Cast, LoopForm::Callback),
        ("7.2", ReadForm::Cast, LoopForm::Callback),
    ]
}

fn on_every_form(scene: impl Fn(&Filesystem<'_>, &mut Machine) -> FilePlace, check: impl Fn(&str, Walk)) {
    for (version, reads, loops) in forms() {
        let view = kernel(version);
        let facts = Facts { reads, loops, ..Facts::of(&view) };
        let mut machine = Machine::new(&walker(&facts)).unwrap();
        machine.set_budget(2_000_000);
        let fs = Filesystem::new(view.btf());
        let place = scene(&fs, &mut machine);
        let context = Context::kprobe([place.dentry, place.mount, 0, 0, 0, 0]);
        machine.run("walk", context).unwrap();
        let entry = machine.map("scratch").unwrap().lookup(&0_u32.to_le_bytes()).unwrap();
        let result = u64::from_le_bytes(entry[48..56].try_into().unwrap());
        let length = usize::try_from(result & 0xffff_ffff).unwrap();
        let end = PATH_END as usize;
        let walk = Walk { path: entry[end - length..end].to_vec(), unresolved: result >> 32 != 0 };
        assert!(entry[end..end + 16].iter().all(|byte| *byte == 0), "the slack stays zero");
        check(version, walk);
    }
}

fn is(expected: &'static str) -> impl Fn(&str, Walk) {
    move |version, walk| {
        assert_eq!(String::from_utf8_lossy(&walk.path), expected, "{version}");
        assert!(!walk.unresolved, "{version}");
    }
}

#[test]
fn a_path_is_its_names_from_the_root() {
    let scene = |fs: &Filesystem<'_>, machine: &mut Machine| {
        let world = machine.world_mut();
        let root = fs.root(world);
        fs.enter(world, root, root);
        fs.path(world, root, "/etc/shadow")
    };
    on_every_form(scene, is("/etc/shadow"));
}

#[test]
fn the_root_is_a_slash() {
    let scene = |fs: &Filesystem<'_>, machine: &mut Machine| {
        let world = machine.world_mut();
        let root = fs.root(world);
        fs.enter(world, root, root);
        root
    };
    on_every_form(scene, is("/"));
}

#[test]
fn mounts_and_bind_mounts_are_crossed() {
    let scene = |fs: &Filesystem<'_>, machine: &mut Machine| {
        let world = machine.world_mut();
        let root = fs.root(world);
        fs.enter(world, root, root);
        let source = fs.path(world, root, "/srv/data");
        let point = fs.path(world, root, "/mnt/here");
        let bound = fs.mount(world, point, Some(source));
        let inner = fs.path(world, bound, "/deep");
        let tmpfs = fs.mount(world, inner, None);
        fs.path(world, tmpfs, "/file")
    };
    on_every_form(scene, is("/mnt/here/deep/file"));
}

#[test]
fn a_task_in_another_root_sees_paths_from_there() {
    let scene = |fs: &Filesystem<'_>, machine: &mut Machine| {
        let world = machine.world_mut();
        let root = fs.root(world);
        let jail = fs.path(world, root, "/jail");
        fs.enter(world, jail, jail);
        fs.path(world, jail, "/etc/passwd")
    };
    on_every_form(scene, is("/etc/passwd"));
}

#[test]
fn what_lies_outside_the_root_is_shown_from_the_top_of_the_tree() {
    let scene = |fs: &Filesystem<'_>, machine: &mut Machine| {
        let world = machine.world_mut();
        let root = fs.root(world);
        let jail = fs.path(world, root, "/jail");
        fs.enter(world, jail, jail);
        fs.path(world, root, "/etc/passwd")
    };
    on_every_form(scene, is("/etc/passwd"));
}

#[test]
fn an_unlinked_file_is_marked() {
    let scene = |fs: &Filesystem<'_>, machine: &mut Machine| {
        let world = machine.world_mut();
        let root = fs.root(world);
        fs.enter(world, root, root);
        let file = fs.path(world, root, "/tmp/x");
        fs.unlink(world, file);
        file
    };
    on_every_form(scene, is("/tmp/x (deleted)"));
}

#[test]
fn a_pipe_has_no_path_and_a_memfd_its_name() {
    for (name, path) in [("", ""), ("memfd:x", "/memfd:x")] {
        let scene = |fs: &Filesystem<'_>, machine: &mut Machine| {
            let world = machine.world_mut();
            let root = fs.root(world);
            fs.enter(world, root, root);
            fs.detached(world, name)
        };
        on_every_form(scene, is(path));
    }
}

#[test]
fn names_of_full_length_fill_the_buffer_and_more_is_unresolved() {
    let long = format!("/{}", "n".repeat(255)).repeat(15);
    for (extra, fits) in [(250, true), (255, true)] {
        let path = format!("{long}/{}", "e".repeat(extra));
        let expected = path.clone();
        let scene = |fs: &Filesystem<'_>, machine: &mut Machine| {
            let world = machine.world_mut();
            let root = fs.root(world);
            fs.enter(world, root, root);
            fs.path(world, root, &path)
        };
        on_every_form(scene, |version, walk| {
            assert_eq!(walk.unresolved, !fits, "{version} {extra}");
            assert_eq!(walk.path.len(), expected.len(), "{version} {extra}");
        });
    }
    let too_long = format!("{long}/{}/x", "e".repeat(255));
    let scene = |fs: &Filesystem<'_>, machine: &mut Machine| {
        let world = machine.world_mut();
        let root = fs.root(world);
        fs.enter(world, root, root);
        fs.path(world, root, &too_long)
    };
    on_every_form(scene, |version, walk| assert!(walk.unresolved, "{version}"));
}

#[test]
fn many_names_are_walked_in_every_form() {
    let path = "/d".repeat(1000);
    let scene = |fs: &Filesystem<'_>, machine: &mut Machine| {
        let world = machine.world_mut();
        let root = fs.root(world);
        fs.enter(world, root, root);
        fs.path(world, root, &path)
    };
    on_every_form(scene, |version, walk| {
        assert!(!walk.unresolved, "{version}");
        assert_eq!(walk.path.len(), 2000, "{version}");
    });
}

#[test]
fn names_of_every_length_are_copied_whole_and_touch_nothing_beside() {
    for length in 1..=255_usize {
        let name: String = (0..length).map(|at| char::from(b'a' + u8::try_from(at % 26).unwrap())).collect();
        let path = format!("/before/{name}/x");
        let scene = |fs: &Filesystem<'_>, machine: &mut Machine| {
            let world = machine.world_mut();
            let root = fs.root(world);
            fs.enter(world, root, root);
            fs.path(world, root, &path)
        };
        on_every_form(scene, |version, walk| {
            assert_eq!(String::from_utf8_lossy(&walk.path), path, "{version}");
        });
    }
}
