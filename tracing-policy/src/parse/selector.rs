//! The fields of selectors and their filters.

use super::fields::{Fields, FromNode};
use super::node::Node;
use crate::diagnostic::Report;
use crate::schema::{
    ArgumentMatch, BinaryMatch, CapabilityMatch, NamespaceChangeMatch, NamespaceMatch, PidMatch, Selector,
    WorkloadMatch,
};

impl FromNode for Selector {
    fn from_node(node: &Node, _: &str, report: &mut Report) -> Option<Self> {
        let mut fields = Fields::of(node, "a selector", report)?;
        let selector = Self {
            span: fields.span(),
            match_pids: fields.list("matchPIDs"),
            match_binaries: fields.list("matchBinaries"),
            match_parent_binaries: fields.spanned_list("matchParentBinaries"),
            match_namespaces: fields.spanned_list("matchNamespaces"),
            match_namespace_changes: fields.spanned_list("matchNamespaceChanges"),
            match_capabilities: fields.spanned_list("matchCapabilities"),
            match_capability_changes: fields.spanned_list("matchCapabilityChanges"),
            match_args: fields.list("matchArgs"),
            match_data: fields.spanned_list("matchData"),
            match_return_args: fields.spanned_list("matchReturnArgs"),
            match_workloads: fields.optional("matchWorkloads"),
            macros: fields.spanned_list("macros"),
            match_actions: fields.list("matchActions"),
            match_return_actions: fields.spanned_list("matchReturnActions"),
            label: fields.optional("label"),
        };
        fields.finish()?;
        Some(selector)
    }
}

impl FromNode for PidMatch {
    fn from_node(node: &Node, _: &str, report: &mut Report) -> Option<Self> {
        let mut fields = Fields::of(node, "an entry of matchPIDs", report)?;
        let span = fields.span();
        let operator = fields.required("operator");
        let values = fields.list("values");
        let is_namespace_pid = fields.optional("isNamespacePID");
        let follow_forks = fields.optional("followForks");
        fields.finish()?;
        Some(Self { operator: operator?, values, is_namespace_pid, follow_forks, span })
    }
}

impl FromNode for BinaryMatch {
    fn from_node(node: &Node, _: &str, report: &mut Report) -> Option<Self> {
        let mut fields = Fields::of(node, "a filter of binaries", report)?;
        let span = fields.span();
        let operator = fields.required("operator");
        let values = fields.list("values");
        let follow_children = fields.optional("followChildren");
        fields.finish()?;
        Some(Self { operator: operator?, values, follow_children, span })
    }
}

impl FromNode for NamespaceMatch {
    fn from_node(node: &Node, _: &str, report: &mut Report) -> Option<Self> {
        let mut fields = Fields::of(node, "an entry of matchNamespaces", report)?;
        let span = fields.span();
        let namespace = fields.required("namespace");
        let operator = fields.required("operator");
        let values = fields.list("values");
        fields.finish()?;
        Some(Self { namespace: namespace?, operator: operator?, values, span })
    }
}

impl FromNode for NamespaceChangeMatch {
    fn from_node(node: &Node, _: &str, report: &mut Report) -> Option<Self> {
        let mut fields = Fields::of(node, "an entry of matchNamespaceChanges", report)?;
        let span = fields.span();
        let operator = fields.required("operator");
        let values = fields.list("values");
        fields.finish()?;
        Some(Self { operator: operator?, values, span })
    }
}

impl FromNode for CapabilityMatch {
    fn from_node(node: &Node, _: &str, report: &mut Report) -> Option<Self> {
        let mut fields = Fields::of(node, "a filter of capabilities", report)?;
        let span = fields.span();
        let ty = fields.optional("type");
        let operator = fields.required("operator");
        let is_namespace_capability = fields.optional("isNamespaceCapability");
        let values = fields.list("values");
        fields.finish()?;
        Some(Self { ty, operator: operator?, is_namespace_capability, values, span })
    }
}

impl FromNode for ArgumentMatch {
    fn from_node(node: &Node, _: &str, report: &mut Report) -> Option<Self> {
        let mut fields = Fields::of(node, "a filter of arguments", report)?;
        let span = fields.span();
        let index = fields.optional("index");
        let args = fields.list("args");
        let operator = fields.required("operator");
        let values = fields.list("values");
        fields.finish()?;
        Some(Self { index, args, operator: operator?, values, span })
    }
}

impl FromNode for WorkloadMatch {
    fn from_node(node: &Node, _: &str, report: &mut Report) -> Option<Self> {
        let mut fields = Fields::of(node, "`matchWorkloads`", report)?;
        let span = fields.span();
        let pod_selector = fields.optional("podSelector");
        let container_selector = fields.optional("containerSelector");
        let host_selector = fields.optional("hostSelector");
        fields.finish()?;
        Some(Self { pod_selector, container_selector, host_selector, span })
    }
}
