//! Made-up kernel objects at the offsets of a recorded kernel.

use std::collections::BTreeMap;
use std::path::Path;

use bpf_probes::builder::Facts;
use bpf_probes::emulate::{Machine, Registers, World};
use bpf_probes::kernel::{HostNamespaces, KernelView, Namespace};
use bpf_probes::routine::{NamespaceSource, namespace_source};

/// The recorded kernel of that folder of bpf-probes/testdata, on a host whose namespaces are numbered from 4 026 531 800 on.
pub(crate) fn recorded(folder: &str) -> KernelView {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bpf-probes/testdata").join(folder);
    let host = HostNamespaces::from_numbers(|kind| {
        Some(
            4_026_531_800
                + match kind {
                    Namespace::PidForChildren => Namespace::Pid.index(),
                    Namespace::TimeForChildren => Namespace::Time.index(),
                    Namespace::Uts
                    | Namespace::Ipc
                    | Namespace::Mnt
                    | Namespace::Pid
                    | Namespace::Net
                    | Namespace::Time
                    | Namespace::Cgroup
                    | Namespace::User => kind.index(),
                },
        )
    });
    let view = KernelView::from_files(|name| std::fs::read(folder.join(name)).ok()).unwrap();
    view.changed(|facts| facts.namespaces = host)
}

/// What the kernel keeps with a thread.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Thread {
    /// Numbers of namespaces, by [`Namespace::index`].
    pub(crate) namespaces: [u32; 10],
    /// Effective, inheritable, permitted.
    pub(crate) capabilities: [u64; 3],
}

/// Gives the current task namespaces and capabilities.
pub(crate) fn thread(machine: &mut Machine, view: &KernelView, thread: &Thread) {
    let mut it = Fields { facts: Facts::of(view), world: machine.world_mut() };
    let task = it.world.task.address;
    let (proxy, cred) = (it.object("nsproxy"), it.object("cred"));
    it.set(task, "task_struct", "nsproxy", proxy);
    it.set(task, "task_struct", "cred", cred);
    let user = it.object("user_namespace");
    it.set(cred, "cred", "user_ns", user);
    it.set(user, "user_namespace", "ns.inum", thread.namespaces[Namespace::User as usize].into());
    for (field, set) in
        ["cap_effective", "cap_inheritable", "cap_permitted"].into_iter().zip(thread.capabilities)
    {
        it.set(cred, "cred", field, set);
    }
    for kind in Namespace::ALL {
        let NamespaceSource::Proxy { member, container } = namespace_source(kind) else { continue };
        if !it.facts.has_field(container, "ns.inum") {
            // the recorded types leave `struct net` out
            continue;
        }
        let namespace = it.object(container);
        it.set(namespace, container, "ns.inum", thread.namespaces[kind as usize].into());
        it.set(proxy, "nsproxy", member, namespace);
    }
    let namespace = it.object("pid_namespace");
    it.set(namespace, "pid_namespace", "ns.inum", thread.namespaces[Namespace::Pid as usize].into());
    let upid = it.facts.btf.struct_named("upid").unwrap();
    let stride = u64::from(it.facts.btf.size_of(upid).unwrap());
    let numbers = it.at("pid", "numbers");
    let pid = it.world.kernel.object("pid", usize::try_from(numbers + 2 * stride).unwrap());
    it.set(pid, "pid", "level", 1);
    it.set(pid + numbers + stride, "upid", "ns", namespace);
    it.set(task, "task_struct", "thread_pid", pid);
}

/// Objects of the file system.
#[derive(Clone)]
pub(crate) struct Objects {
    root: u64,
    mount: u64,
    dentries: BTreeMap<String, u64>,
}

/// Writes fields by name.
struct Fields<'a> {
    facts: Facts<'a>,
    world: &'a mut World,
}

impl Fields<'_> {
    fn object(&mut self, container: &str) -> u64 {
        let id = self.facts.btf.struct_named(container).unwrap();
        let size = self.facts.btf.size_of(id).unwrap();
        self.world.kernel.object(container, size as usize)
    }

    fn at(&self, container: &str, field: &str) -> u64 {
        u64::from(self.facts.offset_of(container, field).unwrap())
    }

    fn set(&mut self, base: u64, container: &str, field: &str, value: u64) {
        let size = self.facts.field(container, field).unwrap().leaf.size as usize;
        let at = base + self.at(container, field);
        self.world.kernel.write(at, &value.to_le_bytes()[..size]).unwrap();
    }

    /// A name with something before it, as every name in the kernel has.
    fn name(&mut self, name: &[u8]) -> u64 {
        let bytes = [b"ABCDEFGHIJKLMNOP".as_slice(), name, b"\0"].concat();
        self.world.kernel.bytes("name", &bytes) + 16
    }

    fn dentry(&mut self, name: &[u8], parent: Option<u64>) -> u64 {
        let dentry = self.object("dentry");
        let text = self.name(name);
        self.set(dentry, "dentry", "d_parent", parent.unwrap_or(dentry));
        self.set(dentry, "dentry", "d_name.name", text);
        self.set(dentry, "dentry", "d_name.len", name.len() as u64);
        self.set(dentry, "dentry", "d_hash.pprev", u64::from(parent.is_some()) << 12);
        dentry
    }
}

/// A task whose root is the root of the only mount, and the file system.
pub(crate) fn populate(machine: &mut Machine, view: &KernelView) -> Objects {
    let mut it = Fields { facts: Facts::of(view), world: machine.world_mut() };
    let root = it.dentry(b"/", None);
    let mount = it.object("mount");
    it.set(mount, "mount", "mnt_parent", mount);
    let vfsmount = mount + it.at("mount", "mnt");
    it.set(vfsmount, "vfsmount", "mnt_root", root);
    let fs = it.object("fs_struct");
    it.set(fs, "fs_struct", "root.dentry", root);
    it.set(fs, "fs_struct", "root.mnt", vfsmount);
    let task = it.object("task_struct");
    it.set(task, "task_struct", "fs", fs);
    it.set(task, "task_struct", "group_leader", task);
    let pid = it.object("pid");
    it.set(task, "task_struct", "thread_pid", pid);
    it.world.task.address = task;
    Objects { root, mount: vfsmount, dentries: BTreeMap::new() }
}

/// An object of the kernel with these fields, at least of the size that its type has.
pub(crate) fn object(
    machine: &mut Machine,
    view: &KernelView,
    container: &str,
    fields: &[(&str, u64)],
) -> u64 {
    let mut it = Fields { facts: Facts::of(view), world: machine.world_mut() };
    let object = it.object(container);
    for (field, value) in fields {
        it.set(object, container, field, *value);
    }
    object
}

/// Sets a field of an object.
pub(crate) fn set(
    machine: &mut Machine,
    view: &KernelView,
    (base, container, field): (u64, &str, &str),
    value: u64,
) {
    let mut it = Fields { facts: Facts::of(view), world: machine.world_mut() };
    it.set(base, container, field, value);
}

/// Writes text into an array of an object.
pub(crate) fn set_text(
    machine: &mut Machine,
    view: &KernelView,
    (base, container, field): (u64, &str, &str),
    text: &str,
) {
    let it = Fields { facts: Facts::of(view), world: machine.world_mut() };
    let at = base + it.at(container, field);
    it.world.kernel.write(at, text.as_bytes()).unwrap();
}

/// Text in the kernel.
pub(crate) fn text(machine: &mut Machine, text: &str) -> u64 {
    let bytes = [text.as_bytes(), b"\0"].concat();
    machine.world_mut().kernel.bytes("text", &bytes)
}

/// Gives the current process the file under that descriptor, and room for 64.
pub(crate) fn open_descriptor(machine: &mut Machine, view: &KernelView, number: u64, file: u64) {
    open_descriptors(machine, view, &[(number, file)]);
}

/// Gives the current process files by their descriptors, below 64.
pub(crate) fn open_descriptors(machine: &mut Machine, view: &KernelView, files: &[(u64, u64)]) {
    let table = machine.world_mut().kernel.object("descriptors", 64 * 8);
    for (number, file) in files {
        machine.world_mut().kernel.write(table + 8 * number, &file.to_le_bytes()).unwrap();
    }
    let fdt = object(machine, view, "fdtable", &[("max_fds", 64), ("fd", table)]);
    let files = object(machine, view, "files_struct", &[("fdt", fdt)]);
    let mut it = Fields { facts: Facts::of(view), world: machine.world_mut() };
    let task = it.world.task.address;
    it.set(task, "task_struct", "files", files);
}

/// Gives the current task a number in a pid namespace of its own.
pub(crate) fn own_pid(machine: &mut Machine, view: &KernelView, number: u32) {
    let mut it = Fields { facts: Facts::of(view), world: machine.world_mut() };
    let upid = it.facts.btf.struct_named("upid").unwrap();
    let stride = u64::from(it.facts.btf.size_of(upid).unwrap());
    let numbers = it.at("pid", "numbers");
    let pid = it.world.kernel.object("pid", usize::try_from(numbers + 2 * stride).unwrap());
    it.set(pid, "pid", "level", 1);
    it.set(pid + numbers + stride, "upid", "nr", number.into());
    let task = it.world.task.address;
    it.set(task, "task_struct", "thread_pid", pid);
}

/// Gives the current task, whose pid namespace is known, a number in it.
pub(crate) fn number_inside(machine: &mut Machine, view: &KernelView, number: u32) {
    let mut it = Fields { facts: Facts::of(view), world: machine.world_mut() };
    let at = it.world.task.address + it.at("task_struct", "thread_pid");
    let pid = u64::from_le_bytes(it.world.kernel.read(at, 8).unwrap().try_into().unwrap());
    let upid = it.facts.btf.struct_named("upid").unwrap();
    let stride = u64::from(it.facts.btf.size_of(upid).unwrap());
    let numbers = it.at("pid", "numbers");
    it.set(pid + numbers + stride, "upid", "nr", number.into());
}

/// Gives another task the root of the file system, and makes it the leader of its group.
pub(crate) fn root_of(machine: &mut Machine, view: &KernelView, objects: &Objects) {
    let mut it = Fields { facts: Facts::of(view), world: machine.world_mut() };
    let task = it.world.task.address;
    let fs = it.object("fs_struct");
    it.set(fs, "fs_struct", "root.dentry", objects.root);
    it.set(fs, "fs_struct", "root.mnt", objects.mount);
    it.set(task, "task_struct", "fs", fs);
    it.set(task, "task_struct", "group_leader", task);
}

/// A system call of the current task: the address of the registers that user space left at the top of its stack.
pub(crate) fn on_stack(machine: &mut Machine, view: &KernelView, number: u64, arguments: [u64; 6]) -> u64 {
    let registers = Registers::syscall(number, arguments).to_bytes();
    let mut it = Fields { facts: Facts::of(view), world: machine.world_mut() };
    let at = it.world.task.address + it.at("task_struct", "stack");
    let stack = u64::from_le_bytes(it.world.kernel.read(at, 8).unwrap().try_into().unwrap());
    let stack = if stack == 0 { it.world.kernel.object("stack", 16_384) } else { stack };
    let task = it.world.task.address;
    it.set(task, "task_struct", "stack", stack);
    let top = stack + 16_384 - registers.len() as u64;
    it.world.kernel.write(top, &registers).unwrap();
    top
}

/// The same of a 32-bit program's system call.
pub(crate) fn on_stack_of_32_bit(
    machine: &mut Machine,
    view: &KernelView,
    number: u64,
    arguments: [u64; 6],
) -> u64 {
    let at = on_stack(machine, view, number, [0; 6]);
    let [bx, cx, dx, si, di, bp] = arguments;
    let registers = Registers { bx, cx, dx, si, di, bp, orig_ax: number, ..Registers::default() };
    machine.world_mut().kernel.write(at, &registers.to_bytes()).unwrap();
    from_32_bit(machine, view, true);
    at
}

/// Whether the current task's system call came through a door for 32-bit programs (`TS_COMPAT`).
pub(crate) fn from_32_bit(machine: &mut Machine, view: &KernelView, is: bool) {
    let mut it = Fields { facts: Facts::of(view), world: machine.world_mut() };
    let task = it.world.task.address;
    it.set(task, "task_struct", "thread_info.status", if is { 2 } else { 0 });
}

/// When the current task began.
pub(crate) fn began(machine: &mut Machine, view: &KernelView, at: u64) {
    let mut it = Fields { facts: Facts::of(view), world: machine.world_mut() };
    let task = it.world.task.address;
    it.set(task, "task_struct", "start_boottime", at);
}

/// Another task runs.
pub(crate) fn other_task(machine: &mut Machine, view: &KernelView) {
    let mut it = Fields { facts: Facts::of(view), world: machine.world_mut() };
    let task = it.object("task_struct");
    it.world.task.address = task;
}

/// The current task leads its thread group.
pub(crate) fn leader(machine: &mut Machine, view: &KernelView, tgid: u32) {
    let mut it = Fields { facts: Facts::of(view), world: machine.world_mut() };
    let task = it.world.task.address;
    it.set(task, "task_struct", "tgid", tgid.into());
    it.set(task, "task_struct", "pid", tgid.into());
}

/// The current task is being killed.
pub(crate) fn pending_kill(machine: &mut Machine, view: &KernelView) {
    let mut it = Fields { facts: Facts::of(view), world: machine.world_mut() };
    let task = it.world.task.address;
    it.set(task, "task_struct", "pending.signal.sig[0]", 1 << 8);
}

/// Gives the current task a parent.
pub(crate) fn real_parent(machine: &mut Machine, view: &KernelView, tgid: u32) {
    let mut it = Fields { facts: Facts::of(view), world: machine.world_mut() };
    let parent = it.object("task_struct");
    it.set(parent, "task_struct", "tgid", tgid.into());
    let task = it.world.task.address;
    it.set(task, "task_struct", "real_parent", parent);
}

impl Objects {
    /// The dentry of an absolute path.
    pub(crate) fn dentry(&mut self, machine: &mut Machine, view: &KernelView, path: &str) -> u64 {
        let mut parent = self.root;
        let mut so_far = String::new();
        for component in path.split('/').filter(|component| !component.is_empty()) {
            so_far = format!("{so_far}/{component}");
            if let Some(known) = self.dentries.get(&so_far) {
                parent = *known;
                continue;
            }
            let mut it = Fields { facts: Facts::of(view), world: machine.world_mut() };
            parent = it.dentry(component.as_bytes(), Some(parent));
            self.dentries.insert(so_far.clone(), parent);
        }
        parent
    }

    /// An open file.
    pub(crate) fn file(&mut self, machine: &mut Machine, view: &KernelView, path: &str, mode: u16) -> u64 {
        let dentry = self.dentry(machine, view, path);
        self.file_of(machine, view, dentry, mode)
    }

    /// An open file without a path: a pipe, say.
    pub(crate) fn nameless(&self, machine: &mut Machine, view: &KernelView) -> u64 {
        let mut it = Fields { facts: Facts::of(view), world: machine.world_mut() };
        let dentry = it.dentry(b"", None);
        self.file_of(machine, view, dentry, 0o010_600)
    }

    /// Removes the name of an open file.
    pub(crate) fn unlink(&mut self, machine: &mut Machine, view: &KernelView, path: &str) {
        let dentry = self.dentry(machine, view, path);
        let mut it = Fields { facts: Facts::of(view), world: machine.world_mut() };
        it.set(dentry, "dentry", "d_hash.pprev", 0);
    }

    fn file_of(&self, machine: &mut Machine, view: &KernelView, dentry: u64, mode: u16) -> u64 {
        let mut it = Fields { facts: Facts::of(view), world: machine.world_mut() };
        let file = it.object("file");
        it.set(file, "file", "f_path.dentry", dentry);
        it.set(file, "file", "f_path.mnt", self.mount);
        let inode = it.object("inode");
        it.set(inode, "inode", "i_mode", mode.into());
        it.set(file, "file", "f_inode", inode);
        it.set(dentry, "dentry", "d_inode", inode);
        file
    }

    /// A `struct path`.
    pub(crate) fn path(&mut self, machine: &mut Machine, view: &KernelView, path: &str) -> u64 {
        let dentry = self.dentry(machine, view, path);
        let mut it = Fields { facts: Facts::of(view), world: machine.world_mut() };
        let object = it.object("path");
        it.set(object, "path", "dentry", dentry);
        it.set(object, "path", "mnt", self.mount);
        object
    }

    /// Makes a directory the root of a mount of its own, mounted at another.
    pub(crate) fn bind(&mut self, machine: &mut Machine, view: &KernelView, from: &str, at: &str) -> u64 {
        let (from, at) = (self.dentry(machine, view, from), self.dentry(machine, view, at));
        let mut it = Fields { facts: Facts::of(view), world: machine.world_mut() };
        let mount = it.object("mount");
        let inside = it.at("mount", "mnt");
        it.set(mount, "mount", "mnt_parent", self.mount - inside);
        it.set(mount, "mount", "mnt_mountpoint", at);
        it.set(mount + inside, "vfsmount", "mnt_root", from);
        mount + inside
    }

    /// An open file on another mount.
    pub(crate) fn file_on(
        &mut self,
        machine: &mut Machine,
        view: &KernelView,
        mount: u64,
        path: &str,
    ) -> u64 {
        let file = self.file(machine, view, path, 0o100_644);
        let mut it = Fields { facts: Facts::of(view), world: machine.world_mut() };
        it.set(file, "file", "f_path.mnt", mount);
        file
    }
}

/// Puts the current task into a cgroup: ids from the root of the hierarchy down to its own.
pub(crate) fn cgroups(machine: &mut Machine, view: &KernelView, ids: &[u64]) {
    let world = machine.world_mut();
    world.task.cgroup_ancestors = ids.to_vec();
    world.task.cgroup_id = *ids.last().unwrap();
    let mut it = Fields { facts: Facts::of(view), world };
    if !it.facts.has_field("cgroup", "ancestor_ids") {
        return;
    }
    let at = it.at("cgroup", "ancestor_ids");
    let cgroup = it.world.kernel.object("cgroup", usize::try_from(at).unwrap() + 8 * 40);
    it.set(cgroup, "cgroup", "level", ids.len() as u64 - 1);
    for (level, id) in (0..).zip(ids) {
        it.world.kernel.write(cgroup + at + 8 * level, &id.to_le_bytes()).unwrap();
    }
    let set = it.object("css_set");
    it.set(set, "css_set", "dfl_cgrp", cgroup);
    let task = it.world.task.address;
    it.set(task, "task_struct", "cgroups", set);
}
