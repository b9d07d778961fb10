//! The protocols: their names on the wire and how large their messages may be.

use libp2p::StreamProtocol;

/// The most bytes a control message takes.
pub const MAX_CONTROL: usize = 16 * 1024;
/// The most bytes a batch of records, or of claims at the broker, takes.
pub const MAX_RECORDS: usize = 64 * 1024;

/// The version of the whole: peers of another one are not talked to. Each protocol has one of its own in its name.
pub const VERSION: u32 = 1;

/// What two nodes can talk about; one protocol per stream.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Protocol {
    /// Who are you, and what do you offer.
    Hello,
    /// Records in the DHT: put and get.
    Record,
    /// A sale: one long stream.
    Trade,
    /// A chain moves from one vendor to the next.
    Handoff,
    /// Account holder and broker.
    Bank,
    /// What files a peer has.
    Browse,
}

impl Protocol {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Hello, Self::Record, Self::Trade, Self::Handoff, Self::Bank, Self::Browse];

    /// The name on the wire; it ends in the version.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::Hello => "/netpay/hello/1",
            Self::Record => "/netpay/record/1",
            Self::Trade => "/netpay/trade/1",
            Self::Handoff => "/netpay/handoff/1",
            Self::Bank => "/netpay/bank/1",
            Self::Browse => "/netpay/browse/1",
        }
    }

    /// The most bytes a request takes.
    #[must_use]
    pub const fn max_request(self) -> usize {
        match self {
            Self::Record | Self::Bank => MAX_RECORDS,
            Self::Hello | Self::Trade | Self::Handoff | Self::Browse => MAX_CONTROL,
        }
    }

    /// The most bytes a reply takes.
    #[must_use]
    pub const fn max_reply(self) -> usize {
        match self {
            Self::Record | Self::Bank => MAX_RECORDS,
            Self::Hello | Self::Trade | Self::Handoff | Self::Browse => MAX_CONTROL,
        }
    }

    pub(super) const fn name(self) -> StreamProtocol {
        StreamProtocol::new(self.id())
    }
}
