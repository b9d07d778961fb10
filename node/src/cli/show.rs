//! How results and errors look: tables and lines for people, JSON for programs. Names that come from other
//! peers are shown with their control and direction characters escaped.

use super::args::Global;
use crate::app::view::ErrorView;
use crate::shown::{self, alarm};
pub use crate::shown::{foreign, moment, short, size};
use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;
use std::io::Write as _;

/// A table's column: its title, and whether it holds amounts.
pub type Column = (&'static str, bool);

/// Prints one result.
pub fn json(value: &impl Serialize) {
    line(&serde_json::to_string(value).unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}")));
}

/// Prints a line on stdout. Where nobody reads it any more, nothing is lost.
pub fn line(text: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// Prints a line on stdout, and says whether somebody reads it.
pub fn try_line(text: &str) -> bool {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).is_ok()
}

/// Prints a line on stderr.
pub fn note(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Prints a table, or says that it is empty.
pub fn table(columns: &[Column], rows: Vec<Vec<String>>, empty: &str) {
    if rows.is_empty() {
        note(empty);
        return;
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(columns.iter().map(|(title, _)| *title));
    for row in rows {
        table.add_row(row);
    }
    for (at, (_, amount)) in columns.iter().enumerate() {
        if let Some(column) = table.column_mut(at).filter(|_| *amount) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    line(&table.trim_fmt());
}

/// Prints rows as CSV.
pub fn csv(columns: &[&str], rows: &[Vec<String>]) {
    line(&columns.join(","));
    for row in rows {
        line(&row.iter().map(|cell| shown::csv(cell)).collect::<Vec<_>>().join(","));
    }
}

/// Prints an error, on stderr.
pub fn error(error: &ErrorView, global: &Global) {
    note(&error_text(error, global.json, global.color.of_screen()));
}

/// An error as it is printed: for people some lines, for programs one object.
pub fn error_text(error: &ErrorView, as_json: bool, colored: bool) -> String {
    if as_json {
        serde_json::to_string(&serde_json::json!({ "error": error })).unwrap_or_default()
    } else {
        let ErrorView { code, what, why, fix, .. } = error;
        let (what, why, fix) = (foreign(what), foreign(why), foreign(fix));
        format!("{} {what}\n  why: {why}\n  fix: {fix}\n  {code} · netpay explain {code}", alarm(colored))
    }
}

/// Coins with their unit.
pub fn coins(amount: u64) -> String {
    netpay_core::amount::Coins(amount).to_string()
}
