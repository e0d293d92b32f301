//! Types by name, and the questions asked of a type most often.

use super::kind::{Kind, TypeId};
use super::parse::Btf;
use super::types::{FuncProto, Type, word};

/// Aliases and qualifiers followed before a chain counts as endless; real ones have fewer than ten.
const MAX_CHAIN: u32 = 64;

/// Why a type was not found, or is not what was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LookupError {
    /// No such name.
    #[error("this kernel has no {kind} named {name:?}")]
    NoSuchName {
        /// Kind asked for.
        kind: Kind,
        /// Name asked for.
        name: String,
    },
    /// No such number.
    #[error("BTF has no type {id}")]
    NoSuchType {
        /// Number asked for.
        id: TypeId,
    },
    /// Another kind than the question needs.
    #[error("BTF type {id} is a {found}, not a {wanted}")]
    Kind {
        /// The type.
        id: TypeId,
        /// What it is.
        found: Kind,
        /// What was asked for.
        wanted: Kind,
    },
    /// A type without a size: `void`, a function, a declaration.
    #[error("BTF type {id}, a {kind}, has no size")]
    NoSize {
        /// The type.
        id: TypeId,
        /// What it is.
        kind: Kind,
    },
    /// Types that refer to each other without end, or a size beyond 32 bits.
    #[error("BTF type {id} is nested without end")]
    Endless {
        /// Where the chain starts.
        id: TypeId,
    },
}

impl Btf {
    /// The type of that kind and name; of several equal ones the first. A module's own come before its base's.
    pub fn find(&self, kind: Kind, name: &str) -> Option<TypeId> {
        if name.is_empty() {
            return None;
        }
        let names = self.names.get_or_init(|| self.index_names());
        let wanted = hash(name);
        let start = names.partition_point(|&id| self.hash_of(id) < wanted);
        let own = names.get(start..).unwrap_or_default().iter().copied().find_map(|id| {
            let (found, raw) = self.own(TypeId::new(id))?;
            let text = self.string(word(raw, 0));
            if hash(text) != wanted {
                return Some(None);
            }
            (text == name && same_kind(found, kind)).then_some(Some(TypeId::new(id)))
        });
        own.flatten().or_else(|| self.base().and_then(|base| base.find(kind, name)))
    }

    fn named(&self, kind: Kind, name: &str) -> Result<TypeId, LookupError> {
        self.find(kind, name).ok_or_else(|| LookupError::NoSuchName { kind, name: name.to_owned() })
    }

    /// The `struct` of that name.
    ///
    /// # Errors
    /// [`LookupError::NoSuchName`].
    pub fn struct_named(&self, name: &str) -> Result<TypeId, LookupError> {
        self.named(Kind::Struct, name)
    }

    /// The `union` of that name.
    ///
    /// # Errors
    /// [`LookupError::NoSuchName`].
    pub fn union_named(&self, name: &str) -> Result<TypeId, LookupError> {
        self.named(Kind::Union, name)
    }

    /// The `enum` of that name, of either width.
    ///
    /// # Errors
    /// [`LookupError::NoSuchName`].
    pub fn enum_named(&self, name: &str) -> Result<TypeId, LookupError> {
        self.named(Kind::Enum, name)
    }

    /// The `typedef` of that name.
    ///
    /// # Errors
    /// [`LookupError::NoSuchName`].
    pub fn typedef_named(&self, name: &str) -> Result<TypeId, LookupError> {
        self.named(Kind::Typedef, name)
    }

    /// The function of that name: the number to give to the kernel for fentry, `fmod_ret`, LSM (`bpf_lsm_…`) and kfuncs.
    ///
    /// # Errors
    /// [`LookupError::NoSuchName`].
    pub fn func_named(&self, name: &str) -> Result<TypeId, LookupError> {
        self.named(Kind::Func, name)
    }

    /// The variable of that name. Kernels list per-CPU variables only.
    ///
    /// # Errors
    /// [`LookupError::NoSuchName`].
    pub fn var_named(&self, name: &str) -> Result<TypeId, LookupError> {
        self.named(Kind::Var, name)
    }

    /// Prototype of a function, or of a pointer, typedef or prototype that leads to one.
    ///
    /// # Errors
    /// [`LookupError::Kind`] when the type is none of these.
    pub fn prototype(&self, id: TypeId) -> Result<FuncProto<'_>, LookupError> {
        let mut at = id;
        for _ in 0..MAX_CHAIN {
            at = self.peel(at)?;
            match self.get(at)? {
                Type::FuncProto(found) => return Ok(found),
                Type::Func(func) => at = func.prototype,
                Type::Ptr(to) => at = to,
                other => return Err(LookupError::Kind { id, found: other.kind(), wanted: Kind::FuncProto }),
            }
        }
        Err(LookupError::Endless { id })
    }

    /// The type behind typedefs, qualifiers and type tags.
    ///
    /// # Errors
    /// [`LookupError::Endless`] when they form a ring.
    pub fn peel(&self, id: TypeId) -> Result<TypeId, LookupError> {
        let mut at = id;
        for _ in 0..MAX_CHAIN {
            at = match self.get(at)? {
                Type::Typedef(alias) | Type::TypeTag(alias) => alias.type_id,
                Type::Volatile(to) | Type::Const(to) | Type::Restrict(to) => to,
                _ => return Ok(at),
            };
        }
        Err(LookupError::Endless { id })
    }

    /// Size in bytes.
    ///
    /// # Errors
    /// [`LookupError::NoSize`] for functions, `void` and types that are only declared.
    pub fn size_of(&self, id: TypeId) -> Result<u32, LookupError> {
        let mut at = id;
        let mut elements = 1_u32;
        for _ in 0..MAX_CHAIN {
            at = self.peel(at)?;
            let one = match self.get(at)? {
                Type::Array(array) => {
                    elements = elements.checked_mul(array.count).ok_or(LookupError::Endless { id })?;
                    at = array.element;
                    continue;
                }
                Type::Int(it) => it.size,
                Type::Ptr(_) => 8,
                Type::Struct(it) | Type::Union(it) => it.size,
                Type::Enum(it) => it.size,
                Type::Float(it) => it.size,
                Type::Datasec(it) => it.size,
                Type::Var(it) => {
                    at = it.type_id;
                    continue;
                }
                other @ (Type::Void
                | Type::Fwd(_)
                | Type::Func(_)
                | Type::FuncProto(_)
                | Type::DeclTag(_)
                | Type::Typedef(_)
                | Type::Volatile(_)
                | Type::Const(_)
                | Type::Restrict(_)
                | Type::TypeTag(_)) => return Err(LookupError::NoSize { id, kind: other.kind() }),
            };
            return one.checked_mul(elements).ok_or(LookupError::Endless { id });
        }
        Err(LookupError::Endless { id })
    }

    /// Value of one name of a named enum, for example `("pid_type", "PIDTYPE_TGID")`.
    pub fn enum_value(&self, enumeration: &str, name: &str) -> Option<i64> {
        match self.get(self.find(Kind::Enum, enumeration)?) {
            Ok(Type::Enum(found)) => found.value(name),
            _ => None,
        }
    }

    /// Numbers of all own named types, by hash of the name, then by number.
    fn index_names(&self) -> Box<[u32]> {
        let mut pairs: Vec<(u32, u32)> = self
            .own_ids()
            .filter_map(|id| {
                let (kind, raw) = self.own(TypeId::new(id))?;
                let name = word(raw, 0);
                (name != 0 && !matches!(kind, Kind::DeclTag | Kind::TypeTag))
                    .then(|| (hash(self.string(name)), id))
            })
            .collect();
        pairs.sort_unstable();
        pairs.into_iter().map(|(_, id)| id).collect()
    }

    fn hash_of(&self, id: u32) -> u32 {
        self.own(TypeId::new(id)).map_or(0, |(_, raw)| hash(self.string(word(raw, 0))))
    }
}

fn same_kind(found: Kind, wanted: Kind) -> bool {
    found == wanted || (found == Kind::Enum64 && wanted == Kind::Enum)
}

/// FNV-1a, 32 bits.
fn hash(name: &str) -> u32 {
    name.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}
