// What an input is to the functions of libav.h.
//
// An input is used by one thread at a time. A function that fails returns a negative AVERROR and
// has logged why; the input can only be closed then. Where the program ffmpeg does something by
// itself that the libraries leave to their user, it is done here, too.

#include <stdbool.h>

#include <libavcodec/avcodec.h>
#include <libavfilter/avfilter.h>
#include <libavformat/avformat.h>

#include "libav.h"

struct framelane_input {
    AVFormatContext *container;
    AVCodecContext *decoder;
    AVFilterGraph *graph;
    AVFilterContext *from, *to; // the graph's ends
    AVDictionary *options;         // what the container did not take
    AVDictionary *decoder_options; // all of them, for the decoder to take what it knows
    char *filters;
    AVPacket *packet;
    AVFrame *decoded, *picture;
    int video, audio;                   // indices of streams; negative where there is none
    int width, height, pixel_format;    // what the graph was made for
    int out_width, out_height;          // what the first graph makes; 0 before there is one
    enum AVColorSpace matrix;
    enum AVColorRange range;
    int64_t next_pts;                   // in the video stream's time base: when the last frame ends
    int64_t frames, errors;             // how often decoding went well, and how often it did not
    int read_error;
    bool frames_ended, with_audio;
};

// Logs an error, and returns it.
int framelane_fail(int error, const char *what);
