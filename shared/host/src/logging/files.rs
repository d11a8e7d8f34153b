//! Daily log files: a new one each day (UTC), the oldest deleted, and lines that cannot be written
//! counted.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use super::ring::Lost;

/// A file that cannot be written is reported at most this often.
const WARNING_INTERVAL: Duration = Duration::from_secs(60);

/// The file of the current day: `PREFIX.2026-11-22.log`. It and its directory are made for their owner
/// alone; one that exists stays as it is.
///
/// Not tracing-appender's own: that one drops lines without a count or a word when the disk is full
/// or its directory was removed.
#[derive(Debug)]
pub(super) struct DailyFile {
    dir: PathBuf,
    prefix: String,
    max_files: usize,
    lost: Lost,
    day: String,
    /// `None` after it could not be opened.
    file: Option<File>,
    warned: Option<Instant>,
}

impl DailyFile {
    /// Creates the directory and today's file, unless they exist.
    pub(super) fn open(
        dir: PathBuf,
        prefix: String,
        max_files: usize,
        lost: Lost,
    ) -> io::Result<Self> {
        let day = today();
        let mut daily = Self { dir, prefix, max_files, lost, day, file: None, warned: None };
        daily.file = Some(daily.open_file()?);
        Ok(daily)
    }

    fn try_write(&mut self, line: &[u8]) -> io::Result<()> {
        let today = today();
        let is_removed = |file: &File| file.metadata().is_ok_and(|metadata| metadata.nlink() == 0);
        let file = match self.file.take() {
            Some(file) if self.day == today && !is_removed(&file) => file,
            _ => {
                self.day = today;
                self.open_file()?
            }
        };
        self.file.insert(file).write_all(line)
    }

    fn open_file(&self) -> io::Result<File> {
        // Only its owner may read what callers did.
        DirBuilder::new().recursive(true).mode(0o700).create(&self.dir)?;
        let path = self.path(&self.day);
        let file = File::options().append(true).create(true).mode(0o600).open(path)?;
        self.delete_oldest();
        Ok(file)
    }

    fn path(&self, day: &str) -> PathBuf {
        self.dir.join(format!("{}.{day}.log", self.prefix))
    }

    /// Keeps `max_files`, the current one included.
    fn delete_oldest(&self) {
        let Ok(entries) = fs::read_dir(&self.dir) else { return };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut days: Vec<String> = names.filter_map(|name| self.day_of(&name)).collect();
        days.sort_unstable();
        let surplus = days.len().saturating_sub(self.max_files);
        for day in days.iter().take(surplus).filter(|day| **day != self.day) {
            // One that cannot be deleted is tried again the next day.
            let _ = fs::remove_file(self.path(day));
        }
    }

    /// The day in the name of one of our files.
    fn day_of(&self, name: &str) -> Option<String> {
        let day = name.strip_prefix(&self.prefix)?.strip_prefix('.')?.strip_suffix(".log")?;
        let fits = |(at, byte): (usize, u8)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        };
        (day.len() == 10 && day.bytes().enumerate().all(fits)).then(|| day.to_owned())
    }

    fn warn(&mut self, error: &io::Error) {
        if self.warned.is_some_and(|at| at.elapsed() < WARNING_INTERVAL) {
            return;
        }
        self.warned = Some(Instant::now());
        let file = self.path(&self.day).display().to_string();
        tracing::warn!(file, %error, "cannot write the log file; lines are lost and counted");
    }
}

/// Each write is one line. It never fails: the queue's thread would drop the error.
impl Write for DailyFile {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if let Err(error) = self.try_write(line) {
            self.lost.one();
            self.warn(&error);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The date in UTC, as in file names.
pub(super) fn today() -> String {
    let mut now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    now.truncate("2026-11-22".len());
    now
}
