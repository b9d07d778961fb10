use crate::common::stall::{Stall, listing, offers, puts};
use crate::common::villain::Villain;
use crate::common::{arrived, request, town};
use anyhow::{Result, ensure};
use netpay_core::codec::{self, List};
use netpay_core::keys::Unverified;
use netpay_core::record::index::{Verdict, WhyRefused};
use netpay_core::wire::browse::BrowseReply;
use netpay_core::wire::index::{IndexReply, IndexRequest};
use netpay_core::wire::record::{RecordReply, RecordRequest};
use netpay_node::app::view::Found;
use netpay_node::overlay::{Protocol, handler};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Names that no listing may have: they lead elsewhere, or deceive the eye.
const FORBIDDEN: [&str; 9] = [
    "../../escaped treasure",
    "/tmp/escaped treasure",
    "..\\escaped treasure",
    "..",
    "treasure\0.png",
    "treasure\n.png",
    "\u{1b}[2Jtreasure",
    "treasure\u{202e}gnp.exe",
    " ",
];
/// Names that a listing may have and a disk had better not.
const AWKWARD: [(&str, &str); 4] =
    [(".bashrc", "bashrc"), ("-rf", "_-rf"), ("con.txt", "_con.txt"), ("trailing. .", "trailing")];

#[tokio::test]
async fn a_file_with_a_hostile_name_is_not_listed_not_found_and_not_shown() -> Result<()> {
    let (swarm, peers) = town(4).await?;
    let villain = Villain::join(&swarm, &peers).await?;
    let mut forged = Vec::new();
    for (n, name) in FORBIDDEN.iter().enumerate() {
        let forged_one = listing(&villain, format!("treasure {n}").as_bytes(), name, 0)?;
        for peer in &peers {
            let said = puts(&villain, peer, &forged_one).await?;
            let refused =
                !said.is_empty() && said.iter().all(|one| *one == Verdict::Refused(WhyRefused::Range));
            ensure!(refused, "{name:?}: {said:?}");
        }
        forged.push(forged_one);
    }
    // As a member it is asked itself what it keeps, and says that it has them all.
    let asked = Arc::new(AtomicUsize::new(0));
    shows(&villain, &forged, &asked);
    let buyer = &peers[0];
    for words in ["treasure", "escaped treasure"] {
        let found = buyer.search(words).await?;
        ensure!(found.is_empty(), "{words}: found {found:?}");
    }
    for one in &forged {
        let error =
            buyer.get(&crate::common::request_of(&swarm, buyer, &one.claim()?.root.to_string())?).await;
        ensure!(error.is_err(), "{:?} was bought", one.claim()?.name);
    }
    ensure!(asked.load(Ordering::Relaxed) > 0, "nobody asked the villain");
    let node = villain.node.public();
    let shown: Vec<Found> = buyer.api().list(&format!("/peers/{node}/files"), &[]).await.unwrap_or_default();
    ensure!(shown.is_empty(), "its catalogue shows {shown:?}");
    Ok(())
}

/// The villain answers every question about listings with these.
fn shows(
    villain: &Villain,
    forged: &[Unverified<netpay_core::content::listing::Listing>],
    asked: &Arc<AtomicUsize>,
) {
    let (listings, count) = (List::first_of(forged.iter().cloned()), Arc::clone(asked));
    let records = handler(move |_, frame: Vec<u8>| {
        let (listings, count) = (listings.clone(), Arc::clone(&count));
        async move {
            let request: RecordRequest = codec::decode(&frame).ok()?;
            let RecordRequest::Index(IndexRequest::GetListings { .. }) = request else { return None };
            count.fetch_add(1, Ordering::Relaxed);
            Some(codec::encode(&RecordReply::Index(IndexReply::Listings { listings, next: None })))
        }
    });
    villain.overlay.serve(Protocol::Record, records);
    let listings = List::first_of(forged.iter().cloned());
    let catalogue = handler(move |_, _| {
        let listings = listings.clone();
        async move { Some(codec::encode(&BrowseReply { listings, more: false })) }
    });
    villain.overlay.serve(Protocol::Browse, catalogue);
}

#[tokio::test]
async fn a_file_with_an_awkward_name_lands_where_it_was_wanted() -> Result<()> {
    let (swarm, peers) = town(4).await?;
    let buyer = &peers[0];
    for (n, (name, safe)) in AWKWARD.into_iter().enumerate() {
        let villain = Villain::join(&swarm, &peers).await?;
        let goods = format!("awkward {n}").into_bytes();
        let _stall = Stall::open(&villain, goods.clone());
        let offer = offers(&villain, &peers, (&swarm.goods(), name), &goods, 0).await?;
        let view = buyer.buy(&request(&swarm, buyer, &offer)?).await?;
        arrived(&view, &offer)?;
        let wanted = swarm.directory().join("bought").join(buyer.name()).join(safe);
        ensure!(Path::new(&view.path) == wanted, "{name:?} went to {}", view.path);
    }
    Ok(())
}
