//! A job: one frame in the hands of a worker, and the ways to finish it. Each of them releases the
//! input in `framelane_ring`, after the output is published.

#![expect(unsafe_code, reason = "C passes pointers")]
// UNSAFETY: A job's pointer is its worker's under another type, so it can't dangle while the worker
// is open; what it may do is looked up in the worker each time.

use std::sync::MutexGuard;

use framelane_ring::{Job, Relay, RingError};

use crate::argument::{self, in_steps};
use crate::desk::Desk;
use crate::frame::fl_output;
use crate::handle::Handle;
use crate::status::{Failure, fl_status, guard};

/// A frame in the hands of a worker. It ends by fl_job_publish, fl_job_forward, fl_job_skip,
/// fl_job_give_back or fl_job_fail; from then on every call with it is FL_OUT_OF_TURN, until the
/// next claim.
#[derive(Debug)]
#[expect(non_camel_case_types, reason = "these are the names that C sees")]
pub struct fl_job {
    _is_its_workers_handle: (),
}

/// The worker of a job that is not finished.
///
/// # Safety
/// The pointer is NULL, or a job of a worker that is open.
unsafe fn desk<'a>(job: *mut fl_job) -> Result<MutexGuard<'a, Desk>, Failure> {
    // SAFETY: the caller's promise; a job's pointer is its worker's.
    let desk = unsafe { Handle::<Desk>::enter(job.cast(), "job") }?;
    if desk.job.is_none() {
        return Err(finished());
    }
    Ok(desk)
}

fn finished() -> Failure {
    Failure::new(fl_status::FL_OUT_OF_TURN, "the job is finished: claim another")
}

/// Takes a slot of the output ring for the job, unless there is one. Anything but FL_OK means that
/// there was no room.
fn reserve(desk: &mut Desk, timeout_ms: u32) -> Result<fl_status, Failure> {
    let Desk { output, job, relay, .. } = desk;
    let job = job.as_ref().ok_or_else(finished)?;
    let status = in_steps(timeout_ms, |patience| {
        if output.is_none() {
            *output = relay.acquire(job, patience)?;
        }
        Ok(match output {
            Some(_) => Some(fl_status::FL_OK),
            None => relay.is_draining().then_some(fl_status::FL_ENDED),
        })
    })?;
    Ok(status.unwrap_or(fl_status::FL_TIMED_OUT))
}

/// Takes a slot of the output ring for a job, and shows it in `*output`. FL_TIMED_OUT: there is no
/// room yet, the job stays in hand; FL_ENDED: that, and the rings' users are asked to stop. Called
/// again, it shows the same slot.
///
/// # Safety
/// `job` is NULL or a job of an open worker; `output` is NULL or leads to room for it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fl_job_acquire(
    job: *mut fl_job,
    timeout_ms: u32,
    output: *mut fl_output,
) -> fl_status {
    guard(|| {
        // SAFETY: the caller's promise.
        let view = unsafe { argument::out(output, fl_output::EMPTY, "output") }?;
        // SAFETY: the caller's promise.
        let mut guarded = unsafe { desk(job) }?;
        let desk = &mut *guarded;
        let status = reserve(desk, timeout_ms)?;
        let job = desk.job.as_ref().ok_or_else(finished)?;
        let record = desk.record_for(job, 0);
        if let Some(output) = &mut desk.output {
            *view = fl_output::of(output, &record);
        }
        Ok(status)
    })
}

/// Publishes the slot that was acquired, with this much metadata, and then releases the input, whose
/// own metadata goes no further unless it was copied. The job is finished, unless it is
/// FL_OUT_OF_TURN, FL_BUSY or FL_TOO_LARGE; after any other failure its frame has gone back for
/// another worker.
///
/// # Safety
/// `job` is NULL or a job of an open worker.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fl_job_publish(job: *mut fl_job, meta_len: usize) -> fl_status {
    guard(|| {
        // SAFETY: the caller's promise.
        let mut desk = unsafe { desk(job) }?;
        let capacity = desk.relay.output().meta_capacity();
        if meta_len > capacity {
            let message = format!("{meta_len} bytes of metadata, {capacity} fit");
            return Err(Failure::new(fl_status::FL_TOO_LARGE, message));
        }
        let output = desk.output.take().ok_or_else(|| {
            let message = "there is no output: acquire one before you publish";
            Failure::new(fl_status::FL_OUT_OF_TURN, message)
        })?;
        let job = desk.job.take().ok_or_else(finished)?;
        let record = desk.record_for(&job, meta_len);
        desk.relay.publish(job, output, record)?;
        Ok(fl_status::FL_OK)
    })
}

/// Passes the input on as it is, metadata included, marked as unprocessed, through the slot that was
/// acquired, if there is one. The job is finished, unless it is FL_OUT_OF_TURN, FL_BUSY, or there was no
/// room: FL_TIMED_OUT, or FL_ENDED when the rings' users are asked to stop. After any other failure its
/// frame has gone back for another worker.
///
/// # Safety
/// `job` is NULL or a job of an open worker.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fl_job_forward(job: *mut fl_job, timeout_ms: u32) -> fl_status {
    guard(|| {
        // SAFETY: the caller's promise.
        let mut desk = unsafe { desk(job) }?;
        let status = reserve(&mut desk, timeout_ms).inspect_err(|_| desk.job = None)?;
        if let Some(output) = desk.output.take() {
            let job = desk.job.take().ok_or_else(finished)?;
            desk.relay.forward_into(job, output)?;
        }
        Ok(status)
    })
}

/// Finishes a job without an output: readers of the output ring won't wait for this frame.
///
/// # Safety
/// `job` is NULL or a job of an open worker.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fl_job_skip(job: *mut fl_job) -> fl_status {
    guard(|| {
        // SAFETY: the caller's promise.
        let mut desk = unsafe { desk(job) }?;
        desk.output = None;
        let job = desk.job.take().ok_or_else(finished)?;
        desk.relay.skip(job)?;
        Ok(fl_status::FL_OK)
    })
}

/// Puts the frame back for another worker, or for this one's next claim. That is no failure: it may
/// come again without end.
///
/// # Safety
/// `job` is NULL or a job of an open worker.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fl_job_give_back(job: *mut fl_job) -> fl_status {
    // SAFETY: the caller's promise.
    unsafe { put_back(job, Relay::give_back) }
}

/// Puts the frame back because it can't be processed here. One that has failed three times is passed
/// on as it is, or dropped where frames may be lost.
///
/// # Safety
/// `job` is NULL or a job of an open worker.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fl_job_fail(job: *mut fl_job) -> fl_status {
    // SAFETY: the caller's promise.
    unsafe { put_back(job, Relay::fail) }
}

/// Ends a call that puts the frame back.
///
/// # Safety
/// As [`desk`].
unsafe fn put_back(
    job: *mut fl_job,
    how: impl FnOnce(&mut Relay, Job) -> Result<(), RingError>,
) -> fl_status {
    guard(|| {
        // SAFETY: the caller's promise.
        let mut desk = unsafe { desk(job) }?;
        desk.output = None;
        let job = desk.job.take().ok_or_else(finished)?;
        how(&mut desk.relay, job)?;
        Ok(fl_status::FL_OK)
    })
}
