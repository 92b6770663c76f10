//! A worker: how it takes its places in both rings, claims frames, and leaves.

#![expect(unsafe_code, reason = "C passes pointers")]
// UNSAFETY: Pointers from C are handed to `argument` and `handle`, which say what they rely on; each
// function's `# Safety` says the same to C.

use std::ffi::c_char;
use std::ptr;

use framelane_frame::{Geometry, PixelFormat};
use framelane_ring::{Attached, Relay, RelayOptions, SegmentName, Work};

use crate::argument::{self, in_steps, time_left};
use crate::desk::Desk;
use crate::frame::fl_frame;
use crate::handle::Handle;
use crate::job::fl_job;
use crate::status::{Failure, fl_status, guard};

/// The group of the workers, unless said otherwise: that of the built-in worker.
const GROUP: &str = "worker";

/// A worker: a place in the ring that it takes frames from, and in the one that it publishes to.
#[derive(Debug)]
#[expect(non_camel_case_types, reason = "these are the names that C sees")]
pub struct fl_worker {
    _is_a_handle: (),
}

/// How a worker takes part. Set all of it to zero, then what you need.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct fl_worker_options {
    /// The ring to take frames from.
    pub from: *const c_char,
    /// The ring to publish to; made if it isn't there.
    pub to: *const c_char,
    /// The workers that share the frames; NULL for "worker".
    pub group: *const c_char,
    /// Slots of the output ring, if this worker is the one to make it; 0 for as many as the input
    /// ring has.
    pub slots: u32,
    /// The fl_pixel_format of the outputs; FL_NO_PICTURE when each is like its input.
    pub output_format: u32,
    /// Width of the outputs in pixels, when there is an `output_format`.
    pub output_width: u32,
    /// Height of the outputs in pixels, when there is an `output_format`.
    pub output_height: u32,
}

/// Options, understood.
struct Plan {
    from: SegmentName,
    to: SegmentName,
    relay: RelayOptions,
    shape: Option<Geometry>,
}

/// # Safety
/// As [`fl_worker_open`], of `options`.
unsafe fn plan(options: *const fl_worker_options) -> Result<Plan, Failure> {
    // SAFETY: the caller's promise, here and for the three texts.
    let options = unsafe { argument::reference(options, "options") }?;
    // SAFETY: as above.
    let from = SegmentName::new(unsafe { argument::text(options.from, "options.from") }?)?;
    // SAFETY: as above.
    let to = SegmentName::new(unsafe { argument::text(options.to, "options.to") }?)?;
    // SAFETY: as above.
    let group = unsafe { argument::optional_text(options.group, "options.group") }?;
    if from == to {
        let message = format!("options.from and options.to name the same ring '{}'", from.ring());
        return Err(Failure::new(fl_status::FL_BAD_ARGUMENT, message));
    }
    let shape = shape(options)?;
    let relay = RelayOptions {
        group: group.unwrap_or(GROUP).parse()?,
        slots: Some(options.slots).filter(|&slots| slots > 0),
        payload_capacity: shape.map(|shape| shape.payload_bytes()),
    };
    Ok(Plan { from, to, relay, shape })
}

fn shape(options: &fl_worker_options) -> Result<Option<Geometry>, Failure> {
    let bad = |message: String| Failure::new(fl_status::FL_BAD_ARGUMENT, message);
    let (width, height) = (options.output_width, options.output_height);
    match options.output_format {
        0 if (width, height) == (0, 0) => Ok(None),
        0 => Err(bad("options.output_width and _height need an output_format".to_owned())),
        code => {
            let format = u8::try_from(code)
                .ok()
                .and_then(PixelFormat::from_code)
                .ok_or_else(|| bad(format!("options.output_format is {code}")))?;
            Geometry::new(width, height, format).map(Some).map_err(|error| bad(error.to_string()))
        }
    }
}

/// Takes a place as a worker, as soon as there is an input ring. FL_TIMED_OUT: not yet, call again.
/// FL_ENDED: this worker comes too late, the stream is over. `*worker` is NULL unless it is FL_OK.
///
/// # Safety
/// `options` is NULL or leads to options, whose texts are NULL or end with a zero; `worker` is NULL
/// or leads to room for a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fl_worker_open(
    options: *const fl_worker_options,
    timeout_ms: u32,
    worker: *mut *mut fl_worker,
) -> fl_status {
    guard(|| {
        // SAFETY: the caller's promise.
        let worker = unsafe { argument::out(worker, ptr::null_mut(), "worker") }?;
        // SAFETY: the caller's promise.
        let Plan { from, to, relay, shape } = unsafe { plan(options) }?;
        Ok(match Relay::wait(&from, &to, &relay, time_left(timeout_ms))? {
            Attached::Ready(relay) => {
                let desk = Desk { output: None, job: None, relay, shape };
                *worker = Handle::give(desk).cast();
                fl_status::FL_OK
            }
            Attached::TooLate => fl_status::FL_ENDED,
            Attached::Stopped => fl_status::FL_TIMED_OUT,
        })
    })
}

/// Claims the oldest frame that waits for a worker, and shows it in `*frame`. A worker has one job
/// at a time: finish it before the next claim. `*job` is NULL unless it is FL_OK; it belongs to the
/// worker, and is good until the worker is closed. Frames that kill every worker that touches them
/// are passed on in here, and never seen.
///
/// # Safety
/// `worker` is NULL or an open worker; `job` and `frame` are NULL or lead to room for them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fl_worker_claim(
    worker: *mut fl_worker,
    timeout_ms: u32,
    job: *mut *mut fl_job,
    frame: *mut fl_frame,
) -> fl_status {
    guard(|| {
        // SAFETY: the caller's promise.
        let job = unsafe { argument::out(job, ptr::null_mut(), "job") }?;
        // SAFETY: the caller's promise.
        let frame = unsafe { argument::out(frame, fl_frame::EMPTY, "frame") }?;
        // SAFETY: the caller's promise.
        let mut desk = unsafe { Handle::<Desk>::enter(worker.cast(), "worker") }?;
        if desk.job.is_some() {
            let message = "the worker still has a job: finish it before it claims another";
            return Err(Failure::new(fl_status::FL_OUT_OF_TURN, message));
        }
        let claimed = in_steps(timeout_ms, |patience| {
            if desk.relay.is_draining() {
                return Ok(Some(Work::Ended));
            }
            let work = desk.relay.claim_harmless(patience)?;
            Ok(Some(work).filter(|work| !matches!(work, Work::TimedOut)))
        })?;
        let Some(Work::Frame(claimed)) = claimed else {
            let ended = claimed.is_some();
            return Ok(if ended { fl_status::FL_ENDED } else { fl_status::FL_TIMED_OUT });
        };
        let (seq, age) = (claimed.seq(), claimed.age());
        *frame = fl_frame::of(seq, claimed.record(), claimed.bytes(), claimed.meta(), age);
        *job = worker.cast();
        desk.job = Some(claimed);
        Ok(fl_status::FL_OK)
    })
}

/// Gives back the job in hand, if there is one, leaves both rings, and frees the worker. NULL is
/// allowed.
///
/// # Safety
/// `worker` is NULL or an open worker that no other call is using; neither it nor its job may be
/// used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fl_worker_close(worker: *mut fl_worker) {
    guard(|| {
        // SAFETY: the caller's promise.
        unsafe { Handle::<Desk>::take(worker.cast()) };
        Ok(fl_status::FL_OK)
    });
}
