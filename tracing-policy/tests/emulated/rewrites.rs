//! Overrides at places in programs: registers that get other values.

use bpf_probes::abi::{Action, Counter};
use bpf_probes::emulate::{Context, Outcome, Registers};
use bpf_probes::kernel::{Feature, KernelView};
use tracing_policy::diagnostic::Code;
use tracing_policy::policy::Role;

use crate::kernel::recorded;
use crate::run::{Emulated, policy_codes};
use crate::uprobes::{hooked, kernels, resolve};

/// Kernels whose programs may write registers.
fn writing() -> Vec<KernelView> {
    let views = kernels().into_iter().filter(|view| view.has(Feature::UprobeRegisterWrite));
    let views: Vec<_> = views.collect();
    assert!(!views.is_empty());
    views
}

/// Matches calls whose first argument is 1.
fn selectors(action: &str) -> String {
    format!(
        "args: [{{index: 0, type: int}}], selectors: [{{matchArgs: [{{index: 0, operator: Equal, values: ['1']}}], matchActions: [{action}]}}]"
    )
}

fn with(parameters: &str) -> String {
    selectors(&format!("{{action: Override{parameters}}}"))
}

/// Both programs of the place, one after the other; returns the registers with which the thread goes on.
fn pass(it: &mut Emulated<'_>, before: Registers) -> (Registers, Outcome) {
    let decided = it.run(Context::registers(before));
    assert_eq!(decided.context, None, "the one that decides writes nothing");
    let written = it.machine.run("stub", Context::registers(before)).unwrap();
    let after = written.context.map_or(before, |bytes| Registers::from_bytes(&bytes).unwrap());
    (after, decided)
}

fn arrival(it: &mut Emulated<'_>) -> Registers {
    let stack = it.machine.world_mut().user.bytes("stack", &0xcafe_u64.to_le_bytes());
    let memory = it.machine.world_mut().user.bytes("memory", &0x1122_3344_5566_7788_u64.to_le_bytes());
    Registers {
        sp: stack,
        ip: 0x5000,
        bx: 0x8877_6655_4433_2211,
        si: memory,
        ..Registers::call([1, memory, 0, 0, 0, 0])
    }
}

// proves: ACT-06 (argError, emulated)
#[test]
fn a_function_returns_at_once_to_its_caller_with_the_value() {
    for view in &writing() {
        let policy = hooked(view, &with(", argError: -13"));
        let roles: Vec<_> = policy.hooks[0].attachments.iter().map(|it| it.role).collect();
        assert_eq!(roles, [Role::Override, Role::ReportAndOverride]);
        let mut it = Emulated::new(&[policy], view);
        let before = arrival(&mut it);
        let (after, _) = pass(&mut it, before);
        let expected = Registers { ax: (-13_i64).cast_unsigned(), ip: 0xcafe, sp: before.sp + 8, ..before };
        assert_eq!(after, expected);
        assert_eq!(it.reports().remove(0).record.action, Action::Override as u8);
        assert_eq!(it.count(0, 0, Counter::Override), 1);
        // once, and only what matches
        assert_eq!(it.machine.run("stub", Context::registers(before)).unwrap().context, None);
        let other = Registers { di: 2, ..before };
        assert_eq!(pass(&mut it, other).0, other);
        it.monitor(0);
        assert_eq!(pass(&mut it, before).0, before);
        assert_eq!(it.count(0, 0, Counter::MonitorOverride), 1);
    }
}

// proves: ACT-06 (argRegs, emulated)
#[test]
fn registers_are_written_one_after_the_other() {
    for view in &writing() {
        for (written, change) in [
            ("'rax=11'", (|r| Registers { ax: 11, ..r }) as fn(Registers) -> Registers),
            ("'rdi=%rsi', 'rsi=%rdi'", |r| Registers { di: r.si, ..r }),
            ("'rdx=-8%rsp'", |r| Registers { dx: r.sp - 8, ..r }),
            ("'rcx=(%rsi)'", |r| Registers { cx: 0x1122_3344_5566_7788, ..r }),
            ("'ecx=2(%rsi)'", |r| Registers { cx: 0x3344_5566, ..r }),
            ("'ebx=-1'", |r| Registers { bx: 0xffff_ffff, ..r }),
            ("'bx=0xabcd'", |r| Registers { bx: r.bx & !0xffff | 0xabcd, ..r }),
            ("'bh=%bl'", |r| Registers { bx: r.bx & !0xff00 | 0x1100, ..r }),
            ("'r8w=%bh', 'r9=1%r8'", |r| Registers { r8: 0x22, r9: 0x23, ..r }),
            ("'rdx=(%rsi)', 'rdx=%dl'", |r| Registers { dx: 0x88, ..r }),
        ] {
            let mut it = Emulated::new(&[hooked(view, &with(&format!(", argRegs: [{written}]")))], view);
            let before = arrival(&mut it);
            assert_eq!(pass(&mut it, before).0, change(before), "{written}");
        }
    }
}

// proves: ACT-06 (faults, emulated)
#[test]
fn who_would_get_through_since_memory_is_not_there_is_killed() {
    for view in &writing() {
        let mut it = Emulated::new(&[hooked(view, &with(", argRegs: ['rax=1', 'rdx=8(%r15)']"))], view);
        let before = arrival(&mut it);
        let (after, decided) = pass(&mut it, before);
        assert_eq!((after, decided.signals.len()), (before, 1));
    }
}

// proves: ACT-06 (several policies, emulated)
#[test]
fn the_first_of_several_policies_overrides_and_all_report() {
    for view in &writing() {
        let watch = hooked(view, "args: [{index: 0, type: int}]");
        let all =
            [watch, hooked(view, &with(", argRegs: ['rax=1']")), hooked(view, &with(", argRegs: ['rdx=2']"))];
        let mut it = Emulated::new(&all, view);
        let seats: Vec<_> = it.compiled.bodies.iter().map(|body| body.role).collect();
        assert_eq!(seats, [Role::Override, Role::ReportAndOverride]);
        let before = arrival(&mut it);
        assert_eq!(pass(&mut it, before).0, Registers { ax: 1, ..before });
        assert_eq!(it.reporters(), [0, 1, 2]);
    }
}

// proves: ACT-07 (emulated)
#[test]
fn the_thread_goes_on_at_another_place_of_the_file() {
    for view in &writing() {
        let place = |parameter: &str| {
            let hook = format!("path: /bin/hooked, offsets: [0x1139], {}", with(&format!(", {parameter}")));
            resolve(view, "", &hook)
        };
        let mut it = Emulated::new(&[place("argNewOffset: 0x1100").unwrap()], view);
        let before = arrival(&mut it);
        assert_eq!(pass(&mut it, before).0, Registers { ip: 0x5000 - 0x39, ..before });
        assert_eq!(place("argNewOffset: 0x10000").unwrap_err(), [Code::NoSuchFunction]);
        assert_eq!(place("argNewSymbol: main").unwrap_err(), [Code::NoSuchFunction]);
        // in an ELF file by symbol and address: where it is loaded
        let elf = |parameter: &str| {
            let hook = format!("path: /bin/elf, symbols: [main], {}", with(&format!(", {parameter}")));
            let policy = resolve(view, "", &hook).unwrap();
            let mut it = Emulated::new(&[policy], view);
            let before = arrival(&mut it);
            pass(&mut it, before).0.ip.wrapping_sub(before.ip)
        };
        assert_eq!(elf("argNewSymbol: main+0x10"), 16);
        let start = elf("argNewSymbol: _start");
        assert_ne!(start, 0);
        let bytes = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let entry = u64::from_le_bytes(bytes[24..32].try_into().unwrap());
        assert_eq!(elf(&format!("argNewAddr: {entry}")), start);
    }
}

// proves: ACT-06 (refusal), ACT-07 (refusal)
#[test]
fn a_kernel_whose_programs_write_no_registers_refuses_with_the_reason() {
    for view in kernels().iter().filter(|view| !view.has(Feature::UprobeRegisterWrite)) {
        for parameter in [", argError: -1", ", argRegs: ['rax=1']", ", argNewOffset: 0x1100"] {
            let hook = format!("path: /bin/hooked, offsets: [0x1139], {}", with(parameter));
            assert_eq!(resolve(view, "", &hook).unwrap_err(), [Code::NotOnThisKernel]);
        }
    }
}

// proves: ACT-06 (what is refused)
#[test]
fn an_override_does_one_thing_where_that_can_be_done() {
    let view = recorded("7.2");
    let elf = |place: &str, rest: &str| {
        resolve(&view, "", &format!("path: /bin/elf, symbols: [{place}], {rest}")).map(|_| ())
    };
    let code = |code| Err(vec![code]);
    assert_eq!(elf("main", &with(", argError: -1")), Ok(()));
    assert_eq!(elf("main+0x10", &with(", argError: -1")), code(Code::NoSuchFunction));
    assert_eq!(elf("main+0x10", &with(", argRegs: ['rax=1']")), Ok(()));
    let returns = ", return: true, returnArg: {index: 0, type: int}";
    assert_eq!(elf("main", &(with(", argError: -1") + returns)), code(Code::NotOnThisKernel));
    assert_eq!(elf("main", &(with(", argRegs: ['rax=1']") + returns)), Ok(()));
    let refused = |rest: &str| policy_codes(&format!("uprobes: [{{path: /e, symbols: [main], {rest}}}]"));
    assert_eq!(refused(&with(", argError: 1, argRegs: ['rax=1']")), [Code::BadAssignment]);
    assert_eq!(refused(&with(", argNewSymbol: a, argNewOffset: 1")), [Code::BadAssignment]);
    assert_eq!(refused(&with(", argRegs: ['eflags=1']")), [Code::BadAssignment]);
    // as the symbols of the hook itself
    assert_eq!(refused(&with(", argNewSymbol: ''")), [Code::BadSymbol]);
    assert_eq!(refused(&with(&format!(", argNewSymbol: {}", "x".repeat(4097)))), [Code::BadSymbol]);
    // what else is wrong is said in the same breath
    let two = "{action: Override, argRegs: ['eflags=1']}, {action: Post, rateLimit: never}";
    assert_eq!(refused(&selectors(two)), [Code::BadAssignment, Code::BadNumber]);
    assert_eq!(refused(&selectors("{action: Override}, {action: Override}")), [Code::BadAssignment]);
    let many = (0..19).map(|_| "'rax=1'").collect::<Vec<_>>().join(", ");
    assert_eq!(refused(&with(&format!(", argRegs: [{many}]"))), [Code::BadAssignment]);
}

// proves: ACT-06 (beside a return)
#[test]
fn one_policy_does_not_return_at_once_where_another_looks_at_the_return() {
    let view = recorded("7.2");
    let denies = hooked(&view, &with(", argError: -1"));
    let sees = hooked(&view, "args: [], return: true, returnArg: {index: 0, type: int}");
    let rider = |policy: &'_ tracing_policy::policy::Resolved,
                 number: u32|
     -> (tracing_policy::policy::ResolvedHook, u32) { (policy.hooks[0].clone(), number) };
    let hooks = [rider(&sees, 0), rider(&denies, 1)];
    let riders: Vec<_> = hooks
        .iter()
        .map(|(hook, number)| tracing_policy::Rider {
            hook,
            policy_number: *number,
            layout_number: *number,
            first_selector: *number,
            class_numbers: &[],
        })
        .collect();
    let errors = tracing_policy::compile_hook(&riders, &view).unwrap_err();
    assert_eq!(errors.iter().map(|error| error.code).collect::<Vec<_>>(), [Code::NotOnThisKernel]);
    assert!(tracing_policy::compile_hook(&riders[..1], &view).is_ok());
}

#[test]
fn programs_of_a_place_are_in_the_order_in_which_they_are_attached_whoever_was_there_first() {
    for view in &writing() {
        let text = "args: [{index: 1, type: string}]";
        let policies = [hooked(view, text), hooked(view, &with(", argError: -13"))];
        let it = Emulated::new(&policies, view);
        let roles: Vec<Role> = it.compiled.bodies.iter().map(|body| body.role).collect();
        // the latest attached runs first
        let expected = [Role::Override, Role::ReportAndOverride, Role::FaultIn { arguments: 2 }];
        assert_eq!(roles, expected, "{}", view.release());
    }
}
