//! Cuts a body into lines, none longer than [`MAX_LINE`].

use std::collections::VecDeque;

use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::ClientError;

/// The most bytes of one line: an update of the largest value, escaped in the worst way, twice.
pub(super) const MAX_LINE: usize = 2 << 20;

/// The lines that a body has brought so far.
#[derive(Default)]
pub(super) struct LineBuffer {
    bytes: VecDeque<u8>,
    /// Bytes at the front that are known to hold no line end.
    searched: usize,
}

/// A line is over the limit.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLong;

impl LineBuffer {
    pub(super) fn push(&mut self, data: &[u8]) {
        self.bytes.extend(data);
    }

    /// The next whole line, without its end.
    pub(super) fn next(&mut self) -> Result<Option<Vec<u8>>, TooLong> {
        let found = self.bytes.iter().skip(self.searched).position(|byte| *byte == b'\n');
        match found {
            Some(place) => {
                let mut line: Vec<u8> = self.bytes.drain(..=self.searched + place).collect();
                line.pop();
                if line.last() == Some(&b'\r') {
                    line.pop();
                }
                self.searched = 0;
                if line.len() > MAX_LINE { Err(TooLong) } else { Ok(Some(line)) }
            }
            None if self.bytes.len() > MAX_LINE => Err(TooLong),
            None => {
                self.searched = self.bytes.len();
                Ok(None)
            }
        }
    }

    /// What is left when the body has ended: a last line without an end.
    pub(super) fn rest(&mut self) -> Vec<u8> {
        self.searched = 0;
        std::mem::take(&mut self.bytes).into()
    }
}

/// The lines of one body.
pub(super) struct Lines {
    body: Incoming,
    buffer: LineBuffer,
}

impl Lines {
    pub(super) fn new(body: Incoming) -> Self {
        Self { body, buffer: LineBuffer::default() }
    }

    /// The next line; `None` at the end of the body.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<u8>>, ClientError> {
        loop {
            let too_long = |TooLong| ClientError::NotUnderstood("a line over 2 MiB".to_owned());
            if let Some(line) = self.buffer.next().map_err(too_long)? {
                return Ok(Some(line));
            }
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        self.buffer.push(data);
                    }
                }
                Some(Err(error)) => return Err(ClientError::broken(error)),
                None => {
                    let rest = self.buffer.rest();
                    return Ok((!rest.is_empty()).then_some(rest));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_put_together_from_any_pieces() {
        let mut buffer = LineBuffer::default();
        for piece in ["a", "b\nc\r", "\n\n", "d"] {
            buffer.push(piece.as_bytes());
        }
        let mut lines = Vec::new();
        while let Some(line) = buffer.next().unwrap() {
            lines.push(line);
        }
        assert_eq!(lines, [b"ab".to_vec(), b"c".to_vec(), b"".to_vec()]);
        assert_eq!(buffer.rest(), b"d");
    }

    #[test]
    fn a_line_at_the_limit_is_taken_and_one_over_it_is_not() {
        let mut buffer = LineBuffer::default();
        buffer.push(&vec![b'x'; MAX_LINE]);
        assert_eq!(buffer.next(), Ok(None));
        buffer.push(b"\n");
        assert_eq!(buffer.next().unwrap().unwrap().len(), MAX_LINE);
        buffer.push(&vec![b'x'; MAX_LINE + 1]);
        assert_eq!(buffer.next(), Err(TooLong));
    }
}
