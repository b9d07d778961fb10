//! What a run of the model is about: who lies, how much a vendor risks, and which rule is missing.

/// Coins of the chain.
pub const COINS: u32 = 4;
/// Coins of a lease; the last of a chain may have fewer.
pub const LEASE: u32 = 2;
/// The highest number of a segment.
pub const SEGMENTS: u32 = 3;
/// Honest witnesses. The fourth of the committee is Byzantine: it acks whatever it is asked to, and falls silent
/// whenever that hurts.
pub const HONEST: usize = 3;
/// Acks that make a certificate: q of k = 4.
pub const QUORUM: usize = 3;

/// A rule that can be switched off, to see what it is for. Those marked † in the design come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// † The committee is pinned in the touchstone. Without it the buyer names the witnesses.
    CommitteePinned,
    /// † The buyer signs one Open per number, and only once its start is settled. Without it an honest buyer that gave
    /// a vendor up signs the number again when the Close turns up after all.
    OneOpenPerNumber,
    /// † An ack of an Open is an ack of its ancestors. Without it a witness judges every number by itself.
    AckOfAncestors,
    /// † A lease may begin inside the last one only by a Close that the witness itself keeps. Without it any Close that
    /// is shown will do.
    OwnCloseFrees,
    /// † After evidence a witness still acks Closes. Without it it acks nothing any more.
    ClosesAfterEvidence,
    /// † A claim is final if its Close is certified. Without it the certificate of its Open is enough.
    FinalByClose,
    /// † Claims without a certificate wait for the settlement. Without it they are paid as they come.
    UncertifiedWaits,
    /// W1: one Open per number at a witness.
    W1,
    /// W3: one Close per segment at a witness, and none that reaches into the next segment.
    W3,
    /// A coin pays only with its release. Without it whoever has a later coin has all those before it.
    Release,
    /// Persist, then act. Without it a witness that crashes forgets what it acked last.
    PersistThenAct,
    /// A vendor counts at most x0 coins before its Open is certified.
    X0,
    /// At settlement claims whose Open is certified are paid first, of these the later segment first. Without it the
    /// first to arrive is.
    CertifiedOpensFirst,
    /// Of an older segment the Close that a witness keeps stands, whatever is shown. Without it it refuses the line.
    OwnCloseStands,
}

/// One run.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Config {
    /// Whether the buyer lies.
    pub buyer_lies: bool,
    /// Whether Ben, one of the two vendors, lies. He then is in league with the buyer, if that lies too.
    pub vendor_lies: bool,
    /// Coins of a chain that an honest vendor counts without a certificate.
    pub x0: u32,
    /// The rule that is missing.
    pub dropped: Option<Rule>,
    /// One that would make up for it, and is missing too.
    pub substitute: Option<Rule>,
    /// Whether the Byzantine witness answers no honest vendor that wants to finish.
    pub silent: bool,
    /// The most Opens that are signed.
    pub opens: usize,
    /// Liars sign Closes while there are fewer than so many in all.
    pub closes: usize,
}

impl Config {
    /// The product's rules.
    pub const fn product(buyer_lies: bool, vendor_lies: bool, x0: u32, opens: usize) -> Self {
        Self {
            buyer_lies,
            vendor_lies,
            x0,
            dropped: None,
            substitute: None,
            silent: true,
            opens,
            closes: 5 - opens,
        }
    }

    /// The same without a rule.
    pub const fn without(self, rule: Rule) -> Self {
        Self { dropped: Some(rule), ..self }
    }

    /// Whether a rule holds.
    pub fn has(&self, rule: Rule) -> bool {
        self.dropped != Some(rule) && self.substitute != Some(rule)
    }
}
