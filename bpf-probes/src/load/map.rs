//! A map that exists.

use std::ffi::CString;
use std::fs;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use super::cpus::PossibleCpus;
use super::map_error::MapError;
use super::mapped_array::MappedArray;
use super::own_btf::MapTypes;
use super::program::Program;
use super::sys::{self, Elements, SysError, Undisturbed, UpdateMode};
use crate::spec::{Entries, Entry, MapKind, MapSpec, flag};

/// Elements handled in one undisturbed section, before other threads get the CPU: some hundred microseconds.
const SECTION: usize = 256;

/// A map of the kernel. Dropping it closes our descriptor; programs that use it keep it alive, except that a program
/// array is emptied by the kernel when its last descriptor closes, so a program array lives as long as its owner.
#[derive(Debug)]
pub struct Map {
    spec: MapSpec,
    entries: u32,
    cpus: PossibleCpus,
    id: u32,
    elements: Elements,
}

impl AsFd for Map {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.elements.as_fd()
    }
}

const fn is_per_cpu(kind: MapKind) -> bool {
    matches!(kind, MapKind::PerCpuArray | MapKind::PerCpuHash)
}

/// The kind in words, for messages.
pub(super) const fn kind_name(kind: MapKind) -> &'static str {
    match kind {
        MapKind::Hash => "a hash map",
        MapKind::Array => "an array",
        MapKind::ProgArray => "a program array",
        MapKind::PerCpuHash => "a per-CPU hash map",
        MapKind::PerCpuArray => "a per-CPU array",
        MapKind::StackTrace => "a stack trace map",
        MapKind::LruHash => "an LRU hash map",
        MapKind::LpmTrie => "a prefix trie",
        MapKind::ArrayOfMaps => "an array of maps",
        MapKind::HashOfMaps => "a hash map of maps",
        MapKind::RingBuf => "a ring buffer",
        MapKind::TaskStorage => "task storage",
    }
}

/// A name as the kernel takes it: at most 15 bytes of letters, digits, `_` and `.` (kernel/bpf/syscall.c: `bpf_obj_name_cpy`, 5.10).
pub(super) fn kernel_name(name: &str) -> CString {
    let bytes: Vec<u8> = name
        .bytes()
        .take(sys::KEPT)
        .map(|byte| if byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'.' { byte } else { b'_' })
        .collect();
    CString::new(bytes).unwrap_or_default()
}

impl Map {
    /// Makes the map and fills it with the contents of its blueprint.
    ///
    /// # Errors
    /// See [`MapError`].
    pub fn create(spec: &MapSpec, cpus: PossibleCpus) -> Result<Self, MapError> {
        let map = || spec.name.clone();
        if matches!(spec.kind, MapKind::ArrayOfMaps | MapKind::HashOfMaps) {
            return Err(MapError::Nested { map: map() });
        }
        let entries = capacity(spec, cpus)?;
        let types = MapTypes::of(spec).map_err(|error| MapError::Types { map: map(), error })?;
        let definition = sys::MapDefinition {
            kind: spec.kind,
            name: &kernel_name(&spec.name),
            key_size: spec.key_size,
            value_size: spec.value_size,
            max_entries: entries,
            flags: spec.flags,
            types: types.as_ref().map(MapTypes::borrow),
        };
        let bytes = u64::from(entries) * u64::from(spec.value_size.max(1));
        let create = |error| MapError::Create { map: map(), bytes, error };
        let elements = Elements::create(&definition, cpus).map_err(create)?;
        let id = sys::map_id(elements.as_fd()).map_err(create)?;
        let contents = &spec.contents;
        let spec = MapSpec { contents: Vec::new(), ..spec.clone() };
        let made = Self { spec, entries, cpus, id, elements };
        made.fill(contents)?;
        Ok(made)
    }

    /// The blueprint, without contents.
    pub const fn spec(&self) -> &MapSpec {
        &self.spec
    }

    /// Its name in full.
    pub fn name(&self) -> &str {
        &self.spec.name
    }

    /// The kernel's number for it.
    pub const fn id(&self) -> u32 {
        self.id
    }

    /// Its capacity; bytes for a ring.
    pub const fn entries(&self) -> u32 {
        self.entries
    }

    fn failed(&self, error: SysError) -> MapError {
        MapError::Element { map: self.spec.name.clone(), error }
    }

    fn check(&self, key: &[u8], value: &[u8], value_size: usize) -> Result<(), MapError> {
        if key.len() == self.elements.key_size() && value.len() == value_size {
            return Ok(());
        }
        Err(MapError::Size {
            map: self.spec.name.clone(),
            key_size: self.spec.key_size,
            value_size: self.spec.value_size,
            key: key.len(),
            value: value.len(),
        })
    }

    /// The value of `key` into `value`, `false` if there is none. A per-CPU value is that of all CPUs, each rounded up to 8 bytes.
    ///
    /// # Errors
    /// [`MapError::Size`], [`MapError::Element`].
    pub fn lookup_into(&self, key: &[u8], value: &mut [u8]) -> Result<bool, MapError> {
        self.check(key, value, self.elements.value_size())?;
        let _section = Undisturbed::enter();
        self.elements.lookup(key, value).map_err(|error| self.failed(error))
    }

    /// The value of `key`.
    ///
    /// # Errors
    /// [`MapError::Size`], [`MapError::Element`].
    pub fn lookup(&self, key: &[u8]) -> Result<Option<Vec<u8>>, MapError> {
        let mut value = vec![0; self.elements.value_size()];
        Ok(self.lookup_into(key, &mut value)?.then_some(value))
    }

    /// The values of `key` in a per-CPU map, one a possible CPU (one in all for other kinds).
    ///
    /// # Errors
    /// [`MapError::Size`], [`MapError::Element`].
    pub fn lookup_each_cpu(&self, key: &[u8]) -> Result<Option<Vec<Vec<u8>>>, MapError> {
        let Some(all) = self.lookup(key)? else { return Ok(None) };
        let count = if is_per_cpu(self.spec.kind) { self.cpus.count() as usize } else { 1 };
        let size = self.spec.value_size as usize;
        let stride = (all.len() / count.max(1)).max(1);
        Ok(Some(all.chunks(stride).map(|one| one.get(..size).unwrap_or(one).to_vec()).collect()))
    }

    /// Makes or replaces the element of `key`. In a per-CPU map every CPU gets `value`.
    ///
    /// # Errors
    /// [`MapError::Size`], [`MapError::Element`].
    pub fn update(&self, key: &[u8], value: &[u8]) -> Result<(), MapError> {
        self.write(key, value, UpdateMode::Any)?.map_err(|error| self.failed(error))
    }

    /// Makes the element of `key`; `false` if there is one already, which then stays.
    ///
    /// # Errors
    /// [`MapError::Size`], [`MapError::Element`].
    pub fn insert(&self, key: &[u8], value: &[u8]) -> Result<bool, MapError> {
        match self.write(key, value, UpdateMode::Make)? {
            Ok(()) => Ok(true),
            Err(error) if error.errno == libc::EEXIST => Ok(false),
            Err(error) => Err(self.failed(error)),
        }
    }

    /// Replaces the element of `key`; `false` if there is none.
    ///
    /// # Errors
    /// [`MapError::Size`], [`MapError::Element`].
    pub fn replace(&self, key: &[u8], value: &[u8]) -> Result<bool, MapError> {
        match self.write(key, value, UpdateMode::Replace)? {
            Ok(()) => Ok(true),
            Err(error) if error.errno == libc::ENOENT => Ok(false),
            Err(error) => Err(self.failed(error)),
        }
    }

    fn write(&self, key: &[u8], value: &[u8], mode: UpdateMode) -> Result<Result<(), SysError>, MapError> {
        self.check(key, value, self.spec.value_size as usize)?;
        let mut whole = Vec::new();
        let value = if is_per_cpu(self.spec.kind) {
            self.spread(value, &mut whole);
            &whole
        } else {
            value
        };
        let _section = Undisturbed::enter();
        Ok(self.elements.update(key, value, mode))
    }

    /// Appends `value` for every CPU, as the kernel takes it.
    fn spread(&self, value: &[u8], whole: &mut Vec<u8>) {
        let stride = value.len().next_multiple_of(8);
        for _ in 0..self.cpus.count() {
            let end = whole.len() + stride;
            whole.extend_from_slice(value);
            whole.resize(end, 0);
        }
    }

    /// Deletes the element of `key`; `false` if there is none.
    ///
    /// # Errors
    /// [`MapError::Size`], [`MapError::Element`].
    pub fn delete(&self, key: &[u8]) -> Result<bool, MapError> {
        self.check(key, &[], 0)?;
        let _section = Undisturbed::enter();
        self.elements.delete(key).map_err(|error| self.failed(error))
    }

    /// Writes many elements, as few calls as this kernel allows.
    ///
    /// # Errors
    /// [`MapError::Size`], [`MapError::Element`]; elements before the refused one are written.
    pub fn fill(&self, entries: &[Entry]) -> Result<(), MapError> {
        for entry in entries {
            self.check(&entry.key, &entry.value, self.spec.value_size as usize)?;
        }
        let mut batches = entries.len() > 1;
        let (mut keys, mut values) = (Vec::new(), Vec::new());
        for chunk in entries.chunks(SECTION) {
            keys.clear();
            values.clear();
            for entry in chunk {
                keys.extend_from_slice(&entry.key);
                if is_per_cpu(self.spec.kind) {
                    self.spread(&entry.value, &mut values);
                } else {
                    values.extend_from_slice(&entry.value);
                }
            }
            self.fill_chunk(&keys, &values, chunk.len(), &mut batches)?;
            // Let others run before the next section.
            std::thread::yield_now();
        }
        Ok(())
    }

    /// Whether the kernel takes these elements in one call.
    pub(super) fn takes_batches(&self, entries: &[Entry]) -> Result<(), SysError> {
        let join = |part: fn(&Entry) -> &[u8]| entries.iter().flat_map(part).copied().collect::<Vec<u8>>();
        let (keys, values) = (join(|entry| &entry.key), join(|entry| &entry.value));
        let _section = Undisturbed::enter();
        self.elements.update_batch(&keys, &values, u32::try_from(entries.len()).unwrap_or(u32::MAX)).1
    }

    fn fill_chunk(
        &self,
        keys: &[u8],
        values: &[u8],
        count: usize,
        batches: &mut bool,
    ) -> Result<(), MapError> {
        let (key_size, value_size) = (self.elements.key_size(), self.elements.value_size());
        let _section = Undisturbed::enter();
        let mut done = 0;
        if *batches {
            let (written, result) =
                self.elements.update_batch(keys, values, u32::try_from(count).unwrap_or(u32::MAX));
            done = written as usize;
            match result {
                Ok(()) => return Ok(()),
                // This kind has no batches on this kernel: one by one, which also tells the true error if it is none of that.
                Err(_no_batch) if done == 0 => *batches = false,
                Err(error) => return Err(self.failed(error)),
            }
        }
        let keys = keys.chunks_exact(key_size.max(1)).skip(done);
        let values = values.chunks_exact(value_size.max(1)).skip(done);
        for (key, value) in keys.zip(values) {
            self.elements.update(key, value, UpdateMode::Any).map_err(|error| self.failed(error))?;
        }
        Ok(())
    }

    /// Shows every element to `visit`, in the kernel's order. Elements that come or go meanwhile may be seen or not; none that stays is left out
    /// unless `visit` deletes elements other than the one that it is shown.
    ///
    /// # Errors
    /// [`MapError::Element`].
    pub fn for_each(&self, mut visit: impl FnMut(&[u8], &[u8])) -> Result<(), MapError> {
        let mut key = vec![0; self.elements.key_size()];
        let mut next = key.clone();
        let mut value = vec![0; self.elements.value_size()];
        let mut more = self.elements.next_key(None, &mut key).map_err(|error| self.failed(error))?;
        // A hash map starts over after a key that went meanwhile: do not run in circles for ever.
        let mut steps = u64::from(self.entries).saturating_mul(2).saturating_add(16);
        while more && steps > 0 {
            steps -= 1;
            more = self.elements.next_key(Some(&key), &mut next).map_err(|error| self.failed(error))?;
            if self.lookup_into(&key, &mut value)? {
                visit(&key, &value);
            }
            std::mem::swap(&mut key, &mut next);
        }
        Ok(())
    }

    /// Puts a program into slot `index` of a program array. Running programs see the new one from the next tail call on.
    ///
    /// # Errors
    /// [`MapError::Element`]; `EINVAL` when the program is of another kind or bound to another function than those in the array.
    pub fn set_program(&self, index: u32, program: &Program) -> Result<(), MapError> {
        let value = program.as_fd().as_raw_fd().to_ne_bytes();
        self.check(&index.to_ne_bytes(), &value, self.elements.value_size())?;
        // No undisturbed section: updates of program arrays do not raise bpf_prog_active.
        self.elements
            .update(&index.to_ne_bytes(), &value, UpdateMode::Any)
            .map_err(|error| self.failed(error))
    }

    /// Empties slot `index` of a program array; `false` if it was empty.
    ///
    /// # Errors
    /// [`MapError::Element`].
    pub fn clear_program(&self, index: u32) -> Result<bool, MapError> {
        self.check(&index.to_ne_bytes(), &[], 0)?;
        self.elements.delete(&index.to_ne_bytes()).map_err(|error| self.failed(error))
    }

    /// The values of an array made with [`flag::MMAPABLE`] as memory of this process.
    ///
    /// # Errors
    /// [`MapError::NotMappable`], [`MapError::Element`].
    pub fn mapped(&self) -> Result<MappedArray, MapError> {
        if self.spec.kind != MapKind::Array || self.spec.flags & flag::MMAPABLE == 0 {
            return Err(MapError::NotMappable { map: self.spec.name.clone() });
        }
        MappedArray::new(self.as_fd(), self.entries, self.spec.value_size).map_err(|error| self.failed(error))
    }

    /// Bytes of kernel memory that the map takes, as the kernel counts them.
    ///
    /// # Errors
    /// [`MapError::Memory`].
    pub fn memory(&self) -> Result<u64, MapError> {
        memory_of(self.as_fd()).map_err(|error| MapError::Memory { map: self.spec.name.clone(), error })
    }
}

/// `memlock` of a BPF descriptor.
pub(super) fn memory_of(fd: BorrowedFd<'_>) -> std::io::Result<u64> {
    let text = fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_raw_fd()))?;
    text.lines()
        .find_map(|line| line.strip_prefix("memlock:"))
        .and_then(|number| number.trim().parse().ok())
        .ok_or_else(|| std::io::Error::new(std::io::ErrorKind::InvalidData, "no line memlock"))
}

fn capacity(spec: &MapSpec, cpus: PossibleCpus) -> Result<u32, MapError> {
    let entries = match spec.entries {
        Entries::Fixed(entries) => u64::from(entries),
        Entries::PerCpu(entries) => u64::from(entries) * u64::from(cpus.count()),
    };
    // A ring's size must be a power of two.
    let entries = if spec.kind == MapKind::RingBuf { entries.next_power_of_two() } else { entries };
    u32::try_from(entries).map_err(|_many| MapError::Capacity { map: spec.name.clone(), entries })
}
