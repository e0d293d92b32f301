//! The fields of the spec and of what is not a hook.

use super::fields::{Fields, FromNode};
use super::node::Node;
use crate::diagnostic::Report;
use crate::schema::{Enforcer, LabelExpression, LabelSelector, List, PolicyOption, SelectorMacro, Spec};
use crate::source::Spanned;

impl FromNode for Spec {
    fn from_node(node: &Node, _: &str, report: &mut Report) -> Option<Self> {
        let mut fields = Fields::of(node, "`spec`", report)?;
        let spec = Self {
            span: fields.span(),
            kprobes: fields.spanned_list("kprobes"),
            fentries: fields.spanned_list("fentries"),
            tracepoints: fields.spanned_list("tracepoints"),
            uprobes: fields.spanned_list("uprobes"),
            usdts: fields.spanned_list("usdts"),
            lsmhooks: fields.spanned_list("lsmhooks"),
            loader: fields.optional("loader"),
            enforcers: fields.spanned_list("enforcers"),
            lists: fields.spanned_list("lists"),
            options: fields.list("options"),
            pod_selector: fields.optional("podSelector"),
            container_selector: fields.optional("containerSelector"),
            host_selector: fields.optional("hostSelector"),
            node_selector: fields.optional("nodeSelector"),
            selectors_macros: macros(&mut fields),
        };
        fields.finish()?;
        Some(spec)
    }
}

fn macros(fields: &mut Fields<'_, '_>) -> Spanned<Vec<SelectorMacro>> {
    let macros = fields.map("selectorsMacros").unwrap_or_default();
    let span = macros.first().map_or(fields.span(), |(name, _)| name.span);
    let named = |(name, selector)| SelectorMacro { name, selector };
    Spanned::new(macros.into_iter().map(named).collect(), span)
}

impl FromNode for List {
    fn from_node(node: &Node, _: &str, report: &mut Report) -> Option<Self> {
        let mut fields = Fields::of(node, "a list of symbols", report)?;
        let span = fields.span();
        let name = fields.required("name");
        let ty = fields.optional("type");
        let values = fields.list("values");
        let pattern = fields.optional("pattern");
        let validated = fields.optional("validated");
        fields.finish()?;
        Some(Self { name: name?, ty, values, pattern, validated, span })
    }
}

impl FromNode for Enforcer {
    fn from_node(node: &Node, _: &str, report: &mut Report) -> Option<Self> {
        let mut fields = Fields::of(node, "an enforcer", report)?;
        let span = fields.span();
        let calls = fields.required("calls");
        fields.finish()?;
        Some(Self { calls: calls?, span })
    }
}

impl FromNode for PolicyOption {
    fn from_node(node: &Node, _: &str, report: &mut Report) -> Option<Self> {
        let mut fields = Fields::of(node, "an option", report)?;
        let span = fields.span();
        let name = fields.required("name");
        let value = fields.optional("value");
        fields.finish()?;
        Some(Self { name: name?, value, span })
    }
}

impl FromNode for LabelSelector {
    fn from_node(node: &Node, _: &str, report: &mut Report) -> Option<Self> {
        let mut fields = Fields::of(node, "a label selector", report)?;
        let span = fields.span();
        let match_labels = fields.map("matchLabels");
        let match_expressions = fields.optional("matchExpressions");
        fields.finish()?;
        Some(Self { match_labels, match_expressions, span })
    }
}

impl FromNode for LabelExpression {
    fn from_node(node: &Node, _: &str, report: &mut Report) -> Option<Self> {
        let mut fields = Fields::of(node, "a label expression", report)?;
        let key = fields.required("key");
        let operator = fields.required("operator");
        let values = fields.list("values");
        fields.finish()?;
        Some(Self { key: key?, operator: operator?, values })
    }
}
