//! Receipts, proofs and disputes: what others signed, shown, written out, and checked without asking anybody.

use super::acts::{Dispute, Evidence, Receipt};
use super::args::Global;
use super::commands::said;
use super::show::{self, coins, foreign, moment, short};
use crate::api::client::{Client, escaped};
use crate::app::view::{DisputeView, ErrorView, EvidenceView, ReceiptView};
use crate::config::{self, Invite};
use crate::errors;
use crate::home::Home;
use crate::store::files::{PRIVATE, atomic_write};
use netpay_core::codec::{self, Wire};
use netpay_core::coin::receipt::Receipt as Paper;
use netpay_core::fair::judge::{self, Junk};
use netpay_core::record::chain::{Culprit, Evidence as Proof};
use serde_json::json;
use std::io::Read as _;
use std::path::Path;

/// What `netpay receipt` does.
///
/// # Errors
/// If the peer does not run, there is no such receipt, or it does not hold.
pub async fn receipt(global: &Global, home: &Home, act: Receipt) -> Result<(), ErrorView> {
    match act {
        Receipt::Check { file } => check_receipt(global, home, &file),
        Receipt::Ls => {
            let list: Vec<ReceiptView> = Client::at(home)?.list("/receipts").await?;
            if global.json {
                list.iter().for_each(show::json);
                return Ok(());
            }
            let row = |one: &ReceiptView| {
                let (when, vendor) = (moment(one.at), short(&one.vendor).to_owned());
                vec![one.id.to_string(), when, foreign(&one.name), vendor, one.coins.to_string()]
            };
            let columns = [("id", true), ("when", false), ("for", false), ("vendor", false), ("coins", true)];
            show::table(&columns, list.iter().map(row).collect(), "no receipts yet");
            Ok(())
        }
        Receipt::Show { id } => {
            let one: ReceiptView = Client::at(home)?.get(&format!("/receipts/{id}")).await?;
            let text = format!(
                "{} to {} on {}\n  for      download {}, {}\n  chain    {}, segment {}",
                coins(one.coins),
                one.vendor,
                moment(one.at),
                one.download,
                foreign(&one.name),
                one.chain,
                one.segment
            );
            said(global, &one, &text);
            Ok(())
        }
        Receipt::Save { id, file } => {
            let one: ReceiptView = Client::at(home)?.get(&format!("/receipts/{id}")).await?;
            save(global, &file, one.receipt.as_deref().unwrap_or_default())
        }
    }
}

/// What `netpay evidence` does.
///
/// # Errors
/// If the peer does not run, there is no such proof, or it convicts nobody.
pub async fn evidence(global: &Global, home: &Home, act: Evidence) -> Result<(), ErrorView> {
    match act {
        Evidence::Check { file } => check_evidence(global, home, &file),
        Evidence::Ls => {
            let list: Vec<EvidenceView> = Client::at(home)?.list("/evidence").await?;
            if global.json {
                list.iter().for_each(show::json);
                return Ok(());
            }
            let row = |one: &EvidenceView| {
                let named = |name: &Option<String>| short(name.as_deref().unwrap_or("")).to_owned();
                vec![short(&one.id).to_owned(), one.convicts.clone(), named(&one.node), named(&one.chain)]
            };
            let columns = [("id", false), ("convicts", false), ("node", false), ("chain", false)];
            show::table(&columns, list.iter().map(row).collect(), "no cheats were seen here");
            Ok(())
        }
        Evidence::Save { id, file } => {
            let client = Client::at(home)?;
            let all: Vec<EvidenceView> = client.list("/evidence").await?;
            let whole = whole_id("proof", &id, all.into_iter().map(|one| one.id))?;
            let one: EvidenceView = client.get(&format!("/evidence/{}", escaped(&whole))).await?;
            save(global, &file, one.proof.as_deref().unwrap_or_default())
        }
    }
}

/// What `netpay dispute` does.
///
/// # Errors
/// If the peer does not run, there is no such dispute or proof, or the broker cannot be reached.
pub async fn dispute(global: &Global, home: &Home, act: Dispute) -> Result<(), ErrorView> {
    let client = Client::at(home)?;
    match act {
        Dispute::Ls => {
            let mut list: Vec<DisputeView> = client.list("/disputes").await?;
            list.sort_by_key(|one| std::cmp::Reverse(one.at));
            disputes(global, &list, "nothing is in dispute");
            Ok(())
        }
        Dispute::Show { id, save: file } => {
            let all: Vec<DisputeView> = client.list("/disputes").await?;
            let whole = whole_id("dispute", &id, all.into_iter().map(|one| one.id))?;
            let one: DisputeView = client.get(&format!("/disputes/{}", escaped(&whole))).await?;
            let Some(file) = file else {
                said(global, &one, &told(&one));
                return Ok(());
            };
            let proof = one.evidence.ok_or_else(|| errors::no_paper("proof of", short(&whole)))?;
            save(global, &file, &proof)
        }
        Dispute::Open { download } => {
            let path = format!("/downloads/{download}/dispute");
            let list: Vec<DisputeView> = client.post(&path, &json!({})).await?;
            disputes(global, &list, "nothing of this download is in dispute");
            Ok(())
        }
    }
}

fn disputes(global: &Global, list: &[DisputeView], empty: &str) {
    if global.json {
        list.iter().for_each(show::json);
        return;
    }
    let row = |one: &DisputeView| {
        vec![
            short(&one.id).to_owned(),
            one.state.word().to_owned(),
            one.download.to_string(),
            foreign(&one.name),
            short(&one.vendor).to_owned(),
            one.coins.to_string(),
            moment(one.at),
        ]
    };
    let columns = [
        ("id", false),
        ("state", false),
        ("download", true),
        ("for", false),
        ("vendor", false),
        ("coins", true),
        ("since", false),
    ];
    show::table(&columns, list.iter().map(row).collect(), empty);
}

fn told(one: &DisputeView) -> String {
    let proof = if one.evidence.is_some() { "there is one: --save FILE" } else { "none is needed" };
    format!(
        "{}: {} for {}\n  why      {}\n  vendor   {}\n  for      download {}\n  since    {}\n  chain    {}, segment \
         {}\n  pieces   {}\n  proof    {proof}",
        one.state.word(),
        coins(one.coins),
        foreign(&one.name),
        foreign(&one.why),
        one.vendor,
        one.download,
        moment(one.at),
        one.chain,
        one.segment,
        one.units,
    )
}

/// The one id that begins so.
fn whole_id(what: &str, given: &str, all: impl Iterator<Item = String>) -> Result<String, ErrorView> {
    let given = given.to_lowercase();
    let mut meant = all.filter(|id| id.starts_with(&given));
    match (meant.next(), meant.next()) {
        (Some(id), None) => Ok(id),
        (Some(_), Some(_)) => Err(errors::ambiguous(what, given)),
        (None, _) => Err(errors::no_paper(what, given)),
    }
}

fn save(global: &Global, file: &Path, hexadecimal: &str) -> Result<(), ErrorView> {
    let bytes = data_encoding::HEXLOWER.decode(hexadecimal.as_bytes()).map_err(errors::internal)?;
    atomic_write(file, &bytes, PRIVATE).map_err(|e| errors::io("writing", file, &e))?;
    said(global, &json!({ "file": file }), &format!("written to {}", file.display()));
    Ok(())
}

fn check_receipt(global: &Global, home: &Home, file: &Path) -> Result<(), ErrorView> {
    let invite = own_broker(home)?;
    let paper: Paper = codec::decode(&read(file, Paper::MAX)?).map_err(errors::bad_receipt)?;
    let paid = paper.verify(&invite.network_id(), &invite.broker).map_err(errors::bad_receipt)?;
    let value = json!({
        "verified": true,
        "coins": paid.coins.0,
        "chain": paid.chain.to_string(),
        "segment": paid.j.0,
        "holder": paid.holder.to_string(),
    });
    let amount = coins(u64::from(paid.coins.0));
    let text = format!(
        "verified: {amount} of the chain {}, in segment {}, were paid to the holder of the key {}",
        paid.chain, paid.j, paid.holder
    );
    said(global, &value, &text);
    Ok(())
}

fn check_evidence(global: &Global, home: &Home, file: &Path) -> Result<(), ErrorView> {
    let invite = own_broker(home)?;
    let bytes = read(file, Proof::MAX.max(Junk::MAX))?;
    if let Ok(junk) = codec::decode::<Junk>(&bytes) {
        return check_junk(global, &invite, &junk);
    }
    let proof: Proof = codec::decode(&bytes).map_err(errors::proves_nothing)?;
    let culprit = proof.convicts(&invite.network_id(), &invite.broker);
    let text = match &culprit {
        Some(Culprit::Buyer(chain)) => format!("convicts the buyer behind chain {chain}"),
        Some(Culprit::Witness(node, chain)) => {
            format!("convicts the witness {node}, of what it signed of chain {chain}")
        }
        None => {
            let why = "the two objects do not contradict each other, or are not genuine";
            return Err(errors::proves_nothing(why));
        }
    };
    let EvidenceView { convicts, node, chain, .. } = EvidenceView::of(culprit);
    said(global, &json!({ "convicts": convicts, "node": node, "chain": chain }), &text);
    Ok(())
}

/// What was sold in fair mode and is junk. Whoever paid for it is named in the deal: that its chain was the buyer's is
/// the broker's to know.
fn check_junk(global: &Global, invite: &Invite, junk: &Junk) -> Result<(), ErrorView> {
    let buyer = junk.deal.claim().map_err(errors::proves_nothing)?.buyer;
    let deal = judge::judge(&invite.network_id(), &buyer, junk).map_err(errors::proves_nothing)?;
    let value = json!({
        "convicts": "vendor",
        "holder": deal.holder.to_string(),
        "chain": deal.chain.to_string(),
        "segment": deal.j.0,
        "content": deal.root.to_string(),
    });
    let text = format!(
        "convicts the holder of the key {}, of what it sold of {} for segment {} of chain {}",
        deal.holder, deal.root, deal.j, deal.chain
    );
    said(global, &value, &text);
    Ok(())
}

/// Whose word counts in this home.
fn own_broker(home: &Home) -> Result<Invite, ErrorView> {
    config::load(home, &[])?.config.broker.ok_or_else(errors::no_broker)
}

/// A paper of at most `most` bytes, raw or hexadecimal.
fn read(file: &Path, most: usize) -> Result<Vec<u8>, ErrorView> {
    let failed = |error: &std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => errors::no_paper("file", file.display()),
        _ => errors::io("reading", file, error),
    };
    let mut bytes = Vec::new();
    // Twice for the digits, and once more for white space around them.
    let opened = std::fs::File::open(file).map_err(|e| failed(&e))?;
    opened.take(3 * most as u64).read_to_end(&mut bytes).map_err(|e| failed(&e))?;
    let text = std::str::from_utf8(&bytes).unwrap_or_default();
    let digits = data_encoding::HEXLOWER_PERMISSIVE.decode(text.trim().as_bytes());
    Ok(digits.ok().filter(|decoded| !decoded.is_empty()).unwrap_or(bytes))
}
