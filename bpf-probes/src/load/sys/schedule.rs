//! A section in which no ordinary thread can take the CPU from the caller.

#![expect(unsafe_code, reason = "sched_setscheduler(2)")]

use std::cell::Cell;
use std::marker::PhantomData;

/// While it lives, the calling thread runs at `SCHED_FIFO` priority 1.
///
/// Why: bpf(2) look-ups, updates and deletes of elements raise a counter of the CPU, `bpf_prog_active`, while they run
/// (`kernel/bpf/syscall.c: bpf_disable_instrumentation`, all versions), and kprobe and perf tracepoint programs skip themselves on a CPU
/// whose counter is up (`kernel/trace/bpf_trace.c: trace_call_bpf`). On a preemptible kernel a thread that is preempted inside such a call
/// leaves the counter up, and every other thread on that CPU passes the probes unseen until it runs again. A real-time thread is not
/// preempted by ordinary ones, so what we do to maps hides nobody. Measured on 6.12 with preempt=full, two
/// threads updating a map: of 30 execs a kprobe saw 26 and 27 without sections, 30 with them. Calls on program arrays and stores to mapped arrays are
/// exempt: they do not raise the counter. Keep sections short (some hundred elements); nested ones cost nothing.
///
/// Where the thread may not become real-time (no `CAP_SYS_NICE`), the section is without effect, and says so.
#[derive(Debug)]
#[must_use = "the section ends when this is dropped"]
pub struct Undisturbed {
    before: Option<Before>,
    effective: bool,
    /// Belongs to the thread that made it.
    not_send: PhantomData<*const ()>,
}

#[derive(Clone, Copy, Debug)]
struct Before {
    policy: libc::c_int,
    priority: libc::c_int,
}

#[derive(Clone, Copy)]
enum Depth {
    Outside,
    Inside { effective: bool },
}

thread_local! {
    static DEPTH: Cell<Depth> = const { Cell::new(Depth::Outside) };
}

impl Undisturbed {
    /// Begins a section.
    pub fn enter() -> Self {
        if let Depth::Inside { effective } = DEPTH.get() {
            return Self { before: None, effective, not_send: PhantomData };
        }
        let before = current();
        let effective = before.is_some_and(|before| match before.policy & !libc::SCHED_RESET_ON_FORK {
            libc::SCHED_FIFO | libc::SCHED_RR => true,
            // The flag can be cleared only with a right that we may lack, so it stays as it is.
            _ => set(libc::SCHED_FIFO | before.policy & libc::SCHED_RESET_ON_FORK, 1),
        });
        DEPTH.set(Depth::Inside { effective });
        Self {
            before: before.or(Some(Before { policy: libc::SCHED_OTHER, priority: 0 })),
            effective,
            not_send: PhantomData,
        }
    }

    /// Whether ordinary threads are in fact kept off.
    pub const fn is_effective(&self) -> bool {
        self.effective
    }
}

impl Drop for Undisturbed {
    fn drop(&mut self) {
        let Some(before) = self.before else { return };
        DEPTH.set(Depth::Outside);
        if self.effective {
            // Going back to what the thread was needs no right, so this cannot fail.
            set(before.policy, before.priority);
        }
    }
}

// Raw calls: musl's sched_setscheduler answers ENOSYS, since POSIX means the process and Linux the thread.
fn current() -> Option<Before> {
    // SAFETY: 0 is the calling thread.
    let policy = unsafe { libc::syscall(libc::SYS_sched_getscheduler, 0) };
    let policy = libc::c_int::try_from(policy).ok().filter(|policy| *policy >= 0)?;
    let mut priority: libc::c_int = 0; // struct sched_param is this one field to the kernel
    // SAFETY: 0 is the calling thread, the pointer is to a live int.
    let result = unsafe { libc::syscall(libc::SYS_sched_getparam, 0, &raw mut priority) };
    (result == 0).then_some(Before { policy, priority })
}

fn set(policy: libc::c_int, priority: libc::c_int) -> bool {
    // SAFETY: 0 is the calling thread, the pointer is to a live int.
    let result = unsafe { libc::syscall(libc::SYS_sched_setscheduler, 0, policy, &raw const priority) };
    result == 0
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_thread_is_what_it_was_after_nested_sections() {
        let before = current().unwrap();
        let outer = Undisturbed::enter();
        {
            let inner = Undisturbed::enter();
            assert_eq!(inner.is_effective(), outer.is_effective());
        }
        if outer.is_effective() {
            assert_eq!(current().unwrap().policy & !libc::SCHED_RESET_ON_FORK, libc::SCHED_FIFO);
        }
        drop(outer);
        let after = current().unwrap();
        assert_eq!((before.policy, before.priority), (after.policy, after.priority));
    }
}
