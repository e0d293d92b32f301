//! What the kernel counts about loaded programs.

use std::sync::{Arc, OnceLock};

use bpf_probes::load::{Collection, LinkMisses};

use crate::policy::{Cost, Figures};

/// Collections that work together, such as a stub and the program behind it.
#[derive(Debug)]
pub struct LoadedFigures {
    collections: Vec<Arc<Collection>>,
    link: Option<LinkMisses>,
    /// Read once: it does not change while they are loaded.
    memory: OnceLock<u64>,
}

impl LoadedFigures {
    /// The figures of these, and of the link that hands calls to them.
    pub const fn new(collections: Vec<Arc<Collection>>, link: Option<LinkMisses>) -> Self {
        Self { collections, link, memory: OnceLock::new() }
    }
}

impl Figures for LoadedFigures {
    fn recursion_misses(&self) -> u64 {
        let programs = self.collections.iter().flat_map(|collection| collection.programs());
        programs.filter_map(|program| program.info().ok()).map(|info| info.recursion_misses).sum()
    }

    fn link_misses(&self) -> u64 {
        self.link.map_or(0, LinkMisses::count)
    }

    fn cost(&self) -> Cost {
        let programs = self.collections.iter().flat_map(|collection| collection.programs());
        let infos = programs.filter_map(|program| program.info().ok());
        infos.fold(Cost::default(), |sum, info| Cost {
            runs: sum.runs.max(info.run_count),
            time: sum.time + info.run_time,
            verified: sum.verified.saturating_add(info.verified_insns),
        })
    }

    fn memory(&self) -> u64 {
        let of = |collection: &Arc<Collection>| -> u64 {
            let programs = collection
                .programs()
                .iter()
                .filter_map(|program| program.info().ok())
                .map(|info| info.memory);
            let maps = collection.maps().iter().filter_map(|map| map.memory().ok());
            programs.chain(maps).sum()
        };
        *self.memory.get_or_init(|| self.collections.iter().map(of).sum())
    }
}
