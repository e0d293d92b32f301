//! Where a program keeps what it knows of the call.

use std::collections::BTreeMap;

use super::rewrite::RewriteState;
use super::stack::{self, StackState};
use super::task;
use crate::binary::{UsdtArgument, UsdtSource};
use crate::ir::{Check, Hook, Members, Read, ReadId, Subject};
use crate::policy::{Action, ArgumentType, Family, Kin, ObjectKind, Place};

/// Offsets of an argument's state.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReadState {
    /// `u64`: the register, extended by the type.
    pub(super) raw: u32,
    /// What is kept of a path or string.
    pub(super) bytes: Option<BytesState>,
    /// `i64`: 0, or the negative errno of a number that lies in memory and could not be read.
    pub(super) error: Option<u32>,
    /// What is kept of an object.
    pub(super) object: Option<ObjectState>,
}

/// Offsets of what is kept of an object that is read as a value of fixed size.
#[derive(Clone, Copy, Debug)]
pub(super) struct ObjectState {
    /// What is read.
    pub(super) kind: ObjectKind,
    /// [`bpf_probes::abi::ValueHeader`]
    pub(super) header: u32,
    /// The value, of one of the types in `bpf_probes::abi`; zero where it could not be read.
    pub(super) value: u32,
    /// Its bytes.
    pub(super) size: u32,
    /// `u32`: selectors that still need it.
    pub(super) users: u32,
}

/// Offsets of what is kept of a path or string.
#[derive(Clone, Copy, Debug)]
pub(super) struct BytesState {
    /// [`bpf_probes::abi::ValueHeader`]; its first word is the length.
    pub(super) header: u32,
    /// `u32`: where it begins in its area.
    pub(super) start: u32,
    /// `u32`: 1 when it can be tested.
    pub(super) testable: u32,
    /// `u64`: `struct dentry *`; of a `struct sockaddr_un` its bytes, where they are known.
    pub(super) dentry: u32,
    /// `u64`: `struct vfsmount *`; of a buffer the bytes that there are.
    pub(super) mount: u32,
    /// `u64`: the last eight bytes of the last component, the last byte highest.
    pub(super) leaf_tail: u32,
    /// `u32`: length of the last component; 0 when it says nothing about the path.
    pub(super) leaf_length: u32,
    /// `u32`, if the type of the file is tested: its mode; 0 when it cannot be read.
    pub(super) mode: Option<u32>,
    /// `u32`: selectors that still need it.
    pub(super) users: u32,
    /// Which of the areas it is read into.
    pub(super) area: usize,
}

impl BytesState {
    /// `u64`: the bytes of a buffer, of which some may not be read.
    pub(super) fn whole(self) -> u32 {
        self.mount
    }
}

/// Areas that a path or string takes. Pieces of a buffer are put behind each other, and the verifier sees no more than that each of place and size is
/// within an area.
fn read_areas(ty: ArgumentType) -> usize {
    if matches!(ty, ArgumentType::CharIovec | ArgumentType::IovIter) { 2 } else { 1 }
}

/// Offsets of what is kept for a note.
#[derive(Clone, Copy, Debug)]
pub(super) struct NoteState {
    /// `u64`: the error that the call is to return, negated; 0 while it is not denied.
    pub(super) errno: u32,
    /// `u64`: the system call.
    pub(super) call: u32,
    /// `u64`: where its registers lie, from the beginning of the thread's stack.
    pub(super) registers: u32,
}

/// Offsets of what the entry of a call left for one rider, at its return.
#[derive(Clone, Copy, Debug)]
pub(super) struct CallState {
    /// `u64`: time of the entry's record.
    pub(super) ktime: u32,
    /// `u32`: the selector that matched, counted from 1; 0 when none did.
    pub(super) entered: u32,
    /// `u32`: [`bpf_probes::abi::call_flag`] bits.
    pub(super) flags: u32,
    /// `u32`: the thread then.
    pub(super) tid: u32,
}

/// Offsets in an entry of working memory.
#[derive(Clone, Debug)]
pub(super) struct State {
    /// `u64`: `tgid << 32 | tid`.
    pub(super) pid_tgid: u32,
    /// `u64`: when the process's image began, 0 when it is not known.
    pub(super) ktime: u32,
    /// `u64`, if the program serves many places: the number of the one that the call is at.
    pub(super) member: u32,
    /// `u32`: 1 when the process is known.
    pub(super) known: u32,
    /// `u32`: process number in its own namespace.
    pub(super) own_pid: u32,
    /// `u32`: selectors that still may match.
    pub(super) live: u32,
    /// `u32`: 1 for the ring of enforcement.
    pub(super) ring: u32,
    /// `u64` by word of the class set.
    pub(super) classes: BTreeMap<u32, u32>,
    /// The same of the parent.
    pub(super) parent_classes: BTreeMap<u32, u32>,
    /// The same of the workload.
    pub(super) workload_classes: BTreeMap<u32, u32>,
    /// `u32`: 1 when the parent is known.
    pub(super) parent_known: u32,
    /// `u64`s: what is looked at of the thread.
    pub(super) task: BTreeMap<Subject, u32>,
    /// By read.
    pub(super) reads: Vec<ReadState>,
    /// Areas that paths and strings need.
    areas: u32,
    /// By table: `u64`s of the answer.
    pub(super) tables: Vec<u32>,
    /// By search: `u64`, the filters found.
    pub(super) searches: Vec<u32>,
    /// Words of numbers that wait for others.
    pub(super) expression: u32,
    /// One byte a selector, all riders' in order.
    pub(super) alive: u32,
    /// What the call is to return.
    pub(super) note: NoteState,
    /// What registers are to get, where a policy writes them.
    pub(super) rewrite: Option<RewriteState>,
    /// By argument that an action writes: `u64`, its address.
    pub(super) written: Vec<(UsdtSource, u32)>,
    /// `u32`, if anything is written: the flag of the record when that failed.
    pub(super) failed: u32,
    /// `u32`, if an action forgets whose a socket is: 1 when it was somebody's.
    pub(super) forgot: u32,
    /// [`bpf_probes::abi::CallKey`]
    pub(super) call_key: u32,
    /// [`bpf_probes::abi::Call`]
    pub(super) call: u32,
    /// At a return, by rider.
    pub(super) calls: Vec<CallState>,
    /// Stacks, where one is reported.
    pub(super) stacks: Option<StackState>,
    /// Bytes in all.
    pub(super) bytes: u32,
}

struct Room {
    next: u32,
}

impl Room {
    fn take(&mut self, bytes: u32) -> u32 {
        let at = self.next.next_multiple_of(bytes.min(8));
        self.next = at + bytes;
        at
    }

    /// Room for so many words, which may be none.
    fn take_words(&mut self, words: u32) -> u32 {
        let at = self.next.next_multiple_of(8);
        self.next = at + 8 * words;
        at
    }
}

impl State {
    /// Room for what the hook needs, from offset 0 on; [`State::moved`] puts it in its place.
    pub(super) fn of(hook: &Hook) -> Self {
        let mut room = Room { next: 0 };
        let mut areas = 0;
        let reads = hook.reads().map(|(id, read)| {
            let raw = room.take(8);
            let error = can_fail(read).then(|| room.take(8));
            let object = match read.ty.family() {
                Family::Object(kind) => {
                    let size = super::object::size(kind);
                    let (header, value) = (room.take(8), room.take(size));
                    Some(ObjectState { kind, header, value, size, users: room.take(4) })
                }
                Family::Number(_) | Family::String | Family::Path | Family::Nothing => None,
            };
            let bytes = bytes(hook, id, read, &mut room, &mut areas);
            ReadState { raw, bytes, error, object }
        });
        let reads: Vec<_> = reads.collect();
        let (mut classes, mut parent_classes) = (BTreeMap::new(), BTreeMap::new());
        let mut workload_classes = BTreeMap::new();
        for test in hook.selectors().flat_map(|selector| &selector.tests) {
            if let Check::Class { number, of, .. } = test.check {
                let classes = match of {
                    Kin::Process => &mut classes,
                    Kin::Parent => &mut parent_classes,
                    Kin::Workload => &mut workload_classes,
                };
                classes.entry(number / 64).or_insert_with(|| room.take(8));
            }
        }
        let task = task::subjects(hook).into_iter().map(|subject| (subject, room.take(8))).collect();
        let tables = hook.tables.iter().map(|table| room.take(8 * table.words())).collect();
        let searches = hook.searches.iter().map(|_| room.take(8)).collect();
        let written = written(hook);
        let is_written = !written.is_empty();
        let (returns, calls) = calls(hook, &mut room);
        let selectors = u32::try_from(hook.selectors().count()).unwrap_or(u32::MAX);
        Self {
            pid_tgid: room.take(8),
            ktime: room.take(8),
            member: if hook.members == Members::One { 0 } else { room.take(8) },
            known: room.take(4),
            own_pid: room.take(4),
            live: room.take(4),
            ring: room.take(4),
            parent_known: if parent_classes.is_empty() { 0 } else { room.take(4) },
            classes,
            parent_classes,
            workload_classes,
            task,
            reads,
            areas: u32::try_from(areas).unwrap_or(u32::MAX),
            tables,
            searches,
            expression: room.take_words(super::expression::depth(hook)),
            // there may be none: an enforcer's, where another program does what it was told
            alive: room.take(8 * selectors.div_ceil(8).max(1)),
            written: written.into_iter().map(|source| (source, room.take(8))).collect(),
            failed: if is_written { room.take(4) } else { 0 },
            forgot: if hook.selectors().any(|selector| !selector.sockets.is_empty()) {
                room.take(4)
            } else {
                0
            },
            note: NoteState { errno: room.take(8), call: room.take(8), registers: room.take(8) },
            rewrite: RewriteState::of(hook, |words| room.take_words(words)),
            call_key: if returns { room.take(24) } else { 0 },
            call: if returns { room.take(16) } else { 0 },
            calls,
            stacks: stack::are_reported(hook)
                .then(|| StackState { lengths: [room.take(8), room.take(8)], area: areas }),
            bytes: room.next.next_multiple_of(8),
        }
    }

    /// The same at another place.
    pub(super) fn moved(mut self, by: u32) -> Self {
        for offset in [
            &mut self.pid_tgid,
            &mut self.ktime,
            &mut self.member,
            &mut self.known,
            &mut self.own_pid,
            &mut self.live,
            &mut self.ring,
            &mut self.alive,
            &mut self.note.errno,
            &mut self.note.call,
            &mut self.note.registers,
            &mut self.parent_known,
            &mut self.failed,
            &mut self.forgot,
            &mut self.call_key,
            &mut self.call,
            &mut self.expression,
        ] {
            *offset += by;
        }
        self.rewrite = self.rewrite.map(|rewrite| rewrite.moved(by));
        if let Some(stacks) = &mut self.stacks {
            stacks.lengths.iter_mut().for_each(|offset| *offset += by);
        }
        for offset in self
            .classes
            .values_mut()
            .chain(self.parent_classes.values_mut())
            .chain(self.workload_classes.values_mut())
            .chain(self.task.values_mut())
            .chain(&mut self.tables)
            .chain(&mut self.searches)
            .chain(self.written.iter_mut().map(|(_, offset)| offset))
        {
            *offset += by;
        }
        for call in &mut self.calls {
            for offset in [&mut call.ktime, &mut call.entered, &mut call.flags, &mut call.tid] {
                *offset += by;
            }
        }
        for read in &mut self.reads {
            read.raw += by;
            read.error = read.error.map(|error| error + by);
            if let Some(object) = &mut read.object {
                for offset in [&mut object.header, &mut object.value, &mut object.users] {
                    *offset += by;
                }
            }
            if let Some(bytes) = &mut read.bytes {
                bytes.mode = bytes.mode.map(|mode| mode + by);
                for offset in [
                    &mut bytes.header,
                    &mut bytes.start,
                    &mut bytes.testable,
                    &mut bytes.dentry,
                    &mut bytes.mount,
                    &mut bytes.leaf_tail,
                    &mut bytes.leaf_length,
                    &mut bytes.users,
                ] {
                    *offset += by;
                }
            }
        }
        self
    }

    /// Areas that paths, strings and stacks need.
    pub(super) fn areas(&self) -> u32 {
        self.areas + u32::from(self.stacks.is_some())
    }

    /// What is kept of a path or string; `None` for a number.
    pub(super) fn bytes(&self, read: ReadId) -> Option<BytesState> {
        self.reads.get(read.index()).and_then(|read| read.bytes)
    }

    /// What is kept of an object that is read as a value of fixed size.
    pub(super) fn object(&self, read: ReadId) -> Option<ObjectState> {
        self.reads.get(read.index()).and_then(|read| read.object)
    }

    /// Where the selectors are counted that still need an argument; `None` for one that takes no reading.
    pub(super) fn users(&self, read: ReadId) -> Option<u32> {
        let bytes = self.bytes(read).map(|bytes| bytes.users);
        bytes.or_else(|| self.object(read).map(|object| object.users))
    }
}

/// Room for what is kept of a path or string; `None` for anything else.
fn bytes(hook: &Hook, id: ReadId, read: Read, room: &mut Room, areas: &mut usize) -> Option<BytesState> {
    match read.ty.family() {
        Family::Number(_) | Family::Object(_) | Family::Nothing => None,
        Family::String | Family::Path => {
            let first = *areas;
            *areas += read_areas(read.ty);
            Some(BytesState {
                header: room.take(8),
                dentry: room.take(8),
                mount: room.take(8),
                leaf_tail: room.take(8),
                start: room.take(4),
                testable: room.take(4),
                leaf_length: room.take(4),
                users: room.take(4),
                mode: has_type_tests(hook, id).then(|| room.take(8)),
                area: first,
            })
        }
    }
}

/// Whether a number lies in memory that may not be there.
fn can_fail(read: Read) -> bool {
    let is_operand =
        matches!(read.place, Place::Operand(UsdtArgument { source: UsdtSource::Memory { .. }, .. }));
    matches!(read.ty, ArgumentType::Capabilities(_))
        || read.path.is_some()
        || (is_operand && matches!(read.ty.family(), Family::Number(_)))
}

/// The arguments that actions write, each once.
fn written(hook: &Hook) -> Vec<UsdtSource> {
    let mut written = Vec::new();
    for action in hook.selectors().flat_map(|selector| &selector.actions) {
        if let Action::Set(set) = action
            && let Some(operand) = set.operand.filter(|operand| !written.contains(operand))
        {
            written.push(operand);
        }
    }
    written
}

/// Whether calls are seen to return, and room for what their entries left, where this is the return.
fn calls(hook: &Hook, room: &mut Room) -> (bool, Vec<CallState>) {
    let returns = hook.riders.iter().any(|rider| rider.returns);
    let riders = if is_return(hook) { hook.riders.len() } else { 0 };
    let calls = (0..riders).map(|_| CallState {
        ktime: room.take(8),
        entered: room.take(4),
        flags: room.take(4),
        tid: room.take(4),
    });
    (returns, calls.collect())
}

/// Whether the program looks at what calls returned.
fn is_return(hook: &Hook) -> bool {
    let mut tests = hook.selectors().flat_map(|selector| &selector.tests);
    tests.any(|test| matches!(test.check, Check::Entered { .. }))
}

/// Whether the type of a file is tested.
pub(super) fn has_type_tests(hook: &Hook, id: ReadId) -> bool {
    let mut tests = hook.selectors().flat_map(|selector| &selector.tests);
    tests.any(|test| matches!(test.check, Check::FileType { read, .. } if read == id))
}
