//! Compiled = plain, on random policies and calls.

use bpf_probes::kernel::KernelView;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tracing_policy::lower::{self, Purpose};
use tracing_policy::policy::{
    ArgumentFilter, ArgumentType, Descendants, Membership, PidNamespace, Resolved, ResolvedHook, Selector,
    Sense,
};
use tracing_policy::{Rider, ir};

use crate::kernel::recorded;
use crate::run::{Emulated, policy, resolved};

/// A call of `sys_openat`-like shape: directory, path, flags.
#[derive(Clone, Debug)]
struct Call {
    numbers: [u64; 2],
    text: String,
    tgid: u32,
    classes: Option<Vec<u32>>,
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
    let operator = prop_oneof!["Equal", "NotEqual", "Prefix", "NotPrefix", "Postfix", "NotPostfix"];
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
    prop_oneof![plain, range]
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
    ];
    (pids, binaries, proptest::collection::vec(argument, 0..3)).prop_map(|(pids, binaries, arguments)| {
        format!("{{{pids}{binaries}matchArgs: [{}]}}", arguments.join(", "))
    })
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
    let classes = proptest::option::of(prop_oneof![Just(vec![]), Just(vec![0, 8, 16]), Just(vec![8])]);
    let call = (number, text, 5_u32..8, classes).prop_map(|(number, text, tgid, classes)| Call {
        numbers: [number, 0],
        text,
        tgid,
        classes,
    });
    proptest::collection::vec(call, 4)
}

/// The selector that acts, by the plain meaning.
fn expected(hook: &ResolvedHook, policy: usize, call: &Call) -> Option<usize> {
    hook.selectors.iter().enumerate().position(|(index, selector)| {
        pids(selector, call) && classes(hook, index, policy, call) && arguments(hook, selector, call)
    })
}

fn pids(selector: &Selector, call: &Call) -> bool {
    selector.pids.iter().all(|filter| {
        assert_eq!((filter.namespace, filter.descendants), (PidNamespace::Host, Descendants::Ignored));
        filter.pids.contains(&call.tgid) == (filter.membership == Membership::In)
    })
}

fn classes(hook: &ResolvedHook, selector: usize, policy: usize, call: &Call) -> bool {
    hook.class_uses[selector].iter().all(|class| match &call.classes {
        None => false,
        Some(classes) => {
            let number = u32::try_from(8 * policy + class.class).unwrap();
            classes.contains(&number) == (class.sense == Sense::Plain)
        }
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
        ArgumentFilter::Network { .. } => panic!("these policies have none"),
    })
}

fn compare(view: &KernelView, texts: &[String], calls: &[Call], run: impl Fn(&mut Emulated<'_>, &Call)) {
    let policies: Vec<Resolved> = texts.iter().map(|text| resolved(text, view)).collect();
    let mut it = Emulated::new(&policies, view);
    for call in calls {
        it.machine.world_mut().task.tgid = call.tgid;
        if let Some(classes) = &call.classes {
            it.process(1, classes);
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
    let value = |read: &ir::Read| match read.ty {
        ArgumentType::Integer(ty) => ir::Value::Number(ty.from_register(call.numbers[0])),
        ArgumentType::String | ArgumentType::File | ArgumentType::Path => {
            ir::Value::Bytes(call.text.clone().into_bytes())
        }
        ArgumentType::Network(_) | ArgumentType::SockaddrUn => ir::Value::Error,
    };
    let call = ir::Call {
        values: hook.reads.iter().map(value).collect(),
        host_pid: call.tgid,
        own_pid: 0,
        classes: call.classes.clone(),
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
        let file = it.objects.file(&mut it.machine, it.view, &call.text, 0o100_644);
        it.call([file, call.numbers[0], 0, 0, 0, 0]);
    });
}
