//! What is tortured: the registry's store, behind what the driver needs of it.

pub mod planted;
mod registry;

use std::fmt;
use std::sync::Arc;

use crate::disk::Disk;
use crate::records::{Operation, Records};

pub use registry::{open as registry, salvage};

/// Opens what is on a disk, new if that is empty, and reads all of it.
pub type Open = Arc<dyn Fn(&Disk) -> Opened + Send + Sync>;

/// An open store and its records, or why it cannot be opened.
pub type Opened = Result<(Box<dyn Store>, Records), Refused>;

/// An open store, as a registry uses it.
pub trait Store {
    /// Makes operations durable, all or none.
    ///
    /// # Errors
    /// It is not known whether they are durable; the store must be opened anew.
    fn commit(&mut self, operations: &[Operation]) -> Result<(), Refused>;

    /// Makes the records these and no others, all or none, after operations could not be made durable.
    ///
    /// # Errors
    /// As of [`commit`](Self::commit).
    fn replace(&mut self, records: &Records) -> Result<(), Refused>;

    /// Ends its use in order.
    ///
    /// # Errors
    /// The disk failed; what was committed is durable all the same.
    fn close(self: Box<Self>) -> Result<(), Refused>;
}

/// Why a store did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// What is on the disk is not what was written.
    Damaged(String),
    /// The disk failed, now or before.
    Failed(String),
    /// It gave a record that was never written, or one twice.
    Invented(String),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged(why) => write!(f, "damaged: {why}"),
            Self::Failed(why) => write!(f, "failed: {why}"),
            Self::Invented(what) => write!(f, "a record that was never written: {what}"),
        }
    }
}
