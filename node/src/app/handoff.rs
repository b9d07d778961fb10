//! Handoff: a chain's last vendor is asked for its Close, and the chain's record is read beside it; and the other
//! end of `/netpay/handoff/1`.

use super::Node;
use super::certify::read_close;
use super::recent::Recent;
use super::view::HandoffView;
use crate::clock;
use crate::overlay::Protocol;
use crate::store::Batch;
use futures::future::{Either, select};
use futures::stream::{self, StreamExt as _};
use netpay_core::codec;
use netpay_core::coin::segment::{Close, Handover, SegmentNo};
use netpay_core::coin::touchstone::Touchstone;
use netpay_core::id::ChainId;
use netpay_core::keys::{PublicKey, Signed, Unverified};
use netpay_core::wallet::Lease;
use netpay_core::wire::handoff::{HANDOFF_TIMEOUT_MS, HandoffReply, HandoffRequest};
use netpay_core::wire::reject::{Reject, RejectCode};
use std::pin::pin;
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// A vendor that is connected has so long to answer before the record is read too: most handoffs then ask
/// nobody else.
const HEAD_START: Duration = Duration::from_millis(20);
/// Vendors that a buyer asks at once to close what it left open.
const ASKED_AT_ONCE: usize = 16;
/// Handoffs remembered, the newest.
const MAX_REMEMBERED: usize = 256;

/// The handoffs that this vendor has asked for lately.
pub type Handoffs = Recent<HandoffView, MAX_REMEMBERED>;

/// Where a Close came from.
#[derive(Clone, Copy)]
enum From {
    Vendor,
    Record,
}

/// Has the last vendor close, or finds in the chain's record the Close that it left when it stopped. Whichever
/// comes first settles, since both are the last vendor's own word. `None` only if neither can be had.
pub(super) async fn ask_previous(
    node: &Node,
    from: PublicKey,
    handover: Unverified<Handover>,
    touchstone: &Signed<Touchstone>,
) -> Option<Unverified<Close>> {
    let wish = handover.claim().ok()?;
    let began = Instant::now();
    let settled = settle(node, from, handover, &wish, touchstone).await;
    let how = match settled {
        Some((_, From::Vendor)) => "vendor",
        Some((_, From::Record)) => "record",
        None => "gone",
    };
    node.0.handoffs.note(HandoffView {
        at: clock::now().0,
        chain: wish.chain.to_string(),
        segment: wish.j.0,
        how: how.to_owned(),
        micros: u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX),
    });
    settled.map(|(close, _)| close)
}

async fn settle(
    node: &Node,
    from: PublicKey,
    handover: Unverified<Handover>,
    wish: &Handover,
    touchstone: &Signed<Touchstone>,
) -> Option<(Unverified<Close>, From)> {
    let connected = node.overlay().is_connected(&from);
    let mut asked = pin!(ask_to_close(node, from, handover));
    let mut read = pin!(read_close(node, touchstone, wish.j));
    let by_vendor = |close| (close, From::Vendor);
    let by_record = |close: Signed<Close>| (close.wire(), From::Record);
    if connected && let Ok(answer) = timeout(HEAD_START, &mut asked).await {
        return match answer {
            Some(close) => Some(by_vendor(close)),
            None => read.await.map(by_record),
        };
    }
    match select(asked, &mut read).await {
        Either::Left((Some(close), _)) => Some(by_vendor(close)),
        Either::Left((None, read)) => read.await.map(by_record),
        Either::Right((Some(close), _)) => Some(by_record(close)),
        Either::Right((None, asked)) => asked.await.map(by_vendor),
    }
}

/// The last vendor's answer; `None` if it refuses, is not there, or takes too long.
async fn ask_to_close(
    node: &Node,
    from: PublicKey,
    handover: Unverified<Handover>,
) -> Option<Unverified<Close>> {
    let request = codec::encode(&HandoffRequest { handover });
    let within = Duration::from_millis(HANDOFF_TIMEOUT_MS);
    let answer = node.overlay().request(from, Protocol::Handoff, request, within).await;
    match answer.map(|frame| codec::decode(&frame)) {
        Ok(Ok(HandoffReply::Closed(close))) => Some(close),
        other => {
            tracing::debug!(%from, ?other, "the last vendor does not close");
            None
        }
    }
}

impl Node {
    /// Answers `/netpay/handoff/1`: closes the segment that the buyer's wish names.
    pub(super) async fn handoff_service(&self, request: HandoffRequest) -> HandoffReply {
        let (closed, commit) =
            self.change_till(Batch::new(), |till| match till.hand_over(request.handover) {
                Ok((close, changes)) => (Ok(close), changes),
                Err(why) => (Err(why), Vec::new()),
            });
        let close = match closed {
            Ok(close) => close,
            Err(why) => return HandoffReply::Reject(Reject::new(RejectCode::UnknownChain, &why.to_string())),
        };
        if let Err(error) = commit.await {
            return HandoffReply::Reject(Reject::new(RejectCode::Storage, &error.to_string()));
        }
        self.certifier().want(close.chain, false);
        HandoffReply::Closed(close.wire())
    }

    /// Has the vendors that can be reached close what this buyer left open at them and no sale uses: its chains are then
    /// free for whoever sells next. Nothing is lost where a vendor does not: the next one asks it again.
    pub(super) async fn give_leases_back(&self) {
        // Nobody takes them over: the wish names this peer itself.
        let to = self.me();
        let wishes = self.wallet(|wallet| {
            let leases =
                wallet.chains().flat_map(|(id, chain)| chain.leases().map(move |lease| (*id, lease)));
            let idle = leases.filter(|(_, (_, lease))| lease.is_idle());
            let wish = |(id, (j, lease)): (ChainId, (&SegmentNo, &Lease))| {
                Some((id, lease.seller.node, wallet.hand_over(&id, *j, to).ok()?))
            };
            idle.filter_map(wish).collect::<Vec<_>>()
        });
        let reachable = wishes.unwrap_or_default().into_iter();
        let reachable = reachable.filter(|(_, vendor, _)| self.overlay().is_connected(vendor));
        stream::iter(reachable)
            .for_each_concurrent(ASKED_AT_ONCE, |(chain, vendor, wish)| async move {
                let Some(close) = ask_to_close(self, vendor, wish).await else { return };
                let closed = self.change_wallet(|wallet| match wallet.closed(&chain, close) {
                    Ok(change) => (Ok(()), vec![change]),
                    Err(error) => (Err(error), Vec::new()),
                });
                match closed.await {
                    Ok(Ok(())) => tracing::debug!(%chain, %vendor, "a lease is given back"),
                    Ok(Err(error)) => {
                        tracing::warn!(%chain, %vendor, %error, "a vendor's Close does not hold")
                    }
                    Err(trouble) => tracing::warn!(%chain, %trouble, "a Close was not kept"),
                }
            })
            .await;
    }

    /// The handoffs that this vendor has asked for since it started, the newest last.
    #[must_use]
    pub fn handoffs(&self) -> Vec<HandoffView> {
        self.0.handoffs.all()
    }
}
