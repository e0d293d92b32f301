//! A type as people write it: `const struct path *`.

use super::kind::TypeId;
use super::parse::Btf;
use super::types::{FwdKind, Type};

/// Layers written out before the rest is cut; hostile BTF may nest without end.
const MAX_LAYERS: u32 = 24;

impl Btf {
    /// The type in C, for messages. An anonymous struct is `struct {…}`; what cannot be read is `?`.
    pub fn describe(&self, id: TypeId) -> String {
        let mut suffix = String::new();
        let mut at = id;
        for _ in 0..MAX_LAYERS {
            let Ok(found) = self.get(at) else { return format!("?{suffix}") };
            let (text, next) = match found {
                Type::Ptr(to) => ("*".to_owned(), to),
                Type::Array(array) => (format!("[{}]", array.count), array.element),
                Type::Const(to) => ("const".to_owned(), to),
                Type::Volatile(to) => ("volatile".to_owned(), to),
                Type::Restrict(to) => ("restrict".to_owned(), to),
                Type::TypeTag(alias) => (format!("__{}", alias.name), alias.type_id),
                other => {
                    let name = last_layer(&other);
                    return if suffix.is_empty() { name } else { format!("{name} {suffix}") };
                }
            };
            // `*const` stays together, all else is set apart.
            let gap = if suffix.is_empty() || text.ends_with(['*', ']']) { "" } else { " " };
            suffix = format!("{text}{gap}{suffix}");
            at = next;
        }
        format!("? {suffix}")
    }
}

fn last_layer(found: &Type<'_>) -> String {
    let tagged = |keyword: &str, name: &str| {
        if name.is_empty() { format!("{keyword} {{…}}") } else { format!("{keyword} {name}") }
    };
    match found {
        Type::Void => "void".to_owned(),
        Type::Struct(it) => tagged("struct", it.name),
        Type::Union(it) => tagged("union", it.name),
        Type::Enum(it) => tagged("enum", it.name),
        Type::Fwd(it) => match it.declares {
            FwdKind::Struct => tagged("struct", it.name),
            FwdKind::Union => tagged("union", it.name),
        },
        Type::FuncProto(_) => "function".to_owned(),
        other => other.name().to_owned(),
    }
}
