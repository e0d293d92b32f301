//! The kernel helpers that we call, by number (`___BPF_FUNC_MAPPER` in `include/uapi/linux/bpf.h`).

macro_rules! helpers {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $text:literal;)*) => {
        /// A kernel helper; the discriminant is its number.
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        #[repr(i32)]
        pub enum Helper { $($(#[$doc])* $name = $number,)* }

        impl Helper {
            /// Every helper of this list, in order of number.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The kernel's name without `bpf_`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

helpers! {
    /// `(map, key) -> value or null`
    MapLookupElem = 1, "map_lookup_elem";
    /// `(map, key, value, flags) -> 0 or -errno`
    MapUpdateElem = 2, "map_update_elem";
    /// `(map, key) -> 0 or -errno`
    MapDeleteElem = 3, "map_delete_elem";
    /// `() -> monotonic ns`
    KtimeGetNs = 5, "ktime_get_ns";
    /// `() -> u32`
    GetPrandomU32 = 7, "get_prandom_u32";
    /// `() -> CPU number`
    GetSmpProcessorId = 8, "get_smp_processor_id";
    /// `(ctx, prog_array, index)`; does not return when it succeeds
    TailCall = 12, "tail_call";
    /// `() -> tgid << 32 | tid`, host numbers
    GetCurrentPidTgid = 14, "get_current_pid_tgid";
    /// `() -> gid << 32 | uid` (real ids)
    GetCurrentUidGid = 15, "get_current_uid_gid";
    /// `(buf, size) -> 0 or -errno`; zero the buffer first on 6.1
    GetCurrentComm = 16, "get_current_comm";
    /// `(ctx, map, flags, data, size)`
    PerfEventOutput = 25, "perf_event_output";
    /// `(ctx, map, flags) -> stack id or -errno`
    GetStackid = 27, "get_stackid";
    /// `() -> struct task_struct *` as a number
    GetCurrentTask = 35, "get_current_task";
    /// `(user dst, src, size) -> 0 or -errno`, to memory of the current process
    ProbeWriteUser = 36, "probe_write_user";
    /// `(ctx, rc)`; kprobes on error-injectable functions
    OverrideReturn = 58, "override_return";
    /// `(ctx, buf, size, flags) -> bytes or -errno`
    GetStack = 67, "get_stack";
    /// `() -> cgroup v2 id`
    GetCurrentCgroupId = 80, "get_current_cgroup_id";
    /// `(signal) -> 0 or -errno`, to the current process
    SendSignal = 109, "send_signal";
    /// `(dst, size, user address) -> 0 or -errno`
    ProbeReadUser = 112, "probe_read_user";
    /// `(dst, size, kernel address) -> 0 or -errno`
    ProbeReadKernel = 113, "probe_read_kernel";
    /// `(dst, size, user address) -> length with NUL or -errno`
    ProbeReadUserStr = 114, "probe_read_user_str";
    /// `(dst, size, kernel address) -> length with NUL or -errno`
    ProbeReadKernelStr = 115, "probe_read_kernel_str";
    /// `(signal) -> 0 or -errno`, to the current thread
    SendSignalThread = 117, "send_signal_thread";
    /// `(dev, ino, nsdata, size) -> 0 or -errno`
    GetNsCurrentPidTgid = 120, "get_ns_current_pid_tgid";
    /// `(level) -> cgroup v2 id of that ancestor`
    GetCurrentAncestorCgroupId = 123, "get_current_ancestor_cgroup_id";
    /// `() -> ns since boot, suspend included` (5.8)
    KtimeGetBootNs = 125, "ktime_get_boot_ns";
    /// `(ring, data, size, flags) -> 0 or -errno` (5.8)
    RingbufOutput = 130, "ringbuf_output";
    /// `(ring, size, flags) -> record or null` (5.8)
    RingbufReserve = 131, "ringbuf_reserve";
    /// `(record, flags)` (5.8)
    RingbufSubmit = 132, "ringbuf_submit";
    /// `(record, flags)` (5.8)
    RingbufDiscard = 133, "ringbuf_discard";
    /// `(ring, what) -> u64` (5.8)
    RingbufQuery = 134, "ringbuf_query";
    /// `(path, buf, size) -> length with NUL or -errno` (5.10)
    DPath = 147, "d_path";
    /// `(user dst, user src, size)`; sleepable programs
    CopyFromUser = 148, "copy_from_user";
    /// `(map, task, value, flags) -> value or null` (5.11)
    TaskStorageGet = 156, "task_storage_get";
    /// `(map, task) -> 0 or -errno` (5.11)
    TaskStorageDelete = 157, "task_storage_delete";
    /// `() -> struct task_struct *` with its type (5.11)
    GetCurrentTaskBtf = 158, "get_current_task_btf";
    /// `(struct inode *, buf, size) -> algorithm or -errno` (5.11); LSM programs that sleep
    ImaInodeHash = 161, "ima_inode_hash";
    /// `(ctx) -> address of the traced function` (5.15)
    GetFuncIp = 173, "get_func_ip";
    /// `(ctx) -> cookie` (5.15)
    GetAttachCookie = 174, "get_attach_cookie";
    /// `(iterations, callback, ctx, flags) -> iterations done` (5.17)
    Loop = 181, "loop";
    /// `(s1, size, s2) -> <0, 0, >0` (5.17)
    Strncmp = 182, "strncmp";
    /// `(struct file *, buf, size) -> algorithm or -errno` (5.18); LSM programs that sleep
    ImaFileHash = 193, "ima_file_hash";
    /// `(map, key, cpu) -> value or null` (5.19)
    MapLookupPercpuElem = 195, "map_lookup_percpu_elem";
}

impl Helper {
    /// The helper with this number, `None` if the product never calls it.
    pub fn from_number(number: i32) -> Option<Self> {
        Self::ALL.iter().copied().find(|helper| *helper as i32 == number)
    }
}
