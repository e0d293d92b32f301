//! Tests of addresses, and the look-up that answers many.

use std::collections::{BTreeMap, BTreeSet};
use std::mem::offset_of;

use Register::{R0, R1, R2, R3, R10};
use bpf_probes::abi::Endpoints;
use bpf_probes::asm::Label;
use bpf_probes::builder::{BuildError, Function};
use bpf_probes::insn::{AluOp, Condition, Helper, Register, Size};
use bpf_probes::spec::{Entry, MapKind, MapSpec, flag};

use super::memory::{load, store_imm};
use super::network::at;
use super::number::always;
use super::program::Emitter;
use super::table::{answer, name, sized};
use crate::ir::{AddressTest, ReadId, TableSubject};
use crate::policy::{AF_INET, AF_INET6, ArgumentType, End, Network, NetworkField, Sense};

/// Bytes of a key: how many bits count, the family, an address.
const KEY: u32 = 24;
/// Bits of a key before the address.
const FAMILY_BITS: u32 = 32;

fn place(end: End) -> u32 {
    at(match end {
        End::Source => offset_of!(Endpoints, source),
        End::Destination => offset_of!(Endpoints, destination),
    })
}

impl Emitter<'_> {
    /// Goes to `fail` where an argument does not have what is asked of, even by a negated test; then `R1 = the number`.
    pub(super) fn described(
        &self,
        f: &mut Function<'_>,
        id: ReadId,
        field: NetworkField,
        fail: Option<Label>,
    ) -> Result<(), BuildError> {
        if let (ArgumentType::SockaddrUn, Some(bytes)) = (self.hook.read(id).ty, self.state().bytes(id)) {
            if let Some(fail) = fail {
                load(f, Size::Half, R1, bytes.header + 4)?;
                f.jump_if(Condition::Ne, R1, 0, fail);
            }
            return load(f, Size::Half, R1, bytes.header + 6);
        }
        let Some(object) = self.state().object(id) else { return Ok(()) };
        if let Some(fail) = fail {
            if matches!(field, NetworkField::Port(_)) {
                let internet = f.label();
                load(f, Size::Half, R1, object.value + at(offset_of!(Endpoints, family)))?;
                f.jump_if(Condition::Eq, R1, AF_INET.into(), internet);
                f.jump_if(Condition::Ne, R1, AF_INET6.into(), fail);
                f.bind(internet);
            } else {
                load(f, Size::Half, R1, object.header + 4)?;
                f.jump_if(Condition::Ne, R1, 0, fail);
            }
        }
        let offset = match field {
            NetworkField::Port(End::Source) => offset_of!(Endpoints, source_port),
            NetworkField::Port(End::Destination) => offset_of!(Endpoints, destination_port),
            NetworkField::Protocol => offset_of!(Endpoints, protocol),
            NetworkField::Family => offset_of!(Endpoints, family),
            NetworkField::State => offset_of!(bpf_probes::abi::SocketValue, state),
        };
        load(f, Size::Half, R1, object.value + at(offset))
    }

    /// The test of an address.
    pub(super) fn address(
        &self,
        f: &mut Function<'_>,
        test: &AddressTest,
        fail: Label,
    ) -> Result<(), BuildError> {
        let Some(object) = self.state().object(test.read) else { return Ok(()) };
        let address = object.value + place(test.end);
        let pass = f.label();
        let (hit, miss) = match test.sense {
            Sense::Plain => (pass, fail),
            Sense::Negated => (fail, pass),
        };
        load(f, Size::Half, R1, object.value + at(offset_of!(Endpoints, family)))?;
        if let Some(bit) = test.table {
            let internet = f.label();
            f.jump_if(Condition::Eq, R1, AF_INET.into(), internet);
            f.jump_if(Condition::Ne, R1, AF_INET6.into(), fail);
            f.bind(internet);
            load(f, Size::Byte, R1, self.state().tables[bit.table.index()] + bit.bit / 8)?;
            f.jump_if(Condition::Set, R1, 1 << (bit.bit % 8), hit);
            if test.sense == Sense::Plain {
                always(f, fail);
            }
            f.bind(pass);
            return Ok(());
        }
        let (four, six): (Vec<&Network>, Vec<&Network>) =
            test.networks.iter().partition(|network| network.family() == AF_INET);
        let is_six = f.label();
        f.jump_if(Condition::Eq, R1, AF_INET6.into(), if six.is_empty() { miss } else { is_six });
        f.jump_if(Condition::Ne, R1, AF_INET.into(), fail);
        if !four.is_empty() {
            load(f, Size::Word, R1, address)?;
            for network in four {
                compare_four(f, network, hit);
            }
        }
        if !six.is_empty() {
            f.jump(miss);
            f.bind(is_six);
            for network in six {
                compare_six(f, address, network, hit)?;
            }
        }
        if test.sense == Sense::Plain {
            f.jump(miss);
        }
        f.bind(pass);
        Ok(())
    }

    /// Looks up the addresses and numbers that are known once an argument is read.
    pub(super) fn look_up_described(&self, f: &mut Function<'_>, id: ReadId) -> Result<(), BuildError> {
        for (index, table) in self.hook.tables.iter().enumerate() {
            match &table.subject {
                TableSubject::Number {
                    subject: subject @ crate::ir::Subject::Field(read, _),
                    signed,
                    ..
                } if *read == id => {
                    self.look_up_number(f, index, table, *subject, *signed)?;
                }
                TableSubject::Address { read, end, .. } if *read == id => {
                    self.look_up_address(f, index, table, (id, *end))?;
                }
                TableSubject::Address { .. } | TableSubject::Number { .. } | TableSubject::Bytes { .. } => {}
            }
        }
        Ok(())
    }

    fn look_up_address(
        &self,
        f: &mut Function<'_>,
        index: usize,
        table: &crate::ir::Table,
        (id, end): (ReadId, End),
    ) -> Result<(), BuildError> {
        let Some(object) = self.state().object(id) else { return Ok(()) };
        let none = f.label();
        f.comment("many networks at once");
        for word in 0..table.words() {
            store_imm(f, Size::Double, self.state().tables[index] + 8 * word, 0)?;
        }
        f.scope(|f| {
            let key = f.slot(KEY)?;
            f.store_imm(Size::Word, R10, key.at(0), 8 * (KEY - 4).cast_signed());
            load(f, Size::Half, R1, object.value + at(offset_of!(Endpoints, family)))?;
            f.store(Size::Word, R10, key.at(4), R1);
            for word in 0..2 {
                load(f, Size::Double, R1, object.value + place(end) + 8 * word)?;
                f.store(Size::Double, R10, key.at(8 + 8 * word), R1);
            }
            f.slot_address(R2, key);
            f.assembler().load_map(R1, &name(index));
            f.call(Helper::MapLookupElem);
            f.jump_if(Condition::Eq, R0, 0, none);
            self.note(f, index, table)?;
            f.bind(none);
            Ok(())
        })
    }
}

/// Goes to `hit` when the network holds the address in `R1`, as it lies in memory.
fn compare_four(f: &mut Function<'_>, network: &Network, hit: Label) {
    let word = |bytes: [u8; 16]| i32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    match network.bits() {
        0 => always(f, hit),
        32 => f.jump_if32(Condition::Eq, R1, word(network.bytes()), hit),
        _ => {
            f.copy(R2, R1);
            f.alu(AluOp::And, R2, word(network.mask()));
            f.jump_if32(Condition::Eq, R2, word(network.bytes()), hit);
        }
    }
}

/// Goes to `hit` when the network holds the address at `address`.
fn compare_six(f: &mut Function<'_>, address: u32, network: &Network, hit: Label) -> Result<(), BuildError> {
    let half = |bytes: [u8; 16], half: usize| {
        let mut word = [0; 8];
        word.copy_from_slice(&bytes[8 * half..8 * half + 8]);
        u64::from_ne_bytes(word)
    };
    let other = f.label();
    let (bytes, mask) = (network.bytes(), network.mask());
    if network.bits() == 0 {
        load(f, Size::Double, R1, address)?;
        always(f, hit);
    }
    for (index, at) in [(0, address), (1, address + 8)] {
        if half(mask, index) == 0 {
            continue;
        }
        load(f, Size::Double, R1, at)?;
        if half(mask, index) != u64::MAX {
            f.constant(R3, half(mask, index));
            f.alu_reg(AluOp::And, R1, R3);
        }
        f.constant(R2, half(bytes, index));
        let is_last = index == 1 || half(mask, 1) == 0;
        if is_last {
            f.jump_if_reg(Condition::Eq, R1, R2, hit);
        } else {
            f.jump_if_reg(Condition::Ne, R1, R2, other);
        }
    }
    f.bind(other);
    Ok(())
}

/// The map of a table of addresses: a trie of families and addresses.
pub(super) fn map(index: usize, words: u32, networks: &BTreeMap<Network, BTreeSet<u32>>) -> MapSpec {
    let contents = closed(networks)
        .into_iter()
        .map(|(network, bits)| {
            let mut key = (FAMILY_BITS + u32::from(network.bits())).to_ne_bytes().to_vec();
            key.extend(u32::from(network.family()).to_ne_bytes());
            key.extend(network.bytes());
            Entry { key, value: answer(&bits, words) }
        })
        .collect();
    let trie = MapSpec { kind: MapKind::LpmTrie, contents, ..MapSpec::hash(name(index), KEY, 8 * words, 0) };
    sized(trie.with_flags(flag::NO_PREALLOC))
}

/// Each network with the bits of all networks that hold it: the trie finds the smallest only.
fn closed(networks: &BTreeMap<Network, BTreeSet<u32>>) -> BTreeMap<Network, BTreeSet<u32>> {
    let mut closed = BTreeMap::new();
    // by address and then by size, the networks that hold one stand before it, each holding the next
    let mut sorted: Vec<_> = networks.iter().collect();
    sorted.sort_by_key(|(network, _)| (network.family(), network.bytes(), network.bits()));
    let mut line: Vec<(Network, BTreeSet<u32>)> = Vec::new();
    for (network, bits) in sorted {
        while line.last().is_some_and(|(outer, _)| !outer.contains(network.family(), network.bytes())) {
            line.pop();
        }
        let mut bits = bits.clone();
        if let Some((_, inherited)) = line.last() {
            bits.extend(inherited);
        }
        line.push((*network, bits.clone()));
        closed.insert(*network, bits);
    }
    closed
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn an_entry_of_a_trie_has_the_bits_of_the_networks_that_hold_it() {
        let network = |text: &str, bits| Network::new(text.parse().unwrap(), bits).unwrap();
        let all = [
            (network("10.0.0.0", 8), 0),
            (network("10.1.0.0", 16), 1),
            (network("10.1.2.3", 32), 2),
            (network("10.2.0.0", 16), 3),
            (network("0.0.0.0", 0), 4),
            (network("::", 0), 5),
        ];
        let closed = closed(&all.iter().map(|(network, bit)| (*network, BTreeSet::from([*bit]))).collect());
        assert_eq!(closed[&all[2].0], BTreeSet::from([0, 1, 2, 4]));
        assert_eq!(closed[&all[3].0], BTreeSet::from([0, 3, 4]));
        assert_eq!(closed[&all[5].0], BTreeSet::from([5]));
    }
}
