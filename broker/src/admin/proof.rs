//! A proof of junk, taken apart for people: what the deal promised, what came, under which key, and who signed what.

use super::view::{DealView, ProofView, SignatureView, time};
use netpay_core::codec::Wire;
use netpay_core::fair::deal::Deal;
use netpay_core::fair::judge::{self, Junk};
use netpay_core::id::NetworkId;
use netpay_core::keys::{PublicKey, Signable, Unverified};

/// What it says, and what of it holds. `buyer` is the key of the chain that paid.
#[must_use]
pub fn view(network: &NetworkId, buyer: &PublicKey, junk: &Junk) -> ProofView {
    let (open, deal, sent) = (junk.open.claim().ok(), junk.deal.claim().ok(), junk.sealed.claim().ok());
    let holder = open.as_ref().map(|open| open.holder);
    let coin = deal.as_ref().zip(sent.as_ref()).and_then(|(deal, sent)| deal.key_coin(sent.unit));
    let hashes = deal.as_ref().zip(sent.as_ref());
    let hashes = hashes.and_then(|(deal, sent)| judge::leaf_hashes(deal, sent, junk));
    let hex = |bytes: &[u8]| data_encoding::HEXLOWER.encode(bytes);
    ProofView {
        unit: sent.as_ref().map(|sent| sent.unit),
        leaf: junk.leaf,
        promised: hashes.map(|hashes| hex(&hashes.promised)),
        came: hashes.map(|hashes| hex(&hashes.came)),
        sealed: sent.as_ref().map(|sent| sent.root.to_string()),
        key: hex(&junk.key.0),
        key_coin: coin.map(|coin| coin.0),
        key_leads_to_root: deal.as_ref().zip(coin).is_some_and(|(deal, coin)| deal.has_key(coin, &junk.key)),
        signed: vec![
            signature("the Open that binds the deal", "buyer", Some(*buyer), &junk.open, network),
            signature("the deal", "vendor", holder, &junk.deal, network),
            signature("the unit as it was sent", "vendor", holder, &junk.sealed, network),
        ],
        judged: judge::judge(network, buyer, junk).err().map(|why| why.to_string()),
        deal: deal.map(|deal| deal_view(&deal, junk.deal.hash(network).to_string())),
    }
}

fn deal_view(deal: &Deal, hash: String) -> DealView {
    DealView {
        deal: hash,
        content: deal.root.to_string(),
        size: deal.size,
        unit_size: deal.units().map(|units| units.unit_len()),
        first: deal.first,
        count: deal.count,
        coins: deal.coins().map(|coins| coins.0),
        key_root: data_encoding::HEXLOWER.encode(&deal.key_root.0),
        made: time(deal.made),
    }
}

fn signature<T: Signable + Wire>(
    what: &str,
    side: &str,
    key: Option<PublicKey>,
    signed: &Unverified<T>,
    network: &NetworkId,
) -> SignatureView {
    SignatureView {
        what: what.to_owned(),
        side: side.to_owned(),
        key: key.map(|key| key.to_string()),
        holds: key.is_some_and(|key| signed.clone().verify(network, &key).is_ok()),
    }
}
