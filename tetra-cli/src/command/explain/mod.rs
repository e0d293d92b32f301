//! `tetra explain`: the fields of the resources, from the same schema that clusters get.

mod path;
mod render;
mod run;

pub(crate) use run::run;
