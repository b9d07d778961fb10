//! Log files of a home: `logs/`, a file for each day, and another whenever one is full. What is kept is bounded in files and
//! in bytes, and readable by the owner only. No logging crate at hand bounds both.
//!
//! A file's name is its day and its number within the day, so the order of names is the order of time; files are never
//! renamed, and whoever reads along only has to look for the next name.

use crate::clock;
use crate::errors::{self, ErrorView};
use crate::shown::foreign;
use crate::store::files;
use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

/// Files kept, the newest.
pub const KEPT: usize = 7;
/// Bytes after which a file is full. All together take [`KEPT`] times as much, and one line.
pub const FILE_MAX: u64 = 8 << 20;
/// The longest line; what is longer is cut.
pub const LINE_MAX: usize = 16 << 10;
/// Lines shown if nobody says how many.
pub const SHOWN: usize = 100;
/// The most lines that can be asked for at once.
pub const MAX_SHOWN: usize = 1_000_000;
/// How often whoever follows looks for more. Files are looked at, and not waited for, since not every file system tells.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How the name of a log file ends.
const ENDING: &str = ".log";

/// What is logged to where.
pub struct Wanted<'a> {
    /// Directives for the screen.
    pub screen: &'a str,
    /// Whether the screen has colours.
    pub colored: bool,
    /// The directory of log files and the directives for them; none for commands that end soon.
    pub files: Option<(&'a Path, &'a str)>,
}

/// Begins to log. A log that takes nothing more, as on a full disk, ends nobody that wanted to say something.
///
/// # Errors
/// If the directory of log files cannot be made.
pub fn begin(wanted: &Wanted) -> Result<(), ErrorView> {
    let filter = |directives: &str| EnvFilter::try_new(directives).unwrap_or_default();
    let screen = tracing_subscriber::fmt::layer()
        .with_ansi(wanted.colored)
        .with_writer(io::stderr)
        .log_internal_errors(false)
        .with_filter(filter(wanted.screen));
    let file = match wanted.files {
        None => None,
        Some((directory, directives)) => {
            let file = LogFile::open(directory).map_err(|e| errors::io("opening", directory, &e))?;
            let layer = tracing_subscriber::fmt::layer()
                .with_ansi(false)
                .with_writer(Mutex::new(file))
                .log_internal_errors(false);
            Some(layer.with_filter(filter(directives)))
        }
    };
    // One that is set already, as by a program that runs a command inside itself, stays.
    let _ = tracing_subscriber::registry().with(screen).with(file).try_init();
    Ok(())
}

/// Whether logs on the screen have colours if nobody says so.
#[must_use]
pub fn screen_has_colors() -> bool {
    io::IsTerminal::is_terminal(&io::stderr()) && std::env::var_os("NO_COLOR").is_none()
}

/// The log files of a directory, the oldest first.
///
/// # Errors
/// If the directory cannot be read; that there is none is no error.
pub fn list(directory: &Path) -> io::Result<Vec<PathBuf>> {
    Ok(names(directory)?.into_iter().map(|name| directory.join(name)).collect())
}

/// Shows the last lines, and with `follow` whatever comes, until ^C. `tell` says whether it wants more. Returns whether it
/// was ^C that ended it.
///
/// # Errors
/// If the files cannot be read.
pub async fn show(
    directory: &Path,
    lines: usize,
    follow: bool,
    mut tell: impl FnMut(&str) -> bool,
) -> Result<bool, ErrorView> {
    // Before anything is shown: whoever reads it may press ^C at once.
    let interrupted = signal(SignalKind::interrupt());
    let mut interrupted = interrupted.map_err(errors::internal)?;
    let failed = |error: io::Error| errors::io("reading", directory, &error);
    let mut reader = Reader::new(directory);
    let mut last = VecDeque::new();
    let wanted = lines.min(MAX_SHOWN);
    while let Some(line) = reader.next_line().map_err(failed)? {
        last.push_back(line);
        if last.len() > wanted {
            last.pop_front();
        }
    }
    let going_on = last.iter().all(|line| tell(line));
    if !follow || !going_on {
        return Ok(false);
    }
    let along = async {
        let mut looks = tokio::time::interval(LOOK_EVERY);
        loop {
            looks.tick().await;
            while let Some(line) = reader.next_line().map_err(failed)? {
                if !tell(&line) {
                    return Ok(false);
                }
            }
        }
    };
    tokio::select! {
        ended = along => ended,
        _ = interrupted.recv() => Ok(true),
    }
}

/// The file that is written.
struct LogFile {
    directory: PathBuf,
    name: Name,
    file: File,
    written: u64,
    full_at: u64,
}

/// A file's day, as in 2026-11-28, and its number within the day.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Name {
    day: String,
    number: u32,
}

impl LogFile {
    fn open(directory: &Path) -> io::Result<Self> {
        Self::open_with(directory, &today(), FILE_MAX)
    }

    fn open_with(directory: &Path, day: &str, full_at: u64) -> io::Result<Self> {
        files::create_dir_durably(directory)?;
        let newest = names(directory)?.pop().and_then(|name| Name::parse(&name));
        // A clock that was put back must not make the newest lines look older than what they follow.
        let name = match newest {
            Some(newest) if newest.day.as_str() >= day => newest,
            _ => Name { day: day.to_owned(), number: 0 },
        };
        let file = append(&directory.join(name.text()))?;
        let written = file.metadata()?.len();
        let log = Self { directory: directory.to_owned(), name, file, written, full_at };
        log.tidy();
        Ok(log)
    }

    fn write_line(&mut self, line: &[u8], today: &str) -> io::Result<()> {
        let is_full = self.written > 0 && self.written + line.len() as u64 > self.full_at;
        if today > self.name.day.as_str() {
            self.turn(Name { day: today.to_owned(), number: 0 })?;
        } else if is_full {
            self.turn(Name { day: self.name.day.clone(), number: self.name.number.saturating_add(1) })?;
        }
        self.file.write_all(line)?;
        self.written += line.len() as u64;
        Ok(())
    }

    fn turn(&mut self, name: Name) -> io::Result<()> {
        self.file = append(&self.directory.join(name.text()))?;
        self.written = self.file.metadata()?.len();
        self.name = name;
        self.tidy();
        Ok(())
    }

    /// Removes the oldest. What cannot be removed now is tried again at the next turn.
    fn tidy(&self) {
        let names = names(&self.directory).unwrap_or_default();
        for name in names.iter().take(names.len().saturating_sub(KEPT)) {
            let _ = fs::remove_file(self.directory.join(name));
        }
    }
}

/// One write is one event, and becomes one line: what somebody else wrote must not look like another event.
impl Write for LogFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let event = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        let mut line: Vec<u8> = event.iter().take(LINE_MAX).copied().collect();
        line.iter_mut().filter(|byte| **byte < b' ').for_each(|byte| *byte = b' ');
        line.push(b'\n');
        self.write_line(&line, &today())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Name {
    fn text(&self) -> String {
        format!("{}.{:06}{ENDING}", self.day, self.number)
    }

    fn parse(text: &str) -> Option<Self> {
        let (day, number) = text.strip_suffix(ENDING)?.split_once('.')?;
        let is_day = day.len() == 10 && day.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
        let is_number = number.len() == 6 && number.bytes().all(|byte| byte.is_ascii_digit());
        (is_day && is_number).then_some(Self { day: day.to_owned(), number: number.parse().ok()? })
    }
}

/// Reads line after line, from one file on to the next.
struct Reader {
    directory: PathBuf,
    now: Option<(String, BufReader<File>)>,
    /// The next file, once it is known. The one before is read to its end once more then: nothing is added to it any more.
    next: Option<String>,
    begun: Vec<u8>,
}

impl Reader {
    fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned(), now: None, next: None, begun: Vec::new() }
    }

    /// The next line, if there is one by now.
    fn next_line(&mut self) -> io::Result<Option<String>> {
        loop {
            if let Some((_, file)) = &mut self.now {
                let room = LINE_MAX as u64 + 1;
                io::Read::take(&mut *file, room).read_until(b'\n', &mut self.begun)?;
                if self.begun.last() == Some(&b'\n') || self.begun.len() > LINE_MAX {
                    let line = std::mem::take(&mut self.begun);
                    return Ok(Some(foreign(String::from_utf8_lossy(&line).trim_end())));
                }
            }
            if let Some(next) = self.next.take() {
                // What a crash left of a line ends with its file.
                self.begun.clear();
                self.now = open(&self.directory.join(&next))?.map(|file| (next, file));
                continue;
            }
            let after = self.now.as_ref().map(|(name, _)| name.as_str());
            self.next =
                names(&self.directory)?.into_iter().find(|name| after.is_none_or(|n| name.as_str() > n));
            if self.next.is_none() {
                return Ok(None);
            }
        }
    }
}

/// A file to read; none if it was one of the oldest, and is gone.
fn open(path: &Path) -> io::Result<Option<BufReader<File>>> {
    match File::open(path) {
        Ok(file) => Ok(Some(BufReader::new(file))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn append(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, files::PRIVATE);
    options.open(path)
}

fn names(directory: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        names.extend(name.to_str().filter(|name| Name::parse(name).is_some()).map(str::to_owned));
    }
    names.sort_unstable();
    Ok(names)
}

fn today() -> String {
    let seconds = i64::try_from(clock::time().0).unwrap_or(i64::MAX);
    let stamp = jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::MAX);
    stamp.strftime("%Y-%m-%d").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(directory: &Path) -> Vec<String> {
        let mut reader = Reader::new(directory);
        std::iter::from_fn(|| reader.next_line().expect("it can be read")).collect()
    }

    #[test]
    fn each_day_has_its_file_and_the_newest_seven_are_kept() {
        let home = tempfile::tempdir().expect("a directory");
        let directory = home.path().join("logs");
        let mut log = LogFile::open_with(&directory, "2026-01-01", 1000).expect("a log");
        for day in 1..=9 {
            log.write_line(format!("day {day}\n").as_bytes(), &format!("2026-01-0{day}")).expect("written");
        }
        assert_eq!(names(&directory).expect("a list").len(), KEPT);
        assert_eq!(all(&directory).first().map(String::as_str), Some("day 3"));
        // The clock is put back: the order stays.
        log.write_line(b"again\n", "2026-01-02").expect("written");
        assert_eq!(all(&directory).last().map(String::as_str), Some("again"));
    }

    #[test]
    fn all_files_together_never_grow_beyond_their_bound() {
        let home = tempfile::tempdir().expect("a directory");
        let mut log = LogFile::open_with(home.path(), "2026-01-01", 100).expect("a log");
        for n in 0..200 {
            log.write_line(format!("line number {n:04}\n").as_bytes(), "2026-01-01").expect("written");
            let files = list(home.path()).expect("a list");
            let bytes: u64 = files.iter().map(|path| fs::metadata(path).expect("a file").len()).sum();
            assert!(bytes <= 100 * KEPT as u64);
        }
        assert_eq!(all(home.path()).last().map(String::as_str), Some("line number 0199"));
    }

    #[test]
    fn a_start_goes_on_in_the_newest_file_and_one_event_is_one_line() {
        let home = tempfile::tempdir().expect("a directory");
        drop(LogFile::open(home.path()).expect("a log"));
        let mut log = LogFile::open(home.path()).expect("a log");
        log.write_all(b"INFO a\n2026-01-01 ERROR forged\x1b[2J\n").expect("written");
        log.write_all(&[b'x'; 2 * LINE_MAX]).expect("written");
        assert_eq!(names(home.path()).expect("a list").len(), 1);
        let lines = all(home.path());
        assert_eq!(lines[0], "INFO a 2026-01-01 ERROR forged [2J");
        assert_eq!((lines.len(), lines[1].len()), (2, LINE_MAX));
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_can_read_them() {
        use std::os::unix::fs::PermissionsExt as _;
        let home = tempfile::tempdir().expect("a directory");
        let directory = home.path().join("logs");
        drop(LogFile::open(&directory).expect("a log"));
        let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
        assert_eq!(mode(&directory), 0o700);
        assert_eq!(mode(&list(&directory).expect("a list")[0]), 0o600);
    }

    #[test]
    fn whoever_reads_along_misses_nothing_when_a_new_file_begins() {
        let home = tempfile::tempdir().expect("a directory");
        let mut log = LogFile::open_with(home.path(), "2026-01-01", 40).expect("a log");
        let mut reader = Reader::new(home.path());
        let mut read = Vec::new();
        for n in 0..30 {
            log.write_line(format!("line {n}\n").as_bytes(), "2026-01-01").expect("written");
            if n % 4 == 0 {
                read.extend(std::iter::from_fn(|| reader.next_line().expect("it can be read")));
            }
        }
        read.extend(std::iter::from_fn(|| reader.next_line().expect("it can be read")));
        assert_eq!(read, (0..30).map(|n| format!("line {n}")).collect::<Vec<_>>());
    }
}
