#![expect(clippy::unwrap_used, reason = "tests")]

use super::super::fake::{FakeCompiler, FakeKernel, FakeLayouts, FakeProcesses};
use super::*;

type FakeStore = Store<FakeKernel, FakeCompiler, FakeProcesses, FakeLayouts>;

struct Bench {
    store: FakeStore,
    kernel: FakeKernel,
    layouts: FakeLayouts,
    compiler: FakeCompiler,
    board: Board,
}

fn bench() -> Bench {
    let kernel = FakeKernel::default();
    let (layouts, compiler, board) = (FakeLayouts::default(), FakeCompiler::default(), Board::default());
    let processes = FakeProcesses { kernel: kernel.clone(), ..FakeProcesses::default() };
    let world =
        World { port: kernel.clone(), compiler: compiler.clone(), processes, layouts: layouts.clone() };
    Bench { store: Store::new(world, board.clone()), kernel, layouts, compiler, board }
}

impl Bench {
    fn add(&mut self, text: &str) -> Result<Vec<Identity>, PolicyError> {
        self.store.add("grpc", &[SourceText::new("request", text)])
    }

    fn states(&self) -> Vec<(String, State)> {
        self.board.policies().iter().map(|policy| (policy.identity.name.clone(), policy.state)).collect()
    }
}

fn identity(name: &str) -> Identity {
    Identity { namespace: String::new(), name: name.to_owned(), domain: "grpc".to_owned() }
}

#[test]
fn a_policy_comes_and_goes_without_a_trace() {
    let mut bench = bench();
    bench.add("p f g+deny").unwrap();
    assert_eq!(bench.kernel.running().len(), 3);
    assert_eq!(bench.layouts.0.borrow().len(), 2);
    assert_eq!(bench.states(), [("p".to_owned(), State::Enabled)]);
    let board = bench.board.policies();
    assert_eq!(board[0].memory(), 300, "three programs that it has alone");
    bench.store.remove(&identity("p")).unwrap();
    assert_eq!((bench.kernel.objects(), bench.layouts.0.borrow().len()), ((0, 0), 0));
    assert!(bench.states().is_empty());
    assert!(matches!(bench.store.remove(&identity("p")), Err(PolicyError::Unknown { .. })));
}

// proves: POL-12 (state), POL-16 (partially enabled)
#[test]
fn a_policy_without_a_hook_that_may_be_absent_is_enabled_in_part_and_says_what_is_missing() {
    let mut bench = bench();
    bench.add("p f !g").unwrap();
    assert_eq!(bench.states(), [("p".to_owned(), State::PartiallyEnabled)]);
    assert_eq!((bench.kernel.running().len(), &*bench.board.policies()[0].absent[0].function), (1, "g"));
    bench.store.set_enabled(&identity("p"), false).unwrap();
    assert_eq!(bench.states(), [("p".to_owned(), State::Disabled)]);
    assert!(bench.board.policies()[0].absent.is_empty());
    bench.store.set_enabled(&identity("p"), true).unwrap();
    assert_eq!(bench.states(), [("p".to_owned(), State::PartiallyEnabled)]);
}

#[test]
fn a_hook_on_many_places_has_a_layout_for_each() {
    let mut bench = bench();
    bench.add("p f*3 g").unwrap();
    bench.add("q f*3").unwrap();
    let numbers: Vec<u32> = bench.layouts.0.borrow().iter().copied().collect();
    assert_eq!((numbers, bench.kernel.running().len()), ((1..=7).collect(), 2));
    bench.store.remove(&identity("p")).unwrap();
    assert_eq!(bench.layouts.0.borrow().iter().copied().collect::<Vec<_>>(), [5, 6, 7]);
}

#[test]
fn policies_of_one_change_share_the_compilation_of_a_hook() {
    let mut bench = bench();
    let texts: Vec<SourceText> =
        (0..50).map(|number| SourceText::new(format!("{number}"), format!("p{number} f"))).collect();
    bench.store.add("static", &texts).unwrap();
    assert_eq!((bench.compiler.compiled.get(), bench.kernel.objects()), (1, (1, 1)));
}

#[test]
fn one_bad_policy_of_a_change_refuses_all() {
    let mut bench = bench();
    let texts = ["a f", "b uncompilable", "c g"].map(|text| SourceText::new("x", text));
    assert!(bench.store.add("static", &texts).is_err());
    assert_eq!((bench.kernel.objects(), bench.states().len()), ((0, 0), 0));
    let twice = ["a f", "a g"].map(|text| SourceText::new("x", text));
    assert!(matches!(bench.store.add("static", &twice), Err(PolicyError::Exists { .. })));
}

// proves: POL-14 (name, domain)
#[test]
fn the_same_name_is_another_policy_in_another_domain_only() {
    let mut bench = bench();
    bench.add("p f").unwrap();
    assert!(matches!(bench.add("p g"), Err(PolicyError::Exists { .. })));
    bench.store.add("other", &[SourceText::new("x", "p g")]).unwrap();
    assert_eq!(bench.states().len(), 2);
}

// proves: POL-16 (states, text of the error)
#[test]
fn a_policy_that_cannot_be_loaded_is_shown_with_its_error_and_can_be_replaced() {
    let mut bench = bench();
    bench.add("p f").unwrap();
    bench.kernel.0.failure.arm(0);
    let error = bench.add("q f").unwrap_err().to_string();
    assert!(error.starts_with("request:1:1: ") && error.contains("kprobe f: body refused"), "{error}");
    assert_eq!(bench.states(), [("p".to_owned(), State::Enabled), ("q".to_owned(), State::LoadError)]);
    assert_eq!(bench.board.policies()[1].error, error);
    assert_eq!(bench.kernel.running()[0].1, "f Report {0}", "the other one runs on");
    bench.add("q f").unwrap();
    assert_eq!(bench.board.policies()[1].id, 2, "the id stays");
    assert_eq!(bench.states()[1].1, State::Enabled);
}

#[test]
fn a_text_that_is_no_policy_leaves_nothing() {
    let mut bench = bench();
    assert!(matches!(bench.add("Not-A-Name f"), Err(PolicyError::Findings { .. })));
    assert!(bench.states().is_empty());
}

// proves: POL-15
#[test]
fn a_disabled_policy_keeps_its_definition_and_mode() {
    let mut bench = bench();
    bench.add("p f").unwrap();
    bench.store.set_mode(&identity("p"), Mode::Monitor).unwrap();
    bench.store.set_enabled(&identity("p"), false).unwrap();
    assert_eq!((bench.kernel.objects(), bench.states()[0].1), ((0, 0), State::Disabled));
    bench.store.set_enabled(&identity("p"), true).unwrap();
    assert_eq!(bench.states()[0].1, State::Enabled);
    assert_eq!(bench.board.policies()[0].mode, Mode::Monitor);
    let monitor = bench.kernel.0.monitor.borrow().values().filter(|monitor| **monitor).count();
    assert!(monitor >= 1, "the programs start in monitor mode");
}

// proves: POL-13 (enforce, monitor), POL-15
#[test]
fn the_mode_is_a_store_and_nothing_is_loaded() {
    let mut bench = bench();
    bench.add("p f").unwrap();
    let before = bench.compiler.compiled.get();
    bench.store.set_mode(&identity("p"), Mode::Monitor).unwrap();
    assert_eq!(bench.kernel.0.monitor.borrow().get(&0), Some(&true));
    bench.store.set_mode(&identity("p"), Mode::Enforce).unwrap();
    assert_eq!(bench.kernel.0.monitor.borrow().get(&0), Some(&false));
    assert_eq!(bench.compiler.compiled.get(), before);
    assert!(matches!(
        bench.store.set_mode(&identity("p"), Mode::MonitorOnly),
        Err(PolicyError::MonitorOnly { .. })
    ));
}

#[test]
fn adding_and_removing_for_ever_uses_up_no_numbers() {
    let mut bench = bench();
    for _ in 0..POLICIES + 10 {
        bench.add("p f g").unwrap();
        bench.store.remove(&identity("p")).unwrap();
    }
    assert_eq!(bench.kernel.objects(), (0, 0));
}

#[test]
fn more_policies_than_numbers_are_refused_and_the_rest_stays() {
    let mut bench = bench();
    let texts: Vec<SourceText> =
        (0..=POLICIES).map(|number| SourceText::new("x", format!("p{number} f"))).collect();
    assert!(matches!(bench.store.add("static", &texts), Err(PolicyError::Exhausted { .. })));
    assert_eq!(bench.kernel.objects(), (0, 0));
    bench.store.add("static", &texts[1..]).unwrap();
    assert_eq!(bench.states().len(), POLICIES);
}

#[test]
fn dropping_the_store_detaches_everything() {
    let mut bench = bench();
    bench.add("p f g+deny").unwrap();
    drop(bench.store);
    assert_eq!(bench.kernel.objects(), (0, 0));
}
