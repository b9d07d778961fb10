//! What many runs come to, as one line of JSON and as a table.

use super::oracle::Measures;
use super::{Outcome, Settings};
use comfy_table::{Table, presets};
use serde::Serialize;
use std::time::Duration;

/// The middle and the end of a distribution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
struct Percentiles {
    p50: Option<u64>,
    p99: Option<u64>,
}

/// What many runs come to.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// How often something did not hold.
    pub violations: usize,
    /// Runs.
    seeds: usize,
    /// Peers of each.
    peers: usize,
    vendors: usize,
    buyers: usize,
    malicious: f64,
    churn: f64,
    sales: u64,
    excused: u64,
    handoffs: [u64; 3],
    honest_loss_max: u64,
    honest_loss_mean: f64,
    losses: usize,
    losses_above_x0: u64,
    certified_share: f64,
    broker_messages_per_sale: f64,
    broker_messages: Asked,
    sales_without_broker: u64,
    detection_ms: Percentiles,
    detected: usize,
    undetected: u64,
    double_spent_chains: u64,
    with_weak_committees: u64,
    with_conflicting_certificates: u64,
    conflicting_certificates: u64,
    convicted_signers_min: Option<usize>,
    seconds: f64,
    /// What did not hold, each with its seed.
    #[serde(skip)]
    pub told: Vec<String>,
}

/// What the broker was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
struct Asked {
    redemptions: u64,
    accounts: u64,
    evidence: u64,
    others: u64,
}

#[allow(clippy::cast_precision_loss, reason = "small numbers")]
fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { ((part as f64 / whole as f64) * 1e4).round() / 1e4 }
}

impl Summary {
    /// Sums up.
    pub(super) fn of(settings: &Settings, outcomes: &[(u64, Outcome)], took: Duration) -> Self {
        let all = || outcomes.iter().map(|(_, outcome)| &outcome.measures);
        let sum = |of: fn(&Measures) -> u64| all().map(of).sum::<u64>();
        let losses: Vec<u64> = all().flat_map(|measures| measures.losses.iter().copied()).collect();
        let mut detections: Vec<u64> =
            all().flat_map(|measures| measures.detections.iter().copied()).collect();
        detections.sort_unstable();
        let at = |percent: usize| detections.get(detections.len() * percent / 100).copied();
        let told = outcomes.iter().flat_map(|(seed, outcome)| {
            outcome.violations.iter().map(move |what| format!("seed {seed}: {what}"))
        });
        let told: Vec<String> = told.collect();
        let asked: [u64; 4] =
            all().fold([0; 4], |sum, measures| std::array::from_fn(|what| sum[what] + measures.asked[what]));
        let [redemptions, accounts, evidence, others] = asked;
        Self {
            violations: told.len(),
            seeds: outcomes.len(),
            peers: settings.peers,
            vendors: settings.vendors,
            buyers: settings.buyers,
            malicious: settings.malicious,
            churn: settings.churn,
            sales: sum(|measures| measures.sales),
            excused: sum(|measures| measures.excused),
            handoffs: all()
                .fold([0; 3], |sum, measures| std::array::from_fn(|how| sum[how] + measures.handoffs[how])),
            honest_loss_max: losses.iter().copied().max().unwrap_or(0),
            honest_loss_mean: ratio(losses.iter().sum(), losses.len() as u64),
            losses: losses.len(),
            losses_above_x0: sum(|measures| measures.above_risk),
            certified_share: ratio(
                sum(|measures| measures.certified.0),
                sum(|measures| measures.certified.1),
            ),
            broker_messages_per_sale: ratio(asked.iter().sum(), sum(|measures| measures.sales)),
            broker_messages: Asked { redemptions, accounts, evidence, others },
            sales_without_broker: sum(|measures| measures.without_broker),
            detection_ms: Percentiles { p50: at(50), p99: at(99) },
            detected: detections.len(),
            undetected: sum(|measures| measures.undetected),
            double_spent_chains: sum(|measures| measures.double_spent),
            with_weak_committees: sum(|measures| measures.weak),
            with_conflicting_certificates: sum(|measures| measures.conflicting_chains),
            conflicting_certificates: sum(|measures| measures.conflicting),
            convicted_signers_min: all().filter_map(|measures| measures.convicted_signers).min(),
            seconds: (took.as_secs_f64() * 10.0).round() / 10.0,
            told,
        }
    }

    /// One line of JSON.
    #[must_use]
    pub fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// A table for a person.
    #[must_use]
    pub fn table(&self) -> String {
        let number = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
        let [vendor, record, gone] = self.handoffs;
        let rows = [
            ("violations", self.violations.to_string()),
            (
                "runs",
                format!(
                    "{} of {} peers, {} selling, {} buying",
                    self.seeds, self.peers, self.vendors, self.buyers
                ),
            ),
            ("sales", format!("{}, and {} whose committee is not sound", self.sales, self.excused)),
            ("handoffs", format!("{vendor} by the vendor, {record} by the record, {gone} by nobody")),
            (
                "lost by honest vendors",
                format!("{} times, {} coins at most", self.losses, self.honest_loss_max),
            ),
            ("certified at the last unit", format!("{:.1} %", self.certified_share * 100.0)),
            ("messages to the broker per sale", self.broker_messages_per_sale.to_string()),
            ("sales while it was away", self.sales_without_broker.to_string()),
            (
                "detected after",
                format!("{} ms, {} ms at p99", number(self.detection_ms.p50), number(self.detection_ms.p99)),
            ),
            ("conflicting certificates", self.conflicting_certificates.to_string()),
            ("seconds", self.seconds.to_string()),
        ];
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        for (name, value) in rows {
            table.add_row([name.to_owned(), value]);
        }
        format!("{table}\n")
    }
}
