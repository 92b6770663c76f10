// A worker in C: makes a negative of each rgb24 frame, as `worker --op invert` does. On SIGTERM and
// SIGINT it finishes the frame in hand and stops.
//
//   cargo build --release -p framelane-capi --lib
//   cc -std=c11 -O2 -Wall -Wextra -I crates/capi/include crates/capi/examples/invert.c
//      target/release/libframelane.a -lpthread -ldl -lm -o invert
//   ./invert --from cam1.in --to cam1.out

#define _POSIX_C_SOURCE 200809L

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "framelane.h"

// How long one wait lasts before a signal is looked for.
#define PATIENCE_MS 100

static volatile sig_atomic_t stop;

static void on_signal(int signal) {
  (void)signal;
  stop = 1;
}

// Makes the negative. Whatever is no rgb24 is passed on as it is. FL_TIMED_OUT: there was no room in
// the output ring, the job is still in hand.
static fl_status invert(fl_job *job, const fl_frame *frame) {
  if (frame->format != FL_RGB24) return fl_job_forward(job, PATIENCE_MS);
  fl_output output;
  fl_status status = fl_job_acquire(job, PATIENCE_MS, &output);
  if (status != FL_OK) return status;
  for (size_t at = 0; at < frame->len; at++) output.data[at] = (uint8_t)(255 - frame->data[at]);
  return fl_job_publish(job, 0);
}

// Works until the stream ends or a signal comes. What is in hand then goes to another worker when
// this one is closed.
static fl_status work(fl_worker *worker) {
  while (!stop) {
    fl_job *job;
    fl_frame frame;
    fl_status status = fl_worker_claim(worker, PATIENCE_MS, &job, &frame);
    if (status == FL_TIMED_OUT) continue;
    if (status != FL_OK) return status;
    do status = invert(job, &frame);
    while (status == FL_TIMED_OUT && !stop);
    if (status != FL_OK) return status;
  }
  return FL_OK;
}

int main(int argc, char **argv) {
  fl_worker_options options = {0};
  for (int at = 1; at + 1 < argc; at += 2) {
    if (strcmp(argv[at], "--from") == 0) options.from = argv[at + 1];
    if (strcmp(argv[at], "--to") == 0) options.to = argv[at + 1];
  }
  struct sigaction action = {.sa_handler = on_signal};
  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGINT, &action, NULL);

  fl_worker *worker = NULL;
  fl_status status;
  do status = fl_worker_open(&options, PATIENCE_MS, &worker);
  while (status == FL_TIMED_OUT && !stop);
  if (status == FL_OK) status = work(worker);
  fl_worker_close(worker);
  if (status == FL_OK || status == FL_ENDED || status == FL_TIMED_OUT) return 0;
  fprintf(stderr, "invert: %s: %s\n", fl_status_text(status), fl_last_error());
  return 1;
}
