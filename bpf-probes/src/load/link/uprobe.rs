//! uprobe of one place, through the perf PMU `uprobe` (4.17; with a reference counter 4.20).

use std::ffi::CStr;
use std::fs;
use std::os::fd::AsFd as _;

use super::attach::{Fault, Hold};
use super::tracepoint::hang;
use super::user_file::fault;
use crate::attach::{CallEnd, UserPlace};
use crate::load::program::Program;
use crate::load::sys::{self, PerfSource, SysError};

const PMU: &str = "/sys/bus/event_source/devices/uprobe";

/// The lowest bit of the counter's offset in `config`, which has 32 bits for it (`kernel/events/core.c: PERF_UPROBE_REF_CTR_OFFSET_SHIFT`).
const COUNTER_SHIFT: u32 = 32;

/// The bit of `config` that asks for the return (`kernel/events/core.c: PERF_PROBE_CONFIG_IS_RETPROBE`).
const RETURN: u64 = 1;

pub(super) fn attach(program: &Program, place: &UserPlace, end: CallEnd, door: &CStr) -> Result<Hold, Fault> {
    let pmu = fs::read_to_string(format!("{PMU}/type")).ok().and_then(|text| text.trim().parse().ok());
    let pmu = pmu.ok_or_else(|| Fault::NotSupported("it was built without uprobes".to_owned()))?;
    let end = if end == CallEnd::Return { RETURN } else { 0 };
    let config = counter(place)? << COUNTER_SHIFT | end;
    let source = PerfSource::User { pmu, config, path: door, offset: place.offset };
    hang(program.as_fd(), sys::perf_event_open(&source).map_err(fault)?)
}

/// The offset of the place's reference counter.
fn counter(place: &UserPlace) -> Result<u64, Fault> {
    if place.reference_counter == 0 {
        return Ok(0);
    }
    if fs::metadata(format!("{PMU}/format/ref_ctr_offset")).is_err() {
        return Err(Fault::NotSupported("its uprobes have no reference counters (4.20)".to_owned()));
    }
    match u32::try_from(place.reference_counter) {
        Ok(counter) => Ok(u64::from(counter)),
        Err(_far) => Err(Fault::Call(SysError::new("perf_event_open", libc::EOVERFLOW))),
    }
}
