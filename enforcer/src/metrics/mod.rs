//! What the daemon counts, as metrics: under upstream's names and labels where they mean the same, under our own for the rest.
//!
//! [`catalogue`] says which metrics there are; everything else is made from it: the text that is served ([`text`]), the reference
//! ([`mod@reference`]) and the dashboard ([`mod@dashboard`]). For each reader the page is made anew from what the parts count ([`collect`]), so that counting costs
//! a part no more than an addition. A metric of which there is nothing to say yet is served without samples.

mod catalogue;
mod collect;
mod dashboard;
mod page;
mod reference;
mod status;

pub use catalogue::{ALL, Description, Kind};
pub use dashboard::dashboard;
pub use page::text;
pub use reference::reference;
pub use status::watch;
