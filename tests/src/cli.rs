//! `netpay-swarm`: what it can be told, and what it says.
//!
//! Started with a hidden word in front, the same binary is a peer or the broker.

use crate::bench;
use crate::demo;
use crate::sim;
use crate::swarm::peer::Peer;
use crate::swarm::process::{self, Program};
use crate::swarm::{BROKER, DIRECTORY, MAX_PEERS, Swarm};
use anyhow::{Context as _, Result, bail};
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use clap_complete::Shell;
use comfy_table::{Table, presets};
use netpay_node::cli::tree::forgiving;
use serde::Serialize;
use serde_json::json;
use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The program's name.
const PROGRAM: &str = "netpay-swarm";
/// And its version.
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Exit code after ^C.
const INTERRUPTED: u8 = 130;
/// Exit code when something did not hold.
const FAILED: u8 = 1;
/// Coins on each account of a new swarm, half of them bought.
const POCKET_MONEY: u64 = 200;

/// Local swarms for testers: a broker and peers, each a real process, on this machine.
#[derive(Debug, Parser)]
#[command(name = "netpay-swarm", version)]
struct Args {
    /// Where the swarm is.
    #[arg(long, global = true, value_name = "DIR", env = "NETPAY_SWARM_DIR")]
    dir: Option<PathBuf>,
    /// Print JSON.
    #[arg(long, global = true, env = "NETPAY_JSON")]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Play the whole story: fund, buy, share, search, download, hand over, crash, come back, redeem. About a minute.
    Demo {
        /// Leave the swarm running, and print where it is.
        #[arg(long, env = "NETPAY_SWARM_KEEP")]
        keep: bool,
        /// What the files follow from.
        #[arg(long, default_value_t = 1, env = "NETPAY_SWARM_SEED")]
        seed: u64,
    },
    /// Start a broker and peers, each with an account, coins and a file for sale; they run until `down`.
    Up {
        /// How many peers.
        #[arg(long, value_parser = clap::value_parser!(u16).range(1..=MAX_PEERS as i64), env = "NETPAY_SWARM_PEERS")]
        peers: u16,
        /// What the files follow from.
        #[arg(long, default_value_t = 1, env = "NETPAY_SWARM_SEED")]
        seed: u64,
    },
    /// List the processes of the swarm.
    Ls,
    /// Print the settings that make `netpay` talk to a peer: eval "$(netpay-swarm env peer-01)".
    Env {
        /// Which peer, or the broker.
        peer: String,
    },
    /// Kill a process at once (SIGKILL).
    Kill {
        /// Which peer, or the broker.
        name: String,
    },
    /// Start a process again.
    Start {
        /// Which peer, or the broker.
        name: String,
    },
    /// Stop all processes and remove the swarm.
    Down {
        /// Leave homes and logs where they are.
        #[arg(long, env = "NETPAY_SWARM_KEEP")]
        keep: bool,
    },
    /// Measure; all figures of a run belong to that run.
    Bench(bench::Args),
    /// Play runs of many peers in virtual time, some of them malicious, and watch that nobody loses more than promised.
    Sim(sim::Args),
    /// Print completions for a shell.
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Write man pages.
    Man {
        /// Into this directory.
        dir: PathBuf,
    },
    /// Which version this is.
    Version,
}

/// Runs the program.
#[must_use]
pub fn main(args: Vec<OsString>) -> ExitCode {
    process::end_with_parent();
    // What comes behind the hidden word is the command line of that program.
    let rest =
        |name: &str| std::iter::once(name.into()).chain(args.iter().skip(2).cloned()).collect::<Vec<_>>();
    match args.get(1).and_then(|word| word.to_str()) {
        Some(process::PEER) => return netpay_node::cli::cli_main(rest("netpay")),
        Some(process::BROKER) => return netpay_broker::cli::cli_main(rest("netpay-broker")),
        _ => {}
    }
    let matches = forgiving(Args::command()).get_matches_from(args);
    let args = Args::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let json = args.json;
    if let Command::Sim(options) = &args.command {
        return sim::run(options, json);
    }
    // One thread: processes end with the thread that started them.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error.into(), json),
    };
    runtime.block_on(async {
        tokio::select! {
            outcome = run(args) => outcome.unwrap_or_else(|error| failed(&error, json)),
            _ = tokio::signal::ctrl_c() => ExitCode::from(INTERRUPTED),
        }
    })
}

async fn run(args: Args) -> Result<ExitCode> {
    let directory = args.dir.clone().unwrap_or_else(|| PathBuf::from(DIRECTORY));
    match args.command {
        Command::Demo { keep, seed } => return play(args.dir.as_deref(), keep, seed, args.json).await,
        Command::Bench(options) => bench::run(&options, args.json).await?,
        // It needs no runtime, and was run before there was one.
        Command::Sim(_) => {}
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Args::command(), PROGRAM, &mut std::io::stdout());
        }
        Command::Man { dir } => {
            std::fs::create_dir_all(&dir).with_context(|| format!("creating {}", dir.display()))?;
            clap_mangen::generate_to(Args::command(), &dir)
                .with_context(|| format!("writing {}", dir.display()))?;
        }
        Command::Version if args.json => println!("{}", json!({ "program": PROGRAM, "version": VERSION })),
        Command::Version => println!("{PROGRAM} {VERSION}"),
        Command::Up { peers, seed } => up(&directory, usize::from(peers), seed, args.json).await?,
        Command::Ls => list(&open(&directory)?, args.json).await?,
        Command::Env { peer } => environment(&open(&directory)?, &peer)?,
        Command::Kill { name } => open(&directory)?.kill(&name).await?,
        Command::Start { name } => open(&directory)?.start(&name).await?,
        Command::Down { keep } => {
            let mut swarm = open(&directory)?;
            swarm.down().await?;
            if !keep {
                swarm.remove()?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn open(directory: &Path) -> Result<Swarm> {
    Swarm::open(directory, Program::detached()?)
}

async fn play(directory: Option<&Path>, keep: bool, seed: u64, json: bool) -> Result<ExitCode> {
    let program = if keep { Program::detached()? } else { Program::this()? };
    let tell = |step: &demo::Step| {
        let seconds = std::time::Duration::from_millis(step.ms).as_secs_f64();
        let line = format!("{:<24}{seconds:>7.2} s{:>6} coins   {}", step.name, step.coins, step.told);
        if json { eprintln!("{line}") } else { println!("{line}") }
    };
    let (report, swarm) = demo::run(directory, program, seed, tell).await;
    if let Some(error) = &report.error {
        eprintln!("error: the story broke off: {error}");
    }
    if let Some(mut swarm) = swarm {
        if keep {
            swarm.leave();
            eprintln!("the swarm goes on in {}:", swarm.directory().display());
            eprint!("{}", table(&rows(&swarm).await));
            eprintln!("end it with: netpay-swarm down --dir {}", swarm.directory().display());
        } else {
            swarm.down().await?;
        }
    }
    if json {
        println!("{}", serde_json::to_string(&report)?);
    } else if report.ok {
        println!("every step held");
    }
    Ok(if report.ok { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}

async fn up(directory: &Path, count: usize, seed: u64, json: bool) -> Result<()> {
    let mut swarm = Swarm::new(directory, Program::detached()?, seed).await?;
    let peers = swarm.add_many(count).await?;
    let broker = swarm.broker()?;
    let codes = broker.vouchers(POCKET_MONEY, count).await?;
    for (peer, code) in peers.iter().zip(&codes) {
        peer.register(code).await?;
    }
    for (n, peer) in (1..).zip(&peers) {
        peer.buy_coins(POCKET_MONEY / 2).await?;
        first_file(&swarm, peer, n).await?;
    }
    swarm.leave();
    list(&swarm, json).await
}

/// Every peer of a new swarm has something to sell.
async fn first_file(swarm: &Swarm, peer: &Peer, n: u64) -> Result<()> {
    let (directory, name) =
        (swarm.goods().join(peer.name()), format!("Sample {n:02} of {}.bin", peer.name()));
    let path = crate::swarm::goods::make(&directory, &name, 50_000 + 10_000 * n, swarm.state().seed)?;
    peer.share(&path, n % 10, &[]).await.map(drop)
}

/// One process, as it is listed.
#[derive(Debug, Serialize)]
struct Row {
    name: String,
    pid: Option<u32>,
    state: &'static str,
    peers: Option<usize>,
    coins: Option<u64>,
    api: Option<String>,
    home: PathBuf,
}

async fn rows(swarm: &Swarm) -> Vec<Row> {
    let mut rows = Vec::new();
    for name in swarm.names() {
        let running = swarm.running(&name);
        let peer = swarm.peer(&name).ok().filter(|_| running.is_some());
        let status = match &peer {
            Some(peer) => peer.status().await.ok(),
            None => None,
        };
        let answers = match (&status, running.is_some() && name == BROKER, swarm.broker()) {
            (Some(_), ..) => true,
            (None, true, Ok(broker)) => broker.is_up().await,
            _ => false,
        };
        let home = swarm.state().members.get(&name).map(|member| member.home.clone()).unwrap_or_default();
        let api = crate::swarm::api::Api::new(&home).address().ok().filter(|_| running.is_some());
        rows.push(Row {
            pid: running.map(|running| running.pid),
            state: if answers {
                "up"
            } else if running.is_some() {
                "starting"
            } else {
                "down"
            },
            peers: status.as_ref().map(|status| status.peers),
            coins: status.and_then(|status| status.wallet).map(|wallet| wallet.spendable),
            api: api.map(|address| format!("http://{address}/")),
            name,
            home,
        });
    }
    rows
}

async fn list(swarm: &Swarm, json: bool) -> Result<()> {
    let rows = rows(swarm).await;
    if json {
        println!("{}", json!({ "directory": swarm.directory(), "members": rows }));
    } else {
        print!("{}", table(&rows));
    }
    Ok(())
}

fn table(rows: &[Row]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(["NAME", "STATE", "PID", "PEERS", "COINS", "LINK", "HOME"]);
    for row in rows {
        let number = |number: Option<String>| number.unwrap_or_else(|| "-".to_owned());
        table.add_row([
            row.name.clone(),
            row.state.to_owned(),
            number(row.pid.map(|pid| pid.to_string())),
            number(row.peers.map(|peers| peers.to_string())),
            number(row.coins.map(|coins| coins.to_string())),
            number(row.api.clone()),
            row.home.display().to_string(),
        ]);
    }
    format!("{table}\n")
}

fn environment(swarm: &Swarm, name: &str) -> Result<()> {
    let Some(member) = swarm.state().members.get(name) else {
        bail!("there is no {name:?} in this swarm; there are: {}", swarm.names().join(", "));
    };
    println!("export NETPAY_HOME='{}'", member.home.display().to_string().replace('\'', r"'\''"));
    Ok(())
}

/// Says what went wrong, as JSON for programs; errors of a swarm have one code.
fn failed(error: &anyhow::Error, json: bool) -> ExitCode {
    let mut err = std::io::stderr().lock();
    // Where stderr is gone there is nobody to tell.
    let _ = match json {
        false => writeln!(err, "error: {error:#}"),
        true => {
            let why = error.chain().skip(1).map(ToString::to_string).collect::<Vec<_>>().join(": ");
            let error = json!({
                "code": "NP-SWARM-001", "what": error.to_string(), "why": why,
                "fix": "netpay-swarm --help", "exit": FAILED,
            });
            writeln!(err, "{}", json!({ "error": error }))
        }
    };
    ExitCode::from(FAILED)
}

#[cfg(test)]
mod tests {
    use super::*;
    use netpay_node::cli::tree::without_variable;

    #[test]
    fn every_flag_has_its_variable() {
        Args::command().debug_assert();
        assert_eq!(without_variable(&Args::command()), Vec::<String>::new());
    }
}
