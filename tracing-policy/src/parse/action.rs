//! The fields of actions.

use super::fields::{Fields, FromNode};
use super::node::Node;
use crate::diagnostic::Report;
use crate::schema::Action;

impl FromNode for Action {
    fn from_node(node: &Node, _: &str, report: &mut Report) -> Option<Self> {
        let mut fields = Fields::of(node, "an action", report)?;
        let span = fields.span();
        let action = fields.required("action");
        let arg_error = fields.optional("argError");
        let arg_sig = fields.optional("argSig");
        let arg_fqdn = fields.optional("argFqdn");
        let arg_url = fields.optional("argUrl");
        let arg_sock = fields.optional("argSock");
        let arg_index = fields.optional("argIndex");
        let arg_value = fields.optional("argValue");
        let arg_regs = fields.list("argRegs");
        let arg_new_symbol = fields.optional("argNewSymbol");
        let arg_new_addr = fields.optional("argNewAddr");
        let arg_new_offset = fields.optional("argNewOffset");
        let rate_limit = fields.optional("rateLimit");
        let rate_limit_scope = fields.optional("rateLimitScope");
        let kernel_stack_trace = fields.optional("kernelStackTrace");
        let user_stack_trace = fields.optional("userStackTrace");
        let ima_hash = fields.optional("imaHash");
        fields.finish()?;
        Some(Self {
            action: action?,
            arg_error,
            arg_sig,
            arg_fqdn,
            arg_url,
            arg_sock,
            arg_index,
            arg_value,
            arg_regs,
            arg_new_symbol,
            arg_new_addr,
            arg_new_offset,
            rate_limit,
            rate_limit_scope,
            kernel_stack_trace,
            user_stack_trace,
            ima_hash,
            span,
        })
    }
}
