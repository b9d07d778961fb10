//! One headless Chromium, driven as a person drives it: by pointing at what is called so and so, or by keys alone.

use super::look::Look;
use anyhow::{Context as _, Result, bail, ensure};
use fantoccini::elements::Element;
use fantoccini::key::Key;
use fantoccini::{Client, ClientBuilder};
use netpay_tests::swarm::until;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How long something may take to appear.
const APPEARS_WITHIN: Duration = Duration::from_secs(60);
/// The most presses of Tab that lead to something on a page.
const MAX_TABS: usize = 150;
/// Finds out whether a page is wrong for people who see, hear or move otherwise.
const AXE: &str = include_str!("axe.min.js");

/// The things of a kind that can be used now, and are called that: `arguments` are kind and name.
const NAMED: &str = include_str!("named.js");

/// What a person uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hands {
    /// A mouse, and keys to write.
    Mouse,
    /// Keys alone.
    Keys,
}

/// A browser. It ends with this value.
pub struct Browser {
    client: Client,
    hands: Hands,
    screens: PathBuf,
    session: String,
    http: reqwest::Client,
    driver: Driver,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// Starts one. What it shows is kept in `screens`.
    pub async fn open(hands: Hands, look: Look, screens: &Path) -> Result<Self> {
        std::fs::create_dir_all(screens)?;
        let driver = Driver::start()?;
        let profile = tempfile::Builder::new().prefix("netpay-browser-").tempdir()?;
        let profile_argument = format!("--user-data-dir={}", profile.path().display());
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            profile_argument.as_str(),
        ];
        let wanted = json!({
            "goog:chromeOptions": { "args": arguments },
            "goog:loggingPrefs": { "browser": "SEVERE" },
        });
        let Value::Object(wanted) = wanted else { bail!("capabilities are an object") };
        let client = ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new())
            .capabilities(wanted)
            .connect(&driver.address)
            .await
            .context("starting Chromium")?;
        let id = client.session_id().await?.context("a session")?;
        let session = format!("{}/session/{id}", driver.address);
        let http = reqwest::Client::builder().no_proxy().build()?;
        let browser =
            Self { client, hands, screens: screens.to_owned(), session, http, driver, _profile: profile };
        browser.wear(look).await?;
        Ok(browser)
    }

    /// Goes to an address, as if it had been typed.
    pub async fn go(&self, address: &str) -> Result<()> {
        self.client.goto(address).await.with_context(|| format!("going to {address}"))
    }

    /// Presses the link or button of that name, or whose name begins so.
    pub async fn press(&self, name: &str) -> Result<()> {
        let target = self.named("press", name).await?;
        match self.hands {
            Hands::Mouse => target.click().await.with_context(|| format!("clicking on {name:?}"))?,
            Hands::Keys => {
                self.tab_to(&target, name).await?;
                self.enter().await?;
            }
        }
        Ok(())
    }

    /// Writes into the field of that name, in place of what is in it.
    pub async fn fill(&self, name: &str, text: &str) -> Result<()> {
        let target = self.named("fill", name).await?;
        match self.hands {
            Hands::Mouse => target.click().await?,
            Hands::Keys => self.tab_to(&target, name).await?,
        }
        let all = format!("{}a{}", char::from(Key::Control), char::from(Key::Null));
        self.keys(&all).await?;
        self.keys(text).await
    }

    /// Chooses what is called so, or whose name begins so, in the list of that name.
    pub async fn choose(&self, name: &str, option: &str) -> Result<()> {
        let list = self.named("fill", name).await?;
        match self.hands {
            Hands::Mouse => {
                list.select_by_label(option).await.with_context(|| format!("choosing {option:?}"))?
            }
            Hands::Keys => {
                self.tab_to(&list, name).await?;
                self.keys(option).await?;
            }
        }
        Ok(())
    }

    /// Presses Enter where one is.
    pub async fn enter(&self) -> Result<()> {
        self.keys(&Key::Enter.to_string()).await
    }

    /// Waits until the page says this somewhere.
    pub async fn reads(&self, text: &str) -> Result<()> {
        let said = async || {
            let script = "return document.querySelector('main')?.innerText ?? '';";
            let page = self.client.execute(script, Vec::new()).await;
            // Between two pages there is none.
            let page = page.ok().and_then(|page| page.as_str().map(str::to_owned)).unwrap_or_default();
            Ok(page.contains(text).then_some(()))
        };
        if let Err(error) = until(&format!("{text:?}"), APPEARS_WITHIN, said).await {
            self.look("lost").await?;
            bail!("{error}, at {}; see {}", self.client.current_url().await?, self.screens.display());
        }
        Ok(())
    }

    /// Waits until it is at that place of the navigation.
    pub async fn is_at(&self, section: &str) -> Result<()> {
        let script = "return document.querySelector('nav a[aria-current=page]')?.textContent.trim() ?? '';";
        let there = async || {
            let place = self.client.execute(script, Vec::new()).await;
            Ok(place.is_ok_and(|place| place == section).then_some(()))
        };
        until(&format!("{section:?} to be shown"), APPEARS_WITHIN, there).await
    }

    /// What a script on the page says.
    pub async fn ask(&self, script: &str) -> Result<Value> {
        self.client.execute(script, Vec::new()).await.context("asking the page")
    }

    /// Where it is.
    pub async fn address(&self) -> Result<String> {
        Ok(self.client.current_url().await?.to_string())
    }

    /// Looks at the page: keeps a picture of it, and finds fault with nothing that matters to whoever sees, hears or
    /// moves otherwise; nor does the browser complain of anything.
    pub async fn look(&self, name: &str) -> Result<()> {
        let picture = self.client.screenshot().await?;
        std::fs::write(self.screens.join(format!("{name}.png")), picture)?;
        self.client.execute(AXE, Vec::new()).await?;
        let check =
            "axe.run(document, { resultTypes: ['violations'] }).then(arguments[arguments.length - 1]);";
        let found = self.client.execute_async(check, Vec::new()).await?;
        let violations = found["violations"].as_array().context("axe's findings")?.iter();
        let serious = violations.filter(|one| matches!(one["impact"].as_str(), Some("serious" | "critical")));
        let told: Vec<String> =
            serious.map(|one| format!("{}: {}", one["id"], one["nodes"][0]["html"])).collect();
        ensure!(told.is_empty(), "{name}: {}", told.join("\n"));
        let wide = "return document.documentElement.scrollWidth > document.documentElement.clientWidth;";
        ensure!(self.ask(wide).await? == Value::Bool(false), "{name} is wider than the window");
        let log = self.post("se/log", &json!({ "type": "browser" })).await?;
        // Who is not signed in is told so with a 401, of which a browser complains.
        let of_401 =
            |one: &&Value| one["message"].as_str().is_some_and(|text| text.contains("status of 401"));
        let complaints: Vec<&Value> =
            log.as_array().into_iter().flatten().filter(|one| !of_401(one)).collect();
        ensure!(complaints.is_empty(), "{name}: {complaints:?}");
        Ok(())
    }

    /// Ends it.
    pub async fn close(self) -> Result<()> {
        self.client.clone().close().await?;
        drop(self.driver);
        Ok(())
    }

    async fn wear(&self, look: Look) -> Result<()> {
        let scheme = json!({ "features": [{ "name": "prefers-color-scheme", "value": look.scheme() }] });
        self.tell("Emulation.setEmulatedMedia", &scheme).await?;
        let (width, height) = look.size();
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.tell("Emulation.setDeviceMetricsOverride", &size).await
    }

    async fn tell(&self, command: &str, parameters: &Value) -> Result<()> {
        self.post("goog/cdp/execute", &json!({ "cmd": command, "params": parameters })).await.map(drop)
    }

    async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        let answer = self.http.post(format!("{}/{path}", self.session)).json(body).send().await?;
        let answer: Value = answer.json().await?;
        ensure!(answer["value"]["error"].is_null(), "{path}: {}", answer["value"]["message"]);
        Ok(answer["value"].clone())
    }

    async fn named(&self, kind: &str, name: &str) -> Result<Element> {
        let found = async || {
            let arguments = vec![json!(kind), json!(name)];
            let Ok(found) = self.client.execute(NAMED, arguments).await else { return Ok(None) };
            let id = found.as_object().and_then(|found| found.values().next()?.as_str());
            Ok(id.map(|id| Element::from_element_id(self.client.clone(), id.to_owned().into())))
        };
        match until(&format!("{name:?} to {kind}"), APPEARS_WITHIN, found).await {
            Ok(found) => Ok(found),
            Err(error) => {
                self.look("lost").await?;
                bail!("{error}, at {}; see {}", self.address().await?, self.screens.display())
            }
        }
    }

    async fn tab_to(&self, target: &Element, name: &str) -> Result<()> {
        for _ in 0..MAX_TABS {
            if self.client.active_element().await?.element_id() == target.element_id() {
                return Ok(());
            }
            // The header's figures are replaced now and then, maybe while one of them has the focus.
            let _ = self.keys(&Key::Tab.to_string()).await;
        }
        bail!("{MAX_TABS} presses of Tab do not lead to {name:?} at {}", self.address().await?)
    }

    async fn keys(&self, keys: &str) -> Result<()> {
        Ok(self.client.active_element().await?.send_keys(keys).await?)
    }
}

/// Chromium's driver. It ends with this value.
struct Driver {
    process: Child,
    address: String,
}

impl Driver {
    fn start() -> Result<Self> {
        let mut process = Command::new("chromedriver")
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("chromedriver (Debian's packages: chromium, chromium-driver)")?;
        let said = BufReader::new(process.stdout.take().context("its output")?);
        let mut lines = said.lines();
        let port = lines.by_ref().map_while(Result::ok).find_map(|line| {
            line.split_once("successfully on port ")?.1.trim_end_matches('.').parse::<u16>().ok()
        });
        // What it says later is of no interest, but it has to be able to say it.
        std::thread::spawn(move || lines.for_each(drop));
        let Some(port) = port else {
            process.kill()?;
            bail!("chromedriver did not say where it listens");
        };
        Ok(Self { process, address: format!("http://127.0.0.1:{port}") })
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // Asked to end it takes its Chromium along. One that has ended already is as good.
        let pid = i32::try_from(self.process.id()).ok().and_then(Pid::from_raw);
        let _ = pid.map(|pid| kill_process(pid, Signal::TERM));
        let _ = self.process.wait();
    }
}
