//! The interpreter against the running kernel: the same bytecode, the same result, the same bytes in maps and rings. Needs root.
#![cfg(all(feature = "load", feature = "emulate"))]
#![expect(clippy::unwrap_used, reason = "tests")]

use Register::{R0, R1, R2, R3, R4, R6, R7, R8, R9, R10};
use bpf_probes::asm::{Assembler, Code, Prototype, link};
use bpf_probes::emulate::{Context, Machine};
use bpf_probes::insn::atomic::{AtomicOp, atomic};
use bpf_probes::insn::jump::Width;
use bpf_probes::insn::opcode::mode;
use bpf_probes::insn::{AluOp, Class, Condition, Helper, Insn, Register, Size, alu, jump, memory};
use bpf_probes::load::{Collection, Head, LoadContext, MapSet, Ring};
use bpf_probes::spec::{
    AttachSpec, CollectionSpec, Entries, Entry, MapKind, MapSpec, ProgramKind, ProgramSpec, Reach, flag,
};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

/// Cells of `out`, eight bytes each.
const CELLS: usize = 16;

/// A program on both sides.
struct Pair {
    machine: Machine,
    kernel: Collection,
}

impl Pair {
    fn new(maps: Vec<MapSpec>, codes: Vec<(&str, Code)>) -> Self {
        let programs = codes
            .into_iter()
            .map(|(name, code)| ProgramSpec {
                name: name.to_owned(),
                kind: ProgramKind::RawTracepoint,
                target: AttachSpec::None,
                reach: Reach::Attached,
                code,
            })
            .collect();
        let spec = CollectionSpec { maps, imports: Vec::new(), programs };
        let context = LoadContext::new(None).unwrap();
        let kernel = Collection::load(&spec, &MapSet::new(), &context).unwrap();
        Self { machine: Machine::new(&spec).unwrap(), kernel }
    }

    /// A program with the map `out` only.
    fn main(out: MapSpec, code: Code) -> Self {
        Self::new(vec![out], vec![("main", code)])
    }

    /// Runs both and returns the lower 32 bits of both results.
    fn run(&mut self, arguments: &[u64]) -> (u32, u32) {
        let bytes: Vec<u8> = arguments.iter().flat_map(|value| value.to_le_bytes()).collect();
        let emulated = self.machine.run("main", Context::bytes(bytes.clone())).unwrap();
        let native = self.kernel.program("main").unwrap().run(&[], &bytes).unwrap();
        (emulated.result().cast_unsigned(), native)
    }

    /// What the first key of an array holds on both sides.
    fn cells(&self, map: &str) -> (Vec<u64>, Vec<u64>) {
        let words = |bytes: &[u8]| {
            bytes.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word)).collect::<Vec<_>>()
        };
        let native = self.kernel.map(map).unwrap().lookup(&[0; 4]).unwrap().unwrap();
        (words(self.machine.map(map).unwrap().lookup(&[0; 4]).unwrap()), words(&native))
    }

    /// Sets the first cells of `out` on both sides, the rest to zero.
    fn start(&mut self, cells: &[u64]) {
        let value = bytes_of(cells);
        self.machine.map_mut("out").unwrap().update(&[0; 4], &value).unwrap();
        self.kernel.map("out").unwrap().update(&[0; 4], &value).unwrap();
    }

    /// Runs both and compares result and `out`.
    fn agree(&mut self, arguments: &[u64]) -> Vec<u64> {
        let (emulated, native) = self.run(arguments);
        assert_eq!(emulated, native, "results");
        let (emulated, native) = self.cells("out");
        assert_eq!(emulated, native, "map");
        emulated
    }
}

fn bytes_of(cells: &[u64]) -> Vec<u8> {
    let mut value: Vec<u8> = cells.iter().flat_map(|value| value.to_le_bytes()).collect();
    value.resize(CELLS * 8, 0);
    value
}

fn out(start: &[u64]) -> MapSpec {
    MapSpec {
        contents: vec![Entry { key: vec![0; 4], value: bytes_of(start) }],
        ..MapSpec::array("out", u32::try_from(CELLS * 8).unwrap(), Entries::Fixed(1))
    }
}

fn code(emit: impl FnOnce(&mut Assembler)) -> Code {
    let mut asm = Assembler::new("main", Prototype::Main);
    emit(&mut asm);
    link(vec![asm.finish().unwrap()]).unwrap()
}

fn cell(index: usize) -> i16 {
    i16::try_from(index * 8).unwrap()
}

fn store_result(asm: &mut Assembler, index: usize) {
    asm.load_map_value(R1, "out", 0);
    asm.emit(memory::store(Size::Double, R1, cell(index), R0));
}

fn exit(asm: &mut Assembler, value: i32) {
    asm.emit(alu::mov_imm(R0, value));
    asm.emit(jump::exit());
}

/// `R2 = &stack[at]`, `at` negative.
fn stack_address(asm: &mut Assembler, dst: Register, at: i32) {
    asm.emit(alu::mov_reg(dst, R10));
    asm.emit(alu::add_imm(dst, at));
}

const DATA: [Register; 4] = [R6, R7, R8, R9];

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![
        any::<u64>(),
        0_u64..70,
        any::<u32>().prop_map(u64::from),
        prop::sample::select(vec![u64::MAX, 1 << 63, 1 << 31, 1 << 32, 0xffff_ffff, 0x8000_0001]),
    ]
}

/// One instruction on the data registers that the verifier takes.
fn arithmetic() -> impl Strategy<Value = Insn> {
    let register = || prop::sample::select(DATA.to_vec());
    let ops = vec![
        AluOp::Add,
        AluOp::Sub,
        AluOp::Mul,
        AluOp::Div,
        AluOp::Or,
        AluOp::And,
        AluOp::Lsh,
        AluOp::Rsh,
        AluOp::Mod,
        AluOp::Xor,
        AluOp::Mov,
        AluOp::Arsh,
    ];
    let plain =
        (prop::sample::select(ops), any::<bool>(), register(), register(), any::<i32>(), any::<bool>())
            .prop_map(|(op, wide, dst, src, imm, by_register)| {
                // the verifier refuses shifts past the width and divisions by a constant zero
                let shifts = matches!(op, AluOp::Lsh | AluOp::Rsh | AluOp::Arsh);
                let divides = matches!(op, AluOp::Div | AluOp::Mod);
                let width = if wide { 63 } else { 31 };
                let imm = if shifts { imm & width } else { imm | i32::from(divides) };
                match (by_register, wide) {
                    (true, true) => alu::reg(op, dst, src),
                    (true, false) => alu::reg32(op, dst, src),
                    (false, true) => alu::imm(op, dst, imm),
                    (false, false) => alu::imm32(op, dst, imm),
                }
            });
    let swap = (register(), prop::sample::select(vec![16, 32, 64]), prop::sample::select(vec![0xdc, 0xd4]))
        .prop_map(|(dst, bits, opcode)| Insn { opcode, ..alu::to_big_endian(dst, bits) });
    let negate = (register(), any::<bool>()).prop_map(|(dst, wide)| Insn {
        opcode: AluOp::Neg as u8 | if wide { Class::Alu64 } else { Class::Alu32 } as u8,
        ..alu::mov_imm(dst, 0)
    });
    prop_oneof![8 => plain, 1 => swap, 1 => negate]
}

fn runs(cases: u32) -> TestRunner {
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    TestRunner::new_with_rng(
        config,
        proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha),
    )
}

/// Loads the data registers from the first cells, does something, and stores them behind.
fn on_data(asm: &mut Assembler, act: impl FnOnce(&mut Assembler)) {
    asm.load_map_value(R1, "out", 0);
    for (index, register) in DATA.into_iter().enumerate() {
        asm.emit(memory::load(Size::Double, register, R1, cell(index)));
    }
    act(asm);
    asm.load_map_value(R1, "out", 0);
    for (index, register) in DATA.into_iter().enumerate() {
        asm.emit(memory::store(Size::Double, R1, cell(4 + index), register));
    }
    exit(asm, 0);
}

#[test]
fn root_arithmetic_is_the_kernels() {
    let starts = prop::collection::vec(prop::array::uniform4(number()), 8);
    runs(40)
        .run(&(starts, prop::collection::vec(arithmetic(), 1..60)), |(starts, insns)| {
            let code = code(|asm| on_data(asm, |asm| insns.iter().for_each(|insn| asm.emit(*insn))));
            let mut pair = Pair::main(out(&[]), code);
            for start in starts {
                pair.start(&start);
                pair.agree(&[]);
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn root_comparisons_are_the_kernels() {
    const CONDITIONS: [Condition; 11] = [
        Condition::Eq,
        Condition::Gt,
        Condition::Ge,
        Condition::Set,
        Condition::Ne,
        Condition::SGt,
        Condition::SGe,
        Condition::Lt,
        Condition::Le,
        Condition::SLt,
        Condition::SLe,
    ];
    // one bit of cell 4 for each condition, width and kind of operand
    let compare = |imm: i32| {
        code(|asm| {
            on_data(asm, |asm| {
                asm.emit(alu::mov_imm(R8, 0));
                for condition in CONDITIONS {
                    for width in [Width::Bits64, Width::Bits32] {
                        let (first, second) = (asm.label(), asm.label());
                        asm.emit(alu::imm(AluOp::Lsh, R8, 2));
                        asm.jump_if_reg(width, condition, R6, R7, first);
                        asm.emit(alu::imm(AluOp::Or, R8, 1));
                        asm.bind(first);
                        asm.jump_if(width, condition, R6, imm, second);
                        asm.emit(alu::imm(AluOp::Or, R8, 2));
                        asm.bind(second);
                    }
                }
            });
        })
    };
    let operands = prop::collection::vec((number(), number(), any::<bool>()), 20);
    runs(10)
        .run(&(any::<i32>(), operands), |(imm, operands)| {
            let mut pair = Pair::main(out(&[]), compare(imm));
            for (x, y, same) in operands {
                pair.start(&[x, if same { x } else { y }]);
                pair.agree(&[]);
                pair.start(&[i64::from(imm).cast_unsigned(), y]);
                pair.agree(&[]);
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn root_later_instructions_are_the_kernels() {
    let sign_extended = |bits: i16| Insn { offset: bits, ..alu::mov_reg(R8, R6) };
    let narrow = |bits: i16| Insn { offset: bits, ..alu::reg32(AluOp::Mov, R8, R6) };
    let signed = |op| Insn { offset: 1, ..alu::reg(op, R6, R7) };
    let signed32 = |op| Insn { offset: 1, ..alu::reg32(op, R6, R7) };
    let mut insns: Vec<Insn> = [8, 16, 32].map(sign_extended).to_vec();
    insns.extend([narrow(8), narrow(16)]);
    for op in [AluOp::Div, AluOp::Mod] {
        insns.extend([signed(op), signed32(op)]);
    }
    insns.extend([16, 32, 64].map(|bits| Insn { opcode: 0xd7, ..alu::to_big_endian(R6, bits) }));
    for insn in insns {
        let mut pair = Pair::main(out(&[]), code(|asm| on_data(asm, |asm| asm.emit(insn))));
        for start in [
            [0x8899_aabb_ccdd_eeff, 3],
            [7, u64::MAX],
            [1 << 63, u64::MAX],
            [0x8000_0000, 0xffff_ffff],
            [(-7_i64).cast_unsigned(), 2],
            [9, 0],
        ] {
            pair.start(&start);
            pair.agree(&[]);
        }
    }
}

#[test]
fn root_loads_stores_and_atomics_are_the_kernels() {
    const OPS: [AtomicOp; 10] = [
        AtomicOp::Add,
        AtomicOp::Or,
        AtomicOp::And,
        AtomicOp::Xor,
        AtomicOp::FetchAdd,
        AtomicOp::FetchOr,
        AtomicOp::FetchAnd,
        AtomicOp::FetchXor,
        AtomicOp::Exchange,
        AtomicOp::CompareExchange,
    ];
    let atomics = |size: Size| {
        code(|asm| {
            on_data(asm, |asm| {
                for op in OPS {
                    asm.load_map_value(R1, "out", 8 * 10);
                    asm.emit(memory::store(Size::Double, R1, 0, R6));
                    asm.emit(alu::mov_reg(R2, R7));
                    asm.emit(alu::mov_reg(R0, R6));
                    asm.emit(atomic(op, size, R1, 0, R2));
                    asm.emit(memory::load(Size::Double, R3, R1, 0));
                    for part in [R0, R2, R3] {
                        asm.emit(alu::imm(AluOp::Mul, R8, 1_000_003));
                        asm.emit(alu::add_reg(R8, part));
                    }
                }
            });
        })
    };
    let loads = code(|asm| {
        on_data(asm, |asm| {
            asm.load_map_value(R1, "out", 0);
            for (size, offset) in [(Size::Byte, 3), (Size::Half, 2), (Size::Word, 4)] {
                for mode in [mode::MEM, mode::MEMSX] {
                    let load = memory::load(size, R2, R1, offset);
                    let opcode = Class::Ldx as u8 | mode | size.bits();
                    asm.emit(Insn { opcode, ..load });
                    asm.emit(alu::imm(AluOp::Mul, R8, 1_000_003));
                    asm.emit(alu::add_reg(R8, R2));
                }
            }
            for (index, size) in [Size::Byte, Size::Half, Size::Word, Size::Double].into_iter().enumerate() {
                asm.emit(memory::store(size, R1, cell(8 + index), R7));
                asm.emit(memory::store_imm(size, R1, cell(12 + index), -2));
            }
        });
    });
    let mut pairs =
        [atomics(Size::Word), atomics(Size::Double), loads].map(|code| Pair::main(out(&[]), code));
    let pairs = std::cell::RefCell::new(&mut pairs);
    runs(100)
        .run(&(number(), number()), |(x, y)| {
            for pair in pairs.borrow_mut().iter_mut() {
                pair.start(&[x, y]);
                pair.agree(&[]);
            }
            Ok(())
        })
        .unwrap();
}

/// Reads `size` bytes from the first argument into `out` and stores the result in the last cell.
fn reading(helper: Helper, size: i32) -> Code {
    code(|asm| {
        asm.emit(memory::load(Size::Double, R3, R1, 0));
        asm.load_map_value(R1, "out", 0);
        asm.emit(alu::mov_imm(R2, size));
        asm.call(helper);
        store_result(asm, CELLS - 1);
        exit(asm, 0);
    })
}

#[test]
fn root_reads_of_user_memory_are_the_kernels() {
    let mut text = [0x77; 96];
    text[..34].copy_from_slice(b"a string of some length\0behind it\0");
    let stale = [0xeeee_eeee_eeee_eeee; 8];
    for helper in [Helper::ProbeReadUser, Helper::ProbeReadUserStr] {
        for size in [0, 1, 5, 8, 23, 24, 25, 31, 32, 34] {
            let mut pair = Pair::main(out(&[]), reading(helper, size));
            let emulated = pair.machine.world_mut().user.bytes("text", &text);
            for start in [0, 1, 7, 16, 23] {
                pair.start(&stale);
                let address = (emulated + start).to_le_bytes();
                pair.machine.run("main", Context::bytes(address)).unwrap();
                let address = (text.as_ptr() as u64 + start).to_le_bytes();
                pair.kernel.program("main").unwrap().run(&[], &address).unwrap();
                let (emulated, native) = pair.cells("out");
                assert_eq!(emulated, native, "{helper:?} of {size} bytes from {start}");
            }
        }
    }
}

#[test]
fn root_reads_of_bad_addresses_are_the_kernels() {
    let stale = [0xeeee_eeee_eeee_eeee; 8];
    let helpers = [
        Helper::ProbeReadUser,
        Helper::ProbeReadUserStr,
        Helper::ProbeReadKernel,
        Helper::ProbeReadKernelStr,
    ];
    for helper in helpers {
        for size in [0, 13] {
            let mut pair = Pair::main(out(&[]), reading(helper, size));
            for address in [0, 8, 0x1000, 0x7fff_ffff_f000, 0xffff_8000_0000_0000, u64::MAX - 0xfff] {
                pair.start(&stale);
                pair.agree(&[address]);
            }
        }
    }
}

#[test]
fn root_kernel_strings_are_the_kernels() {
    // the program finds kernel memory that it knows: its own map
    for size in [0, 1, 3, 4, 5, 16] {
        for start in [0, 1, 3, 4] {
            let code = code(|asm| {
                asm.load_map_value(R3, "text", start);
                asm.load_map_value(R1, "out", 0);
                asm.emit(alu::mov_imm(R2, size));
                asm.call(Helper::ProbeReadKernelStr);
                store_result(asm, CELLS - 1);
                exit(asm, 0);
            });
            let text = MapSpec {
                contents: vec![Entry { key: vec![0; 4], value: b"abc\0defghijklmno\0vwxyz!!".to_vec() }],
                ..MapSpec::array("text", 24, Entries::Fixed(1))
            };
            let mut pair = Pair::new(vec![out(&[u64::MAX; 8]), text], vec![("main", code)]);
            pair.agree(&[]);
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Operation {
    Update { key: u64, value: u64, flags: i32 },
    Delete { key: u64 },
    Lookup { key: u64 },
}

/// Operations on map `map`, keys and values of 8 bytes; a fold of all results goes to cell 0.
fn operations(list: &[Operation]) -> Code {
    code(|asm| {
        asm.emit(alu::mov_imm(R6, 0));
        for operation in list {
            let (Operation::Update { key, .. } | Operation::Delete { key } | Operation::Lookup { key }) =
                *operation;
            asm.load_constant(R1, key);
            asm.emit(memory::store(Size::Double, R10, -8, R1));
            asm.load_map(R1, "map");
            stack_address(asm, R2, -8);
            match *operation {
                Operation::Update { value, flags, .. } => {
                    asm.load_constant(R3, value);
                    asm.emit(memory::store(Size::Double, R10, -16, R3));
                    stack_address(asm, R3, -16);
                    asm.emit(alu::mov_imm(R4, flags));
                    asm.call(Helper::MapUpdateElem);
                }
                Operation::Delete { .. } => asm.call(Helper::MapDeleteElem),
                Operation::Lookup { .. } => {
                    let absent = asm.label();
                    asm.call(Helper::MapLookupElem);
                    asm.jump_if(Width::Bits64, Condition::Eq, R0, 0, absent);
                    asm.emit(memory::load(Size::Double, R0, R0, 0));
                    asm.bind(absent);
                }
            }
            asm.emit(alu::imm(AluOp::Mul, R6, 1_000_003));
            asm.emit(alu::add_reg(R6, R0));
        }
        asm.emit(alu::mov_reg(R0, R6));
        store_result(asm, 0);
        exit(asm, 0);
    })
}

fn operation(key: impl Strategy<Value = u64> + Clone) -> impl Strategy<Value = Operation> {
    let flags = prop_oneof![4 => Just(0), 1 => Just(1), 1 => Just(2), 1 => Just(3)];
    prop_oneof![
        3 => (key.clone(), 1_u64..1000, flags)
            .prop_map(|(key, value, flags)| Operation::Update { key, value, flags }),
        1 => key.clone().prop_map(|key| Operation::Delete { key }),
        3 => key.prop_map(|key| Operation::Lookup { key }),
    ]
}

#[test]
fn root_hash_maps_are_the_kernels() {
    runs(25)
        .run(&prop::collection::vec(operation(0_u64..5), 1..40), |list| {
            let map = MapSpec::hash("map", 8, 8, 3).with_flags(flag::NO_PREALLOC);
            Pair::new(vec![out(&[]), map], vec![("main", operations(&list))]).agree(&[]);
            Ok(())
        })
        .unwrap();
}

#[test]
fn root_prefix_maps_are_the_kernels() {
    // few bits that differ, so that prefixes contain one another; one length is too long
    let key = (prop::sample::select(vec![0_u64, 1, 2, 7, 8, 9, 16, 31, 32, 33]), 0_u64..4, 0_u64..4)
        .prop_map(|(bits, first, last)| bits | first << 38 | last << 62);
    runs(30)
        .run(&prop::collection::vec(operation(key), 1..40), |list| {
            let map = MapSpec { kind: MapKind::LpmTrie, ..MapSpec::hash("map", 8, 8, 8) };
            let map = map.with_flags(flag::NO_PREALLOC);
            Pair::new(vec![out(&[]), map], vec![("main", operations(&list))]).agree(&[]);
            Ok(())
        })
        .unwrap();
}

#[test]
fn root_rings_fill_as_the_kernels() {
    // sizes that are and are not multiples of eight; 8 more than fits at the end
    for size in [1, 8, 12, 500, 4080, 4081] {
        let code = code(|asm| {
            asm.load_map(R1, "events");
            asm.load_map_value(R2, "bytes", 0);
            asm.emit(alu::mov_imm(R3, size));
            asm.emit(alu::mov_imm(R4, 0));
            asm.call(Helper::RingbufOutput);
            store_result(asm, 0);
            for what in 0..5 {
                asm.load_map(R1, "events");
                asm.emit(alu::mov_imm(R2, what));
                asm.call(Helper::RingbufQuery);
                store_result(asm, 1 + usize::try_from(what).unwrap());
            }
            exit(asm, 0);
        });
        let bytes = MapSpec::array("bytes", 4088, Entries::Fixed(1));
        let maps = vec![out(&[]), bytes, MapSpec::ring("events", 4096)];
        let mut pair = Pair::new(maps, vec![("main", code)]);
        let mut ring = Ring::open(pair.kernel.map("events").unwrap()).unwrap();
        for round in 0..2 {
            let mut sent = 0;
            while pair.agree(&[])[0] == 0 {
                sent += 1;
            }
            let emulated = pair.machine.ring_mut("events").unwrap().drain().len();
            let mut native = 0;
            while let Head::Record(_) = ring.peek() {
                ring.advance();
                native += 1;
            }
            ring.release();
            assert_eq!((emulated, native), (sent, sent), "{size} bytes, round {round}");
        }
    }
}

#[test]
fn root_loops_are_the_kernels() {
    for (count, last) in [(0_u64, 5), (7, 100), (7, 3), (1 << 32 | 2, 9), ((8 << 20) + 1, 0)] {
        let mut main = Assembler::new("main", Prototype::Main);
        main.load_constant(R1, count);
        main.load_subprogram(R2, "callback");
        main.emit(memory::store_imm(Size::Double, R10, -8, 0));
        stack_address(&mut main, R3, -8);
        main.emit(alu::mov_imm(R4, 0));
        main.call(Helper::Loop);
        store_result(&mut main, 0);
        main.emit(memory::load(Size::Double, R0, R10, -8));
        store_result(&mut main, 1);
        exit(&mut main, 0);
        let mut callback = Assembler::new("callback", Prototype::LoopCallback);
        let go_on = callback.label();
        callback.emit(memory::load(Size::Double, R3, R2, 0));
        callback.emit(alu::add_reg(R3, R1));
        callback.emit(memory::store(Size::Double, R2, 0, R3));
        callback.emit(alu::mov_imm(R0, 0));
        callback.jump_if(Width::Bits64, Condition::Ne, R1, last, go_on);
        callback.emit(alu::mov_imm(R0, 1));
        callback.bind(go_on);
        callback.emit(jump::exit());
        let code = link(vec![main.finish().unwrap(), callback.finish().unwrap()]).unwrap();
        Pair::main(out(&[]), code).agree(&[]);
    }
}

#[test]
fn root_as_many_tail_calls_as_the_kernels() {
    let again = code(|asm| {
        asm.emit(alu::mov_reg(R6, R1));
        asm.load_map_value(R1, "out", 0);
        asm.emit(alu::mov_imm(R2, 1));
        asm.emit(atomic(AtomicOp::Add, Size::Double, R1, 0, R2));
        asm.emit(alu::mov_reg(R1, R6));
        asm.load_map(R2, "next");
        asm.load_map_value(R3, "out", 8);
        asm.emit(memory::load(Size::Word, R3, R3, 0));
        asm.call(Helper::TailCall);
        exit(asm, 5);
    });
    let next = MapSpec { kind: MapKind::ProgArray, ..MapSpec::array("next", 4, Entries::Fixed(2)) };
    let mut pair = Pair::new(vec![out(&[]), next], vec![("main", again)]);
    assert_eq!(pair.agree(&[])[0], 1, "the slot is empty");
    pair.machine.set_program("next", 0, "main").unwrap();
    let kernel = &pair.kernel;
    kernel.map("next").unwrap().set_program(0, kernel.program("main").unwrap()).unwrap();
    assert_eq!(pair.agree(&[])[0], 1 + 34);
}
