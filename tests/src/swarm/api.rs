//! The HTTP API of a daemon, as any program would use it: the address and the token are in its home.

use anyhow::{Context as _, Result, bail};
use netpay_node::app::view::{MAX_PAGE, Page};
use netpay_node::errors::ErrorView;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long one answer may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// The API of the daemon in a home.
#[derive(Clone, Debug)]
pub struct Api {
    home: PathBuf,
    client: reqwest::Client,
}

/// What a daemon answers when it does not do what was asked.
#[derive(Debug)]
pub struct Refused(pub ErrorView);

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Refused {}

impl Api {
    /// The API of the daemon in that home.
    #[must_use]
    pub fn new(home: &Path) -> Self {
        Self { home: home.to_owned(), client: reqwest::Client::new() }
    }

    /// Asks for something.
    ///
    /// # Errors
    /// If the daemon does not answer, or refuses ([`Refused`]).
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        self.send(reqwest::Method::GET, path, None::<&()>).await
    }

    /// Asks for something with parameters in the address.
    ///
    /// # Errors
    /// As [`Api::get`].
    pub async fn query<T: DeserializeOwned>(&self, path: &str, parameters: &[(&str, &str)]) -> Result<T> {
        self.get(&with_parameters(path, parameters)).await
    }

    /// Asks for the whole of a list, page by page.
    ///
    /// # Errors
    /// As [`Api::get`].
    pub async fn list<T: DeserializeOwned>(&self, path: &str, parameters: &[(&str, &str)]) -> Result<Vec<T>> {
        let (mut all, limit, mut after) = (Vec::new(), MAX_PAGE.to_string(), None::<String>);
        loop {
            let mut parameters = parameters.to_vec();
            parameters.push(("limit", &limit));
            parameters.extend(after.iter().map(|after| ("after", after.as_str())));
            let page: Page<T> = self.query(path, &parameters).await?;
            all.extend(page.items);
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(all),
            }
        }
    }

    /// Asks for something that comes line by line; `seen` is told each thing as it comes.
    ///
    /// # Errors
    /// As [`Api::get`].
    pub async fn lines<T: DeserializeOwned>(
        &self,
        path: &str,
        parameters: &[(&str, &str)],
        mut seen: impl FnMut(T),
    ) -> Result<()> {
        let path = with_parameters(path, parameters);
        let asked = || format!("{path} of {}", self.home.display());
        let token = std::fs::read_to_string(self.home.join("api-token")).context("reading the token")?;
        let url = format!("http://{}/api/v1{path}", self.address()?);
        let request = self.client.get(url).bearer_auth(token.trim()).timeout(ANSWER_WITHIN);
        let mut response = request.send().await.and_then(reqwest::Response::error_for_status)?;
        let mut rest = Vec::new();
        while let Some(chunk) = response.chunk().await.with_context(asked)? {
            rest.extend_from_slice(&chunk);
            while let Some(at) = rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = rest.drain(..=at).collect();
                seen(serde_json::from_slice(&line).with_context(asked)?);
            }
        }
        Ok(())
    }

    /// Has something done.
    ///
    /// # Errors
    /// As [`Api::get`].
    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T> {
        self.send(reqwest::Method::POST, path, Some(body)).await
    }

    /// Has something done under a name of its own: the same again is the same act.
    ///
    /// # Errors
    /// As [`Api::get`].
    pub async fn post_as<T: DeserializeOwned>(
        &self,
        key: &str,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T> {
        self.send_as(key, reqwest::Method::POST, path, Some(body)).await
    }

    /// Has something taken back.
    ///
    /// # Errors
    /// As [`Api::get`].
    pub async fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        self.send(reqwest::Method::DELETE, path, None::<&()>).await
    }

    /// Where it listens.
    ///
    /// # Errors
    /// If the daemon has not said so yet.
    pub fn address(&self) -> Result<String> {
        let path = self.home.join("api-address");
        let address =
            std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        Ok(address.trim().to_owned())
    }

    async fn send<T: DeserializeOwned>(
        &self,
        method: reqwest::Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<T> {
        let key: [u8; 16] = random()?;
        self.send_as(&data_encoding::HEXLOWER.encode(&key), method, path, body).await
    }

    async fn send_as<T: DeserializeOwned>(
        &self,
        key: &str,
        method: reqwest::Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<T> {
        let token = std::fs::read_to_string(self.home.join("api-token")).context("reading the token")?;
        let url = format!("http://{}/api/v1{path}", self.address()?);
        let mut request =
            self.client.request(method.clone(), url).bearer_auth(token.trim()).timeout(ANSWER_WITHIN);
        request = request.header("idempotency-key", key);
        if let Some(body) = body {
            request = request.json(body);
        }
        let asked = || format!("{method} {path} of {}", self.home.display());
        let response = request.send().await.with_context(asked)?;
        let status = response.status();
        let bytes = response.bytes().await.with_context(asked)?;
        if status.is_success() {
            let bytes = if bytes.is_empty() { b"null".as_slice() } else { &bytes };
            return serde_json::from_slice(bytes).with_context(asked);
        }
        match refusal(&bytes) {
            Some(error) => Err(Refused(error)).with_context(asked),
            None => bail!("{}: {status} {}", asked(), String::from_utf8_lossy(&bytes)),
        }
    }
}

/// What a failed call was refused with, if the daemon said so.
#[must_use]
pub fn refused(error: &anyhow::Error) -> Option<&ErrorView> {
    error.downcast_ref::<Refused>().map(|refused| &refused.0)
}

/// Bytes that nobody can guess.
///
/// # Errors
/// If the system has none.
pub fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("random bytes: {error}"))?;
    Ok(bytes)
}

/// A problem document, as an error.
fn refusal(bytes: &[u8]) -> Option<ErrorView> {
    let problem: serde_json::Value = serde_json::from_slice(bytes).ok()?;
    let text =
        |names: [&str; 2]| names.iter().find_map(|name| problem.get(*name)?.as_str()).map(str::to_owned);
    let number = |name: &str| problem.get(name).and_then(serde_json::Value::as_u64).unwrap_or_default();
    Some(ErrorView {
        code: text(["code", "code"])?,
        what: text(["title", "what"])?,
        why: text(["detail", "why"])?,
        fix: text(["fix", "fix"])?,
        exit: u8::try_from(number("exit")).unwrap_or(1),
        status: u16::try_from(number("status")).unwrap_or(500),
    })
}

fn with_parameters(path: &str, parameters: &[(&str, &str)]) -> String {
    let pairs = parameters.iter().map(|(name, value)| format!("{name}={}", escaped(value)));
    format!("{path}?{}", pairs.collect::<Vec<_>>().join("&"))
}

/// A text as it stands in an address.
fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}
