//! A kernel with objects for all calls, made once; and one call in it.

use bpf_probes::abi::{HookRecord, ProcessState, Recorded, map_name};
use bpf_probes::emulate::{Context, Fault, Registers};
use bpf_probes::kernel::KernelView;
use tracing_policy::policy::{NetworkSubject, Resolved};
use zerocopy::{FromBytes, IntoBytes};

use super::calls::{Call, Family};
use super::policies::NUMBER;
use super::random::Random;
use super::{CLASSES, calls};
use crate::kernel::{
    Thread, number_inside, object, open_descriptors, other_task, real_parent, root_of, set_text, thread,
};
use crate::network::{
    Socket, packet4_between, packet6_between, skb, sock, sockaddr, sockaddr_un, socket, subject,
};
use crate::run::{Base, Emulated};

/// The parent of every process that was not adopted.
pub(super) const PARENT: u32 = 50;
/// A descriptor that is not open.
pub(super) const CLOSED: u64 = 63;

/// A kernel with the base programs and the objects of [`Pool`].
pub(super) struct Prepared<'k> {
    pub(super) base: Base<'k>,
    pub(super) pool: Pool,
}

/// What calls choose from.
pub(super) struct Pool {
    pub(super) people: Vec<Person>,
    pub(super) texts: Vec<(String, u64)>,
    pub(super) places: Vec<Place>,
    pub(super) sockets: Vec<Described>,
    pub(super) sets: Vec<(u64, u64)>,
    registers: u64,
}

/// A process that makes calls.
pub(super) struct Person {
    task: u64,
    pub(super) tgid: u32,
    pub(super) own_pid: u32,
    pub(super) adopted: bool,
    pub(super) thread: Thread,
}

/// A file: `None` as its path when it has none. Addresses are zero where there can be no such object of it.
pub(super) struct Place {
    pub(super) path: Option<String>,
    pub(super) mode: u16,
    pub(super) file: u64,
    pub(super) path_object: u64,
    pub(super) dentry: u64,
    pub(super) bprm: u64,
    pub(super) descriptor: u64,
}

/// A socket, what a packet from it is, its address, and a name that goes with none of them.
pub(super) struct Described {
    pub(super) socket: NetworkSubject,
    pub(super) packet: NetworkSubject,
    pub(super) address: NetworkSubject,
    pub(super) name: String,
    pub(super) sock: u64,
    pub(super) outer: u64,
    pub(super) skb: u64,
    pub(super) sockaddr: u64,
    pub(super) unix: u64,
    pub(super) device: u64,
}

fn path(random: &mut Random) -> String {
    let parts: Vec<String> = (0..random.below(4))
        .map(|_| (0..=random.below(2)).map(|_| random.pick(&['a', 'b'])).collect())
        .collect();
    format!("/{}", parts.join("/"))
}

impl<'k> Prepared<'k> {
    pub(super) fn of(view: &'k KernelView) -> Self {
        let mut base = Base::of(view);
        let mut random = Random::new(1);
        let places = places(&mut base, &mut random);
        let people = (0..16).map(|number| person(&mut base, &mut random, number, &places)).collect();
        let sockets = (0..48).map(|_| described(&mut base, &mut random)).collect();
        let mut texts: Vec<String> = (0..40).map(|_| path(&mut random)).collect();
        texts.extend(["", "a", "ab", "/A", "b/a", "/AB/a"].map(str::to_owned));
        texts.push(format!("/{}", "a".repeat(33)));
        let user = &mut base.machine.world_mut().user;
        let texts = texts.into_iter().map(|text| (text.clone(), user.string(text))).collect();
        let sets = [0, 1, 2, 3, 4, 5, 7, 8, 9, 1 << 40, u64::MAX];
        let sets = sets.map(|set| (set, user.bytes("set", &set.to_le_bytes()))).to_vec();
        let registers = base.machine.world_mut().kernel.object("pt_regs", Registers::BYTES);
        Self { base, pool: Pool { people, texts, places, sockets, sets, registers } }
    }
}

pub(super) fn random_thread(random: &mut Random) -> Thread {
    let mut number = |kind: u32| {
        if random.one_in(4) { 4_026_531_800 + kind } else { 1 + u32::try_from(random.below(4)).unwrap() }
    };
    // the recorded types leave `struct net` out
    let namespaces = [
        number(0),
        number(1),
        number(2),
        number(3),
        number(3),
        0,
        number(6),
        number(6),
        number(8),
        number(9),
    ];
    let mut set = || random.pick(&[0, 1, 1 << 5, 1 << 34 | 1 << 39, u64::MAX, 1 << 34]);
    Thread { namespaces, capabilities: [set(), set(), set()] }
}

fn person(base: &mut Base<'_>, random: &mut Random, number: u32, places: &[Place]) -> Person {
    let view = base.view;
    let machine = &mut base.machine;
    other_task(machine, view);
    root_of(machine, view, &base.objects);
    let known = random_thread(random);
    thread(machine, view, &known);
    // one in four is of the host's namespace
    let own_pid = [0, 5, 6, 7][number as usize % 4];
    if own_pid != 0 {
        number_inside(machine, view, own_pid);
    }
    let files: Vec<(u64, u64)> = places.iter().map(|place| (place.descriptor, place.file)).collect();
    open_descriptors(machine, view, &files);
    let adopted = number % 8 == 7;
    real_parent(machine, view, if adopted { 1 } else { PARENT });
    Person { task: machine.world().task.address, tgid: 5 + number / 2 % 3, own_pid, adopted, thread: known }
}

fn places(base: &mut Base<'_>, random: &mut Random) -> Vec<Place> {
    let view = base.view;
    let mut paths: Vec<String> = (0..40).map(|_| path(random)).collect();
    paths.push(format!("/{}", "a".repeat(33)));
    paths.sort_unstable();
    paths.dedup();
    let mut places = Vec::new();
    for path in paths {
        let mode =
            random.pick(&[0o100_644, 0o100_755, 0o040_755, 0o140_755, 0o020_600, 0o060_600, 0o120_777, 0]);
        let (objects, machine) = (&mut base.objects, &mut base.machine);
        let file = objects.file(machine, view, &path, mode);
        let path_object = objects.path(machine, view, &path);
        let dentry = objects.dentry(machine, view, &path);
        let bprm = object(machine, view, "linux_binprm", &[("file", file)]);
        places.push(Place { path: Some(path), mode, file, path_object, dentry, bprm, descriptor: 0 });
    }
    let file = base.objects.nameless(&mut base.machine, view);
    let bprm = object(&mut base.machine, view, "linux_binprm", &[("file", file)]);
    places.push(Place { path: None, mode: 0o010_600, file, path_object: 0, dentry: 0, bprm, descriptor: 0 });
    for (place, number) in places.iter_mut().zip(0..) {
        place.descriptor = number;
    }
    places
}

fn described(base: &mut Base<'_>, random: &mut Random) -> Described {
    let view = base.view;
    let v4 = ["10.0.0.1", "10.0.0.0", "10.1.2.3", "192.168.1.200", "192.168.1.5", "77.3.0.1"];
    let v6 = ["2001:db8::1", "2001:db8:8000::1", "::1", "2001:db8:7fff::ffff"];
    let family = random.pick(&[2, 2, 10, 1]);
    let addresses: &[&'static str] = match family {
        2 => &v4,
        10 => &v6,
        _ => &["0.0.0.0"],
    };
    let mut port = || random.pick(&[80_u16, 443, 1023, 1024, 0, 50_002, 65_535]);
    let ports = if family == 1 { (0, 0) } else { (port(), port()) };
    let it = Socket {
        family,
        source: random.pick(addresses),
        destination: random.pick(addresses),
        ports,
        protocol: random.pick(&[6, 17, 0]),
        state: random.pick(&[1, 2, 7, 10, 0]),
    };
    let name = path(random);
    let machine = &mut base.machine;
    let sock = sock(machine, view, it);
    let outer = socket(machine, view, sock);
    // of a packet only the protocols with ports
    let protocol = if it.protocol == 17 { 17 } else { 6 };
    let behind = [it.ports.0.to_be_bytes(), it.ports.1.to_be_bytes()].concat();
    let (bytes, address) = match family {
        2 => (
            packet4_between(protocol, 0, 0, it.ports, (it.source, it.destination)),
            sockaddr(it.source, it.ports.0),
        ),
        10 => {
            (packet6_between(protocol, &behind, (it.source, it.destination)), sockaddr(it.source, it.ports.0))
        }
        _ => (vec![0x20; 60], sockaddr_un(b"/a")),
    };
    let skb = skb(machine, view, &bytes);
    let user = &mut machine.world_mut().user;
    let sockaddr = user.bytes("sockaddr", &address);
    let unix = user.bytes("sockaddr", &sockaddr_un(name.as_bytes()));
    let device = object(machine, view, "net_device", &[]);
    set_text(machine, view, (device, "net_device", "name"), &name);
    let whole = subject(it);
    let mut packet = NetworkSubject { state: None, ..whole };
    packet.endpoints.protocol = protocol.into();
    let mut address = NetworkSubject { state: None, ..whole };
    address.endpoints.destination = [0; 16];
    (address.endpoints.destination_port, address.endpoints.protocol) = (0, 0);
    if family == 1 {
        packet = NetworkSubject { endpoints: bpf_probes::abi::Endpoints::default(), state: None };
    }
    Described { socket: whole, packet, address, name, sock, outer, skb, sockaddr, unix, device }
}

/// What a call reports: policies and their selectors.
pub(super) fn run(
    it: &mut Emulated<'_>,
    pool: &Pool,
    policies: &[Resolved],
    call: &Call,
) -> Result<Vec<(usize, usize)>, Fault> {
    let person = &pool.people[call.person];
    let world = it.machine.world_mut();
    world.task.tgid = person.tgid;
    world.task.address = person.task;
    let registers = Registers::syscall(NUMBER, call.arguments).to_bytes();
    world.kernel.write(pool.registers, &registers).unwrap();
    know(it, policies, call);
    let context = if it.view.release().starts_with("6.18") {
        Context::arguments(&[pool.registers, NUMBER])
    } else {
        Context::kprobe([pool.registers, 0, 0, 0, 0, 0])
    };
    it.machine.run("body", context)?;
    let mut reported = Vec::new();
    for record in it.machine.ring_mut(map_name::EVENTS).unwrap().drain() {
        let (record, _values) = HookRecord::read_from_prefix(&record.bytes).unwrap();
        reported.push((record.layout as usize - 100, usize::from(record.selector)));
    }
    reported.sort_unstable();
    Ok(reported)
}

/// What the exec and fork programs, and the daemon, have noted of the process and its parent.
fn know(it: &mut Emulated<'_>, policies: &[Resolved], call: &Call) {
    let key = call.tgid.to_ne_bytes();
    let map = it.machine.map_mut(map_name::PROCESSES).unwrap();
    for key in [key, PARENT.to_ne_bytes()] {
        // it may not be there
        let _absent = map.delete(&key);
    }
    let state = |family: Family| {
        let mut state = ProcessState { ktime: 1, ..ProcessState::default() };
        calls::classes(policies, call, family, CLASSES).for_each(|class| state.classes.insert(class));
        state
    };
    if call.known {
        let mut own = state(Family::Own);
        own.parent.tgid = PARENT;
        map.update(&key, own.as_bytes()).unwrap();
        if call.parent_recorded {
            map.update(&PARENT.to_ne_bytes(), state(Family::Parent).as_bytes()).unwrap();
        }
    }
    let Some(map) = it.machine.map_mut(map_name::RECORDED) else { return };
    let _absent = map.delete(&key);
    if let Some(before) = &call.recorded {
        let mut recorded = Recorded::default();
        let numbers: Vec<u8> = before.namespaces.iter().flat_map(|number| number.to_ne_bytes()).collect();
        recorded.namespaces.as_mut_bytes().copy_from_slice(&numbers);
        [recorded.effective, recorded.inheritable, recorded.permitted] = before.capabilities;
        map.update(&key, recorded.as_bytes()).unwrap();
    }
}
