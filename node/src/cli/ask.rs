//! What a person is asked: whether it may be done, and secrets, which are never arguments.

use super::args::{Global, Passphrase};
use crate::app::view::ErrorView;
use crate::errors;
use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _};
use zeroize::Zeroizing;

/// The longest passphrase that is read, in bytes.
const MAX_PASSPHRASE: u64 = 1024;
/// The longest voucher or answer that is read, in bytes.
const MAX_LINE: u64 = 1024;
/// The shortest passphrase that a wallet is closed with, in bytes.
const MIN_PASSPHRASE: usize = 8;

/// Asks before money is spent or something is destroyed.
///
/// # Errors
/// If the answer is not yes, or there is nobody to ask.
pub fn confirm(global: &Global, question: &str) -> Result<(), ErrorView> {
    if global.yes {
        return Ok(());
    }
    if global.no_input || !io::stdin().is_terminal() {
        return Err(errors::not_confirmed(question));
    }
    let mut err = io::stderr().lock();
    let _ = write!(err, "{question} [y/N] ");
    let _ = err.flush();
    let mut answer = String::new();
    let _ = io::stdin().lock().take(MAX_LINE).read_line(&mut answer);
    if matches!(answer.trim().to_lowercase().as_str(), "y" | "yes") {
        Ok(())
    } else {
        Err(errors::declined())
    }
}

/// A passphrase given by file, environment or prompt; `None` if there is nobody to ask.
///
/// # Errors
/// If the file cannot be read, or the prompt fails.
pub fn passphrase(
    global: &Global,
    given: &Passphrase,
    prompt: &str,
) -> Result<Option<Zeroizing<String>>, ErrorView> {
    if let Some(found) = unasked(given)? {
        return Ok(Some(found));
    }
    if !may_ask(global) {
        return Ok(None);
    }
    secret(prompt).map(Some)
}

/// A new passphrase. One that is typed is asked for twice: a slip of the finger would close the wallet for ever.
///
/// # Errors
/// If none is given, or it is too short to protect anything.
pub fn new_passphrase(
    global: &Global,
    given: &Passphrase,
    prompt: &str,
) -> Result<Zeroizing<String>, ErrorView> {
    let found = match unasked(given)? {
        Some(found) => found,
        None if may_ask(global) => {
            let typed = secret(prompt)?;
            if secret("The same again: ")? != typed {
                return Err(errors::bad_passphrase("the two are not the same"));
            }
            typed
        }
        None => return Err(errors::passphrase_needed()),
    };
    if found.len() < MIN_PASSPHRASE {
        return Err(errors::bad_passphrase(format_args!("it is shorter than {MIN_PASSPHRASE} bytes")));
    }
    Ok(found)
}

/// A voucher's code: from the environment, the terminal, or a line of stdin; never from the arguments.
///
/// # Errors
/// If there is none.
pub fn voucher(global: &Global) -> Result<String, ErrorView> {
    if let Ok(code) = std::env::var("NETPAY_VOUCHER") {
        return Ok(code);
    }
    let terminal = io::stdin().is_terminal();
    if terminal && global.no_input {
        return Err(errors::bad_voucher("none was given"));
    }
    if terminal {
        return secret("The voucher: ").map(|typed| typed.to_string());
    }
    let mut line = String::new();
    io::stdin().lock().take(MAX_LINE).read_line(&mut line).map_err(errors::internal)?;
    Ok(line.trim().to_owned())
}

fn may_ask(global: &Global) -> bool {
    !global.no_input && io::stdin().is_terminal()
}

/// The passphrase of the file or the environment.
fn unasked(given: &Passphrase) -> Result<Option<Zeroizing<String>>, ErrorView> {
    if let Some(path) = &given.passphrase_file {
        let mut text = Zeroizing::new(String::new());
        let file = std::fs::File::open(path).map_err(|e| errors::io("reading", path, &e))?;
        file.take(MAX_PASSPHRASE).read_to_string(&mut text).map_err(|e| errors::io("reading", path, &e))?;
        return Ok(Some(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned())));
    }
    Ok(std::env::var("NETPAY_PASSPHRASE").ok().map(Zeroizing::new))
}

/// Asks on the terminal, where what is typed is not shown.
fn secret(prompt: &str) -> Result<Zeroizing<String>, ErrorView> {
    let typed = rpassword::prompt_password(prompt).map_err(|error| match error.kind() {
        io::ErrorKind::Interrupted => errors::interrupted(),
        _ => errors::internal(error),
    })?;
    Ok(Zeroizing::new(typed))
}
