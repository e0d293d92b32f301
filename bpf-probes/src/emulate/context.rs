//! What a program gets in `R1`.

/// Registers of a function call on x86-64, as a kprobe sees them (`struct pt_regs`).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(missing_docs, reason = "the names are the kernel's")]
pub struct Registers {
    pub r15: u64,
    pub r14: u64,
    pub r13: u64,
    pub r12: u64,
    pub bp: u64,
    pub bx: u64,
    pub r11: u64,
    pub r10: u64,
    pub r9: u64,
    pub r8: u64,
    pub ax: u64,
    pub cx: u64,
    pub dx: u64,
    pub si: u64,
    pub di: u64,
    pub orig_ax: u64,
    pub ip: u64,
    pub cs: u64,
    pub flags: u64,
    pub sp: u64,
    pub ss: u64,
}

impl Registers {
    /// Bytes of `struct pt_regs`.
    pub const BYTES: usize = 168;

    /// At the entry of a kernel function with these arguments.
    pub fn call(arguments: [u64; 6]) -> Self {
        let [di, si, dx, cx, r8, r9] = arguments;
        Self { r9, r8, cx, dx, si, di, ..Self::default() }
    }

    /// As user space left them at a system call with these arguments.
    pub fn syscall(number: u64, arguments: [u64; 6]) -> Self {
        let [di, si, dx, r10, r8, r9] = arguments;
        Self { r10, r9, r8, dx, si, di, orig_ax: number, ..Self::default() }
    }

    /// What these bytes of a `struct pt_regs` hold; nothing where they are too few.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut words = bytes.chunks_exact(8).map(|word| word.try_into().map_or(0, u64::from_le_bytes));
        let mut word = || words.next();
        Some(Self {
            r15: word()?,
            r14: word()?,
            r13: word()?,
            r12: word()?,
            bp: word()?,
            bx: word()?,
            r11: word()?,
            r10: word()?,
            r9: word()?,
            r8: word()?,
            ax: word()?,
            cx: word()?,
            dx: word()?,
            si: word()?,
            di: word()?,
            orig_ax: word()?,
            ip: word()?,
            cs: word()?,
            flags: word()?,
            sp: word()?,
            ss: word()?,
        })
    }

    /// `struct pt_regs`.
    pub fn to_bytes(self) -> Vec<u8> {
        [
            self.r15,
            self.r14,
            self.r13,
            self.r12,
            self.bp,
            self.bx,
            self.r11,
            self.r10,
            self.r9,
            self.r8,
            self.ax,
            self.cx,
            self.dx,
            self.si,
            self.di,
            self.orig_ax,
            self.ip,
            self.cs,
            self.flags,
            self.sp,
            self.ss,
        ]
        .into_iter()
        .flat_map(u64::to_le_bytes)
        .collect()
    }
}

/// The context of one run: its bytes, and what helpers say about it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Context {
    pub(super) bytes: Vec<u8>,
    pub(super) function: u64,
    pub(super) cookie: u64,
}

impl Context {
    /// These bytes: the record of a tracepoint, or anything else.
    pub fn bytes(bytes: impl Into<Vec<u8>>) -> Self {
        Self { bytes: bytes.into(), ..Self::default() }
    }

    /// A kprobe's.
    pub fn registers(registers: Registers) -> Self {
        Self::bytes(registers.to_bytes())
    }

    /// A kprobe's at the entry of a function with these arguments.
    pub fn kprobe(arguments: [u64; 6]) -> Self {
        Self::registers(Registers::call(arguments))
    }

    /// A kretprobe's at the return of this value.
    pub fn kretprobe(value: u64) -> Self {
        Self::registers(Registers { ax: value, ..Registers::default() })
    }

    /// One `u64` an argument: raw and typed tracepoints, fentry, LSM; for fexit and `fmod_ret` the last is the return value.
    pub fn arguments(arguments: &[u64]) -> Self {
        Self::bytes(arguments.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>())
    }

    /// The same with what `bpf_get_func_ip` returns.
    #[must_use]
    pub fn with_function(mut self, address: u64) -> Self {
        self.function = address;
        self
    }

    /// The same with what `bpf_get_attach_cookie` returns.
    #[must_use]
    pub fn with_cookie(mut self, cookie: u64) -> Self {
        self.cookie = cookie;
        self
    }
}
