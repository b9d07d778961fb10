use crate::common::{buy, program, request, sell, town};
use anyhow::{Result, ensure};
use netpay_node::app::view::GetRequest;
use netpay_tests::swarm::process::{BROKER, PEER, Program};
use netpay_tests::swarm::{BROKER as BROKER_NAME, Swarm, api};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

/// Runs a command that must fail: with that exit code, and one error with its code, the reason and a remedy.
fn fails(home: &Path, passphrase: Option<&str>, args: &[&str], exit: i32, code: &str) -> Result<()> {
    let mut command = program().command(PEER, home);
    if let Some(passphrase) = passphrase {
        command.env("NETPAY_PASSPHRASE", passphrase);
    }
    says_why(command, args, exit, code)
}

fn says_why(mut command: Command, args: &[&str], exit: i32, code: &str) -> Result<()> {
    let output = command.args(args).output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(
        output.status.code() == Some(exit),
        "{args:?}: expected exit code {exit}, saw {} {said}",
        output.status
    );
    ensure!(
        said.lines().filter(|line| line.starts_with("error:")).count() == 1,
        "{args:?}: not one error: {said}"
    );
    for part in ["why:", "fix:", code] {
        ensure!(said.contains(part), "{args:?}: no {part:?} in {said}");
    }
    Ok(())
}

/// A home with a passphrase, that has nothing to do with a running swarm.
fn home(directory: &Path, program: &Program, invite: &str) -> Result<()> {
    let mut command = program.command(PEER, directory);
    command.env("NETPAY_PASSPHRASE", "correct horse battery");
    let output = command.args(["init", "--name", "bad luck", "--broker", invite]).output()?;
    ensure!(output.status.success(), "init: {}", String::from_utf8_lossy(&output.stderr));
    for (key, value) in [("listen", "/ip4/127.0.0.1/tcp/0"), ("api.listen", "127.0.0.1:0"), ("mdns", "false")]
    {
        program.output(PEER, directory, &["config", "set", key, value])?;
    }
    Ok(())
}

#[tokio::test]
async fn what_cannot_start_says_why() -> Result<()> {
    let swarm = Swarm::temporary(program(), 7).await?;
    let (directory, right) = (swarm.directory().join("home"), Some("correct horse battery"));
    home(&directory, &program(), &swarm.state().invite)?;
    let wallet = std::fs::read(directory.join("wallet"))?;

    let taken = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let held = TcpListener::bind(taken)?;
    let listen = format!("/ip4/127.0.0.1/tcp/{}", taken.port());
    fails(&directory, right, &["up", "--listen", &listen], 9, "NP-NET-004")?;
    fails(&directory, right, &["up", "--api", &taken.to_string()], 9, "NP-NET-004")?;
    drop(held);
    fails(&directory, Some("wrong horse battery"), &["up"], 3, "NP-WALLET-002")?;
    fails(&directory, right, &["init", "--broker", &swarm.state().invite], 2, "NP-HOME-002")?;
    fails(&directory, None, &["status"], 3, "NP-DAEMON-001")?;
    fails(&directory, None, &["config", "set", "lisen", "x"], 9, "NP-CONFIG-002")?;
    ensure!(std::fs::read(directory.join("wallet"))? == wallet, "a failed start changed the wallet");

    std::fs::write(directory.join("wallet"), &wallet[..wallet.len() / 2])?;
    fails(&directory, right, &["up"], 1, "NP-STORAGE-003")?;
    ensure!(
        std::fs::read(directory.join("wallet"))? == wallet[..wallet.len() / 2],
        "it touched a damaged wallet"
    );
    Ok(())
}

#[tokio::test]
async fn a_broker_that_cannot_start_says_why() -> Result<()> {
    let mut swarm = Swarm::temporary(program(), 7).await?;
    let home = swarm.broker()?.home().to_owned();
    let codes = swarm.broker()?.vouchers(50, 1).await?;
    let fails = |args: &[&str], exit, code| says_why(program().command(BROKER, &home), args, exit, code);

    fails(&["up"], 3, "NP-DAEMON-002")?;
    fails(&["init", "--name", "Another", "--contact", "o@example.org"], 9, "NP-BROKER-021")?;
    fails(&["voucher", "new", "0"], 6, "NP-BROKER-025")?;
    swarm.stop(BROKER_NAME).await?;
    let taken = TcpListener::bind("127.0.0.1:0")?;
    let address = taken.local_addr()?.to_string();
    fails(&["up", "--listen", &address], 1, "NP-BROKER-027")?;
    fails(&["up", "--listen", "127.0.0.1:0", "--api", &address], 1, "NP-BROKER-027")?;
    fails(&["status"], 3, "NP-BROKER-022")?;
    let config = std::fs::read_to_string(home.join("config.toml"))?;
    std::fs::write(home.join("config.toml"), format!("{config}\nvoucher_neded = true\n"))?;
    fails(&["up"], 9, "NP-BROKER-023")?;
    std::fs::write(home.join("config.toml"), config)?;

    // It is as it was: what it sold before is worth as much as then.
    swarm.start(BROKER_NAME).await?;
    let member = swarm.add("member").await?;
    member.register(&codes[0]).await?;
    ensure!(member.wallet().await?.at_broker == Some(50), "the voucher was not honoured");
    swarm.broker()?.check().await.map(drop)
}

#[tokio::test]
async fn what_cannot_be_done_says_why_and_nothing_is_paid() -> Result<()> {
    let (swarm, peers) = town(2).await?;
    let (buyer, vendor) = (&peers[0], &peers[1]);
    buyer.buy_coins(20).await?;
    let offer = sell(&swarm, vendor, buyer, "dear file.bin", 50_000, 6).await?;
    let home = buyer.home();
    let nowhere = home.join("wallet").join("file.bin");

    fails(home, None, &["up"], 3, "NP-DAEMON-002")?;
    fails(
        home,
        None,
        &["get", &offer.shared.id, "-y", "-o", &nowhere.to_string_lossy()],
        1,
        "NP-STORAGE-001",
    )?;
    fails(home, None, &["get", "not-an-id", "-y"], 2, "NP-INPUT")?;
    fails(home, None, &["get", &"ab".repeat(32), "-y"], 5, "NP-NET-001")?;
    fails(home, None, &["get", &offer.shared.id, "-y", "--max-price", "5"], 11, "NP-LIMIT-001")?;
    fails(home, None, &["wallet", "buy", "4294967296", "-y"], 2, "NP-WALLET-009")?;
    fails(home, None, &["share", "add", "/nowhere/at/all", "--price", "1"], 4, "NP-SHARE-002")?;

    let limited = GetRequest { max_price: Some(5), ..request(&swarm, buyer, &offer)? };
    let error = buyer.get(&limited).await.expect_err("it is dearer than that");
    ensure!(api::refused(&error).is_some_and(|view| view.code == "NP-LIMIT-001"), "saw {error:#}");
    ensure!(buyer.wallet().await?.spendable == 20, "something was paid");
    ensure!(buyer.downloads().await?.is_empty(), "something was begun");
    buy(&swarm, buyer, &offer, false).await.map(drop)
}
