//! Static probes of this very program.
#![expect(unsafe_code, reason = "a probe is a note and a nop, which only assembly can say")]

use std::arch::asm;
use std::ffi::CStr;
use std::sync::atomic::{AtomicU16, Ordering};

use e2e::ensure;
use e2e::event::Hook;
use e2e::expect::Outcome;
use e2e::scenario::{Guest, Settings};

use crate::policies::named;

const POLICY: &str = "probe";

/// Counts who watches; the kernel raises it. It must be in the file, and zeros of a program are not.
#[unsafe(link_section = ".probes")]
static SEMAPHORE: AtomicU16 = AtomicU16::new(0);

/// Hits a probe, and says what is in the word then.
macro_rules! hit {
    ($number:expr, $text:expr, $word:expr) => {{
        let (number, text, word): (i32, &CStr, &mut u32) = ($number, $text, $word);
        // SAFETY: the only instruction is a nop; the word that a policy may write is memory which may change
        unsafe {
            asm!(
                "990: nop",
                ".pushsection .note.stapsdt, \"\", \"note\"",
                ".balign 4",
                ".4byte 992f - 991f, 994f - 993f, 3",
                "991: .asciz \"stapsdt\"",
                "992: .balign 4",
                "993: .8byte 990b",
                ".8byte 0",
                ".8byte {semaphore}",
                ".asciz \"enforcer\"",
                ".asciz \"hit\"",
                ".asciz \"-4@{number:e} 8@{text} 4@({word})\"",
                "994: .balign 4",
                ".popsection",
                number = in(reg) number,
                text = in(reg) text.as_ptr(),
                word = in(reg) std::ptr::from_mut(word),
                semaphore = sym SEMAPHORE,
                options(att_syntax, nostack),
            );
        }
        *word
    }};
}

#[inline(never)]
fn here(number: i32, text: &CStr) -> u32 {
    hit!(number, text, &mut 7)
}

#[inline(never)]
fn there(number: i32, text: &CStr) -> u32 {
    hit!(number, text, &mut 9)
}

/// Hits the probe once, with the number 5.
pub(crate) fn hit() {
    here(5, c"five");
}

/// Every place of a probe reports what it passes and has its argument written; its semaphore is raised as long.
pub(crate) fn probe(guest: &Guest) -> Outcome {
    let path = std::env::current_exe()?;
    let text = named(
        POLICY,
        &format!(
            "  usdts:
  - path: {}
    provider: enforcer
    name: hit
    args:
    - {{index: 0, type: int32}}
    - {{index: 1, type: string}}
    - {{index: 2, type: uint32}}
    selectors:
    - matchArgs:
      - {{index: 0, operator: LT, values: ['0']}}
      matchActions:
      - {{action: Set, argIndex: 2, argValue: 32}}
",
            path.display()
        ),
    );
    let mut daemon = Settings::default().start(guest)?;
    let mut events = daemon.events()?;
    ensure!(SEMAPHORE.load(Ordering::SeqCst) == 0, "the semaphore is raised before");
    daemon.add(POLICY, &text)?;
    let raised = SEMAPHORE.load(Ordering::SeqCst);
    ensure!(raised > 0, "the semaphore is {raised} while the probe is watched");
    let words = [here(5, c"five"), there(5, c"five"), here(-5, c"minus five"), there(-6, c"minus six")];
    ensure!(words == [7, 9, 32, 32], "words after the probes: {words:?}");
    let seen = daemon.settle(&mut events)?;
    let hooks: Vec<&Hook> = seen.iter().filter_map(|event| event.process_usdt.as_ref()).collect();
    ensure!(hooks.len() == 2, "{} events of the probe: {hooks:?}", hooks.len());
    for (hook, (number, text)) in hooks.iter().zip([(-5, "minus five"), (-6, "minus six")]) {
        ensure!((&*hook.provider, &*hook.name) == ("enforcer", "hit"), "{}:{}", hook.provider, hook.name);
        ensure!(hook.path == path.display().to_string(), "path {}", hook.path);
        ensure!(hook.action == "KPROBE_ACTION_SET", "action {}", hook.action);
        ensure!(hook.flags.is_empty(), "flags {}", hook.flags);
        ensure!(hook.process.pid == std::process::id(), "pid {}", hook.process.pid);
        ensure!(hook.args.len() == 3, "{} arguments", hook.args.len());
        ensure!(hook.args[0].int_arg == Some(number), "number {:?}", hook.args[0].int_arg);
        ensure!(hook.args[1].string_arg.as_deref() == Some(text), "text {:?}", hook.args[1].string_arg);
    }
    daemon.tetra_must(&["tracingpolicy", "set-mode", POLICY, "monitor"])?;
    ensure!(here(-5, c"monitored") == 7, "monitor mode writes");
    let counted = (daemon.acted(POLICY, "set")?, daemon.acted(POLICY, "monitor_set")?);
    ensure!(counted == (2, 1), "{counted:?} sets are counted");
    daemon.delete(POLICY)?;
    let left = SEMAPHORE.load(Ordering::SeqCst);
    ensure!(left == 0, "the semaphore is {left} when nobody watches");
    ensure!(here(-5, c"nobody") == 7, "a policy that is gone writes");
    Ok(())
}
