//! Expressions: compiled as they are written.

use bpf_probes::builder::Facts;
use bpf_probes::kernel::KernelView;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tracing_policy::policy::{Family, IntegerType, Signedness, Width};
use tracing_policy::{Rider, ir, lower};

use crate::kernel::recorded;
use crate::run::{Emulated, policy, resolved};

/// What each argument of the hook is, by its position.
const ARGUMENTS: &str = "{index: 0, type: path}, {index: 1, type: int32}, {index: 2, type: uint32}, \
                         {index: 3, type: int64}, {index: 4, type: uint64}, {index: 4, type: int8}";
/// A function with a path and four more arguments.
const FUNCTION: &str = "security_path_rename";

fn filter(expression: &str) -> String {
    format!("{{matchArgs: [{{operator: CelExpr, values: [{expression:?}]}}]}}")
}

fn kernels() -> [KernelView; 4] {
    ["5.10", "6.1", "6.12", "7.2"].map(recorded)
}

/// Whether a call with these arguments is reported.
fn passes(it: &mut Emulated<'_>, path: &str, numbers: [u64; 5]) -> bool {
    let path = place(it, path);
    // the last two lie in one register
    it.call([path, numbers[0], numbers[1], numbers[2], numbers[3] | numbers[4], 0]);
    !it.reporters().is_empty()
}

/// A `struct path *`.
fn place(it: &mut Emulated<'_>, path: &str) -> u64 {
    let file = it.objects.file(&mut it.machine, it.view, path, 0o100_644);
    file + f_path(it.view)
}

fn f_path(view: &KernelView) -> u64 {
    Facts::of(view).offset_of("file", "f_path").unwrap().into()
}

// proves: SEL-28
#[test]
fn expressions_hold_as_they_are_written() {
    /// expression, what of the numbers and paths passes and what fails
    type Row = (&'static str, &'static [(&'static str, [u64; 5])], &'static [(&'static str, [u64; 5])]);
    const LOW: u64 = 0xffff_fffe; // -2 of 32 bits
    #[rustfmt::skip]
    let table: &[Row] = &[
        ("arg1 == int32(-2) || arg2 == uint32(7)",
            &[("/a", [LOW, 0, 0, 0, 0]), ("/a", [0, 7, 0, 0, 0])], &[("/a", [2, 6, 0, 0, 0])]),
        ("arg1 + 1 < arg1", &[("/a", [0x7fff_ffff, 0, 0, 0, 0])], &[("/a", [1, 0, 0, 0, 0])]),
        ("arg2 - 1 > arg2", &[("/a", [0, 0, 0, 0, 0])], &[("/a", [0, 1, 0, 0, 0])]),
        ("arg3 - arg3 - 1 == -1 && !(arg3 > 5)", &[("/a", [0, 0, 5, 0, 0])], &[("/a", [0, 0, 6, 0, 0])]),
        ("and(arg4, 0xf0u) == 0x30u", &[("/a", [0, 0, 0, 0x3f, 0])], &[("/a", [0, 0, 0, 0x4f, 0])]),
        ("xor(not(arg4), or(arg4, 1)) == not(0u)", &[("/a", [0, 0, 0, 3, 0])], &[("/a", [0, 0, 0, 2, 0])]),
        ("not(arg2) == 0", &[("/a", [0, 0xffff_ffff, 0, 0, 0])], &[("/a", [0, 0, 0, 0, 0])]),
        ("int32(arg3) == arg1", &[("/a", [5, 0, 0x1_0000_0005, 0, 0])], &[("/a", [5, 0, 6, 0, 0])]),
        ("int(arg2) > arg3", &[("/a", [0, 1, u64::MAX, 0, 0])], &[("/a", [0, 1, 1, 0, 0])]),
        ("arg5 < 0 ? arg1 == 1 : arg1 == 2",
            &[("/a", [1, 0, 0, 0, 0xff]), ("/a", [2, 0, 0, 0, 1])], &[("/a", [2, 0, 0, 0, 0xff])]),
        ("(arg1 > 0 ? arg3 : arg3 + 1) == 4",
            &[("/a", [1, 0, 4, 0, 0]), ("/a", [0, 0, 3, 0, 0])], &[("/a", [1, 0, 3, 0, 0])]),
        ("(arg1 == 1) == (arg2 == 1)",
            &[("/a", [1, 1, 0, 0, 0]), ("/a", [2, 2, 0, 0, 0])], &[("/a", [1, 0, 0, 0, 0])]),
        ("arg0 == '/etc/shadow' || arg0 == '/a'",
            &[("/etc/shadow", [0; 5]), ("/a", [0; 5])], &[("/etc", [0; 5])]),
        ("arg0 in ['/a', '/b'] || arg1 == 3",
            &[("/b", [0; 5]), ("/c", [3, 0, 0, 0, 0])], &[("/c", [0; 5])]),
        ("!(arg0.startsWith('/etc/') && arg0.endsWith('.conf'))",
            &[("/etc/x", [0; 5]), ("/x.conf", [0; 5])], &[("/etc/x.conf", [0; 5])]),
        ("arg0.contains('shad') && !arg0.contains('tmp')", &[("/etc/shadow", [0; 5])],
            &[("/tmp/shadow", [0; 5]), ("/etc/x", [0; 5])]),
        ("size(arg0) == 4 || arg1 == 1", &[("/abc", [0; 5]), ("/", [1, 0, 0, 0, 0])], &[("/ab", [0; 5])]),
        ("arg1 in [1, -2, 3]", &[("/a", [LOW, 0, 0, 0, 0])], &[("/a", [2, 0, 0, 0, 0])]),
        ("!(arg1 in []) && arg1 >= -2147483648", &[("/a", [0; 5])], &[]),
        ("arg5 == -1 || false", &[("/a", [0, 0, 0, 0, 0xff])], &[("/a", [0, 0, 0, 0, 1])]),
    ];
    for view in &kernels() {
        for (expression, pass, fail) in table {
            let text = policy(FUNCTION, ARGUMENTS, &filter(expression));
            let mut it = Emulated::new(&[resolved(&text, view)], view);
            for (path, numbers) in *pass {
                assert!(passes(&mut it, path, *numbers), "{expression}: {path} {numbers:x?} should pass");
            }
            for (path, numbers) in *fail {
                assert!(!passes(&mut it, path, *numbers), "{expression}: {path} {numbers:x?} should fail");
            }
        }
    }
}

// proves: SEL-28 (what cannot be read)
#[test]
fn an_argument_that_cannot_be_read_fails_every_expression_on_it() {
    for view in &kernels() {
        for expression in [
            "arg0 != '/a'",
            "!(arg0 == '/a')",
            "arg1 == 0 || arg0 == '/a'",
            "arg1 == 0 || size(arg0) == 0 || true",
        ] {
            let text = policy(FUNCTION, ARGUMENTS, &filter(expression));
            let mut it = Emulated::new(&[resolved(&text, view)], view);
            let pipe = it.objects.nameless(&mut it.machine, view) + f_path(view);
            for path in [pipe, 0] {
                it.call([path, 0, 0, 0, 0, 0]);
                assert!(it.reporters().is_empty(), "{expression}: {path:#x}");
            }
            assert!(passes(&mut it, "/b", [0; 5]), "{expression}");
        }
    }
}

#[test]
fn two_paths_in_an_expression_are_each_looked_at() {
    let arguments = "{index: 0, type: path}, {index: 1, type: dentry}, {index: 2, type: path}";
    let selectors = [
        filter("arg0.startsWith('/a') != arg2.endsWith('/b')"),
        "{matchArgs: [{index: 2, operator: Equal, values: [/x]}]}".to_owned(),
    ];
    for view in &kernels() {
        let text = policy(FUNCTION, arguments, &selectors.join(", "));
        let mut it = Emulated::new(&[resolved(&text, view)], view);
        for (first, third, expected) in [
            ("/a/c", "/c", 1),
            ("/c", "/a/b", 1),
            ("/a/c", "/a/b", 0),
            ("/c", "/x", 1),
            ("/c", "/y", 0),
            ("/a", "/x", 1),
        ] {
            let (first_path, third_path) = (place(&mut it, first), place(&mut it, third));
            it.call([first_path, 0, third_path, 0, 0, 0]);
            let reports = it.reports();
            assert_eq!(reports.len(), expected, "{first} {third}");
        }
    }
}

/// An expression, and what it is of a call.
#[derive(Clone, Debug)]
enum Tree {
    Not(Box<Tree>),
    Join(bool, Vec<Tree>),
    Choose(Box<[Tree; 3]>),
    Compare(&'static str, Type, Box<Number>, Box<Number>),
    Same(Box<Tree>, Box<Tree>),
    Path(&'static str, String),
    Among(Vec<String>),
}

#[derive(Clone, Debug)]
enum Number {
    Written(i64),
    Argument,
    Size,
    Binary(&'static str, Box<Number>, Box<Number>),
    Inverse(Box<Number>),
    Cast(Type, Box<Number>),
    Choose(Box<(Tree, Number, Number)>),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Type {
    Int32,
    Uint32,
    Int,
    Uint,
}

impl Type {
    const ALL: [Self; 4] = [Self::Int32, Self::Uint32, Self::Int, Self::Uint];

    fn name(self) -> &'static str {
        ["int32", "uint32", "int", "uint"][self as usize]
    }

    /// A number cut to the type.
    fn cut(self, number: i128) -> i128 {
        let ty = match self {
            Self::Int32 => (Width::W32, Signedness::Signed),
            Self::Uint32 => (Width::W32, Signedness::Unsigned),
            Self::Int => (Width::W64, Signedness::Signed),
            Self::Uint => (Width::W64, Signedness::Unsigned),
        };
        let low = number.rem_euclid(1 << 64);
        let ty = IntegerType { width: ty.0, signedness: ty.1, is_size: false };
        ty.from_register(u64::try_from(low).unwrap())
    }
}

struct Call {
    path: String,
    numbers: [u64; 4],
}

impl Number {
    fn text(&self, ty: Type) -> String {
        match self {
            Self::Written(number) => format!("{}({})", ty.name(), ty.cut(i128::from(*number))),
            Self::Argument => format!("arg{}", ty as usize + 1),
            Self::Size => format!("{}(size(arg0))", ty.name()),
            Self::Binary(operator @ ("+" | "-"), left, right) => {
                format!("({} {operator} {})", left.text(ty), right.text(ty))
            }
            Self::Binary(function, left, right) => {
                format!("{function}({}, {})", left.text(ty), right.text(ty))
            }
            // a number written out has no type of its own
            Self::Inverse(inner) => format!("not({}({}))", ty.name(), inner.text(ty)),
            Self::Cast(from, inner) => format!("{}({}({}))", ty.name(), from.name(), inner.text(*from)),
            Self::Choose(parts) => {
                format!("({} ? {} : {})", parts.0.text(), parts.1.text(ty), parts.2.text(ty))
            }
        }
    }

    fn value(&self, ty: Type, call: &Call) -> i128 {
        ty.cut(match self {
            Self::Written(number) => i128::from(*number),
            Self::Argument => i128::from(call.numbers[ty as usize]),
            Self::Size => i128::try_from(call.path.len()).unwrap(),
            Self::Binary(operator, left, right) => {
                let (left, right) = (left.value(ty, call), right.value(ty, call));
                match *operator {
                    "+" => left + right,
                    "-" => left - right,
                    "and" => left & right,
                    "or" => left | right,
                    _ => left ^ right,
                }
            }
            Self::Inverse(inner) => !inner.value(ty, call),
            Self::Cast(from, inner) => inner.value(*from, call),
            Self::Choose(parts) => {
                if parts.0.value(call) {
                    parts.1.value(ty, call)
                } else {
                    parts.2.value(ty, call)
                }
            }
        })
    }
}

impl Tree {
    fn text(&self) -> String {
        match self {
            Self::Not(inner) => format!("!({})", inner.text()),
            Self::Join(all, parts) => {
                let parts: Vec<_> = parts.iter().map(Self::text).collect();
                format!("({})", parts.join(if *all { " && " } else { " || " }))
            }
            Self::Choose(parts) => {
                format!("({} ? {} : {})", parts[0].text(), parts[1].text(), parts[2].text())
            }
            // one side has a type at least
            Self::Compare(relation, ty, left, right) => {
                format!("({}({}) {relation} {})", ty.name(), left.text(*ty), right.text(*ty))
            }
            Self::Same(left, right) => format!("({} == {})", left.text(), right.text()),
            Self::Path("==", value) => format!("(arg0 == '{value}')"),
            Self::Path(function, value) => format!("arg0.{function}('{value}')"),
            Self::Among(values) => format!("(arg0 in ['{}'])", values.join("', '")),
        }
    }

    fn value(&self, call: &Call) -> bool {
        match self {
            Self::Not(inner) => !inner.value(call),
            Self::Join(true, parts) => parts.iter().all(|part| part.value(call)),
            Self::Join(false, parts) => parts.iter().any(|part| part.value(call)),
            Self::Choose(parts) => parts[if parts[0].value(call) { 1 } else { 2 }].value(call),
            Self::Compare(relation, ty, left, right) => {
                let (left, right) = (left.value(*ty, call), right.value(*ty, call));
                match *relation {
                    "==" => left == right,
                    "!=" => left != right,
                    "<" => left < right,
                    "<=" => left <= right,
                    ">" => left > right,
                    _ => left >= right,
                }
            }
            Self::Same(left, right) => left.value(call) == right.value(call),
            Self::Path("==", value) => call.path == *value,
            Self::Path("startsWith", value) => call.path.starts_with(value),
            Self::Path("endsWith", value) => call.path.ends_with(value),
            Self::Path(_, value) => call.path.contains(value),
            Self::Among(values) => values.contains(&call.path),
        }
    }
}

fn path() -> impl Strategy<Value = String> {
    proptest::collection::vec("[ab]{1,2}", 0..3).prop_map(|parts| format!("/{}", parts.join("/")))
}

fn types() -> impl Strategy<Value = Type> {
    (0..4_usize).prop_map(|index| Type::ALL[index])
}

fn number(tree: BoxedStrategy<Tree>) -> BoxedStrategy<Number> {
    let leaf = prop_oneof![
        3 => Just(Number::Argument),
        2 => (-3_i64..4).prop_map(Number::Written),
        1 => any::<i64>().prop_map(Number::Written),
        1 => Just(Number::Size),
    ];
    leaf.prop_recursive(3, 12, 3, move |inner| {
        let binary = prop_oneof![Just("+"), Just("-"), Just("and"), Just("or"), Just("xor")];
        prop_oneof![
            4 => (binary, inner.clone(), inner.clone())
                .prop_map(|(operator, left, right)| Number::Binary(operator, Box::new(left), Box::new(right))),
            1 => inner.clone().prop_map(|inner| Number::Inverse(Box::new(inner))),
            1 => (types(), inner.clone()).prop_map(|(ty, inner)| Number::Cast(ty, Box::new(inner))),
            1 => (tree.clone(), inner.clone(), inner)
                .prop_map(|parts| Number::Choose(Box::new(parts))),
        ]
    })
    .boxed()
}

fn tree() -> BoxedStrategy<Tree> {
    let relation = || prop_oneof![Just("=="), Just("!="), Just("<"), Just("<="), Just(">"), Just(">=")];
    let simple = (relation(), types(), -3_i64..4).prop_map(|(relation, ty, number)| {
        Tree::Compare(relation, ty, Box::new(Number::Argument), Box::new(Number::Written(number)))
    });
    let function = prop_oneof![Just("=="), Just("startsWith"), Just("endsWith"), Just("contains")];
    let paths = (function, path()).prop_map(|(function, value)| Tree::Path(function, value));
    let among = prop_oneof![
        3 => proptest::collection::vec(path(), 1..4),
        1 => proptest::collection::vec(path(), 20..25),
    ];
    let leaf = prop_oneof![3 => simple, 3 => paths, 1 => among.prop_map(Tree::Among)];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        let numbers = number(inner.clone().boxed());
        prop_oneof![
            2 => inner.clone().prop_map(|inner| Tree::Not(Box::new(inner))),
            4 => (any::<bool>(), proptest::collection::vec(inner.clone(), 1..4))
                .prop_map(|(all, parts)| Tree::Join(all, parts)),
            1 => [inner.clone(), inner.clone(), inner.clone()].prop_map(|parts| Tree::Choose(Box::new(parts))),
            1 => (inner.clone(), inner).prop_map(|(left, right)| Tree::Same(Box::new(left), Box::new(right))),
            3 => (relation(), types(), numbers.clone(), numbers).prop_map(|(relation, ty, left, right)| {
                Tree::Compare(relation, ty, Box::new(left), Box::new(right))
            }),
        ]
    })
    .boxed()
}

/// The arguments that an expression names; without any it is refused.
fn names_one(text: &str) -> bool {
    (0..5).any(|position| text.contains(&format!("arg{position}")))
}

fn agrees(view: &KernelView, trees: &[Tree], calls: &[Call]) {
    let filters: Vec<String> = trees.iter().map(|tree| filter(&tree.text())).collect();
    let text = policy(FUNCTION, ARGUMENTS, &filters.join(", "));
    let policies = [resolved(&text, view)];
    let rider = Rider {
        hook: &policies[0].hooks[0],
        policy_number: 0,
        layout_number: 0,
        first_selector: 0,
        class_numbers: &[],
    };
    let form = lower::hook(&[rider], lower::Purpose::Report);
    let mut it = Emulated::new(&policies, view);
    for call in calls {
        let expected = trees.iter().position(|tree| tree.value(call));
        let path = place(&mut it, &call.path);
        let [a, b, c, d] = call.numbers;
        it.call([path, a, b, c, d, 0]);
        let reported = it.reports().first().map(|report| usize::from(report.record.selector));
        assert_eq!(reported, expected, "{} {:x?}\n{text}", call.path, call.numbers);
        let values = form.reads.iter().map(|read| match read.ty.family() {
            Family::Number(ty) => {
                ir::Value::Number(ty.from_register(call.numbers[usize::from(read.index) - 1]))
            }
            Family::String | Family::Path | Family::Object(_) | Family::Nothing => {
                ir::Value::Bytes(call.path.clone().into_bytes())
            }
        });
        let plain = ir::Call {
            values: values.collect(),
            modes: form.reads.iter().map(|_| 0o100_644).collect(),
            host_pid: 1,
            own_pid: 0,
            task: std::collections::BTreeMap::new(),
            classes: None,
            parent_classes: None,
            workload_classes: Vec::new(),
            monitored: Vec::new(),
        };
        let evaluated = form.evaluate(&plain)[0].map(|selector| usize::from(selector.number));
        assert_eq!(evaluated, expected, "evaluated: {} {:x?}\n{text}", call.path, call.numbers);
    }
}

// proves: SEL-28 (compiled as evaluated)
#[test]
fn random_expressions_do_what_their_text_means() {
    let views = kernels();
    let number = prop_oneof![(-3_i64..4).prop_map(i64::cast_unsigned), any::<u64>()];
    let numbers = [number.clone(), number.clone(), number.clone(), number];
    let calls = proptest::collection::vec((path(), numbers), 4);
    let trees = proptest::collection::vec(tree(), 1..3)
        .prop_filter("no argument", |trees| trees.iter().all(|tree| names_one(&tree.text())));
    let config = Config { cases: 150, failure_persistence: None, ..Config::default() };
    TestRunner::new(config)
        .run(&(trees, calls, 0..views.len()), |(trees, calls, view)| {
            let calls: Vec<Call> = calls.into_iter().map(|(path, numbers)| Call { path, numbers }).collect();
            agrees(&views[view], &trees, &calls);
            Ok(())
        })
        .unwrap();
}
