//! Members of a struct by name, as C finds them: through anonymous structs and unions too.

use super::kind::TypeId;
use super::parse::Btf;
use super::types::{Composite, Member, Type};

/// Anonymous structs within each other; the kernel has three.
const MAX_NESTING: u32 = 16;
/// Members looked at for one name, so that hostile BTF costs a bounded time.
const MAX_MEMBERS: u32 = 1 << 16;

impl Btf {
    /// The member of that name, searched through anonymous structs and unions; its offset counts from the outermost.
    pub(super) fn member(&self, within: &Composite<'_>, name: &str) -> Option<(u32, TypeId, Option<u8>)> {
        self.member_at(within, name, MAX_NESTING, &mut { MAX_MEMBERS })
    }

    fn member_at(
        &self,
        within: &Composite<'_>,
        name: &str,
        nesting: u32,
        budget: &mut u32,
    ) -> Option<(u32, TypeId, Option<u8>)> {
        for member in within.members() {
            *budget = budget.checked_sub(1)?;
            if member.name == name {
                return Some((member.bit_offset, member.type_id, member.bitfield));
            }
            let inner = self.anonymous(&member).filter(|_| nesting > 0);
            let found = inner.and_then(|inner| self.member_at(&inner, name, nesting - 1, budget));
            if let Some((offset, type_id, bitfield)) = found {
                return Some((member.bit_offset.checked_add(offset)?, type_id, bitfield));
            }
        }
        None
    }

    /// The anonymous struct or union that a member without a name is.
    fn anonymous(&self, member: &Member<'_>) -> Option<Composite<'_>> {
        if !member.name.is_empty() {
            return None;
        }
        match self.get(self.peel(member.type_id).ok()?).ok()? {
            Type::Struct(inner) | Type::Union(inner) => Some(inner),
            _ => None,
        }
    }

    /// Up to three field names that look like `wanted`, best first.
    pub(super) fn near(&self, within: &Composite<'_>, wanted: &str) -> Vec<String> {
        let mut names = Vec::new();
        self.collect_names(within, MAX_NESTING, &mut { MAX_MEMBERS }, &mut names);
        let limit = wanted.len() / 3 + 1;
        let mut scored: Vec<(usize, &str)> = names
            .into_iter()
            .map(|name| (distance(name, wanted), name))
            .filter(|&(score, name)| score <= limit || name.trim_matches('_') == wanted.trim_matches('_'))
            .collect();
        scored.sort_unstable();
        scored.dedup();
        scored.into_iter().take(3).map(|(_, name)| name.to_owned()).collect()
    }

    fn collect_names<'b>(
        &'b self,
        within: &Composite<'b>,
        nesting: u32,
        budget: &mut u32,
        names: &mut Vec<&'b str>,
    ) {
        for member in within.members() {
            if *budget == 0 {
                return;
            }
            *budget -= 1;
            if !member.name.is_empty() {
                names.push(member.name);
            } else if let Some(inner) = self.anonymous(&member).filter(|_| nesting > 0) {
                self.collect_names(&inner, nesting - 1, budget, names);
            }
        }
    }
}

/// Edit distance, counting inserted, removed and changed bytes.
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, left) in one.bytes().enumerate() {
        let mut diagonal = i;
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
        for (j, right) in other.bytes().enumerate() {
            let above = row[j + 1];
            let best = (diagonal + usize::from(left != right)).min(above + 1).min(row[j] + 1);
            row[j + 1] = best;
            diagonal = above;
        }
    }
    row.last().copied().unwrap_or(0)
}
