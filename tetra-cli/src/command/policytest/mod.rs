//! `tetra policytest`: whether this daemon, on this kernel, does what policies say.
//!
//! In: tests, built in or in files, each a policy, acts, and what has to come of them. Out: a verdict for each. Acts are made by children of a process
//! of the runner's own, the stage, and the runner puts the stage's number into every selector of the policy: nobody else is reported or harmed,
//! whatever the policy says. The policy is removed when the test is over, however that was.

mod act;
mod builtin;
mod compare;
mod observe;
mod parameter;
mod report;
mod run;
mod scope;
mod stage;
mod test;

pub(crate) use run::run;
