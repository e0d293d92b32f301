//! The fields of hooks of every kind.

use super::fields::{Fields, FromNode};
use super::node::Node;
use crate::diagnostic::Report;
use crate::schema::{Kprobe, KprobeIgnore, LsmHook, Tracepoint, Uprobe, UprobeIgnore, Usdt};
use crate::source::{Span, Spanned};

impl FromNode for Kprobe {
    fn from_node(node: &Node, _: &str, report: &mut Report) -> Option<Self> {
        let mut fields = Fields::of(node, "a kprobe", report)?;
        let span = fields.span();
        let call = fields.required("call");
        // The CRD's default, in spite of what upstream's documents say.
        let syscall = fields.optional("syscall").unwrap_or(Spanned::new(true, Span::default()));
        let returns = fields.optional("return");
        let return_arg = fields.optional("returnArg");
        let return_arg_action = fields.optional("returnArgAction");
        let args = fields.list("args");
        let data = fields.list("data");
        let selectors = fields.list("selectors");
        let message = fields.optional("message");
        let tags = fields.list("tags");
        let ignore = fields.optional("ignore");
        fields.finish()?;
        Some(Self {
            call: call?,
            syscall,
            returns,
            return_arg,
            return_arg_action,
            args,
            data,
            selectors,
            message,
            tags,
            ignore,
            span,
        })
    }
}

impl FromNode for KprobeIgnore {
    fn from_node(node: &Node, _: &str, report: &mut Report) -> Option<Self> {
        let mut fields = Fields::of(node, "`ignore` of a kprobe", report)?;
        let span = fields.span();
        let call_not_found = fields.optional("callNotFound");
        fields.finish()?;
        Some(Self { call_not_found, span })
    }
}

impl FromNode for Tracepoint {
    fn from_node(node: &Node, _: &str, report: &mut Report) -> Option<Self> {
        let mut fields = Fields::of(node, "a tracepoint", report)?;
        let span = fields.span();
        let subsystem = fields.required("subsystem");
        let event = fields.required("event");
        let raw = fields.optional("raw");
        let args = fields.list("args");
        let selectors = fields.list("selectors");
        let message = fields.optional("message");
        let tags = fields.list("tags");
        fields.finish()?;
        Some(Self { subsystem: subsystem?, event: event?, raw, args, selectors, message, tags, span })
    }
}

impl FromNode for Uprobe {
    fn from_node(node: &Node, _: &str, report: &mut Report) -> Option<Self> {
        let mut fields = Fields::of(node, "a uprobe", report)?;
        let span = fields.span();
        let path = fields.required("path");
        let btf_path = fields.optional("btfPath");
        let symbols = fields.list("symbols");
        let offsets = fields.list("offsets");
        let addrs = fields.list("addrs");
        let ref_ctr_offsets = fields.list("refCtrOffsets");
        let returns = fields.optional("return");
        let return_arg = fields.optional("returnArg");
        let args = fields.list("args");
        let data = fields.list("data");
        let selectors = fields.list("selectors");
        let message = fields.optional("message");
        let tags = fields.list("tags");
        let binary_digests = fields.list("binaryDigests");
        let ignore = fields.optional("ignore");
        fields.finish()?;
        Some(Self {
            path: path?,
            btf_path,
            symbols,
            offsets,
            addrs,
            ref_ctr_offsets,
            returns,
            return_arg,
            args,
            data,
            selectors,
            message,
            tags,
            binary_digests,
            ignore,
            span,
        })
    }
}

impl FromNode for UprobeIgnore {
    fn from_node(node: &Node, _: &str, report: &mut Report) -> Option<Self> {
        let mut fields = Fields::of(node, "`ignore` of a uprobe", report)?;
        let span = fields.span();
        let digest_verification_failure = fields.optional("digestVerificationFailure");
        fields.finish()?;
        Some(Self { digest_verification_failure, span })
    }
}

impl FromNode for Usdt {
    fn from_node(node: &Node, _: &str, report: &mut Report) -> Option<Self> {
        let mut fields = Fields::of(node, "a usdt", report)?;
        let span = fields.span();
        let path = fields.required("path");
        let provider = fields.required("provider");
        let name = fields.required("name");
        let btf_path = fields.optional("btfPath");
        let args = fields.list("args");
        let selectors = fields.list("selectors");
        let message = fields.optional("message");
        let tags = fields.list("tags");
        fields.finish()?;
        let (path, provider, name) = (path?, provider?, name?);
        Some(Self { path, provider, name, btf_path, args, selectors, message, tags, span })
    }
}

impl FromNode for LsmHook {
    fn from_node(node: &Node, _: &str, report: &mut Report) -> Option<Self> {
        let mut fields = Fields::of(node, "an LSM hook", report)?;
        let span = fields.span();
        let hook = fields.required("hook");
        let args = fields.list("args");
        let selectors = fields.list("selectors");
        let message = fields.optional("message");
        let tags = fields.list("tags");
        fields.finish()?;
        Some(Self { hook: hook?, args, selectors, message, tags, span })
    }
}
