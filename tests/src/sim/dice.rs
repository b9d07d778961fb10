//! All chance of a run: numbers that follow from its seed and from nothing else.

/// A stream of numbers (splitmix64: short, and the same on every machine).
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// The dice of a seed for one purpose: however often they are thrown, the others fall as before.
    pub fn apart(seed: u64, purpose: u64) -> Self {
        Self(Self(seed ^ purpose.wrapping_mul(0x9e37_79b9_7f4a_7c15)).next())
    }

    /// The next number.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from `low` up to, but not including, `high`.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.next() % high.saturating_sub(low).max(1)
    }

    /// True with this chance.
    #[allow(clippy::cast_precision_loss, reason = "a chance needs no more than 53 bits")]
    pub fn happens(&mut self, chance: f64) -> bool {
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
