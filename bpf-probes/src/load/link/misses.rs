//! Calls that the kernel does not hand to a link.

use std::os::fd::AsFd as _;

use super::attach::Link;
use crate::load::sys::{self, LinkFacts};

/// Tells how many calls of kernel functions were not handed to a link, for a kprobe was running on that CPU. It does not keep the link in its place:
/// it knows its number, which no other link has soon (`kernel/bpf/syscall.c: bpf_link_alloc_id` gives them out in a circle), and looks it up at each count.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LinkMisses {
    id: u32,
}

impl LinkMisses {
    /// Those of a link; none where a program hangs on a perf event without a link (before 5.15).
    pub fn of(link: &Link) -> Option<Self> {
        let facts = sys::link_facts(link.object()?).ok()?;
        Some(Self { id: facts.id })
    }

    /// How many since it was attached; 0 where the kernel does not count them (before 6.7), and of a link that is gone.
    pub fn count(self) -> u64 {
        let facts = sys::link_by_id(self.id).and_then(|link| sys::link_facts(link.as_fd()));
        facts.map_or(0, |LinkFacts { missed, .. }| missed)
    }
}
