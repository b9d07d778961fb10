//! All chance of a run: numbers that follow from its seed and from nothing else.

/// A stream of numbers (splitmix64: short, and the same on every machine), or what bytes say, as long as there are any.
#[derive(Clone, Debug)]
pub struct Dice {
    state: u64,
    /// The next byte last.
    fed: Vec<u8>,
}

impl Dice {
    /// The dice of a seed for one purpose: however often they are thrown, the others fall as before.
    pub fn apart(seed: u64, purpose: u64) -> Self {
        let mut dice = Self { state: seed ^ purpose.wrapping_mul(0x9e37_79b9_7f4a_7c15), fed: Vec::new() };
        dice.state = dice.next();
        dice
    }

    /// Dice that fall as the bytes say, for a throw of up to 256 sides one of them; after the last by chance.
    pub fn fed(bytes: &[u8]) -> Self {
        Self { fed: bytes.iter().rev().copied().collect(), ..Self::apart(0, bytes.len() as u64) }
    }

    /// How many bytes are left to say how they fall.
    pub const fn left(&self) -> usize {
        self.fed.len()
    }

    /// The next number.
    pub const fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from `low` up to, but not including, `high`.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        let sides = high.saturating_sub(low).max(1);
        low + if self.fed.is_empty() { self.next() } else { self.read(sides) } % sides
    }

    /// As many bytes as it takes to tell so many sides apart.
    fn read(&mut self, sides: u64) -> u64 {
        let mut number = 0;
        let mut above = sides - 1;
        while above > 0 {
            number = number << 8 | u64::from(self.fed.pop().unwrap_or(0));
            above >>= 8;
        }
        number
    }

    /// True with this chance.
    #[allow(clippy::cast_precision_loss, reason = "a chance needs no more than 53 bits")]
    pub fn happens(&mut self, chance: f64) -> bool {
        if let Some(byte) = self.fed.pop() {
            return f64::from(byte) < chance * 256.0;
        }
        ((self.next() >> 11) as f64) < chance * (1_u64 << 53) as f64
    }

    /// One of some.
    pub fn one_of<T: Copy>(&mut self, some: &[T]) -> Option<T> {
        let at = self.between(0, some.len() as u64);
        some.get(usize::try_from(at).ok()?).copied()
    }

    /// `count` different ones of some, in the order of the draw.
    pub fn draw<T>(&mut self, mut some: Vec<T>, count: usize) -> Vec<T> {
        let mut drawn = Vec::new();
        while drawn.len() < count && !some.is_empty() {
            let at = usize::try_from(self.between(0, some.len() as u64)).unwrap_or(0);
            drawn.push(some.swap_remove(at));
        }
        drawn
    }

    /// Bytes.
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.next().to_le_bytes()[0])
    }
}
