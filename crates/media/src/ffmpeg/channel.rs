//! What a child reads from and writes to besides stderr: nothing, a pipe, or a socket.
//!
//! Frames go through Unix sockets, which ffmpeg takes for pipes. The kernel moves them in blocks of
//! 32 KiB, where a pipe takes, charges and frees each page of 4 KiB by itself: less than half of
//! its time a frame, on both sides. A program that opens `/dev/stdin` can't do that with a socket,
//! so programs that are not ffmpeg get pipes.

use std::fs::File;
use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::process::Stdio;

use rustix::net::sockopt::set_socket_send_buffer_size;
use rustix::pipe::fcntl_setpipe_size;

/// How much may be under way in a pipe or a socket, in bytes, if the system allows that: 1 MiB, the
/// most that an ordinary user's pipes may have.
const CHANNEL_BYTES: usize = 1 << 20;

/// What a child has as stdin or stdout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Channel {
    /// `/dev/null`.
    Null,
    /// A pipe.
    Pipe,
    /// A Unix socket.
    Socket,
}

impl Channel {
    /// Something to read from for the child, and the end that writes there.
    pub(super) fn into_stdin(self) -> io::Result<(Stdio, Option<File>)> {
        Ok(match self.ends()? {
            Some((reader, writer)) => (reader.into(), Some(writer.into())),
            None => (Stdio::null(), None),
        })
    }

    /// Something to write to for the child, and the end that reads from there.
    pub(super) fn into_stdout(self) -> io::Result<(Stdio, Option<File>)> {
        Ok(match self.ends()? {
            Some((reader, writer)) => (writer.into(), Some(reader.into())),
            None => (Stdio::null(), None),
        })
    }

    /// An end to read from, and one to write to.
    fn ends(self) -> io::Result<Option<(OwnedFd, OwnedFd)>> {
        Ok(match self {
            Self::Null => None,
            Self::Pipe => {
                let (reader, writer) = pipe()?;
                Some((reader.into(), writer.into()))
            }
            Self::Socket => {
                let (reader, writer) = UnixStream::pair()?;
                if let Err(error) = set_socket_send_buffer_size(&writer, CHANNEL_BYTES) {
                    tracing::debug!(%error, "a socket keeps its size");
                }
                Some((reader.into(), writer.into()))
            }
        })
    }
}

/// A pipe on which a child writes besides stdout, such as the audio packets. Make it first, and
/// put its number into the child's arguments: `pipe:N`.
#[derive(Debug)]
pub struct OutputPipe {
    pub(super) reader: PipeReader,
    pub(super) writer: PipeWriter,
}

impl OutputPipe {
    /// Makes a pipe of 1 MiB, if the system allows that.
    ///
    /// # Errors
    /// When no more descriptors are to be had.
    pub fn new() -> io::Result<Self> {
        let (reader, writer) = pipe()?;
        Ok(Self { reader, writer })
    }

    /// The number of the descriptor on which the child will write.
    pub fn child_fd(&self) -> RawFd {
        self.writer.as_raw_fd()
    }
}

fn pipe() -> io::Result<(PipeReader, PipeWriter)> {
    let (reader, writer) = io::pipe()?;
    if let Err(error) = fcntl_setpipe_size(&writer, CHANNEL_BYTES) {
        // A smaller one is slower, not wrong.
        tracing::debug!(%error, "a pipe keeps its size");
    }
    Ok((reader, writer))
}
