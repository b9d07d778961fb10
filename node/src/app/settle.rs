//! Settle: the till's segments are closed, certified, and redeemed at the broker.

use super::certify::certify_chain;
use super::view::{Page, Part, RedeemView, TillView};
use super::{Node, Trouble};
use crate::clock;
use crate::store::{Batch, Table};
use netpay_core::amount::Coins;
use netpay_core::codec::{self, List, Wire};
use netpay_core::coin::segment::SegmentNo;
use netpay_core::id::ChainId;
use netpay_core::session::redeem;
use netpay_core::till::{Held, SegmentRow};
use netpay_core::wire::bank::{BankReply, MAX_CLAIMS, Outcome};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// What became of segments that were claimed.
const CLAIMS: Table = Table::new("claims");
/// How often earnings are redeemed by themselves.
const DAILY: Duration = Duration::from_secs(24 * 3600);

/// So long before a chain is settled its uncertified claims are handed in too, in seconds.
const LAST_CALL: u64 = 2 * netpay_core::time::DAY;

/// What became of one segment at the broker.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct ClaimRow {
    coins: Coins,
    outcome: Outcome,
    at: netpay_core::time::Time,
}

impl Wire for ClaimRow {
    const MAX: usize = 512;
}

/// Bytes of a segment's row key.
const SEGMENT_KEY: usize = 36;

/// The row key of a segment.
pub(super) fn segment_key(chain: &ChainId, j: SegmentNo) -> [u8; SEGMENT_KEY] {
    let mut key = [0; SEGMENT_KEY];
    key[..32].copy_from_slice(&chain.0);
    key[32..].copy_from_slice(&j.0.to_be_bytes());
    key
}

impl Node {
    /// Redeems everything earned: closes what lies open and no sale is paying in, has it certified, claims it.
    ///
    /// # Errors
    /// If the wallet is locked, the broker cannot be reached, or the store fails. Claims already answered
    /// stay answered.
    pub async fn redeem(&self) -> Result<RedeemView, Trouble> {
        self.purse(|_| ())?;
        self.close_idle().await?;
        self.certify_all().await?;
        let mut view = RedeemView::default();
        let mut claimed = std::collections::BTreeSet::new();
        loop {
            let rows = self.claimable(&claimed)?;
            if rows.is_empty() {
                break;
            }
            let request = self.purse(|purse| redeem::request(&self.network(), &purse.account, &rows))?;
            let Some((request, segments)) = request else { break };
            let BankReply::Redeemed(outcomes) = self.bank(&request).await? else {
                return Err(Trouble::BrokerNonsense("a redemption was asked for"));
            };
            claimed.extend(segments.iter().copied());
            view.segments += segments.len();
            self.take_outcomes(&rows, &outcomes, &mut view).await?;
        }
        view.uncertified = self.till(|till| till.all().filter(|held| held.lacks_certificate()).count());
        view.balance = self.account(u64::MAX).await.ok().map(|account| account.balance.0);
        Ok(view)
    }

    /// Closed segments with coins in them that have their certificate, or cannot wait for it any longer.
    fn claimable(
        &self,
        claimed: &std::collections::BTreeSet<(ChainId, SegmentNo)>,
    ) -> Result<Vec<(SegmentRow, [u8; 32])>, Trouble> {
        let mut rows = Vec::new();
        let now = clock::time();
        self.till(|till| {
            for held in till.all() {
                let key = (held.open().chain, held.open().j);
                // Without its certificate a claim waits for settlement; it must be there before that.
                let last_call = now.plus(LAST_CALL) >= held.touchstone().redeem_by;
                let ready = held.close().is_some() && (held.close_certificate().is_some() || last_call);
                if ready && held.paid().0 > 0 && !claimed.contains(&key) {
                    let acks = || self.certifier().acks(&key.0, &held.close()?.hash());
                    let row = till.row(&key.0, key.1).map(|row| redeem::with_acks(row, acks));
                    rows.extend(row.map(|row| (row, till.salt(&held.tag()))));
                }
                if rows.len() == MAX_CLAIMS {
                    break;
                }
            }
        });
        Ok(rows)
    }

    async fn take_outcomes(
        &self,
        rows: &[(SegmentRow, [u8; 32])],
        outcomes: &List<(ChainId, SegmentNo, Outcome), MAX_CLAIMS>,
        view: &mut RedeemView,
    ) -> Result<(), Trouble> {
        let mut batch = Batch::new();
        let mut done = Vec::new();
        for (chain, j, outcome) in outcomes {
            let close = rows.iter().filter_map(|(row, _)| Some((row, row.close.as_ref()?.claim().ok()?)));
            let (coins, is_fair) = close
                .filter(|(_, close)| close.chain == *chain && close.j == *j)
                .find_map(|(row, close)| {
                    let open = row.open.claim().ok()?;
                    Some((close.end.since(open.start)?.into(), open.fair.is_some()))
                })
                .unwrap_or((Coins::ZERO, false));
            match outcome {
                Outcome::Paid(paid) => {
                    view.paid += paid.0;
                    done.push((*chain, *j));
                }
                Outcome::Pending { coins, until } => {
                    view.pending += coins.0;
                    if is_fair {
                        view.held += coins.0;
                        view.held_until = view.held_until.max(Some(until.0));
                    }
                }
                Outcome::Refused(reject) => view.refused.push(format!("{chain:.8}/{j}: {reject}")),
            }
            let row = ClaimRow { coins, outcome: outcome.clone(), at: clock::time() };
            batch.put(CLAIMS, segment_key(chain, *j), codec::encode(&row));
        }
        let (_, commit) = self.change_till(batch, |till| {
            ((), done.iter().flat_map(|(chain, j)| till.release(chain, *j)).collect())
        });
        Ok(commit.await?)
    }

    /// Closes segments that no sale is paying in.
    async fn close_idle(&self) -> Result<(), Trouble> {
        let busy = self.0.sales.busy();
        let open: Vec<(ChainId, SegmentNo)> = self.till(|till| {
            let open = till.all().filter(|held| held.close().is_none());
            open.map(|held| (held.open().chain, held.open().j))
                .filter(|(chain, _)| !busy.contains(chain))
                .collect()
        });
        self.close_segments(open).await
    }

    /// Closes segments, durably.
    pub(super) async fn close_segments(&self, open: Vec<(ChainId, SegmentNo)>) -> Result<(), Trouble> {
        let (_, commit) = self.change_till(Batch::new(), |till| {
            let closed = open.iter().filter_map(|(chain, j)| till.close(chain, *j).ok());
            ((), closed.flat_map(|(_, changes)| changes).collect())
        });
        Ok(commit.await?)
    }

    /// Has everything in the till certified that can be, chain by chain, a few at a time.
    pub(super) async fn certify_all(&self) -> Result<(), Trouble> {
        use futures::stream::{self, StreamExt as _};
        let chains = self.till(|till| till.uncertified_chains());
        let mut done = stream::iter(chains)
            .map(|chain| {
                let node = self.clone();
                async move { certify_chain(&node, &chain).await }
            })
            .buffer_unordered(8);
        while let Some(result) = done.next().await {
            result?;
        }
        Ok(())
    }

    /// A page of the segments in the till and of those that were claimed, in the order of chains.
    ///
    /// # Errors
    /// If there is no such page, or the store fails.
    pub fn till_part(&self, part: &Part) -> Result<Page<TillView>, Trouble> {
        let limit = part.limit()?;
        let after = part.after(|after| {
            let key = data_encoding::HEXLOWER.decode(after.as_bytes()).ok()?;
            <[u8; SEGMENT_KEY]>::try_from(key).ok()
        })?;
        // As many of each as the page and one more may take, of which the first ones are shown.
        let mut rows: BTreeMap<[u8; SEGMENT_KEY], TillView> = self.till(|till| {
            let held = till.all().map(|held| (segment_key(&held.open().chain, held.open().j), held));
            let behind = held.filter(|(key, _)| after.is_none_or(|after| *key > after));
            behind.take(limit + 1).map(|(key, held)| (key, held_view(held))).collect()
        });
        let claims = self.db().scan(CLAIMS, &[], after.as_ref().map(|after| &after[..]), limit + 1)?;
        for (key, row) in claims {
            if let (Ok(row), Ok(key)) = (codec::decode::<ClaimRow>(&row), <[u8; SEGMENT_KEY]>::try_from(key))
                && let Some(view) = self.claim_view(&key, &row)
            {
                rows.insert(key, view);
            }
        }
        Ok(Page::of(rows, limit, |(key, _)| data_encoding::HEXLOWER.encode(key), |(_, view)| view))
    }

    /// What was claimed and cannot be paid before a time that is yet to come, and of which the broker said so.
    ///
    /// # Errors
    /// If the store fails.
    pub fn claims_that_wait(&self) -> Result<Waiting, Trouble> {
        let held: Vec<_> = self.till(|till| {
            let keys = till.all().map(|held| (held.open().chain, held.open().j, held.open().fair.is_some()));
            keys.collect()
        });
        let (now, mut waiting) = (clock::time(), Waiting::default());
        for (chain, j, is_fair) in held {
            let row = self.db().get(CLAIMS, &segment_key(&chain, j))?;
            let Some(Ok(row)) = row.map(|row| codec::decode::<ClaimRow>(&row)) else { continue };
            let Outcome::Pending { coins, until } = row.outcome else { continue };
            if until > now {
                waiting.coins += coins.0;
                if is_fair {
                    waiting.held += coins.0;
                    waiting.held_until = waiting.held_until.max(Some(until.0));
                }
            }
        }
        Ok(waiting)
    }

    fn claim_view(&self, key: &[u8], row: &ClaimRow) -> Option<TillView> {
        let (chain, j) = parse_key(key)?;
        let (state, until) = match row.outcome {
            Outcome::Paid(_) => ("paid", None),
            Outcome::Pending { until, .. } => ("pending", Some(until.0)),
            Outcome::Refused(_) => ("refused", None),
        };
        let is_fair = self.till(|till| till.held(&chain, j).is_some_and(|held| held.open().fair.is_some()));
        Some(TillView {
            chain: chain.to_string(),
            segment: j.0,
            coins: row.coins.0,
            state: state.to_owned(),
            until,
            held: is_fair && until.is_some(),
        })
    }
}

/// Claims that cannot be paid yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Coins of all of them.
    pub coins: u64,
    /// Coins of those that wait since what was sold in fair mode can be disputed for a day.
    pub held: u64,
    /// When the last of these can be paid at the earliest.
    pub held_until: Option<u64>,
}

fn held_view(held: &Held) -> TillView {
    let state = match (held.close(), held.close_certificate()) {
        (None, _) => "open",
        (Some(_), None) => "closed",
        (Some(_), Some(_)) => "certified",
    };
    TillView {
        chain: held.open().chain.to_string(),
        segment: held.open().j.0,
        coins: u64::from(held.paid().0),
        state: state.to_owned(),
        until: None,
        held: false,
    }
}

fn parse_key(key: &[u8]) -> Option<(ChainId, SegmentNo)> {
    let (chain, j) = key.split_at_checked(32)?;
    Some((ChainId(chain.try_into().ok()?), SegmentNo(u32::from_be_bytes(j.try_into().ok()?))))
}

/// Redeems once a day, if the user wants that.
pub async fn run(node: Node) {
    if !node.settings().redeem_daily {
        return;
    }
    let mut daily = tokio::time::interval_at(tokio::time::Instant::now() + DAILY, DAILY);
    loop {
        tokio::select! {
            _ = daily.tick() => match node.redeem().await {
                Ok(view) => tracing::info!(paid = view.paid, pending = view.pending, "redeemed"),
                Err(trouble) => tracing::warn!(%trouble, "not redeemed today"),
            },
            () = node.stopped() => return,
        }
    }
}
