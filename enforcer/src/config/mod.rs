//! What the daemon is asked to do: flags, environment, files and defaults in, checked [`Settings`] out.
//!
//! Precedence as upstream: command line, then environment, then files (the last place wins), then defaults. [`Flags`] is what was typed,
//! [`Settings`] what was meant; nothing behind this module knows an option's name.

mod collector;
mod content;
mod document;
mod dropin;
mod environment;
mod export;
mod flags;
mod foreign;
mod load;
mod metrics;
mod rate;
mod server;
mod settings;

pub use content::ContentSettings;
pub use document::{Document, flags_reference};
pub use dropin::DropinError;
pub use export::{AggregationSettings, ExportSettings, ExportTarget};
pub(crate) use export::{MEBIBYTE, file_bytes, rotation_interval};
pub use flags::Flags;
pub use foreign::without_foreign;
pub use load::{ConfigError, Configuration, load};
pub use metrics::MetricSettings;
pub use server::{Clients, HealthSettings, ServerAddress, ServerSettings, TlsSettings, Wish};
pub use settings::{Bounds, KeepSettings, LogFormat, LogSettings, PolicyDirectory, Settings, SettingsError};
