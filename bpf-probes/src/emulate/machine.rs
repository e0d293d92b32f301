//! Programs and maps that belong together, and their runs.

use super::address;
use super::context::Context;
use super::fault::{Fault, FaultKind, Place};
use super::map::{Content, Map, Ring};
use super::run;
use super::world::World;
use crate::asm::{Code, Reference};
use crate::insn::{Class, Insn, Register, alu};
use crate::spec::{CollectionSpec, MapSpec, ProgramKind};

/// Why a collection cannot be loaded.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum MachineError {
    /// A map cannot be made as its blueprint says.
    #[error("map {map}: {reason}")]
    Map {
        /// The map.
        map: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A map of this name is there, but made differently.
    #[error("map {map} is imported with another shape than it was made with")]
    Import {
        /// The map.
        map: String,
    },
    /// A program names a map that its collection does not.
    #[error("program {program} uses map {map}, which its collection neither makes nor imports")]
    UnknownMap {
        /// The program.
        program: String,
        /// The map.
        map: String,
    },
    /// A program or map that is to be put into a map is not there, or the map holds none of the kind.
    #[error("{name} cannot be put into map {map}")]
    Slot {
        /// The map.
        map: String,
        /// What was to be put in.
        name: String,
    },
    /// More maps than the machine has addresses for.
    #[error("the machine has room for {} maps", address::MAPS)]
    TooManyMaps,
}

/// Whom a signal goes to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SignalTarget {
    /// The current process.
    Process,
    /// The current thread.
    Thread,
}

/// A signal that a program sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Signal {
    /// Its number.
    pub number: u32,
    /// Whom it goes to.
    pub target: SignalTarget,
}

/// What one run did besides changing maps.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Outcome {
    /// `R0` at the end.
    pub r0: u64,
    /// Instructions executed, helper calls counting one.
    pub steps: u64,
    /// Helper and kernel function calls.
    pub calls: u64,
    /// Signals in order.
    pub signals: Vec<Signal>,
    /// What the last `bpf_override_return` makes the function return.
    pub override_errno: Option<i64>,
    /// The context as the program left it, where it wrote there.
    pub context: Option<Vec<u8>>,
    /// Plain loads through kernel pointers that read 0 because nothing was mapped there or a fault was asked for.
    pub unmapped_loads: u64,
    /// Calls of `bpf_probe_read_*` and `bpf_copy_from_user`, as [`super::ReadFaults::fail_read`] counts them.
    pub reads: u64,
}

impl Outcome {
    /// `R0` as the signed 32-bit number that the kernel takes it for.
    pub fn result(&self) -> i32 {
        super::alu::low32(self.r0).cast_signed()
    }
}

/// What a reference in the code stands for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Target {
    Map(usize),
    MapValue { map: usize, offset: u32 },
    Kfunc(String),
}

/// A program ready to run.
#[derive(Clone, Debug)]
pub(super) struct Program {
    pub(super) name: String,
    pub(super) kind: ProgramKind,
    pub(super) code: Code,
    /// By slot, in order.
    pub(super) targets: Vec<(usize, Target)>,
    /// For each function by its first slot: bytes of stack that its code names.
    depths: Vec<(usize, usize)>,
}

impl Program {
    pub(super) fn target(&self, slot: usize) -> Option<&Target> {
        let index = self.targets.binary_search_by_key(&slot, |(slot, _)| *slot).ok()?;
        self.targets.get(index).map(|(_, target)| target)
    }

    /// Bytes of stack that the code of a function names, whether it reaches that code or not.
    pub(super) fn stack_depth(&self, function: usize) -> usize {
        let index = self.depths.binary_search_by_key(&function, |(slot, _)| *slot);
        index.ok().and_then(|index| self.depths.get(index)).map_or(0, |(_, depth)| *depth)
    }

    /// The instruction at a slot, for a person to read.
    pub(super) fn place(&self, slot: usize) -> Place {
        let function = self.code.function_at(slot).map(|function| function.name.clone()).unwrap_or_default();
        let insn = self.code.insns.get(slot).copied();
        let high = self.code.insns.get(slot + 1).map(|next| next.imm);
        Place {
            program: self.name.clone(),
            function,
            slot,
            origin: self.code.origins.get(slot).copied().unwrap_or_default(),
            instruction: insn.map(|insn| crate::insn::text(insn, high)).unwrap_or_default(),
        }
    }
}

/// For each function: how far down from the frame pointer its code reaches, directly or by an address that it takes.
fn stack_depths(code: &Code) -> Vec<(usize, usize)> {
    let ends = code.functions.iter().skip(1).map(|function| function.slot).chain([code.insns.len()]);
    let depth = |insns: &[Insn]| {
        let direct = insns.iter().filter_map(|insn| match insn.class() {
            Class::Ldx if insn.src == Register::R10.number() => Some(i32::from(insn.offset)),
            Class::St | Class::Stx if insn.dst == Register::R10 => Some(i32::from(insn.offset)),
            Class::Ldx
            | Class::St
            | Class::Stx
            | Class::Ld
            | Class::Alu32
            | Class::Alu64
            | Class::Jmp
            | Class::Jmp32 => None,
        });
        let taken = insns.windows(2).filter_map(|pair| match pair {
            [first, second]
                if first.opcode == alu::mov_reg(first.dst, Register::R10).opcode
                    && first.src == Register::R10.number()
                    && *second == alu::add_imm(first.dst, second.imm) =>
            {
                Some(second.imm)
            }
            _ => None,
        });
        let lowest = direct.chain(taken).min().unwrap_or(0).min(0);
        usize::try_from(lowest.unsigned_abs()).unwrap_or(usize::MAX)
    };
    code.functions
        .iter()
        .zip(ends)
        .map(|(function, end)| (function.slot, depth(code.insns.get(function.slot..end).unwrap_or_default())))
        .collect()
}

/// All that runs change.
#[derive(Clone, Debug)]
pub(super) struct State {
    pub(super) maps: Vec<Map>,
    pub(super) world: World,
    pub(super) cpus: u32,
}

/// Programs, maps and the world around them. Where several maps or programs have one name, the name means the newest.
#[derive(Clone, Debug)]
pub struct Machine {
    programs: Vec<Program>,
    state: State,
    budget: u64,
}

impl Machine {
    /// Instructions that a run may take unless [`Machine::set_budget`] says otherwise.
    pub const BUDGET: u64 = 10_000_000;

    /// Loads a collection on a machine with two CPUs.
    ///
    /// # Errors
    /// See [`MachineError`].
    pub fn new(spec: &CollectionSpec) -> Result<Self, MachineError> {
        Self::with_cpus(spec, 2)
    }

    /// Loads a collection on a machine with this many CPUs, at least one.
    ///
    /// # Errors
    /// See [`MachineError`].
    pub fn with_cpus(spec: &CollectionSpec, cpus: u32) -> Result<Self, MachineError> {
        let state = State { maps: Vec::new(), world: World::default(), cpus: cpus.max(1) };
        let mut machine = Self { programs: Vec::new(), state, budget: Self::BUDGET };
        machine.load(spec)?;
        Ok(machine)
    }

    /// Loads a further collection. Its imports are the newest maps of these names; those that are not there are made.
    ///
    /// # Errors
    /// See [`MachineError`]; what was loaded before stays as it was.
    pub fn load(&mut self, spec: &CollectionSpec) -> Result<(), MachineError> {
        let (maps, programs) = (self.state.maps.len(), self.programs.len());
        let loaded = self.load_all(spec);
        if loaded.is_err() {
            self.state.maps.truncate(maps);
            self.programs.truncate(programs);
        }
        loaded
    }

    fn load_all(&mut self, spec: &CollectionSpec) -> Result<(), MachineError> {
        let mut names = Vec::new();
        for map in &spec.imports {
            let number = match self.map_number(&map.name) {
                Some(number) if map.is_compatible(self.state.maps[number].spec()) => number,
                Some(_) => return Err(MachineError::Import { map: map.name.clone() }),
                None => self.make(map)?,
            };
            names.push((map.name.as_str(), number));
        }
        for map in &spec.maps {
            names.push((map.name.as_str(), self.make(map)?));
        }
        for program in &spec.programs {
            let find = |name: &str| {
                names.iter().rev().find(|(known, _)| *known == name).map(|(_, number)| *number).ok_or_else(
                    || MachineError::UnknownMap { program: program.name.clone(), map: name.to_owned() },
                )
            };
            let mut targets = Vec::new();
            for relocation in &program.code.relocations {
                let target = match &relocation.reference {
                    Reference::Map(name) => Target::Map(find(name)?),
                    Reference::MapValue { map, offset } => {
                        Target::MapValue { map: find(map)?, offset: *offset }
                    }
                    Reference::Kfunc(name) => Target::Kfunc(name.clone()),
                    Reference::Subprogram(_) => continue,
                };
                targets.push((relocation.slot, target));
            }
            self.programs.push(Program {
                name: program.name.clone(),
                kind: program.kind,
                code: program.code.clone(),
                targets,
                depths: stack_depths(&program.code),
            });
        }
        Ok(())
    }

    fn make(&mut self, spec: &MapSpec) -> Result<usize, MachineError> {
        if self.state.maps.len() >= address::MAPS {
            return Err(MachineError::TooManyMaps);
        }
        let map = Map::new(spec, self.state.cpus)
            .map_err(|reason| MachineError::Map { map: spec.name.clone(), reason })?;
        self.state.maps.push(map);
        Ok(self.state.maps.len() - 1)
    }

    fn map_number(&self, name: &str) -> Option<usize> {
        self.state.maps.iter().rposition(|map| map.spec().name == name)
    }

    /// The world around the programs.
    pub fn world(&self) -> &World {
        &self.state.world
    }

    /// The world around the programs, to change it.
    pub fn world_mut(&mut self) -> &mut World {
        &mut self.state.world
    }

    /// How many instructions a run may take.
    pub fn set_budget(&mut self, steps: u64) {
        self.budget = steps;
    }

    /// The map with this name.
    pub fn map(&self, name: &str) -> Option<&Map> {
        self.state.maps.get(self.map_number(name)?)
    }

    /// The map with this name, to change it.
    pub fn map_mut(&mut self, name: &str) -> Option<&mut Map> {
        let number = self.map_number(name)?;
        self.state.maps.get_mut(number)
    }

    /// The ring buffer with this name.
    pub fn ring(&self, name: &str) -> Option<&Ring> {
        match self.map(name)?.content() {
            Content::Ring(ring) => Some(ring),
            Content::Values { .. } | Content::Programs(_) | Content::Maps(_) => None,
        }
    }

    /// The ring buffer with this name, to take records out.
    pub fn ring_mut(&mut self, name: &str) -> Option<&mut Ring> {
        match self.map_mut(name)?.content_mut() {
            Content::Ring(ring) => Some(ring),
            Content::Values { .. } | Content::Programs(_) | Content::Maps(_) => None,
        }
    }

    /// Puts a program into a program array.
    ///
    /// # Errors
    /// [`MachineError::Slot`] for an unknown program, another kind of map or an index past its end.
    pub fn set_program(&mut self, map: &str, index: u32, program: &str) -> Result<(), MachineError> {
        let error = || MachineError::Slot { map: map.to_owned(), name: program.to_owned() };
        let number = self.programs.iter().rposition(|known| known.name == program).ok_or_else(error)?;
        let array = self.map_mut(map).filter(|array| array.has_index(index)).ok_or_else(error)?;
        match array.content_mut() {
            Content::Programs(programs) => programs.insert(index, number),
            Content::Values { .. } | Content::Ring(_) | Content::Maps(_) => return Err(error()),
        };
        Ok(())
    }

    /// Takes what is at an index out of a program array.
    pub fn clear_program(&mut self, map: &str, index: u32) {
        if let Some(Content::Programs(programs)) = self.map_mut(map).map(Map::content_mut) {
            programs.remove(&index);
        }
    }

    /// Puts a map into a map of maps.
    ///
    /// # Errors
    /// [`MachineError::Slot`] for an unknown map, another kind of map or a key of another size.
    pub fn set_inner(&mut self, outer: &str, key: &[u8], inner: &str) -> Result<(), MachineError> {
        let error = || MachineError::Slot { map: outer.to_owned(), name: inner.to_owned() };
        let number = self.map_number(inner).ok_or_else(error)?;
        let outer = self.map_mut(outer).ok_or_else(error)?;
        if outer.spec().key_size as usize != key.len() {
            return Err(error());
        }
        match outer.content_mut() {
            Content::Maps(maps) => maps.insert(key.to_vec(), number),
            Content::Values { .. } | Content::Ring(_) | Content::Programs(_) => return Err(error()),
        };
        Ok(())
    }

    /// Runs a program once, on the world's current CPU and task.
    ///
    /// # Errors
    /// A [`Fault`] for whatever the kernel would refuse; maps keep what the program did until then.
    pub fn run(&mut self, program: &str, context: Context) -> Result<Outcome, Fault> {
        let Some(number) = self.programs.iter().rposition(|known| known.name == program) else {
            let kind = FaultKind::UnknownProgram { name: program.to_owned() };
            return Err(Fault { at: Box::default(), kind });
        };
        let result = run::run(&self.programs, &mut self.state, number, context, self.budget);
        for map in &mut self.state.maps {
            map.reclaim();
        }
        result
    }
}
