//! Daily log files: a new one each day (UTC) and after the current one was moved or deleted, the
//! oldest deleted, and lines that cannot be written counted.

use std::fs::{self, DirBuilder, File, Metadata};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use super::ring::Lost;

/// A file that cannot be written is reported at most this often, and so is that it can be again.
const REPORT_INTERVAL: Duration = Duration::from_secs(10);

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
    file: Option<Opened>,
    trouble: Trouble,
}

/// What is to be said of lines that cannot be written.
#[derive(Debug, Default)]
struct Trouble {
    /// Lines lost and not yet told of.
    lost: u64,
    told: Option<Instant>,
    /// That it can be written again is still to be told.
    lasts: bool,
}

impl Trouble {
    /// A line was lost. Whether to tell of it.
    fn begins(&mut self, now: Instant) -> bool {
        self.lost += 1;
        let tells = self.told.is_none_or(|told| now - told >= REPORT_INTERVAL);
        if tells {
            (self.told, self.lasts) = (Some(now), true);
        }
        tells
    }

    /// A line was written. How many were lost before, if that is to be told now.
    fn ends(&mut self) -> Option<u64> {
        std::mem::take(&mut self.lasts).then(|| std::mem::take(&mut self.lost))
    }
}

/// An opened file.
#[derive(Debug)]
struct Opened {
    lines: Lines<File>,
    identity: (u64, u64),
}

impl Opened {
    /// Whether it is still the file at `path`, which `logrotate` moves and people delete.
    fn is_at(&self, path: &Path) -> bool {
        match fs::metadata(path) {
            Ok(metadata) => identity(&metadata) == self.identity,
            // What cannot be seen can still be written.
            Err(error) => error.kind() != io::ErrorKind::NotFound,
        }
    }
}

fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

/// Whole lines, also after one was cut off by a full disk.
#[derive(Debug)]
struct Lines<W> {
    to: W,
    is_cut_off: bool,
}

impl<W: Write> Lines<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        if self.is_cut_off {
            self.to.write_all(b"\n")?;
            self.is_cut_off = false;
        }
        let written = self.to.write(line)?;
        self.is_cut_off = written < line.len();
        self.to.write_all(line.get(written..).unwrap_or_default())?;
        self.is_cut_off = false;
        Ok(())
    }
}

impl DailyFile {
    /// Creates the directory and today's file, for their owner alone; those that exist stay as they
    /// are.
    pub(super) fn open(
        dir: PathBuf,
        prefix: String,
        max_files: usize,
        lost: Lost,
    ) -> io::Result<Self> {
        let day = today();
        let trouble = Trouble::default();
        let mut daily = Self { dir, prefix, max_files, lost, day, file: None, trouble };
        daily.file = Some(daily.open_file()?);
        Ok(daily)
    }

    fn try_write(&mut self, line: &[u8]) -> io::Result<()> {
        let today = today();
        let path = self.path(&today);
        let file = match self.file.take() {
            Some(file) if file.is_at(&path) => file,
            _ => {
                self.day = today;
                self.open_file()?
            }
        };
        self.file.insert(file).lines.write(line)
    }

    fn open_file(&self) -> io::Result<Opened> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.dir)?;
        let path = self.path(&self.day);
        let mut options = File::options();
        let file = options.append(true).create(true).mode(0o600).open(&path)?;
        self.delete_oldest();
        let metadata = file.metadata()?;
        let is_cut_off = ends_within_a_line(&path, metadata.len());
        Ok(Opened { lines: Lines { to: file, is_cut_off }, identity: identity(&metadata) })
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

    fn say_lost(&self, error: &io::Error) {
        let file = self.path(&self.day).display().to_string();
        let lost = self.trouble.lost;
        tracing::error!(file, lost, %error, "cannot write the log file; lines are lost and counted: make room, or see who may write it");
    }

    fn say_written(&self, lost: u64) {
        let file = self.path(&self.day).display().to_string();
        tracing::warn!(file, lost, "the log file is written again");
    }
}

/// Whether the last line of a file of that length was cut off: an earlier process met a full disk, or was
/// killed. One that cannot be read counts as whole.
fn ends_within_a_line(path: &Path, length: u64) -> bool {
    let Some(last) = length.checked_sub(1) else { return false };
    let mut byte = [0];
    let read = File::open(path).and_then(|file| file.read_exact_at(&mut byte, last));
    read.is_ok() && byte != *b"\n"
}

/// Each write is one line. It never fails: the queue's thread would drop the error.
impl Write for DailyFile {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match self.try_write(line) {
            Ok(()) => {
                if let Some(lost) = self.trouble.ends() {
                    self.say_written(lost);
                }
            }
            Err(error) => {
                self.lost.one();
                if self.trouble.begins(Instant::now()) {
                    self.say_lost(&error);
                }
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk with room for some bytes.
    #[derive(Default)]
    struct Disk {
        written: Vec<u8>,
        room: usize,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let fits = bytes.len().min(self.room);
            if fits == 0 && !bytes.is_empty() {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.room -= fits;
            self.written.extend_from_slice(&bytes[..fits]);
            Ok(fits)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_after_one_that_a_full_disk_cut_off_begins_on_its_own() {
        let mut lines = Lines { to: Disk { room: 9, ..Disk::default() }, is_cut_off: false };
        assert!(lines.write(b"first\n").is_ok());
        for _ in 0..2 {
            assert!(lines.write(b"second\n").is_err());
        }
        lines.to.room = 100;
        for line in [b"third\n".as_slice(), b"last\n"] {
            assert!(lines.write(line).is_ok());
        }
        assert_eq!(String::from_utf8(lines.to.written).unwrap(), "first\nsec\nthird\nlast\n");
    }

    #[test]
    fn lost_lines_are_told_of_at_once_then_at_intervals_and_so_is_their_end() {
        let (mut trouble, start) = (Trouble::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(trouble.ends(), None);
        let told = [0, 0, 1, 9, 10, 11].map(|seconds| trouble.begins(at(seconds)));
        assert_eq!(told, [true, false, false, false, true, false]);
        assert_eq!([trouble.ends(), trouble.ends()], [Some(6), None]);
        // A disk that is full by turns is told of once in an interval.
        assert!(!trouble.begins(at(12)));
        assert_eq!(trouble.ends(), None);
        assert!(trouble.begins(at(20)));
        assert_eq!(trouble.ends(), Some(2));
    }
}
