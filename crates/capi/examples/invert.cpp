// The worker of invert.c in C++: makes a negative of each frame. Whatever it throws gives the frame
// in hand back to another worker.
//
//   cargo build --release -p framelane-capi --lib
//   c++ -std=c++17 -O2 -Wall -Wextra -I crates/capi/include crates/capi/examples/invert.cpp
//       -L target/release -lframelane -Wl,-rpath,$PWD/target/release -o invert
//   ./invert --from cam1.in --to cam1.out

#include "framelane.hpp"

#include <algorithm>
#include <csignal>
#include <exception>
#include <iostream>
#include <string_view>

namespace {

volatile std::sig_atomic_t stop = 0;

void on_signal(int) { stop = 1; }

void work(const framelane::WorkerOptions &options) {
  framelane::Worker worker(options, [] { return stop != 0; });
  while (auto job = worker.claim()) {
    const framelane::Frame &frame = job->frame();
    if (frame.format != FL_RGB24) {
      if (!job->forward()) return;
      continue;
    }
    const auto output = job->acquire();
    if (!output) return;
    std::transform(frame.data, frame.data + frame.len, output->data,
                   [](std::uint8_t sample) { return static_cast<std::uint8_t>(255 - sample); });
    job->publish();
  }
}

}  // namespace

int main(int argc, char **argv) {
  framelane::WorkerOptions options;
  for (int at = 1; at + 1 < argc; at += 2) {
    if (std::string_view(argv[at]) == "--from") options.from = argv[at + 1];
    if (std::string_view(argv[at]) == "--to") options.to = argv[at + 1];
  }
  std::signal(SIGTERM, on_signal);
  std::signal(SIGINT, on_signal);
  try {
    work(options);
  } catch (const std::exception &error) {
    std::cerr << "invert: " << error.what() << '\n';
    return 1;
  }
}
