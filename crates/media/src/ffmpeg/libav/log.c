// What ffmpeg's libraries say, as lines like those of `ffmpeg -loglevel level+info`, in a pipe.

#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include <libavutil/log.h>

#include "libav.h"

static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static int log_fd = -1;

static void write_log(void *object, int level, const char *format, va_list arguments) {
    static int at_line_start = 1;
    char line[1024];
    if (level > AV_LOG_INFO) return;
    pthread_mutex_lock(&log_lock);
    int length = av_log_format_line2(object, level, format, arguments, line, sizeof line, &at_line_start);
    if (length >= (int)sizeof line) {
        length = sizeof line - 1;
        line[length - 1] = '\n';
        at_line_start = 1;
    }
    for (char *byte = line; *byte; byte++) {
        // As ffmpeg does: what comes from a stream may not steer a terminal.
        if ((unsigned char)*byte < ' ' && !strchr("\t\n\r", *byte)) *byte = '?';
    }
    if (log_fd >= 0 && length > 0) {
        // A pipe that is full loses a line: nothing may wait for a log.
        ssize_t ignored = write(log_fd, line, length);
        (void)ignored;
    }
    pthread_mutex_unlock(&log_lock);
}

void framelane_log_to(int fd) {
    pthread_mutex_lock(&log_lock);
    log_fd = fd;
    pthread_mutex_unlock(&log_lock);
    av_log_set_flags(AV_LOG_PRINT_LEVEL);
    av_log_set_callback(write_log);
}
