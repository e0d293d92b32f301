#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;

use tracing_policy::policy::{
    Children, ClassTest, ContainerScope, LabelOperator, LabelTest, PidNamespace, Requirement, StringForm,
    WorkloadScope,
};

use bpf_probes::abi::NumberKey;
use zerocopy::IntoBytes as _;

use super::super::fake::{FakeKernel, FakeProcesses};
use super::super::port::Table;
use super::*;

fn binary(form: StringForm, value: &str, children: Children) -> ClassTest {
    ClassTest::Binary { form, values: vec![value.as_bytes().to_vec()], children }
}

fn descendants(namespace: PidNamespace, pids: &[u32]) -> ClassTest {
    ClassTest::Descendants { namespace, pids: pids.to_vec() }
}

fn exact(value: &str) -> ClassTest {
    binary(StringForm::Exact, value, Children::Ignored)
}

/// Which of the first classes each process is in.
fn marks(kernel: &FakeKernel) -> BTreeMap<u32, Vec<u32>> {
    let processes = kernel.0.processes.borrow();
    let of = |set: &ClassSet| (0..64).filter(|class| set.contains(*class)).collect();
    processes.iter().map(|(tgid, state)| (*tgid, of(&state.classes))).collect()
}

fn family() -> FakeProcesses {
    let processes = FakeProcesses::default();
    processes.add(1, 0, "/sbin/init");
    processes.add(10, 1, "/bin/sh");
    processes.add(11, 10, "/bin/cat");
    processes.add(12, 11, "/bin/cat");
    processes.add(20, 1, "/bin/cat");
    processes
}

fn install(classes: &mut Classes, processes: &FakeProcesses, tests: &[ClassTest]) -> Vec<u32> {
    let numbers = classes.reserve(tests).unwrap();
    classes.install(&processes.kernel, processes).unwrap();
    numbers
}

// proves: SEL-05 (followForks of those that run), SEL-07 (those that run)
#[test]
fn running_processes_are_marked_and_descendants_where_they_are_followed() {
    let processes = family();
    let tests = [
        exact("/bin/sh"),
        binary(StringForm::Exact, "/bin/sh", Children::Followed),
        descendants(PidNamespace::Host, &[11]),
    ];
    let numbers = install(&mut Classes::new(), &processes, &tests);
    assert_eq!(numbers, [0, 1, 2]);
    let expected = [(1, vec![]), (10, vec![0, 1]), (11, vec![1, 2]), (12, vec![1, 2]), (20, vec![])];
    assert_eq!(marks(&processes.kernel), BTreeMap::from(expected));
    let followed = processes.kernel.0.followed.get();
    assert_eq!((followed.contains(0), followed.contains(1), followed.contains(2)), (false, true, true));
}

// proves: SEL-05 (followForks with isNamespacePID, of those that run)
#[test]
fn running_processes_count_by_their_numbers_in_namespaces_of_their_own() {
    let processes = family();
    // 10 begins a namespace, 11 another one inside, 12 is a child of 11
    processes.own_numbers.borrow_mut().extend([(10, 1), (11, 7), (12, 2)]);
    let own = PidNamespace::Own;
    let tests = [
        ClassTest::InPidNamespace,
        descendants(own, &[7]),
        descendants(own, &[2, 20]),
        descendants(own, &[0]),
        descendants(PidNamespace::Host, &[1]),
    ];
    let mut classes = Classes::new();
    install(&mut classes, &processes, &tests);
    let expected =
        [(1, vec![4]), (10, vec![0, 4]), (11, vec![0, 1, 4]), (12, vec![0, 1, 2, 4]), (20, vec![4])];
    assert_eq!(marks(&processes.kernel), BTreeMap::from(expected));
    assert!((0..5).all(|class| processes.kernel.0.followed.get().contains(class)));
    // whoever is forked from now on is looked up by the kernel
    let key = |number, namespace| (Table::Numbers, NumberKey { number, namespace }.as_bytes().to_vec());
    let of = |set: &ClassSet| (0..64).filter(|class| set.contains(*class)).collect::<Vec<u32>>();
    let tables: BTreeMap<_, _> =
        processes.kernel.0.tables.borrow().iter().map(|(key, set)| (key.clone(), of(set))).collect();
    let expected = [
        (key(0, NumberKey::OWN), vec![0]),
        (key(7, NumberKey::OWN), vec![1]),
        (key(2, NumberKey::OWN), vec![2]),
        (key(20, NumberKey::OWN), vec![2]),
        (key(1, NumberKey::HOST), vec![4]),
    ];
    assert_eq!(tables, BTreeMap::from(expected));
    assert_eq!(processes.kernel.0.used.get(), Table::Numbers.bit());
    classes.release(&tests, &processes.kernel).unwrap();
    assert!(processes.kernel.0.tables.borrow().is_empty());
    assert_eq!(processes.kernel.0.used.get(), 0);
    assert!(marks(&processes.kernel).values().all(Vec::is_empty));
}

// proves: SEL-07 (any number of tests, those that run)
#[test]
fn hundreds_of_tests_that_children_follow_have_a_class_each() {
    let processes = family();
    for child in 100..400 {
        processes.add(child, 1, &format!("/bin/{child}"));
        processes.add(child + 1000, child, "/bin/cat");
    }
    let tests: Vec<_> =
        (100..400).map(|it| binary(StringForm::Exact, &format!("/bin/{it}"), Children::Followed)).collect();
    let mut classes = Classes::new();
    let numbers = install(&mut classes, &processes, &tests);
    assert_eq!(numbers, (0..300).collect::<Vec<_>>());
    let kernel = processes.kernel.0.processes.borrow();
    for (child, number) in (100..400).zip(0..300) {
        let one = |set: &ClassSet| {
            set.contains(number) && set.words.iter().map(|it| it.count_ones()).sum::<u32>() == 1
        };
        assert!(one(&kernel[&child].classes) && one(&kernel[&(child + 1000)].classes), "{child}");
    }
    assert!((0..300).all(|number| processes.kernel.0.followed.get().contains(number)));
}

#[test]
fn a_child_forked_before_its_parent_was_marked_is_marked_in_a_later_pass() {
    let processes = family();
    processes.forks.borrow_mut().insert(0, (30, 12));
    processes.forks.borrow_mut().insert(1, (31, 30));
    install(&mut Classes::new(), &processes, &[descendants(PidNamespace::Host, &[10])]);
    let marks = marks(&processes.kernel);
    assert_eq!((&marks[&30], &marks[&31], &marks[&20]), (&vec![0], &vec![0], &vec![]));
}

#[test]
fn tables_are_written_before_processes_are_marked() {
    let processes = family();
    let mut classes = Classes::new();
    let test = exact("/bin/sh");
    classes.reserve(std::slice::from_ref(&test)).unwrap();
    // One entry is written; the call after it marks.
    processes.kernel.0.failure.arm(1);
    let error = classes.install(&processes.kernel, &processes).unwrap_err();
    assert!(error.to_string().contains("mark refused"), "{error}");
    assert_eq!(processes.kernel.0.tables.borrow().len(), 1);
    assert_eq!(processes.kernel.0.used.get(), Table::Binaries.bit());
    classes.release(&[test], &processes.kernel).unwrap();
    assert!(processes.kernel.0.tables.borrow().is_empty());
    assert_eq!(processes.kernel.0.used.get(), 0);
}

#[test]
fn equal_tests_share_a_class_until_the_last_one_goes() {
    let processes = family();
    let mut classes = Classes::new();
    let tests = [exact("/bin/sh")];
    let first = install(&mut classes, &processes, &tests);
    let second = install(&mut classes, &processes, &tests);
    assert_eq!(first, second);
    classes.release(&tests, &processes.kernel).unwrap();
    assert_eq!((classes.len(), marks(&processes.kernel)[&10].len()), (1, 1));
    classes.release(&tests, &processes.kernel).unwrap();
    assert_eq!((classes.len(), marks(&processes.kernel)[&10].len()), (0, 0));
}

#[test]
fn a_class_that_goes_leaves_the_entries_of_the_others() {
    let processes = family();
    let mut classes = Classes::new();
    let wide = binary(StringForm::Prefix, "/bin/", Children::Ignored);
    let narrow = exact("/bin/sh");
    install(&mut classes, &processes, &[wide.clone(), narrow.clone()]);
    let entry =
        |key: &[u8]| processes.kernel.0.tables.borrow().get(&(Table::Binaries, key.to_vec())).copied();
    let both = entry(b"/bin/sh\0").unwrap();
    assert!(both.contains(0) && both.contains(1));
    classes.release(&[wide], &processes.kernel).unwrap();
    let one = entry(b"/bin/sh\0").unwrap();
    assert!(!one.contains(0) && one.contains(1));
    assert_eq!(entry(b"/bin/"), None);
}

#[test]
fn a_table_that_is_full_goes_back_to_what_it_was() {
    let processes = family();
    let mut classes = Classes::new();
    install(&mut classes, &processes, &[binary(StringForm::Prefix, "/bin/", Children::Ignored)]);
    let before = processes.kernel.0.tables.borrow().clone();
    let many: Vec<ClassTest> = (0..10).map(|number| exact(&format!("/bin/{number}"))).collect();
    classes.reserve(&many).unwrap();
    processes.kernel.0.failure.arm(5);
    classes.install(&processes.kernel, &processes).unwrap_err();
    assert_eq!(*processes.kernel.0.tables.borrow(), before);
    classes.release(&many, &processes.kernel).unwrap();
    assert_eq!((processes.kernel.0.tables.borrow().clone(), classes.len()), (before, 1));
}

#[test]
fn a_number_that_is_used_again_brings_no_bits_along() {
    let processes = family();
    let mut classes = Classes::new();
    for number in 0..CLASSES {
        let test = [exact(&format!("/{number}"))];
        install(&mut classes, &processes, &test);
        classes.release(&test, &processes.kernel).unwrap();
    }
    // An exec program that was under way when the class went wrote its bit afterwards.
    processes.kernel.0.processes.borrow_mut().get_mut(&20).unwrap().classes.insert(0);
    assert_eq!(install(&mut classes, &processes, &[exact("/bin/sh")]), [0]);
    assert_eq!(marks(&processes.kernel)[&20], Vec::<u32>::new());
}

#[test]
fn an_image_that_is_gone_is_not_marked_for_its_successor() {
    let kernel = FakeKernel::default();
    let processes = FakeProcesses { kernel: kernel.clone(), ..FakeProcesses::default() };
    processes.add(5, 1, "/bin/sh");
    assert!(!kernel.mark(5, 1, 0, 1, u64::MAX).unwrap());
    assert!(kernel.mark(5, 5000, 0, 1, u64::MAX).unwrap());
}

#[test]
fn more_classes_than_there_are_are_refused_whole() {
    let mut classes = Classes::new();
    let tests: Vec<ClassTest> = (0..=CLASSES).map(|number| exact(&number.to_string())).collect();
    assert!(matches!(classes.reserve(&tests), Err(ClassError::Exhausted)));
    assert_eq!(classes.len(), 0);
    assert_eq!(classes.reserve(&tests[1..]).unwrap().len(), CLASSES as usize);
}

#[test]
fn a_value_too_long_for_the_table_is_refused_and_taken_back() {
    let processes = family();
    let mut classes = Classes::new();
    let test = [exact(&"x".repeat(300))];
    classes.reserve(&test).unwrap();
    let error = classes.install(&processes.kernel, &processes).unwrap_err();
    assert!(matches!(error, ClassError::TooLong(_)), "{error}");
    classes.release(&test, &processes.kernel).unwrap();
    assert_eq!(classes.len(), 0);
}

fn scope(app: Option<&str>, host: bool) -> ClassTest {
    let requirement = |app: &str| Requirement {
        key: "app".to_owned(),
        operator: LabelOperator::In,
        values: vec![app.to_owned()],
    };
    let containers = app.map(|app| ContainerScope {
        pod: LabelTest { requirements: vec![requirement(app)] },
        container: LabelTest::default(),
    });
    ClassTest::Workload(WorkloadScope { namespace: None, containers, host })
}

fn pod(app: &str) -> Workload {
    Workload { labels: BTreeMap::from([("app".to_owned(), app.to_owned())]), ..Workload::default() }
}

/// Classes by cgroup, those of the host under zero, and the levels.
fn workloads(kernel: &FakeKernel) -> (BTreeMap<u64, Vec<u32>>, u64) {
    let of = |set: &ClassSet| (0..64).filter(|class| set.contains(*class)).collect::<Vec<u32>>();
    let (host, levels) = kernel.0.host.get();
    let known = kernel.0.workloads.borrow();
    let known = known.iter().map(|(cgroup, set)| (*cgroup, of(set)));
    (known.chain([(0, of(&host))]).collect(), levels)
}

// proves: SEL-13 (containers that come and go), K8S-02 (containers that come and go)
#[test]
fn containers_have_the_classes_of_the_scopes_that_they_are_in_and_the_rest_is_the_host() {
    let processes = family();
    let kernel = processes.kernel.clone();
    let mut classes = Classes::new();
    let tests = [scope(Some("web"), false), scope(None, true), scope(Some("db"), true), exact("/bin/sh")];
    install(&mut classes, &processes, &tests[..3]);
    // nobody is marked for it, and nobody is in a container yet
    assert!(marks(&kernel).values().all(Vec::is_empty));
    assert_eq!(workloads(&kernel), (BTreeMap::from([(0, vec![1, 2])]), 0));
    let at = |id, level| ContainerCgroup { id, level };
    classes.add_workload(at(70, 4), pod("web"), &kernel).unwrap();
    classes.add_workload(at(71, 5), pod("db"), &kernel).unwrap();
    let expected = BTreeMap::from([(70, vec![0]), (71, vec![2]), (0, vec![1, 2])]);
    assert_eq!(workloads(&kernel), (expected, 0x04_05));
    // a policy that comes later finds them
    let later = scope(Some("web"), true);
    let numbers = install(&mut classes, &processes, std::slice::from_ref(&later));
    assert_eq!(numbers, [3]);
    assert_eq!(workloads(&kernel).0[&70], [0, 3]);
    classes.release(&[later], &kernel).unwrap();
    assert_eq!(workloads(&kernel).0, BTreeMap::from([(70, vec![0]), (71, vec![2]), (0, vec![1, 2])]));
    classes.remove_workload(70, &kernel).unwrap();
    classes.remove_workload(70, &kernel).unwrap();
    assert_eq!(workloads(&kernel), (BTreeMap::from([(71, vec![2]), (0, vec![1, 2])]), 0x05));
    // the root holds everybody, and only so many levels can be told
    assert!(classes.add_workload(at(72, 0), pod("web"), &kernel).is_err());
    assert!(classes.add_workload(at(72, 256), pod("web"), &kernel).is_err());
    for (id, level) in (80..87).zip(6..) {
        classes.add_workload(at(id, level), pod("x"), &kernel).unwrap();
    }
    assert_eq!(workloads(&kernel).1, 0x05_06_07_08_09_0a_0b_0c);
    assert!(classes.add_workload(at(72, 13), pod("web"), &kernel).is_err());
    for id in 80..87 {
        classes.remove_workload(id, &kernel).unwrap();
    }
    classes.release(&tests[..3], &kernel).unwrap();
    assert_eq!(workloads(&kernel).0, BTreeMap::from([(71, vec![]), (0, vec![])]));
}
