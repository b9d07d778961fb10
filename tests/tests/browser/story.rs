//! One story: somebody joins, sells, buys from somebody else in fair mode and in plain mode, and turns what was earned
//! into money, or waits for it for a day.

use super::browser::{Browser, Hands};
use super::look::Look;
use super::program;
use anyhow::{Context as _, Result, ensure};
use netpay_tests::swarm::peer::Peer;
use netpay_tests::swarm::{Swarm, goods, until};
use std::path::Path;
use std::time::Duration;

/// What the voucher is worth, in coins.
const VOUCHER: u64 = 500;
/// What the buyer takes of it into its wallet.
const COINS: u64 = 200;
/// What the file costs that is bought in fair mode: nothing was bought from that vendor before.
const PRICE: u64 = 64;
/// Its size: enough that a bar can be seen to move, under seal and without optimisation.
const SIZE: u64 = 32 << 20;
/// What the file costs that is bought in plain mode.
const PLAIN_PRICE: u64 = 16;
/// Its size.
const PLAIN_SIZE: u64 = 4 << 20;
/// Places of a bar that are seen while the file comes, at the least.
const PLACES: usize = 3;

/// Notes every place of the bar, whenever the page changes.
const WATCH: &str = include_str!("watch.js");

/// Goes through all of it.
pub async fn tell(hands: Hands, look: Look, pictures: &Path) -> Result<()> {
    let mut swarm = Swarm::temporary(program(), 7).await?;
    let peers = swarm.add_many(3).await?;
    let [vendor, buyer, _witness] = &peers[..] else { unreachable!("three were added") };
    let file = goods::make(&swarm.goods(), "Lecture 07 – Hash chains.mp4", SIZE, 7)?;
    let other = goods::make(&swarm.goods(), "Lecture 08 – Receipts.mp4", PLAIN_SIZE, 8)?;

    let browser = Browser::open(hands, look, pictures).await?;
    let voucher = sells_a_voucher(&browser, &swarm).await?;
    joins(&browser, vendor, None).await?;
    browser.press("Files").await?;
    browser.reads("You share nothing yet").await?;
    shares(&browser, &file, PRICE, "Lecture 07").await?;
    shares(&browser, &other, PLAIN_PRICE, "Lecture 08").await?;
    browser.look("files").await?;
    joins(&browser, buyer, Some(&voucher)).await?;
    buys_coins(&browser).await?;
    finds(&browser, vendor, "hash lecture", "Lecture 07").await?;
    browser.look("search").await?;
    downloads(&browser, &swarm, vendor).await?;
    goods::compare(&file, Path::new(&buyer.downloads().await?.first().context("a download")?.path))?;
    finds(&browser, vendor, "receipts lecture", "Lecture 08").await?;
    buys_in_plain_mode(&browser, vendor).await?;
    goods::compare(&other, Path::new(&buyer.downloads().await?.first().context("a download")?.path))?;
    redeems(&browser, vendor).await?;
    browser.go(&link(buyer)?).await?;
    looks_around(&browser, &["Home", "Peers", "Downloads", "Settings"]).await?;
    visits_the_bank(&browser, &swarm, buyer).await?;
    browser.close().await
}

/// A link that signs in, once.
pub fn link(peer: &Peer) -> Result<String> {
    Ok(peer.command(&["open"])?.trim().to_owned())
}

async fn joins(browser: &Browser, peer: &Peer, voucher: Option<&str>) -> Result<()> {
    browser.go(&link(peer)?).await?;
    browser.reads("Welcome to NetPay").await?;
    browser.look(&format!("welcome of {}", peer.name())).await?;
    if let Some(voucher) = voucher {
        browser.fill("Voucher, if you have one", voucher).await?;
    }
    browser.press("Open account").await?;
    browser.reads("account").await?;
    let member = async || Ok(peer.status().await?.broker.filter(|broker| broker.registered).map(drop));
    until("the account", Duration::from_secs(60), member).await?;
    browser.look(&format!("{} has an account", peer.name())).await
}

async fn shares(browser: &Browser, file: &Path, price: u64, name: &str) -> Result<()> {
    browser.fill("Path of a file or folder", &file.to_string_lossy()).await?;
    browser.fill("Price of each file, in coins", &price.to_string()).await?;
    browser.fill("Tags, with commas", "netpay, lecture").await?;
    browser.press("Share").await?;
    browser.reads(&format!("{name} – ")).await?;
    browser.reads("offered").await
}

async fn buys_coins(browser: &Browser) -> Result<()> {
    browser.press("Wallet").await?;
    browser.fill("Coins", &COINS.to_string()).await?;
    browser.press("Continue").await?;
    browser.press(&format!("Buy {COINS} coins")).await?;
    browser.reads("200 coins").await?;
    browser.look("wallet").await
}

async fn finds(browser: &Browser, vendor: &Peer, words: &str, name: &str) -> Result<()> {
    browser.press("Search").await?;
    let found = async || {
        browser.fill("Words or a link", words).await?;
        browser.enter().await?;
        let offers = browser.ask("return document.querySelector('main')?.innerText ?? '';").await?;
        Ok(offers.as_str().is_some_and(|text| text.contains(name)).then_some(()))
    };
    until("the offer", Duration::from_secs(60), found).await?;
    browser.reads(vendor.name()).await
}

/// What the question says, once it is asked.
async fn asked(browser: &Browser, price: u64) -> Result<String> {
    let question = async || {
        let text = browser.ask("return document.querySelector('dialog[open]')?.innerText ?? '';").await?;
        let text = text.as_str().unwrap_or_default();
        Ok(text.contains(&format!("Buy for {price} coins")).then(|| text.to_owned()))
    };
    until("the question", Duration::from_secs(30), question).await
}

/// The vendor is known now, so that the mode is a choice.
async fn buys_in_plain_mode(browser: &Browser, vendor: &Peer) -> Result<()> {
    browser.press("Buy").await?;
    let question = asked(browser, PLAIN_PRICE).await?;
    for told in
        ["Automatic: in plain mode", "In fair mode: pieces come under seal", "paid before a piece is seen"]
    {
        ensure!(question.contains(told), "{told:?} is not told: {question}");
    }
    browser.choose("How it is bought", "Never in fair mode").await?;
    browser.look("a question").await?;
    browser.press(&format!("Buy for {PLAIN_PRICE} coins")).await?;
    browser.reads(&format!("Receipt from {}", vendor.name())).await?;
    browser.reads(&format!("Ordered from {}", vendor.name())).await?;
    let story = browser.ask("return document.querySelector('main').innerText;").await?;
    ensure!(!story.as_str().context("a story")?.contains("Deal with"), "{story}");
    browser.look("downloaded in plain mode").await
}

/// The vendor hangs when the first bytes are there, so that the bar can be looked at on its way.
async fn downloads(browser: &Browser, swarm: &Swarm, vendor: &Peer) -> Result<()> {
    browser.press("Buy").await?;
    let question = asked(browser, PRICE).await?;
    for told in ["Automatic: in fair mode", "you lose nothing but time"] {
        ensure!(question.contains(told), "{told:?} is not told: {question}");
    }
    browser.look("a question of fair mode").await?;
    browser.press(&format!("Buy for {PRICE} coins")).await?;
    browser.reads("What happened").await?;
    browser.ask(WATCH).await?;
    let places = async |least: usize| {
        let seen = async || {
            let count = browser.ask("return window.places.length;").await?.as_u64().unwrap_or_default();
            Ok((count >= least as u64).then_some(()))
        };
        until("the bar to move", Duration::from_secs(60), seen).await
    };
    places(2).await?;
    swarm.hang(vendor.name())?;
    browser.look("download").await?;
    swarm.wake(vendor.name())?;
    // Each deal ends with a receipt, and the last one with the file.
    let in_place = async || {
        let text = browser.ask("return document.querySelector('main')?.innerText ?? '';").await?;
        Ok(text.as_str().is_some_and(|text| text.contains("In its place")).then_some(()))
    };
    until("the file to be in its place", Duration::from_secs(240), in_place).await?;
    browser.reads("Receipt from").await?;
    browser.reads(&format!("Deal with {}", vendor.name())).await?;
    let seen = browser.ask("return window.places;").await?;
    let places: Vec<(f64, f64)> = serde_json::from_value(seen)?;
    println!("places of the bar (ms, per cent): {places:?}");
    ensure!(places.len() >= PLACES, "the bar was seen at {places:?} only");
    ensure!(places.is_sorted_by(|a, b| a.1 <= b.1), "the bar went back: {places:?}");
    browser.look("downloaded").await
}

async fn redeems(browser: &Browser, vendor: &Peer) -> Result<()> {
    browser.go(&link(vendor)?).await?;
    browser.press("Sales").await?;
    browser.reads("Lecture 07").await?;
    browser.look("sales").await?;
    let paid = async || {
        let view = vendor.wallet().await?;
        // What is certified meanwhile is on the page once it is loaded again.
        browser.press("Sales").await?;
        let offered = "return [...document.querySelectorAll('main form button')].length > 0;";
        if browser.ask(offered).await? == true {
            browser.press("Redeem").await?;
        }
        Ok((view.earned == PRICE && view.at_broker == Some(PLAIN_PRICE)).then_some(()))
    };
    until("what was sold in plain mode to be paid", Duration::from_secs(60), paid).await?;
    let held = async || {
        browser.press("Sales").await?;
        let lines = vendor.till().await?;
        let held: u64 = lines.iter().filter(|line| line.held).map(|line| line.coins).sum();
        Ok((held == PRICE).then_some(()))
    };
    until("the rest to be held", Duration::from_secs(60), held).await?;
    browser.reads(&format!("{PRICE} coins are held until")).await?;
    browser.reads("fair sales can be disputed for a day").await?;
    let offered = "return [...document.querySelectorAll('main form button')].length;";
    ensure!(browser.ask(offered).await? == 0, "what is held is not offered for redemption");
    browser.look("held for a day").await
}

/// What else there is to see.
async fn looks_around(browser: &Browser, sections: &[&str]) -> Result<()> {
    for section in sections {
        browser.press(section).await?;
        browser.is_at(section).await?;
        browser.look(&section.to_lowercase()).await?;
    }
    Ok(())
}

/// The operator makes a voucher.
async fn sells_a_voucher(browser: &Browser, swarm: &Swarm) -> Result<String> {
    browser.go(swarm.broker()?.command(&["open"])?.trim()).await?;
    browser.is_at("Overview").await?;
    browser.look("a new bank").await?;
    browser.press("Vouchers").await?;
    browser.is_at("Vouchers").await?;
    browser.fill("Coins each", &VOUCHER.to_string()).await?;
    browser.press("Continue").await?;
    browser.press("Make them for").await?;
    browser.reads("shown this once").await?;
    let code = browser.ask("return document.querySelector('main li code').textContent;").await?;
    Ok(code.as_str().context("a code")?.to_owned())
}

/// The public's pages, the buyer's account there, and what the operator sees of all that happened.
async fn visits_the_bank(browser: &Browser, swarm: &Swarm, buyer: &Peer) -> Result<()> {
    browser.go(&swarm.broker()?.status().await?.pages).await?;
    browser.reads("The invite").await?;
    browser.look("a bank").await?;
    looks_around(browser, &["Register", "Software", "My account"]).await?;
    browser.go(buyer.command(&["broker", "open"])?.trim()).await?;
    browser.reads("bought").await?;
    browser.look("a statement").await?;

    browser.go(swarm.broker()?.command(&["open"])?.trim()).await?;
    browser.reads("Coins").await?;
    browser.look("overview").await?;
    looks_around(browser, &["Accounts", "Chains", "Redeemed", "Payouts", "Disputes", "Books"]).await?;
    browser.press("Check the books").await?;
    browser.reads("Every record of the journal").await?;
    browser.look("books that balance").await
}
