//! Directories, mounts and files for programs that look at paths: dentries linked as the kernel links them, at the offsets of one kernel's types.

use super::World;
use crate::btf::Btf;

/// A dentry and the mount it is seen on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Place {
    /// Address of the `struct dentry`.
    pub dentry: u64,
    /// Address of the `struct vfsmount` within its `struct mount`.
    pub mount: u64,
}

/// Builds a tree in a [`World`]. Fields are written at the offsets that the given types have.
///
/// # Panics
/// Its methods panic when the types lack `dentry`, `mount` and the like, or an address is not one that it gave out: it is for tests.
#[derive(Debug)]
pub struct Filesystem<'b> {
    btf: &'b Btf,
}

impl<'b> Filesystem<'b> {
    /// For a kernel's types.
    pub fn new(btf: &'b Btf) -> Self {
        Self { btf }
    }

    /// Offset of a field.
    pub fn offset(&self, container: &str, path: &str) -> u64 {
        let id = self.btf.struct_named(container).expect("the struct is in the types");
        let field = self.btf.resolve(id, path).expect("the field is in the struct");
        u64::from(field.flat_offset().expect("no pointer on the way"))
    }

    /// Writes `value` into a field, as wide as the field is.
    pub fn set(&self, world: &mut World, object: u64, container: &str, path: &str, value: u64) {
        let id = self.btf.struct_named(container).expect("the struct is in the types");
        let size = self.btf.resolve(id, path).expect("the field is in the struct").leaf.size;
        let address = object + self.offset(container, path);
        let bytes = value.to_le_bytes();
        let bytes = bytes.get(..size as usize).expect("fields of at most eight bytes");
        world.kernel.write(address, bytes).expect("the object was made here");
    }

    /// A zeroed object of the struct's size.
    pub fn object(&self, world: &mut World, container: &str) -> u64 {
        let id = self.btf.struct_named(container).expect("the struct is in the types");
        let size = self.btf.size_of(id).expect("the struct is complete");
        world.kernel.object(container, size as usize)
    }

    fn dentry(&self, world: &mut World, parent: Option<u64>, name: &[u8]) -> u64 {
        let dentry = self.object(world, "dentry");
        let text = world.kernel.string(name);
        self.set(world, dentry, "dentry", "d_parent", parent.unwrap_or(dentry));
        self.set(world, dentry, "dentry", "d_name.name", text);
        self.set(world, dentry, "dentry", "d_name.len", name.len() as u64);
        self.set(world, dentry, "dentry", "d_hash.pprev", 1);
        let inode = self.object(world, "inode");
        self.set(world, inode, "inode", "i_mode", 0o100_644);
        self.set(world, dentry, "dentry", "d_inode", inode);
        dentry
    }

    /// The root of a new mount tree: a mount whose parent is itself.
    pub fn root(&self, world: &mut World) -> Place {
        let dentry = self.dentry(world, None, b"/");
        let mount = self.object(world, "mount");
        let seen = mount + self.offset("mount", "mnt");
        self.set(world, mount, "mount", "mnt_parent", mount);
        self.set(world, mount, "mount", "mnt_mountpoint", dentry);
        self.set(world, seen, "vfsmount", "mnt_root", dentry);
        Place { dentry, mount: seen }
    }

    /// A name in a directory.
    pub fn child(&self, world: &mut World, directory: Place, name: impl AsRef<[u8]>) -> Place {
        let dentry = self.dentry(world, Some(directory.dentry), name.as_ref());
        Place { dentry, ..directory }
    }

    /// The place at an absolute path below `from`, each name made anew.
    pub fn path(&self, world: &mut World, from: Place, path: impl AsRef<[u8]>) -> Place {
        let names = path.as_ref().split(|byte| *byte == b'/').filter(|name| !name.is_empty());
        names.fold(from, |directory, name| self.child(world, directory, name))
    }

    /// A new file system (or, with `of`, that part of another: a bind mount) mounted at a place; returns its root.
    pub fn mount(&self, world: &mut World, at: Place, of: Option<Place>) -> Place {
        let dentry = of.map_or_else(|| self.dentry(world, None, b"/"), |of| of.dentry);
        let mount = self.object(world, "mount");
        let seen = mount + self.offset("mount", "mnt");
        self.set(world, mount, "mount", "mnt_parent", at.mount - self.offset("mount", "mnt"));
        self.set(world, mount, "mount", "mnt_mountpoint", at.dentry);
        self.set(world, seen, "vfsmount", "mnt_root", dentry);
        Place { dentry, mount: seen }
    }

    /// A dentry that hangs nowhere: a pipe's or socket's (no name) or a memfd's.
    pub fn detached(&self, world: &mut World, name: impl AsRef<[u8]>) -> Place {
        let inner = self.root(world);
        Place { dentry: self.dentry(world, None, name.as_ref()), ..inner }
    }

    /// Unlinks a name that something still holds.
    pub fn unlink(&self, world: &mut World, place: Place) {
        self.set(world, place.dentry, "dentry", "d_hash.pprev", 0);
    }

    /// A `struct file` open at a place, with this mode of its inode.
    pub fn open(&self, world: &mut World, place: Place, mode: u16) -> u64 {
        let file = self.object(world, "file");
        let inode_at = place.dentry + self.offset("dentry", "d_inode");
        let inode = world.kernel.read(inode_at, 8).expect("the dentry was made here");
        let inode = u64::from_le_bytes(inode.try_into().expect("eight bytes"));
        self.set(world, inode, "inode", "i_mode", u64::from(mode));
        self.set(world, file, "file", "f_inode", inode);
        self.set(world, file, "file", "f_path.dentry", place.dentry);
        self.set(world, file, "file", "f_path.mnt", place.mount);
        file
    }

    /// Makes a task whose root and working directory these are, and makes it the current one.
    pub fn enter(&self, world: &mut World, root: Place, directory: Place) {
        let fs = self.object(world, "fs_struct");
        for (field, value) in [
            ("root.dentry", root.dentry),
            ("root.mnt", root.mount),
            ("pwd.dentry", directory.dentry),
            ("pwd.mnt", directory.mount),
        ] {
            self.set(world, fs, "fs_struct", field, value);
        }
        let task = self.object(world, "task_struct");
        self.set(world, task, "task_struct", "fs", fs);
        world.task.address = task;
    }
}
