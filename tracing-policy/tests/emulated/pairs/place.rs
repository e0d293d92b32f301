//! Values in memory.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "`kind` names every type, so that a new one breaks the build there"
)]

use tracing_policy::schema::ArgumentType;

use super::rows::Subject;
use crate::buffers::{iterator_over, vector_of};
use crate::kernel::{object, open_descriptor, set_text};
use crate::network::{Socket, packet4_between, packet6_between, skb, sock, sockaddr, sockaddr_un, socket};
use crate::run::Emulated;

/// Mode of a file where a row does not say.
const MODE: u16 = 0o100_644;
/// A descriptor that is not open.
const CLOSED: u64 = 5;

/// The arguments that hold a value: the one that is tested, and the second of two.
pub(super) fn arguments(it: &mut Emulated<'_>, ty: ArgumentType, subject: &Subject) -> [u64; 2] {
    match subject {
        Subject::Number(number) => [of_number(it, ty, *number), 0],
        Subject::Sets(before, after) => {
            [before, after].map(|set| it.machine.world_mut().user.bytes("set", &set.to_le_bytes()))
        }
        Subject::Text(text) if ty == ArgumentType::CharBuf => {
            let buffer = it.machine.world_mut().user.bytes("buffer", text.as_bytes());
            [buffer, text.len() as u64]
        }
        Subject::Text(text) if ty == ArgumentType::CharIovec => vector_of(it, text.as_bytes()),
        Subject::Text(text) => [of_text(it, ty, text), 0],
        Subject::Mode(mode) => {
            // the path of an earlier file has its mode
            let file = it.objects.file(&mut it.machine, it.view, "/x", *mode);
            let address = match ty {
                ArgumentType::Path => it.objects.path(&mut it.machine, it.view, "/x"),
                _ => file,
            };
            [address, 0]
        }
        Subject::Nameless => [nameless(it, ty), 0],
        Subject::Socket(socket) => [of_network(it, ty, *socket), 0],
        Subject::Unreadable if ty == ArgumentType::Fd => [CLOSED, 0],
        // a buffer of no bytes could be read
        Subject::Unreadable if matches!(ty, ArgumentType::CharBuf | ArgumentType::CharIovec) => [0x1234, 4],
        Subject::Unreadable => [0, 0],
    }
}

fn of_number(it: &mut Emulated<'_>, ty: ArgumentType, number: i128) -> u64 {
    let bits = u64::from_le_bytes(number.to_le_bytes()[..8].try_into().unwrap());
    // what is above a narrow number is anything
    let garbage = |width: u32| bits & ((1 << width) - 1) | 0xa5a5_a5a5_a5a5_a5a5 << width;
    match ty {
        ArgumentType::Int8 | ArgumentType::Uint8 => garbage(8),
        ArgumentType::Int16 | ArgumentType::Uint16 => garbage(16),
        ArgumentType::Int
        | ArgumentType::Uint
        | ArgumentType::Int32
        | ArgumentType::Uint32
        | ArgumentType::BpfCmd => garbage(32),
        ArgumentType::KernelCap
        | ArgumentType::CapInheritable
        | ArgumentType::CapPermitted
        | ArgumentType::CapEffective => it.machine.world_mut().user.bytes("set", &bits.to_le_bytes()),
        _ => bits,
    }
}

fn of_text(it: &mut Emulated<'_>, ty: ArgumentType, text: &str) -> u64 {
    let view = it.view;
    match ty {
        ArgumentType::String => it.machine.world_mut().user.string(text),
        ArgumentType::IovIter => iterator_over(it, text.as_bytes()),
        ArgumentType::NetDevice => {
            let device = object(&mut it.machine, view, "net_device", &[]);
            set_text(&mut it.machine, view, (device, "net_device", "name"), text);
            device
        }
        ArgumentType::SockaddrUn => {
            it.machine.world_mut().user.bytes("sockaddr", &sockaddr_un(text.as_bytes()))
        }
        ArgumentType::Path => it.objects.path(&mut it.machine, view, text),
        ArgumentType::Dentry => it.objects.dentry(&mut it.machine, view, text),
        _ => {
            let file = it.objects.file(&mut it.machine, view, text, MODE);
            holder(it, ty, file)
        }
    }
}

/// What leads to a file.
fn holder(it: &mut Emulated<'_>, ty: ArgumentType, file: u64) -> u64 {
    match ty {
        ArgumentType::File => file,
        ArgumentType::Fd => {
            open_descriptor(&mut it.machine, it.view, 3, file);
            3
        }
        ArgumentType::LinuxBinprm => object(&mut it.machine, it.view, "linux_binprm", &[("file", file)]),
        _ => panic!("{ty:?} is no path"),
    }
}

/// What has no path; a dentry always has one, so nothing is there.
fn nameless(it: &mut Emulated<'_>, ty: ArgumentType) -> u64 {
    match ty {
        ArgumentType::Dentry | ArgumentType::Path => 0,
        _ => {
            let file = it.objects.nameless(&mut it.machine, it.view);
            holder(it, ty, file)
        }
    }
}

fn of_network(it: &mut Emulated<'_>, ty: ArgumentType, described: Socket) -> u64 {
    let view = it.view;
    match ty {
        ArgumentType::Sock => sock(&mut it.machine, view, described),
        ArgumentType::Socket => {
            let inner = sock(&mut it.machine, view, described);
            socket(&mut it.machine, view, inner)
        }
        ArgumentType::Skb => {
            let ports = [described.ports.0.to_be_bytes(), described.ports.1.to_be_bytes()].concat();
            let ends = (described.source, described.destination);
            let packet = match described.family {
                2 => packet4_between(6, 0, 0, described.ports, ends),
                10 => packet6_between(6, &ports, ends),
                _ => vec![0x20; 60],
            };
            skb(&mut it.machine, view, &packet)
        }
        ArgumentType::Sockaddr => {
            let bytes = match described.family {
                1 => sockaddr_un(b"/a"),
                _ => sockaddr(described.source, described.ports.0),
            };
            it.machine.world_mut().user.bytes("sockaddr", &bytes)
        }
        _ => panic!("{ty:?} is nothing of the network"),
    }
}
