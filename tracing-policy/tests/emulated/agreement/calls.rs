//! Random calls.

use tracing_policy::policy::{Children, ClassTest, NetworkSubject, PidNamespace, Resolved, StringForm};

use super::policies::{NetType, PathType, Shape};
use super::random::Random;
use super::world::{CLOSED, PARENT, Pool, random_thread};
use crate::kernel::Thread;

/// A call, who makes it, and what is known of them.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) person: usize,
    /// What registers hold.
    pub(super) arguments: [u64; 6],
    pub(super) number: u64,
    /// What is readable of the others.
    pub(super) text: Option<String>,
    pub(super) file: Option<File>,
    pub(super) net: Option<Net>,
    pub(super) sets: [Option<u64>; 2],
    pub(super) tgid: u32,
    pub(super) own_pid: u32,
    pub(super) thread: Thread,
    /// Whether the kernel side knows the process.
    pub(super) known: bool,
    /// Whether it knows the parent, if that is still the parent.
    pub(super) parent_recorded: bool,
    pub(super) parent_known: bool,
    /// The binaries of the process, its parent and its grandparent.
    pub(super) binaries: [&'static str; 3],
    /// The thread as it was at exec, where that is known.
    pub(super) recorded: Option<Thread>,
}

/// A file.
#[derive(Clone, Debug)]
pub(super) struct File {
    pub(super) path: Option<String>,
    pub(super) mode: u16,
}

/// Something of the network.
#[derive(Clone, Debug)]
pub(super) enum Net {
    Named(String),
    Described(NetworkSubject),
}

/// Whose classes.
#[derive(Clone, Copy)]
pub(super) enum Family {
    Own,
    Parent,
}

/// The pids of the process and its ancestors.
pub(super) fn pids(call: &Call) -> [u32; 3] {
    [call.tgid, PARENT, 40]
}

/// The numbers of the same in namespaces of their own; an ancestor may be of the host's namespace.
pub(super) fn own_pids(call: &Call) -> [u32; 3] {
    if call.own_pid == 0 { [0; 3] } else { [call.own_pid, 5, 0] }
}

pub(super) fn call(random: &mut Random, pool: &Pool, shape: Shape) -> Call {
    const BINARIES: [&str; 5] = ["/bin/sh", "/bin/sh2", "/usr/bin/ls", "/bin", "/usr/lib/bin/sh"];
    let index = random.below(pool.people.len());
    let person = &pool.people[index];
    let small = || 5_u64;
    let number = match random.below(4) {
        0 => random.next(),
        1 => random.pick(&[u64::MAX, 1 << 63, 0x7f, 0x80, 0xff, 0x7fff_ffff, 0x8000_0000, 100, 60]),
        _ => (random.below(13) as u64).wrapping_sub(small()),
    };
    let (text, text_address) =
        unless_unreadable(random, |random| pool.texts[random.below(pool.texts.len())].clone());
    let (file, file_address) = file(random, pool, shape.path);
    let (net, net_address) = net(random, pool, shape.net);
    let mut set = || unless_unreadable(random, |random| random.pick(&pool.sets));
    let (first, second) = (set(), set());
    let known = !random.one_in(8);
    let parent_recorded = !random.one_in(6);
    Call {
        person: index,
        arguments: [number, text_address, file_address, net_address, first.1, second.1],
        number,
        text,
        file,
        net,
        sets: [first.0, second.0],
        tgid: person.tgid,
        own_pid: person.own_pid,
        thread: person.thread.clone(),
        known,
        parent_recorded,
        // who is not known has no known parent
        parent_known: known && parent_recorded && !person.adopted,
        binaries: [random.pick(&BINARIES), random.pick(&BINARIES), random.pick(&BINARIES)],
        recorded: recorded(random, &person.thread),
    }
}

/// A value and its address, or once in a while nothing at no address.
fn unless_unreadable<T>(random: &mut Random, value: impl Fn(&mut Random) -> (T, u64)) -> (Option<T>, u64) {
    if random.one_in(20) {
        return (None, 0);
    }
    let (value, address) = value(random);
    (Some(value), address)
}

fn file(random: &mut Random, pool: &Pool, ty: PathType) -> (Option<File>, u64) {
    let place = &pool.places[random.below(pool.places.len())];
    let address = match ty {
        PathType::File => place.file,
        PathType::Path => place.path_object,
        PathType::Fd => place.descriptor,
        PathType::Dentry => place.dentry,
        PathType::LinuxBinprm => place.bprm,
    };
    let closed = if ty == PathType::Fd { CLOSED } else { 0 };
    if random.one_in(20) || (address == 0 && ty != PathType::Fd) {
        return (None, closed);
    }
    (Some(File { path: place.path.clone(), mode: place.mode }), address)
}

fn net(random: &mut Random, pool: &Pool, ty: NetType) -> (Option<Net>, u64) {
    unless_unreadable(random, |random| {
        let it = &pool.sockets[random.below(pool.sockets.len())];
        match ty {
            NetType::Sock => (Net::Described(it.socket), it.sock),
            NetType::Socket => (Net::Described(it.socket), it.outer),
            NetType::Skb => (Net::Described(it.packet), it.skb),
            NetType::Sockaddr => (Net::Described(it.address), it.sockaddr),
            NetType::SockaddrUn => (Net::Named(it.name.clone()), it.unix),
            NetType::NetDevice => (Net::Named(it.name.clone()), it.device),
        }
    })
}

/// As the thread is, or a little different, or quite.
fn recorded(random: &mut Random, now: &Thread) -> Option<Thread> {
    match random.below(6) {
        0 => None,
        1 => Some(Thread {
            namespaces: {
                let mut all = random_thread(random).namespaces;
                all[5] = 0;
                all
            },
            ..now.clone()
        }),
        2 => Some(random_thread(random)),
        3 => {
            let mut before = now.clone();
            before.namespaces[random.pick(&[0, 1, 2, 3, 4, 6, 7, 8, 9])] ^= 1;
            Some(before)
        }
        4 => {
            let mut before = now.clone();
            before.capabilities[random.below(3)] ^= random.pick(&[1, 1 << 5, 1 << 34, 1 << 20]);
            Some(before)
        }
        _ => Some(now.clone()),
    }
}

/// The numbers of the classes that a process, or its parent, is in; what is decided at exec and fork.
pub(super) fn classes(
    policies: &[Resolved],
    call: &Call,
    family: Family,
    each: u32,
) -> impl Iterator<Item = u32> {
    let from = match family {
        Family::Own => 0,
        Family::Parent => 1,
    };
    let binaries: Vec<&str> = call.binaries[from..].to_vec();
    let (pids, own_pids) = (&pids(call)[from..], &own_pids(call)[from..]);
    let mut found = Vec::new();
    for (policy, first) in policies.iter().zip((0..).map(|number| number * each)) {
        for (class, number) in policy.hooks[0].classes.iter().zip(0..) {
            let inside = match class {
                ClassTest::Binary { form, values, children } => {
                    let fits = |binary: &&str| {
                        let binary = binary.as_bytes();
                        values.iter().any(|value| match form {
                            StringForm::Exact => binary == value,
                            StringForm::Prefix => binary.starts_with(value),
                            StringForm::Postfix => binary.ends_with(value),
                        })
                    };
                    match children {
                        Children::Ignored => fits(&binaries[0]),
                        Children::Followed => binaries.iter().any(fits),
                    }
                }
                ClassTest::Descendants { namespace: PidNamespace::Host, pids: listed } => {
                    pids.iter().any(|pid| listed.contains(pid))
                }
                ClassTest::Descendants { namespace: PidNamespace::Own, pids: listed } => {
                    own_pids.iter().any(|pid| *pid != 0 && listed.contains(pid))
                }
                ClassTest::InPidNamespace => own_pids[0] != 0,
                ClassTest::Workload(_) => panic!("these policies are for everybody"),
            };
            assert!(number < each, "more classes than numbers");
            if inside {
                found.push(first + number);
            }
        }
    }
    found.into_iter()
}
