// A worker that forks with a frame in hand. Checks that the child has no part in the rings, and that
// the parent, which copies that one frame, is not harmed. Exits with the line that went wrong.

#define _POSIX_C_SOURCE 200809L

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "framelane.h"

#define LONG_MS 20000

// Exits with the line, which is below 256.
#define CHECK(claim)                 \
  do {                               \
    if (!(claim)) _exit(__LINE__);   \
  } while (0)

static bool is_black(const fl_frame *frame) {
  for (size_t at = 0; at < frame->len; at++) {
    if (frame->data[at] != 0) return false;
  }
  return true;
}

static void be_the_child(fl_worker *worker, fl_job *job, const fl_frame *frame) {
  fl_output output;
  fl_frame other;
  CHECK(is_black(frame));
  CHECK(fl_job_acquire(job, 0, &output) == FL_LOST);
  CHECK(strstr(fl_last_error(), "fork") != NULL);
  CHECK(fl_job_forward(job, 0) == FL_LOST);
  CHECK(fl_worker_claim(worker, 0, &job, &other) == FL_LOST);
  fl_worker_close(worker);
  _exit(0);
}

int main(int argc, char **argv) {
  CHECK(argc == 5);
  fl_worker_options options = {.from = argv[2], .to = argv[4]};
  fl_worker *worker;
  fl_job *job;
  fl_frame frame;
  fl_output output;
  CHECK(fl_worker_open(&options, LONG_MS, &worker) == FL_OK);
  CHECK(fl_worker_claim(worker, LONG_MS, &job, &frame) == FL_OK);
  CHECK(!is_black(&frame));
  pid_t child = fork();
  if (child == 0) be_the_child(worker, job, &frame);
  int status = -1;
  CHECK(waitpid(child, &status, 0) == child);
  if (status != 0) return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
  CHECK(!is_black(&frame));
  CHECK(fl_job_acquire(job, LONG_MS, &output) == FL_OK);
  memcpy(output.data, frame.data, frame.len);
  CHECK(fl_job_publish(job, 0) == FL_OK);
  fl_worker_close(worker);
  return 0;
}
