//! Threads that are still on their way through what a function called before its trampoline was replaced.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader};

/// Begins the symbols of trampolines; the key of the function follows (`kernel/bpf/trampoline.c: bpf_tramp_image_alloc`).
const TRAMPOLINE: &[u8] = b"bpf_trampoline_";
/// Ends the lines of symbols of BPF, its programs included.
const OF_BPF: &[u8] = b"[bpf]";

/// How many trampolines that were replaced the kernel still has, since threads may be in them; `None` where it does not list what is compiled
/// (`net.core.bpf_jit_kallsyms` is off, or `net.core.bpf_jit_harden` on).
///
/// A program that is attached to a function, or detached from it, gets the function a new trampoline. A thread that lost its CPU in the old one goes on in it, and passes by programs that
/// were attached since, and from 7.2 on by those that were detached since (`kernel/bpf/trampoline.c: bpf_trampoline_skip_prog`). The old one and its symbol go when
/// every thread was seen outside (`bpf_tramp_image_put`, a grace period of RCU tasks: up to a second on an idle machine).
///
/// # Errors
/// `/proc/kallsyms` cannot be read.
pub fn replaced_trampolines() -> io::Result<Option<usize>> {
    replaced_in(BufReader::new(File::open("/proc/kallsyms")?))
}

fn replaced_in(mut symbols: impl BufRead) -> io::Result<Option<usize>> {
    let mut trampolines = BTreeMap::new();
    let (mut line, mut listed) = (Vec::new(), false);
    while symbols.read_until(b'\n', &mut line)? > 0 {
        let text = line.trim_ascii_end();
        if text.ends_with(OF_BPF) {
            listed = true;
            let name = text.split(u8::is_ascii_whitespace).nth(2).unwrap_or_default();
            if name.starts_with(TRAMPOLINE) {
                *trampolines.entry(name.to_owned()).or_insert(0_usize) += 1;
            }
        }
        line.clear();
    }
    Ok(listed.then(|| trampolines.values().map(|images| images - 1).sum()))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_function_with_two_trampolines_has_one_that_was_replaced() {
        let text = "ffffffff81000000 T _text\n\
            ffffffffc0800000 t bpf_prog_6deef7357e7b4530_file_open\t[bpf]\n\
            ffffffffc0801000 t bpf_trampoline_6442516934\t[bpf]\n\
            ffffffffc0802000 t bpf_trampoline_6442516935\t[bpf]\n";
        assert_eq!(replaced_in(text.as_bytes()).unwrap(), Some(0));
        let again = "ffffffffc0803000 t bpf_trampoline_6442516934\t[bpf]\n";
        assert_eq!(replaced_in([text, again].concat().as_bytes()).unwrap(), Some(1));
        // addresses are hidden under kernel.kptr_restrict=2, names are not
        let hidden = "0000000000000000 t bpf_trampoline_6442516935\t[bpf]\n";
        assert_eq!(replaced_in([text, again, hidden].concat().as_bytes()).unwrap(), Some(2));
    }

    #[test]
    fn a_kernel_that_hides_what_it_compiled_does_not_say() {
        let text = "ffffffff81000000 T _text\nffffffffc0000000 t bpf_trampoline_1\t[other]\n";
        assert_eq!(replaced_in(text.as_bytes()).unwrap(), None);
    }
}
