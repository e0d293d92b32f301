//! Values of a hook record to arguments of the API.

use std::borrow::Cow;
use std::sync::Arc;

use api::event::{Argument, FileArgument, LinuxBinprm, Value, text};
use api::name::permission;
use nix::errno::Errno;
use tracing_policy::ir::ValueKind;

use super::{network, object};
use crate::pipeline::decode::{RawObject, RawValue};
use crate::pipeline::layout::ValueLayout;

/// The argument that a value becomes.
pub(super) fn argument(value: RawValue<'_>, layout: &ValueLayout) -> Argument {
    let value = match value {
        RawValue::Int32(number) if layout.kind == ValueKind::Capability => {
            Value::Capability(object::capability(number))
        }
        RawValue::Int32(number) if layout.kind == ValueKind::BpfCmd => Value::BpfCmd(number),
        RawValue::Int32(number) => Value::Int(number),
        RawValue::Uint32(number) => Value::Uint(number),
        RawValue::Int64(number) => Value::Long(number),
        RawValue::Uint64(number) => {
            if let ValueKind::Capabilities(kind) = layout.kind {
                object::capabilities(kind, number)
            } else {
                Value::Size(number)
            }
        }
        // labels of socket addresses are not shown
        RawValue::Object(raw @ RawObject::Address(_)) => return object::object(raw, layout.kind).into(),
        RawValue::Object(raw) => object::object(raw, layout.kind),
        RawValue::String(bytes) => Value::String(text(bytes).into()),
        RawValue::Path { mode, incomplete, path } => {
            let file = FileArgument {
                path: text(path).into(),
                flags: Cow::Borrowed(if incomplete { "unresolvedPathComponents" } else { "" }),
                permission: Cow::Owned(permission(mode)),
                ..FileArgument::default()
            };
            if layout.kind == ValueKind::Path {
                Value::Path(file)
            } else if layout.kind == ValueKind::LinuxBinprm {
                let FileArgument { path, flags, permission, .. } = file;
                Value::LinuxBinprm(LinuxBinprm { path, flags, permission })
            } else {
                Value::File(file)
            }
        }
        RawValue::UnixAddress { family, path } => return network::unix_address(family, path).into(),
        RawValue::Error { errno } => {
            let errno = Errno::from_raw(i32::from(errno));
            Value::Error(errno.desc().into())
        }
    };
    Argument::labelled(value, Arc::clone(&layout.label))
}

#[cfg(test)]
mod tests {
    use api::event::{FileArgument, Value};
    use tracing_policy::ir::ValueKind;

    use super::argument;
    use crate::pipeline::ValueLayout;
    use crate::pipeline::decode::RawValue;

    #[test]
    fn a_path_becomes_a_file_or_a_path_as_the_layout_says() {
        let raw = RawValue::Path { mode: 0o100_640, incomplete: true, path: b"/etc/\xffshadow" };
        let expected = FileArgument {
            path: "/etc/\u{fffd}shadow".into(),
            flags: "unresolvedPathComponents".into(),
            permission: "-rw-r-----".into(),
            ..FileArgument::default()
        };
        let layout = |kind| ValueLayout { kind, label: "l".into() };
        let file = argument(raw, &layout(ValueKind::File));
        assert_eq!((file.value, &*file.label), (Some(Value::File(expected.clone())), "l"));
        assert_eq!(argument(raw, &layout(ValueKind::Path)).value, Some(Value::Path(expected)));
    }

    #[test]
    fn a_value_that_could_not_be_read_says_why() {
        let layout = ValueLayout { kind: ValueKind::String, label: "".into() };
        let error = argument(RawValue::Error { errno: 14 }, &layout);
        assert_eq!(error.value, Some(Value::Error("Bad address".into())));
    }
}
