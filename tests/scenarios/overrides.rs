//! Functions of this very program that policies have do something else.

use std::fs;

use e2e::ensure;
use e2e::expect::Outcome;
use e2e::kernels::Feature;
use e2e::scenario::{Guest, Settings};

use crate::policies::named;

/// Where a function is in this program's file.
fn offset_of(function: extern "C" fn(i64) -> i64) -> Outcome<u64> {
    let address = function as *const () as usize as u64;
    let maps = fs::read_to_string("/proc/self/maps")?;
    let found = maps.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        let (start, end) = words.next()?.split_once('-')?;
        let hex = |text: &str| u64::from_str_radix(text, 16).ok();
        let (start, end, offset) = (hex(start)?, hex(end)?, hex(words.nth(1)?)?);
        (start..end).contains(&address).then(|| offset + address - start)
    });
    found.ok_or_else(|| e2e::expect::Failure("the function is mapped from no file".to_owned()))
}

/// What is hooked.
#[inline(never)]
extern "C" fn hooked(number: i64) -> i64 {
    std::hint::black_box(number) + 1
}

/// The function that runs instead.
#[inline(never)]
extern "C" fn instead(number: i64) -> i64 {
    std::hint::black_box(number) * 100
}

fn overridden(number: i64) -> i64 {
    std::hint::black_box(std::hint::black_box(hooked as extern "C" fn(i64) -> i64)(number))
}

/// Policies on one function: one returns at once, one changes what it is called with, one has another function run. Kernels whose programs write no registers refuse them.
pub(crate) fn overrides(guest: &Guest) -> Outcome {
    let path = std::env::current_exe()?;
    let hooked_at = offset_of(hooked)?;
    let policy = |name: &str, value: i64, parameters: &str| {
        named(
            name,
            &format!(
                "  uprobes:
  - path: {}
    offsets: [{hooked_at}]
    args:
    - {{index: 0, type: int64}}
    selectors:
    - matchArgs:
      - {{index: 0, operator: Equal, values: ['{value}']}}
      matchActions:
      - {{action: Override, {parameters}}}
",
                path.display()
            ),
        )
    };
    ensure!(instead(1) == 100, "the other function");
    let mut daemon = Settings::default().start(guest)?;
    let all = [
        ("returns", policy("returns", 1, "argError: -13"), 1, -13),
        ("registers", policy("registers", 2, "argRegs: ['rdi=40%rdi']"), 2, 43),
        ("elsewhere", policy("elsewhere", 3, &format!("argNewOffset: {}", offset_of(instead)?)), 3, 300),
    ];
    if !guest.variant.has(Feature::UserRegisterWrite) {
        for (name, text, ..) in &all {
            let refused = daemon.try_add(name, text)?;
            ensure!(refused.status.code() == Some(1), "{name}: tetra ended with {}", refused.status);
            ensure!(refused.stderr.contains("uprobe_register_write"), "{name}: {}", refused.stderr);
        }
        return Ok(());
    }
    for (name, text, ..) in &all {
        daemon.add(name, text)?;
    }
    let mut events = daemon.events()?;
    for (name, _, number, expected) in &all {
        let found = overridden(*number);
        ensure!(found == *expected, "{name}: {found}");
    }
    ensure!(overridden(4) == 5, "what no policy matches");
    let seen = daemon.settle(&mut events)?;
    let hooks = seen.iter().filter_map(|event| event.process_uprobe.as_ref());
    let found: Vec<(&str, &str)> = hooks.map(|hook| (&*hook.policy_name, &*hook.action)).collect();
    let expected = all.each_ref().map(|(name, ..)| (*name, "KPROBE_ACTION_OVERRIDE"));
    ensure!(found == expected, "events: {found:?}");
    daemon.tetra_must(&["tracingpolicy", "set-mode", "returns", "monitor"])?;
    ensure!(overridden(1) == 2, "monitor mode overrides");
    let counted = (daemon.acted("returns", "override")?, daemon.acted("returns", "monitor_override")?);
    ensure!(counted == (1, 1), "{counted:?} overrides are counted");
    for (name, ..) in &all {
        daemon.delete(name)?;
    }
    ensure!(overridden(3) == 4, "a policy that is gone overrides");
    Ok(())
}
