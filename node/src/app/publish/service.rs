//! What others ask of this node: to keep their listings and cards, to show what is kept, to show its catalogue.

use super::share::Offered;
use crate::app::Node;
use crate::clock;
use crate::overlay::Protocol;
use netpay_core::codec::List;
use netpay_core::content::listing::{self, BadListing, Listing};
use netpay_core::id::Place;
use netpay_core::keys::{PublicKey, Signed, Unverified};
use netpay_core::record::index::{MAX_PAGE, Verdict, WhyRefused};
use netpay_core::record::presence::{self, BadCard, Card, bucket_of, place_of_bucket};
use netpay_core::time::Time;
use netpay_core::wire::browse::{BrowseReply, BrowseRequest};
use netpay_core::wire::hello::Membership;
use netpay_core::wire::index::{IndexReply, IndexRequest, MAX_PUT, PutListing};
use std::collections::BTreeSet;
use std::time::Instant;

/// A place is kept here if this node is among so many closest to it: more than [`super::REPLICAS`], since nodes
/// differ about who is there.
const RESPONSIBLE: usize = 20;
/// What a page of the catalogue needs besides its listings, in bytes.
const PAGE_FRAME: usize = 256;

/// Places of a listing, with their positions among its own.
type Numbered = Vec<(u8, Place)>;

impl Node {
    /// Answers a request about the index or presence.
    pub(in crate::app) async fn index_service(&self, from: PublicKey, request: IndexRequest) -> IndexReply {
        let (index, now) = (&self.0.index, clock::time());
        let cost = match &request {
            IndexRequest::PutListings { listings, .. } => listings.len().max(1),
            IndexRequest::GetListings { .. }
            | IndexRequest::PutCard { .. }
            | IndexRequest::GetCards { .. } => 1,
        };
        if from != self.me() && !index.meter.allows(from, cost, Instant::now()) {
            return IndexReply::Refused(WhyRefused::Busy);
        }
        match request {
            IndexRequest::PutListings { membership, listings } => {
                self.keep_listings(membership.as_ref(), listings, now).await
            }
            IndexRequest::GetListings { place, filter, after, limit } => {
                let limit = usize::try_from(limit).unwrap_or(MAX_PAGE);
                index.share.page(&place, &filter, after, limit, now).into()
            }
            IndexRequest::PutCard { membership, card } => {
                IndexReply::Card(match self.believe_card(membership.as_ref(), card, now).await {
                    Ok(card) => index.share.put_card(card, now),
                    Err(why) => Verdict::Refused(why),
                })
            }
            IndexRequest::GetCards { bucket, after } => index.share.cards(bucket, after, now).into(),
        }
    }

    /// Answers a request for this peer's catalogue.
    pub(in crate::app) fn browse_service(&self, request: BrowseRequest) -> BrowseReply {
        let room = Protocol::Browse.max_reply().saturating_sub(PAGE_FRAME);
        self.0.index.own.after(request.after, |listings| {
            let (mut bytes, mut cut) = (0, false);
            let mut page = BrowseReply::page(listings.take_while(|listing| {
                bytes += listing::wire_len(listing);
                cut = bytes > room;
                !cut
            }));
            page.more |= cut;
            page
        })
    }

    async fn keep_listings(
        &self,
        membership: Option<&Unverified<Membership>>,
        listings: List<PutListing, MAX_PUT>,
        now: Time,
    ) -> IndexReply {
        let member = membership.and_then(|membership| self.believe_member(membership, now));
        let Some(member) = member else { return IndexReply::Refused(WhyRefused::NotMember) };
        let (mut believed, mut refused) = (Vec::new(), Vec::new());
        for put in listings.into_vec() {
            let wanted = put.places.len();
            match self.believe_listing(&member.node, put, now) {
                Ok(listing) => {
                    refused.push(None);
                    believed.push(listing);
                }
                Err(why) => refused.push(Some(vec![Verdict::Refused(why); wanted])),
            }
        }
        let places = believed.iter().flat_map(|(_, places)| places.iter().map(|(_, place)| *place));
        let here = self.those_here(places.collect()).await;
        let at = |(number, place): (u8, Place)| {
            if here.contains(&place) { Ok((number, place)) } else { Err(WhyRefused::NotHere) }
        };
        let offered = believed
            .into_iter()
            .map(|(listing, places)| Offered { listing, at: places.into_iter().map(at).collect() });
        let offered: Vec<_> = offered.collect();
        let mut kept = self.0.index.share.put(&offered, now).await.into_iter();
        let verdicts = refused.into_iter().map(|refused| refused.or_else(|| kept.next()).unwrap_or_default());
        IndexReply::Put(List::first_of(verdicts.map(List::first_of)))
    }

    fn believe_listing(
        &self,
        member: &PublicKey,
        put: PutListing,
        now: Time,
    ) -> Result<(Signed<Listing>, Numbered), WhyRefused> {
        let listing =
            listing::verify(put.listing.clone(), &self.network(), now).map_err(|bad| match bad {
                BadListing::Signature(_) => WhyRefused::Forged,
                BadListing::Expired => WhyRefused::Expired,
                _ => WhyRefused::Range,
            })?;
        if listing.vendor != *member {
            return Err(WhyRefused::NotMember);
        }
        let places = put.places_of(&listing).ok_or(WhyRefused::Place)?;
        let numbered = put.places.iter().copied().zip(places).collect();
        Ok((listing, numbered))
    }

    async fn believe_card(
        &self,
        membership: Option<&Unverified<Membership>>,
        card: Unverified<Card>,
        now: Time,
    ) -> Result<Signed<Card>, WhyRefused> {
        let member = membership.and_then(|membership| self.believe_member(membership, now));
        let member = member.ok_or(WhyRefused::NotMember)?;
        let card = presence::verify(card, &self.network(), now).map_err(|bad| match bad {
            BadCard::Signature(_) => WhyRefused::Forged,
            BadCard::Expired => WhyRefused::Expired,
            BadCard::Name | BadCard::Address | BadCard::Dates => WhyRefused::Range,
        })?;
        if card.node != member.node {
            return Err(WhyRefused::NotMember);
        }
        let place = place_of_bucket(bucket_of(&card.node));
        if self.is_close_to(&place).await { Ok(card) } else { Err(WhyRefused::NotHere) }
    }

    /// Those of some places that are kept here: where something is kept already, or this node is close.
    async fn those_here(&self, places: BTreeSet<Place>) -> BTreeSet<Place> {
        let (mut here, others): (BTreeSet<Place>, BTreeSet<Place>) =
            places.into_iter().partition(|place| self.0.index.share.has(place));
        let keys: Vec<_> = others.iter().map(|place| place.0).collect();
        let closest = self.overlay().closest_to_each(&keys, RESPONSIBLE).await;
        let close = others.into_iter().zip(closest).filter(|(_, nodes)| nodes.contains(&self.me()));
        here.extend(close.map(|(place, _)| place));
        here
    }

    async fn is_close_to(&self, place: &Place) -> bool {
        self.overlay().closest(place.0, RESPONSIBLE).await.contains(&self.me())
    }
}
