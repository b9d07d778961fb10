//! The broker as a node: what it serves to peers besides the bank. It says who it is, and it is a witness: the only one
//! while there are too few members.

use crate::service::{Bank, MEMBER_FOR};
use netpay_core::codec::{self, List, Text};
use netpay_core::keys::{SecretKey, Unverified};
use netpay_core::record::index;
use netpay_core::record::witness::WhyRefused;
use netpay_core::wire::hello::{Hello, Membership, Welcome};
use netpay_core::wire::index::IndexReply;
use netpay_core::wire::record::{RecordReply, RecordRequest};
use netpay_node::overlay::{NodeKey, Protocol, Services, handler};
use netpay_node::witness::Witness;
use std::sync::Arc;

/// Everything the broker's node serves.
#[must_use]
pub fn services(bank: &Bank, witness: Arc<Witness>, node: NodeKey, signing: SecretKey) -> Services {
    let (to_bank, to_hello) = (bank.clone(), bank.clone());
    let bank = handler(move |from, frame| {
        let bank = to_bank.clone();
        async move { Some(bank.handle(from, frame).await) }
    });
    let record = handler(move |_, frame| {
        let witness = witness.clone();
        async move { record(&witness, &frame).await }
    });
    let hello = handler(move |from, frame| {
        let reply = welcome(&to_hello, node, &signing, &from, &frame);
        async move { reply }
    });
    Services::new().on(Protocol::Bank, bank).on(Protocol::Record, record).on(Protocol::Hello, hello)
}

async fn record(witness: &Witness, frame: &[u8]) -> Option<Vec<u8>> {
    let reply = match codec::decode::<RecordRequest>(frame).ok()? {
        RecordRequest::PutChain { record, closes, want } => witness.put(record, &closes, &want).await,
        RecordRequest::GetChain(chain) => witness.show(&chain),
        RecordRequest::Freeze { touchstone, freeze } => witness.freeze(touchstone, freeze).await,
        RecordRequest::Revoked(_) => Ok(RecordReply::Refused(WhyRefused::Bad)),
        // The index is the members'; the broker only keeps chains.
        RecordRequest::Index(_) => Ok(RecordReply::Index(IndexReply::Refused(index::WhyRefused::NotHere))),
    };
    reply
        .inspect_err(|error| tracing::error!(%error, "the witness's store"))
        .ok()
        .map(|reply| codec::encode(&reply))
}

fn welcome(bank: &Bank, node: NodeKey, signing: &SecretKey, from: &NodeKey, frame: &[u8]) -> Option<Vec<u8>> {
    let hello: Hello = codec::decode(frame).ok()?;
    bank.roster().seen(from, bank.now());
    let membership =
        Membership { broker: bank.key(), node, witness: true, expires: bank.now().plus(MEMBER_FOR) };
    let membership: Unverified<Membership> = signing.sign(&bank.network(), membership).wire();
    if hello.network != bank.network() {
        tracing::debug!(%from, "a peer of another network says hello");
    }
    let name = Text::cut(&bank.terms().name);
    // Who connects is shown the list by the freezer.
    let revoked = bank.revocations().map_or(0, |list| list.number);
    // The broker sells nothing, so it has no holder keys.
    let welcome = Welcome {
        network: bank.network(),
        name,
        membership: Some(membership),
        holders: List::new(),
        revoked,
    };
    Some(codec::encode(&welcome))
}
