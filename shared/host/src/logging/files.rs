//! Daily log files: a new one each day (UTC), when the current one is full, and after it was moved or
//! deleted; the oldest deleted, and lines that cannot be written counted.

use std::fs::{self, DirBuilder, File, Metadata};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use super::ring::Lost;

/// A file that cannot be written is reported at most this often, and so is that it can be again.
const REPORT_INTERVAL: Duration = Duration::from_secs(10);

/// The file of the current day: `PREFIX.2026-11-22.log`. It and its directory are made for their owner
/// alone; one that exists stays as it is. One that is full becomes `PREFIX.2026-11-22.1.log`, the next
/// `….2.log`.
///
/// Not tracing-appender's own: that one has no limit of bytes, and drops lines without a count or a word
/// when the disk is full or its directory was removed.
#[derive(Debug)]
pub(super) struct DailyFile {
    dir: PathBuf,
    prefix: String,
    max_files: usize,
    max_file_bytes: u64,
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

/// What is at a path.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    /// The file that is open, of so many bytes: other processes may write to it, too.
    Same(u64),
    /// Another one or none: `logrotate` moves files, and people delete them.
    Other,
}

impl Opened {
    fn at(&self, path: &Path) -> Place {
        match fs::metadata(path) {
            Ok(metadata) if identity(&metadata) == self.identity => Place::Same(metadata.len()),
            Ok(_) => Place::Other,
            Err(error) if is_gone(error.kind()) => Place::Other,
            // What cannot be seen can still be written.
            Err(_) => Place::Same(self.lines.to.metadata().map_or(0, |metadata| metadata.len())),
        }
    }
}

/// Nothing is at the path, or a file is where its directory was.
fn is_gone(kind: io::ErrorKind) -> bool {
    matches!(kind, io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
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
        (max_files, max_file_bytes): (usize, u64),
        lost: Lost,
    ) -> io::Result<Self> {
        let day = today();
        let trouble = Trouble::default();
        let mut daily =
            Self { dir, prefix, max_files, max_file_bytes, lost, day, file: None, trouble };
        daily.file = Some(daily.open_file()?.0);
        Ok(daily)
    }

    fn try_write(&mut self, line: &[u8]) -> io::Result<()> {
        let today = today();
        let path = self.path(&today);
        let (mut file, length) = match self.file.take().map(|file| (file.at(&path), file)) {
            Some((Place::Same(length), file)) => (file, length),
            _ => {
                self.day = today;
                self.open_file()?
            }
        };
        if length > 0 && length + line.len() as u64 > self.max_file_bytes {
            self.set_aside(&file, &path)?;
            (file, _) = self.open_file()?;
        }
        self.file.insert(file).lines.write(line)
    }

    /// The full file gives its name to the next one.
    fn set_aside(&self, full: &Opened, path: &Path) -> io::Result<()> {
        // Other processes may write to it, and find it full. Where there are no locks, they are hoped not to.
        let _ = full.lines.to.lock();
        if full.at(path) == Place::Other {
            return Ok(());
        }
        let of_today = self.files().into_iter().filter(|file| file.day == self.day);
        let number = of_today.filter_map(|file| file.number).max().map_or(1, |last| last + 1);
        let aside = self.path_of(&Named { day: self.day.clone(), number: Some(number) });
        fs::rename(path, &aside)?;
        let (file, max_file_bytes) = (aside.display().to_string(), self.max_file_bytes);
        tracing::warn!(file, max_file_bytes, "a log file is full, and the next one begun");
        Ok(())
    }

    /// Today's, and its length.
    fn open_file(&self) -> io::Result<(Opened, u64)> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.dir)?;
        let path = self.path(&self.day);
        let mut options = File::options();
        let file = options.append(true).create(true).mode(0o600).open(&path)?;
        self.delete_oldest();
        let metadata = file.metadata()?;
        let length = metadata.len();
        let lines = Lines { to: file, is_cut_off: ends_within_a_line(&path, length) };
        Ok((Opened { lines, identity: identity(&metadata) }, length))
    }

    fn path(&self, day: &str) -> PathBuf {
        self.path_of(&Named { day: day.to_owned(), number: None })
    }

    fn path_of(&self, Named { day, number }: &Named) -> PathBuf {
        let prefix = &self.prefix;
        self.dir.join(match number {
            Some(number) => format!("{prefix}.{day}.{number}.log"),
            None => format!("{prefix}.{day}.log"),
        })
    }

    /// Keeps `max_files`, the current one included.
    fn delete_oldest(&self) {
        let current = Named { day: self.day.clone(), number: None };
        let mut files = self.files();
        files.retain(|file| *file != current);
        // Of a day, the one without a number is the last.
        files.sort_unstable_by(|a, b| {
            let last = |file: &Named| file.number.unwrap_or(u32::MAX);
            a.day.cmp(&b.day).then(last(a).cmp(&last(b)))
        });
        let surplus = files.len().saturating_sub(self.max_files - 1);
        for file in files.iter().take(surplus) {
            // One that cannot be deleted is tried again with the next file.
            let _ = fs::remove_file(self.path_of(file));
        }
    }

    /// Ours in the directory.
    fn files(&self) -> Vec<Named> {
        let Ok(entries) = fs::read_dir(&self.dir) else { return Vec::new() };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        names.filter_map(|name| Named::parse(&self.prefix, &name)).collect()
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

/// What the name of a file says.
#[derive(Debug, PartialEq, Eq)]
struct Named {
    day: String,
    /// Of one that was full.
    number: Option<u32>,
}

impl Named {
    /// `None` if the file is not ours.
    fn parse(prefix: &str, name: &str) -> Option<Self> {
        let name = name.strip_prefix(prefix)?.strip_prefix('.')?.strip_suffix(".log")?;
        let (day, number) = match name.split_once('.') {
            Some((day, number)) => {
                let is_plain = number.bytes().all(|byte| byte.is_ascii_digit());
                (day, Some(number.parse().ok().filter(|number| is_plain && *number < u32::MAX)?))
            }
            None => (name, None),
        };
        let fits = |(at, byte): (usize, u8)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        };
        let is_day = day.len() == 10 && day.bytes().enumerate().all(fits);
        is_day.then(|| Self { day: day.to_owned(), number })
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
    fn names_of_our_files_are_told_from_others() {
        let read = |name| Named::parse("rpcd", name).map(|file| (file.day, file.number));
        let day = |number| Some(("2026-12-01".to_owned(), number));
        assert_eq!(read("rpcd.2026-12-01.log"), day(None));
        assert_eq!(read("rpcd.2026-12-01.12.log"), day(Some(12)));
        for foreign in [
            "rpcd.notes.log",
            "rpcd.2026-12-01.log.gz",
            "rpcd.2026-12-01.+1.log",
            "rpcd.2026-12-01.4294967295.log",
            "rpcd.2026-12-01.1.2.log",
            "rpcd-serve.2026-12-01.log",
        ] {
            assert_eq!(read(foreign), None, "{foreign}");
        }
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
