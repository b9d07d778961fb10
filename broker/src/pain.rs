//! Payouts as a transfer order for the operator's bank: ISO 20022 pain.001.001.09, one batch of credit transfers.

use crate::admin::view::PayoutView;
use crate::errors::{self, ErrorView};
use iban::{Iban, IbanLike as _};
use iso_currency::Currency;
use jiff::Timestamp;
use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};
use std::collections::BTreeMap;
use std::io;

/// The schema's name.
pub const NAMESPACE: &str = "urn:iso:std:iso:20022:tech:xsd:pain.001.001.09";
/// Longest name of a party, in characters.
const NAME_MAX: usize = 70;
/// Longest remittance text, in characters.
const TEXT_MAX: usize = 140;
/// Digits behind the point that a denomination may have.
const PLACES_MAX: usize = 9;

/// Who pays, from where.
pub struct Payer<'a> {
    /// The name of the bank.
    pub name: &'a str,
    /// The IBAN that is charged.
    pub iban: &'a str,
    /// What one coin is worth.
    pub denomination: &'a str,
    /// What the operator calls this request: another text is another order.
    pub request: &'a str,
}

/// A transfer order.
#[derive(Debug)]
pub struct Order {
    /// The message's id: the same for the same payouts from the same account, and for no others.
    pub message: String,
    /// How many transfers.
    pub transfers: usize,
    /// The sum, in the currency.
    pub sum: String,
    /// The numbers of payouts that go to no IBAN, and are not in it.
    pub left_out: Vec<String>,
    /// The document.
    pub xml: String,
}

/// What a coin is worth in the smallest units of a currency: `units` of 10^-`places`.
struct Worth {
    digits: u128,
    places: u32,
    currency: Currency,
    minor: u32,
}

struct Transfer {
    id: String,
    amount: String,
    iban: String,
    name: String,
    text: String,
}

/// Writes the payouts that go to an IBAN as an order. `names` has the accounts' names.
///
/// # Errors
/// If the denomination is no amount of a currency, an amount is no whole number of its smallest units, the payer's IBAN
/// does not hold, or nothing goes to an IBAN.
pub fn order(
    payer: &Payer,
    payouts: &[PayoutView],
    names: &BTreeMap<String, String>,
    now: Timestamp,
) -> Result<Order, ErrorView> {
    let worth = Worth::of(payer.denomination)?;
    let from = iban(payer.iban).ok_or_else(|| errors::no_transfers("--from is no IBAN that holds"))?;
    let mut left_out = Vec::new();
    let (mut transfers, mut sum) = (Vec::new(), 0u128);
    let mut id = blake3::Hasher::new_derive_key("netpay 2026 transfer order");
    for part in [from.electronic_str(), payer.request] {
        absorb(&mut id, part);
    }
    let mut payouts: Vec<&PayoutView> = payouts.iter().collect();
    payouts.sort_by(|a, b| (&a.account, &a.number).cmp(&(&b.account, &b.number)));
    for payout in payouts {
        let Some(to) = iban(&payout.to) else {
            left_out.push(payout.number.clone());
            continue;
        };
        let minor = worth.minor(payout.coins)?;
        sum += minor;
        let (account, number) = (&payout.account, &payout.number);
        for part in [account, number, &payout.coins.to_string(), to.electronic_str()] {
            absorb(&mut id, part);
        }
        transfers.push(Transfer {
            id: short_id(blake3::Hasher::new().update(account.as_bytes()).update(number.as_bytes())),
            amount: worth.shown(minor),
            iban: to.electronic_str().to_owned(),
            name: plain(names.get(account).map_or("", String::as_str), account, NAME_MAX),
            text: plain(&format!("NetPay payout {number} of {account:.16}"), number, TEXT_MAX),
        });
    }
    if transfers.is_empty() {
        return Err(errors::no_transfers("no payout that is due goes to an IBAN"));
    }
    let (message, sum) = (short_id(&id), worth.shown(sum));
    let head = Head { message: &message, sum: &sum, count: transfers.len().to_string(), now };
    let xml =
        document(&head, payer, from.electronic_str(), &worth, &transfers).map_err(errors::no_transfers)?;
    Ok(Order { message, transfers: transfers.len(), sum, left_out, xml })
}

impl Worth {
    fn of(denomination: &str) -> Result<Self, ErrorView> {
        let bad = || {
            errors::no_transfers(format!(
                "the denomination {denomination:?} is no amount of an ISO 4217 currency, such as \"0.01 EUR\""
            ))
        };
        let (amount, code) = denomination.trim().split_once(' ').ok_or_else(bad)?;
        let currency = Currency::from_code(code.trim()).ok_or_else(bad)?;
        let minor = u32::from(currency.exponent().ok_or_else(bad)?);
        let (whole, part) = amount.split_once('.').unwrap_or((amount, ""));
        let is_number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !is_number(whole) || !is_number(part) || part.len() > PLACES_MAX {
            return Err(bad());
        }
        let digits: u64 = format!("{whole}{part}").parse().map_err(|_| bad())?;
        let places = u32::try_from(part.len()).map_err(|_| bad())?;
        if digits == 0 { Err(bad()) } else { Ok(Self { digits: digits.into(), places, currency, minor }) }
    }

    /// So many coins in the smallest units.
    fn minor(&self, coins: u64) -> Result<u128, ErrorView> {
        let units = u128::from(coins) * self.digits * 10u128.pow(self.minor);
        let unit = 10u128.pow(self.places);
        if !units.is_multiple_of(unit) {
            return Err(errors::no_transfers(format!(
                "{coins} coins are no whole number of the smallest unit of {}",
                self.currency.code()
            )));
        }
        Ok(units / unit)
    }

    fn shown(&self, minor: u128) -> String {
        let unit = 10u128.pow(self.minor);
        match self.minor {
            0 => minor.to_string(),
            places => format!("{}.{:0width$}", minor / unit, minor % unit, width = places as usize),
        }
    }
}

/// The IBAN in a text, with or without spaces.
fn iban(text: &str) -> Option<Iban> {
    let electronic: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    electronic.to_ascii_uppercase().parse().ok()
}

fn absorb(hasher: &mut blake3::Hasher, part: &str) {
    hasher.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
}

/// An id of 34 letters and digits; the schema allows 35.
fn short_id(hasher: &blake3::Hasher) -> String {
    format!("NP{:.32}", hasher.finalize().to_hex())
}

/// A text in the letters that every bank takes, and not longer than it may be; `else_` where nothing is left.
fn plain(text: &str, else_: &str, max: usize) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || " /-?:().,'+".contains(c);
    let latin = deunicode::deunicode(text);
    let latin: String = latin.chars().map(|c| if allowed(c) { c } else { '.' }).take(max).collect();
    let latin = latin.trim();
    if latin.is_empty() { else_.chars().take(max).collect() } else { latin.to_owned() }
}

struct Head<'a> {
    message: &'a str,
    sum: &'a str,
    count: String,
    now: Timestamp,
}

type Xml = Writer<Vec<u8>>;

fn document(
    head: &Head,
    payer: &Payer,
    from: &str,
    worth: &Worth,
    transfers: &[Transfer],
) -> io::Result<String> {
    let mut xml = Writer::new_with_indent(Vec::new(), b' ', 2);
    xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let name = plain(payer.name, "NetPay broker", NAME_MAX);
    xml.create_element("Document").with_attribute(("xmlns", NAMESPACE)).write_inner_content(|xml| {
        element(xml, "CstmrCdtTrfInitn", |xml| {
            element(xml, "GrpHdr", |xml| {
                text(xml, "MsgId", head.message)?;
                text(xml, "CreDtTm", &head.now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())?;
                text(xml, "NbOfTxs", &head.count)?;
                text(xml, "CtrlSum", head.sum)?;
                element(xml, "InitgPty", |xml| text(xml, "Nm", &name))
            })?;
            element(xml, "PmtInf", |xml| {
                batch(xml, head, worth, (&name, from))?;
                transfers.iter().try_for_each(|transfer| credit(xml, transfer, worth.currency.code()))
            })
        })
    })?;
    String::from_utf8(xml.into_inner()).map_err(io::Error::other)
}

/// What all transfers share.
fn batch(xml: &mut Xml, head: &Head, worth: &Worth, (name, from): (&str, &str)) -> io::Result<()> {
    text(xml, "PmtInfId", head.message)?;
    text(xml, "PmtMtd", "TRF")?;
    text(xml, "NbOfTxs", &head.count)?;
    text(xml, "CtrlSum", head.sum)?;
    if worth.currency == Currency::EUR {
        element(xml, "PmtTpInf", |xml| element(xml, "SvcLvl", |xml| text(xml, "Cd", "SEPA")))?;
    }
    element(xml, "ReqdExctnDt", |xml| text(xml, "Dt", &head.now.strftime("%Y-%m-%d").to_string()))?;
    element(xml, "Dbtr", |xml| text(xml, "Nm", name))?;
    account(xml, "DbtrAcct", from)?;
    element(xml, "DbtrAgt", |xml| {
        element(xml, "FinInstnId", |xml| element(xml, "Othr", |xml| text(xml, "Id", "NOTPROVIDED")))
    })?;
    text(xml, "ChrgBr", "SLEV")
}

fn credit(xml: &mut Xml, transfer: &Transfer, currency: &str) -> io::Result<()> {
    element(xml, "CdtTrfTxInf", |xml| {
        element(xml, "PmtId", |xml| text(xml, "EndToEndId", &transfer.id))?;
        element(xml, "Amt", |xml| {
            let amount = xml.create_element("InstdAmt").with_attribute(("Ccy", currency));
            amount.write_text_content(BytesText::new(&transfer.amount)).map(drop)
        })?;
        element(xml, "Cdtr", |xml| text(xml, "Nm", &transfer.name))?;
        account(xml, "CdtrAcct", &transfer.iban)?;
        element(xml, "RmtInf", |xml| text(xml, "Ustrd", &transfer.text))
    })
}

fn account(xml: &mut Xml, name: &'static str, iban: &str) -> io::Result<()> {
    element(xml, name, |xml| element(xml, "Id", |xml| text(xml, "IBAN", iban)))
}

fn element(
    xml: &mut Xml,
    name: &'static str,
    inside: impl FnOnce(&mut Xml) -> io::Result<()>,
) -> io::Result<()> {
    xml.create_element(name).write_inner_content(inside).map(drop)
}

fn text(xml: &mut Xml, name: &'static str, content: &str) -> io::Result<()> {
    xml.create_element(name).write_text_content(BytesText::new(content)).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use quick_xml::Reader;

    const FROM: &str = "DE89 3704 0044 0532 0130 00";

    fn payout(number: &str, coins: u64, to: &str) -> PayoutView {
        PayoutView {
            number: number.to_owned(),
            account: format!("{number}{number}"),
            coins,
            to: to.to_owned(),
            asked: String::new(),
            paid: None,
            reference: None,
        }
    }

    fn payer<'a>(denomination: &'a str, request: &'a str) -> Payer<'a> {
        Payer { name: "Bank <& \u{1}Söhne>", iban: FROM, denomination, request }
    }

    fn made(payer: &Payer, payouts: &[PayoutView]) -> Result<Order, ErrorView> {
        let names = BTreeMap::from([("aaaaaaaa".to_owned(), "Jörg <script>\u{202e}&".to_owned())]);
        order(payer, payouts, &names, "2026-01-02T03:04:05Z".parse().expect("a time"))
    }

    /// Every text of the document, each under the path of its elements; fails where it is not well-formed.
    fn texts(xml: &str) -> Vec<(String, String)> {
        let mut reader = Reader::from_str(xml);
        let (mut path, mut found) = (Vec::new(), Vec::new());
        loop {
            match reader.read_event().expect("well-formed") {
                Event::Start(start) => path.push(start.name().into_inner().to_owned()),
                Event::End(_) => drop(path.pop()),
                Event::Text(text) => {
                    let text = text.xml10_content();
                    if !text.trim().is_empty() {
                        found.push((path.join("/"), text.into_owned()));
                    }
                }
                Event::Eof => break,
                _ => {}
            }
        }
        assert!(path.is_empty());
        found
    }

    fn values<'a>(texts: &'a [(String, String)], end: &str) -> Vec<&'a str> {
        texts.iter().filter(|(path, _)| path.ends_with(end)).map(|(_, text)| text.as_str()).collect()
    }

    #[test]
    fn transfers_are_ordered_to_the_cent_and_others_named() {
        let due = [
            payout("bbbb", 1, "GB82WEST12345698765432"),
            payout("aaaa", 1234, "de02 1203 0000 0000 2020 51"),
            payout("cccc", 5, "the blue house"),
            payout("dddd", 5, "DE02120300000000202052"),
        ];
        let order = made(&payer("0.01 EUR", ""), &due).expect("an order");
        assert_eq!((order.transfers, order.sum.as_str()), (2, "12.35"));
        assert_eq!(order.left_out, ["cccc", "dddd"], "no IBAN, and one whose check digits do not hold");
        let texts = texts(&order.xml);
        assert_eq!(values(&texts, "InstdAmt"), ["12.34", "0.01"]);
        assert_eq!(values(&texts, "CtrlSum"), ["12.35", "12.35"]);
        assert_eq!(values(&texts, "CdtrAcct/Id/IBAN"), ["DE02120300000000202051", "GB82WEST12345698765432"]);
        assert_eq!(values(&texts, "DbtrAcct/Id/IBAN"), ["DE89370400440532013000"]);
        assert_eq!(values(&texts, "Cdtr/Nm"), ["Jorg .script..", "bbbbbbbb"]);
        assert_eq!(values(&texts, "GrpHdr/CreDtTm"), ["2026-01-02T03:04:05Z"]);
        let ids = values(&texts, "EndToEndId");
        assert!(ids[0] != ids[1] && ids.iter().all(|id| id.len() <= 35), "{ids:?}");
        assert!(order.xml.contains(NAMESPACE) && order.message.len() <= 35);
    }

    #[test]
    fn the_same_request_is_the_same_message_and_another_is_another() {
        let (one, two) =
            (payout("aaaa", 7, "GB82WEST12345698765432"), payout("bbbb", 7, "GB82WEST12345698765432"));
        let id = |payer: &Payer, due: &[PayoutView]| made(payer, due).expect("an order").message;
        let first = id(&payer("0.01 EUR", ""), &[one.clone(), two.clone()]);
        assert_eq!(first, id(&payer("0.01 EUR", ""), &[two.clone(), one.clone()]));
        assert_ne!(first, id(&payer("0.01 EUR", ""), std::slice::from_ref(&one)));
        assert_ne!(first, id(&payer("0.01 EUR", "again"), &[one.clone(), two]));
        assert_ne!(first, id(&payer("0.01 EUR", ""), &[PayoutView { coins: 8, ..one }]));
    }

    #[test]
    fn what_is_no_amount_of_a_currency_is_one_clear_error() {
        let due = [payout("aaaa", 7, "GB82WEST12345698765432")];
        for bad in
            ["1 coin", "0.01", "0.01 EURO", "0,01 EUR", "-1 EUR", "0 EUR", "1e3 EUR", ". EUR", "0.001 EUR"]
        {
            let error = made(&payer(bad, ""), &due).expect_err(bad);
            assert_eq!(error.code, "NP-BROKER-052", "{bad}");
        }
        let paid = |denomination| made(&payer(denomination, ""), &due).map(|order| order.sum);
        assert_eq!(paid("1 JPY").expect("no minor unit"), "7");
        assert_eq!(paid("0.5 KWD").expect("three places"), "3.500");
        assert_eq!(
            made(&payer("0.001 EUR", ""), &[payout("a", 20, "GB82WEST12345698765432")]).expect("it fits").sum,
            "0.02"
        );
        assert!(made(&Payer { iban: "DE00", ..payer("1 EUR", "") }, &due).is_err());
        assert!(made(&payer("1 EUR", ""), &[payout("a", 1, "nowhere")]).is_err());
    }
}
