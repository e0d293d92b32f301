//! Reading, resolving and writing, on recorded kernels and on bytes made for the purpose.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::sync::Arc;

use super::{
    Bitfield, Btf, BtfWriter, FieldPath, IntEncoding, Kind, LeafKind, Linkage, LookupError, ParseError,
    PathError, Step, Type, TypeId, WriteError, WriteMember,
};

const KERNELS: [&str; 5] = ["5.10", "6.1", "6.12", "6.18", "7.2"];

fn kernel(folder: &str) -> Btf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(folder).join("btf");
    Btf::parse(std::fs::read(path).unwrap().into()).unwrap()
}

fn resolve(btf: &Btf, root: &str, path: &str) -> Result<FieldPath, PathError> {
    btf.resolve(btf.struct_named(root).unwrap(), path)
}

/// A point, a pair of points with names, a function on them.
fn sample() -> Vec<u8> {
    let mut writer = BtfWriter::new();
    let int = writer.int("int", 4, IntEncoding::Signed).unwrap();
    let member = |name, type_id, offset| WriteMember { name, type_id, offset };
    let point = writer.structure("point", 8, &[member("x", int, 0), member("y", int, 4)]).unwrap();
    let pointer = writer.pointer(point).unwrap();
    let three = writer.array(point, int, 3).unwrap();
    let members = [member("first", pointer, 0), member("rest", three, 8)];
    writer.structure("shape", 32, &members).unwrap();
    let prototype = writer.prototype(int, &[("shape", pointer)]).unwrap();
    writer.function("area", prototype, Linkage::Static).unwrap();
    writer.string("a line of source").unwrap();
    writer.finish()
}

/// Asks everything that can be asked of every type.
fn exercise(btf: &Btf) -> usize {
    btf.own_types()
        .map(|(id, found)| {
            let inner = match found {
                Type::Struct(it) | Type::Union(it) => it.members().map(|m| m.name.len()).sum(),
                Type::Enum(it) => it.values().count(),
                Type::FuncProto(it) => it.parameters().count(),
                Type::Datasec(it) => it.variables().count(),
                _ => 0,
            };
            let size = btf.size_of(id).unwrap_or(0) as usize;
            let field = btf.resolve(id, "first->x").map_or(0, |path| path.steps.len());
            inner
                + size
                + field
                + btf.describe(id).len()
                + btf.prototype(id).map_or(0, |p| p.parameters().len())
        })
        .fold(btf.find(Kind::Struct, "point").map_or(0, |id| id.get() as usize), usize::wrapping_add)
}

#[test]
fn what_is_written_reads_back() {
    let btf = Btf::parse(sample().into()).unwrap();
    let shape = btf.struct_named("shape").unwrap();
    assert_eq!(btf.size_of(shape), Ok(32));
    let path = btf.resolve(shape, "rest[2].y").unwrap();
    assert_eq!(path.flat_offset(), Some(8 + 16 + 4));
    assert!(path.leaf.signed);
    let area = btf.func_named("area").unwrap();
    let prototype = btf.prototype(area).unwrap();
    let parameters: Vec<_> = prototype.parameters().map(|p| (p.name, btf.describe(p.type_id))).collect();
    assert_eq!(parameters, [("shape", "struct point *".to_owned())]);
}

#[test]
fn equal_types_and_strings_are_written_once() {
    let mut writer = BtfWriter::new();
    let one = writer.int("int", 4, IntEncoding::Signed).unwrap();
    assert_eq!(writer.int("int", 4, IntEncoding::Signed), Ok(one));
    assert_ne!(writer.int("int", 4, IntEncoding::Unsigned), Ok(one));
    assert_eq!(writer.string("int").unwrap(), writer.string("int").unwrap());
}

#[test]
fn what_btf_cannot_hold_is_refused() {
    let mut writer = BtfWriter::new();
    assert!(matches!(writer.string("a\0b"), Err(WriteError::ZeroByte { .. })));
    let far = [WriteMember { name: "x", type_id: TypeId::VOID, offset: u32::MAX / 8 + 1 }];
    assert!(matches!(writer.structure("s", 4, &far), Err(WriteError::Offset { .. })));
    let many = vec![("", TypeId::VOID); 70_000];
    assert!(matches!(
        writer.prototype(TypeId::VOID, &many),
        Err(WriteError::TooManyMembers { count: 70_000, .. })
    ));
}

#[test]
fn every_cut_of_good_bytes_is_an_error() {
    let good = sample();
    for len in 0..good.len() {
        assert!(Btf::parse(good[..len].into()).is_err(), "{len}");
    }
}

#[test]
fn changed_bytes_never_panic() {
    let good = sample();
    let mut readable = 0;
    for at in 0..good.len() {
        for value in [0, 1, 7, 0x7f, 0x80, 0xff, good[at].wrapping_add(1), good[at] ^ 0x40] {
            let mut bytes = good.clone();
            bytes[at] = value;
            if let Ok(btf) = Btf::parse(bytes.into()) {
                readable += 1;
                std::hint::black_box(exercise(&btf));
            }
        }
    }
    assert!(readable > 1000, "{readable}");
}

#[test]
fn foreign_bytes_are_told_by_what_is_wrong_with_them() {
    let with = |at: usize, value: u8| {
        let mut bytes = sample();
        bytes[at] = value;
        Btf::parse(bytes.into()).map(|_| ()).unwrap_err()
    };
    assert_eq!(Btf::parse(Arc::from([0_u8; 8])).unwrap_err(), ParseError::TooShort { len: 8 });
    assert_eq!(with(0, 0x7f), ParseError::Magic { magic: 0xeb7f });
    assert_eq!(with(2, 9), ParseError::Version { version: 9 });
    assert!(matches!(with(15, 0x70), ParseError::Section { section: "type", .. }));
    let mut swapped = sample();
    swapped.swap(0, 1);
    assert_eq!(Btf::parse(swapped.into()).unwrap_err(), ParseError::BigEndian);
    // The kind of the first type.
    assert_eq!(with(24 + 7, 31), ParseError::Kind { id: TypeId::new(1), kind: 31 });
}

#[test]
fn types_that_go_round_in_circles_end_in_an_error() {
    // typedef a -> 2, typedef b -> 1
    let typedef = |name: u32, to: u32| [name, 8 << 24, to];
    let words: Vec<u32> = typedef(1, 2).into_iter().chain(typedef(3, 1)).collect();
    let types: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let btf = Btf::parse(assemble(&types, b"\0a\0b\0").into()).unwrap();
    let one = TypeId::new(1);
    assert_eq!(btf.peel(one), Err(LookupError::Endless { id: one }));
    assert!(btf.size_of(one).is_err() && btf.resolve(one, "x").is_err());
    assert!(btf.describe(one).contains('a'));
}

fn assemble(types: &[u8], strings: &[u8]) -> Vec<u8> {
    let len = |section: &[u8]| u32::try_from(section.len()).unwrap();
    let header = [0x0001_eb9f, 24, 0, len(types), len(types), len(strings)];
    header
        .into_iter()
        .flat_map(u32::to_le_bytes)
        .chain(types.iter().copied())
        .chain(strings.iter().copied())
        .collect()
}

#[test]
fn a_module_continues_the_numbers_and_strings_of_its_kernel() {
    let base = Arc::new(Btf::parse(sample().into()).unwrap());
    let strings_of_base = u32::from_le_bytes(base.bytes()[20..24].try_into().unwrap());
    let point = base.struct_named("point").unwrap();
    // typedef of the base's point, under a name of the module's own
    let words = [strings_of_base, 8 << 24, point.get()];
    let types: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let module = Btf::parse_module(assemble(&types, b"place\0").into(), &base).unwrap();
    let place = module.typedef_named("place").unwrap();
    assert_eq!(place.get(), base.end_id());
    assert_eq!(module.peel(place), Ok(point));
    assert_eq!(module.resolve(place, "y").unwrap().flat_offset(), Some(4));
    assert_eq!(module.struct_named("point"), Ok(point));
    assert!(base.typedef_named("place").is_err());
}

#[test]
fn fields_fixed_by_the_abi_are_where_the_abi_has_them() {
    for folder in KERNELS {
        let btf = kernel(folder);
        for (root, path, offset, size) in [
            ("pt_regs", "orig_ax", 120, 8),
            ("pt_regs", "di", 112, 8),
            ("pt_regs", "ip", 128, 8),
            ("sockaddr_in", "sin_port", 2, 2),
            ("sockaddr_in", "sin_addr.s_addr", 4, 4),
            ("in6_addr", "in6_u.u6_addr8[3]", 3, 1),
            ("qstr", "name", 8, 8),
            ("qstr", "len", 4, 4),
            ("iovec", "iov_len", 8, 8),
        ] {
            let found = resolve(&btf, root, path).unwrap();
            assert_eq!(
                (found.flat_offset(), found.leaf.size),
                (Some(offset), size),
                "{root}.{path} on {folder}"
            );
        }
    }
}

#[test]
fn a_path_through_pointers_has_one_step_for_each() {
    for folder in KERNELS {
        let btf = kernel(folder);
        let whole = resolve(&btf, "task_struct", "mm->exe_file->f_path.dentry->d_name.name").unwrap();
        let derefs: Vec<bool> = whole.steps.iter().map(|step| step.deref).collect();
        assert_eq!(derefs, [true, true, true, false], "{folder}");
        let part = |root, path| resolve(&btf, root, path).unwrap().flat_offset().unwrap();
        assert_eq!(whole.steps[0].offset, part("task_struct", "mm"));
        assert_eq!(whole.steps[2].offset, part("file", "f_path") + part("path", "dentry"));
        assert_eq!(whole.steps[3].offset, part("dentry", "d_name") + 8);
        assert!(matches!(whole.leaf.kind, LeafKind::Pointer { .. }));
    }
}

#[test]
fn dots_follow_pointers_and_arrows_insist_on_them() {
    let btf = kernel("6.12");
    assert_eq!(resolve(&btf, "task_struct", "cred.uid.val"), resolve(&btf, "task_struct", "cred->uid.val"));
    let error = resolve(&btf, "task_struct", "cred->uid->val").unwrap_err();
    assert_eq!(error.to_string(), "`->val` needs a pointer on its left, and kuid_t is none");
}

#[test]
fn members_of_anonymous_unions_are_found() {
    let btf = kernel("6.12");
    let daddr = resolve(&btf, "sock", "__sk_common.skc_daddr").unwrap();
    assert_eq!((daddr.flat_offset(), daddr.leaf.size), (Some(0), 4));
    let port = resolve(&btf, "sock_common", "skc_dport").unwrap();
    assert_eq!((port.flat_offset(), port.leaf.size), (Some(12), 2));
}

#[test]
fn bit_fields_tell_their_word_shift_and_width() {
    for folder in KERNELS {
        let found = resolve(&kernel(folder), "sk_buff", "ip_summed").unwrap();
        assert_eq!(found.leaf.bitfield, Some(Bitfield { shift: 5, bits: 2 }), "{folder}");
        assert_eq!(found.leaf.size, 1);
    }
    let btf = kernel("6.12");
    let first = resolve(&btf, "task_struct", "sched_reset_on_fork").unwrap().leaf;
    assert_eq!((first.bitfield, first.size), (Some(Bitfield { shift: 0, bits: 1 }), 4));
    let error = resolve(&btf, "task_struct", "sched_reset_on_fork.x").unwrap_err();
    assert!(matches!(error, PathError::InBitfield { .. }));
}

#[test]
fn indices_step_through_arrays_and_pointers() {
    let btf = kernel("6.12");
    let base = resolve(&btf, "task_struct", "comm").unwrap();
    assert_eq!(base.leaf.size, 16);
    let third = resolve(&btf, "task_struct", "comm[3]").unwrap();
    assert_eq!(third.flat_offset().unwrap(), base.flat_offset().unwrap() + 3);
    assert_eq!(third.leaf.kind, LeafKind::Char);
    assert_eq!(resolve(&btf, "task_struct", "comm.[3]"), Ok(third));
    assert!(matches!(resolve(&btf, "task_struct", "comm[16]"), Err(PathError::Index { index: 16, .. })));
    let fd = resolve(&btf, "fdtable", "fd[2]->f_flags").unwrap();
    assert_eq!(fd.steps.len(), 3);
    assert_eq!(fd.steps[1], Step { offset: 16, deref: true });
    // The flexible array at the end of struct pid.
    assert!(resolve(&btf, "pid", "numbers[1].nr").is_ok());
}

#[test]
fn a_path_may_start_at_an_argument_that_is_a_pointer() {
    let btf = kernel("6.12");
    let open = btf.func_named("security_file_open").unwrap();
    let file = btf.prototype(open).unwrap().parameters().next().unwrap().type_id;
    assert_eq!(btf.resolve(file, "f_flags"), resolve(&btf, "file", "f_flags"));
    let size = btf.size_of(btf.struct_named("file").unwrap()).unwrap();
    assert_eq!(btf.resolve(file, "[1]").unwrap().flat_offset(), Some(size));
}

#[test]
fn a_renamed_field_is_found_under_either_name() {
    for folder in KERNELS {
        let btf = kernel(folder);
        let task = btf.struct_named("task_struct").unwrap();
        assert!(btf.resolve_any(task, &["__state", "state"]).is_ok(), "{folder}");
        assert!(btf.resolve_any(task, &["nothing", "neither"]).is_err());
    }
}

#[test]
fn a_wrong_name_is_answered_with_the_struct_and_names_like_it() {
    let error = resolve(&kernel("6.12"), "task_struct", "cred->uidd").unwrap_err();
    let PathError::NoField { container, near, .. } = &error else { unreachable_error(&error) };
    assert_eq!(container, "struct cred");
    assert!(near.iter().any(|name| name == "uid"), "{near:?}");
    let state = resolve(&kernel("6.12"), "task_struct", "state").unwrap_err();
    assert!(state.to_string().contains("__state"), "{state}");
}

#[expect(clippy::panic, reason = "tests")]
fn unreachable_error(error: &PathError) -> ! {
    panic!("another error: {error}")
}

#[test]
fn what_is_no_path_is_told_with_its_place() {
    let btf = kernel("6.12");
    for (path, place) in [
        ("a..b", 1),
        (".a", 0),
        ("comm[x]", 4),
        ("comm[1", 4),
        ("comm[-1]", 4),
        ("comm[99999999999]", 4),
        ("cred uid", 4),
        ("cred->", 4),
        ("comm[1]x", 7),
        ("größe", 2),
    ] {
        let error = resolve(&btf, "task_struct", path).unwrap_err();
        match error {
            PathError::Syntax { at, .. } => assert_eq!(at, place, "{path}"),
            PathError::NoField { .. } => assert_eq!(path, "größe"),
            other => unreachable_error(&other),
        }
    }
    assert!(resolve(&btf, "task_struct", &"comm.".repeat(1000)).is_err());
}

#[test]
fn names_are_found_by_kind() {
    let btf = kernel("6.12");
    let as_struct = btf.struct_named("file").unwrap();
    assert!(matches!(btf.get(as_struct), Ok(Type::Struct(it)) if it.name == "file"));
    assert!(btf.union_named("file").is_err() && btf.func_named("file").is_err());
    assert_eq!(btf.enum_value("pid_type", "PIDTYPE_TGID"), Some(1));
    assert_eq!(btf.enum_value("bpf_func_id", "BPF_FUNC_loop"), Some(181));
    assert_eq!(kernel("5.10").enum_value("bpf_func_id", "BPF_FUNC_loop"), None);
    let error = btf.struct_named("flie").unwrap_err();
    assert_eq!(error.to_string(), "this kernel has no struct named \"flie\"");
}

#[test]
fn recorded_kernels_can_be_read_to_the_last_type() {
    for folder in KERNELS {
        assert!(exercise(&kernel(folder)) > 0);
    }
}
