// Checks the owners of framelane.hpp around a whole stream: frames that are dropped, moved, refused
// or thrown over come back, and every frame is passed on and read. Prints how many; exits with the
// line that went wrong.

#include "framelane.hpp"

#include <iostream>
#include <type_traits>

// Exits with the line, which is below 256.
#define CHECK(claim)              \
  do {                            \
    if (!(claim)) return __LINE__; \
  } while (0)

namespace {

template <typename Owner>
constexpr bool moves_only =
    std::is_move_constructible_v<Owner> && !std::is_copy_constructible_v<Owner>;
static_assert(moves_only<framelane::Job>);
static_assert(moves_only<framelane::Worker>);
static_assert(moves_only<framelane::Reader>);

// What a call throws; FL_OK when it throws nothing.
template <typename Call>
fl_status thrown_by(Call call) {
  try {
    call();
  } catch (const framelane::Error &error) {
    return error.status();
  }
  return FL_OK;
}

int refusals(const char *from, const char *to) {
  CHECK(thrown_by([&] { framelane::Worker({from, from}); }) == FL_BAD_ARGUMENT);
  CHECK(thrown_by([&] { framelane::Reader({"no/ring"}); }) == FL_BAD_ARGUMENT);
  framelane::Worker stopped({from, to}, [] { return true; });
  CHECK(!stopped.claim());
  return 0;
}

int one_frame_comes_back(framelane::Worker &worker) {
  try {
    auto job = worker.claim();
    job->acquire();
    throw 1;
  } catch (int) {
  }
  auto job = worker.claim();
  CHECK(job && job->frame().seq == 0);
  CHECK(thrown_by([&] { job->publish(); }) == FL_OUT_OF_TURN);
  framelane::Job moved = std::move(*job);
  CHECK(thrown_by([&] { job->skip(); }) == FL_BAD_ARGUMENT);
  CHECK(moved.acquire() && thrown_by([&] { moved.publish(1 << 30); }) == FL_TOO_LARGE);
  moved.give_back();
  auto next = worker.claim();
  moved = std::move(*next);
  CHECK(moved.frame().seq == 0 && moved.forward());
  return 0;
}

int one_frame_is_thrown_over(framelane::Reader &reader) {
  try {
    reader.next([](const framelane::Frame &) { throw 1; });
    return __LINE__;
  } catch (int) {
  }
  bool unprocessed = false;
  CHECK(reader.next([&](const framelane::Frame &frame) { unprocessed = frame.unprocessed; }));
  CHECK(unprocessed);
  return 0;
}

int a_frame_that_throws_is_passed_on(framelane::Worker &worker, framelane::Reader &reader) {
  for (int failures = 0; failures < 3; ++failures) {
    try {
      auto job = worker.claim();
      CHECK(job && job->frame().seq == 1);
      throw 1;
    } catch (int) {
    }
  }
  auto job = worker.claim();
  CHECK(job && job->frame().seq == 2);
  bool is_original = false;
  CHECK(reader.next([&](const framelane::Frame &frame) {
    is_original = frame.seq == 1 && frame.unprocessed;
  }));
  CHECK(is_original);
  return 0;
}

}  // namespace

int main(int argc, char **argv) {
  CHECK(argc == 5);
  if (int line = refusals(argv[2], argv[4])) return line;
  framelane::Worker first({argv[2], argv[4]});
  framelane::Worker worker = std::move(first);
  framelane::Reader reader({argv[4]});
  if (int line = one_frame_comes_back(worker)) return line;
  if (int line = one_frame_is_thrown_over(reader)) return line;
  if (int line = a_frame_that_throws_is_passed_on(worker, reader)) return line;
  std::uint64_t wanted = 2;
  while (auto job = worker.claim()) {
    CHECK(job->forward());
    std::uint64_t seq = 0;
    CHECK(reader.next([&](const framelane::Frame &frame) { seq = frame.seq; }));
    CHECK(seq == wanted++);
  }
  CHECK(!reader.next([](const framelane::Frame &) {}));
  std::cout << wanted;
  return 0;
}
