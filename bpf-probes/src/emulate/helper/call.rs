//! Which helper is which method, and what they have in common.

use super::super::address::{self, Segment};
use super::super::errno::Errno;
use super::super::fault::FaultKind;
use super::super::machine::SignalTarget;
use super::super::memory::{Access, Region};
use super::super::run::Run;
use super::super::value::{Tag, Value};
use super::read::From;
use crate::insn::{Helper, Register};

/// What a helper returns.
pub(super) type Return = Result<Value, FaultKind>;

/// Zero or a negative error number.
pub(super) fn status(result: Result<(), Errno>) -> Value {
    Value::number(result.err().map_or(0, Errno::code))
}

impl Run<'_> {
    /// Calls a helper.
    pub(in crate::emulate) fn helper(&mut self, helper: Helper) -> Result<(), FaultKind> {
        let value = match helper {
            Helper::TailCall => return self.tail_call(),
            Helper::Loop => return self.start_loop(),
            Helper::MapLookupElem => self.map_lookup(helper),
            Helper::MapUpdateElem => self.map_update(helper),
            Helper::MapDeleteElem => self.map_delete(helper),
            Helper::MapLookupPercpuElem => self.map_lookup_cpu(helper),
            Helper::TaskStorageGet => self.task_storage_get(helper),
            Helper::TaskStorageDelete => self.task_storage_delete(helper),
            Helper::ProbeReadUser | Helper::CopyFromUser => self.probe_read(From::User, helper),
            Helper::ProbeReadKernel => self.probe_read(From::Kernel, helper),
            Helper::ProbeReadUserStr => self.probe_read_str(From::User, helper),
            Helper::ProbeReadKernelStr => self.probe_read_str(From::Kernel, helper),
            Helper::DPath => self.d_path(),
            Helper::Strncmp => self.strncmp(helper),
            Helper::RingbufOutput => self.ringbuf_output(helper),
            Helper::RingbufReserve => self.ringbuf_reserve(helper),
            Helper::RingbufSubmit => self.ringbuf_submit(helper),
            Helper::RingbufDiscard => self.ringbuf_discard(helper),
            Helper::RingbufQuery => self.ringbuf_query(helper),
            Helper::GetStack => self.get_stack(helper),
            Helper::GetStackid => self.get_stackid(helper),
            Helper::PerfEventOutput => Err(FaultKind::Forbidden {
                call: helper.name().to_owned(),
                reason: "there are no maps of perf events",
            }),
            Helper::KtimeGetNs => Ok(self.monotonic()),
            Helper::KtimeGetBootNs => Ok(self.boot()),
            Helper::GetPrandomU32 => Ok(Value::number(u64::from(self.state.world.next_random()))),
            Helper::GetSmpProcessorId => Ok(Value::number(u64::from(self.state.world.cpu))),
            Helper::GetCurrentPidTgid => Ok(self.pid_tgid()),
            Helper::GetCurrentUidGid => Ok(self.uid_gid()),
            Helper::GetCurrentComm => self.get_current_comm(helper),
            Helper::GetCurrentTask => Ok(Value::number(self.state.world.task.address)),
            Helper::GetCurrentTaskBtf => Ok(Value::kernel(self.state.world.task.address)),
            Helper::GetCurrentCgroupId => Ok(Value::number(self.state.world.task.cgroup_id)),
            Helper::GetCurrentAncestorCgroupId => self.ancestor_cgroup_id(),
            Helper::GetNsCurrentPidTgid => self.get_ns_current_pid_tgid(helper),
            Helper::ProbeWriteUser => self.probe_write_user(helper),
            Helper::OverrideReturn => self.override_return(helper),
            Helper::SendSignal => self.send_signal(SignalTarget::Process),
            Helper::SendSignalThread => self.send_signal(SignalTarget::Thread),
            Helper::ImaFileHash | Helper::ImaInodeHash => self.ima_hash(helper),
            Helper::GetFuncIp => self.func_ip(helper),
            Helper::GetAttachCookie => self.attach_cookie(helper),
        }?;
        self.forget_arguments();
        self.registers[0] = value;
        Ok(())
    }

    /// Calls a kernel function.
    pub(in crate::emulate) fn kfunc(&mut self, name: &str) -> Result<(), FaultKind> {
        let value = match name {
            "bpf_rdonly_cast" => {
                self.argument(2)?;
                Value::kernel(self.argument(1)?.bits)
            }
            "bpf_preempt_disable" => {
                self.preemption += 1;
                Value::UNSET
            }
            "bpf_preempt_enable" => {
                self.preemption = self
                    .preemption
                    .checked_sub(1)
                    .ok_or(FaultKind::UnbalancedSection { call: "bpf_preempt_enable" })?;
                Value::UNSET
            }
            "bpf_rcu_read_lock" => {
                self.rcu += 1;
                Value::UNSET
            }
            "bpf_rcu_read_unlock" => {
                self.rcu = self
                    .rcu
                    .checked_sub(1)
                    .ok_or(FaultKind::UnbalancedSection { call: "bpf_rcu_read_unlock" })?;
                Value::UNSET
            }
            "bpf_path_d_path" => self.d_path()?,
            _ => return Err(FaultKind::UnknownKfunc { name: name.to_owned() }),
        };
        self.forget_arguments();
        self.registers[0] = value;
        Ok(())
    }

    /// An argument, 1 to 5.
    pub(super) fn argument(&self, number: u8) -> Result<Value, FaultKind> {
        self.get(Register::from_number(number).unwrap_or(Register::R1))
    }

    /// An argument that is a number of bytes.
    pub(super) fn size(&self, number: u8) -> Result<usize, FaultKind> {
        Ok(usize::try_from(self.argument(number)?.bits).unwrap_or(usize::MAX))
    }

    /// An argument that is an exact pointer to memory.
    pub(super) fn memory(
        &self,
        number: u8,
        size: usize,
        access: Access,
        call: Helper,
    ) -> Result<Region, FaultKind> {
        let value = self.argument(number)?;
        if value.tag != Tag::Pointer {
            let reason = "must be a pointer into the stack, a record or a map value";
            return Err(FaultKind::Argument { call: call.name(), argument: number, reason });
        }
        self.region(value.bits, size, access)
    }

    /// Bytes that an argument points to, all of them written before.
    pub(super) fn bytes(&mut self, number: u8, size: usize, call: Helper) -> Result<Vec<u8>, FaultKind> {
        let region = self.memory(number, size, Access::Read, call)?;
        self.read(region, size).map(<[u8]>::to_vec)
    }

    /// An argument that is a map.
    pub(super) fn map(&self, number: u8, call: Helper) -> Result<usize, FaultKind> {
        let value = self.argument(number)?;
        if let Segment::Handle { map } = address::segment(value.bits)
            && value.tag == Tag::Pointer
            && map < self.state.maps.len()
        {
            return Ok(map);
        }
        Err(FaultKind::Argument { call: call.name(), argument: number, reason: "must be a map" })
    }

    /// The first argument, where it must be the context.
    pub(super) fn context(&self, call: Helper) -> Result<Value, FaultKind> {
        let value = self.argument(1)?;
        if value.tag == Tag::Pointer && value.bits == address::CONTEXT_BASE {
            return Ok(value);
        }
        Err(FaultKind::Argument { call: call.name(), argument: 1, reason: "must be the context" })
    }
}
