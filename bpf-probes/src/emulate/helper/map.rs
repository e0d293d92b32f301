//! Helpers on maps and task storage.

use super::{Errno, FaultKind, Return, Run, Tag, Value, status};
use crate::emulate::address;
use crate::emulate::map::{Content, Map, Slab};
use crate::insn::Helper;
use crate::spec::{MapKind, flag};

/// Flag of `bpf_task_storage_get`: make it where there is none.
const CREATE: u64 = 1;

impl Run<'_> {
    pub(super) fn map_delete(&mut self, call: Helper) -> Return {
        let (map, key) = self.map_and_key(call)?;
        self.refuse_read_only(map, call)?;
        let map = self.state.maps.get_mut(map);
        Ok(status(map.map_or(Err(Errno::Einval), |map| map.remove(&key))))
    }

    pub(super) fn map_lookup_cpu(&mut self, call: Helper) -> Return {
        let cpu = self.argument(3)?.bits;
        let (map, key) = self.map_and_key(call)?;
        let lanes = self.state.maps.get(map).and_then(Map::slab).map_or(1, Slab::lanes);
        let lane = usize::try_from(cpu).ok().filter(|lane| *lane < lanes);
        Ok(lane.map_or(Value::pointer(0), |lane| self.value_address(map, &key, lane)))
    }

    pub(super) fn task_storage_delete(&mut self, call: Helper) -> Return {
        let (map, task) = self.map_and_task(call)?;
        let map = self.state.maps.get_mut(map);
        Ok(status(map.map_or(Err(Errno::Einval), |map| map.remove(&task))))
    }

    /// The first argument, a map with values by key, and the key that the second points to.
    fn map_and_key(&mut self, call: Helper) -> Result<(usize, Vec<u8>), FaultKind> {
        let number = self.map(1, call)?;
        let spec = self.state.maps.get(number).map(Map::spec);
        let keyed = spec.filter(|spec| {
            spec.kind != MapKind::RingBuf
                && spec.kind != MapKind::ProgArray
                && spec.kind != MapKind::TaskStorage
        });
        let Some(size) = keyed.map(|spec| spec.key_size as usize) else {
            let reason = "must be a map with keys";
            return Err(FaultKind::Argument { call: call.name(), argument: 1, reason });
        };
        Ok((number, self.bytes(2, size, call)?))
    }

    fn refuse_read_only(&self, map: usize, call: Helper) -> Result<(), FaultKind> {
        match self.state.maps.get(map).map(Map::spec) {
            Some(spec) if spec.flags & flag::RDONLY_PROG != 0 => {
                Err(FaultKind::ReadOnly { region: format!("map {} ({})", spec.name, call.name()) })
            }
            _ => Ok(()),
        }
    }

    /// Refuses a map whose values may change while a program looks at them.
    pub(super) fn refuse_writable(&self, map: usize, call: Helper) -> Result<(), FaultKind> {
        match self.state.maps.get(map).map(Map::spec) {
            Some(spec) if spec.flags & flag::RDONLY_PROG != 0 => Ok(()),
            _ => {
                let reason = "must be in a map that programs may only read";
                Err(FaultKind::Argument { call: call.name(), argument: 3, reason })
            }
        }
    }

    fn lane(&self, map: usize) -> usize {
        match self.state.maps.get(map).and_then(Map::slab) {
            Some(slab) if slab.lanes() > 1 => self.state.world.cpu as usize % slab.lanes(),
            _ => 0,
        }
    }

    fn value_address(&mut self, number: usize, key: &[u8], lane: usize) -> Value {
        let Some(map) = self.state.maps.get_mut(number) else {
            return Value::pointer(0);
        };
        let entry = map.find(key);
        let address = entry
            .zip(map.slab())
            .map_or(0, |(entry, slab)| address::map_value(number, slab.offset(entry, lane)));
        Value::pointer(address)
    }

    pub(super) fn map_lookup(&mut self, call: Helper) -> Return {
        let (number, key) = self.map_and_key(call)?;
        if let Some(Content::Maps(maps)) = self.state.maps.get(number).map(Map::content) {
            return Ok(Value::pointer(maps.get(&key).map_or(0, |inner| address::handle(*inner))));
        }
        let lane = self.lane(number);
        Ok(self.value_address(number, &key, lane))
    }

    pub(super) fn map_update(&mut self, call: Helper) -> Return {
        let (number, key) = self.map_and_key(call)?;
        self.refuse_read_only(number, call)?;
        let size = self.state.maps.get(number).map_or(0, |map| map.spec().value_size as usize);
        let value = self.bytes(3, size, call)?;
        let flags = self.argument(4)?.bits;
        let lane = self.lane(number);
        let map = self.state.maps.get_mut(number);
        Ok(status(map.map_or(Err(Errno::Einval), |map| map.update_lane(&key, &value, flags, lane))))
    }

    /// The first argument, a task storage, and the address of the task that is the second.
    fn map_and_task(&self, call: Helper) -> Result<(usize, [u8; 8]), FaultKind> {
        let number = self.map(1, call)?;
        if self.state.maps.get(number).is_none_or(|map| map.spec().kind != MapKind::TaskStorage) {
            let reason = "must be a task storage";
            return Err(FaultKind::Argument { call: call.name(), argument: 1, reason });
        }
        let task = self.argument(2)?;
        if task.tag != Tag::Kernel {
            let reason = "must be a task with its type";
            return Err(FaultKind::Argument { call: call.name(), argument: 2, reason });
        }
        Ok((number, task.bits.to_le_bytes()))
    }

    pub(super) fn task_storage_get(&mut self, call: Helper) -> Return {
        let (number, task) = self.map_and_task(call)?;
        let (initial, flags) = (self.argument(3)?, self.argument(4)?.bits);
        if flags & !CREATE != 0 || task == [0; 8] {
            return Ok(Value::pointer(0));
        }
        let size = self.state.maps.get(number).map_or(0, |map| map.spec().value_size as usize);
        let initial = if initial.bits == 0 { vec![0; size] } else { self.bytes(3, size, call)? };
        let found = self.value_address(number, &task, 0);
        if found.bits != 0 || flags & CREATE == 0 {
            return Ok(found);
        }
        if let Some(map) = self.state.maps.get_mut(number)
            && map.update_lane(&task, &initial, 0, 0).is_err()
        {
            return Ok(Value::pointer(0));
        }
        Ok(self.value_address(number, &task, 0))
    }
}
