//! `GetInfo` and `GetVersion`.

use api::wire::GetInfoResponse;
use api::wire::get_info_response::{BuildInfo, ConfVal, Probe};
use bpf_probes::kernel::FeatureSet;
use prost::Message as _;

/// The version that clients are told.
pub(super) const VERSION: &str = concat!("v", env!("CARGO_PKG_VERSION"));
const STRING_VALUE: &str = "type.googleapis.com/google.protobuf.StringValue";

/// Version, kernel features and settings.
pub(super) fn info(features: &FeatureSet, settings: &[(String, String)]) -> GetInfoResponse {
    let probes = features
        .iter()
        .map(|(feature, answer)| Probe { name: feature.name().to_owned(), enabled: Some(answer.is_yes()) });
    let conf = settings.iter().map(|(key, value)| ConfVal {
        key: key.clone(),
        value: Some(prost_types::Any { type_url: STRING_VALUE.to_owned(), value: value.encode_to_vec() }),
    });
    GetInfoResponse {
        version: VERSION.to_owned(),
        name: "enforcer".to_owned(),
        probes: probes.collect(),
        conf: conf.collect(),
        build: Some(BuildInfo {
            go_version: String::new(),
            // `cargo xtask dist` tells the compiler.
            commit: option_env!("ENFORCER_GIT_COMMIT").unwrap_or_default().to_owned(),
            time: option_env!("ENFORCER_GIT_DATE").unwrap_or_default().to_owned(),
            modified: option_env!("ENFORCER_GIT_TREE")
                .map(|state| (state != "clean").to_string())
                .unwrap_or_default(),
        }),
    }
}
