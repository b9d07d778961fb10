//! The coins are the papers': anybody can check a chain by hand with `md5sum`.

use data_encoding::HEXLOWER;
use netpay_core::amount::{Cap, Index};
use netpay_core::coin::chain::{Chain, Coin, Seed};
use std::io::{ErrorKind, Write as _};
use std::process::{Command, Stdio};

/// What `md5sum` says of these bytes; `None` if there is no such program here.
fn md5sum(bytes: &[u8]) -> Option<[u8; 16]> {
    let started = Command::new("md5sum").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut program = match started {
        Err(error) if error.kind() == ErrorKind::NotFound => return None,
        started => started.expect("md5sum starts"),
    };
    program.stdin.take().expect("piped").write_all(bytes).expect("md5sum reads");
    let output = program.wait_with_output().expect("md5sum ends");
    assert!(output.status.success());
    let digest = HEXLOWER.decode(&output.stdout[..32]).expect("hexadecimal");
    Some(digest.try_into().expect("16 bytes"))
}

#[test]
fn a_chain_can_be_checked_with_md5sum() {
    let seed = Seed(*b"a seed of a sale");
    let chain = Chain::grow(&seed, Cap(40));
    let Some(top) = md5sum(&seed.0) else {
        eprintln!("skipped: there is no md5sum on this machine");
        return;
    };
    let mut coin = Coin(top);
    for i in (0..=40).rev() {
        assert_eq!(chain.coin(Index(i)), Some(coin), "coin {i}");
        if i > 0 {
            coin = Coin(md5sum(&coin.0).expect("it was here a moment ago"));
        }
    }
    assert_eq!(chain.root(), coin);
}
