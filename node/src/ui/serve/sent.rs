//! What comes with a request: who asks, and what was filled in.

use super::MAX_FORM;
use crate::app::view::ErrorView;
use crate::errors;
use crate::ui::layout::Notice;
use crate::ui::parts::Tone;
use axum::extract::{self, FromRequest, FromRequestParts, Query, RawForm, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Mutex, PoisonError};

/// Notices kept at most; the oldest gives way.
const MAX_SAID: usize = 64;
/// Fields of a form taken at most.
const MAX_FIELDS: usize = 64;

/// Notices to be shown on the page behind a redirection. They are kept here, not in the address, so that nobody can make
/// a link that has a page say something.
#[derive(Debug, Default)]
pub struct Said(Mutex<VecDeque<(String, Notice)>>);

impl Said {
    /// Something went well; returns the name under which that can be had.
    pub fn good(&self, text: &str) -> String {
        self.keep(Notice { tone: Tone::Good, text: text.to_owned() })
    }

    fn keep(&self, notice: Notice) -> String {
        let id = data_encoding::HEXLOWER.encode(&crate::clock::random::<8>());
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if said.len() >= MAX_SAID {
            said.pop_front();
        }
        said.push_back((id.clone(), notice));
        id
    }

    /// What was said under this name.
    #[must_use]
    pub fn of(&self, id: &str) -> Option<Notice> {
        let said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        said.iter().find(|(kept, _)| kept == id).map(|(_, notice)| notice.clone())
    }
}

/// Who asks.
#[derive(Clone, Debug, Default)]
pub struct Visit {
    /// The secret of the session, which every form carries.
    pub csrf: String,
    /// The notice to show.
    pub said: Option<String>,
    /// Whether htmx asks, which puts the answer into the page.
    pub htmx: bool,
}

/// The secret of the session that asks. The guard ahead of the pages puts it into each request.
#[derive(Clone, Debug)]
pub struct Csrf(pub String);

/// What has pages, and shows a refusal as one of them.
pub trait Refuses: Send + Sync {
    /// An error as a page.
    fn refused(&self, visit: &Visit, error: ErrorView) -> Response;
}

impl<S: Send + Sync> FromRequestParts<S> for Visit {
    type Rejection = Infallible;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let csrf = parts.extensions.get::<Csrf>().map(|csrf| csrf.0.clone()).unwrap_or_default();
        let said = parts
            .uri
            .query()
            .and_then(|query| pairs(query.as_bytes()).into_iter().find(|(name, _)| name == "said"));
        Ok(Self { csrf, said: said.map(|(_, id)| id), htmx: parts.headers.contains_key("hx-request") })
    }
}

/// What the address asks for, behind its question mark.
#[derive(Debug)]
pub struct Asked<T>(pub T);

impl<T: serde::de::DeserializeOwned + Send, S: Refuses> FromRequestParts<S> for Asked<T> {
    type Rejection = Response;
    async fn from_request_parts(parts: &mut Parts, ui: &S) -> Result<Self, Response> {
        let asked = Query::<T>::try_from_uri(&parts.uri).map_err(|fault| fault.body_text());
        let asked = asked.map(|Query(asked)| Self(asked));
        let Ok(visit) = Visit::from_request_parts(parts, ui).await;
        asked.map_err(|fault| ui.refused(&visit, errors::bad_request(fault)))
    }
}

/// What the address names.
#[derive(Debug)]
pub struct Path<T>(pub T);

impl<T: serde::de::DeserializeOwned + Send, S: Refuses> FromRequestParts<S> for Path<T> {
    type Rejection = Response;
    async fn from_request_parts(parts: &mut Parts, ui: &S) -> Result<Self, Response> {
        let named = extract::Path::<T>::from_request_parts(parts, ui).await.map(|named| Self(named.0));
        let Ok(visit) = Visit::from_request_parts(parts, ui).await;
        named.map_err(|fault| ui.refused(&visit, errors::bad_request(fault.body_text())))
    }
}

/// A form of ours, filled in: one that carries the session's secret.
#[derive(Debug)]
pub struct Sent {
    /// Who asks.
    pub visit: Visit,
    fields: Vec<(String, String)>,
}

impl Sent {
    /// What was typed there; nothing if the form has no such field.
    #[must_use]
    pub fn text(&self, name: &str) -> &str {
        self.given(name).unwrap_or_default()
    }

    /// What was typed there, if anything was.
    #[must_use]
    pub fn given(&self, name: &str) -> Option<&str> {
        self.field(name).filter(|value| !value.is_empty())
    }

    /// What the field holds, if the form has it; empty is a value too.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.trim())
    }

    /// What was typed there to the letter, as secrets are.
    pub fn secret(&self, name: &str) -> &str {
        self.fields.iter().find(|(field, _)| field == name).map_or("", |(_, value)| value)
    }

    /// What was filled in, in short, but for the session's secret: the same form has the same.
    #[must_use]
    pub fn contents(&self) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new();
        for (name, value) in self.fields.iter().filter(|(name, _)| name != "csrf") {
            for text in [name, value] {
                hasher.update(&u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes());
                hasher.update(text.as_bytes());
            }
        }
        hasher.finalize()
    }

    /// The whole number typed there.
    ///
    /// # Errors
    /// If it is none. `what` says what it should have been.
    pub fn number(&self, name: &str, what: &str) -> Result<u64, ErrorView> {
        number(self.text(name), what)
    }
}

/// A whole number, as people type it.
///
/// # Errors
/// If it is none. `what` says what it should have been.
pub fn number(text: &str, what: &str) -> Result<u64, ErrorView> {
    let digits: String = text.chars().filter(|c| !matches!(c, ',' | '_' | ' ')).collect();
    digits
        .parse()
        .map_err(|_| errors::bad_request(format!("{what} is a whole number from 0 on, not \"{text}\"")))
}

impl<S: Refuses> FromRequest<S> for Sent {
    type Rejection = Response;
    async fn from_request(request: Request, ui: &S) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let Ok(visit) = Visit::from_request_parts(&mut parts, ui).await;
        let form = RawForm::from_request(Request::from_parts(parts, body), ui).await;
        let RawForm(bytes) = form.map_err(|fault| {
            let error = match fault.status() {
                StatusCode::PAYLOAD_TOO_LARGE => errors::too_large(MAX_FORM),
                _ => errors::bad_request(fault.body_text()),
            };
            ui.refused(&visit, error)
        })?;
        let sent = Self { fields: pairs(&bytes), visit };
        if !is_ours(&sent.visit, sent.text("csrf")) {
            return Err(ui.refused(&sent.visit, errors::foreign_form()));
        }
        Ok(sent)
    }
}

/// Whether a form carries the secret of the session that sends it.
pub(super) fn is_ours(visit: &Visit, csrf: &str) -> bool {
    // Hashes are compared, so that the time taken says nothing about the secret.
    !visit.csrf.is_empty() && blake3::hash(csrf.as_bytes()) == blake3::hash(visit.csrf.as_bytes())
}

/// The fields of a form or a query.
fn pairs(bytes: &[u8]) -> Vec<(String, String)> {
    form_urlencoded::parse(bytes)
        .take(MAX_FIELDS)
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect()
}
