//! `tetra tracingpolicy domains`

use api::wire::ListDomainsRequest;

use super::PolicyError;
use crate::args::ListFormat;
use crate::client::Client;
use crate::print::{Output, escape};

/// Prints the domains that the daemon knows: `[grpc k8s static]`.
pub(super) fn run(client: &Client, format: ListFormat) -> Result<(), PolicyError> {
    let list = client
        .call(async |mut service| service.list_domains(ListDomainsRequest {}).await)
        .map_err(PolicyError::Domains)?;
    let text = match format {
        ListFormat::Json => api::json::write_message(&list)?,
        ListFormat::Text => {
            let domains: Vec<_> = list.domains.iter().map(|domain| escape::word(domain)).collect();
            format!("[{}]", domains.join(" "))
        }
    };
    Ok(Output::stdout().write_all((text + "\n").as_bytes())?)
}
