//! Any program as a model: it reads frames on stdin and writes as many on stdout.
//!
//! The program is told the shape of the frames in its environment: `FRAMELANE_WIDTH`,
//! `FRAMELANE_HEIGHT`, `FRAMELANE_PIX_FMT` (ffmpeg's name) and `FRAMELANE_FRAME_BYTES`. It is
//! started with the first frame, started anew when the shape changes, and killed with the worker.
//! Its stderr goes to the worker's log. `docs/guide/any-program.md` is written for its author.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::thread;
use std::time::Duration;

use framelane_frame::Geometry;
use framelane_media::PatientPipe;
use framelane_media::ffmpeg::{Child, ChildCommand, ChildError};
use framelane_ring::Job;

/// How long a program gets to end by itself once its stdin is closed.
const GRACE: Duration = Duration::from_millis(500);

/// The longest header line that a program may write.
const LONGEST_LINE: usize = 1024;

/// How frames follow each other on the program's stdin and stdout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Framing {
    /// Raw frames back to back, to one process.
    Raw,
    /// The same, with a line of text before each frame, in both directions.
    Lines,
    /// A process for each frame, which reads to the end of its stdin.
    Each,
}

/// Why a program did not process a frame.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProgramError {
    /// It can't be started.
    #[error(transparent)]
    Start(#[from] ChildError),
    /// It ended, or closed its stdout, before the frame was complete.
    #[error("{program} wrote {got} of the frame's {needed} bytes and {ended}{tail}")]
    Short {
        /// The command line.
        program: String,
        /// Bytes that came.
        got: usize,
        /// Bytes of a frame.
        needed: usize,
        /// How it ended.
        ended: String,
        /// The last line of its stderr.
        tail: String,
    },
    /// It wrote more than it was asked for, so that what follows would be shifted.
    #[error(
        "{program} wrote more than a frame: each print to stdout counts, text belongs on stderr"
    )]
    Long {
        /// The command line.
        program: String,
    },
    /// It answered with something else than a frame's header line.
    #[error("{program} answered '{line}' where '{expected}' is expected")]
    Header {
        /// The command line.
        program: String,
        /// What it wrote.
        line: String,
        /// What it should have written.
        expected: String,
    },
    /// The pipe to it failed, or the wait for it was interrupted.
    #[error("talking to {program} failed")]
    Pipe {
        /// The command line.
        program: String,
        /// What the system said.
        source: io::Error,
    },
}

/// A program that processes frames.
pub(crate) struct Program<Stop> {
    command: Vec<OsString>,
    framing: Framing,
    stop: Stop,
    running: Option<Running>,
}

impl<Stop> std::fmt::Debug for Program<Stop> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Program").field("command", &self.command).finish_non_exhaustive()
    }
}

/// The process that has been started, for frames of one shape.
struct Running {
    geometry: Option<Geometry>,
    child: Child,
    command_line: String,
    to: Option<PatientPipe<'static>>,
    from: PatientPipe<'static>,
}

impl Drop for Running {
    /// The end of its input asks the program to end; it is killed if it doesn't.
    fn drop(&mut self) {
        self.to = None;
        // Nothing can be done about a child that can't be waited for; its own drop kills it.
        let _ = self.child.wait_timeout(GRACE);
    }
}

impl<Stop: Fn() -> bool + Clone + Send + 'static> Program<Stop> {
    /// A program and its arguments. `stop` interrupts a wait for it.
    pub(crate) fn new(command: Vec<OsString>, framing: Framing, stop: Stop) -> Self {
        Self { command, framing, stop, running: None }
    }

    /// Lets the program process one frame.
    ///
    /// # Errors
    /// [`ProgramError`]; the program is ended then.
    pub(crate) fn process(&mut self, job: &Job, out: &mut [u8]) -> Result<(), ProgramError> {
        let geometry = job.record().geometry;
        let mut running = match self.running.take() {
            Some(mut running) if running.geometry == geometry && self.framing != Framing::Each => {
                running.expect_silence()?;
                running
            }
            _ => self.start(job)?,
        };
        running.exchange(self.framing, job, out)?;
        if self.framing == Framing::Each {
            running.end_well(out.len())?;
        } else {
            running.expect_silence()?;
            self.running = Some(running);
        }
        Ok(())
    }

    fn start(&self, job: &Job) -> Result<Running, ProgramError> {
        let (program, arguments) = self.command.split_first().expect("clap asks for one");
        let command = ChildCommand::new(program)
            .args(arguments)
            .variables(variables(job, self.framing))
            .pipe_stdin()
            .pipe_stdout()
            .log_all();
        let command_line = command.command_line();
        let mut child = command.spawn()?;
        let patient = |source| ProgramError::Pipe { program: command_line.clone(), source };
        let stdin = child.take_stdin().expect("asked for");
        let stdout = child.take_stdout().expect("asked for");
        let to = PatientPipe::new(stdin, Duration::MAX, self.stop.clone()).map_err(patient)?;
        let from = PatientPipe::new(stdout, Duration::MAX, self.stop.clone()).map_err(patient)?;
        let geometry = job.record().geometry;
        Ok(Running { geometry, child, command_line, to: Some(to), from })
    }
}

impl Running {
    /// Sends the frame and reads the answer, at the same time: a program may answer before it has
    /// read everything.
    fn exchange(
        &mut self,
        framing: Framing,
        job: &Job,
        out: &mut [u8],
    ) -> Result<(), ProgramError> {
        let header = if framing == Framing::Lines { header(job) } else { String::new() };
        let mut to = self.to.take().expect("open until the last frame");
        let (sent, answer) = thread::scope(|scope| {
            let sender = scope.spawn(|| {
                to.write_all(header.as_bytes())?;
                to.write_all(job.bytes())?;
                // What reads to the end has to see one.
                Ok::<_, io::Error>((framing != Framing::Each).then_some(to))
            });
            let answer = self.read_answer(&header, out);
            if answer.is_err() {
                // It may have stopped reading, too.
                let _ = self.child.kill();
            }
            (sender.join().expect("it only writes"), answer)
        });
        answer?;
        match sent {
            Ok(to) => self.to = to,
            // It has answered without reading everything, and won't be asked again.
            Err(_) if framing == Framing::Each => {}
            Err(source) => return Err(self.broken(source)),
        }
        Ok(())
    }

    /// Nothing may be there to read after a frame. It may come later than that is looked at: so it is
    /// once more before the next one is sent.
    fn expect_silence(&mut self) -> Result<(), ProgramError> {
        if self.from.has_more().map_err(|source| self.broken(source))? {
            let _ = self.child.kill();
            return Err(ProgramError::Long { program: self.command_line.clone() });
        }
        Ok(())
    }

    fn read_answer(&mut self, header: &str, out: &mut [u8]) -> Result<(), ProgramError> {
        if !header.is_empty() {
            let line = read_line(&mut self.from).map_err(|source| self.broken(source))?;
            if line != header {
                return Err(ProgramError::Header {
                    program: self.command_line.clone(),
                    line: line.trim_end().to_owned(),
                    expected: header.trim_end().to_owned(),
                });
            }
        }
        let got = read_frame(&mut self.from, out).map_err(|source| self.broken(source))?;
        if got < out.len() { Err(self.short(got, out.len())) } else { Ok(()) }
    }

    /// Waits for the end of a process that was started for one frame.
    fn end_well(&mut self, needed: usize) -> Result<(), ProgramError> {
        match self.child.wait_timeout(GRACE) {
            Ok(Some(status)) if status.success() => self.expect_silence(),
            Ok(_) => Err(self.short(needed, needed)),
            Err(source) => Err(self.broken(source)),
        }
    }

    fn short(&mut self, got: usize, needed: usize) -> ProgramError {
        let ended = match self.child.wait_timeout(GRACE) {
            Ok(Some(status)) => format!("ended with {status}"),
            Ok(None) => "does not end".to_owned(),
            Err(error) => format!("can't be waited for: {error}"),
        };
        let tail = self
            .child
            .tail()
            .last()
            .map_or_else(String::new, |line| format!("; it said: {}", line.text));
        ProgramError::Short { program: self.command_line.clone(), got, needed, ended, tail }
    }

    fn broken(&self, source: io::Error) -> ProgramError {
        ProgramError::Pipe { program: self.command_line.clone(), source }
    }
}

/// What a program is told of the frames before it gets one.
fn variables(job: &Job, framing: Framing) -> Vec<(String, String)> {
    let name = |name: &str| format!("FRAMELANE_{name}");
    let record = job.record();
    let mut variables = vec![(name("FRAME_BYTES"), record.payload_bytes.to_string())];
    if let Some(geometry) = &record.geometry {
        variables.push((name("WIDTH"), geometry.width().to_string()));
        variables.push((name("HEIGHT"), geometry.height().to_string()));
        variables.push((name("PIX_FMT"), geometry.format().name().to_owned()));
    }
    if framing == Framing::Each {
        variables.push((name("SEQ"), job.seq().number().to_string()));
        variables.push((name("PTS_NS"), record.pts_ns.to_string()));
    }
    variables
}

/// The line before a frame, in both directions.
fn header(job: &Job) -> String {
    let record = job.record();
    let mut line = format!("FRAMELANE seq={} pts_ns={}", job.seq().number(), record.pts_ns);
    if let Some(geometry) = &record.geometry {
        let (width, height, format) = (geometry.width(), geometry.height(), geometry.format());
        let _ = write!(line, " width={width} height={height} pix_fmt={}", format.name());
    }
    let _ = writeln!(line, " bytes={}", record.payload_bytes);
    line
}

/// Reads until `out` is full or nothing comes any more; tells how much came.
fn read_frame(from: &mut impl Read, out: &mut [u8]) -> io::Result<usize> {
    let mut got = 0;
    while got < out.len() {
        match from.read(&mut out[got..])? {
            0 => break,
            more => got += more,
        }
    }
    Ok(got)
}

fn read_line(from: &mut impl Read) -> io::Result<String> {
    let mut line = Vec::new();
    let mut byte = [0];
    while line.len() < LONGEST_LINE && !line.ends_with(b"\n") && from.read(&mut byte)? == 1 {
        line.extend(byte);
    }
    Ok(String::from_utf8_lossy(&line).into_owned())
}
