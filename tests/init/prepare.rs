//! Makes a bare kernel into a machine: mounts, modules, loopback, limits, settings.

use std::ffi::CString;
use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use e2e::vm::{Job, MODULE_DIR};
use nix::errno::Errno;
use nix::kmod::{ModuleInitFlags, finit_module};
use nix::mount::{MsFlags, mount};
use nix::sys::resource::{RLIM_INFINITY, Resource, setrlimit};
use nix::unistd::{chdir, chroot, sethostname};

/// Kind, place. Those that a kernel lacks are left out, except the first three.
const MOUNTS: [(&str, &str); 11] = [
    ("proc", "/proc"),
    ("sysfs", "/sys"),
    ("devtmpfs", "/dev"),
    ("devpts", "/dev/pts"),
    ("tmpfs", "/dev/shm"),
    ("tmpfs", "/run"),
    ("bpf", "/sys/fs/bpf"),
    ("cgroup2", "/sys/fs/cgroup"),
    ("securityfs", "/sys/kernel/security"),
    ("tracefs", "/sys/kernel/tracing"),
    ("debugfs", "/sys/kernel/debug"),
];
const NEEDED: usize = 3;

/// Puts the root on a mount of its own and mounts the usual file systems.
///
/// The initramfs itself can neither be left by `pivot_root` nor look like the root of an ordinary machine, whose
/// root is mounted on top of it; hence the bind mount.
pub(crate) fn file_systems() -> Result<(), String> {
    bind_root().map_err(|error| format!("root: {error}"))?;
    for (index, (kind, place)) in MOUNTS.iter().enumerate() {
        // Fails where sysfs has no such folder, as the mount then does.
        drop(fs::create_dir_all(place));
        let mounted = mount(Some(*kind), *place, Some(*kind), MsFlags::empty(), None::<&str>);
        if let (Err(error), true) = (mounted, index < NEEDED) {
            return Err(format!("mount of {kind} on {place}: {error}"));
        }
    }
    drop(fs::create_dir_all("/run/lock"));
    Ok(())
}

fn bind_root() -> nix::Result<()> {
    let none = None::<&str>;
    mount(Some("/"), "/mnt", none, MsFlags::MS_BIND, none)?;
    chdir("/mnt")?;
    mount(Some("."), "/", none, MsFlags::MS_MOVE, none)?;
    chroot(".")?;
    chdir("/")?;
    // As systemd leaves it.
    mount(none, "/", none, MsFlags::MS_SHARED | MsFlags::MS_REC, none)
}

/// Modules, loopback, limits and what the job wants set.
pub(crate) fn machine(job: &Job) -> Result<(), String> {
    modules()?;
    sethostname("enforcer-vm").map_err(|error| format!("name of the host: {error}"))?;
    for command in
        [["ip", "addr", "add", "127.0.0.1/8", "dev", "lo"].as_slice(), &["ip", "link", "set", "lo", "up"]]
    {
        // The kernel sets the address itself when lo comes up, and then refuses the first command.
        drop(Command::new("/usr/bin/busybox").args(command).stderr(Stdio::null()).status());
    }
    setrlimit(Resource::RLIMIT_MEMLOCK, RLIM_INFINITY, RLIM_INFINITY)
        .map_err(|error| format!("limit of locked memory: {error}"))?;
    setrlimit(Resource::RLIMIT_NOFILE, 1 << 20, 1 << 20)
        .map_err(|error| format!("limit of files: {error}"))?;
    setrlimit(Resource::RLIMIT_CORE, 0, 0).map_err(|error| format!("limit of core files: {error}"))?;
    for (name, value) in &job.sysctls {
        let place = Path::new("/proc/sys").join(name);
        fs::write(&place, value).map_err(|error| format!("{}: {error}", place.display()))?;
    }
    Ok(())
}

fn modules() -> Result<(), String> {
    let mut files: Vec<_> = match fs::read_dir(MODULE_DIR) {
        Ok(entries) => entries.flatten().map(|entry| entry.path()).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(format!("{MODULE_DIR}: {error}")),
    };
    files.sort();
    for path in files {
        let file = File::open(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        match finit_module(&file, &CString::default(), ModuleInitFlags::empty()) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(error) => return Err(format!("module {}: {error}", path.display())),
        }
    }
    Ok(())
}
