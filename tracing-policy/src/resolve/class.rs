//! What depends on the process alone, taken out of the selectors.

use bpf_probes::abi::{BINARY_BYTES, BINARY_END_BYTES};

use crate::diagnostic::{Code, Diagnostic, Report};
use crate::policy::{
    BinaryFilter, ClassTest, ClassUse, Descendants, Kin, Membership, PidFilter, PidNamespace, Selector,
    Sense, StringForm, WorkloadScope,
};

/// The class tests of a hook and where each selector uses them.
pub(super) struct Classes {
    /// Distinct tests.
    pub(super) tests: Vec<ClassTest>,
    /// By selector.
    pub(super) uses: Vec<Vec<ClassUse>>,
}

/// Whether a filter of pids is a class: it depends on ancestors.
pub(super) fn is_class(filter: &PidFilter) -> bool {
    filter.descendants == Descendants::Followed
}

/// The class tests of a hook's selectors, each for the workloads that the policy is for `everywhere`; `None` when the report has an error about one.
pub(super) fn classes(
    selectors: &[Selector],
    everywhere: Option<&WorkloadScope>,
    report: &mut Report,
) -> Option<Classes> {
    let mut classes = Classes { tests: Vec::new(), uses: Vec::new() };
    let mut complete = true;
    for selector in selectors {
        let mut uses: Vec<ClassUse> =
            everywhere.into_iter().chain(&selector.workload).map(|scope| classes.workload(scope)).collect();
        let own = selector.binaries.iter().map(|filter| (filter, Kin::Process));
        let parents = selector.process.parents.iter().map(|filter| (filter, Kin::Parent));
        for (filter, of) in own.chain(parents) {
            complete &= values_fit(filter, report);
            let test = ClassTest::Binary {
                form: filter.test.form,
                values: filter.test.values.iter().map(|value| value.value.clone()).collect(),
                children: filter.children,
            };
            uses.push(ClassUse { class: classes.number(test), of, sense: filter.test.sense });
        }
        for filter in selector.pids.iter().filter(|filter| is_class(filter)) {
            classes.descendants(filter, &mut uses);
        }
        classes.uses.push(uses);
    }
    if selectors.is_empty() {
        let uses = everywhere.map(|scope| classes.workload(scope)).into_iter().collect();
        classes.uses.push(uses);
    }
    complete.then_some(classes)
}

impl Classes {
    fn workload(&mut self, scope: &WorkloadScope) -> ClassUse {
        let class = self.number(ClassTest::Workload(scope.clone()));
        ClassUse { class, of: Kin::Workload, sense: Sense::Plain }
    }

    /// A process of the host's namespace has no number of its own, and passes no test of one, negated or not.
    fn descendants(&mut self, filter: &PidFilter, uses: &mut Vec<ClassUse>) {
        let sense = match filter.membership {
            Membership::In => Sense::Plain,
            Membership::NotIn => Sense::Negated,
        };
        if (filter.namespace, sense) == (PidNamespace::Own, Sense::Negated) {
            let class = self.number(ClassTest::InPidNamespace);
            uses.push(ClassUse { class, of: Kin::Process, sense: Sense::Plain });
        }
        let test = ClassTest::Descendants { namespace: filter.namespace, pids: filter.pids.clone() };
        uses.push(ClassUse { class: self.number(test), of: Kin::Process, sense });
    }

    fn number(&mut self, test: ClassTest) -> usize {
        if let Some(index) = self.tests.iter().position(|known| *known == test) {
            return index;
        }
        self.tests.push(test);
        self.tests.len() - 1
    }
}

/// A class's values must fit the keys of the tables that are looked up at exec.
fn values_fit(filter: &BinaryFilter, report: &mut Report) -> bool {
    let longest = match filter.test.form {
        StringForm::Exact => BINARY_BYTES - 1,
        StringForm::Prefix => BINARY_BYTES,
        StringForm::Postfix => BINARY_END_BYTES,
    };
    let mut fit = true;
    for value in filter.test.values.iter().filter(|value| value.value.len() > longest) {
        let message = format!(
            "a binary is compared by at most {longest} bytes here, this value has {}",
            value.value.len()
        );
        report.push(Diagnostic::error(Code::ValueTooLong, value.span, message));
        fit = false;
    }
    fit
}
