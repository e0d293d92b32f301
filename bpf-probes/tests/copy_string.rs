//! Strings of the kernel copied in every form that a kernel may get: the helper's result whatever lies behind the string.
#![cfg(feature = "emulate")]
#![expect(clippy::unwrap_used, reason = "tests")]

use std::path::Path;

use bpf_probes::asm::Prototype;
use bpf_probes::builder::{Facts, Function, Program, ReadForm};
use bpf_probes::emulate::{Context, Machine};
use bpf_probes::insn::{Register, Size};
use bpf_probes::kernel::KernelView;
use bpf_probes::routine::copy_string;
use bpf_probes::sensor::shared;
use bpf_probes::spec::{AttachSpec, CollectionSpec, ProgramKind, ProgramSpec, Reach};

const MAX: u32 = 256;
/// Where the string goes in the working memory, behind the result.
const PLACE: u32 = 16;

/// A kprobe program that copies the string in its first argument.
fn copier(reads: ReadForm) -> Machine {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/6.12");
    let view = KernelView::from_files(|name| std::fs::read(folder.join(name)).ok()).unwrap();
    let facts = Facts { reads, ..Facts::of(&view) };
    let mut f = Function::new("copy", Prototype::Main, &facts);
    let [context, entry, offset, source] = [(); 4].map(|()| f.register().unwrap());
    let out = f.label();
    f.copy(context, Register::R1);
    f.cpu_entry(entry, "scratch", out).unwrap();
    let first = i16::try_from(facts.offset_of("pt_regs", "di").unwrap()).unwrap();
    f.load(Size::Double, source, context, first);
    f.constant(offset, u64::from(PLACE));
    copy_string(&mut f, entry, offset, source, MAX).unwrap();
    f.store(Size::Double, entry, 0, Register::R0);
    f.bind(out);
    f.return_constant(0);
    let spec = CollectionSpec {
        maps: vec![shared::scratch()],
        imports: Vec::new(),
        programs: vec![ProgramSpec {
            name: "copy".to_owned(),
            kind: ProgramKind::Kprobe,
            target: AttachSpec::None,
            reach: Reach::TailCalled,
            code: Program::new().link(f.finish().unwrap()).unwrap(),
        }],
    };
    Machine::new(&spec).unwrap()
}

/// The result, and the bytes that it counts.
fn copy(machine: &mut Machine, bytes: &[u8]) -> (i64, Vec<u8>) {
    let address = machine.world_mut().kernel.bytes("text", bytes);
    machine.run("copy", Context::kprobe([address, 0, 0, 0, 0, 0])).unwrap();
    let entry = machine.map("scratch").unwrap().lookup(&0_u32.to_le_bytes()).unwrap();
    let result = i64::from_le_bytes(entry[..8].try_into().unwrap());
    let length = usize::try_from(result).unwrap_or(0);
    (result, entry[PLACE as usize..][..length].to_vec())
}

/// A string of `length` bytes without a zero, high bits and ones included.
fn text(length: usize) -> Vec<u8> {
    (0..length).map(|at| [0x80, 0x01, b'a', 0xff, 0x81, b'/'][at % 6]).collect()
}

#[test]
fn a_string_of_any_length_arrives_with_its_nul_and_nothing_more() {
    for reads in [ReadForm::Cast, ReadForm::Probe] {
        let mut machine = copier(reads);
        for length in 0..=200 {
            for behind in [&b""[..], b"\0\0\0\0\0\0\0\0", b"behind the string", b"\0x\0y\0z\0"] {
                let whole = [&text(length), &[0][..]].concat();
                let (result, copied) = copy(&mut machine, &[&whole, behind].concat());
                assert_eq!(copied, whole, "{length} bytes, {behind:?} behind, {reads:?}");
                assert_eq!(result, i64::try_from(length + 1).unwrap());
            }
        }
    }
}

#[test]
fn a_string_without_an_end_is_cut_and_one_that_cannot_be_read_is_an_error() {
    for reads in [ReadForm::Cast, ReadForm::Probe] {
        let mut machine = copier(reads);
        let (result, copied) = copy(&mut machine, &text(400));
        assert_eq!(result, i64::from(MAX), "{reads:?}");
        assert_eq!(copied, [&text(255), &[0][..]].concat());
        assert_eq!(copy(&mut machine, &text(20)).0, -14, "no NUL before the end, {reads:?}");
    }
}
