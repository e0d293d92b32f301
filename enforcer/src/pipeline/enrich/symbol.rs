//! Addresses of stacks to names.

mod kernel;
mod mapping;

use std::path::{Path, PathBuf};
use std::time::Duration;

use api::event::StackFrame;

use crate::pipeline::decode::Frames;
use crate::pipeline::patience::Patience;
use kernel::KernelSymbols;
use mapping::{Place, Question, places};

/// How long a look at the mappings of a process may take: whoever holds them locked makes the reader wait.
const PATIENCE: Duration = Duration::from_millis(50);

/// Names the frames of stacks.
#[derive(Debug)]
pub(crate) struct Symbols {
    procfs: PathBuf,
    /// Events show the addresses themselves.
    show_addresses: bool,
    kernel: KernelSymbols,
    mappings: Patience<Question, Vec<Place>>,
}

impl Symbols {
    /// Nothing is read before the first stack.
    pub(crate) fn new(procfs: &Path, show_addresses: bool) -> Self {
        Self {
            procfs: procfs.to_owned(),
            show_addresses,
            kernel: KernelSymbols::new(procfs.join("kallsyms")),
            mappings: Patience::new("mappings"),
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

    /// A stack of the process `tgid`: mapped files and offsets in them, as far as it still runs.
    pub(crate) fn user(&mut self, tgid: u32, frames: Frames<'_>) -> Vec<StackFrame> {
        let addresses: Vec<u64> = frames.addresses().collect();
        if addresses.is_empty() {
            return Vec::new();
        }
        let maps = self.procfs.join(tgid.to_string()).join("maps");
        let question = Question { maps, addresses: addresses.clone() };
        let places = self.mappings.ask(question, PATIENCE, places).unwrap_or_default();
        let places = places.into_iter().chain(std::iter::repeat_with(Place::default));
        let frames = addresses.into_iter().zip(places).map(|(address, place)| StackFrame {
            address: if self.show_addresses { address } else { 0 },
            offset: place.offset,
            symbol: "".into(),
            module: place.module,
        });
        frames.collect()
    }
}
