//! What a static probe says about its arguments: `-4@%edi 8@16(%rsp) 4@$1`, operands in the assembler's words.
//!
//! ```text
//! argument = [ "-" ] size "@" operand       size = 1, 2, 4 or 8; "-" says that the value has a sign
//! operand  = "$" number                     a constant
//!          | "%" register                   a register, or its low 1, 2 or 4 bytes: %rdi %edi %di %dil
//!          | [ number ] "(" [ "%" base ] [ "," "%" index [ "," scale ] ] ")"
//!          | symbol [ ( "+" | "-" ) number ] "(%rip)"
//! ```

use std::fmt;

/// Where a static probe's argument is when the probe is hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct UsdtArgument {
    /// Of the value, in bytes: 1, 2, 4 or 8.
    pub size: u8,
    /// Whether the value's highest bit is its sign.
    pub signed: bool,
    /// What to read.
    pub source: UsdtSource,
}

/// What holds an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UsdtSource {
    /// The value itself, extended to 64 bits as its size and sign say.
    Constant(u64),
    /// A register, shifted right by `shift` bits, and of that the lowest `width` bytes.
    Register {
        /// The register.
        register: CpuRegister,
        /// In bits: 8 for `%ah`, `%bh`, `%ch` and `%dh`, else 0.
        shift: u8,
        /// Of the part that the operand names, in bytes.
        width: u8,
    },
    /// Memory at `base + index * scale + displacement`. [`CpuRegister::Rip`] as base is the probe's own address.
    Memory {
        /// Added as it is.
        base: Option<CpuRegister>,
        /// Multiplied by `scale` first.
        index: Option<CpuRegister>,
        /// 1, 2, 4 or 8.
        scale: u8,
        /// In bytes.
        displacement: i64,
    },
}

/// A register of x86-64, whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the processor's own names")]
pub enum CpuRegister {
    Rax,
    Rbx,
    Rcx,
    Rdx,
    Rsi,
    Rdi,
    Rbp,
    Rsp,
    R8,
    R9,
    R10,
    R11,
    R12,
    R13,
    R14,
    R15,
    Rip,
}

/// Why an argument of a static probe cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{operand:?} {reason}")]
pub struct OperandError {
    /// The argument as the note has it, shortened.
    pub operand: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl CpuRegister {
    /// All of them, in the order of their numbers.
    pub(crate) const ALL: [Self; 17] = [
        Self::Rax,
        Self::Rbx,
        Self::Rcx,
        Self::Rdx,
        Self::Rsi,
        Self::Rdi,
        Self::Rbp,
        Self::Rsp,
        Self::R8,
        Self::R9,
        Self::R10,
        Self::R11,
        Self::R12,
        Self::R13,
        Self::R14,
        Self::R15,
        Self::Rip,
    ];

    /// Its number among them.
    pub(crate) const fn number(self) -> u8 {
        self as u8
    }
}

/// The registers: the whole, its low 4, 2 and 1 bytes.
const REGISTERS: [(CpuRegister, [&str; 4]); 17] = [
    (CpuRegister::Rax, ["rax", "eax", "ax", "al"]),
    (CpuRegister::Rbx, ["rbx", "ebx", "bx", "bl"]),
    (CpuRegister::Rcx, ["rcx", "ecx", "cx", "cl"]),
    (CpuRegister::Rdx, ["rdx", "edx", "dx", "dl"]),
    (CpuRegister::Rsi, ["rsi", "esi", "si", "sil"]),
    (CpuRegister::Rdi, ["rdi", "edi", "di", "dil"]),
    (CpuRegister::Rbp, ["rbp", "ebp", "bp", "bpl"]),
    (CpuRegister::Rsp, ["rsp", "esp", "sp", "spl"]),
    (CpuRegister::R8, ["r8", "r8d", "r8w", "r8b"]),
    (CpuRegister::R9, ["r9", "r9d", "r9w", "r9b"]),
    (CpuRegister::R10, ["r10", "r10d", "r10w", "r10b"]),
    (CpuRegister::R11, ["r11", "r11d", "r11w", "r11b"]),
    (CpuRegister::R12, ["r12", "r12d", "r12w", "r12b"]),
    (CpuRegister::R13, ["r13", "r13d", "r13w", "r13b"]),
    (CpuRegister::R14, ["r14", "r14d", "r14w", "r14b"]),
    (CpuRegister::R15, ["r15", "r15d", "r15w", "r15b"]),
    (CpuRegister::Rip, ["rip", "eip", "ip", ""]),
];

/// The second-lowest byte of four registers.
const HIGH: [(CpuRegister, &str); 4] =
    [(CpuRegister::Rax, "ah"), (CpuRegister::Rbx, "bh"), (CpuRegister::Rcx, "ch"), (CpuRegister::Rdx, "dh")];

impl fmt::Display for CpuRegister {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = REGISTERS.iter().find(|(register, _)| register == self).map_or("", |(_, names)| names[0]);
        write!(to, "%{name}")
    }
}

/// The arguments of a probe, as its note lists them.
///
/// `from_probe` says how far a variable is from the probe's own instruction, by its name.
pub(super) fn arguments(
    text: &str,
    from_probe: &dyn Fn(&str) -> Option<i64>,
) -> Vec<Result<UsdtArgument, OperandError>> {
    /// Probes have at most 12; a hostile note may claim more.
    const MOST: usize = 64;
    split(text)
        .into_iter()
        .take(MOST)
        .map(|operand| {
            argument(operand, from_probe)
                .map_err(|reason| OperandError { operand: crate::parse::shortened(operand), reason })
        })
        .collect()
}

/// Arguments are parted by spaces, but for those inside of brackets.
fn split(text: &str) -> Vec<&str> {
    let mut inside = false;
    text.split(|letter: char| {
        match letter {
            '(' => inside = true,
            ')' => inside = false,
            _ => {}
        }
        letter.is_ascii_whitespace() && !inside
    })
    .filter(|part| !part.is_empty())
    .collect()
}

fn argument(text: &str, from_probe: &dyn Fn(&str) -> Option<i64>) -> Result<UsdtArgument, &'static str> {
    let (format, operand) = text.split_once('@').ok_or("does not say how large its value is")?;
    let (signed, size) = format.strip_prefix('-').map_or((false, format), |size| (true, size));
    if size.ends_with('f') || operand.starts_with("%xmm") || operand.starts_with("%st") {
        return Err("is a floating-point number, which no type of the policy language can hold");
    }
    let size = match size {
        "1" => 1,
        "2" => 2,
        "4" => 4,
        "8" => 8,
        _ => return Err("has another size than 1, 2, 4 or 8 bytes"),
    };
    let source = source(operand, from_probe)?;
    Ok(match source {
        UsdtSource::Constant(value) => {
            UsdtArgument { size, signed, source: UsdtSource::Constant(extended(value, size, signed)) }
        }
        UsdtSource::Register { .. } | UsdtSource::Memory { .. } => UsdtArgument { size, signed, source },
    })
}

/// The lowest `size` bytes of a value, as 64 bits.
fn extended(value: u64, size: u8, signed: bool) -> u64 {
    let unused = 64 - 8 * u32::from(size.min(8));
    let shifted = value.checked_shl(unused).unwrap_or_default();
    if signed { (shifted.cast_signed() >> unused).cast_unsigned() } else { shifted >> unused }
}

fn source(operand: &str, from_probe: &dyn Fn(&str) -> Option<i64>) -> Result<UsdtSource, &'static str> {
    if let Some(constant) = operand.strip_prefix('$') {
        let value = number(constant).ok_or("is a constant that is no number of 64 bits")?;
        return Ok(UsdtSource::Constant(value));
    }
    if let Some(name) = operand.strip_prefix('%') {
        if name.contains(':') {
            return Err("is memory of a segment (of one thread), whose address the kernel does not tell");
        }
        let part = part_of_register(name).ok_or("names no register of x86-64 that programs are told")?;
        let PartOfRegister { register, shift, width } = part;
        return Ok(UsdtSource::Register { register, shift, width });
    }
    let Some((before, brackets)) = operand.split_once('(') else {
        return absolute(operand);
    };
    let inside = brackets.strip_suffix(')').ok_or("has a bracket that is not closed")?;
    match inside.trim() {
        "%rip" => relative(before, from_probe),
        inside => indexed(before, inside),
    }
}

fn absolute(operand: &str) -> Result<UsdtSource, &'static str> {
    let displacement = number(operand).ok_or("is no constant, register or memory operand")?.cast_signed();
    Ok(UsdtSource::Memory { base: None, index: None, scale: 1, displacement })
}

/// `symbol+8(%rip)`.
fn relative(text: &str, from_probe: &dyn Fn(&str) -> Option<i64>) -> Result<UsdtSource, &'static str> {
    const UNKNOWN: &str = "is a variable that the file has no symbol for (it may be stripped)";
    let (symbol, addend) = match text.rfind(['+', '-']).and_then(|at| text.split_at_checked(at)) {
        Some((symbol, addend)) if !symbol.is_empty() => {
            let addend = addend.strip_prefix('+').unwrap_or(addend);
            (symbol, number(addend).ok_or("has an addend that is no number")?.cast_signed())
        }
        _ => (text, 0),
    };
    if number(symbol).is_some() || symbol.is_empty() {
        return Err("counts from an instruction that is not known");
    }
    if symbol.contains('@') {
        return Err("is an entry of the linker's tables, not the value");
    }
    let distance = from_probe(symbol).and_then(|distance| distance.checked_add(addend)).ok_or(UNKNOWN)?;
    Ok(UsdtSource::Memory { base: Some(CpuRegister::Rip), index: None, scale: 1, displacement: distance })
}

/// `16(%rax,%rbx,4)`.
fn indexed(before: &str, inside: &str) -> Result<UsdtSource, &'static str> {
    const NOT_A_REGISTER: &str = "has an address of something else than whole registers";
    let displacement = match before {
        "" => 0,
        text => number(text).ok_or("has a displacement that is no number")?.cast_signed(),
    };
    let mut parts = inside.split(',').map(str::trim);
    let base = match parts.next().unwrap_or_default() {
        "" => None,
        name => Some(whole_register(name).ok_or(NOT_A_REGISTER)?),
    };
    let index = match parts.next() {
        None | Some("") => None,
        Some(name) => Some(whole_register(name).ok_or(NOT_A_REGISTER)?),
    };
    let scale = match parts.next() {
        None | Some("1") => 1,
        Some("2") => 2,
        Some("4") => 4,
        Some("8") => 8,
        Some(_) => return Err("has a scale other than 1, 2, 4 or 8"),
    };
    if parts.next().is_some() || (base.is_none() && index.is_none()) {
        return Err("is no address of a base, an index and a scale");
    }
    Ok(UsdtSource::Memory { base, index, scale, displacement })
}

fn whole_register(name: &str) -> Option<CpuRegister> {
    let name = name.strip_prefix('%')?;
    let found = REGISTERS.iter().find(|(_, names)| names[0] == name);
    found.map(|(register, _)| *register).filter(|register| *register != CpuRegister::Rip)
}

/// A register, or some of its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PartOfRegister {
    pub(crate) register: CpuRegister,
    /// Its lowest bit.
    pub(crate) shift: u8,
    /// Its bytes.
    pub(crate) width: u8,
}

/// What assembly calls `name`, without its `%`.
pub(crate) fn part_of_register(name: &str) -> Option<PartOfRegister> {
    if let Some((register, _)) = HIGH.iter().find(|(_, high)| *high == name) {
        return Some(PartOfRegister { register: *register, shift: 8, width: 1 });
    }
    let widths = [8_u8, 4, 2, 1];
    REGISTERS.iter().filter(|_| !name.is_empty()).find_map(|(register, names)| {
        let (_, width) = names.iter().zip(widths).find(|(own, _)| **own == name)?;
        Some(PartOfRegister { register: *register, shift: 0, width })
    })
}

/// A number of 64 bits, with or without a sign; negative ones as two's complement.
pub(crate) fn number(text: &str) -> Option<u64> {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
    if !digits.starts_with(|letter: char| letter.is_ascii_digit()) {
        return None;
    }
    let value = match digits.strip_prefix("0x") {
        Some(hexadecimal) if hexadecimal.starts_with(|letter: char| letter.is_ascii_hexdigit()) => {
            u64::from_str_radix(hexadecimal, 16).ok()?
        }
        Some(_) => return None,
        None => digits.parse::<u64>().ok()?,
    };
    if negative {
        return (value <= i64::MIN.unsigned_abs()).then(|| value.wrapping_neg());
    }
    Some(value)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use proptest::prelude::proptest;

    use super::*;

    fn parsed(text: &str) -> Vec<Result<UsdtArgument, OperandError>> {
        arguments(text, &|symbol| (symbol == "counter").then_some(0x1000))
    }

    fn one(text: &str) -> (u8, bool, UsdtSource) {
        let argument = parsed(text).remove(0).unwrap();
        (argument.size, argument.signed, argument.source)
    }

    fn memory(
        base: Option<CpuRegister>,
        index: Option<CpuRegister>,
        scale: u8,
        displacement: i64,
    ) -> UsdtSource {
        UsdtSource::Memory { base, index, scale, displacement }
    }

    #[test]
    fn constants_are_as_wide_as_their_size_says() {
        assert_eq!(one("-4@$5"), (4, true, UsdtSource::Constant(5)));
        assert_eq!(one("-4@$-1"), (4, true, UsdtSource::Constant(u64::MAX)));
        assert_eq!(one("4@$-1"), (4, false, UsdtSource::Constant(0xffff_ffff)));
        assert_eq!(one("-1@$0xff"), (1, true, UsdtSource::Constant(u64::MAX)));
        assert_eq!(one("8@$18446744073709551615"), (8, false, UsdtSource::Constant(u64::MAX)));
        assert_eq!(one("-8@$-9223372036854775808"), (8, true, UsdtSource::Constant(1 << 63)));
    }

    #[test]
    fn registers_have_parts() {
        let register = |register, shift, width| UsdtSource::Register { register, shift, width };
        assert_eq!(one("8@%rdi"), (8, false, register(CpuRegister::Rdi, 0, 8)));
        assert_eq!(one("-4@%eax"), (4, true, register(CpuRegister::Rax, 0, 4)));
        assert_eq!(one("2@%r9w"), (2, false, register(CpuRegister::R9, 0, 2)));
        assert_eq!(one("1@%sil"), (1, false, register(CpuRegister::Rsi, 0, 1)));
        assert_eq!(one("1@%ch"), (1, false, register(CpuRegister::Rcx, 8, 1)));
        assert_eq!(CpuRegister::R15.to_string(), "%r15");
    }

    #[test]
    fn memory_has_a_base_an_index_and_a_displacement() {
        use CpuRegister::{Rax, Rbp, Rbx, Rip, Rsp};
        assert_eq!(one("4@8(%rbp)"), (4, false, memory(Some(Rbp), None, 1, 8)));
        assert_eq!(one("-4@-20(%rbp)"), (4, true, memory(Some(Rbp), None, 1, -20)));
        assert_eq!(one("8@(%rax,%rbx,4)"), (8, false, memory(Some(Rax), Some(Rbx), 4, 0)));
        assert_eq!(one("8@(%rax, %rbx, 4) 1@$2"), (8, false, memory(Some(Rax), Some(Rbx), 4, 0)));
        assert_eq!(one("8@0x10(,%rbx,8)"), (8, false, memory(None, Some(Rbx), 8, 16)));
        assert_eq!(one("8@(%rsp,%rbx)"), (8, false, memory(Some(Rsp), Some(Rbx), 1, 0)));
        assert_eq!(one("4@counter(%rip)"), (4, false, memory(Some(Rip), None, 1, 0x1000)));
        assert_eq!(one("4@counter+4(%rip)"), (4, false, memory(Some(Rip), None, 1, 0x1004)));
        assert_eq!(one("4@counter-4(%rip)"), (4, false, memory(Some(Rip), None, 1, 0xffc)));
        assert_eq!(one("4@4210752"), (4, false, memory(None, None, 1, 4_210_752)));
        assert_eq!(parsed("8@(%rax, %rbx, 4) 1@$2").len(), 2);
    }

    #[test]
    fn what_cannot_be_read_says_why_and_leaves_the_others() {
        let refused = |text: &str| parsed(text).remove(0).unwrap_err().reason;
        assert!(refused("8f@%xmm0").contains("floating-point"));
        assert!(refused("8@%xmm0").contains("floating-point"));
        assert!(refused("%rdi").contains("how large"));
        assert!(refused("16@%rdi").contains("another size"));
        assert!(refused("--4@%rdi").contains("another size"));
        assert!(refused("4@%fs:-4").contains("segment"));
        assert!(refused("4@%fs:8(%rax)").contains("segment"));
        assert!(refused("4@%nothing").contains("no register"));
        assert!(refused("4@%").contains("no register"));
        assert!(refused("4@8(%rbp").contains("not closed"));
        assert!(refused("4@(%ebp)").contains("whole registers"));
        assert!(refused("4@(%rax,%rbx,3)").contains("scale"));
        assert!(refused("4@()").contains("no address"));
        assert!(refused("4@(%rax,%rbx,1,1)").contains("no address"));
        assert!(refused("4@8(%rip)").contains("not known"));
        assert!(refused("4@other(%rip)").contains("no symbol"));
        assert!(refused("8@counter@GOTPCREL(%rip)").contains("tables"));
        assert!(refused("4@$").contains("no number"));
        assert!(refused("4@$99999999999999999999").contains("no number"));
        assert!(refused("4@name").contains("no constant"));
        let mixed = parsed("8f@%xmm0 4@%edi");
        assert!(mixed[0].is_err() && mixed[1].is_ok());
        assert_eq!(parsed("").len(), 0);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[-0-9@$%(),a-z+x f]{0,40}") {
            parsed(&text);
        }
    }
}
