//! A simulated disk with one file under redb: what power loss, failing writes and rot do to it.
//!
//! Reads see every write, as they do through a page cache. What is durable changes only by a sync:
//!
//! - **Power loss.** Of every sector written since the last sync, the disk has the state before, or
//!   one of those in between, or the last, each sector for itself: so writes are lost, reordered, and
//!   torn between sectors. The same holds for the file's length.
//! - **A failed sync** leaves each sector durable, or still to be written, or *clean*: read from the
//!   page cache as if it were durable, written by no later sync, and lost with the power. That is what
//!   Linux does.
//! - **No space**: growing the file fails. **I/O errors**: reads, writes or syncs fail.
//! - **Rot**: flipped bits in what is durable.
//!
//! A sector is written as a whole or not at all. All choices come from the disk's seed.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use redb::StorageBackend;

/// Bytes that are written as a whole.
pub const SECTOR: usize = 512;

type Bytes = [u8; SECTOR];

/// The disk; clones are the same one.
#[derive(Debug, Clone)]
pub struct Disk {
    state: Arc<Mutex<State>>,
}

/// The file of a disk, open until the power is lost.
#[derive(Debug)]
pub struct DiskFile {
    disk: Disk,
    /// The number of power losses before it was opened.
    boot: u64,
}

/// Operations that fail while they are listed here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Faults {
    /// Reads fail: EIO.
    pub reads: bool,
    /// Writes fail: EIO.
    pub writes: bool,
    /// Syncs fail: EIO.
    pub syncs: bool,
    /// The file cannot grow: ENOSPC.
    pub no_space: bool,
    /// Syncs do nothing, and say that they succeeded.
    pub ignores_syncs: bool,
}

/// What a disk has done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Writes, syncs and changes of the length: the points between which the power can be lost.
    pub changes: u64,
    /// Syncs that succeeded.
    pub syncs: u64,
    /// Power losses.
    pub power_losses: u64,
    /// Sectors that lost a write when the power was lost.
    pub lost_sectors: u64,
    /// Operations that failed because of [`Faults`].
    pub failures: u64,
}

#[derive(Debug)]
struct State {
    random: SmallRng,
    /// The file as reads see it.
    bytes: Vec<u8>,
    /// The sectors whose durable content may differ from that.
    unsynced: BTreeMap<usize, Box<Unsynced>>,
    /// The lengths since the last sync, without the present one.
    lengths: Vec<usize>,
    /// The sectors that were read since the power was last on.
    was_read: BTreeSet<usize>,
    faults: Faults,
    /// Changes until the power is lost.
    fuse: Option<u64>,
    is_on: bool,
    boot: u64,
    counts: Counts,
}

/// A sector that has been written since it was last durable.
#[derive(Debug)]
struct Unsynced {
    durable: Bytes,
    /// Its states after that, without the present one.
    between: Vec<Bytes>,
    /// Whether the next sync writes it.
    is_dirty: bool,
}

impl Disk {
    /// An empty disk, and the seed of its choices.
    pub fn new(seed: u64) -> Self {
        let state = State {
            random: SmallRng::seed_from_u64(seed),
            bytes: Vec::new(),
            unsynced: BTreeMap::new(),
            lengths: Vec::new(),
            was_read: BTreeSet::new(),
            faults: Faults::default(),
            fuse: None,
            is_on: true,
            boot: 0,
            counts: Counts::default(),
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// Its file. After a power loss, files that were opened before it fail.
    pub fn open(&self) -> DiskFile {
        DiskFile { disk: self.clone(), boot: self.lock().boot }
    }

    /// Lets operations fail from now on.
    pub fn set_faults(&self, faults: Faults) {
        self.lock().faults = faults;
    }

    /// What fails now.
    pub fn faults(&self) -> Faults {
        self.lock().faults
    }

    /// Makes the file empty.
    pub fn format(&self) {
        let mut state = self.lock();
        state.bytes.clear();
        state.unsynced.clear();
        state.lengths.clear();
    }

    /// Lets the power be lost after that many further changes: every operation fails from then on,
    /// until [`power_on`](Self::power_on).
    pub fn lose_power_after(&self, changes: u64) {
        self.lock().fuse = Some(changes);
    }

    /// The power is not lost after all, if it is still on.
    pub fn keep_power(&self) {
        self.lock().fuse = None;
    }

    /// Whether operations are possible.
    pub fn is_on(&self) -> bool {
        self.lock().is_on
    }

    /// Loses the power now, if it is still on, and restores it: what reads see is what was durable.
    pub fn power_on(&self) {
        let mut state = self.lock();
        state.settle();
        state.is_on = true;
        state.fuse = None;
        state.boot += 1;
        state.was_read.clear();
        state.counts.power_losses += 1;
    }

    /// Flips that many bits of sectors that have content and were read since the power was last on.
    /// Nothing may be unsynced.
    pub fn flip_bits(&self, bits: usize) {
        self.lock().flip_bits(bits);
    }

    /// All of its content.
    pub fn bytes(&self) -> Vec<u8> {
        self.lock().bytes.clone()
    }

    /// Another disk with the same content, all of it durable, and another seed.
    pub fn copy(&self, seed: u64) -> Self {
        let copy = Self::new(seed);
        {
            let (from, mut to) = (self.lock(), copy.lock());
            to.bytes.clone_from(&from.bytes);
            to.was_read.clone_from(&from.was_read);
        }
        copy
    }

    /// What it has done so far.
    pub fn counts(&self) -> Counts {
        self.lock().counts
    }

    /// Length of the file, in bytes.
    pub fn len(&self) -> usize {
        self.lock().bytes.len()
    }

    /// Whether the file is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Begins a change of the file, unless the power fails before it.
    fn change(&mut self) -> io::Result<()> {
        if self.fuse == Some(0) {
            self.is_on = false;
            return Err(no_power());
        }
        self.fuse = self.fuse.map(|changes| changes - 1);
        self.counts.changes += 1;
        Ok(())
    }

    fn fail(&mut self, kind: io::ErrorKind) -> io::Error {
        self.counts.failures += 1;
        io::Error::new(kind, "simulated")
    }

    fn read(&mut self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        if self.faults.reads {
            return Err(self.fail(io::ErrorKind::Other));
        }
        let range = range(offset, out.len())?;
        let bytes = self.bytes.get(range.clone()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        self.was_read.extend(range.start / SECTOR..range.end.div_ceil(SECTOR));
        Ok(())
    }

    fn write(&mut self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.change()?;
        if self.faults.writes {
            return Err(self.fail(io::ErrorKind::Other));
        }
        let range = range(offset, data.len())?;
        if range.end > self.bytes.len() {
            self.resize(range.end)?;
        }
        self.touch(range.start, range.end);
        self.bytes[range].copy_from_slice(data);
        Ok(())
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        self.change()?;
        let len = range(len, 0)?.end;
        self.touch(len, self.bytes.len());
        self.resize(len)
    }

    fn resize(&mut self, len: usize) -> io::Result<()> {
        if len > self.bytes.len() && self.faults.no_space {
            return Err(self.fail(io::ErrorKind::StorageFull));
        }
        self.lengths.push(self.bytes.len());
        self.bytes.resize(len, 0);
        Ok(())
    }

    /// Keeps the content of the sectors of a range, which is about to change.
    fn touch(&mut self, start: usize, end: usize) {
        for index in start / SECTOR..end.div_ceil(SECTOR) {
            let now = sector(&self.bytes, index);
            let fresh =
                || Box::new(Unsynced { durable: now, between: Vec::new(), is_dirty: false });
            let sector = self.unsynced.entry(index).or_insert_with(fresh);
            if sector.is_dirty {
                sector.between.push(now);
            }
            sector.is_dirty = true;
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        self.change()?;
        if self.faults.syncs {
            self.sync_in_part();
            return Err(self.fail(io::ErrorKind::Other));
        }
        if self.faults.ignores_syncs {
            return Ok(());
        }
        self.counts.syncs += 1;
        self.unsynced.retain(|_, sector| !sector.is_dirty);
        self.lengths.clear();
        Ok(())
    }

    fn sync_in_part(&mut self) {
        let random = &mut self.random;
        self.unsynced.retain(|_, sector| {
            if !sector.is_dirty {
                return true;
            }
            match random.random_range(0..3) {
                0 => return false,
                1 => {
                    sector.is_dirty = false;
                    sector.between.clear();
                }
                _ => {}
            }
            true
        });
    }

    /// What is left when the power is lost.
    fn settle(&mut self) {
        let len = self.random.random_range(0..=self.lengths.len());
        if let Some(len) = self.lengths.get(len) {
            self.bytes.resize(*len, 0);
        }
        self.lengths.clear();
        for (index, sector) in std::mem::take(&mut self.unsynced) {
            let states = if sector.is_dirty { sector.between.len() + 1 } else { 0 };
            let left = match self.random.random_range(0..=states) {
                0 => &sector.durable,
                last if last == states => continue,
                between => &sector.between[between - 1],
            };
            let start = (index * SECTOR).min(self.bytes.len());
            let end = (start + SECTOR).min(self.bytes.len());
            self.bytes[start..end].copy_from_slice(&left[..end - start]);
            self.counts.lost_sectors += 1;
        }
    }

    fn flip_bits(&mut self, bits: usize) {
        let has_content = |index: &usize| sector(&self.bytes, *index).iter().any(|byte| *byte != 0);
        let sectors: Vec<usize> = self.was_read.iter().copied().filter(has_content).collect();
        if sectors.is_empty() {
            return;
        }
        for _ in 0..bits {
            let sector = sectors[self.random.random_range(0..sectors.len())];
            let at = sector * SECTOR + self.random.random_range(0..SECTOR);
            if let Some(byte) = self.bytes.get_mut(at) {
                *byte ^= 1 << self.random.random_range(0..8);
            }
        }
    }
}

impl DiskFile {
    fn state(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.disk.lock();
        if !state.is_on || state.boot != self.boot {
            return Err(no_power());
        }
        Ok(state)
    }
}

impl StorageBackend for DiskFile {
    fn len(&self) -> io::Result<u64> {
        u64::try_from(self.state()?.bytes.len()).map_err(io::Error::other)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.state()?.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.state()?.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.state()?.sync()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.state()?.write(offset, data)
    }
}

fn no_power() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "the power is off (simulated)")
}

/// Largest file: damaged lengths must not become memory.
const MAX_LEN: usize = 64 << 20;

fn range(offset: u64, len: usize) -> io::Result<std::ops::Range<usize>> {
    let start = usize::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput)?;
    let end = start.checked_add(len).filter(|end| *end <= MAX_LEN);
    Ok(start..end.ok_or(io::ErrorKind::FileTooLarge)?)
}

/// A sector's content; zeros beyond the end of the file.
fn sector(bytes: &[u8], index: usize) -> Bytes {
    let mut sector = [0; SECTOR];
    let rest = bytes.get(index * SECTOR..).unwrap_or_default();
    let len = rest.len().min(SECTOR);
    sector[..len].copy_from_slice(&rest[..len]);
    sector
}
