//! Helpers about the current task, the time, and what is done to both.

use super::{Access, Errno, FaultKind, Return, Run, Tag, Value};
use crate::emulate::alu::low32;
use crate::emulate::machine::{Signal, SignalTarget};
use crate::insn::Helper;
use crate::spec::ProgramKind;

/// Bytes of a task's name with its NUL (`TASK_COMM_LEN`).
const COMM_BYTES: usize = 16;
/// The highest signal (`_NSIG`).
const SIGNALS: u64 = 64;

impl Run<'_> {
    pub(super) fn monotonic(&mut self) -> Value {
        let now = self.state.world.clock.monotonic;
        self.tick();
        Value::number(now)
    }

    pub(super) fn boot(&mut self) -> Value {
        let now = self.state.world.clock.boot;
        self.tick();
        Value::number(now)
    }

    pub(super) fn pid_tgid(&self) -> Value {
        let task = &self.state.world.task;
        Value::number(u64::from(task.tgid) << 32 | u64::from(task.tid))
    }

    pub(super) fn uid_gid(&self) -> Value {
        let task = &self.state.world.task;
        Value::number(u64::from(task.gid) << 32 | u64::from(task.uid))
    }

    pub(super) fn ancestor_cgroup_id(&self) -> Return {
        let level = self.size(1)?;
        let ancestors = &self.state.world.task.cgroup_ancestors;
        Ok(Value::number(ancestors.get(level).copied().unwrap_or(0)))
    }

    pub(super) fn func_ip(&self, call: Helper) -> Return {
        self.context(call)?;
        Ok(Value::number(self.context.function))
    }

    pub(super) fn attach_cookie(&self, call: Helper) -> Return {
        self.context(call)?;
        Ok(Value::number(self.context.cookie))
    }

    /// `(file or inode, buffer, size)`: what the kernel measured of it, and by which algorithm.
    pub(super) fn ima_hash(&mut self, call: Helper) -> Return {
        let file = self.argument(1)?;
        if file.tag == Tag::Number || file.bits == 0 {
            let reason = "must be an object of the kernel";
            return Err(FaultKind::Argument { call: call.name(), argument: 1, reason });
        }
        let size = self.size(3)?;
        let to = self.memory(2, size, Access::Write, call)?;
        let Some((algorithm, digest)) = self.state.world.hashes.get(&file.bits).cloned() else {
            return Ok(Value::number(Errno::Eopnotsupp.code()));
        };
        let length = digest.len().min(size);
        self.write(to, digest.get(..length).unwrap_or_default(), Tag::Number)?;
        Ok(Value::number(u64::from(algorithm)))
    }

    fn tick(&mut self) {
        let clock = &mut self.state.world.clock;
        clock.monotonic = clock.monotonic.wrapping_add(clock.step);
        clock.boot = clock.boot.wrapping_add(clock.step);
    }

    /// Writes the name and its NUL, nothing behind it, as 6.1 does.
    pub(super) fn get_current_comm(&mut self, call: Helper) -> Return {
        let size = self.size(2)?;
        if size == 0 {
            let reason = "must not be 0";
            return Err(FaultKind::Argument { call: call.name(), argument: 2, reason });
        }
        let to = self.memory(1, size, Access::Write, call)?;
        let mut comm = self.state.world.task.comm.clone();
        comm.truncate(COMM_BYTES.min(size) - 1);
        comm.push(0);
        self.write(to, &comm, Tag::Number)?;
        Ok(Value::number(0))
    }

    /// `(device, inode, buffer, size)`: thread and process number, 4 bytes each.
    pub(super) fn get_ns_current_pid_tgid(&mut self, call: Helper) -> Return {
        let (device, inode) = (self.argument(1)?.bits, self.argument(2)?.bits);
        let size = self.size(4)?;
        let to = self.memory(3, size, Access::Write, call)?;
        let namespace = self.state.world.task.namespace;
        if size != 8 || (device, inode) != (namespace.device, namespace.inode) {
            self.write(to, &vec![0; size], Tag::Number)?;
            return Ok(Value::number(Errno::Einval.code()));
        }
        let numbers = [namespace.tid.to_le_bytes(), namespace.tgid.to_le_bytes()].concat();
        self.write(to, &numbers, Tag::Number)?;
        Ok(Value::number(0))
    }

    pub(super) fn override_return(&mut self, call: Helper) -> Return {
        self.context(call)?;
        let value = self.argument(2)?.bits;
        let kind = self.program().map(|program| program.kind);
        if !matches!(kind, Some(ProgramKind::Kprobe | ProgramKind::KprobeMulti)) {
            let reason = "only kprobes may";
            return Err(FaultKind::Forbidden { call: call.name().to_owned(), reason });
        }
        self.outcome.override_errno = Some(value.cast_signed());
        Ok(Value::number(0))
    }

    pub(super) fn send_signal(&mut self, target: SignalTarget) -> Return {
        let number = u64::from(low32(self.argument(1)?.bits));
        let result = if self.state.world.task.tgid == 1 {
            // never to init (5.13)
            Err(Errno::Eperm)
        } else if number > SIGNALS {
            Err(Errno::Einval)
        } else {
            self.outcome.signals.push(Signal { number: low32(number), target });
            Ok(())
        };
        Ok(super::status(result))
    }
}
