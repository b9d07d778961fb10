use crate::common::program;
use anyhow::{Result, ensure};
use netpay_node::app::view::Status;
use netpay_tests::swarm::api::Api;
use netpay_tests::swarm::process::PEER;
use netpay_tests::swarm::{Swarm, until};
use std::ffi::OsString;
use std::time::Duration;

#[tokio::test]
async fn a_second_machine_joins_from_one_line() -> Result<()> {
    let swarm = Swarm::temporary(program(), 7).await?;
    let codes = swarm.broker()?.vouchers(50, 1).await?;
    let invite = swarm.state().invite.clone();
    let (home, log) = (swarm.directory().join("fresh"), swarm.directory().join("fresh.log"));
    let up: Vec<OsString> = [
        &*format!("--join={invite}"),
        "--insecure-no-passphrase",
        "--name=fresh",
        "--listen=/ip4/127.0.0.1/tcp/0",
        "--api=127.0.0.1:0",
    ]
    .map(OsString::from)
    .to_vec();
    let mut node = None;
    // The first time the home is made; the second time it is there, and the same line just runs.
    for _ in 0..2 {
        let (mut child, running) = program().daemon(PEER, &home, &up, &log)?;
        let api = Api::new(&home);
        let met = async || {
            let status = api.get::<Status>("/status").await.ok();
            Ok(status.filter(|status| status.broker.as_ref().is_some_and(|broker| broker.connected)))
        };
        let status = until("the fresh peer to meet the broker", Duration::from_secs(60), met).await?;
        ensure!(status.name == "fresh", "saw {status:?}");
        ensure!(*node.get_or_insert(status.node.clone()) == status.node, "it became somebody else");
        if !status.broker.is_some_and(|broker| broker.registered) {
            let mut register = program().command(PEER, &home);
            register.args(["broker", "register", "--voucher"]).env("NETPAY_VOUCHER", &codes[0]);
            ensure!(register.output()?.status.success(), "it is no member");
        }
        let rows: serde_json::Value =
            serde_json::from_str(&program().output(PEER, &home, &["doctor", "--json"])?)?;
        for check in ["home", "rights", "settings", "broker", "account", "clock", "wallet"] {
            let is = |row: &serde_json::Value| row["check"] == check && row["state"] == "ok";
            ensure!(rows.as_array().is_some_and(|rows| rows.iter().any(is)), "{check}: {rows}");
        }
        running.ask_to_stop();
        running.gone().await?;
        ensure!(child.wait()?.success(), "it did not stop well");
    }
    Ok(())
}
