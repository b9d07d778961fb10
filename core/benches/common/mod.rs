//! A large file that is sold in fair mode.

use netpay_core::amount::{Coins, Count};
use netpay_core::coin::key::{Key, KeyChain};
use netpay_core::coin::segment::SegmentNo;
use netpay_core::content::tree::{Proof, Tree, TreeBuilder};
use netpay_core::content::units::{GROUP, Units};
use netpay_core::fair::deal::Deal;
use netpay_core::fair::sealed::{self, Leaves};
use netpay_core::id::{ChainId, NetworkId};
use netpay_core::keys::{SecretKey, Signed};
use netpay_core::time::Time;

pub const NETWORK: NetworkId = NetworkId([7; 32]);
const SIZE: u64 = 64 << 20;

/// The content, and its tree.
pub type File = (Vec<u8>, Tree);

/// A deal about all of the file, in units of 256 KiB, and its keys. `coins` gives the price for so many units.
pub fn sale(
    (buyer, holder): (&SecretKey, &SecretKey),
    coins: impl FnOnce(u64) -> Count,
) -> (Signed<Deal>, KeyChain, File) {
    let mut content = vec![0; usize::try_from(SIZE).expect("it fits")];
    blake3::Hasher::new().finalize_xof().fill(&mut content);
    let mut builder = TreeBuilder::new();
    builder.update(&content);
    let tree = builder.finish();
    let count = Units::new(SIZE, 4).expect("in range").count();
    let coins = coins(count);
    let mut deal = Deal {
        chain: ChainId([3; 32]),
        j: SegmentNo(1),
        holder: holder.public(),
        buyer: buyer.public(),
        root: tree.root(),
        size: SIZE,
        price: Coins::from(coins),
        unit_log: 4,
        first: 0,
        count,
        key_root: Key([0; 32]),
        made: Time(0),
        salt: [4; 16],
    };
    let keys = KeyChain::grow(&[5; 32], &deal.salt, &deal.step(), coins);
    deal.key_root = keys.root();
    (holder.sign(&NETWORK, deal), keys, (content, tree))
}

/// Unit `b` of the file: its bytes, what its leaves hash to, and its path.
pub fn unit(deal: &Deal, (content, tree): &File, b: u64) -> (Vec<u8>, Leaves, Proof) {
    let units = deal.units().expect("in range");
    let at = |n: u64| usize::try_from(n).expect("it fits");
    let range = units.range(b).expect("a unit");
    let plain = content[at(range.start)..at(range.end)].to_vec();
    let first = at(sealed::first_leaf(units, b));
    let count = plain.len().div_ceil(at(GROUP));
    let leaves = Leaves::first_of(tree.nodes()[first..first + count].iter().copied());
    (plain, leaves, tree.proof(units, b).expect("a path"))
}
