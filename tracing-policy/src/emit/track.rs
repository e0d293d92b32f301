//! Whose a socket is: remembered when a policy says so, and then named in reports about the socket instead of who happens to run.

use std::mem::{offset_of, size_of};

use Register::{R0, R1, R2, R3, R4, R7, R10};
use bpf_probes::abi::{HookRecord, SocketOwner, SocketValue, map_name};
use bpf_probes::builder::{BuildError, Function};
use bpf_probes::insn::{AluOp, Condition, Helper, Register, Size};

use super::memory::{address, load, store_imm};
use super::program::Emitter;
use crate::ir::{ReadId, Rider, Selector};
use crate::lower::Purpose;
use crate::policy::{ArgumentId, ArgumentType, NetworkType, ObjectKind};

fn field(offset: usize) -> i16 {
    i16::try_from(offset).expect("records are small")
}

impl Emitter<'_> {
    /// Whether an argument is a socket.
    fn is_socket(&self, read: ReadId) -> bool {
        matches!(
            self.hook.read(read).ty,
            ArgumentType::Object(ObjectKind::Network(NetworkType::Sock | NetworkType::Socket))
        )
    }

    /// The sockets that a policy reports.
    fn sockets<'r>(&'r self, rider: &'r Rider) -> impl Iterator<Item = ReadId> + use<'r> {
        let posts = rider.selectors.iter().any(Selector::posts);
        rider.values.iter().copied().filter(move |read| posts && self.is_socket(*read))
    }

    /// Whether an action remembers or forgets a socket.
    pub(super) fn tracks_sockets(&self) -> bool {
        let mut selectors = self.hook.selectors();
        !self.body.purpose.only_filters() && selectors.any(|selector| !selector.sockets.is_empty())
    }

    /// Whether a report may be that of a socket's owner.
    pub(super) fn attributes(&self) -> bool {
        let mut riders = self.hook.riders.iter();
        self.body.purpose == Purpose::Report && riders.any(|rider| self.sockets(rider).next().is_some())
    }

    /// Notes who runs, where an action needs it and no report does.
    pub(super) fn begin_tracking(&self, f: &mut Function<'_>) -> Result<(), BuildError> {
        if self.tracks_sockets() && !self.hook.selectors().any(Selector::posts) {
            return self.note_process_for_records(f);
        }
        Ok(())
    }

    /// Where the address of a socket is kept that an action names.
    fn tracked(&self, selector: &Selector, socket: ArgumentId) -> Option<u32> {
        let read = selector.sockets.iter().find(|(argument, _)| *argument == socket)?.1;
        self.socket_address(read)
    }

    fn socket_address(&self, read: ReadId) -> Option<u32> {
        let cookie = u32::try_from(offset_of!(SocketValue, cookie)).ok()?;
        Some(self.state().object(read)?.value + cookie)
    }

    /// Remembers that the socket is the current thread's.
    pub(super) fn track(
        &self,
        f: &mut Function<'_>,
        selector: &Selector,
        socket: ArgumentId,
    ) -> Result<(), BuildError> {
        let Some(key) = self.tracked(selector, socket) else { return Ok(()) };
        let none = f.label();
        f.comment("whose the socket is");
        load(f, Size::Double, R1, key)?;
        f.jump_if(Condition::Eq, R1, 0, none);
        f.scope(|f| {
            let owner = f.slot(u32::try_from(size_of::<SocketOwner>()).unwrap_or(u32::MAX))?;
            load(f, Size::Double, R1, self.state().ktime)?;
            f.store(Size::Double, R10, owner.at(0), R1);
            // thread group and thread are the other way round there
            load(f, Size::Word, R1, self.state().pid_tgid + 4)?;
            f.store(Size::Word, R10, owner.at(8), R1);
            load(f, Size::Word, R1, self.state().pid_tgid)?;
            f.store(Size::Word, R10, owner.at(12), R1);
            address(f, R2, key);
            f.slot_address(R3, owner);
            f.constant(R4, 0);
            f.assembler().load_map(R1, map_name::SOCKETS);
            f.call(Helper::MapUpdateElem);
            Ok(())
        })?;
        f.bind(none);
        Ok(())
    }

    /// Forgets whose the socket is, and notes whether it was somebody's.
    pub(super) fn untrack(
        &self,
        f: &mut Function<'_>,
        selector: &Selector,
        socket: ArgumentId,
    ) -> Result<(), BuildError> {
        let Some(key) = self.tracked(selector, socket) else { return Ok(()) };
        let absent = f.label();
        f.comment("the socket is nobody's");
        store_imm(f, Size::Word, self.state().forgot, 0)?;
        address(f, R2, key);
        f.assembler().load_map(R1, map_name::SOCKETS);
        f.call(Helper::MapDeleteElem);
        f.jump_if(Condition::Ne, R0, 0, absent);
        store_imm(f, Size::Word, self.state().forgot, 1)?;
        f.bind(absent);
        Ok(())
    }

    /// Writes into the record whose it is: that of the owner of the first reported socket that is tracked, else of who runs.
    pub(super) fn attribute(&self, f: &mut Function<'_>, rider: &Rider) -> Result<(), BuildError> {
        if !self.attributes() {
            return Ok(());
        }
        let (found, done) = (f.label(), f.label());
        let mut any = false;
        f.comment("whose report it is");
        address(f, R7, self.memory.record);
        for key in self.sockets(rider).filter_map(|read| self.socket_address(read)) {
            any = true;
            address(f, R2, key);
            f.assembler().load_map(R1, map_name::SOCKETS);
            f.call(Helper::MapLookupElem);
            f.jump_if(Condition::Ne, R0, 0, found);
        }
        load(f, Size::Double, R1, self.state().ktime)?;
        f.store(Size::Double, R7, field(offset_of!(HookRecord, process.ktime)), R1);
        load(f, Size::Double, R1, self.state().pid_tgid)?;
        f.store(Size::Word, R7, field(offset_of!(HookRecord, tid)), R1);
        f.alu(AluOp::Rsh, R1, 32);
        f.store(Size::Double, R7, field(offset_of!(HookRecord, process.tgid)), R1);
        if any {
            f.jump(done);
            f.bind(found);
            f.load(Size::Double, R1, R0, field(offset_of!(SocketOwner, ktime)));
            f.store(Size::Double, R7, field(offset_of!(HookRecord, process.ktime)), R1);
            f.load(Size::Word, R1, R0, field(offset_of!(SocketOwner, tid)));
            f.store(Size::Word, R7, field(offset_of!(HookRecord, tid)), R1);
            f.load(Size::Word, R1, R0, field(offset_of!(SocketOwner, tgid)));
            f.store(Size::Word, R7, field(offset_of!(HookRecord, process.tgid)), R1);
            f.bind(done);
        }
        Ok(())
    }
}
