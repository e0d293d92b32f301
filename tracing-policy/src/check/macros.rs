//! Macros of selectors: each is put into the selectors that name it, before anything else is looked at.
//!
//! A list of a selector comes from one place: from the selector itself or from one of its macros. A macro names no macros. What stands in a macro keeps its
//! place in the text, so that errors show the macro.

use super::unsupported;
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::parse::{shortened, suggestion};
use crate::schema::{Selector, SelectorMacro, Spec};
use crate::source::Span;

/// Replaces the macros that selectors name by what stands in them.
pub(super) fn expand(spec: &mut Spec, report: &mut Report) {
    let macros = std::mem::take(&mut spec.selectors_macros.value);
    for one in &macros {
        check(one, report);
    }
    let kprobes = spec.kprobes.value.iter_mut().chain(&mut spec.fentries.value);
    let selectors = kprobes
        .flat_map(|hook| &mut hook.selectors)
        .chain(spec.tracepoints.value.iter_mut().flat_map(|hook| &mut hook.selectors))
        .chain(spec.uprobes.value.iter_mut().flat_map(|hook| &mut hook.selectors))
        .chain(spec.usdts.value.iter_mut().flat_map(|hook| &mut hook.selectors))
        .chain(spec.lsmhooks.value.iter_mut().flat_map(|hook| &mut hook.selectors));
    for selector in selectors {
        merge_all(selector, &macros, report);
    }
}

/// What a macro must not have.
fn check(one: &SelectorMacro, report: &mut Report) {
    if let Some(first) = one.selector.macros.value.first() {
        let message = "a macro cannot use macros";
        let error = Diagnostic::error(Code::UnknownField, first.span, message);
        report.push(error.help("name both macros in the selector"));
    }
    if let Some(workloads) = &one.selector.match_workloads {
        unsupported::refuse("matchWorkloads in a macro", workloads.span, report);
    }
}

fn merge_all(selector: &mut Selector, macros: &[SelectorMacro], report: &mut Report) {
    let mut sources = Sources { selector: selector.span, merged: Vec::new() };
    for name in std::mem::take(&mut selector.macros.value) {
        let Some(found) = macros.iter().find(|one| one.name.value == name.value) else {
            let message = format!("there is no macro `{}`", shortened(&name.value));
            let names = macros.iter().map(|one| one.name.value.as_str());
            let help = if macros.is_empty() {
                "macros are defined in `spec.selectorsMacros`".to_owned()
            } else {
                suggestion(&name.value, names, "macros")
            };
            report.push(Diagnostic::error(Code::UnknownWord, name.span, message).help(help));
            continue;
        };
        sources.merge(selector, found, name.span, report);
    }
}

/// Where the lists of a selector came from.
struct Sources {
    /// The selector.
    selector: Span,
    /// Lists that a macro gave, and where the macro is named.
    merged: Vec<(&'static str, Span)>,
}

impl Sources {
    fn merge(&mut self, selector: &mut Selector, from: &SelectorMacro, named: Span, report: &mut Report) {
        let body = &from.selector;
        if selector.label.as_ref().is_none_or(|label| label.value.is_empty()) {
            selector.label.clone_from(&body.label);
        }
        let mut it = Merge { sources: self, name: &from.name.value, named, report };
        it.list("matchPIDs", &mut selector.match_pids, &body.match_pids);
        it.list("matchBinaries", &mut selector.match_binaries, &body.match_binaries);
        it.list("matchArgs", &mut selector.match_args, &body.match_args);
        it.list("matchActions", &mut selector.match_actions, &body.match_actions);
        it.spanned("matchParentBinaries", &mut selector.match_parent_binaries, &body.match_parent_binaries);
        it.spanned("matchNamespaces", &mut selector.match_namespaces, &body.match_namespaces);
        it.spanned(
            "matchNamespaceChanges",
            &mut selector.match_namespace_changes,
            &body.match_namespace_changes,
        );
        it.spanned("matchCapabilities", &mut selector.match_capabilities, &body.match_capabilities);
        it.spanned(
            "matchCapabilityChanges",
            &mut selector.match_capability_changes,
            &body.match_capability_changes,
        );
        it.spanned("matchData", &mut selector.match_data, &body.match_data);
        it.spanned("matchReturnArgs", &mut selector.match_return_args, &body.match_return_args);
        it.spanned("matchReturnActions", &mut selector.match_return_actions, &body.match_return_actions);
    }
}

/// One macro on its way into a selector.
struct Merge<'a> {
    sources: &'a mut Sources,
    name: &'a str,
    named: Span,
    report: &'a mut Report,
}

impl Merge<'_> {
    /// Takes a list over, unless the selector has one. Says whether it did.
    fn list<T: Clone>(&mut self, field: &'static str, into: &mut Vec<T>, from: &[T]) -> bool {
        if from.is_empty() {
            return false;
        }
        if into.is_empty() {
            into.extend_from_slice(from);
            self.sources.merged.push((field, self.named));
            return true;
        }
        let earlier = self.sources.merged.iter().find(|(known, _)| *known == field);
        let (span, what) = match earlier {
            Some((_, span)) => (*span, "this macro has it too"),
            None => (self.sources.selector, "this selector has it too"),
        };
        let message = format!("`{field}` of the macro `{}` is there already", shortened(self.name));
        let error = Diagnostic::error(Code::DuplicateKey, self.named, message).also(span, what);
        self.report.push(error.help("a list comes from the selector or from one of its macros"));
        false
    }

    /// The same for a list that knows where it was written.
    fn spanned<T: Clone>(
        &mut self,
        field: &'static str,
        into: &mut crate::source::Spanned<Vec<T>>,
        from: &crate::source::Spanned<Vec<T>>,
    ) {
        if self.list(field, &mut into.value, &from.value) {
            into.span = from.span;
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests {
    use crate::policy::{Mode, Policy};
    use crate::source::SourceText;

    fn read(macros: &str, selectors: &str) -> Policy {
        let text = format!(
            "apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata: {{name: p}}
spec:
  selectorsMacros: {macros}
  kprobes:
  - call: sys_close
    args: [{{index: 0, type: int}}]
    selectors: {selectors}
"
        );
        crate::read(&SourceText::new("test", text)).unwrap().0
    }

    // proves: POL-08, SEL-14
    #[test]
    fn a_selector_has_its_own_lists_and_those_of_its_macros() {
        let macros = "{a: {label: of a, matchPIDs: [{operator: In, values: [7]}], matchArgs: []}, b: {label: of b, matchBinaries: [{operator: In, values: [/bin/sh]}]}}";
        let own = "matchArgs: [{index: 0, operator: Equal, values: ['3']}]";
        let policy =
            read(macros, &format!("[{{macros: [a, b], {own}}}, {{macros: [b], label: mine}}, {{}}]"));
        let [first, second, third] = policy.hooks[0].selectors.as_slice() else { panic!() };
        assert_eq!((first.pids.len(), first.binaries.len(), first.arguments.len()), (1, 1, 1));
        assert_eq!(first.label.as_ref().unwrap().value, "of a");
        assert_eq!((second.pids.len(), second.binaries.len()), (0, 1));
        assert_eq!(second.label.as_ref().unwrap().value, "mine");
        assert!(third.matches_always());
    }

    // proves: POL-13 (enforcement in a macro)
    #[test]
    fn a_policy_whose_only_enforcement_sits_in_a_macro_enforces() {
        let macros = "{kill: {matchActions: [{action: Sigkill}]}}";
        assert_eq!(read(macros, "[{macros: [kill]}]").initial_mode(), Mode::Enforce);
        assert_eq!(read(macros, "[{}]").initial_mode(), Mode::MonitorOnly);
    }
}
