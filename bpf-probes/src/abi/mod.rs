//! What crosses between kernel and daemon: records in rings, values of shared maps. One `#[repr(C)]` definition for the programs that write
//! and the decoder that reads; the builder takes offsets from these types with `offset_of!`.
//!
//! Invariants: no type has implicit padding (zerocopy's `IntoBytes` proves it), so nothing uninitialised crosses; every length is checked by
//! the reader against the bytes there are.

mod call;
mod data;
mod exec;
mod exit;
mod fork;
mod hash;
mod header;
mod hook;
mod limit;
mod network;
mod note;
mod object;
mod owner;
mod pending;
mod recorded;
mod state;
mod throttle;
mod value;

pub use call::{CALLS, Call, CallKey, LeftBuffer, ReturnRecord, call_flag};
pub use data::{DATA_CHUNK, DataRecord, data_value};
pub use exec::{
    Credentials, ExecRecord, INLINE_ARGUMENTS, MAX_ARGUMENTS, MAX_CGROUP_NAME, MAX_PATH, Namespaces, gained,
    process_flag,
};
pub use exit::ExitRecord;
pub use fork::ForkRecord;
pub use hash::{DIGEST_BYTES, FileHash, HASHES, HashKey};
pub use header::{Header, ProcessKey, RecordKind};
pub use hook::{Action, HookRecord, MAX_HOOK_RECORD, STACK_FRAMES, hook_flag};
pub use limit::{LIMIT_BYTES, LIMIT_OF_RETURN, LIMITS, LimitKey};
pub use network::{AddressValue, Endpoints, PacketValue, SocketValue};
pub use note::{NOTES, Note, NoteKey, USER_REGISTERS, UserRegisters};
pub use object::{
    CredentialsValue, MapValue, ModuleValue, PerfEventValue, ProgramValue, UserNamespaceValue, signature,
};
pub use owner::{SOCKETS, SocketOwner};
pub use pending::{PENDING, Pending, PendingKey};
pub use recorded::Recorded;
pub use state::{
    BINARY_BYTES, BINARY_END_BYTES, BinaryEndKey, BinaryKey, CLASS_WORDS, CLASSES, ClassSet, Control,
    Counter, Counters, HANDOVER_CELLS, Loss, NumberKey, POLICIES, ProcessState, SELECTOR_COUNTERS, SELECTORS,
    WORKLOAD_LEVELS, WORKLOADS, Withheld, map_name,
};
pub use throttle::{RATES, Rate, RateKey, THROTTLE_LASTS, THROTTLE_REPEATS, ThrottleRecord};
pub use value::{ValueHeader, value_flag};
