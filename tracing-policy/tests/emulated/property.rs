//! Compiled = plain, on random policies and calls.

use std::collections::BTreeMap;

use bpf_probes::kernel::{KernelView, Namespace};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tracing_policy::lower::{self, Purpose};
use tracing_policy::policy::{
    ArgumentFilter, ArgumentType, CapabilityScope, CapabilitySet, Descendants, Family, Kin, Membership,
    NamespaceValue, PidNamespace, Resolved, ResolvedHook, Selector, Sense,
};
use tracing_policy::{Rider, ir};

use crate::kernel::{Thread, recorded, thread};
use crate::run::{Emulated, policy, resolved};

/// Mode of every file.
const MODE: u16 = 0o100_644;

/// A call of `sys_openat`-like shape: directory, path, flags.
#[derive(Clone, Debug)]
struct Call {
    numbers: [u64; 2],
    text: String,
    tgid: u32,
    thread: Thread,
    classes: Option<Vec<u32>>,
    parent_classes: Option<Vec<u32>>,
}

fn path() -> impl Strategy<Value = String> {
    proptest::collection::vec("[ab]{1,2}", 0..4).prop_map(|parts| format!("/{}", parts.join("/")))
}

fn values() -> impl Strategy<Value = Vec<String>> {
    let value = prop_oneof![3 => path(), 1 => "[ab/]{1,5}", 1 => Just(format!("/{}", "a".repeat(33)))];
    prop_oneof![
        4 => proptest::collection::vec(value.clone(), 1..4),
        1 => proptest::collection::vec(value, 17..30),
    ]
}

fn bytes_filter(index: u8) -> impl Strategy<Value = String> {
    let operator = prop_oneof![
        "Equal",
        "NotEqual",
        "Prefix",
        "NotPrefix",
        "Postfix",
        "NotPostfix",
        "SubString",
        "SubStringIgnCase"
    ];
    (operator, values()).prop_map(move |(operator, values)| {
        format!("{{index: {index}, operator: {operator}, values: {values:?}}}")
    })
}

fn number_filter(index: u8) -> impl Strategy<Value = String> {
    let operator = prop_oneof!["Equal", "NotEqual", "GT", "LT", "Mask"];
    let values = prop_oneof![
        4 => proptest::collection::vec(-4_i32..4, 1..4),
        1 => proptest::collection::vec(-60_i32..60, 20..40),
    ];
    let plain = (operator, values).prop_map(move |(operator, values)| {
        let values: Vec<_> = values.iter().map(ToString::to_string).collect();
        format!("{{index: {index}, operator: {operator}, values: {values:?}}}")
    });
    let range =
        (prop_oneof!["InRange", "NotInRange"], -5_i32..5, 0_i32..4).prop_map(move |(operator, min, more)| {
            format!("{{index: {index}, operator: {operator}, values: ['{min}:{}']}}", min + more)
        });
    let keys = (prop_oneof!["InMap", "NotInMap"], proptest::collection::vec(-5_i32..5, 1..40)).prop_map(
        move |(operator, values)| {
            let values: Vec<_> = values.iter().map(ToString::to_string).collect();
            format!("{{index: {index}, operator: {operator}, values: {values:?}}}")
        },
    );
    prop_oneof![plain, range, keys]
}

fn selector(number: u8, bytes: u8) -> impl Strategy<Value = String> {
    let argument = prop_oneof![2 => bytes_filter(bytes), 1 => number_filter(number)];
    let pids = prop_oneof![
        3 => Just(String::new()),
        1 => (prop_oneof!["In", "NotIn"], 5_u32..8).prop_map(|(operator, pid)| {
            format!("matchPIDs: [{{operator: {operator}, values: [{pid}]}}], ")
        }),
    ];
    let binaries = prop_oneof![
        3 => Just(String::new()),
        1 => prop_oneof!["In", "NotIn"].prop_map(|operator| {
            format!("matchBinaries: [{{operator: {operator}, values: [/bin/sh]}}], ")
        }),
        1 => prop_oneof!["In", "NotIn"].prop_map(|operator| {
            format!("matchParentBinaries: [{{operator: {operator}, values: [/bin/sh]}}], ")
        }),
    ];
    let filters = proptest::collection::vec(argument, 0..3);
    (pids, binaries, process(), filters).prop_map(|(pids, binaries, process, arguments)| {
        format!("{{{pids}{binaries}{process}matchArgs: [{}]}}", arguments.join(", "))
    })
}

/// Filters of namespaces and capabilities, or none.
fn process() -> impl Strategy<Value = String> {
    let namespace = (
        prop_oneof!["Pid", "Mnt", "User", "TimeForChildren"],
        prop_oneof!["In", "NotIn"],
        prop_oneof![
            4 => proptest::collection::vec("[1-4]|host_ns", 1..4),
            1 => proptest::collection::vec("[1-9]{1,2}|[1-4]", 30),
        ],
    )
        .prop_map(|(kind, operator, values)| {
            format!("{{namespace: {kind}, operator: {operator}, values: {values:?}}}")
        });
    let capability = (
        prop_oneof!["Effective", "Inheritable", "Permitted"],
        prop_oneof!["In", "NotIn"],
        any::<bool>(),
        proptest::collection::vec(prop_oneof!["CAP_CHOWN", "CAP_KILL", "CAP_SYSLOG", "CAP_BPF"], 1..3),
    )
        .prop_map(|(set, operator, below, values)| {
            format!(
                "{{type: {set}, operator: {operator}, isNamespaceCapability: {below}, values: {values:?}}}"
            )
        });
    let entries = |field: &'static str, entry: BoxedStrategy<String>| {
        prop_oneof![
            3 => Just(String::new()),
            1 => proptest::collection::vec(entry, 1..3)
                .prop_map(move |entries| format!("{field}: [{}], ", entries.join(", "))),
        ]
    };
    (entries("matchNamespaces", namespace.boxed()), entries("matchCapabilities", capability.boxed()))
        .prop_map(|(namespaces, capabilities)| namespaces + &capabilities)
}

fn threads() -> impl Strategy<Value = Thread> {
    let number = |kind: u32| prop_oneof![3 => 1_u32..5, 1 => Just(4_026_531_800 + kind)];
    let pair = || prop_oneof![Just(0_u64), Just(1), Just(1 << 5), Just(1 << 34 | 1 << 39), any::<u64>()];
    (number(3), number(2), number(9), number(6), [pair(), pair(), pair()]).prop_map(
        |(pid, mnt, user, time, capabilities)| Thread {
            namespaces: [0, 0, mnt, pid, 0, 0, 0, time, 0, user],
            capabilities,
        },
    )
}

fn policies(
    call: &'static str,
    number: u8,
    bytes: &'static str,
    index: u8,
) -> impl Strategy<Value = Vec<String>> {
    let arguments = format!("{{index: {number}, type: int}}, {{index: {index}, type: {bytes}}}");
    let one = proptest::collection::vec(selector(number, index), 1..4)
        .prop_map(move |selectors| policy(call, &arguments, &selectors.join(", ")));
    proptest::collection::vec(one, 1..4)
}

fn calls() -> impl Strategy<Value = Vec<Call>> {
    let number = prop_oneof![-5_i64..5, any::<i64>()].prop_map(i64::cast_unsigned);
    let text = prop_oneof![4 => path(), 1 => Just(format!("/{}", "a".repeat(33)))];
    let classes = || proptest::option::of(prop_oneof![Just(vec![]), Just(vec![0, 8, 16]), Just(vec![8])]);
    let kin = (classes(), classes());
    let call = (number, text, 5_u32..8, threads(), kin).prop_map(|(number, text, tgid, thread, kin)| Call {
        numbers: [number, 0],
        text,
        tgid,
        thread,
        // who is not known has no known parent
        parent_classes: kin.0.as_ref().and(kin.1),
        classes: kin.0,
    });
    proptest::collection::vec(call, 4)
}

/// The selector that acts, by the plain meaning.
fn expected(hook: &ResolvedHook, policy: usize, call: &Call) -> Option<usize> {
    hook.selectors.iter().enumerate().position(|(index, selector)| {
        pids(selector, call)
            && process_passes(selector, call)
            && classes(hook, index, policy, call)
            && arguments(hook, selector, call)
    })
}

fn pids(selector: &Selector, call: &Call) -> bool {
    selector.pids.iter().all(|filter| {
        assert_eq!((filter.namespace, filter.descendants), (PidNamespace::Host, Descendants::Ignored));
        filter.pids.contains(&call.tgid) == (filter.membership == Membership::In)
    })
}

fn process_passes(selector: &Selector, call: &Call) -> bool {
    let filters = &selector.process;
    let namespaces = filters.namespaces.iter().all(|filter| {
        let number = call.thread.namespaces[filter.namespace as usize];
        filter.values.contains(&NamespaceValue::Number(number)) == (filter.membership == Membership::In)
    });
    let capabilities = filters.capabilities.iter().all(|filter| {
        let has = call.thread.capabilities[filter.set as usize] & filter.mask != 0;
        let host = 4_026_531_800 + Namespace::User.index();
        let in_scope =
            filter.scope == CapabilityScope::Any || call.thread.namespaces[Namespace::User as usize] != host;
        in_scope && has == (filter.membership == Membership::In)
    });
    namespaces && capabilities
}

fn classes(hook: &ResolvedHook, selector: usize, policy: usize, call: &Call) -> bool {
    hook.class_uses[selector].iter().all(|class| {
        let (classes, unknown) = match class.of {
            Kin::Process => (&call.classes, false),
            Kin::Parent => (&call.parent_classes, true),
        };
        let number = u32::try_from(8 * policy + class.class).unwrap();
        let passes = |classes: &Vec<u32>| classes.contains(&number) == (class.sense == Sense::Plain);
        classes.as_ref().map_or(unknown, passes)
    })
}

fn arguments(hook: &ResolvedHook, selector: &Selector, call: &Call) -> bool {
    selector.arguments.iter().all(|filter| match filter {
        ArgumentFilter::Integer { argument, test, .. } => {
            let ArgumentType::Integer(ty) = hook.arguments[argument.index()].ty.value else { panic!() };
            test.matches(ty.from_register(call.numbers[0]))
        }
        ArgumentFilter::String { test, .. } | ArgumentFilter::Path { test, .. } => {
            test.matches(call.text.as_bytes())
        }
        ArgumentFilter::FileType { test, .. } => test.matches(MODE),
        ArgumentFilter::Contains { test, .. } => test.matches(call.text.as_bytes()),
        ArgumentFilter::CapabilitiesGained { .. } => panic!("no sets here"),
        ArgumentFilter::Network { .. } | ArgumentFilter::Expression { .. } => {
            panic!("these policies have none")
        }
    })
}

fn compare(view: &KernelView, texts: &[String], calls: &[Call], run: impl Fn(&mut Emulated<'_>, &Call)) {
    let policies: Vec<Resolved> = texts.iter().map(|text| resolved(text, view)).collect();
    let mut it = Emulated::new(&policies, view);
    for call in calls {
        it.machine.world_mut().task.tgid = call.tgid;
        thread(&mut it.machine, view, &call.thread);
        if let Some(classes) = &call.classes {
            it.family(classes, 50, call.parent_classes.as_deref(), 50);
        } else {
            let map = it.machine.map_mut(bpf_probes::abi::map_name::PROCESSES).unwrap();
            // it may not be there
            let _absent = map.delete(&call.tgid.to_ne_bytes());
        }
        run(&mut it, call);
        let reported: Vec<(usize, usize)> = it
            .reports()
            .iter()
            .map(|report| (report.record.layout as usize - 100, usize::from(report.record.selector)))
            .collect();
        let expected: Vec<(usize, usize)> = policies
            .iter()
            .enumerate()
            .filter_map(|(number, policy)| Some((number, expected(&policy.hooks[0], number, call)?)))
            .collect();
        assert_eq!(reported, expected, "{call:?}\n{}", texts.join("---\n"));
        assert_eq!(evaluated(&policies, call), expected, "{call:?}\n{}", texts.join("---\n"));
    }
}

/// The thread's numbers as tests look at them.
fn task(call: &Call) -> BTreeMap<ir::Subject, u64> {
    let sets = [CapabilitySet::Effective, CapabilitySet::Inheritable, CapabilitySet::Permitted];
    let namespaces = Namespace::ALL.into_iter().zip(call.thread.namespaces);
    let capabilities = sets.into_iter().zip(call.thread.capabilities);
    namespaces
        .map(|(kind, number)| (ir::Subject::Namespace(kind), number.into()))
        .chain(capabilities.map(|(set, bits)| (ir::Subject::Capabilities(set), bits)))
        .collect()
}

/// What the form between policy and bytecode makes of the call.
fn evaluated(policies: &[Resolved], call: &Call) -> Vec<(usize, usize)> {
    let numbers: Vec<Vec<u32>> = (0..policies.len())
        .map(|policy| (0..8).map(|class| u32::try_from(8 * policy + class).unwrap()).collect())
        .collect();
    let riders: Vec<Rider<'_>> = policies
        .iter()
        .zip(&numbers)
        .map(|(policy, numbers)| Rider {
            hook: &policy.hooks[0],
            policy_number: 0,
            layout_number: 0,
            first_selector: 0,
            class_numbers: numbers,
        })
        .collect();
    let hook = lower::hook(&riders, Purpose::Report);
    let value = |read: &ir::Read| match read.ty.family() {
        Family::Number(ty) => ir::Value::Number(ty.from_register(call.numbers[0])),
        Family::String | Family::Path | Family::Object(_) | Family::Nothing => {
            ir::Value::Bytes(call.text.clone().into_bytes())
        }
    };
    let call = ir::Call {
        values: hook.reads.iter().map(value).collect(),
        modes: hook.reads.iter().map(|_| MODE).collect(),
        host_pid: call.tgid,
        own_pid: 0,
        task: task(call),
        classes: call.classes.clone(),
        parent_classes: call.parent_classes.clone(),
        monitored: Vec::new(),
    };
    let matched = hook.evaluate(&call);
    let numbered = matched.iter().enumerate();
    numbered.filter_map(|(rider, selector)| Some((rider, usize::from((*selector)?.number)))).collect()
}

fn check(cases: u32, texts: impl Strategy<Value = Vec<String>>, run: impl Fn(&mut Emulated<'_>, &Call)) {
    let views = [recorded("6.12"), recorded("5.10")];
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    TestRunner::new(config)
        .run(&(texts, calls(), 0..2_usize), |(texts, calls, view)| {
            compare(&views[view], &texts, &calls, &run);
            Ok(())
        })
        .unwrap();
}

#[test]
fn policies_on_strings_do_what_their_text_means() {
    check(400, policies("sys_openat", 0, "string", 1), |it, call| {
        let text = it.machine.world_mut().user.string(&call.text);
        let world = it.machine.world_mut();
        let registers = world.syscall_registers(257, [call.numbers[0], text, 0, 0, 0, 0]);
        it.call([registers, 0, 0, 0, 0, 0]);
    });
}

#[test]
fn policies_on_paths_do_what_their_text_means() {
    check(400, policies("security_file_permission", 1, "file", 0), |it, call| {
        let file = it.objects.file(&mut it.machine, it.view, &call.text, MODE);
        it.call([file, call.numbers[0], 0, 0, 0, 0]);
    });
}
