//! Fault-safe reads, paths and comparisons of strings.

use super::*;
use crate::emulate::Errno;
use crate::insn::{Helper, Size, memory};
use crate::spec::{Entry, flag};
use Register::{R1, R2, R3, R10};

const KIND: ProgramKind = ProgramKind::Kprobe;

/// `read(buffer, size, first argument)` into the map `buffer` of 16 bytes `0xee`, and what that returned.
fn reading(helper: Helper, size: i32) -> Machine {
    let spec = MapSpec {
        contents: vec![Entry { key: vec![0; 4], value: vec![0xee; 16] }],
        ..MapSpec::array("buffer", 16, Entries::Fixed(1))
    };
    machine(KIND, vec![spec], move |asm| {
        asm.emit(memory::load(Size::Double, R3, R1, 112));
        asm.load_map_value(R1, "buffer", 0);
        asm.emit(alu::mov_imm(R2, size));
        asm.call(helper);
        asm.emit(jump::exit());
    })
}

/// The result and the first bytes of the buffer.
fn read(machine: &mut Machine, address: u64, bytes: usize) -> (i32, Vec<u8>) {
    let result = machine.run("main", Context::kprobe([address, 0, 0, 0, 0, 0])).unwrap().result();
    (result, machine.map("buffer").unwrap().lookup(&[0; 4]).unwrap()[..bytes].to_vec())
}

#[test]
fn a_kernel_read_copies_all_or_zeroes_all() {
    let mut machine = reading(Helper::ProbeReadKernel, 6);
    let address = machine.world_mut().kernel.bytes("object", b"abcdef");
    assert_eq!(read(&mut machine, address, 7), (0, b"abcdef\xee".to_vec()));
    assert_eq!(read(&mut machine, address + 1, 7), (-14, b"\0\0\0\0\0\0\xee".to_vec()));
    let mut machine = reading(Helper::ProbeReadKernel, 6);
    assert_eq!(read(&mut machine, 0, 7), (-34, b"\0\0\0\0\0\0\xee".to_vec()), "no kernel address");
    let mut machine = reading(Helper::ProbeReadKernel, 0);
    assert_eq!(read(&mut machine, address, 1), (0, b"\xee".to_vec()));
}

#[test]
fn a_user_read_sees_user_memory_only() {
    let mut machine = reading(Helper::ProbeReadUser, 3);
    let user = machine.world_mut().user.bytes("memory", b"xyz");
    let kernel = machine.world_mut().kernel.bytes("object", b"abc");
    assert_eq!(read(&mut machine, user, 4), (0, b"xyz\xee".to_vec()));
    assert_eq!(read(&mut machine, kernel, 4), (-14, b"\0\0\0\xee".to_vec()));
    let mut machine = reading(Helper::CopyFromUser, 3);
    let user = machine.world_mut().user.bytes("memory", b"xyz");
    assert_eq!(read(&mut machine, user, 4), (0, b"xyz\xee".to_vec()));
}

#[test]
fn a_kernel_string_ends_with_its_nul_and_nothing_behind_is_touched() {
    let string = |size: i32, bytes: &[u8]| {
        let mut machine = reading(Helper::ProbeReadKernelStr, size);
        let address = machine.world_mut().kernel.bytes("text", bytes);
        read(&mut machine, address, 8)
    };
    assert_eq!(string(8, b"abc\0zz"), (4, b"abc\0\xee\xee\xee\xee".to_vec()));
    assert_eq!(string(4, b"abc\0zz"), (4, b"abc\0\xee\xee\xee\xee".to_vec()));
    assert_eq!(string(3, b"abc\0zz"), (3, b"ab\0\xee\xee\xee\xee\xee".to_vec()), "cut, with NUL");
    assert_eq!(string(8, b"abc"), (-14, b"\0\0\0\0\0\0\0\0".to_vec()), "no NUL before the end");
    assert_eq!(string(3, b"abc"), (3, b"ab\0\xee\xee\xee\xee\xee".to_vec()));
    assert_eq!(string(0, b"abc"), (0, b"\xee\xee\xee\xee\xee\xee\xee\xee".to_vec()));
}

#[test]
fn a_user_string_is_copied_by_words() {
    let string = |size: i32, bytes: &[u8]| {
        let mut machine = reading(Helper::ProbeReadUserStr, size);
        let address = machine.world_mut().user.bytes("text", bytes);
        read(&mut machine, address, 9)
    };
    assert_eq!(string(16, b"abc\0zz"), (4, b"abc\0\0\0\0\0\xee".to_vec()));
    assert_eq!(string(7, b"abc\0zz"), (4, b"abc\0\xee\xee\xee\xee\xee".to_vec()));
    assert_eq!(string(3, b"abcdef"), (3, b"ab\0\xee\xee\xee\xee\xee\xee".to_vec()));
    assert_eq!(string(8, b"abcd"), (-14, b"\0\0\0\0\0\0\0\0\xee".to_vec()));
}

#[test]
fn reads_fail_on_demand_by_number_and_by_address() {
    let mut machine = reading(Helper::ProbeReadKernel, 2);
    let address = machine.world_mut().kernel.bytes("object", b"abcdef");
    machine.world_mut().faults.fail_read(2);
    assert_eq!(read(&mut machine, address, 2).0, 0, "this run has one read");
    machine.world_mut().faults.fail_read(1);
    assert_eq!(read(&mut machine, address, 2), (-14, vec![0, 0]));
    machine.world_mut().faults.clear();
    machine.world_mut().faults.fail_addresses(address + 3..address + 4);
    assert_eq!(read(&mut machine, address, 2).0, 0);
    assert_eq!(read(&mut machine, address + 2, 2), (-14, vec![0, 0]));
    assert_eq!(read(&mut machine, address + 4, 2), (0, b"ef".to_vec()));
    let outcome = machine.run("main", Context::kprobe([address, 0, 0, 0, 0, 0])).unwrap();
    assert_eq!(outcome.reads, 1);
}

#[test]
fn what_a_string_did_not_fill_stays_unset_on_the_stack() {
    let read_back = |offset: i16| {
        let mut machine = machine(KIND, Vec::new(), move |asm| {
            asm.emit(memory::load(Size::Double, R3, R1, 112));
            asm.emit(alu::mov_reg(R1, R10));
            asm.emit(alu::add_imm(R1, -8));
            asm.emit(alu::mov_imm(R2, 8));
            asm.call(Helper::ProbeReadKernelStr);
            asm.emit(memory::load(Size::Byte, R0, R10, offset));
            asm.emit(jump::exit());
        });
        let address = machine.world_mut().kernel.string("ab");
        machine.run("main", Context::kprobe([address, 0, 0, 0, 0, 0])).map_err(|fault| fault.kind)
    };
    assert_eq!(read_back(-7).unwrap().r0, u64::from(b'b'));
    assert_eq!(read_back(-6).unwrap().r0, 0);
    assert_eq!(read_back(-5).unwrap_err(), FaultKind::UnsetStack { offset: -5 });
}

#[test]
fn the_buffer_of_a_read_must_hold_it() {
    let fault = reading(Helper::ProbeReadKernel, 17).run("main", Context::kprobe([0; 6])).unwrap_err();
    assert!(matches!(fault.kind, FaultKind::OutOfBounds { length: 16, size: 17, .. }));
    let negative = reading(Helper::ProbeReadKernel, -1).run("main", Context::kprobe([0; 6])).unwrap_err();
    assert!(matches!(negative.kind, FaultKind::OutOfBounds { .. }));
}

#[test]
fn machine_memory_is_kernel_memory_too() {
    let got = result(|asm| {
        asm.emit(memory::store_imm(Size::Double, R10, -8, 77));
        asm.emit(alu::mov_reg(R1, R10));
        asm.emit(alu::add_imm(R1, -16));
        asm.emit(alu::mov_imm(R2, 8));
        asm.emit(alu::mov_reg(R3, R10));
        asm.emit(alu::add_imm(R3, -8));
        asm.call(Helper::ProbeReadKernel);
        asm.emit(memory::load(Size::Double, R0, R10, -16));
        asm.emit(jump::exit());
    });
    assert_eq!(got, 77);
}

#[test]
fn a_path_is_told_with_its_nul_when_it_fits() {
    let path = |size: i32, known: bool| {
        let spec = MapSpec::array("buffer", 16, Entries::Fixed(1));
        let mut machine = machine(ProgramKind::Lsm, vec![spec], move |asm| {
            asm.emit(memory::load(Size::Double, R1, R1, 0));
            asm.load_map_value(R2, "buffer", 0);
            asm.emit(alu::mov_imm(R3, size));
            asm.call(Helper::DPath);
            asm.emit(jump::exit());
        });
        let address = machine.world_mut().kernel.object("path", 16);
        if known {
            machine.world_mut().paths.insert(address, b"/etc/shadow".to_vec());
        }
        let result = machine.run("main", Context::arguments(&[address])).unwrap().result();
        let bytes = machine.map("buffer").unwrap().lookup(&[0; 4]).unwrap()[..12].to_vec();
        (result, bytes)
    };
    assert_eq!(path(12, true), (12, b"/etc/shadow\0".to_vec()));
    assert_eq!(path(11, true), (-36, vec![0; 12]));
    assert_eq!(path(16, false), (-14, vec![0; 12]));
}

#[test]
fn strings_compare_until_they_differ_or_end() {
    let compare = |text: [u8; 8], size: i32, flags: u32| {
        let constant = MapSpec {
            contents: vec![Entry { key: vec![0; 4], value: b"abc\0xxxx".to_vec() }],
            ..MapSpec::array("constant", 8, Entries::Fixed(1)).with_flags(flags)
        };
        machine(KIND, vec![constant], move |asm| {
            asm.load_constant(R1, u64::from_le_bytes(text));
            asm.emit(memory::store(Size::Double, R10, -8, R1));
            asm.emit(alu::mov_reg(R1, R10));
            asm.emit(alu::add_imm(R1, -8));
            asm.emit(alu::mov_imm(R2, size));
            asm.load_map_value(R3, "constant", 0);
            asm.call(Helper::Strncmp);
            asm.emit(jump::exit());
        })
        .run("main", Context::kprobe([0; 6]))
        .map(|outcome| outcome.result())
    };
    let constant = flag::RDONLY_PROG;
    assert_eq!(compare(*b"abc\0yyyy", 8, constant), Ok(0));
    assert_eq!(compare(*b"abcdyyyy", 3, constant), Ok(0));
    assert_eq!(compare(*b"abcdyyyy", 4, constant), Ok(1));
    assert_eq!(compare(*b"abayyyyy", 4, constant), Ok(-1));
    assert!(matches!(compare(*b"abc\0yyyy", 8, 0).unwrap_err().kind, FaultKind::Argument { .. }));
}

#[test]
fn errors_are_small_negative_numbers() {
    assert_eq!(Errno::Efault.code().cast_signed(), -14);
    assert_eq!(Errno::Efault.to_string(), "EFAULT");
}
