//! Arbitrary memory: objects of any bytes, which here and there point to each other.

use bpf_probes::emulate::{Machine, Space};

/// Numbers from an input (`SplitMix64`).
pub(crate) struct Random(u64);

impl Random {
    /// The numbers of an input.
    pub(crate) fn of(input: &[u8]) -> Self {
        // FNV-1a
        let hash = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        Self(input.iter().fold(0xcbf2_9ce4_8422_2325, hash))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// A number below `end`, which is not zero.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap_or(0)
    }
}

/// Bytes of an object: more than the kernel's `struct task_struct` has up to any field that is read.
const BYTES: usize = 16_384;
/// Objects in each space.
const OBJECTS: usize = 3;

/// Addresses of what was made.
pub(crate) struct Memory {
    addresses: Vec<u64>,
}

/// Makes objects in both spaces; the current task is one of them.
pub(crate) fn fill(machine: &mut Machine, random: &mut Random) -> Memory {
    let world = machine.world_mut();
    let mut addresses = Vec::new();
    for space in [&mut world.kernel, &mut world.user] {
        addresses.extend((0..OBJECTS).map(|_| space.object("arbitrary", BYTES)));
    }
    let memory = Memory { addresses };
    for (number, &address) in memory.addresses.iter().enumerate() {
        let bytes = memory.bytes(random);
        let space: &mut Space = if number < OBJECTS { &mut world.kernel } else { &mut world.user };
        space.write(address, &bytes).expect("the object was just made");
    }
    world.task.address = memory.addresses.first().copied().unwrap_or(0);
    world.task.tgid = u32::try_from(random.below(8)).unwrap_or(0);
    memory
}

impl Memory {
    /// Numbers of any kind, text, and pointers to anywhere in what was made.
    fn bytes(&self, random: &mut Random) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(BYTES);
        while bytes.len() < BYTES {
            let word = match random.below(6) {
                0 => random.next(),
                1 => u64::from_le_bytes(*b"/a/b/\0cd"),
                2 => random.below(16) as u64,
                _ => self.word(random),
            };
            bytes.extend(word.to_le_bytes());
        }
        bytes
    }

    /// A pointer to somewhere in it, or none.
    pub(crate) fn word(&self, random: &mut Random) -> u64 {
        match random.below(8) {
            0 => 0,
            1 => random.next(),
            2 => random.below(64) as u64,
            _ => {
                let address = self.addresses[random.below(self.addresses.len())];
                // mostly where an object may begin
                let offset = if random.below(4) == 0 { random.below(BYTES) } else { 0 };
                address + offset as u64
            }
        }
    }
}
