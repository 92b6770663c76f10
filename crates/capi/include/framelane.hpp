// Framelane for C++17: the C interface with owners and exceptions. Header-only; link libframelane.
//
//   framelane::Worker worker({"cam1.in", "cam1.out"});
//   while (auto job = worker.claim()) {
//     auto out = job->acquire();
//     if (!out) break;
//     model(job->frame().data, out->data);
//     job->publish();
//   }
//
// Owners are move-only. A Job that is destroyed unfinished gives its frame back to the other workers;
// by an exception, that counts as a failure of the frame, so that a bad one does not go round for
// ever. A Worker that is destroyed leaves both rings. A Job must not outlive its Worker, nor be used
// by two threads at once.

#ifndef FRAMELANE_HPP
#define FRAMELANE_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include "framelane.h"

namespace framelane {

using Frame = fl_frame;
using Output = fl_output;
using Milliseconds = std::chrono::duration<std::uint32_t, std::milli>;

// A call that failed: its status, and fl_last_error() as what().
class Error : public std::runtime_error {
 public:
  explicit Error(fl_status status) : std::runtime_error(words(status)), status_(status) {}
  fl_status status() const noexcept { return status_; }

 private:
  static std::string words(fl_status status) {
    return std::string(fl_status_text(status)) + ": " + fl_last_error();
  }
  fl_status status_;
};

// Asked between waits, which last 100 ms: true ends the waiting. Look at your signals in here.
using Stop = std::function<bool()>;

namespace detail {

constexpr std::uint32_t kStepMs = 100;

inline void check(fl_status status) {
  if (status != FL_OK) throw Error(status);
}

// Repeats a wait until it brings something, the stream ends, or `stop` says so.
template <typename Wait>
bool wait(const Stop &stop, Wait step) {
  while (!(stop && stop())) {
    fl_status status = step();
    if (status == FL_TIMED_OUT) continue;
    if (status == FL_ENDED) return false;
    check(status);
    return true;
  }
  return false;
}

}  // namespace detail

// A frame in the hands of a worker. Finish it by publish, forward, skip, give_back or fail.
class Job {
 public:
  Job(Job &&other) noexcept
      : job_(std::exchange(other.job_, nullptr)),
        frame_(other.frame_),
        stop_(other.stop_),
        exceptions_(other.exceptions_) {}
  Job &operator=(Job &&other) noexcept {
    if (this != &other) {
      drop();
      job_ = std::exchange(other.job_, nullptr);
      frame_ = other.frame_;
      stop_ = other.stop_;
      exceptions_ = other.exceptions_;
    }
    return *this;
  }
  Job(const Job &) = delete;
  Job &operator=(const Job &) = delete;
  ~Job() { drop(); }

  // The input. Its addresses end with the job.
  const Frame &frame() const noexcept { return frame_; }

  // Takes a slot of the output ring; none when asked to stop before there was room.
  std::optional<Output> acquire() {
    Output output;
    auto step = [&] { return fl_job_acquire(job_, detail::kStepMs, &output); };
    if (!detail::wait(*stop_, step)) return std::nullopt;
    return output;
  }

  // Publishes the slot that was acquired, and then releases the input.
  void publish(std::size_t meta_len = 0) {
    fl_status status = fl_job_publish(job_, meta_len);
    finish(status, status == FL_TOO_LARGE);
  }

  // Passes the input on as it is; false when asked to stop before there was room.
  bool forward() {
    while (!(*stop_ && (*stop_)())) {
      fl_status status = fl_job_forward(job_, detail::kStepMs);
      if (status == FL_TIMED_OUT) continue;
      if (status == FL_ENDED) return false;
      finish(status);
      return true;
    }
    return false;
  }

  // Finishes the job without an output: nobody waits for this frame.
  void skip() { finish(fl_job_skip(job_)); }

  // Puts the frame back for another worker.
  void give_back() { finish(fl_job_give_back(job_)); }

  // The same, because it can't be processed here: after three failures it is passed on as it is.
  void fail() { finish(fl_job_fail(job_)); }

 private:
  friend class Worker;
  Job(fl_job *job, const Frame &frame, std::shared_ptr<const Stop> stop)
      : job_(job), frame_(frame), stop_(std::move(stop)) {}
  // Lets go of a job that has ended, so that the worker's next one is never mistaken for it.
  void finish(fl_status status, bool kept = false) {
    if (!kept && status != FL_BUSY && status != FL_OUT_OF_TURN) job_ = nullptr;
    detail::check(status);
  }
  void drop() noexcept {
    if (job_ == nullptr) return;
    fl_job *job = std::exchange(job_, nullptr);
    std::uncaught_exceptions() > exceptions_ ? fl_job_fail(job) : fl_job_give_back(job);
  }

  fl_job *job_;
  Frame frame_;
  std::shared_ptr<const Stop> stop_;
  // How many exceptions were on their way when the frame was claimed.
  int exceptions_ = std::uncaught_exceptions();
};

// How a worker takes part; see fl_worker_options.
struct WorkerOptions {
  std::string from;
  std::string to;
  std::string group = "worker";
  std::uint32_t slots = 0;
  fl_pixel_format output_format = FL_NO_PICTURE;
  std::uint32_t output_width = 0;
  std::uint32_t output_height = 0;
};

// A place in both rings.
class Worker {
 public:
  // Waits until there is an input ring. When the stream is over already, or `stop` says so, there is
  // nothing to claim.
  explicit Worker(const WorkerOptions &options, Stop stop = {})
      : stop_(std::make_shared<const Stop>(std::move(stop))) {
    fl_worker_options plain = {};
    plain.from = options.from.c_str();
    plain.to = options.to.c_str();
    plain.group = options.group.c_str();
    plain.slots = options.slots;
    plain.output_format = options.output_format;
    plain.output_width = options.output_width;
    plain.output_height = options.output_height;
    fl_worker *worker = nullptr;
    detail::wait(*stop_, [&] { return fl_worker_open(&plain, detail::kStepMs, &worker); });
    worker_.reset(worker);
  }

  // Claims the next frame; none when the stream has ended, or when asked to stop.
  std::optional<Job> claim() {
    fl_job *job = nullptr;
    Frame frame;
    auto step = [&] { return fl_worker_claim(worker_.get(), detail::kStepMs, &job, &frame); };
    if (!worker_ || !detail::wait(*stop_, step)) return std::nullopt;
    return Job(job, frame, stop_);
  }

 private:
  struct Close {
    void operator()(fl_worker *worker) const noexcept { fl_worker_close(worker); }
  };
  std::shared_ptr<const Stop> stop_;
  std::unique_ptr<fl_worker, Close> worker_;
};

// How a reader takes part; see fl_reader_options.
struct ReaderOptions {
  std::string ring;
  std::string group = "reader";
  std::uint32_t max_age_ms = 0;
  // 0, FL_TAKE_ORDERED or FL_TAKE_NEWEST.
  std::uint32_t take = 0;
};

// A place in one ring, to read its frames.
class Reader {
 public:
  // Waits until there is a ring, or `stop` says so.
  explicit Reader(const ReaderOptions &options, Stop stop = {}) : stop_(std::move(stop)) {
    fl_reader_options plain = {};
    plain.ring = options.ring.c_str();
    plain.group = options.group.c_str();
    plain.max_age_ms = options.max_age_ms;
    plain.take = options.take;
    fl_reader *reader = nullptr;
    detail::wait(stop_, [&] { return fl_reader_open(&plain, detail::kStepMs, &reader); });
    reader_.reset(reader);
  }

  // Calls `look` with the next frame, and releases it; the frame counts as failed when `look` throws.
  // False when the stream has ended, or when asked to stop.
  template <typename Look>
  bool next(Look look) {
    Frame frame;
    auto step = [&] { return fl_reader_claim(reader_.get(), detail::kStepMs, &frame); };
    if (!reader_ || !detail::wait(stop_, step)) return false;
    try {
      look(static_cast<const Frame &>(frame));
    } catch (...) {
      fl_reader_fail(reader_.get());
      throw;
    }
    detail::check(fl_reader_release(reader_.get()));
    return true;
  }

 private:
  struct Close {
    void operator()(fl_reader *reader) const noexcept { fl_reader_close(reader); }
  };
  Stop stop_;
  std::unique_ptr<fl_reader, Close> reader_;
};

}  // namespace framelane

#endif  // FRAMELANE_HPP
