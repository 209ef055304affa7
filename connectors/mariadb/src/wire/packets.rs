//! Packets: what both sides of a connection cut their messages into.
//!
//! Each has a header of four bytes, its length and a number that counts up within an exchange. A message of 16 MiB and
//! more comes as several, all but the last of the greatest length.

use std::io;
use std::mem::take;

use bytes::{Buf, BytesMut};
use mysql_async::{DriverError, Error};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// The greatest length of a packet; one of it is followed by another.
pub(super) const MOST: usize = 0xff_ffff;

const HEADER: usize = 4;

/// Bytes that are asked of the socket at once.
const READ: usize = 128 << 10;

/// The longest message that is read: the server's own bound on one cannot be higher.
const LONGEST: usize = 1 << 30;

/// What packets go through: a TCP connection, encrypted or not.
pub(super) trait Socket: AsyncRead + AsyncWrite + Unpin + Send + Sync {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + Sync> Socket for S {}

/// Messages to and from a server.
pub(super) struct Packets<S: ?Sized = dyn Socket> {
    buffer: BytesMut,
    /// Bytes at the start of the buffer that are of a message that was told.
    told: usize,
    /// The number that the next packet has.
    number: u8,
    socket: S,
}

impl<S: Socket> Packets<S> {
    pub(super) fn new(socket: S) -> Self {
        Self { buffer: BytesMut::new(), told: 0, number: 0, socket }
    }

    /// The socket, and the number of the next packet; nothing may have been read ahead.
    pub(super) fn into_socket(self) -> Result<(S, u8), Error> {
        if self.buffer.len() > self.told {
            return Err(unreadable("the server said more before encryption than it was asked"));
        }
        Ok((self.socket, self.number))
    }

    /// As [`new`](Self::new), where `number` packets went before.
    pub(super) fn after(socket: S, number: u8) -> Self {
        Self { number, ..Self::new(socket) }
    }
}

impl<S: Socket + ?Sized> Packets<S> {
    /// The next packet is to have this number.
    pub(super) fn expect(&mut self, number: u8) {
        self.number = number;
    }

    /// The next message, if it is there as a whole.
    pub(super) fn buffered(&mut self) -> Result<Option<&[u8]>, Error> {
        self.forget_told();
        let Some(header) = self.buffer.first_chunk::<HEADER>().copied() else { return Ok(None) };
        let length = length(header);
        if length == MOST {
            return self.joined();
        }
        if self.buffer.len() < HEADER + length {
            return Ok(None);
        }
        self.count(header[3])?;
        self.told = HEADER + length;
        Ok(Some(&self.buffer[HEADER..HEADER + length]))
    }

    /// The message that was told last.
    pub(super) fn last(&self) -> &[u8] {
        self.buffer.get(HEADER..self.told).unwrap_or_default()
    }

    /// As [`buffered`](Self::buffered), of a message of several packets: what stands between its parts is taken out.
    fn joined(&mut self) -> Result<Option<&[u8]>, Error> {
        let (mut at, mut packets) = (0, Vec::new());
        loop {
            let Some(header) = self.buffer.get(at..).and_then(|rest| rest.first_chunk::<HEADER>()) else {
                return Ok(None);
            };
            let length = length(*header);
            packets.push((header[3], at + HEADER..at + HEADER + length));
            at += HEADER + length;
            if at > LONGEST {
                return Err(DriverError::PacketTooLarge.into());
            }
            if at > self.buffer.len() {
                return Ok(None);
            }
            if length < MOST {
                break;
            }
        }
        let mut end = HEADER;
        for (number, part) in packets {
            self.count(number)?;
            let length = part.len();
            self.buffer.copy_within(part, end);
            end += length;
        }
        // What comes after the message goes behind its joined parts.
        let rest = self.buffer.len() - at;
        self.buffer.copy_within(at.., end);
        self.buffer.truncate(end + rest);
        self.told = end;
        Ok(Some(&self.buffer[HEADER..end]))
    }

    fn count(&mut self, number: u8) -> Result<(), Error> {
        if number != self.number {
            let found = format!("packet {number} came in the place of packet {}", self.number);
            return Err(unreadable(&found));
        }
        self.number = number.wrapping_add(1);
        Ok(())
    }

    fn forget_told(&mut self) {
        self.buffer.advance(take(&mut self.told));
    }

    /// Waits for more bytes. Dropped before it is done, it has lost none.
    pub(super) async fn fill(&mut self) -> Result<(), Error> {
        self.forget_told();
        if self.buffer.capacity() - self.buffer.len() < READ / 4 {
            self.buffer.reserve(READ);
        }
        if self.socket.read_buf(&mut self.buffer).await? > 0 {
            return Ok(());
        }
        match self.buffer.is_empty() {
            true => Err(DriverError::ConnectionClosed.into()),
            false => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "bytes remaining on stream").into()),
        }
    }

    /// The next message, once it is there as a whole.
    pub(super) async fn next(&mut self) -> Result<&[u8], Error> {
        while self.buffered()?.is_none() {
            self.fill().await?;
        }
        Ok(self.last())
    }

    /// Gives back the room that large messages took.
    pub(super) fn shrink(&mut self) {
        self.forget_told();
        if self.buffer.is_empty() && self.buffer.capacity() > 4 * READ {
            self.buffer = BytesMut::new();
        }
    }

    /// Sends a message within the exchange.
    pub(super) async fn send(&mut self, message: &[u8]) -> Result<(), Error> {
        let mut bytes = Vec::with_capacity(HEADER + message.len());
        self.number = frame(&mut bytes, message, self.number);
        self.send_framed(&bytes).await
    }

    /// Sends what was [framed](frame).
    pub(super) async fn send_framed(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.socket.write_all(bytes).await?;
        self.socket.flush().await?;
        Ok(())
    }
}

fn length(header: [u8; HEADER]) -> usize {
    u32::from_le_bytes([header[0], header[1], header[2], 0]) as usize
}

/// Puts `message` behind `bytes` as packets, of which the first has `number`; the number after them.
pub(super) fn frame(bytes: &mut Vec<u8>, mut message: &[u8], mut number: u8) -> u8 {
    loop {
        let (part, rest) = message.split_at(message.len().min(MOST));
        bytes.extend_from_slice(&(part.len() as u32).to_le_bytes()[..3]);
        bytes.push(number);
        bytes.extend_from_slice(part);
        (number, message) = (number.wrapping_add(1), rest);
        // A last one of the greatest length is followed by an empty one.
        if part.len() < MOST {
            return number;
        }
    }
}

/// What came is no message of a server.
pub(super) fn unreadable(found: &str) -> Error {
    io::Error::new(io::ErrorKind::InvalidData, found).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn told(bytes: Vec<u8>) -> Result<Vec<Vec<u8>>, Error> {
        let (mut there, here) = tokio::io::duplex(1 << 16);
        let sends = tokio::spawn(async move { there.write_all(&bytes).await });
        let (mut packets, mut told) = (Packets::new(here), Vec::new());
        let end = loop {
            match packets.next().await {
                Ok(message) => told.push(message.to_vec()),
                Err(error) => break error,
            }
        };
        sends.await.expect("it does not panic").expect("all was read");
        match end {
            Error::Driver(DriverError::ConnectionClosed) => Ok(told),
            error => Err(error),
        }
    }

    #[tokio::test]
    async fn messages_come_as_they_were_sent_whatever_their_length() {
        for length in [0, 1, MOST - 1, MOST, MOST + 1, 2 * MOST, 2 * MOST + 7] {
            let message: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
            let mut bytes = Vec::new();
            let number = frame(&mut bytes, &message, 0);
            frame(&mut bytes, b"next", number);
            let told = told(bytes).await.unwrap();
            assert_eq!(told.len(), 2, "{length}");
            assert!(told[0] == message, "{length}");
            assert_eq!(told[1], b"next");
        }
    }

    #[tokio::test]
    async fn an_end_within_a_message_and_a_number_out_of_turn_are_told() {
        let mut bytes = Vec::new();
        frame(&mut bytes, b"whole", 0);
        let error = told(bytes[..6].to_vec()).await.unwrap_err();
        assert!(error.to_string().contains("bytes remaining on stream"), "{error}");
        frame(&mut bytes, b"next", 7);
        let error = told(bytes).await.unwrap_err();
        assert!(error.to_string().contains("packet 7 came in the place of packet 1"), "{error}");
    }
}
