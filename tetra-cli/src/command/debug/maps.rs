//! `tetra debug maps`: the memory of maps.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use bpf_probes::load::{RunningMap, running_maps};
use serde::Serialize;

use super::holdings::{HoldingsError, Ours};
use super::kind::map_kind;
use crate::print::{Table, bytes, escape};

/// What maps take, by the names that upstream's JSON has; what is 0 or empty is left out of that.
#[derive(Debug, Serialize)]
pub(crate) struct MapReport {
    total_memlock_bytes: Memory,
    maps_stats: Numbers,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    diff_maps: Vec<OneMap>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    aggregated_maps: Vec<Namesakes>,
}

#[derive(Debug, Default, PartialEq, Eq, Serialize)]
#[expect(clippy::struct_field_names, reason = "the names of upstream's JSON")]
struct Memory {
    #[serde(skip_serializing_if = "is_zero")]
    all_maps: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pinned_progs_maps: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pinned_maps: u64,
}

#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct Numbers {
    #[serde(skip_serializing_if = "is_none")]
    pinned_progs_maps: usize,
    #[serde(skip_serializing_if = "is_none")]
    pinned_maps: usize,
    #[serde(skip_serializing_if = "is_none")]
    inter: usize,
    #[serde(skip_serializing_if = "is_none")]
    exter: usize,
    #[serde(skip_serializing_if = "is_none")]
    union: usize,
    #[serde(skip_serializing_if = "is_none")]
    diff: usize,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct OneMap {
    id: u32,
    name: String,
    r#type: String,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
    memlock_bytes: u64,
}

/// Maps of one name. Sizes are those of the first.
#[derive(Debug, PartialEq, Serialize)]
struct Namesakes {
    name: String,
    r#type: String,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
    count: u64,
    total_memlock_bytes: u64,
    percent_of_total: f64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde asks for it")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde asks for it")]
const fn is_none(number: &usize) -> bool {
    *number == 0
}

impl MapReport {
    /// The report on this machine, with the daemon's pins in `folder` and its run directory `run`.
    pub(crate) fn of_machine(folder: &Path, run: &Path) -> Result<Self, HoldingsError> {
        let ours = Ours::find(folder, run)?;
        Ok(Self::new(&running_maps()?, &ours))
    }

    fn new(maps: &[RunningMap], ours: &Ours) -> Self {
        let kept: BTreeSet<u32> = ours.maps.keys().copied().collect();
        let memory = |wanted: &dyn Fn(&u32) -> bool| {
            maps.iter().filter(|map| wanted(&map.id)).map(|map| map.memory).fold(0, u64::saturating_add)
        };
        let diff: Vec<_> =
            maps.iter().filter(|map| kept.contains(&map.id) && !ours.used.contains(&map.id)).collect();
        let union = maps.iter().filter(|map| kept.contains(&map.id) || ours.used.contains(&map.id));
        Self {
            total_memlock_bytes: Memory {
                all_maps: memory(&|_| true),
                pinned_progs_maps: memory(&|id| ours.used.contains(id)),
                pinned_maps: memory(&|id| kept.contains(id)),
            },
            maps_stats: Numbers {
                pinned_progs_maps: ours.used.len(),
                pinned_maps: kept.len(),
                inter: ours.used.intersection(&kept).count(),
                exter: ours.used.symmetric_difference(&kept).count(),
                union: ours.used.union(&kept).count(),
                diff: kept.difference(&ours.used).count(),
            },
            diff_maps: diff.into_iter().map(OneMap::new).collect(),
            aggregated_maps: names(union),
        }
    }

    /// The report as one line of JSON.
    pub(crate) fn json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self).map(|text| text + "\n")
    }

    /// The report as four tables, the last with at most so many lines; 0 for all.
    pub(super) fn tables(&self, lines: usize) -> String {
        let memory = &self.total_memlock_bytes;
        let mut first = Table::default();
        first.row(["AllMaps", "PinnedProgsMaps", "PinnedMaps"]);
        first.row([bytes(memory.all_maps), bytes(memory.pinned_progs_maps), bytes(memory.pinned_maps)]);
        let numbers = &self.maps_stats;
        let mut second = Table::default();
        second.row(["PinnedProgsMaps", "PinnedMaps", "Inter", "Exter", "Union", "Diff"]);
        second.row(
            [
                numbers.pinned_progs_maps,
                numbers.pinned_maps,
                numbers.inter,
                numbers.exter,
                numbers.union,
                numbers.diff,
            ]
            .map(|number| number.to_string()),
        );
        let (third, fourth) = (self.unused(), self.dearest(lines));
        format!("{}\n{}\n{third}\n{fourth}", first.render(), second.render())
    }

    fn unused(&self) -> String {
        if self.diff_maps.is_empty() {
            return "Empty diff table\n".to_owned();
        }
        let mut table = Table::default();
        table.row(["ID", "Name", "Type", "KeySize", "ValueSize", "MaxEntries", "Memlock"]);
        for map in &self.diff_maps {
            table.row([
                map.id.to_string(),
                escape::word(&map.name).into_owned(),
                map.r#type.clone(),
                map.key_size.to_string(),
                map.value_size.to_string(),
                map.max_entries.to_string(),
                bytes(map.memlock_bytes),
            ]);
        }
        table.render()
    }

    fn dearest(&self, lines: usize) -> String {
        if self.aggregated_maps.is_empty() {
            return "Empty BPF memory consumption table\n".to_owned();
        }
        let mut table = Table::default();
        let titles =
            ["Name", "Type", "KeySize", "ValueSize", "MaxEntries", "Count", "TotalMemlock", "PercentOfTotal"];
        table.row(titles);
        let lines = if lines == 0 { usize::MAX } else { lines };
        for name in self.aggregated_maps.iter().take(lines) {
            table.row([
                escape::word(&name.name).into_owned(),
                name.r#type.clone(),
                name.key_size.to_string(),
                name.value_size.to_string(),
                name.max_entries.to_string(),
                name.count.to_string(),
                bytes(name.total_memlock_bytes),
                format!("{:.1}%", name.percent_of_total),
            ]);
        }
        table.render()
    }
}

impl OneMap {
    fn new(map: &RunningMap) -> Self {
        Self {
            id: map.id,
            name: map.name.clone(),
            r#type: map_kind(map.kind),
            key_size: map.key_size,
            value_size: map.value_size,
            max_entries: map.max_entries,
            memlock_bytes: map.memory,
        }
    }
}

/// The maps by name, the dearest first.
fn names<'map>(maps: impl Iterator<Item = &'map RunningMap>) -> Vec<Namesakes> {
    let mut names: BTreeMap<&str, Namesakes> = BTreeMap::new();
    let mut total = 0_u64;
    for map in maps {
        total = total.saturating_add(map.memory);
        let name = names.entry(&map.name).or_insert_with(|| Namesakes {
            name: map.name.clone(),
            r#type: map_kind(map.kind),
            key_size: map.key_size,
            value_size: map.value_size,
            max_entries: map.max_entries,
            count: 0,
            total_memlock_bytes: 0,
            percent_of_total: 0.0,
        });
        name.count += 1;
        name.total_memlock_bytes = name.total_memlock_bytes.saturating_add(map.memory);
    }
    let mut names: Vec<Namesakes> = names.into_values().collect();
    #[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
    for name in &mut names {
        name.percent_of_total = name.total_memlock_bytes as f64 / (total.max(1)) as f64 * 100.0;
    }
    names.sort_by(|one, other| {
        other.total_memlock_bytes.cmp(&one.total_memlock_bytes).then(one.name.cmp(&other.name))
    });
    names
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn map(id: u32, name: &str, memory: u64) -> RunningMap {
        RunningMap { id, name: name.to_owned(), kind: 1, key_size: 4, value_size: 8, max_entries: 16, memory }
    }

    /// 1 and 2 are used, 2, 3 and 4 are kept, 5 is somebody else's.
    fn report() -> MapReport {
        let maps = [
            map(1, "a", 1_000),
            map(2, "b", 2_000),
            map(3, "b", 3_000),
            map(4, "c\u{1b}", 4_000),
            map(5, "d", 90_000),
        ];
        let ours = Ours {
            programs: BTreeMap::new(),
            maps: [2, 3, 4].map(|id| (id, None)).into(),
            used: [1, 2].into(),
        };
        MapReport::new(&maps, &ours)
    }

    // proves: CLI-19 (maps)
    #[test]
    fn maps_are_summed_by_who_keeps_them_and_by_name() {
        let expected = "\
AllMaps   PinnedProgsMaps   PinnedMaps
100 kB    3 kB              9 kB

PinnedProgsMaps   PinnedMaps   Inter   Exter   Union   Diff
2                 3            1       3       4       2

ID   Name      Type   KeySize   ValueSize   MaxEntries   Memlock
3    b         Hash   4         8           16           3 kB
4    \"c\\x1b\"   Hash   4         8           16           4 kB

Name      Type   KeySize   ValueSize   MaxEntries   Count   TotalMemlock   PercentOfTotal
b         Hash   4         8           16           2       5 kB           50.0%
\"c\\x1b\"   Hash   4         8           16           1       4 kB           40.0%
a         Hash   4         8           16           1       1 kB           10.0%
";
        assert_eq!(report().tables(0), expected);
        assert!(!report().tables(2).contains("\na "));
    }

    #[test]
    fn json_has_upstreams_names_and_leaves_out_what_is_not_there() {
        let json: serde_json::Value = serde_json::from_str(&report().json().unwrap()).unwrap();
        assert_eq!(json["total_memlock_bytes"]["all_maps"], 100_000);
        assert_eq!(json["maps_stats"]["diff"], 2);
        assert_eq!(json["diff_maps"][0]["memlock_bytes"], 3_000);
        assert_eq!(json["aggregated_maps"][0]["total_memlock_bytes"], 5_000);
        let none = MapReport::new(&[], &Ours::default());
        assert_eq!(none.json().unwrap(), "{\"total_memlock_bytes\":{},\"maps_stats\":{}}\n");
        assert!(none.tables(0).ends_with("\nEmpty diff table\n\nEmpty BPF memory consumption table\n"));
    }
}
