//! From what the parts count to samples, one file for each part.

mod events;
mod kernel;
mod path;
mod policies;
mod process;
mod sinks;

use super::catalogue::BUILD_INFO;
use super::page::Page;
use crate::server::Observed;

/// The samples of now.
pub(super) fn page(observed: &Observed) -> Page {
    let mut page = Page::default();
    let version = concat!("v", env!("CARGO_PKG_VERSION"));
    // A build that nobody stamped says so; Go is not what this is written in.
    page.add(&BUILD_INFO, &["", "", "", "", version], 1);
    kernel::collect(observed, &mut page);
    path::collect(observed, &mut page);
    events::collect(observed, &mut page);
    sinks::collect(observed, &mut page);
    policies::collect(observed, &mut page);
    process::collect(&mut page);
    page
}
