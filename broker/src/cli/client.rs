//! Asking the broker that runs in a home.

use crate::admin::view::PageView;
use crate::errors::{self, ErrorView};
use crate::home::BrokerHome;
use reqwest::{Method, RequestBuilder, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

/// How long the broker may take to accept a connection; an audit may take as long as it is.
const CONNECT: Duration = Duration::from_secs(5);

/// A running broker.
pub struct Client {
    http: reqwest::Client,
    base: String,
    token: String,
    home: PathBuf,
}

impl Client {
    /// The broker that runs in a home.
    ///
    /// # Errors
    /// If none does, as far as the home tells.
    pub fn of(home: &BrokerHome) -> Result<Self, ErrorView> {
        home.open()?;
        let address =
            std::fs::read_to_string(home.api_address()).map_err(|_| errors::not_running(home.path()))?;
        let http = reqwest::Client::builder().connect_timeout(CONNECT).no_proxy().build();
        Ok(Self {
            http: http.map_err(errors::odd_answer)?,
            base: format!("http://{}/api/v1", address.trim()),
            token: home.token()?,
            home: home.path().to_owned(),
        })
    }

    /// Reads one thing.
    ///
    /// # Errors
    /// As the broker says, or if it does not answer.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ErrorView> {
        read(self.send(self.request(Method::GET, path)).await?).await
    }

    /// Reads a list, page by page.
    ///
    /// # Errors
    /// As the broker says, or if it does not answer.
    pub async fn list<T: DeserializeOwned>(&self, path: &str) -> Result<Vec<T>, ErrorView> {
        let mut items = Vec::new();
        let mut after: Option<String> = None;
        loop {
            // Names are hexadecimal: nothing in them needs escaping.
            let page = after.map_or_else(|| path.to_owned(), |after| format!("{path}?after={after}"));
            let page: PageView<T> = self.get(&page).await?;
            items.extend(page.items);
            after = page.next;
            if after.is_none() {
                return Ok(items);
            }
        }
    }

    /// Changes something. The same `request` text again is the same change.
    ///
    /// # Errors
    /// As the broker says, or if it does not answer.
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        request: &str,
        body: &impl Serialize,
    ) -> Result<T, ErrorView> {
        let post = self.request(Method::POST, path).header("Idempotency-Key", request).json(body);
        read(self.send(post).await?).await
    }

    /// Tells it to stop.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn stop(&self) -> Result<(), ErrorView> {
        self.send(self.request(Method::POST, "/stop")).await.map(|_| ())
    }

    /// Copies a long answer.
    ///
    /// # Errors
    /// As the broker says, or if the answer breaks off or cannot be written.
    pub async fn copy(&self, method: Method, path: &str, mut to: impl Write) -> Result<(), ErrorView> {
        let mut answer = self.send(self.request(method, path)).await?;
        while let Some(piece) = answer.chunk().await.map_err(errors::odd_answer)? {
            to.write_all(&piece).map_err(|error| errors::io("writing", "the output".as_ref(), error))?;
        }
        to.flush().map_err(|error| errors::io("writing", "the output".as_ref(), error))
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base)).bearer_auth(&self.token)
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, ErrorView> {
        let answer = request.send().await.map_err(|error| {
            if error.is_connect() { errors::not_running(&self.home) } else { errors::odd_answer(error) }
        })?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let status = answer.status();
        let problem: Result<ErrorView, _> = answer.json().await;
        Err(problem.unwrap_or_else(|_| errors::odd_answer(format!("it answered {status}"))))
    }
}

async fn read<T: DeserializeOwned>(answer: Response) -> Result<T, ErrorView> {
    answer.json().await.map_err(errors::odd_answer)
}
