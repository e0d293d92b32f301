//! BTF that we load for our own objects: the functions of a program, the key and value of a map.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::sys::{self, FuncInfo, SysError, ValueType};
use crate::asm::{Code, Prototype};
use crate::btf::{BtfWriter, IntEncoding, Linkage, TypeId, WriteError};
use crate::spec::{MapKind, MapSpec};

/// Why BTF of ours could not be had.
#[derive(Debug, thiserror::Error)]
pub enum OwnBtfError {
    /// A type could not be written.
    #[error("could not be written: {0}")]
    Write(#[from] WriteError),
    /// The kernel refused it.
    #[error("was refused: {0}")]
    Load(#[from] SysError),
    /// A function begins beyond what 32 bits count.
    #[error("has a function at slot {slot}, beyond what 32 bits count")]
    Slot {
        /// First slot of the function.
        slot: usize,
    },
}

/// The functions of a program as the verifier wants to be told.
#[derive(Debug)]
pub(super) struct FunctionTypes {
    btf: OwnedFd,
    functions: Vec<FuncInfo>,
}

impl FunctionTypes {
    /// `None` for a program of one function whose name the kernel keeps without types. With several, the verifier must know which of them are callbacks (static ones) and which global, and that
    /// those which tail-call return a number (kernel/bpf/verifier.c: `check_btf_func`).
    pub(super) fn of(code: &Code) -> Result<Option<Self>, OwnBtfError> {
        if code.functions.iter().all(|function| function.name.len() <= sys::KEPT) && code.functions.len() < 2
        {
            return Ok(None);
        }
        let (bytes, functions) = describe(code)?;
        Ok(Some(Self { btf: sys::btf_load(&bytes)?, functions }))
    }

    pub(super) fn borrow(&self) -> (BorrowedFd<'_>, &[FuncInfo]) {
        (self.btf.as_fd(), &self.functions)
    }
}

/// Names of parameters: the kernel wants some (kernel/bpf/btf.c: `btf_func_check`, 5.10).
const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];

fn describe(code: &Code) -> Result<(Vec<u8>, Vec<FuncInfo>), OwnBtfError> {
    let mut writer = BtfWriter::new();
    let int = writer.int("int", 4, IntEncoding::Signed)?;
    let long = writer.int("long", 8, IntEncoding::Signed)?;
    let u32_type = writer.int("u32", 4, IntEncoding::Unsigned)?;
    let u64_type = writer.int("u64", 8, IntEncoding::Unsigned)?;
    let pointer = writer.pointer(TypeId::VOID)?;
    let mut functions = Vec::with_capacity(code.functions.len());
    for function in &code.functions {
        let scalars = |count: u8| -> Vec<(&str, TypeId)> {
            NAMES.iter().take(usize::from(count)).map(|name| (*name, u64_type)).collect()
        };
        let (returns, parameters, linkage) = match function.prototype {
            Prototype::Main => (int, vec![("ctx", pointer)], Linkage::Global),
            Prototype::Static { arguments } => (long, scalars(arguments), Linkage::Static),
            Prototype::LoopCallback => (long, vec![("index", u32_type), ("ctx", pointer)], Linkage::Static),
            Prototype::Global { arguments } => (long, scalars(arguments), Linkage::Global),
        };
        let prototype = writer.prototype(returns, &parameters)?;
        let type_id = writer.function(&function.name, prototype, linkage)?.get();
        let slot = function.slot;
        let slot = u32::try_from(slot).map_err(|_far| OwnBtfError::Slot { slot })?;
        functions.push(FuncInfo { slot, type_id });
    }
    Ok((writer.finish(), functions))
}

/// The types of a map's key and value, for the kinds that want them.
#[derive(Debug)]
pub(super) struct MapTypes {
    btf: OwnedFd,
    key: TypeId,
    value: TypeId,
}

impl MapTypes {
    /// `None` for kinds that the kernel takes without. Task storage wants an `int` as key and a value of the right size
    /// (`kernel/bpf/bpf_local_storage.c: bpf_local_storage_map_check_btf`, 5.11).
    pub(super) fn of(spec: &MapSpec) -> Result<Option<Self>, OwnBtfError> {
        if spec.kind != MapKind::TaskStorage {
            return Ok(None);
        }
        let mut writer = BtfWriter::new();
        let key = writer.int("int", 4, IntEncoding::Signed)?;
        let byte = writer.int("u8", 1, IntEncoding::Unsigned)?;
        let value = writer.array(byte, key, spec.value_size)?;
        let btf = sys::btf_load(&writer.finish())?;
        Ok(Some(Self { btf, key, value }))
    }

    pub(super) fn borrow(&self) -> ValueType<'_> {
        ValueType { btf: self.btf.as_fd(), key: self.key.get(), value: self.value.get() }
    }
}
