//! Addresses of stacks to names.

mod functions;
mod kernel;
mod mapping;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use api::event::StackFrame;

use crate::pipeline::decode::Frames;
use crate::pipeline::patience::Patience;
use functions::{Known, names};
use kernel::KernelSymbols;
use mapping::{Place, places};

/// How long a look at the mappings of a process may take, and one at the files: whoever holds them locked makes the reader wait. What is read of a file later
/// is there for the next stack.
const PATIENCE: Duration = Duration::from_millis(50);

/// Names the frames of stacks.
#[derive(Debug)]
pub(crate) struct Symbols {
    procfs: PathBuf,
    /// Events show the addresses themselves.
    show_addresses: bool,
    kernel: KernelSymbols,
    mappings: Patience<mapping::Question, Vec<Place>>,
    functions: Patience<functions::Question, Vec<Box<str>>>,
    known: Arc<Known>,
}

impl Symbols {
    /// Nothing is read before the first stack.
    pub(crate) fn new(procfs: &Path, show_addresses: bool) -> Self {
        Self {
            procfs: procfs.to_owned(),
            show_addresses,
            kernel: KernelSymbols::new(procfs.join("kallsyms")),
            mappings: Patience::new("mappings"),
            functions: Patience::new("functions"),
            known: Arc::default(),
        }
    }

    /// A stack of the kernel: functions and offsets in them, as far as they are known.
    pub(crate) fn kernel(&mut self, frames: Frames<'_>) -> Vec<StackFrame> {
        let show = self.show_addresses;
        let frames = frames.addresses().map(|address| {
            let (symbol, offset) = self.kernel.find(address).unwrap_or_default();
            StackFrame {
                address: if show { address } else { 0 },
                offset,
                symbol: symbol.into(),
                module: "".into(),
            }
        });
        frames.collect()
    }

    /// A stack of the process `tgid`: mapped files, offsets in them and functions, as far as it still runs.
    pub(crate) fn user(&mut self, tgid: u32, frames: Frames<'_>) -> Vec<StackFrame> {
        let addresses: Vec<u64> = frames.addresses().collect();
        if addresses.is_empty() {
            return Vec::new();
        }
        let process = self.procfs.join(tgid.to_string());
        let question = mapping::Question { maps: process.join("maps"), addresses: addresses.clone() };
        let places = self.mappings.ask(question, PATIENCE, places).unwrap_or_default();
        let names = self.names(&process.join("map_files"), &places);
        let places = places.into_iter().chain(std::iter::repeat_with(Place::default));
        let names = names.into_iter().chain(std::iter::repeat_with(Box::default));
        let frames =
            addresses.into_iter().zip(places).zip(names).map(|((address, place), name)| StackFrame {
                address: if self.show_addresses { address } else { 0 },
                offset: place.offset,
                symbol: name,
                module: place.module,
            });
        frames.collect()
    }

    /// The functions of places, in their order, as far as they are known in time.
    fn names(&mut self, map_files: &Path, places: &[Place]) -> Vec<Box<str>> {
        if places.iter().all(|place| place.mapping.is_empty()) {
            return Vec::new();
        }
        // where there is no mapping, the name is that of a directory
        let places = places.iter().map(|place| (map_files.join(&*place.mapping), place.offset)).collect();
        let question = functions::Question { places, known: Arc::clone(&self.known) };
        self.functions.ask(question, PATIENCE, names).unwrap_or_default()
    }
}
