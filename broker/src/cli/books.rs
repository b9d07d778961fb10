//! The books: proven, exported, imported, saved. All of it works while the broker is stopped, and most while it runs.

use super::args::Ledger;
use super::client::Client;
use super::commands::NOT_RUNNING;
use super::out::Out;
use super::show;
use crate::admin::routes::audit;
use crate::admin::view::AuditView;
use crate::backup;
use crate::errors::{self, ErrorView};
use crate::export;
use crate::home::{self, BrokerHome};
use crate::store::Journal;
use netpay_core::id::NetworkId;
use netpay_node::home::HomeLock;
use netpay_node::store::Db;
use reqwest::Method;
use std::fs::OpenOptions;
use std::io::{self, BufWriter, Write as _};
use std::path::Path;

/// Does what the arguments say.
pub async fn run(home: &BrokerHome, ledger: &Ledger, out: &Out) -> Result<(), ErrorView> {
    match (ledger, Client::of(home)) {
        (Ledger::Import { file }, _) => out.print(&export::import(file, home)?, show::audit),
        (Ledger::Check, Ok(client)) => match client.get::<AuditView>("/ledger/check").await {
            Err(error) if error.code == NOT_RUNNING => check_stopped(home, out),
            view => out.print(&view?, show::audit),
        },
        (Ledger::Export, Ok(client)) => {
            match client.copy(Method::GET, "/ledger/export", io::stdout().lock()).await {
                Err(error) if error.code == NOT_RUNNING => export_stopped(home),
                done => done,
            }
        }
        (Ledger::Check, Err(error)) if error.code == NOT_RUNNING => check_stopped(home, out),
        (Ledger::Export, Err(error)) if error.code == NOT_RUNNING => export_stopped(home),
        (_, Err(error)) => Err(error),
    }
}

fn check_stopped(home: &BrokerHome, out: &Out) -> Result<(), ErrorView> {
    let stopped = Stopped::open(home)?;
    let view = audit(&stopped.journal, stopped.network).map_err(errors::books)?;
    out.print(&view, show::audit)
}

fn export_stopped(home: &BrokerHome) -> Result<(), ErrorView> {
    let stopped = Stopped::open(home)?;
    let mut stdout = BufWriter::new(io::stdout().lock());
    let written = export::write(&mut stdout, &stopped.journal, stopped.network).and_then(|()| stdout.flush());
    written.map_err(|error| errors::io("writing", "the output".as_ref(), error))
}

/// Writes a backup.
pub async fn save(home: &BrokerHome, file: &Path) -> Result<(), ErrorView> {
    let failed = |error| errors::io("writing", file, error);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, netpay_node::store::files::PRIVATE);
    let backup = options.open(file).map_err(failed)?;
    let saved = match Client::of(home) {
        Ok(client) => client.copy(Method::POST, "/backup", &backup).await,
        Err(error) => Err(error),
    };
    let saved = match saved {
        Err(error) if error.code == NOT_RUNNING => save_stopped(home, &backup, file),
        done => done,
    };
    if saved.is_err() {
        // Half a backup is none; the error that matters is the first one.
        let _ = std::fs::remove_file(file);
        return saved;
    }
    backup.sync_all().map_err(failed)
}

fn save_stopped(home: &BrokerHome, out: &std::fs::File, file: &Path) -> Result<(), ErrorView> {
    let stopped = Stopped::open(home)?;
    let opened = home.open()?;
    let saved = backup::save(
        BufWriter::new(out),
        &opened.settings,
        (&opened.signing, &opened.node),
        &stopped.journal,
    );
    saved.map_err(|error| errors::io("writing", file, error))
}

/// The books of a broker that is stopped.
struct Stopped {
    journal: Journal,
    network: NetworkId,
    _lock: HomeLock,
}

impl Stopped {
    fn open(home: &BrokerHome) -> Result<Self, ErrorView> {
        let opened = home.open()?;
        let lock = home.home().lock().map_err(|error| home::of_home(&error))?;
        let network = NetworkId::of(&opened.settings.network, &opened.signing.public());
        let db = Db::open(&home.home().db()).map_err(errors::books)?;
        let journal = Journal::open(db, &network).map_err(errors::books)?;
        Ok(Self { journal, network, _lock: lock })
    }
}
