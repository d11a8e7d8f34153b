//! Documents among the output of a connection that all connections share: the lists of methods.

use std::collections::VecDeque;

use bytes::{Buf, Bytes};

/// A shorter document is copied, and written together with the reply around it.
const SHORT: usize = 16 * 1024;

/// Those that wait to be written, each with the length of the output before it.
#[derive(Debug, Default)]
pub(crate) struct Documents {
    all: VecDeque<(usize, Bytes)>,
    bytes: usize,
}

impl Documents {
    /// Puts a document where `output` ends.
    pub(super) fn put(&mut self, output: &mut Vec<u8>, document: Bytes) {
        if document.len() <= SHORT {
            return output.extend_from_slice(&document);
        }
        self.bytes += document.len();
        self.all.push_back((output.len(), document));
    }

    /// Of all of them, as far as they are not written; nothing of it is kept for the connection alone.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The next one to be written, and the length of the output before it.
    pub(crate) fn first(&self) -> Option<(usize, &Bytes)> {
        self.all.front().map(|(at, document)| (*at, document))
    }

    /// So many bytes of the first one are written.
    pub(crate) fn wrote(&mut self, count: usize) {
        let Some((_, document)) = self.all.front_mut() else { return };
        document.advance(count);
        self.bytes -= count;
        if document.is_empty() {
            self.all.pop_front();
        }
    }

    /// The first `count` bytes of the output are gone.
    pub(super) fn moved(&mut self, count: usize) {
        self.all.iter_mut().for_each(|(at, _)| *at -= count);
    }

    /// Takes those from `start` on, as of an output that begins there.
    pub(super) fn split_off(&mut self, start: usize) -> Self {
        let mut rest = Self::default();
        while let Some((at, document)) = self.all.pop_back_if(|(at, _)| *at >= start) {
            self.bytes -= document.len();
            rest.bytes += document.len();
            rest.all.push_front((at - start, document));
        }
        rest
    }

    /// Adds those of an output that was appended where the length was `base`.
    pub(super) fn append(&mut self, base: usize, other: Self) {
        self.bytes += other.bytes;
        self.all.extend(other.all.into_iter().map(|(at, document)| (base + at, document)));
    }

    /// The output with the documents in it, in pieces.
    pub(crate) fn among(self, output: Vec<u8>) -> VecDeque<Bytes> {
        let (mut rest, mut gone) = (Bytes::from(output), 0);
        let mut pieces = VecDeque::new();
        for (at, document) in self.all {
            pieces.extend([rest.split_to((at - gone).min(rest.len())), document]);
            gone = at;
        }
        pieces.push_back(rest);
        pieces.retain(|piece| !piece.is_empty());
        pieces
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_stay_where_they_were_put() {
        let long = |letter: u8| Bytes::from(vec![letter; SHORT + 1]);
        let (mut documents, mut output) = (Documents::default(), b"[1,".to_vec());
        documents.put(&mut output, Bytes::from_static(b"2"));
        output.extend_from_slice(b",");
        documents.put(&mut output, long(b'3'));
        output.extend_from_slice(b",4,");
        let start = output.len();
        output.extend_from_slice(b"{");
        documents.put(&mut output, long(b'5'));
        output.extend_from_slice(b"}");
        assert_eq!(documents.bytes(), 2 * (SHORT + 1));
        let (end, last) = (output.split_off(start), documents.split_off(start));
        assert_eq!((documents.bytes(), last.bytes()), (SHORT + 1, SHORT + 1));
        documents.append(output.len(), last);
        output.extend(end);
        output.drain(..2);
        documents.moved(2);
        let (three, five) = (long(b'3'), long(b'5'));
        let all = [b",2,", &three[..], b",4,{", &five[..], b"}"];
        assert_eq!(documents.among(output), all);
    }
}
