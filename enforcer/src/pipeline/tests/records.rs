//! Made-up records and what becomes of them.

use std::sync::Arc;
use std::time::Duration;

use api::event::{Event, Origin};
use bpf_probes::abi::{
    Action, DataRecord, ExecRecord, ExitRecord, ForkRecord, Header, HookRecord, Namespaces, ProcessKey,
    RecordKind, ReturnRecord, ValueHeader, data_value, hook_flag, process_flag, value_flag,
};
use tracing_policy::ir::ValueKind;
use tracing_policy::policy::{CopiedPlace, EventForm, Request};
use zerocopy::IntoBytes;

use super::super::clock::Clock;
use super::super::config::Config;
use super::super::identify::Replay;
use super::super::layout::{HookLayout, Layouts, ValueLayout};
use super::super::read::{RawRecord, RingName, record_bytes};
use super::super::spare::Returned;
use super::super::stages::Stages;

/// Boot was at second 1 000.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fixed;

impl Clock for Fixed {
    fn boot(&self) -> u64 {
        5_000_000_000
    }

    fn wall(&self) -> i64 {
        1_005_000_000_000
    }
}

pub(super) fn key(tgid: u32, ktime: u64) -> ProcessKey {
    ProcessKey { tgid, ktime, reserved: 0 }
}

pub(super) fn header(kind: RecordKind, ktime: u64) -> Header {
    Header { kind: kind as u8, ktime, ..Header::default() }
}

/// An exec and its texts.
#[derive(Clone, Debug, Default)]
pub(super) struct Exec<'a> {
    pub(super) fixed: ExecRecord,
    pub(super) filename: &'a [u8],
    pub(super) path: &'a [u8],
    pub(super) cwd: &'a [u8],
    pub(super) cgroup: &'a [u8],
    pub(super) arguments: &'a [u8],
}

fn len(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

impl Exec<'_> {
    pub(super) fn record(&self) -> Box<[u64]> {
        let fixed = ExecRecord {
            filename_len: len(self.filename),
            path_len: len(self.path),
            cwd_len: len(self.cwd),
            cgroup_len: len(self.cgroup),
            arguments_len: len(self.arguments),
            ..self.fixed
        };
        record_bytes(&fixed, &[self.filename, self.path, self.cwd, self.cgroup, self.arguments].concat())
    }
}

/// An exec of `binary` in `/`, after a fork if `flags` say so.
pub(super) fn exec(process: ProcessKey, parent: ProcessKey, flags: u32, binary: &[u8]) -> Exec<'_> {
    let fixed = ExecRecord {
        header: header(RecordKind::Exec, process.ktime),
        process,
        parent,
        flags: process_flag::EXECVE | process_flag::ROOT_CWD | flags,
        auid: u32::MAX,
        inode: 77,
        links: 1,
        ..ExecRecord::default()
    };
    Exec { fixed, filename: binary, path: binary, cwd: b"/", cgroup: b"", arguments: b"zero\0" }
}

pub(super) fn fork(process: ProcessKey, parent: ProcessKey) -> Box<[u64]> {
    let fixed = ForkRecord {
        header: header(RecordKind::Fork, process.ktime),
        process,
        parent,
        flags: process_flag::CLONE,
        ..ForkRecord::default()
    };
    record_bytes(&fixed, &[])
}

pub(super) fn exit(process: ProcessKey, ktime: u64, code: u32) -> Box<[u64]> {
    let header = header(RecordKind::Exit, ktime);
    record_bytes(&ExitRecord { header, process, code, tid: process.tgid }, &[])
}

pub(super) fn data(process: ProcessKey, sequence: u16, payload: &[u8]) -> Box<[u64]> {
    data_of(data_value::ONLY, process, sequence, payload)
}

/// A piece of one of the values of a process.
pub(super) fn data_of(value: u16, process: ProcessKey, sequence: u16, payload: &[u8]) -> Box<[u64]> {
    let header = header(RecordKind::Data, process.ktime);
    record_bytes(&DataRecord { header, process, len: len(payload), sequence, value }, payload)
}

/// A hook of layout 1, with the path of a file.
pub(super) fn hook(process: ProcessKey, ktime: u64, action: Action, path: &[u8]) -> Box<[u64]> {
    hook_of(1, process, ktime, action, path)
}

/// A hook of layout 6, with a buffer of so many bytes that was sent in pieces.
pub(super) fn long_hook(process: ProcessKey, thread: u32, stamp: u64, whole: u64, sent: u64) -> Box<[u64]> {
    let fixed = HookRecord {
        header: header(RecordKind::Hook, 3_000),
        process,
        tid: thread,
        layout: 6,
        action: Action::Post as u8,
        values: 1,
        ..HookRecord::default()
    };
    let value = ValueHeader { len: 24, flags: value_flag::PIECES | value_flag::TRUNCATED, status: 0 };
    record_bytes(&fixed, &[value.as_bytes(), [whole, stamp, sent].as_bytes()].concat())
}

/// The same of another layout: 2 is an LSM hook, 3 a tracepoint, 4 has its value in the section `data`, 5 has a return, 11 is a static probe, 13 a place in a program with a return.
pub(super) fn hook_of(
    layout: u32,
    process: ProcessKey,
    ktime: u64,
    action: Action,
    path: &[u8],
) -> Box<[u64]> {
    let fixed = HookRecord {
        header: header(RecordKind::Hook, ktime),
        process,
        tid: process.tgid + 1,
        layout,
        action: action as u8,
        values: 1,
        ..HookRecord::default()
    };
    let value = ValueHeader { len: len(path), flags: 0, status: 0o100_640 };
    record_bytes(&fixed, &[value.as_bytes(), path].concat())
}

/// The return of a call of layout 5, whose record at the entry came from [`hook_of`].
pub(super) fn returned(
    process: ProcessKey,
    entered: u64,
    action: Action,
    flags: u8,
    value: i64,
) -> Box<[u64]> {
    returned_of(5, process, entered, (action, flags), value)
}

/// The same of another layout: 13 is a place in a program.
pub(super) fn returned_of(
    layout: u32,
    process: ProcessKey,
    entered: u64,
    (action, flags): (Action, u8),
    value: i64,
) -> Box<[u64]> {
    let fixed = ReturnRecord {
        header: header(RecordKind::Return, entered + 10),
        entered,
        tid: process.tgid + 1,
        layout,
        action: action as u8,
        flags,
        values: 1,
        ..ReturnRecord::default()
    };
    let value_header = ValueHeader { len: 8, flags: 0, status: 0 };
    record_bytes(&fixed, &[value_header.as_bytes(), value.as_bytes()].concat())
}

/// The return of a call of layout 12, which fills a buffer of which there are `whole` bytes, with the stack of the kernel.
pub(super) fn returned_with_buffer(
    layout: u32,
    process: ProcessKey,
    entered: u64,
    whole: u64,
    bytes: &[u8],
) -> Box<[u64]> {
    let fixed = ReturnRecord {
        header: header(RecordKind::Return, entered + 10),
        entered,
        tid: process.tgid + 1,
        layout,
        action: Action::Post as u8,
        flags: hook_flag::KERNEL_STACK,
        values: 2,
        ..ReturnRecord::default()
    };
    let is_cut = bytes.len() as u64 != whole;
    let flags = if is_cut { value_flag::TRUNCATED } else { 0 };
    let number = ValueHeader { len: 8, flags: 0, status: 0 };
    let buffer = ValueHeader { len: 8 + len(bytes), flags, status: 0 };
    let padding = vec![0; bytes.len().next_multiple_of(8) - bytes.len()];
    let parts = [
        number.as_bytes(),
        whole.as_bytes(),
        buffer.as_bytes(),
        whole.as_bytes(),
        bytes,
        &padding,
        number.as_bytes(),
        0xffff_ffff_8100_0000_u64.as_bytes(),
    ];
    record_bytes(&fixed, &parts.concat())
}

/// A hook of layout 1 with stacks of kernel and program.
pub(super) fn hook_with_stacks(process: ProcessKey, kernel: &[u64], user: Option<&[u64]>) -> Box<[u64]> {
    let fixed = HookRecord {
        header: header(RecordKind::Hook, process.ktime + 1),
        process,
        tid: process.tgid,
        layout: 1,
        action: Action::Post as u8,
        flags: hook_flag::KERNEL_STACK | hook_flag::USER_STACK,
        values: 1,
        ..HookRecord::default()
    };
    let path = ValueHeader { len: 3, flags: 0, status: 0o100_640 };
    let mut tail = [path.as_bytes(), b"/ab\0\0\0\0\0"].concat();
    for stack in [Some(kernel), user] {
        let header = match stack {
            Some(frames) => {
                ValueHeader { len: u32::try_from(8 * frames.len()).unwrap_or(0), flags: 0, status: 0 }
            }
            None => ValueHeader { len: 0, flags: value_flag::ERROR, status: 14 },
        };
        tail.extend_from_slice(header.as_bytes());
        tail.extend_from_slice(stack.unwrap_or_default().as_bytes());
    }
    record_bytes(&fixed, &tail)
}

pub(super) fn layouts() -> Arc<Layouts> {
    let layouts = Layouts::default();
    let origin = Origin { policy_name: "p".into(), ..Origin::default() };
    let layout = HookLayout {
        form: EventForm::Kprobe,
        function_name: "security_file_open".into(),
        origin: Arc::new(origin),
        values: vec![ValueLayout { kind: ValueKind::File, label: "l".into() }],
        requests: Vec::new(),
        returned: None,
        return_requests: Vec::new(),
        copied: Vec::new(),
        data_values: 0,
    };
    let lsm = HookLayout { form: EventForm::Lsm, function_name: "file_open".into(), ..layout.clone() };
    let returned = Some(ValueLayout { kind: ValueKind::Int32, label: "r".into() });
    let returning = HookLayout { returned, ..layout.clone() };
    let buffer = ValueLayout { kind: ValueKind::Bytes, label: "b".into() };
    let copied_at = |place| HookLayout { copied: vec![(place, buffer.clone())], ..returning.clone() };
    layouts.insert(12, copied_at(CopiedPlace::Argument(0)));
    layouts.insert(14, copied_at(CopiedPlace::Data(0)));
    let subsystem = "sched".into();
    let tracepoint = HookLayout {
        form: EventForm::Tracepoint { subsystem },
        function_name: "sched_process_exec".into(),
        ..layout.clone()
    };
    let usdt = HookLayout {
        form: EventForm::Usdt { path: "/bin/app".into(), provider: "app".into() },
        function_name: "run".into(),
        ..layout.clone()
    };
    let uprobe = HookLayout {
        form: EventForm::Uprobe { path: "/bin/app".into(), offset: 0, ref_ctr_offset: 0 },
        function_name: "run".into(),
        ..returning.clone()
    };
    let bytes = vec![ValueLayout { kind: ValueKind::Bytes, label: "l".into() }];
    layouts.insert(6, HookLayout { values: bytes, ..layout.clone() });
    let loader = HookLayout { form: EventForm::Loader, ..layout.clone() };
    layouts.insert(4, HookLayout { data_values: 1, ..layout.clone() });
    layouts.insert(1, layout);
    layouts.insert(9, loader);
    layouts.insert(2, lsm);
    layouts.insert(3, tracepoint);
    layouts.insert(5, returning);
    layouts.insert(11, usdt);
    layouts.insert(13, uprobe);
    Arc::new(layouts)
}

/// Settings under which no process is found in procfs, and a busy machine has time to drain.
pub(super) fn config() -> Config {
    let drain_limit = Duration::from_mins(5);
    Config { proc_root: "/nonexistent".into(), drain_limit, ..Config::new("lab") }
}

/// The stages, with the kernel and init known.
pub(super) struct Bench {
    pub(super) stages: Stages,
}

pub(super) const INIT: ProcessKey = ProcessKey { ktime: 800_000_000, tgid: 1, reserved: 0 };

impl Bench {
    pub(super) fn new(config: &Config) -> Self {
        Self::asking(config, Vec::new())
    }

    /// The same with a layout 20 of which records ask for these, and 21 of which those of returns do.
    pub(super) fn asking(config: &Config, requests: Vec<Vec<Request>>) -> Self {
        let replay = Replay::default();
        let layouts = layouts();
        let values = vec![ValueLayout { kind: ValueKind::File, label: "".into() }];
        let asking = HookLayout { values, requests: requests.clone(), ..HookLayout::default() };
        layouts.insert(20, asking);
        let returned = Some(ValueLayout { kind: ValueKind::Int32, label: "".into() });
        let values = vec![ValueLayout { kind: ValueKind::File, label: "".into() }];
        let returning = HookLayout { values, returned, return_requests: requests, ..HookLayout::default() };
        layouts.insert(21, returning);
        let mut bench = Self { stages: Stages::new(config, layouts, &replay, &Fixed, Returned::default()) };
        bench.stages.replay(&replay, None);
        let init = exec(INIT, key(0, 1), process_flag::CLONE, b"/sbin/init");
        bench.take(&[init.record()]);
        bench
    }

    /// The events that these records give.
    pub(super) fn take(&mut self, records: &[Box<[u64]>]) -> Vec<Event> {
        self.stages.count_published();
        self.stages.events().clear();
        for record in records {
            self.stages.record(RawRecord { ring: RingName::Events, bytes: record.as_bytes() }, false);
        }
        self.stages.count_published();
        let events = self.stages.events().drain(..).collect();
        assert!(self.stages.totals().balanced(), "{:?}", self.stages.totals());
        events
    }

    pub(super) fn one(&mut self, record: Box<[u64]>) -> Event {
        let mut events = self.take(&[record]);
        assert_eq!(events.len(), 1);
        events.remove(0)
    }
}

pub(super) fn host() -> Namespaces {
    Namespaces { pid: 5, ..Namespaces::default() }
}
