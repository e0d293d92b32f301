//! The functions there are, by name.

/// A function of one value or of two; the value before the dot is the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Size,
    Contains,
    StartsWith,
    EndsWith,
    Int,
    Uint,
    Double,
    String,
    Bytes,
    Timestamp,
    Duration,
    Dyn,
    Ip,
    IsIp,
    IsCanonical,
    Family,
    IsUnspecified,
    IsLoopback,
    IsLinkLocalMulticast,
    IsLinkLocalUnicast,
    IsGlobalUnicast,
    Cidr,
    IsCidr,
    ContainsIp,
    ContainsCidr,
    PrefixLength,
    Masked,
}

/// What a function makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Made {
    Bool,
    Int,
    Uint,
    Double,
    String,
    Bytes,
    Other,
}

/// Name, values that it takes, what it makes.
const FUNCTIONS: [(&str, Function, usize, Made); 26] = [
    ("size", Function::Size, 1, Made::Int),
    ("contains", Function::Contains, 2, Made::Bool),
    ("startsWith", Function::StartsWith, 2, Made::Bool),
    ("endsWith", Function::EndsWith, 2, Made::Bool),
    ("int", Function::Int, 1, Made::Int),
    ("uint", Function::Uint, 1, Made::Uint),
    ("double", Function::Double, 1, Made::Double),
    ("string", Function::String, 1, Made::String),
    ("bytes", Function::Bytes, 1, Made::Bytes),
    ("timestamp", Function::Timestamp, 1, Made::Other),
    ("duration", Function::Duration, 1, Made::Other),
    ("dyn", Function::Dyn, 1, Made::Other),
    ("ip", Function::Ip, 1, Made::Other),
    ("isIP", Function::IsIp, 1, Made::Bool),
    ("family", Function::Family, 1, Made::Int),
    ("isUnspecified", Function::IsUnspecified, 1, Made::Bool),
    ("isLoopback", Function::IsLoopback, 1, Made::Bool),
    ("isLinkLocalMulticast", Function::IsLinkLocalMulticast, 1, Made::Bool),
    ("isLinkLocalUnicast", Function::IsLinkLocalUnicast, 1, Made::Bool),
    ("isGlobalUnicast", Function::IsGlobalUnicast, 1, Made::Bool),
    ("cidr", Function::Cidr, 1, Made::Other),
    ("isCIDR", Function::IsCidr, 1, Made::Bool),
    ("containsIP", Function::ContainsIp, 2, Made::Bool),
    ("containsCIDR", Function::ContainsCidr, 2, Made::Bool),
    ("prefixLength", Function::PrefixLength, 1, Made::Int),
    ("masked", Function::Masked, 1, Made::Other),
];

impl Function {
    pub(super) fn named(name: &str) -> Option<Self> {
        FUNCTIONS.iter().find(|(known, ..)| *known == name).map(|(_, function, ..)| *function)
    }

    /// How many values it takes.
    pub(super) fn arguments(self) -> usize {
        self.row().map_or(1, |(_, _, arguments, _)| *arguments)
    }

    /// What it makes.
    pub(super) fn made(self) -> Made {
        self.row().map_or(Made::Bool, |(.., made)| *made)
    }

    /// `ip.isCanonical` is in no table of plain names.
    fn row(self) -> Option<&'static (&'static str, Self, usize, Made)> {
        FUNCTIONS.iter().find(|(_, function, ..)| *function == self)
    }
}
