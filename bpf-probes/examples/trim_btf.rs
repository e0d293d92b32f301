//! Cuts a kernel's BTF down to what the tests need: `trim_btf IN OUT`.
//!
//! Kept whole are the structs in [`STRUCTS`] and what they hold by value; a struct that is only pointed to becomes a
//! declaration, a pointer to a function one to `void`. Functions are kept by [`is_wanted_function`]. Numbers of types
//! change, offsets do not.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::sync::Arc;

use bpf_probes::btf::{Btf, FwdKind, Kind, Type, TypeId};

const STRUCTS: &[&str] = &[
    "bpf_map",
    "bpf_prog",
    "bpf_prog_aux",
    "cgroup",
    "cgroup_namespace",
    "cgroup_root",
    "cgroup_subsys_state",
    "cred",
    "css_set",
    "dentry",
    "fdtable",
    "file",
    "file_system_type",
    "filename",
    "files_struct",
    "fs_struct",
    "in6_addr",
    "inet_sock",
    "inode",
    "iovec",
    "iov_iter",
    "ipc_namespace",
    "kernfs_node",
    "kiocb",
    "linux_binprm",
    "load_info",
    "mm_struct",
    "mnt_namespace",
    "module",
    "mount",
    "msghdr",
    "net_device",
    "ns_common",
    "nsproxy",
    "path",
    "perf_event",
    "pid",
    "pid_namespace",
    "pt_regs",
    "qstr",
    "signal_struct",
    "sk_buff",
    "sock",
    "sock_common",
    "sockaddr",
    "sockaddr_in",
    "sockaddr_in6",
    "sockaddr_un",
    "socket",
    "srcu_data",
    "super_block",
    "task_struct",
    "thread_info",
    "time_namespace",
    "trace_event_call",
    "trace_event_raw_sched_process_exec",
    "unix_address",
    "unix_sock",
    "upid",
    "user_namespace",
    "uts_namespace",
    "vfsmount",
    "vm_area_struct",
];
const ENUMS: &[&str] =
    &["bpf_func_id", "bpf_map_type", "bpf_prog_type", "bpf_attach_type", "cgroup_subsys_id", "pid_type"];
const VARIABLES: &[&str] = &["current_task", "pcpu_hot", "tracepoint_srcu_srcu_data"];
const FUNCTIONS: &[&str] = &[
    "acct_process",
    "bpf_copy_from_user_str",
    "bpf_path_d_path",
    "bpf_preempt_disable",
    "bpf_preempt_enable",
    "bpf_rdonly_cast",
    "bpf_strncasestr",
    "bpf_strnstr",
    "commit_creds",
    "dev_queue_xmit",
    "do_filp_open",
    "do_init_module",
    "fd_install",
    "finalize_exec",
    "proc_exec_connector",
    "taskstats_exit",
    "tcp_close",
    "tcp_connect",
    "tcp_sendmsg",
    "udp_sendmsg",
    "vfs_open",
    "vfs_read",
    "vfs_unlink",
    "vfs_write",
    "wake_up_new_task",
];

fn is_wanted_function(btf: &Btf, name: &str) -> bool {
    let is_hook = |hook: &str| btf.find(Kind::Func, &format!("bpf_lsm_{hook}")).is_some();
    FUNCTIONS.contains(&name)
        || name.starts_with("__x64_sys_")
        || name.starts_with("bpf_lsm_")
        || bpf_probes::kernel::hook_of_function(name).is_some_and(is_hook)
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(from), Some(to)) = (arguments.next(), arguments.next()) else {
        return Err("usage: trim_btf IN OUT".into());
    };
    let btf = Btf::parse(Arc::from(std::fs::read(from)?))?;
    let trimmed = Trim::of(&btf)?.write();
    Btf::parse(Arc::from(trimmed.as_slice()))?;
    std::fs::write(to, trimmed)?;
    Ok(())
}

struct Trim<'b> {
    btf: &'b Btf,
    /// Structs and unions to keep whole.
    whole: BTreeSet<TypeId>,
    /// All types to keep, with their new numbers.
    kept: BTreeMap<TypeId, u32>,
}

impl<'b> Trim<'b> {
    fn of(btf: &'b Btf) -> Result<Self, Box<dyn Error>> {
        let mut trim = Self { btf, whole: BTreeSet::new(), kept: BTreeMap::new() };
        let roots = |kind, names: &[&str]| -> Vec<TypeId> {
            names.iter().filter_map(|name| btf.find(kind, name)).collect()
        };
        let structs = roots(Kind::Struct, STRUCTS);
        for &id in &structs {
            trim.keep_whole(id)?;
        }
        for id in structs.into_iter().chain(roots(Kind::Enum, ENUMS)).chain(roots(Kind::Var, VARIABLES)) {
            trim.keep(id)?;
        }
        let mut seen = BTreeSet::new();
        for (id, found) in btf.own_types() {
            if let Type::Func(func) = found
                && is_wanted_function(btf, func.name)
                && seen.insert(func.name)
            {
                trim.keep(id)?;
            }
        }
        for (new, id) in (1..).zip(trim.kept.values_mut()) {
            *id = new;
        }
        Ok(trim)
    }

    /// Marks a struct and what it holds by value.
    fn keep_whole(&mut self, id: TypeId) -> Result<(), Box<dyn Error>> {
        let mut id = self.btf.peel(id)?;
        while let Type::Array(array) = self.btf.get(id)? {
            id = self.btf.peel(array.element)?;
        }
        if let Type::Struct(it) | Type::Union(it) = self.btf.get(id)?
            && self.whole.insert(id)
        {
            for member in it.members() {
                self.keep_whole(member.type_id)?;
            }
        }
        Ok(())
    }

    fn keep(&mut self, id: TypeId) -> Result<(), Box<dyn Error>> {
        if id == TypeId::VOID || self.kept.insert(id, 0).is_some() {
            return Ok(());
        }
        for next in self.references(id)? {
            self.keep(next)?;
        }
        Ok(())
    }

    /// A pointer to a function points to `void` here.
    fn target(&self, to: TypeId) -> TypeId {
        let is_function = self.btf.peel(to).ok().and_then(|to| self.btf.get(to).ok());
        if matches!(is_function, Some(Type::FuncProto(_))) { TypeId::VOID } else { to }
    }

    fn references(&self, id: TypeId) -> Result<Vec<TypeId>, Box<dyn Error>> {
        Ok(match self.btf.get(id)? {
            Type::Struct(it) | Type::Union(it) => {
                if it.name.is_empty() || self.whole.contains(&id) {
                    it.members().map(|member| member.type_id).collect()
                } else {
                    Vec::new()
                }
            }
            Type::Ptr(to) => vec![self.target(to)],
            Type::Array(array) => vec![array.element, array.index],
            Type::Typedef(alias) | Type::TypeTag(alias) => vec![alias.type_id],
            Type::Volatile(to) | Type::Const(to) | Type::Restrict(to) => vec![to],
            Type::Func(func) => vec![func.prototype],
            Type::FuncProto(proto) => {
                proto.parameters().map(|parameter| parameter.type_id).chain([proto.returns]).collect()
            }
            Type::Var(var) => vec![var.type_id],
            Type::Void
            | Type::Int(_)
            | Type::Enum(_)
            | Type::Fwd(_)
            | Type::Datasec(_)
            | Type::Float(_)
            | Type::DeclTag(_) => Vec::new(),
        })
    }

    fn write(&self) -> Vec<u8> {
        let mut types = Output::default();
        for &id in self.kept.keys() {
            if let Ok(found) = self.btf.get(id) {
                self.write_type(&mut types, id, &found);
            }
        }
        types.finish()
    }

    fn number(&self, id: TypeId) -> u32 {
        self.kept.get(&id).copied().unwrap_or(0)
    }

    fn write_type(&self, out: &mut Output, id: TypeId, found: &Type<'_>) {
        const FLAG: u32 = 1 << 31;
        let len = |count: usize| u32::try_from(count).unwrap_or(0);
        match *found {
            Type::Int(it) => {
                let encoding = match it.encoding {
                    bpf_probes::btf::IntEncoding::Unsigned => 0,
                    bpf_probes::btf::IntEncoding::Signed => 1,
                    bpf_probes::btf::IntEncoding::Char => 2,
                    bpf_probes::btf::IntEncoding::Bool => 4,
                };
                let word = encoding << 24 | u32::from(it.bit_offset) << 16 | u32::from(it.bits);
                out.head(it.name, Kind::Int, 0, it.size, &[word]);
            }
            Type::Ptr(to) => out.head("", Kind::Ptr, 0, self.number(self.target(to)), &[]),
            Type::Array(it) => {
                out.head("", Kind::Array, 0, 0, &[self.number(it.element), self.number(it.index), it.count]);
            }
            Type::Struct(it) | Type::Union(it) => {
                let kind = found.kind();
                if !it.name.is_empty() && !self.whole.contains(&id) {
                    let flag = if kind == Kind::Union { FLAG } else { 0 };
                    return out.head(it.name, Kind::Fwd, flag, 0, &[]);
                }
                // The flagged form can say all that the other one can.
                let words: Vec<u32> = it
                    .members()
                    .flat_map(|member| {
                        let place = u32::from(member.bitfield.unwrap_or(0)) << 24 | member.bit_offset;
                        [out.string(member.name), self.number(member.type_id), place]
                    })
                    .collect();
                out.head(it.name, kind, FLAG | len(it.members().len()), it.size, &words);
            }
            Type::Enum(it) => {
                let flag = if it.is_signed() { FLAG } else { 0 };
                let wide = it.size == 8;
                let words: Vec<u32> = it
                    .values()
                    .flat_map(|(name, value)| {
                        let bits = value.cast_unsigned();
                        let all = [out.string(name), (bits & 0xffff_ffff) as u32, (bits >> 32) as u32];
                        all.into_iter().take(if wide { 3 } else { 2 })
                    })
                    .collect();
                let kind = if wide { Kind::Enum64 } else { Kind::Enum };
                out.head(it.name, kind, flag | len(it.values().len()), it.size, &words);
            }
            Type::Fwd(it) => {
                let flag = if it.declares == FwdKind::Union { FLAG } else { 0 };
                out.head(it.name, Kind::Fwd, flag, 0, &[]);
            }
            Type::Typedef(it) | Type::TypeTag(it) => {
                out.head(it.name, found.kind(), 0, self.number(it.type_id), &[]);
            }
            Type::Volatile(to) | Type::Const(to) | Type::Restrict(to) => {
                out.head("", found.kind(), 0, self.number(to), &[]);
            }
            Type::Func(it) => out.head(it.name, Kind::Func, 1, self.number(it.prototype), &[]),
            Type::FuncProto(it) => {
                let words: Vec<u32> =
                    it.parameters().flat_map(|p| [out.string(p.name), self.number(p.type_id)]).collect();
                out.head("", Kind::FuncProto, len(it.parameters().len()), self.number(it.returns), &words);
            }
            Type::Var(it) => out.head(it.name, Kind::Var, 0, self.number(it.type_id), &[1]),
            Type::Float(it) => out.head(it.name, Kind::Float, 0, it.size, &[]),
            Type::Void | Type::Datasec(_) | Type::DeclTag(_) => {}
        }
    }
}

#[derive(Default)]
struct Output {
    types: Vec<u8>,
    strings: Vec<u8>,
    offsets: BTreeMap<String, u32>,
}

impl Output {
    fn string(&mut self, text: &str) -> u32 {
        if text.is_empty() {
            return 0;
        }
        if self.strings.is_empty() {
            self.strings.push(0);
        }
        if let Some(&known) = self.offsets.get(text) {
            return known;
        }
        let offset = u32::try_from(self.strings.len()).unwrap_or(0);
        self.strings.extend(text.bytes().chain([0]));
        self.offsets.insert(text.to_owned(), offset);
        offset
    }

    fn head(&mut self, name: &str, kind: Kind, info: u32, tail: u32, words: &[u32]) {
        let name = self.string(name);
        let info = u32::from(kind as u8) << 24 | info;
        for word in [name, info, tail].iter().chain(words) {
            self.types.extend(word.to_le_bytes());
        }
    }

    fn finish(self) -> Vec<u8> {
        let len = |section: &[u8]| u32::try_from(section.len()).unwrap_or(0);
        let header = [0x0001_eb9f, 24, 0, len(&self.types), len(&self.types), len(&self.strings)];
        let header = header.into_iter().flat_map(u32::to_le_bytes);
        header.chain(self.types).chain(self.strings).collect()
    }
}
