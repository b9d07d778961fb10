//! Making a home, by `init`, or by `up --join` where there is none yet.

use super::args::{Global, NewHome};
use super::{ask, show};
use crate::app::start;
use crate::app::view::ErrorView;
use crate::config::{self, Assignment, Invite};
use crate::errors;
use crate::home::Home;
use crate::overlay;
use crate::store::files::{PRIVATE, atomic_write};
use zeroize::Zeroizing;

/// Sets a home up.
///
/// # Errors
/// If it is one already, the settings do not hold, or it cannot be written.
pub fn init(global: &Global, home: &Home, broker: Option<String>, new: &NewHome) -> Result<(), ErrorView> {
    if home.identity().exists() {
        return Err(errors::already_initialised(home.path().display()));
    }
    let mut set = Vec::new();
    set.extend(broker.map(|broker| ("broker".to_owned(), broker)));
    make(global, home, set, new)?;
    if global.json {
        show::json(&serde_json::json!({ "home": home.path() }));
    } else if !global.quiet {
        show::line(&format!(
            "{0} is set up; start the peer with: netpay --home {0} up",
            home.path().display()
        ));
    }
    Ok(())
}

/// Makes sure that a home is one of the network that the invite leads to: makes it if there is none. Returns the
/// passphrase of a new wallet, which need not be asked for again.
///
/// # Errors
/// If the invite is none, or the home belongs to another network; nothing is changed then.
pub fn join(
    global: &Global,
    home: &Home,
    invite: &str,
    new: &NewHome,
) -> Result<Option<Zeroizing<String>>, ErrorView> {
    let invite: Invite = invite.parse().map_err(errors::bad_invite)?;
    let present = config::load(home, &[])?.config.broker;
    if let Some(present) = &present {
        belongs(home, present, &invite)?;
    }
    if home.identity().exists() {
        if present.is_none() {
            config::set(home.path(), &home.config(), "broker", &invite.to_string())?;
        }
        return Ok(None);
    }
    let mut set = vec![("broker".to_owned(), invite.to_string())];
    if !overlay::is_public(&invite.address) {
        // Who is reached at such an address only is on this machine or LAN, and so are all others.
        set.push(("local".to_owned(), "true".to_owned()));
    }
    let secret = make(global, home, set, new)?;
    if config::load(home, &[])?.config.broker.is_none() {
        // There was a file with other settings, which stay.
        config::set(home.path(), &home.config(), "broker", &invite.to_string())?;
    }
    if !global.quiet {
        show::note(&format!("{} is set up", home.path().display()));
    }
    Ok(secret)
}

/// One home lives in one network.
fn belongs(home: &Home, present: &Invite, invite: &Invite) -> Result<(), ErrorView> {
    if present.network_id() == invite.network_id() {
        return Ok(());
    }
    let detail = format!(
        "{} is of the network {} with the broker {:.8}…, the invite is to {} with the broker {:.8}…",
        home.path().display(),
        present.network,
        present.broker,
        invite.network,
        invite.broker
    );
    Err(errors::wrong_network(detail).fixed_by("join in another home: netpay --home DIR up --join INVITE"))
}

/// Makes identity, wallet and settings. Whatever can be wrong with what was given is found before anything is made.
fn make(
    global: &Global,
    home: &Home,
    mut set: Vec<Assignment>,
    new: &NewHome,
) -> Result<Option<Zeroizing<String>>, ErrorView> {
    set.extend(new.name.clone().map(|name| ("name".to_owned(), name)));
    config::load_from(home.path(), &home.config(), "", &|_| None, &set)?;
    let secret = match new.insecure_no_passphrase {
        true => None,
        false => Some(ask::new_passphrase(global, &new.passphrase, "A passphrase for the wallet: ")?),
    };
    start::init(home, secret.as_ref().map(|secret| secret.as_str()))?;
    let path = home.config();
    if !path.exists() {
        let text = config::document(home.path(), &set);
        atomic_write(&path, text.as_bytes(), PRIVATE).map_err(|e| errors::io("writing", &path, &e))?;
    }
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use super::*;
    use netpay_core::keys::SecretKey;

    const PEER: &str = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN";

    fn invite(broker: u8, network: &str, ip: &str) -> String {
        let key = SecretKey::from_seed(&[broker; 32]).public();
        format!("netpay://{key}@{network}/ip4/{ip}/tcp/4711/p2p/{PEER}")
    }

    fn new() -> NewHome {
        NewHome { name: Some("ann".to_owned()), insecure_no_passphrase: true, ..NewHome::default() }
    }

    /// Every file of a home, and what is in it.
    fn all(home: &Home) -> std::collections::BTreeMap<std::path::PathBuf, Vec<u8>> {
        let files = walkdir::WalkDir::new(home.path()).into_iter().filter_map(Result::ok);
        let files = files.filter(|entry| entry.file_type().is_file());
        files.map(|file| (file.path().to_owned(), std::fs::read(file.path()).expect("readable"))).collect()
    }

    #[test]
    fn a_home_that_is_not_there_is_made_from_the_invite_alone() {
        let directory = tempfile::tempdir().expect("a directory");
        let home = Home::at(directory.path().join("a/b"));
        let line = invite(1, "town", "192.168.1.2");
        join(&Global::quiet(), &home, &line, &new()).expect("it is made");
        let config = config::load(&home, &[]).expect("settings").config;
        assert_eq!(config.broker, line.parse().ok());
        assert_eq!((config.name.as_str(), config.local), ("ann", true));

        let far = Home::at(directory.path().join("far"));
        join(&Global::quiet(), &far, &invite(1, "town", "203.0.114.7"), &new()).expect("it is made");
        assert!(!config::load(&far, &[]).expect("settings").config.local);
    }

    #[test]
    fn the_same_invite_again_changes_nothing_and_another_brokers_is_refused_and_changes_nothing() {
        let directory = tempfile::tempdir().expect("a directory");
        let home = Home::at(directory.path().join("home"));
        let line = invite(1, "town", "192.168.1.2");
        join(&Global::quiet(), &home, &line, &new()).expect("it is made");
        let before = all(&home);
        assert_eq!(join(&Global::quiet(), &home, &line, &new()), Ok(None));
        // The broker may have moved.
        assert_eq!(join(&Global::quiet(), &home, &invite(1, "town", "192.168.1.9"), &new()), Ok(None));
        for other in [invite(2, "town", "192.168.1.2"), invite(1, "village", "192.168.1.2")] {
            let error = join(&Global::quiet(), &home, &other, &new()).expect_err("another network");
            assert_eq!((error.code.as_str(), error.exit), ("NP-BROKER-005", errors::exit::CONFIG));
        }
        assert_eq!(all(&home), before);
    }

    #[test]
    fn what_is_wrong_is_found_before_a_home_is_made() {
        let directory = tempfile::tempdir().expect("a directory");
        let home = Home::at(directory.path().join("home"));
        let line = invite(1, "town", "192.168.1.2");
        let fails =
            |line: &str, new: &NewHome| join(&Global::quiet(), &home, line, new).expect_err("refused");
        assert_eq!(fails("netpay://nonsense", &new()).code, "NP-INPUT-004");
        let nameless = NewHome { name: Some(String::new()), ..new() };
        assert_eq!(fails(&line, &nameless).code, "NP-CONFIG-003");
        let file = directory.path().join("secret");
        std::fs::write(&file, "short\n").expect("written");
        let mut short = NewHome { insecure_no_passphrase: false, ..new() };
        short.passphrase.passphrase_file = Some(file);
        assert_eq!(fails(&line, &short).code, "NP-WALLET-005");
        assert!(!home.path().exists());
    }

    #[test]
    fn settings_that_were_there_before_the_peer_stay() {
        let directory = tempfile::tempdir().expect("a directory");
        let home = Home::at(directory.path());
        std::fs::write(home.config(), "# mine\nmdns = false\n").expect("written");
        let line = invite(1, "town", "192.168.1.2");
        join(&Global::quiet(), &home, &line, &new()).expect("it is made");
        let config = config::load(&home, &[]).expect("settings").config;
        assert_eq!((config.broker, config.mdns), (line.parse().ok(), false));
        assert!(std::fs::read_to_string(home.config()).expect("readable").starts_with("# mine\n"));
    }
}
