//! Whatever the policy and the memory, its programs do nothing that a kernel would refuse.
//!
//! Each program passed `asm::check` when it was built; the interpreter then refuses what the kernel's verifier would: registers and stack read before they are set,
//! accesses outside of what a pointer points to, records that are not given back, too many instructions.

use std::cell::OnceCell;
use std::path::Path;

use bpf_probes::emulate::{Context, Machine, Registers};
use bpf_probes::kernel::KernelView;
use bpf_probes::sensor::{BaseOptions, BaseTargets, base, recording};
use bpf_probes::spec::ProgramKind;
use tracing_policy::policy::Resolved;
use tracing_policy::source::SourceText;
use tracing_policy::{CompiledBody, Rider, compile_hook};

use crate::Tried;
use crate::memory::{Memory, Random, fill};
use crate::parse::places_are_inside;

/// Hooks of a policy that are compiled: a list of calls may stand for hundreds.
const HOOKS: usize = 3;
/// Calls of each program.
const CALLS: usize = 4;
/// Instructions that a call may take.
const STEPS: u64 = 2_000_000;
/// The recorded kernels.
const KERNELS: [&str; 5] = ["5.10", "6.1", "6.12", "6.18", "7.2"];

/// A recorded kernel, and a machine with its base programs.
struct Prepared {
    view: KernelView,
    machine: Machine,
}

impl Prepared {
    fn of(release: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bpf-probes/testdata").join(release);
        let view =
            KernelView::from_files(|name| std::fs::read(folder.join(name)).ok()).expect("a recorded kernel");
        let spec = base(&view, BaseOptions::default()).expect("base programs are built for recorded kernels");
        let mut machine = Machine::new(&spec).expect("base programs load");
        let facts = bpf_probes::builder::Facts::of(&view);
        let targets = BaseTargets::of(&view).expect("base programs have their places");
        let recorded = recording(&facts, &targets, 64).expect("its programs are built for recorded kernels");
        machine.load(&recorded).expect("they load");
        machine.set_budget(STEPS);
        Self { view, machine }
    }
}

/// Compiles a policy for one of the recorded kernels and runs its programs.
pub fn compile_and_run(input: &[u8]) -> Tried {
    thread_local! {
        static PREPARED: [OnceCell<Prepared>; KERNELS.len()] = const { [const { OnceCell::new() }; KERNELS.len()] };
    }
    let Ok(source) = SourceText::from_bytes("input", input) else { return Tried::Refused };
    let Ok((policy, _warnings)) = tracing_policy::read(&source) else { return Tried::Refused };
    let mut random = Random::of(input);
    let number = random.below(KERNELS.len());
    PREPARED.with(|prepared| {
        let prepared = prepared[number].get_or_init(|| Prepared::of(KERNELS[number]));
        let text = String::from_utf8_lossy(input);
        match tracing_policy::resolve(policy, &prepared.view) {
            Ok(resolved) => run(&resolved, prepared, &mut random, &text),
            Err(errors) => {
                assert!(!errors.is_empty(), "refused without a reason");
                for error in &errors {
                    places_are_inside(error, &text);
                }
                Tried::Refused
            }
        }
    })
}

fn run(policy: &Resolved, prepared: &Prepared, random: &mut Random, text: &str) -> Tried {
    let mut tried = Tried::Refused;
    for hook in policy.hooks.iter().take(HOOKS) {
        let classes: Vec<u32> = (0..).take(hook.classes.len()).collect();
        let rider =
            Rider { hook, policy_number: 0, layout_number: 1, first_selector: 0, class_numbers: &classes };
        // alone, and beside itself, which is another form
        for riders in [&[rider][..], &[rider, rider]] {
            match compile_hook(riders, &prepared.view) {
                Ok(compiled) => {
                    for body in &compiled.bodies {
                        run_body(body, prepared, random);
                    }
                    tried = Tried::Valid;
                }
                Err(errors) => {
                    for error in &errors {
                        places_are_inside(error, text);
                        // a jump can be too long for an instruction; nothing else may go wrong so late
                        let too_far = error.message.contains("does not fit") || error.message.contains("far");
                        assert!(too_far, "{}", error.message);
                    }
                }
            }
        }
    }
    tried
}

fn run_body(body: &CompiledBody, prepared: &Prepared, random: &mut Random) {
    let mut machine = prepared.machine.clone();
    machine.load(&body.collection).expect("what is compiled fits the base programs' maps");
    let memory = fill(&mut machine, random);
    let kind = body.target.program_kind().expect("a program has a kind");
    for _ in 0..CALLS {
        let context = context(kind, &memory, &mut machine, random);
        let fault = machine.run("body", context).err();
        assert!(fault.is_none(), "{} on {}: {fault:?}", body.target, prepared.view.release());
    }
}

/// What a program of that kind is called with.
fn context(kind: ProgramKind, memory: &Memory, machine: &mut Machine, random: &mut Random) -> Context {
    let arguments = std::array::from_fn(|_| memory.word(random));
    // a system call has its arguments behind the first
    let syscall = machine.world_mut().syscall_registers(random.below(400) as u64, arguments);
    let mut words: [u64; 6] = std::array::from_fn(|_| memory.word(random));
    if random.below(2) == 0 {
        words[0] = syscall;
    }
    match kind {
        ProgramKind::Kprobe
        | ProgramKind::KprobeMulti
        | ProgramKind::Uprobe
        | ProgramKind::UprobeMulti
        | ProgramKind::UprobeSleepable
        | ProgramKind::UprobeMultiSleepable => Context::registers(Registers::call(words)),
        ProgramKind::Tracepoint => {
            let bytes: Vec<u8> = (0..256).flat_map(|_| memory.word(random).to_le_bytes()).collect();
            Context::bytes(bytes)
        }
        ProgramKind::RawTracepoint
        | ProgramKind::BtfTracepoint
        | ProgramKind::Fentry
        | ProgramKind::Fexit
        | ProgramKind::FmodRet
        | ProgramKind::Lsm
        | ProgramKind::LsmSleepable
        | ProgramKind::SocketFilter => Context::arguments(&[words, [0; 6]].concat()),
    }
}
