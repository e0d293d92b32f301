//! Values of a hook record to arguments of the API.

use std::borrow::Cow;
use std::sync::Arc;

use api::event::{Argument, FileArgument, LinuxBinprm, SyscallId, TruncatedBytes, Value};
use api::name::permission;
use nix::errno::Errno;
use tracing_policy::ir::ValueKind;

use super::{network, object};
use crate::pipeline::decode::{LongValue, RawValue};
use crate::pipeline::layout::ValueLayout;
use crate::pipeline::spare::Spare;

/// The argument that a value becomes, made of what `spare` has.
pub(super) fn argument(value: RawValue<'_>, layout: &ValueLayout, spare: &mut Spare) -> Argument {
    let value = match value {
        RawValue::Int32(number) if layout.kind == ValueKind::Capability => {
            Value::Capability(object::capability(number))
        }
        RawValue::Int32(number) if layout.kind == ValueKind::BpfCmd => Value::BpfCmd(number),
        RawValue::Int32(number) => Value::Int(number),
        RawValue::Uint32(number) => Value::Uint(number),
        RawValue::Int64(number) => Value::Long(number),
        RawValue::Uint64(number) if layout.kind == ValueKind::Syscall => syscall(number),
        RawValue::Uint64(number) => {
            if let ValueKind::Capabilities(kind) = layout.kind {
                object::capabilities(kind, number, spare)
            } else {
                Value::Size(number)
            }
        }
        RawValue::Object(raw) => object::object(raw, layout.kind, spare),
        RawValue::String(bytes) => Value::String(spare.text(bytes)),
        RawValue::Bytes { bytes, cut_from: None } => Value::Bytes(spare.buffer(bytes)),
        RawValue::Bytes { bytes, cut_from: Some(original_size) } => {
            Value::TruncatedBytes(TruncatedBytes { bytes: spare.buffer(bytes), original_size })
        }
        RawValue::Long(long) => cut(long, Vec::new()),
        RawValue::Error { errno } if layout.kind == ValueKind::Bytes => Value::Bytes(unread(errno).into()),
        RawValue::Path { mode, incomplete, path } => {
            let file = FileArgument {
                path: spare.text(path),
                flags: Cow::Borrowed(if incomplete { "unresolvedPathComponents" } else { "" }),
                permission: Cow::Owned(spare.display(permission(mode))),
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
        RawValue::UnixAddress { family, path } => network::unix_address(family, path, spare),
        RawValue::Error { errno } => {
            let errno = Errno::from_raw(i32::from(errno));
            Value::Error(errno.desc().into())
        }
    };
    Argument::labelled(value, Arc::clone(&layout.label))
}

/// A buffer whose pieces have been put together.
pub(super) fn joined(long: LongValue, bytes: Vec<u8>, layout: &ValueLayout) -> Argument {
    let is_whole = u64::try_from(bytes.len()).is_ok_and(|have| have == long.whole);
    let value = if is_whole { Value::Bytes(bytes) } else { cut(long, bytes) };
    Argument::labelled(value, Arc::clone(&layout.label))
}

fn cut(long: LongValue, bytes: Vec<u8>) -> Value {
    Value::TruncatedBytes(TruncatedBytes { bytes, original_size: long.whole })
}

/// What events show in place of a buffer that could not be read.
fn unread(errno: u16) -> &'static [u8] {
    let errno = Errno::from_raw(i32::from(errno));
    if errno == Errno::EFAULT {
        b"CharBufErrorPageFault"
    } else if errno == Errno::E2BIG {
        b"CharBufErrorBufTooLarge"
    } else if errno == Errno::ENOMEM {
        b"CharBufErrorENOMEM"
    } else {
        b"CharBufErrorUnknown"
    }
}

/// A system call's number; bit 31 marks one of a 32-bit program.
fn syscall(number: u64) -> Value {
    const IS_32_BIT: u32 = 1 << 31;
    // wider numbers are no calls: shown cut, as the kernel takes them
    let number = u32::try_from(number & u64::from(u32::MAX)).unwrap_or(0);
    let abi = if number & IS_32_BIT == 0 { "x64" } else { "i386" };
    Value::SyscallId(SyscallId { id: number & !IS_32_BIT, abi: abi.into() })
}

#[cfg(test)]
mod tests {
    use api::event::{FileArgument, SyscallId, TruncatedBytes, Value};
    use bpf_probes::abi::AddressValue;
    use tracing_policy::ir::{NetworkType, ObjectKind, ValueKind};

    use super::{Spare, argument};
    use crate::pipeline::ValueLayout;
    use crate::pipeline::decode::{RawObject, RawValue};

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
        let file = argument(raw, &layout(ValueKind::File), &mut Spare::default());
        assert_eq!((file.value, &*file.label), (Some(Value::File(expected.clone())), "l"));
        assert_eq!(
            argument(raw, &layout(ValueKind::Path), &mut Spare::default()).value,
            Some(Value::Path(expected))
        );
    }

    // proves: ARG-02 (as events show it)
    #[test]
    fn a_buffer_is_shown_whole_or_cut_or_says_why_it_cannot() {
        let shown = |raw| {
            let layout = ValueLayout { kind: ValueKind::Bytes, label: "".into() };
            argument(raw, &layout, &mut Spare::default()).value
        };
        let whole = RawValue::Bytes { bytes: b"a\0", cut_from: None };
        assert_eq!(shown(whole), Some(Value::Bytes(b"a\0".as_slice().into())));
        let cut = TruncatedBytes { bytes: b"a".as_slice().into(), original_size: 5000 };
        let raw = RawValue::Bytes { bytes: b"a", cut_from: Some(5000) };
        assert_eq!(shown(raw), Some(Value::TruncatedBytes(cut)));
        for (errno, text) in [
            (14, "CharBufErrorPageFault"),
            (7, "CharBufErrorBufTooLarge"),
            (12, "CharBufErrorENOMEM"),
            (1, "CharBufErrorUnknown"),
        ] {
            let error = RawValue::Error { errno };
            assert_eq!(shown(error), Some(Value::Bytes(text.as_bytes().into())));
        }
    }

    // proves: ARG-20
    #[test]
    fn values_of_every_type_carry_their_label() {
        let address = AddressValue::default();
        for (raw, kind) in [
            (RawValue::Int32(1), ValueKind::Int32),
            (RawValue::Uint64(1), ValueKind::Uint64),
            (RawValue::String(b"x"), ValueKind::String),
            (RawValue::Path { mode: 0, incomplete: false, path: b"/x" }, ValueKind::File),
            (
                RawValue::Object(RawObject::Address(&address)),
                ValueKind::Object(ObjectKind::Network(NetworkType::Sockaddr)),
            ),
            (RawValue::UnixAddress { family: 1, path: b"@x" }, ValueKind::SockaddrUn),
            (RawValue::Error { errno: 14 }, ValueKind::String),
        ] {
            let shown = argument(raw, &ValueLayout { kind, label: "l".into() }, &mut Spare::default());
            assert_eq!(&*shown.label, "l", "{kind:?}");
        }
    }

    #[test]
    fn a_value_that_could_not_be_read_says_why() {
        let layout = ValueLayout { kind: ValueKind::String, label: "".into() };
        let error = argument(RawValue::Error { errno: 14 }, &layout, &mut Spare::default());
        assert_eq!(error.value, Some(Value::Error("Bad address".into())));
    }

    // proves: HOOK-21 (as events show it), ARG-16 (as events show it)
    #[test]
    fn a_system_call_is_a_number_and_the_door_it_came_through() {
        let layout = ValueLayout { kind: ValueKind::Syscall, label: "".into() };
        let shown = |number| argument(RawValue::Uint64(number), &layout, &mut Spare::default()).value;
        let call = |id, abi| Some(Value::SyscallId(SyscallId { id, abi: std::borrow::Cow::Borrowed(abi) }));
        assert_eq!(shown(59), call(59, "x64"));
        assert_eq!(shown(0x8000_000b), call(11, "i386"));
    }
}
