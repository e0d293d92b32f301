//! Scenarios on stock kernels in virtual machines, with the real daemon and the real command line.
//!
//! Two sides share this package. The *host* side ([`vm`]) fetches kernels, packs an initramfs, boots QEMU and
//! listens. The *guest* side ([`scenario`], [`expect`], [`load`], [`bpf`]) is what the binary `e2e-guest` (folder
//! `scenarios/`) is written in; it runs inside the machine under `e2e-init` (folder `init/`). [`kernels`] says which
//! kernels there are and what each of them has; both sides read it.

pub mod bpf;
pub mod event;
pub mod expect;
pub mod kernels;
pub mod load;
pub mod report;
pub mod samples;
pub mod scenario;
pub mod vm;
