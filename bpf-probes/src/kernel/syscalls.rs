//! System calls: names as policies write them, numbers, wrapper functions, parameters.

use super::syscall_i386::I386Call;
use super::syscall_table::SYSCALLS;
use super::view::KernelView;

/// One system call of x86-64.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Syscall {
    /// Number in `rax`.
    pub number: u32,
    /// Name as C libraries know it, for example `stat`.
    pub name: &'static str,
    /// Name as the kernel's wrapper has it, for example `newstat` of `__x64_sys_newstat`.
    pub wrapper: &'static str,
    /// Types and names of the parameters as C declares them, with `, ` between.
    pub(super) parameters: &'static str,
}

/// A parameter of a system call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SyscallParameter {
    /// Type in C, for example `const char *`.
    pub kind: &'static str,
    /// Name in the kernel's definition, for example `filename`.
    pub name: &'static str,
}

impl SyscallParameter {
    /// Splits a declaration such as `const char *filename`.
    fn declared(text: &'static str) -> Self {
        let start = text.rfind([' ', '*']).map_or(0, |before| before + 1);
        let (kind, name) = text.split_at(start);
        Self { kind: kind.trim_end(), name }
    }
}

impl Syscall {
    /// The call with that number.
    pub fn numbered(number: u32) -> Option<&'static Self> {
        SYSCALLS.binary_search_by_key(&number, |call| call.number).ok().and_then(|at| SYSCALLS.get(at))
    }

    /// The call with that name, the wrapper's or C's: `newstat` and `stat` are one.
    pub fn named(name: &str) -> Option<&'static Self> {
        let by_wrapper = SYSCALLS.iter().find(|call| call.wrapper == name);
        by_wrapper.or_else(|| SYSCALLS.iter().find(|call| call.name == name))
    }

    /// All calls, by number.
    pub fn all() -> &'static [Self] {
        SYSCALLS
    }

    /// Types of the parameters in C.
    pub fn parameters(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.named_parameters().map(|parameter| parameter.kind)
    }

    /// The parameters with their names.
    pub fn named_parameters(&self) -> impl Iterator<Item = SyscallParameter> + use<> {
        self.parameters.split(", ").filter(|text| !text.is_empty()).map(SyscallParameter::declared)
    }

    /// How many parameters it has, 0 to 6.
    pub fn parameter_count(&self) -> usize {
        self.parameters().count()
    }
}

/// Which of the kernel's system call interfaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Abi {
    /// 64-bit programs.
    X64,
    /// 32-bit programs.
    I386,
}

impl Abi {
    /// What stands before `sys_` in the wrapper's symbol.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::X64 => "__x64_",
            Self::I386 => "__ia32_",
        }
    }
}

/// A system call as named by a policy; it may be one that this program does not know but the kernel has.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SyscallName {
    abi: Abi,
    wrapper: String,
    /// The function that serves it, where its name does not follow from the wrapper's.
    served_by: Option<String>,
}

/// Why a name is no system call's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SyscallNameError {
    /// It is for another machine.
    #[error("{name:?} is a system call of another machine; this one runs x64 and i386 programs")]
    OtherMachine {
        /// The name.
        name: String,
    },
    /// It does not look like one.
    #[error("{name:?} names no system call: write sys_openat, __x64_sys_openat or x64/sys_openat")]
    Form {
        /// The name.
        name: String,
    },
}

impl SyscallName {
    /// Reads `sys_x`, a symbol such as `__x64_sys_x`, or `ABI/sys_x`.
    ///
    /// # Errors
    /// [`SyscallNameError`].
    pub fn parse(name: &str) -> Result<Self, SyscallNameError> {
        let form = || SyscallNameError::Form { name: name.to_owned() };
        let other = || SyscallNameError::OtherMachine { name: name.to_owned() };
        let (abi, rest) = match name.split_once('/') {
            Some(("x64", rest)) => (Abi::X64, rest),
            Some(("i386", rest)) => (Abi::I386, rest),
            Some(("arm64" | "arm32", _)) => return Err(other()),
            Some(_) => return Err(form()),
            None => match name.strip_prefix("__") {
                None => (Abi::X64, name),
                Some(symbol) => match symbol.split_once('_') {
                    Some(("x64", rest)) => (Abi::X64, rest),
                    Some(("ia32", rest)) => (Abi::I386, rest),
                    Some(("arm64", _)) => return Err(other()),
                    _ => return Err(form()),
                },
            },
        };
        let wrapper = rest.strip_prefix("sys_").filter(|rest| is_identifier(rest)).ok_or_else(form)?;
        // `sys_stat` is what people write, `newstat` what the kernel has.
        let wrapper = Syscall::named(wrapper).map_or(wrapper, |known| known.wrapper);
        Ok(Self { abi, wrapper: wrapper.to_owned(), served_by: None })
    }

    /// A call of 32-bit programs as a kernel serves it; `None` where it does not.
    pub fn of_i386(call: I386Call, kernel: &KernelView) -> Option<Self> {
        let wrapper = call.twin().map_or(call.name, |twin| twin.wrapper).to_owned();
        Some(Self { abi: Abi::I386, wrapper, served_by: Some(call.symbol(kernel)?) })
    }

    /// Which interface.
    pub const fn abi(&self) -> Abi {
        self.abi
    }

    /// The kernel function that serves it: `__x64_sys_openat`.
    pub fn symbol(&self) -> String {
        self.served_by.clone().unwrap_or_else(|| format!("{}sys_{}", self.abi.prefix(), self.wrapper))
    }

    /// What is known of it. The parameters hold for both interfaces, the number for x64 only.
    pub fn known(&self) -> Option<&'static Syscall> {
        Syscall::named(&self.wrapper)
    }
}

fn is_identifier(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn all_ways_to_write_a_call_lead_to_its_wrapper() {
        for name in ["sys_openat", "__x64_sys_openat", "x64/sys_openat"] {
            let call = SyscallName::parse(name).unwrap();
            assert_eq!(call.symbol(), "__x64_sys_openat");
            assert_eq!(call.known().unwrap().number, 257);
        }
        assert_eq!(SyscallName::parse("i386/sys_openat").unwrap().symbol(), "__ia32_sys_openat");
        assert_eq!(SyscallName::parse("sys_stat").unwrap().symbol(), "__x64_sys_newstat");
        assert_eq!(SyscallName::parse("sys_umount2").unwrap().symbol(), "__x64_sys_umount");
    }

    #[test]
    fn a_call_newer_than_this_program_keeps_its_name() {
        let call = SyscallName::parse("sys_frobnicate").unwrap();
        assert_eq!((call.symbol().as_str(), call.known()), ("__x64_sys_frobnicate", None));
    }

    #[test]
    fn what_is_no_call_is_refused() {
        for name in ["openat", "", "sys_", "__x64_openat", "mips/sys_open", "sys_open at", "__sys_connect"] {
            assert!(matches!(SyscallName::parse(name), Err(SyscallNameError::Form { .. })), "{name}");
        }
        for name in ["__arm64_sys_openat", "arm32/sys_openat"] {
            assert!(matches!(SyscallName::parse(name), Err(SyscallNameError::OtherMachine { .. })));
        }
    }

    #[test]
    fn the_table_is_in_order_and_its_names_are_unique() {
        assert!(Syscall::all().windows(2).all(|pair| pair[0].number < pair[1].number));
        let mut wrappers: Vec<_> = Syscall::all().iter().map(|call| call.wrapper).collect();
        wrappers.sort_unstable();
        assert!(wrappers.windows(2).all(|pair| pair[0] != pair[1]));
        assert!(Syscall::all().iter().all(|call| call.parameter_count() <= 6));
    }

    #[test]
    fn every_parameter_has_a_type_and_a_name() {
        let openat = Syscall::named("openat").unwrap();
        let parameters: Vec<_> =
            openat.named_parameters().map(|parameter| (parameter.kind, parameter.name)).collect();
        let expected = [("int", "dfd"), ("const char *", "filename"), ("int", "flags"), ("umode_t", "mode")];
        assert_eq!(parameters, expected);
        for parameter in Syscall::all().iter().flat_map(Syscall::named_parameters) {
            assert!(is_identifier(parameter.name) && !parameter.kind.is_empty(), "{parameter:?}");
        }
    }

    #[test]
    fn well_known_numbers_and_parameters_hold() {
        for (number, name, count) in [
            (0, "read", 3),
            (9, "mmap", 6),
            (42, "connect", 3),
            (59, "execve", 3),
            (231, "exit_group", 1),
            (39, "getpid", 0),
        ] {
            let call = Syscall::numbered(number).unwrap();
            assert_eq!((call.name, call.parameter_count()), (name, count));
        }
        assert_eq!(Syscall::numbered(180), None);
    }
}
