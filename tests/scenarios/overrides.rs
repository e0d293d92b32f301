//! Functions of this very program that policies have do something else.
#![expect(unsafe_code, reason = "a function that policies name has a name that stays")]

use std::fs;

use e2e::ensure;
use e2e::expect::Outcome;
use e2e::kernels::Feature;
use e2e::scenario::{Guest, Settings};

use crate::policies::named;

/// Where something is in this program's file, and the address that the file gives it.
struct Place {
    offset: u64,
    address: u64,
}

fn place_of(function: extern "C" fn(i64, *const i64) -> i64) -> Outcome<Place> {
    let address = function as *const () as usize as u64;
    let maps = fs::read_to_string("/proc/self/maps")?;
    let hex = |text: &str| u64::from_str_radix(text, 16).ok();
    let mappings = || {
        maps.lines().filter_map(|line| {
            let mut words = line.split_whitespace();
            let (start, end) = words.next()?.split_once('-')?;
            Some((hex(start)?, hex(end)?, hex(words.nth(1)?)?))
        })
    };
    let found = mappings().find(|(start, end, _)| (*start..*end).contains(&address));
    let (Some((start, _, offset)), Some((loaded, ..))) = (found, mappings().next()) else {
        return Err(e2e::expect::Failure("the function is mapped from no file".to_owned()));
    };
    // a program of fixed addresses says so in its header (ET_EXEC)
    let is_fixed = fs::read("/proc/self/exe")?.get(16) == Some(&2);
    Ok(Place { offset: offset + address - start, address: if is_fixed { address } else { address - loaded } })
}

/// What is hooked.
#[inline(never)]
extern "C" fn hooked(number: i64, _words: *const i64) -> i64 {
    std::hint::black_box(number) + 1
}

/// The function that runs instead. It has a name in the file that is its own.
// SAFETY: nothing else has that name
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn e2e_runs_instead(number: i64, _words: *const i64) -> i64 {
    std::hint::black_box(number) * 100
}

static WORDS: [i64; 2] = [100, 200];

fn overridden(number: i64, words: *const i64) -> i64 {
    std::hint::black_box(std::hint::black_box(hooked as extern "C" fn(i64, *const i64) -> i64)(number, words))
}

/// Text far from everything else in this program, so that its page is not there before it is read: the kernel brings up to 64 KiB along.
#[repr(C, align(65536))]
struct Far {
    before: [u8; 1 << 17],
    text: [u8; 16],
    after: [u8; 1 << 17],
}

static FAR: Far = Far { before: [b'-'; 1 << 17], text: *b"not touched yet\0", after: [b'-'; 1 << 17] };
static LATER: Far = Far { before: [b'+'; 1 << 17], text: *b"not touched yet\0", after: [b'+'; 1 << 17] };

/// What an override of a call with this number is told, and what the call then returns.
struct Case {
    name: &'static str,
    options: &'static str,
    number: i64,
    told: String,
    returns: i64,
}

fn cases() -> Outcome<Vec<Case>> {
    let case = |name, number, told: &str, returns| Case {
        name,
        options: "",
        number,
        told: told.to_owned(),
        returns,
    };
    let instead = place_of(e2e_runs_instead)?;
    let pointer = (&raw const WORDS[0]).expose_provenance().cast_signed();
    let memory = i64::try_from(pointer).map_err(|_wide| e2e::expect::Failure("a wide pointer".to_owned()))?;
    let single = "{name: disable-uprobe-multi, value: 'true'}";
    Ok(vec![
        case("returns", 1, "argError: -13", -13),
        case("constant", 2, "argRegs: ['rdi=42']", 43),
        case("register", 3, "argRegs: ['rdi=%rsi']", memory + 1),
        case("sum", 4, "argRegs: ['rdi=40%rdi']", 45),
        case("memory", 5, "argRegs: ['rdi=(%rsi)']", 101),
        case("further", 6, "argRegs: ['rdi=8(%rsi)', 'rdi=1%edi']", 202),
        case("offset", 7, &format!("argNewOffset: {}", instead.offset), 700),
        case("address", 8, &format!("argNewAddr: {}", instead.address), 800),
        case("symbol", 9, "argNewSymbol: e2e_runs_instead", 900),
        Case { options: single, ..case("single", 10, "argError: -14", -14) },
    ])
}

/// A policy on the function: for calls that the filter is for.
fn policy(name: &str, options: &str, filter: &str, action: &str) -> Outcome<String> {
    let place = place_of(hooked)?;
    Ok(named(
        name,
        &format!(
            "  options: [{options}]
  uprobes:
  - path: {}
    offsets: [{}]
    args:
    - {{index: 0, type: int64}}
    - {{index: 1, type: string}}
    selectors:
    - matchArgs:
      - {{{filter}}}
      matchActions:
      - {{{action}}}
",
            std::env::current_exe()?.display(),
            place.offset
        ),
    ))
}

/// Policies on one function, one of which reports and is there first: others return at once, change what it is called with, or have another function run. Kernels
/// whose programs write no registers refuse them.
pub(crate) fn overrides(guest: &Guest) -> Outcome {
    let mut daemon = Settings::default().start(guest)?;
    let watch = policy("watch", "", "index: 1, operator: Equal, values: [not touched yet]", "action: Post")?;
    daemon.add("watch", &watch)?;
    let cases = cases()?;
    let writes = guest.variant.has(Feature::UserRegisterWrite);
    for Case { name, options, number, told, .. } in &cases {
        let filter = format!("index: 0, operator: Equal, values: ['{number}']");
        let text = policy(name, options, &filter, &format!("action: Override, {told}"))?;
        if writes {
            daemon.add(name, &text)?;
            continue;
        }
        let refused = daemon.try_add(name, &text)?;
        ensure!(refused.status.code() == Some(1), "{name}: tetra ended with {}", refused.status);
        ensure!(refused.stderr.contains("uprobe_register_write"), "{name}: {}", refused.stderr);
    }
    if !writes {
        return Ok(());
    }
    let mut events = daemon.events()?;
    ensure!(overridden(0, FAR.text.as_ptr().cast()) == 1, "what is only watched");
    for Case { name, number, returns, .. } in &cases {
        let found = overridden(*number, WORDS.as_ptr());
        ensure!(found == *returns, "{name}: {found}");
    }
    ensure!(overridden(11, WORDS.as_ptr()) == 12, "what no policy matches");
    ensure!(FAR.before[0] == FAR.after[0], "what is around the text");
    let seen = daemon.settle(&mut events)?;
    let hooks = seen.iter().filter_map(|event| event.process_uprobe.as_ref());
    let found: Vec<(&str, &str)> = hooks.map(|hook| (&*hook.policy_name, &*hook.action)).collect();
    let overrides = cases.iter().map(|case| (case.name, "KPROBE_ACTION_OVERRIDE"));
    let expected: Vec<_> = [("watch", "KPROBE_ACTION_POST")].into_iter().chain(overrides).collect();
    ensure!(found == expected, "events: {found:?}");
    daemon.tetra_must(&["tracingpolicy", "set-mode", "returns", "monitor"])?;
    ensure!(overridden(1, WORDS.as_ptr()) == 2, "monitor mode overrides");
    let counted = (daemon.acted("returns", "override")?, daemon.acted("returns", "monitor_override")?);
    ensure!(counted == (1, 1), "{counted:?} overrides are counted");
    for Case { name, .. } in &cases {
        daemon.delete(name)?;
    }
    ensure!(overridden(9, WORDS.as_ptr()) == 10, "a policy that is gone overrides");
    ensure!(overridden(0, LATER.text.as_ptr().cast()) == 1, "what is only watched");
    ensure!(LATER.before[0] == LATER.after[0], "what is around the text");
    let seen = daemon.settle(&mut events)?;
    let watched = seen.iter().filter_map(|event| event.process_uprobe.as_ref()).next_back();
    ensure!(watched.is_some_and(|hook| hook.policy_name == "watch"), "the last event: {watched:?}");
    Ok(())
}
