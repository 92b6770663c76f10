//! The loop of a worker. It keeps the one order that loses nothing: claim, process, publish, and
//! only then release. A frame that is in hand when the worker is asked to stop is finished.

use std::convert::Infallible;
use std::time::Duration;

use framelane_ring::{
    Attached, Forwarded, Job, Record, Relay, RelayOptions, RingError, SegmentName, Work, WriteGrant,
};

/// How long one wait lasts before the loop looks whether it is asked to stop.
const PATIENCE: Duration = Duration::from_millis(100);

/// How a worker takes part.
#[derive(Clone, Debug)]
pub struct Options {
    /// The ring to take frames from. The worker waits until it is there.
    pub from: SegmentName,
    /// The ring to publish to. The worker makes it if it isn't there.
    pub to: SegmentName,
    /// Group and output ring.
    pub relay: RelayOptions,
}

impl Options {
    /// A worker of the group `worker`, with an output ring like the input ring.
    ///
    /// # Errors
    /// [`RingError::Shm`] when a name can't name a ring.
    pub fn new(from: &str, to: &str) -> Result<Self, RingError> {
        let group = "worker".parse()?;
        Ok(Self {
            from: SegmentName::new(from)?,
            to: SegmentName::new(to)?,
            relay: RelayOptions { group, slots: None, payload_capacity: None },
        })
    }
}

/// What a worker has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Frames that were processed and published.
    pub processed: u64,
    /// Frames that were passed on as they were, because they kill their workers.
    pub forwarded: u64,
    /// Whether the stream has ended, rather than the worker having been asked to stop.
    pub ended: bool,
}

/// Why a worker ended that was not asked to.
#[derive(Debug, thiserror::Error)]
pub enum WorkError<E> {
    /// The rings can't be joined or used.
    #[error(transparent)]
    Ring(#[from] RingError),
    /// The model has failed on a frame, which is given to another worker. One on which every
    /// worker fails is passed on unprocessed, or dropped on a drop-oldest ring.
    #[error("processing frame {seq} failed")]
    Model {
        /// The frame's number.
        seq: u64,
        /// What the model said.
        source: E,
    },
}

/// Processes frames until the stream ends or `stop` says so. `process` gets each frame and a
/// buffer of the same size for its output.
///
/// # Errors
/// What joining and using the rings can meet. A frame in hand is given back to the others.
pub fn run(
    options: &Options,
    stop: impl Fn() -> bool,
    mut process: impl FnMut(&Job, &mut [u8]),
) -> Result<Summary, RingError> {
    let infallible = |job: &Job, out: &mut [u8]| -> Result<(), Infallible> {
        process(job, out);
        Ok(())
    };
    try_run(options, stop, infallible).map_err(|error| match error {
        WorkError::Ring(error) => error,
        WorkError::Model { source, .. } => match source {},
    })
}

/// [`run`] for a model that can fail.
///
/// # Errors
/// [`WorkError::Model`] with what the model said; otherwise as [`run`].
pub fn try_run<E>(
    options: &Options,
    stop: impl Fn() -> bool,
    mut process: impl FnMut(&Job, &mut [u8]) -> Result<(), E>,
) -> Result<Summary, WorkError<E>> {
    let mut summary = Summary::default();
    let attached = Relay::wait(&options.from, &options.to, &options.relay, || !stop())?;
    let Attached::Ready(mut relay) = attached else {
        summary.ended = matches!(attached, Attached::TooLate);
        return Ok(summary);
    };
    tracing::info!(from = relay.input().name(), to = relay.output().name(), "attached");
    while !stop() && !relay.is_draining() {
        let job = match relay.claim(PATIENCE)? {
            Work::Frame(job) => job,
            Work::TimedOut => continue,
            Work::Ended => {
                summary.ended = true;
                break;
            }
        };
        if job.is_poison() {
            if !forward(&mut relay, job, &stop)? {
                break;
            }
            summary.forwarded += 1;
            continue;
        }
        let Some(mut output) = wait_for_slot(&mut relay, &job, &stop)? else { break };
        let record = Record { meta_bytes: copy_meta(&job, &mut output), ..*job.record() };
        let out = &mut output.bytes_mut()[..record.payload_bytes];
        if let Err(source) = process(&job, out) {
            if stop() {
                // Interrupted: another worker gets the frame, and nobody is to blame.
                break;
            }
            let seq = job.seq().number();
            drop(output);
            relay.fail(job)?;
            return Err(WorkError::Model { seq, source });
        }
        relay.publish(job, output, record)?;
        summary.processed += 1;
    }
    Ok(summary)
}

/// Lets a frame's metadata go on with its output, and tells its length: 0 where the output ring, made
/// by somebody else, has no room for it.
fn copy_meta(job: &Job, output: &mut WriteGrant) -> usize {
    let meta = job.meta();
    match output.meta_mut().get_mut(..meta.len()) {
        Some(room) => {
            room.copy_from_slice(meta);
            meta.len()
        }
        None => 0,
    }
}

/// Passes a job's frame on as it is. `false` when asked to stop before there was room; the frame is
/// given back then.
fn forward(relay: &mut Relay, mut job: Job, stop: &impl Fn() -> bool) -> Result<bool, RingError> {
    loop {
        match relay.forward(job, PATIENCE)? {
            Forwarded::Done(_) => return Ok(true),
            Forwarded::TimedOut(_) if stop() || relay.is_draining() => return Ok(false),
            Forwarded::TimedOut(same) => job = same,
        }
    }
}

/// Takes an output slot for a job. `None` when asked to stop before there was one; the job's frame
/// then goes back to the others.
fn wait_for_slot(
    relay: &mut Relay,
    job: &Job,
    stop: &impl Fn() -> bool,
) -> Result<Option<WriteGrant>, RingError> {
    let mut told = false;
    loop {
        if let Some(output) = relay.acquire(job, PATIENCE)? {
            return Ok(Some(output));
        }
        if stop() || relay.is_draining() {
            return Ok(None);
        }
        if !told {
            tracing::info!(ring = relay.output().name(), "waiting for room in the output ring");
            told = true;
        }
    }
}
