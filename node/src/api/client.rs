//! The API's client: finds the peer that runs in a home, and asks it.

use super::ADDRESS_FILE;
use crate::app::view::{DownloadView, ErrorView, MAX_PAGE, Page};
use crate::errors;
use crate::home::Home;
use futures::StreamExt as _;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::PathBuf;
use std::time::Duration;

/// How long one answer may take: buying coins and redeeming wait for the broker.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
/// The most one event of a stream may take, in bytes.
const MAX_EVENT: usize = 1 << 20;
/// Pages of a list asked for at most.
const MAX_PAGES: usize = 10_000;

/// The API of the peer that runs in a home.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    token: String,
    home: PathBuf,
}

impl Client {
    /// The peer that runs in this home.
    ///
    /// # Errors
    /// If none does.
    pub fn at(home: &Home) -> Result<Self, ErrorView> {
        let none = || errors::daemon_not_running(home.path().display());
        let address = std::fs::read_to_string(home.path().join(ADDRESS_FILE)).map_err(|_| none())?;
        let token = std::fs::read_to_string(home.api_token()).map_err(|_| none())?;
        let address = address.trim().to_owned();
        let http = reqwest::Client::builder().no_proxy().build().map_err(errors::internal)?;
        let base = format!("http://{address}/api/v1");
        Ok(Self { http, base, token: token.trim().to_owned(), home: home.path().to_owned() })
    }

    /// Asks for something; `path` with its parameters.
    ///
    /// # Errors
    /// If the peer does not answer, or refuses.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ErrorView> {
        self.send(reqwest::Method::GET, path, None::<&()>).await
    }

    /// Asks for the whole of a list, page by page.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn list<T: DeserializeOwned>(&self, path: &str) -> Result<Vec<T>, ErrorView> {
        let (mut all, mut after) = (Vec::new(), String::new());
        let sign = if path.contains('?') { '&' } else { '?' };
        for _ in 0..MAX_PAGES {
            let page: Page<T> = self.get(&format!("{path}{sign}limit={MAX_PAGE}{after}")).await?;
            all.extend(page.items);
            match page.next {
                Some(next) => after = format!("&after={}", escaped(&next)),
                None => return Ok(all),
            }
        }
        Err(errors::odd_answer(&self.base, "a list without end"))
    }

    /// Has something done.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, ErrorView> {
        self.send(reqwest::Method::POST, path, Some(body)).await
    }

    /// Has something changed.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn patch<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ErrorView> {
        self.send(reqwest::Method::PATCH, path, Some(body)).await
    }

    /// Has something taken away.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T, ErrorView> {
        self.send(reqwest::Method::DELETE, path, None::<&()>).await
    }

    async fn send<T: DeserializeOwned>(
        &self,
        method: reqwest::Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<T, ErrorView> {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        request = request.bearer_auth(&self.token).timeout(ANSWER_WITHIN);
        // One command is one act.
        request =
            request.header("idempotency-key", data_encoding::HEXLOWER.encode(&crate::clock::random::<16>()));
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.map_err(|error| self.no_answer(&error))?;
        let ok = response.status().is_success();
        let bytes = response.bytes().await.map_err(|error| self.no_answer(&error))?;
        if ok {
            return serde_json::from_slice(&bytes).map_err(|error| errors::odd_answer(&self.base, error));
        }
        Err(self.refusal(&bytes))
    }

    /// What the daemon says against it.
    fn refusal(&self, bytes: &[u8]) -> ErrorView {
        serde_json::from_slice(bytes)
            .unwrap_or_else(|_| errors::odd_answer(&self.base, String::from_utf8_lossy(bytes)))
    }

    fn no_answer(&self, error: &reqwest::Error) -> ErrorView {
        if error.is_timeout() {
            errors::timed_out("waiting for the peer")
        } else {
            errors::daemon_not_running(self.home.display()).because(error)
        }
    }

    /// Asks for something that comes line by line; `seen` is told each thing as it comes.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn lines<T: DeserializeOwned>(
        &self,
        path: &str,
        mut seen: impl FnMut(T),
    ) -> Result<(), ErrorView> {
        let request = self.http.get(format!("{}{path}", self.base)).bearer_auth(&self.token);
        let response = request.timeout(ANSWER_WITHIN).send().await.map_err(|error| self.no_answer(&error))?;
        if !response.status().is_success() {
            let bytes = response.bytes().await.map_err(|error| self.no_answer(&error))?;
            return Err(self.refusal(&bytes));
        }
        let (mut stream, mut rest) = (response.bytes_stream(), Vec::new());
        while let Some(chunk) = stream.next().await {
            rest.extend_from_slice(&chunk.map_err(|error| self.no_answer(&error))?);
            while let Some(at) = rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = rest.drain(..=at).collect();
                seen(serde_json::from_slice(&line).map_err(|error| errors::odd_answer(&self.base, error))?);
            }
            if rest.len() > MAX_EVENT {
                return Err(errors::odd_answer(&self.base, "a line without end"));
            }
        }
        Ok(())
    }

    /// Follows a download until it stands still; `seen` is told every change.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn follow(
        &self,
        id: u64,
        mut seen: impl FnMut(&DownloadView),
    ) -> Result<DownloadView, ErrorView> {
        let url = format!("{}/downloads/{id}/events", self.base);
        let response = self.http.get(url).bearer_auth(&self.token).send().await;
        let response = response.map_err(|error| self.no_answer(&error))?;
        let mut stream = response.bytes_stream();
        let (mut rest, mut last) = (Vec::new(), None);
        while let Some(chunk) = stream.next().await {
            rest.extend_from_slice(&chunk.map_err(|error| self.no_answer(&error))?);
            while let Some(at) = rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = rest.drain(..=at).collect();
                if let Some(data) = line.strip_prefix(b"data: ")
                    && let Ok(view) = serde_json::from_slice::<DownloadView>(data)
                {
                    seen(&view);
                    last = Some(view);
                }
            }
            if rest.len() > MAX_EVENT {
                break;
            }
        }
        match last {
            Some(view) => Ok(view),
            None => self.get(&format!("/downloads/{id}")).await,
        }
    }
}

/// A text as it stands in an address.
#[must_use]
pub fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    let one = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(one).collect()
}
