//! The same events as documents of other schemas: ECS and OCSF.
//!
//! A document is made from an event's own JSON, after its fields were filtered: what is not in one is not in the other. What a schema has no place for stays under a name of
//! our own, so that nothing is lost.

mod ecs;
pub(crate) mod event;
mod ocsf;

use event::Fields;
use serde_json::Value;

/// How an event looks in a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Form {
    /// As Tetragon writes it.
    #[default]
    Tetragon,
    /// Elastic Common Schema, <https://www.elastic.co/guide/en/ecs/current/index.html>.
    Ecs,
    /// Open Cybersecurity Schema Framework, <https://schema.ocsf.io>.
    Ocsf,
}

impl Form {
    /// All, by the names that they are asked for.
    pub const NAMES: [(&'static str, Self); 3] =
        [("tetragon", Self::Tetragon), ("ecs", Self::Ecs), ("ocsf", Self::Ocsf)];

    /// The name that it is asked for.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, form)| *form == self).map_or("", |(name, _)| name)
    }

    /// Appends to `out` the event whose JSON is `json`.
    pub fn write(self, json: &[u8], out: &mut Vec<u8>) {
        let make = match self {
            Self::Tetragon => None,
            Self::Ecs => Some(ecs::document as fn(&Fields<'_>) -> Value),
            Self::Ocsf => Some(ocsf::document as fn(&Fields<'_>) -> Value),
        };
        let document = make.and_then(|make| {
            let event: Value = serde_json::from_slice(json).ok()?;
            serde_json::to_vec(&make(&Fields::of(&event)?)).ok()
        });
        out.extend_from_slice(document.as_deref().unwrap_or(json));
    }
}
