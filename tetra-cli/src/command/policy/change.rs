//! `tetra tracingpolicy delete|enable|disable|set-mode NAME`

use api::wire;

use super::PolicyError;
use crate::args::{Mode, PolicyName};
use crate::client::{CallError, Client};
use crate::print::{Output, escape};

/// What to do to a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Delete,
    Enable,
    Disable,
    Mode(Mode),
}

impl Change {
    const fn verb(self) -> &'static str {
        match self {
            Self::Delete => "delete",
            Self::Enable => "enable",
            Self::Disable => "disable",
            Self::Mode(_) => "set the mode of",
        }
    }

    const fn done(self) -> &'static str {
        match self {
            Self::Delete => "deleted",
            Self::Enable => "enabled",
            Self::Disable => "disabled",
            Self::Mode(Mode::Enforce) => "set to mode \"enforce\"",
            Self::Mode(Mode::Monitor) => "set to mode \"monitor\"",
        }
    }
}

/// Makes the change and says so.
pub(super) fn run(client: &Client, policy: &PolicyName, change: Change) -> Result<(), PolicyError> {
    request(client, policy, change).map_err(|source| PolicyError::Change {
        verb: change.verb(),
        name: policy.name.clone(),
        source,
    })?;
    let line = format!("tracing policy \"{}\" {}\n", escape::visible(&policy.name), change.done());
    Ok(Output::stdout().write_all(line.as_bytes())?)
}

fn request(client: &Client, policy: &PolicyName, change: Change) -> Result<(), CallError> {
    let PolicyName { name, namespace, domain } = policy;
    let (enable, mode) = match change {
        Change::Delete => {
            let request = wire::DeleteTracingPolicyRequest {
                name: name.clone(),
                namespace: namespace.clone(),
                domain: domain.clone(),
            };
            client.call(async |mut service| service.delete_tracing_policy(request.clone()).await)?;
            return Ok(());
        }
        Change::Enable => (Some(true), None),
        Change::Disable => (Some(false), None),
        Change::Mode(Mode::Enforce) => (None, Some(wire::TracingPolicyMode::TpModeEnforce)),
        Change::Mode(Mode::Monitor) => (None, Some(wire::TracingPolicyMode::TpModeMonitor)),
    };
    let request = wire::ConfigureTracingPolicyRequest {
        name: name.clone(),
        namespace: namespace.clone(),
        enable,
        mode: mode.map(i32::from),
        domain: domain.clone(),
    };
    client.call(async |mut service| service.configure_tracing_policy(request.clone()).await)?;
    Ok(())
}
