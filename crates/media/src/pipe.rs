//! Pipes with patience: reads and writes that end when the other side is silent for too long, or
//! when the stage is asked to stop. A blocking read of a pipe would do neither.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

/// How often a waiting read or write looks whether it should go on.
const LOOK_INTERVAL: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// For how long a read or write goes on after a stop was asked for: what is in hand gets finished,
/// if the other side does its part.
const LAST_EFFORT: Duration = Duration::from_millis(400);

/// One end of a pipe.
pub struct PatientPipe<'stop> {
    pipe: File,
    patience: Duration,
    stop: Box<dyn Fn() -> bool + Send + 'stop>,
    asked_to_stop: Option<Instant>,
}

impl std::fmt::Debug for PatientPipe<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PatientPipe").field("patience", &self.patience).finish_non_exhaustive()
    }
}

impl<'stop> PatientPipe<'stop> {
    /// Takes over one end of a pipe. Reads and writes fail with [`io::ErrorKind::TimedOut`] when
    /// nothing has moved for `patience`, and with [`io::ErrorKind::ConnectionAborted`] soon after
    /// `stop` has become true.
    ///
    /// # Errors
    /// When the system can't make the pipe non-blocking.
    pub fn new(
        pipe: impl Into<OwnedFd>,
        patience: Duration,
        stop: impl Fn() -> bool + Send + 'stop,
    ) -> io::Result<Self> {
        let pipe = File::from(pipe.into());
        fcntl_setfl(&pipe, fcntl_getfl(&pipe)? | OFlags::NONBLOCK)?;
        Ok(Self { pipe, patience, stop: Box::new(stop), asked_to_stop: None })
    }

    /// Whether something can be read at once.
    ///
    /// # Errors
    /// When the system can't tell.
    pub fn has_more(&self) -> io::Result<bool> {
        let mut descriptors = [PollFd::from_borrowed_fd(self.pipe.as_fd(), PollFlags::IN)];
        match poll(&mut descriptors, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(descriptors[0].revents().contains(PollFlags::IN))
    }

    /// Does `act` as soon as it can be done without blocking.
    fn when_ready<T>(
        &mut self,
        flags: PollFlags,
        mut act: impl FnMut(&mut File) -> io::Result<T>,
    ) -> io::Result<T> {
        let start = Instant::now();
        loop {
            match act(&mut self.pipe) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return done,
            }
            if start.elapsed() >= self.patience {
                return Err(io::ErrorKind::TimedOut.into());
            }
            if (self.stop)() {
                let asked = *self.asked_to_stop.get_or_insert_with(Instant::now);
                if asked.elapsed() >= LAST_EFFORT {
                    return Err(io::ErrorKind::ConnectionAborted.into());
                }
            }
            let mut descriptors = [PollFd::from_borrowed_fd(self.pipe.as_fd(), flags)];
            match poll(&mut descriptors, Some(&LOOK_INTERVAL)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl Read for PatientPipe<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.when_ready(PollFlags::IN, |pipe| pipe.read(out))
    }

    fn read_vectored(&mut self, out: &mut [io::IoSliceMut<'_>]) -> io::Result<usize> {
        self.when_ready(PollFlags::IN, |pipe| pipe.read_vectored(out))
    }
}

impl Write for PatientPipe<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.when_ready(PollFlags::OUT, |pipe| pipe.write(bytes))
    }

    fn write_vectored(&mut self, bytes: &[io::IoSlice<'_>]) -> io::Result<usize> {
        self.when_ready(PollFlags::OUT, |pipe| pipe.write_vectored(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn what_is_written_is_read_and_a_closed_pipe_ends() {
        let (reader, writer) = io::pipe().expect("a pipe");
        let mut reader = PatientPipe::new(reader, LONG, || false).expect("taken over");
        let mut writer = PatientPipe::new(writer, LONG, || false).expect("taken over");
        let sender = std::thread::spawn(move || {
            writer.write_all(&[7; 1 << 20]).expect("written");
        });
        let mut all = Vec::new();
        reader.read_to_end(&mut all).expect("read");
        sender.join().expect("the writer is done");
        assert!(all.len() == 1 << 20 && all.iter().all(|&byte| byte == 7));
    }

    #[test]
    fn a_silent_pipe_times_out() {
        let (reader, _writer) = io::pipe().expect("a pipe");
        let mut reader =
            PatientPipe::new(reader, Duration::from_millis(1), || false).expect("taken over");
        let error = reader.read(&mut [0; 8]).expect_err("nothing came");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn a_stop_ends_a_wait() {
        let (reader, _writer) = io::pipe().expect("a pipe");
        let mut reader = PatientPipe::new(reader, LONG, || true).expect("taken over");
        let error = reader.read(&mut [0; 8]).expect_err("nothing came");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
    }
}
