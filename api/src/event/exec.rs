//! A process starts a program, and ends.

use std::borrow::Cow;
use std::sync::Arc;

use super::{ProcessRef, Timestamp};
use crate::name::PrivilegesChanged;

/// Inode of an executable.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct InodeProperties {
    /// Inode number.
    pub number: u64,
    /// Hard links; 0 means deleted or never linked (memfd).
    pub links: Option<u32>,
}

/// The file that the kernel resolved for an exec.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileProperties {
    /// Its inode.
    pub inode: Option<InodeProperties>,
    /// Its path.
    pub path: Box<str>,
}

/// What an exec says about its executable and about the privileges it changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BinaryProperties {
    /// New effective user id, where the set-user-id bit changed it.
    pub setuid: Option<u32>,
    /// New effective group id, where the set-group-id bit changed it.
    pub setgid: Option<u32>,
    /// How privileges were raised.
    pub privileges_changed: PrivilegesChanged,
    /// The executable.
    pub file: Option<FileProperties>,
}

/// `process_exec`: a process started a program, or was found running.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exec {
    /// Who.
    pub process: ProcessRef,
    /// Its parent.
    pub parent: Option<ProcessRef>,
    /// From the parent's parent upwards, where asked for.
    pub ancestors: Vec<ProcessRef>,
    /// Shown inside `process`; only this event has it.
    pub binary_properties: Option<Arc<BinaryProperties>>,
}

/// `process_exit`: the last thread of a process ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exit {
    /// Who.
    pub process: ProcessRef,
    /// Its parent.
    pub parent: Option<ProcessRef>,
    /// From the parent's parent upwards, where asked for.
    pub ancestors: Vec<ProcessRef>,
    /// Name of the fatal signal ([`crate::name::signal_name`]), empty for a normal exit.
    pub signal: Cow<'static, str>,
    /// Exit code, 0 to 255.
    pub status: u32,
    /// When.
    pub time: Option<Timestamp>,
}
