//! Records made up in front of the pipeline, as fast as it takes them.
#![allow(dead_code, clippy::allow_attributes, reason = "each of its users takes its part")]

use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bpf_probes::abi::{
    Action, ExecRecord, ExitRecord, ForkRecord, Header, HookRecord, ProcessKey, RecordKind, ValueHeader,
    process_flag,
};
use bpf_probes::load::Head;
use enforcer::pipeline::{HookLayout, Layouts, RecordSource, Recorded, Sources, ValueLayout, record_bytes};
use tracing_policy::policy::{EventForm, ValueKind};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The parent of all made-up processes.
pub(crate) const INIT: ProcessKey = ProcessKey { ktime: 1_000, tgid: 1, reserved: 0 };
/// Number of the layout of made-up hooks.
pub(crate) const LAYOUT: u32 = 1;

/// A ring whose records are made anew whenever all have been read: `renew` changes them, and says whether there are more.
pub(crate) struct Made<F> {
    records: Vec<Box<[u64]>>,
    next: std::cell::Cell<usize>,
    renew: F,
    is_over: bool,
}

impl<F: FnMut(&mut Vec<Box<[u64]>>) -> Renewed + Send> Made<F> {
    pub(crate) fn new(records: Vec<Box<[u64]>>, renew: F) -> Self {
        Self { records, next: std::cell::Cell::new(0), renew, is_over: false }
    }
}

/// What comes after the records of a ring.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Renewed {
    /// They come again.
    More,
    /// Nothing yet; ask again.
    NotYet,
    /// Nothing.
    Over,
}

impl<F: FnMut(&mut Vec<Box<[u64]>>) -> Renewed + Send> RecordSource for Made<F> {
    fn peek(&self) -> Head<'_> {
        match self.records.get(self.next.get()) {
            Some(record) if !self.is_over => Head::Record(record.as_bytes()),
            Some(_) => Head::Empty,
            None if self.is_over => Head::Empty,
            // As if one were being written: the reader looks again in a moment.
            None => Head::Busy,
        }
    }

    fn advance(&self) {
        self.next.set(self.next.get() + 1);
    }

    fn release(&mut self) {
        if self.next.get() < self.records.len() || self.is_over {
            return;
        }
        match (self.renew)(&mut self.records) {
            Renewed::More => self.next.set(0),
            Renewed::NotYet => {}
            Renewed::Over => self.is_over = true,
        }
    }

    fn skip_all(&mut self) -> u64 {
        0
    }

    fn crowded(&self) -> bool {
        // So that what was read is released at once.
        true
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

/// Both rings, of which only that of events has records.
pub(crate) fn sources(events: impl RecordSource + 'static) -> Sources {
    Sources { events: Box::new(events), enforcement: Box::new(Recorded::new(Vec::new())) }
}

fn header(kind: RecordKind, ktime: u64) -> Header {
    Header { kind: kind as u8, ktime, ..Header::default() }
}

pub(crate) fn key(tgid: u32, ktime: u64) -> ProcessKey {
    ProcessKey { ktime, tgid, reserved: 0 }
}

pub(crate) fn fork(process: ProcessKey) -> Box<[u64]> {
    let header = header(RecordKind::Fork, process.ktime);
    let flags = process_flag::CLONE;
    record_bytes(&ForkRecord { header, process, parent: INIT, flags, ..ForkRecord::default() }, &[])
}

pub(crate) fn exec(process: ProcessKey, forked: u64, arguments: &[u8]) -> Box<[u64]> {
    let (path, cwd) = (b"/usr/local/bin/worker", b"/var/lib/worker");
    let parts = [&path[..], path, cwd, arguments].concat();
    let len = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or_default();
    let fixed = ExecRecord {
        header: header(RecordKind::Exec, process.ktime),
        process,
        parent: INIT,
        previous_ktime: forked,
        flags: process_flag::EXECVE | process_flag::CLONE,
        filename_len: len(path),
        path_len: len(path),
        cwd_len: len(cwd),
        arguments_len: len(arguments),
        inode: 77,
        links: 1,
        ..ExecRecord::default()
    };
    record_bytes(&fixed, &parts)
}

pub(crate) fn exit(process: ProcessKey) -> Box<[u64]> {
    let header = header(RecordKind::Exit, process.ktime);
    record_bytes(&ExitRecord { header, process, code: 0, tid: process.tgid }, &[])
}

/// A match of an open of `path`.
pub(crate) fn hook(process: ProcessKey, path: &[u8]) -> Box<[u64]> {
    hook_with(process, LAYOUT, &[(0o100_644, path)])
}

/// A match of a hook with these values, each behind the status of its header.
pub(crate) fn hook_with(process: ProcessKey, layout: u32, values: &[(u16, &[u8])]) -> Box<[u64]> {
    let fixed = HookRecord {
        header: header(RecordKind::Hook, process.ktime + 1),
        process,
        tid: process.tgid,
        layout,
        action: Action::Post as u8,
        values: values.len().try_into().unwrap_or_default(),
        ..HookRecord::default()
    };
    let mut tail = Vec::new();
    for &(status, bytes) in values {
        let value = ValueHeader { len: u32::try_from(bytes.len()).unwrap_or_default(), flags: 0, status };
        tail.extend_from_slice(value.as_bytes());
        tail.extend_from_slice(bytes);
        tail.resize(tail.len().next_multiple_of(8), 0);
    }
    record_bytes(&fixed, &tail)
}

/// The fixed part of a record, to be changed.
pub(crate) fn fixed<T: FromBytes + IntoBytes + Immutable + KnownLayout>(record: &mut [u64]) -> &mut T {
    T::mut_from_prefix(record.as_mut_bytes()).expect("it was made of one").0
}

/// The layout of [`hook`].
pub(crate) fn layouts() -> Arc<Layouts> {
    let layouts = Layouts::default();
    let values = vec![ValueLayout { kind: ValueKind::File, label: "".into() }];
    let form = EventForm::Kprobe;
    layouts.insert(
        LAYOUT,
        HookLayout { form, function_name: "security_file_open".into(), values, ..HookLayout::default() },
    );
    Arc::new(layouts)
}

/// Pages of this process's memory that are resident, in KiB.
pub(crate) fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.split_ascii_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or_default()
}

/// How many of what one thread makes another has taken.
#[derive(Clone, Debug, Default)]
pub(crate) struct Taken(Arc<AtomicU64>);

impl Taken {
    pub(crate) fn add(&self, events: u64) {
        self.0.fetch_add(events, Ordering::Release);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}
