// What Framelane needs of libavformat, libavcodec and libavfilter, from ffmpeg 4.4 on, as few
// functions over one type. The structures of these libraries differ from version to version, so only
// a compiler that reads their headers can use them: that is why this is C. sys.rs says the same in
// Rust.

#include <stdint.h>

#define FRAMELANE_PLANES 4

struct framelane_input;

// Room for a name of libav's; the longest has 34 bytes.
typedef char framelane_name[48];

// Names that are empty and numbers that are 0 are unknown.
struct framelane_description {
    const uint8_t *codec_specific; // as long as the input is open
    framelane_name video_codec, pixel_format, range, matrix, primaries, transfer;
    framelane_name audio_codec;
    double rotation; // as av_display_rotation_get counts it: degrees counter-clockwise
    int32_t display_matrix[9];
    int32_t width, height, interlaced;
    int32_t frame_rate[2], sample_aspect[2];
    int32_t sample_rate, channels, codec_specific_bytes;
    uint32_t audio_tag; // NUT's
};

enum { FRAMELANE_END, FRAMELANE_PICTURE, FRAMELANE_AUDIO };

// A picture; or a packet of audio, `bytes` long at data[0], valid until the next event; or the end,
// with the error if the input could not be read any further.
struct framelane_event {
    const uint8_t *data[FRAMELANE_PLANES];
    int64_t pts_ns;
    framelane_name pixel_format;
    int32_t stride[FRAMELANE_PLANES];
    int32_t bytes, error;
    int32_t width, height, sample_aspect[2];
};

// Where the lines of all inputs go from now on; -1 is nowhere.
void framelane_log_to(int fd);
// Opens an input and looks what is in it. `options` are names and values in turn, and NULL. Whatever
// waits fails as soon as `interrupt` says so. What is in `out` is to be closed in any case.
int framelane_open(struct framelane_input **out, const char *url, const char *const *options,
                   int (*interrupt)(void *), void *interrupted);
void framelane_close(struct framelane_input *input);
// What is in the input.
void framelane_describe(struct framelane_input *input, struct framelane_description *out);
// The codec of the audio that there is by now.
void framelane_audio_codec(struct framelane_input *input, framelane_name out);
// Opens the decoder of the video, which there has to be. Pictures go through `filters`.
int framelane_start(struct framelane_input *input, const char *filters, int with_audio);
// The next picture, packet of audio, or the end.
int framelane_next(struct framelane_input *input, struct framelane_event *out);
