//! Packets: what both sides of a connection cut their messages into.
//!
//! Each has a header of four bytes, its length and a number that counts up within an exchange. A message of 16 MiB and
//! more comes as several, all but the last of the greatest length.

use std::io;
use std::mem::take;

use bytes::{Buf, BytesMut};
use mysql_async::{DriverError, Error, ServerError};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// The greatest length of a packet; one of it is followed by another.
pub(super) const MOST: usize = 0xff_ffff;

const HEADER: usize = 4;

/// Bytes that are asked of the socket at once.
const READ: usize = 128 << 10;

/// The longest message that is read: the server's own bound on one cannot be higher.
pub(super) const LONGEST: usize = 1 << 30;

/// The longest one before the login is over, and the longest error.
const LONGEST_OF_STRANGERS: usize = 64 << 10;

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
    /// The longest message that is read.
    longest: usize,
    /// The buffer has grown for a large message.
    has_grown: bool,
    socket: S,
}

impl<S: Socket> Packets<S> {
    pub(super) fn new(socket: S) -> Self {
        let longest = LONGEST_OF_STRANGERS;
        Self { buffer: BytesMut::new(), told: 0, number: 0, longest, has_grown: false, socket }
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
    /// Reads longer messages from now on: the server has shown who it is.
    pub(super) fn trust(&mut self) {
        self.longest = LONGEST;
    }

    /// The next packet is to have this number.
    pub(super) fn expect(&mut self, number: u8) {
        self.number = number;
    }

    /// The next message, if it is there as a whole.
    pub(super) fn buffered(&mut self) -> Result<Option<&[u8]>, Error> {
        self.forget_told();
        let Some(header) = self.buffer.first_chunk::<HEADER>().copied() else { return Ok(None) };
        let length = length(header);
        // Before it is waited for.
        if header[3] != self.number {
            return self.out_of_turn(header[3], length);
        }
        if length > self.longest {
            return Err(DriverError::PacketTooLarge.into());
        }
        if length == MOST {
            return self.joined();
        }
        if self.buffer.len() < HEADER + length {
            return Ok(None);
        }
        self.number = self.number.wrapping_add(1);
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
            if at > self.longest {
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
            if number != self.number {
                return Err(out_of_turn(number, self.number));
            }
            self.number = number.wrapping_add(1);
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

    /// A packet that is not the next: a server that ends a connection counts its last error from 0.
    fn out_of_turn(&self, number: u8, length: usize) -> Result<Option<&[u8]>, Error> {
        let message = &self.buffer[HEADER..];
        let is_error =
            number == 0 && length <= LONGEST_OF_STRANGERS && message.first().is_none_or(|&b| b == 0xff);
        match message.get(..length) {
            None if is_error => Ok(None),
            Some(message) if is_error => {
                Err(refusal(message).unwrap_or_else(|| out_of_turn(number, self.number)))
            }
            _ => Err(out_of_turn(number, self.number)),
        }
    }

    fn forget_told(&mut self) {
        self.buffer.advance(take(&mut self.told));
    }

    /// Waits for more bytes. Dropped before it is done, it has lost none.
    pub(super) async fn fill(&mut self) -> Result<(), Error> {
        self.shrink();
        if self.buffer.capacity() - self.buffer.len() < READ / 4 {
            self.has_grown |= self.buffer.len() > 4 * READ;
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

    /// Gives back the room that a large message took.
    pub(super) fn shrink(&mut self) {
        self.forget_told();
        if self.buffer.is_empty() && take(&mut self.has_grown) {
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

fn out_of_turn(number: u8, expected: u8) -> Error {
    unreadable(&format!("packet {number} came in the place of packet {expected}"))
}

/// The server's error that `message` is, if it is one.
pub(super) fn refusal(message: &[u8]) -> Option<Error> {
    /// Bytes of its text that are told.
    const LONGEST_TEXT: usize = 4 << 10;
    let [0xff, low, high, rest @ ..] = message else { return None };
    // Before the login it says no state.
    let (state, text) = match rest {
        [b'#', a, b, c, d, e, text @ ..] => (&[*a, *b, *c, *d, *e][..], text),
        text => (&b"HY000"[..], text),
    };
    let lossy = |bytes: &[u8]| String::from_utf8_lossy(&bytes[..bytes.len().min(LONGEST_TEXT)]).into_owned();
    let code = u16::from_le_bytes([*low, *high]);
    Some(ServerError { code, message: lossy(text), state: lossy(state) }.into())
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
        packets.trust();
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
        let mut out_of_turn = bytes.clone();
        // Its number tells, before it has come.
        out_of_turn.extend_from_slice(&[200, 0, 0, 7, 0xff]);
        let error = told(out_of_turn).await.unwrap_err();
        assert!(error.to_string().contains("packet 7 came in the place of packet 1"), "{error}");
        frame(&mut bytes, b"\xff\x87\x07#70100killed", 0);
        let error = told(bytes).await.unwrap_err();
        assert!(
            matches!(&error, Error::Server(error) if error.code == 1927 && error.message == "killed"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn a_stranger_says_little() {
        let (mut there, here) = tokio::io::duplex(1 << 10);
        let mut packets = Packets::new(here);
        there.write_all(&[0xff, 0xff, 0xff, 0]).await.unwrap();
        assert!(matches!(packets.next().await, Err(Error::Driver(DriverError::PacketTooLarge))));
        let (mut there, here) = tokio::io::duplex(1 << 10);
        let mut packets = Packets::new(here);
        there.write_all(b"SSH-2.0").await.unwrap();
        let error = packets.next().await.unwrap_err();
        assert!(error.to_string().contains("packet 45 came in the place of packet 0"), "{error}");
    }
}
