//! The fields of arguments.

use super::fields::{Fields, FromNode};
use super::node::Node;
use crate::diagnostic::Report;
use crate::schema::Argument;

impl FromNode for Argument {
    fn from_node(node: &Node, _: &str, report: &mut Report) -> Option<Self> {
        let mut fields = Fields::of(node, "an argument", report)?;
        let span = fields.span();
        let index = fields.required("index");
        let ty = fields.optional("type");
        let size_arg_index = fields.optional("sizeArgIndex");
        let return_copy = fields.optional("returnCopy");
        let max_data = fields.optional("maxData");
        let label = fields.optional("label");
        let resolve = fields.optional("resolve");
        let source = fields.optional("source");
        let btf_type = fields.optional("btfType");
        let btf_type_module = fields.optional("btfTypeModule");
        fields.finish()?;
        Some(Self {
            index: index?,
            ty,
            size_arg_index,
            return_copy,
            max_data,
            label,
            resolve,
            source,
            btf_type,
            btf_type_module,
            span,
        })
    }
}
