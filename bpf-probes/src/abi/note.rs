//! What the entry of a call leaves for the hooks on the call's way (deferred override).

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Key of the map [`super::map_name::NOTES`].
#[derive(Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct NoteKey {
    /// Address of the thread's `struct task_struct`: unlike its number, the same before and after an exec.
    pub task: u64,
    /// Which hook's program left it: a system call's number, or [`NoteKey::of_function`].
    pub hook: u64,
}

impl NoteKey {
    /// The hook number of a kernel function; above all numbers of system calls. FNV-1a, 64 bits.
    pub fn of_function(symbol: &str) -> u64 {
        let hash = symbol.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        hash | 1 << 63
    }
}

/// Value of the map [`super::map_name::NOTES`].
#[derive(Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct Note {
    /// The system call as user space asked for it (`pt_regs.orig_ax`), 0 for a function.
    pub call: u64,
    /// Where user space's registers lie, from the beginning of the thread's stack.
    pub registers: u64,
    /// What the call is to return: the error, negated (1 to 4095), for a hook on its way; the value itself, a signed number, where the call's own return is overridden.
    pub errno: u32,
    /// 1 for a value as it is, 0 for a negated error.
    pub is_value: u32,
}

/// Registers of a thread in user space that are numbered here: those that hold numbers and addresses, and `rip`.
pub const USER_REGISTERS: usize = 17;

/// Value of the map [`super::map_name::REGISTERS`]: what a thread's registers are to be when it goes on.
#[derive(Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct UserRegisters {
    /// Which of them are written: bits by number.
    pub written: u64,
    /// Their values, by number: `rax`, `rbx`, `rcx`, `rdx`, `rsi`, `rdi`, `rbp`, `rsp`, `r8` to `r15`, `rip`.
    pub values: [u64; USER_REGISTERS],
}

/// Notes that there can be at once: one for each thread that is on its way into a denied call.
pub const NOTES: u32 = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_has_a_number_that_no_system_call_has() {
        let rename = NoteKey::of_function("security_inode_rename");
        assert!(rename > u64::from(u32::MAX));
        assert_ne!(rename, NoteKey::of_function("security_path_rename"));
    }
}
