// The C interface of Framelane: take frames from a ring, and publish what became of them to another.
//
// Made from crates/capi/src by cbindgen, so don't edit it here:
//   FRAMELANE_UPDATE_HEADER=1 cargo test -p framelane-capi --test header
//
// Every function that can fail gives an fl_status, and fl_last_error() says why. NULL where something
// has to be is FL_BAD_ARGUMENT, never a crash. A worker and a reader may be used from any thread, by
// one at a time. A fork has no part in its parent's rings: open anew in the child.

#ifndef FRAMELANE_H
#define FRAMELANE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The age of a frame whose arrival nobody noted.
#define FL_AGE_UNKNOWN UINT64_MAX

// The most planes that a pixel format has.
#define FL_MAX_PLANES 3

// Every frame in order; the group has no other reader then.
#define FL_TAKE_ORDERED 1

// The newest frame, each once, without taking it from anybody: such a reader is in no group. What it
// has in hand keeps its slot.
#define FL_TAKE_NEWEST 2

// How a call has ended. Numbers once given never change their meaning.
typedef enum fl_status {
  // Done.
  FL_OK = 0,
  // What was waited for did not come in time: look at your signals, and call again.
  FL_TIMED_OUT = 1,
  // The stream has ended, or `framelane drain` asks the ring's users to stop: close, and go.
  FL_ENDED = 2,
  // A NULL pointer, text that is not UTF-8, or a value that makes no sense.
  FL_BAD_ARGUMENT = 3,
  // The call does not fit what went before: a frame is still held, or none is.
  FL_OUT_OF_TURN = 4,
  // Another thread is in a call with the same worker or reader.
  FL_BUSY = 5,
  // The ring can't be trusted or has another layout.
  FL_BAD_RING = 6,
  // Shared memory has no room for the output ring.
  FL_NO_MEMORY = 7,
  // A place in the ring is taken by others.
  FL_TAKEN = 8,
  // A frame, or its metadata, is larger than a slot of the output ring.
  FL_TOO_LARGE = 9,
  // This participant is none any more: the process forked, or something closed its descriptors.
  // Close, and open anew.
  FL_LOST = 10,
  // The operating system refused, or a lock could not be had.
  FL_SYSTEM = 11,
  // An error in this library. Close what it happened to.
  FL_UNEXPECTED = 12,
} fl_status;

// How the pixels of a frame lie in memory. Rows are packed, without padding.
typedef enum fl_pixel_format {
  // The payload is no picture.
  FL_NO_PICTURE = 0,
  // Interleaved 8-bit red, green, blue.
  FL_RGB24 = 1,
  // Interleaved 8-bit blue, green, red: OpenCV's order.
  FL_BGR24 = 2,
  // 8-bit luma.
  FL_GRAY = 3,
  // A plane of luma, then U, then V at half the resolution, odd sides rounded up.
  FL_YUV420P = 4,
  // A plane of luma, then one of interleaved U and V at half the resolution.
  FL_NV12 = 5,
} fl_pixel_format;

// A frame in the hands of a worker. It ends by fl_job_publish, fl_job_forward, fl_job_skip,
// fl_job_give_back or fl_job_fail; from then on every call with it is FL_OUT_OF_TURN, until the
// next claim.
typedef struct fl_job fl_job;

// A reader: a place in a ring, and the one frame that it may hold.
typedef struct fl_reader fl_reader;

// A worker: a place in the ring that it takes frames from, and in the one that it publishes to.
typedef struct fl_worker fl_worker;

// How a worker takes part. Set all of it to zero, then what you need.
typedef struct fl_worker_options {
  // The ring to take frames from.
  const char *from;
  // The ring to publish to; made if it isn't there.
  const char *to;
  // The workers that share the frames; NULL for "worker".
  const char *group;
  // Slots of the output ring, if this worker is the one to make it; 0 for as many as the input
  // ring has.
  uint32_t slots;
  // The fl_pixel_format of the outputs; FL_NO_PICTURE when each is like its input.
  uint32_t output_format;
  // Width of the outputs in pixels, when there is an `output_format`.
  uint32_t output_width;
  // Height of the outputs in pixels, when there is an `output_format`.
  uint32_t output_height;
} fl_worker_options;

// One plane of a picture.
typedef struct fl_plane {
  // Where it starts, in bytes from the start of the payload.
  size_t offset;
  // Bytes from one row to the next.
  size_t stride;
  // Rows.
  size_t rows;
} fl_plane;

// A frame to read. Its addresses lead into shared memory, and end with the frame: a job's when the
// job is finished, a reader's when it is released, and all of them when the handle is closed.
typedef struct fl_frame {
  // The payload.
  const uint8_t *data;
  // Bytes of the payload.
  size_t len;
  // Width in pixels; 0 when the payload is no picture.
  uint32_t width;
  // Height in pixels; 0 when the payload is no picture.
  uint32_t height;
  // How the pixels lie in memory.
  enum fl_pixel_format format;
  // How many of `planes` there are.
  uint32_t plane_count;
  // The planes, in the order they lie in the payload.
  struct fl_plane planes[FL_MAX_PLANES];
  // The metadata that travels with the frame.
  const uint8_t *meta;
  // Bytes of metadata.
  size_t meta_len;
  // The source's number of the frame, as `framelane` prints it.
  uint64_t seq;
  // Presentation time on the source's timeline, in nanoseconds.
  int64_t pts_ns;
  // How long before the claim the frame's first byte arrived, in nanoseconds, or FL_AGE_UNKNOWN.
  uint64_t age_ns;
  // Grows when the source reconnects or changes its format.
  uint32_t epoch;
  // First frame after a jump of the source's own clock.
  bool discontinuity;
  // Passed on by an earlier worker that did not process it.
  bool unprocessed;
} fl_frame;

// A slot of the output ring to write. Its addresses end when the job is finished.
typedef struct fl_output {
  // Where the payload goes. It holds whatever was there before: write all of it.
  uint8_t *data;
  // Bytes of the payload.
  size_t len;
  // Width in pixels; 0 when the payload is no picture.
  uint32_t width;
  // Height in pixels; 0 when the payload is no picture.
  uint32_t height;
  // How the pixels are to lie in memory.
  enum fl_pixel_format format;
  // How many of `planes` there are.
  uint32_t plane_count;
  // The planes, in the order they lie in the payload.
  struct fl_plane planes[FL_MAX_PLANES];
  // Where metadata goes.
  uint8_t *meta;
  // Room for metadata, in bytes.
  size_t meta_capacity;
} fl_output;

// How a reader takes part. Set all of it to zero, then what you need.
typedef struct fl_reader_options {
  // The ring to take frames from.
  const char *ring;
  // The readers that share the frames, each of which goes to one of them; NULL for "reader". The
  // frames of a lossless ring wait for a group even when it has no reader any more, until
  // `framelane forget RING GROUP`.
  const char *group;
  // Drops frames that are older than this, in milliseconds; 0 for none.
  uint32_t max_age_ms;
  // Which frames it takes: 0 for those of its group as they come, which behind several workers is
  // not in order, FL_TAKE_ORDERED or FL_TAKE_NEWEST.
  uint32_t take;
} fl_reader_options;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// Says what went wrong in this thread's last call that failed, in one line. Never NULL; empty as
// long as nothing has failed. The text stays valid until another call fails in this thread.
const char *fl_last_error(void);

// Says what an fl_status means. Never NULL.
const char *fl_status_text(int status);

// The version of the library, such as "0.1.0".
const char *fl_version(void);

// Takes a place as a worker, as soon as there is an input ring. FL_TIMED_OUT: not yet, call again.
// FL_ENDED: this worker comes too late, the stream is over. `*worker` is NULL unless it is FL_OK.
//
// Safety:
// `options` is NULL or leads to options, whose texts are NULL or end with a zero; `worker` is NULL
// or leads to room for a pointer.
enum fl_status fl_worker_open(const struct fl_worker_options *options,
                              uint32_t timeout_ms,
                              struct fl_worker **worker);

// Claims the oldest frame that waits for a worker, and shows it in `*frame`. A worker has one job
// at a time: finish it before the next claim. `*job` is NULL unless it is FL_OK; it belongs to the
// worker, and is good until the worker is closed. Frames that kill every worker that touches them
// are passed on in here, and never seen.
//
// Safety:
// `worker` is NULL or an open worker; `job` and `frame` are NULL or lead to room for them.
enum fl_status fl_worker_claim(struct fl_worker *worker,
                               uint32_t timeout_ms,
                               struct fl_job **job,
                               struct fl_frame *frame);

// Gives back the job in hand, if there is one, leaves both rings, and frees the worker. NULL is
// allowed.
//
// Safety:
// `worker` is NULL or an open worker that no other call is using; neither it nor its job may be
// used again.
void fl_worker_close(struct fl_worker *worker);

// Takes a slot of the output ring for a job, and shows it in `*output`. FL_TIMED_OUT: there is no
// room yet, the job stays in hand; FL_ENDED: that, and the rings' users are asked to stop. Called
// again, it shows the same slot.
//
// Safety:
// `job` is NULL or a job of an open worker; `output` is NULL or leads to room for it.
enum fl_status fl_job_acquire(struct fl_job *job, uint32_t timeout_ms, struct fl_output *output);

// Publishes the slot that was acquired, with this much metadata, and then releases the input, whose
// own metadata goes no further unless it was copied. The job is finished, unless it is
// FL_OUT_OF_TURN, FL_BUSY or FL_TOO_LARGE; after any other failure its frame has gone back for
// another worker.
//
// Safety:
// `job` is NULL or a job of an open worker.
enum fl_status fl_job_publish(struct fl_job *job, size_t meta_len);

// Passes the input on as it is, metadata included, marked as unprocessed, through the slot that was
// acquired, if there is one. The job is finished, unless it is FL_OUT_OF_TURN, FL_BUSY, or there was no
// room: FL_TIMED_OUT, or FL_ENDED when the rings' users are asked to stop. After any other failure its
// frame has gone back for another worker.
//
// Safety:
// `job` is NULL or a job of an open worker.
enum fl_status fl_job_forward(struct fl_job *job,
                              uint32_t timeout_ms);

// Finishes a job without an output: readers of the output ring won't wait for this frame.
//
// Safety:
// `job` is NULL or a job of an open worker.
enum fl_status fl_job_skip(struct fl_job *job);

// Puts the frame back for another worker, or for this one's next claim. That is no failure: it may
// come again without end.
//
// Safety:
// `job` is NULL or a job of an open worker.
enum fl_status fl_job_give_back(struct fl_job *job);

// Puts the frame back because it can't be processed here. One that has failed three times is passed
// on as it is, or dropped where frames may be lost.
//
// Safety:
// `job` is NULL or a job of an open worker.
enum fl_status fl_job_fail(struct fl_job *job);

// Takes a place as a reader, as soon as there is a ring. FL_TIMED_OUT: not yet, call again.
// `*reader` is NULL unless it is FL_OK.
//
// Safety:
// `options` is NULL or leads to options, whose texts are NULL or end with a zero; `reader` is NULL
// or leads to room for a pointer.
enum fl_status fl_reader_open(const struct fl_reader_options *options,
                              uint32_t timeout_ms,
                              struct fl_reader **reader);

// Claims the next of the frames that the reader takes, and shows it in `*frame`. A reader holds one
// frame at a time.
//
// Safety:
// `reader` is NULL or an open reader; `frame` is NULL or leads to room for it.
enum fl_status fl_reader_claim(struct fl_reader *reader,
                               uint32_t timeout_ms,
                               struct fl_frame *frame);

// Releases the frame in hand: this group is done with it.
//
// Safety:
// `reader` is NULL or an open reader.
enum fl_status fl_reader_release(struct fl_reader *reader);

// Puts the frame in hand back for another reader of the group.
//
// Safety:
// `reader` is NULL or an open reader.
enum fl_status fl_reader_give_back(struct fl_reader *reader);

// Puts the frame in hand back because it can't be processed here. One that has failed three times
// is dropped.
//
// Safety:
// `reader` is NULL or an open reader.
enum fl_status fl_reader_fail(struct fl_reader *reader);

// Gives back the frame in hand, if there is one, leaves the ring, and frees the reader. NULL is
// allowed.
//
// Safety:
// `reader` is NULL or an open reader that no other call is using; it may not be used again.
void fl_reader_close(struct fl_reader *reader);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* FRAMELANE_H */
