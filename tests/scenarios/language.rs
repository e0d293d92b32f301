//! One policy of each family of operators and types: calls that match, then calls that nearly do.
#![expect(unsafe_code, reason = "capset(2) has no safe wrapper here")]

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::net::{TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::thread;

use e2e::ensure;
use e2e::expect::{Context, Failure, Outcome};
use e2e::scenario::{Guest, Settings};
use nix::sys::stat::{Mode, fchmod};
use nix::unistd::{Whence, lseek};

const FOLDER: &str = "/root/language";

/// Name, call, arguments, filters.
const POLICIES: [(&str, &str, &str, &str); 20] = [
    ("equal", "sys_lseek", "1, type: int64", "{index: 1, operator: Equal, values: ['424242', '-77777777']}"),
    (
        "not-equal",
        "sys_lseek",
        "1, type: int64",
        "{index: 1, operator: GT, values: ['610000']}, {index: 1, operator: LT, values: ['610003']}, {index: 1, operator: NotEqual, values: ['610002']}",
    ),
    ("above", "sys_lseek", "1, type: int64", "{index: 1, operator: GT, values: ['9000000000000']}"),
    ("below", "sys_lseek", "1, type: int64", "{index: 1, operator: LT, values: ['-5000000000']}"),
    (
        "range",
        "sys_lseek",
        "1, type: uint64",
        "{index: 1, operator: InRange, values: ['500000:500009', '510000:510000']}",
    ),
    (
        "map",
        "sys_lseek",
        "1, type: uint64",
        "{index: 1, operator: InMap, values: ['700001', '700003:700005']}",
    ),
    (
        "not-map",
        "sys_lseek",
        "1, type: uint64",
        "{index: 1, operator: NotInMap, values: ['0:799999', '800001:18446744073709551615']}",
    ),
    ("mask", "sys_fchmod", "1, type: uint16", "{index: 1, operator: Mask, values: ['0o4000']}"),
    ("text", "sys_openat", "1, type: string", "{index: 1, operator: Equal, values: [/root/language/text]}"),
    (
        "text-part",
        "sys_openat",
        "1, type: string",
        "{index: 1, operator: SubStringIgnCase, values: [guage/NEEDLE]}",
    ),
    (
        "prefix",
        "security_file_open",
        "0, type: file",
        "{index: 0, operator: Prefix, values: [/root/language/pre]}",
    ),
    (
        "postfix",
        "security_file_open",
        "0, type: file",
        "{index: 0, operator: Prefix, values: [/root/language/]}, {index: 0, operator: Postfix, values: [.post]}",
    ),
    (
        "not-postfix",
        "security_file_open",
        "0, type: file",
        "{index: 0, operator: Prefix, values: [/root/language/neg]}, {index: 0, operator: NotPostfix, values: [.skip]}",
    ),
    (
        "path-part",
        "security_file_open",
        "0, type: file",
        "{index: 0, operator: SubString, values: [guage/part-of]}",
    ),
    (
        "file-type",
        "security_file_open",
        "0, type: file",
        "{index: 0, operator: Prefix, values: [/root/language/kind]}, {index: 0, operator: FileType, values: [dir]}",
    ),
    (
        "descriptor",
        "sys_fchmod",
        "0, type: fd",
        "{index: 0, operator: Equal, values: [/root/language/opened]}",
    ),
    (
        "set",
        "security_capset",
        "2, type: cap_effective",
        "{index: 2, operator: Mask, values: [CAP_BPF]}, {index: 2, operator: NotEqual, values: ['0']}",
    ),
    (
        "address",
        "security_socket_connect",
        "1, type: sockaddr",
        "{index: 1, operator: SAddr, values: [127.0.0.0/31]}, {index: 1, operator: SPort, values: ['4242']}, {index: 1, operator: Family, values: [AF_INET]}",
    ),
    (
        "socket",
        "tcp_connect",
        "0, type: sock",
        "{index: 0, operator: DPort, values: ['4240:4249']}, {index: 0, operator: NotDAddr, values: [127.0.0.2]}",
    ),
    (
        "name",
        "security_socket_connect",
        "1, type: sockaddr_un",
        "{index: 1, operator: Equal, values: [/root/language/socket]}",
    ),
];

fn policy((name, call, argument, filters): (&str, &str, &str, &str)) -> String {
    let syscall = call.starts_with("sys_");
    format!(
        "apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata: {{name: {name}}}
spec:
  kprobes:
  - call: {call}
    syscall: {syscall}
    args: [{{index: {argument}}}]
    selectors:
    - matchArgs: [{filters}]
"
    )
}

/// Each policy reports the calls that it means and none that is a little different.
pub(crate) fn families(guest: &Guest) -> Outcome {
    fs::create_dir_all(format!("{FOLDER}/kind-dir"))?;
    let mut daemon = Settings::default().start(guest)?;
    for row in POLICIES {
        daemon.add(row.0, &policy(row))?;
    }
    let mut events = daemon.events()?;
    daemon.settle(&mut events)?;
    let names = || POLICIES.iter().map(|row| row.0.to_owned());
    for (matches, expected) in [(true, names().collect::<BTreeSet<String>>()), (false, BTreeSet::new())] {
        calls(matches)?;
        let seen = daemon.settle(&mut events)?;
        let reported: BTreeSet<String> =
            names().filter(|name| seen.iter().any(|event| event.of_policy(name).is_some())).collect();
        let wrong: Vec<_> = reported.symmetric_difference(&expected).collect();
        ensure!(wrong.is_empty(), "calls that match: {matches}; differing: {wrong:?}");
    }
    Ok(())
}

/// Makes calls that match every policy, or none.
fn calls(matching: bool) -> Outcome {
    let pick =
        |hit: &'static str, miss: &'static str| format!("{FOLDER}/{}", if matching { hit } else { miss });
    let file = File::create(pick("opened", "opened-too"))?;
    let offsets: [i64; 8] = if matching {
        [424_242, 610_001, 9_000_000_000_001, -5_000_000_001, 510_000, 700_004, 800_000, -77_777_777]
    } else {
        [424_243, 610_002, 9_000_000_000_000, -5_000_000_000, 510_001, 700_002, 799_999, -77_777_776]
    };
    for offset in offsets {
        // some are refused; the call is what counts
        lseek(&file, offset, Whence::SeekSet).unwrap_or_default();
    }
    fchmod(&file, Mode::from_bits_truncate(if matching { 0o4711 } else { 0o2711 })).context("fchmod")?;
    for (hit, miss) in [
        ("text", "text-"),
        ("needle", "needl"),
        ("prefix", "pr"),
        ("a.post", "a.posts"),
        ("neg.keep", "neg.skip"),
        ("part-of", "part-o"),
    ] {
        drop(File::create(pick(hit, miss))?);
    }
    let kind = pick("kind-dir", "kind-file");
    drop(if matching { File::open(kind)? } else { File::create(kind)? });
    capset(if matching { u64::MAX } else { !(1 << 39) })?;
    // nobody listens
    drop(TcpStream::connect(if matching { "127.0.0.1:4242" } else { "127.0.0.2:4242" }));
    drop(UnixStream::connect(pick("socket", "socke")));
    if !matching {
        drop(TcpStream::connect("127.0.0.1:4250"));
        UdpSocket::bind("127.0.0.1:0")?.connect("127.0.0.9:4242")?;
    }
    Ok(())
}

/// Sets the capabilities in effect, of those permitted, of a thread that then ends.
pub(crate) fn capset(wanted: u64) -> Outcome {
    let set = move || -> io::Result<()> {
        /// `_LINUX_CAPABILITY_VERSION_3`, for the calling thread.
        const HEADER: [u32; 2] = [0x2008_0522, 0];
        // effective, permitted and inheritable: the low halves, then the high ones
        let mut sets = [0_u32; 6];
        // SAFETY: the header and room for two `struct __user_cap_data_struct` live through the call.
        let got = unsafe { libc::syscall(libc::SYS_capget, HEADER.as_ptr(), sets.as_mut_ptr()) };
        if got != 0 {
            return Err(io::Error::last_os_error());
        }
        let [low, high] = [wanted, wanted >> 32].map(|half| u32::try_from(half & 0xffff_ffff).unwrap_or(0));
        (sets[0], sets[3]) = (sets[1] & low, sets[4] & high);
        // SAFETY: as above; the kernel reads both.
        let put = unsafe { libc::syscall(libc::SYS_capset, HEADER.as_ptr(), sets.as_ptr()) };
        if put == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    };
    let thread = thread::spawn(set);
    let set = thread.join().map_err(|_panic| Failure("the thread panicked".to_owned()))?;
    set.context("capset")
}
