//! kprobe and kretprobe of one function, through the perf PMU `kprobe` (4.17).

use std::fs;
use std::os::fd::AsFd as _;

use super::attach::{Fault, Hold, name};
use super::tracepoint::hang;
use crate::load::program::Program;
use crate::load::sys::{self, PerfSource};

const PMU: &str = "/sys/bus/event_source/devices/kprobe";

/// Where in the function.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Point {
    Entry,
    Return,
}

pub(super) fn attach(program: &Program, symbol: &str, point: Point) -> Result<Hold, Fault> {
    let pmu = pmu_type().ok_or_else(|| Fault::NotSupported("it was built without kprobes".to_owned()))?;
    let config = match point {
        Point::Entry => 0,
        Point::Return => 1 << return_bit(),
    };
    let source = PerfSource::Function { pmu, config, symbol: &name(symbol)? };
    let event = sys::perf_event_open(&source).map_err(|error| match error.errno {
        // kernel/trace/trace_kprobe.c: ENOENT without the symbol, EADDRNOTAVAIL for one that stands for several functions (6.6),
        // EINVAL for one on the list of what must not be probed.
        libc::ENOENT | libc::EADDRNOTAVAIL | libc::EINVAL => Fault::NoSuchTarget(error),
        _ => Fault::Call(error),
    })?;
    hang(program.as_fd(), event)
}

fn pmu_type() -> Option<u32> {
    fs::read_to_string(format!("{PMU}/type")).ok()?.trim().parse().ok()
}

/// The bit of `config` that asks for the return; the file reads `config:0`.
fn return_bit() -> u32 {
    fs::read_to_string(format!("{PMU}/format/retprobe"))
        .ok()
        .and_then(|text| text.trim().strip_prefix("config:")?.parse().ok())
        .filter(|bit| *bit < 64)
        .unwrap_or(0)
}
