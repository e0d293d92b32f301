//! The path in an event is the one that the process would have to use.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use e2e::ensure;
use e2e::event::Event;
use e2e::expect::Outcome;
use e2e::scenario::{Guest, Settings, must};

use crate::policies::{Action, file_open};

const POLICY: &str = "watched";

/// Bind mounts, tmpfs, chroot, symbolic links, another mount namespace, overlays.
pub(crate) fn mounts_and_roots(guest: &Guest) -> Outcome {
    let policy = file_open(POLICY, "Postfix", &[".watched"], Action::Post);
    let mut daemon = Settings::default().policy(&policy).start(guest)?;
    let mut events = daemon.events()?;
    shell(
        "mkdir -p /mnt/bind /mnt/t /mnt/jail/bin /root/sub; cd /root
         for name in plain bound target sub/dots; do echo x > /root/$name.plain; done
         mount --bind /root /mnt/bind; mount -t tmpfs t /mnt/t; mkdir /mnt/t/u; mount -t tmpfs u /mnt/t/u
         cp /usr/bin/busybox /mnt/jail/bin/; echo x > /mnt/jail/inner.plain; echo x > /mnt/t/tmp.plain; echo x > /mnt/t/u/two.plain
         for file in /root/*.plain /root/sub/*.plain /mnt/jail/*.plain /mnt/t/*.plain /mnt/t/u/*.plain; do mv $file ${file%.plain}.watched; done
         ln -s target.watched /root/link.watched",
    )?;
    let after_preparing = daemon.settle(&mut events)?;
    ensure!(paths(&after_preparing).is_empty(), "opened before the test: {:?}", paths(&after_preparing));
    for (script, path) in [
        ("cat /root/plain.watched", "/root/plain.watched"),
        ("cd /root/sub && cat dots.watched", "/root/sub/dots.watched"),
        ("cat /root/../root/./sub//dots.watched", "/root/sub/dots.watched"),
        ("cat /mnt/bind/bound.watched", "/mnt/bind/bound.watched"),
        ("cat /mnt/t/tmp.watched", "/mnt/t/tmp.watched"),
        ("cat /mnt/t/u/two.watched", "/mnt/t/u/two.watched"),
        ("cat /root/link.watched", "/root/target.watched"),
        ("chroot /mnt/jail /bin/busybox cat /inner.watched", "/inner.watched"),
        ("cat /mnt/jail/inner.watched", "/mnt/jail/inner.watched"),
    ] {
        shell(script)?;
        let seen = paths(&daemon.settle(&mut events)?);
        ensure!(seen == BTreeSet::from([path.to_owned()]), "{script}: {seen:?}, not {path}");
    }
    shell(
        "unshare -m sh -c 'mount -t tmpfs n /mnt/bind && echo x > /mnt/bind/space.watched && cat /mnt/bind/space.watched'",
    )?;
    let seen = paths(&daemon.settle(&mut events)?);
    ensure!(
        seen == BTreeSet::from(["/mnt/bind/space.watched".to_owned()]),
        "other mount namespace: {seen:?}"
    );
    ensure!(!PathBuf::from("/mnt/bind/space.watched").exists(), "the mount namespace was not another one");

    shell(
        "mkdir -p /mnt/o && mount -t tmpfs o /mnt/o && cd /mnt/o && mkdir lower upper work all
         echo x > lower/over.plain; mv lower/over.plain lower/over.watched
         mount -t overlay -o lowerdir=lower,upperdir=upper,workdir=work o all; cat /mnt/o/all/over.watched",
    )?;
    // An overlay opens the file below as well, of which the path depends on the kernel.
    let seen = paths(&daemon.settle(&mut events)?);
    ensure!(seen.contains("/mnt/o/all/over.watched"), "overlay: {seen:?}");
    Ok(())
}

/// 4000 bytes, bytes that are not UTF-8, quotes and line ends, files that were deleted.
pub(crate) fn long_foreign_deleted(guest: &Guest) -> Outcome {
    let policy = file_open(POLICY, "Prefix", &["/root/odd/"], Action::Post);
    let mut daemon = Settings::default().policy(&policy).start(guest)?;
    let mut events = daemon.events()?;
    fs::create_dir_all("/root/odd")?;

    let mut long = String::from("/root/odd");
    while long.len() + 201 < 4000 {
        long.push('/');
        long.push_str(&"d".repeat(200));
    }
    fs::create_dir_all(&long)?;
    long.push('/');
    long.push_str(&"f".repeat(4000 - long.len()));
    ensure!(long.len() == 4000, "the path has {} bytes", long.len());
    let foreign = OsString::from_vec(b"/root/odd/caf\xe9 \xff\xfe".to_vec());
    let quoted = "/root/odd/a \"quoted\"\nline\t\u{1b}[31m \u{1F600}";
    for (path, shown) in [
        (PathBuf::from(&long), long.clone()),
        (PathBuf::from(foreign), "/root/odd/caf\u{FFFD} \u{FFFD}\u{FFFD}".to_owned()),
        (PathBuf::from(quoted), quoted.to_owned()),
    ] {
        drop(File::create(&path)?);
        drop(File::open(&path)?);
        let seen = paths(&daemon.settle(&mut events)?);
        ensure!(seen == BTreeSet::from([shown.clone()]), "{seen:?}, not {shown:?}");
    }

    let file = File::create("/root/odd/gone")?;
    fs::remove_file("/root/odd/gone")?;
    symlink(format!("/proc/self/fd/{}", file.as_raw_fd()), "/root/door")?;
    daemon.settle(&mut events)?;
    drop(File::open("/root/door")?);
    let seen = paths(&daemon.settle(&mut events)?);
    let known = |path: &String| path == "/root/odd/gone" || path == "/root/odd/gone (deleted)";
    ensure!(seen.len() == 1 && seen.iter().all(known), "deleted: {seen:?}");
    Ok(())
}

fn shell(script: &str) -> Outcome {
    must(&["/usr/bin/busybox", "sh", "-e", "-c", script]).map(drop)
}

fn paths(seen: &[Event]) -> BTreeSet<String> {
    let hooks = seen.iter().filter_map(|event| event.of_policy(POLICY));
    hooks.map(|hook| hook.path().unwrap_or("no path").to_owned()).collect()
}
