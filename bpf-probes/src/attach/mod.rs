//! The attach planner: a hook and the facts of a kernel come in, the mechanisms and the reasons go out.
//!
//! The only place where a mechanism is chosen, for policies and base sensors alike; a mechanism is chosen because a probe
//! succeeded. Nothing here attaches anything.

mod deferral;
mod deferred;
mod error;
mod hook;
mod many;
mod mechanism;
mod plan;
mod reason;
mod returning;
mod security;
#[cfg(test)]
mod tests;
mod uprobe;
mod user;

pub use deferral::Deferral;
pub use error::PlanError;
pub use hook::{Duties, Duty, Hook, Point, Sensor};
pub use many::{ManyMechanism, ManyPlaces, ManyPlan, Sharing, can_share, plan_many};
pub use mechanism::{Mechanism, Role};
pub use plan::{Attachment, Exactness, Plan, plan};
pub use reason::Reason;
pub use user::{CallEnd, FileId, UserLinks, UserPlace};
