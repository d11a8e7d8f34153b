//! Saves what is readable of a damaged database: its records are found by their marks, wherever they are.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use bytes::Bytes;

use super::StoreError;
use super::file::{Folder, has_database};
use super::sealed::{MARK, Sealed};
use crate::record::{Record, RecordKey};

/// What a recovery found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recovered {
    /// Records that are readable, and kept.
    pub kept: usize,
    /// Places where there was a record that is not readable; some may be older copies of what was kept.
    pub unreadable: usize,
    /// Where the damaged database is now; `None`: nothing was damaged, and nothing was changed.
    pub damaged: Option<PathBuf>,
}

/// No record is longer: its parameters and its other parts are limited far below.
const MAX_RECORD_BYTES: usize = 256 * 1024;
/// Bytes read at a time.
const CHUNK: usize = 1 << 20;

/// Puts the readable records of the database in a folder into a new one, and keeps the old one beside
/// it. Of a record that was written several times the last one counts; what was removed lately may be
/// among them.
pub(crate) fn recover(
    folder: &Path,
    cache_bytes: usize,
    is_readable: impl Fn(&Record) -> bool,
) -> Result<Recovered, StoreError> {
    if !has_database(folder)? {
        return Err(StoreError::Absent);
    }
    let folder = Folder::lock(folder)?;
    match folder.open(cache_bytes) {
        Ok((database, records)) if records.iter().all(&is_readable) => {
            database.close()?;
            return Ok(Recovered { kept: records.len(), unreadable: 0, damaged: None });
        }
        Ok(_) | Err(StoreError::Damaged(_)) => {}
        Err(other) => return Err(other),
    }
    let path = folder.database();
    let (mut records, mut unreadable) = scan(File::open(&path)?)?;
    let found = records.len();
    records.retain(is_readable);
    unreadable += found - records.len();
    let damaged = beside(&path);
    // A second name first: there is a database at any time, so that none is started anew.
    if fs::hard_link(&path, &damaged).is_err() {
        fs::copy(&path, &damaged)?;
    }
    folder.create(&records, cache_bytes)?;
    Ok(Recovered { kept: records.len(), unreadable, damaged: Some(damaged) })
}

/// `FILE.damaged-DATE`.
fn beside(path: &Path) -> PathBuf {
    let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let mut name = path.as_os_str().to_owned();
    name.push(".damaged-");
    name.push(now.replace(':', "-"));
    PathBuf::from(name)
}

/// The newest record of each key, and how many marks have no whole record behind them.
///
/// # Errors
/// It cannot be read.
pub fn scan(mut from: impl Read) -> io::Result<(Vec<Record>, usize)> {
    let mut newest: HashMap<RecordKey, (u64, Bytes)> = HashMap::new();
    let mut unreadable = 0;
    let mut buffer = Vec::new();
    loop {
        let read = from.by_ref().take(CHUNK as u64).read_to_end(&mut buffer)?;
        let is_end = read < CHUNK;
        let mut at = 0;
        while let Some(mark) = find(&buffer, at) {
            let rest = &buffer[mark..];
            match Sealed::read(rest) {
                Some((sealed, length)) => {
                    match RecordKey::parse(sealed.key) {
                        Some(key) => keep(&mut newest, key, &sealed),
                        None => unreadable += 1,
                    }
                    at = mark + length;
                }
                // The rest of it may be in the next chunk.
                None if !is_end && rest.len() < MAX_RECORD_BYTES => {
                    at = mark;
                    break;
                }
                None => {
                    unreadable += 1;
                    at = mark + 1;
                }
            }
        }
        if is_end {
            break;
        }
        // From the last mark on, or from where one may begin.
        let from = find(&buffer, at).unwrap_or(buffer.len().saturating_sub(MARK.len() - 1).max(at));
        buffer.drain(..from);
    }
    let records = newest.into_iter().map(|(key, (_, value))| Record { key, value });
    Ok((records.collect(), unreadable))
}

fn find(buffer: &[u8], from: usize) -> Option<usize> {
    let rest = buffer.get(from..)?;
    rest.windows(MARK.len()).position(|window| window == MARK).map(|at| from + at)
}

fn keep(newest: &mut HashMap<RecordKey, (u64, Bytes)>, key: RecordKey, sealed: &Sealed<'_>) {
    let known = newest.entry(key).or_default();
    if sealed.number >= known.0 {
        *known = (sealed.number, Bytes::copy_from_slice(sealed.value));
    }
}

#[cfg(test)]
mod tests;
