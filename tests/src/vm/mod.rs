//! The host side: fetch a kernel, pack an initramfs, boot it under QEMU, listen to what comes back.
//!
//! In goes a [`Kernel`](crate::kernels::Kernel) and a [`Job`]; out come the job's lines, its files and its end.
//! Invariants: a machine never outlives its [`Machine`] value; every wait has a deadline; a kernel's panic ends
//! the wait at once, with the last lines of the console in the error.

mod apt;
mod build;
mod image;
mod init;
mod kernel;
mod qemu;
mod serial;
mod unpack;

pub use image::{Image, ImageError};
pub use init::{JOB_PATH, Job, MODULE_DIR, OUT_DIR};
pub use kernel::{Cache, FetchError, KernelFiles};
pub use qemu::{BootError, Emulation, Machine, Options, Timing, boot_and_run, interactive};
pub use serial::{End, Message};
pub use unpack::{UnpackError, Unpacked, bz_image};
