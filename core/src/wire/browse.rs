//! `/netpay/browse/1`: a peer's own catalogue, page by page.

use super::BULK_FRAME;
use crate::codec::{List, Wire};
use crate::content::listing::{self, Listing};
use crate::id::ContentRoot;
use crate::keys::{Signed, Unverified};
use crate::record::index::MAX_PAGE;
use serde::{Deserialize, Serialize};

/// The most listings in one page.
pub const MAX_BROWSED: usize = 64;

/// Asks for the listings after a content root, in the order of roots.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrowseRequest {
    /// The last root already shown; none for the first page.
    pub after: Option<ContentRoot>,
}

impl Wire for BrowseRequest {
    const MAX: usize = 64;
}

/// A page of the catalogue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrowseReply {
    /// Listings in the order of their roots, none withdrawn.
    pub listings: List<Unverified<Listing>, MAX_BROWSED>,
    /// Whether others follow the last of them.
    pub more: bool,
}

impl Wire for BrowseReply {
    const MAX: usize = BULK_FRAME;
}

impl BrowseReply {
    /// The page of as many of `listings` as fit; they come in the order of roots and begin after the root
    /// asked for.
    #[must_use]
    pub fn page<'a>(listings: impl IntoIterator<Item = &'a Signed<Listing>>) -> Self {
        let mut page = Self { listings: List::new(), more: false };
        let mut bytes = 0;
        for listing in listings {
            bytes += listing::wire_len(listing);
            if bytes > MAX_PAGE || page.listings.push(listing.wire()).is_err() {
                page.more = true;
                break;
            }
        }
        page
    }
}
