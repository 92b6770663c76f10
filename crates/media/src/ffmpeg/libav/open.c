// Opens inputs, says what is in them, and closes them.

#include <string.h>

#include <libavutil/avstring.h>
#include <libavutil/display.h>
#include <libavutil/pixdesc.h>

#include "input.h"

int framelane_fail(int error, const char *what) {
    char text[AV_ERROR_MAX_STRING_SIZE];
    av_log(NULL, AV_LOG_ERROR, "%s: %s\n", what, av_make_error_string(text, sizeof text, error));
    return error;
}

static int first_stream(AVFormatContext *container, enum AVMediaType type) {
    for (unsigned i = 0; i < container->nb_streams; i++) {
        AVStream *stream = container->streams[i];
        bool cover = stream->disposition & AV_DISPOSITION_ATTACHED_PIC;
        if (stream->codecpar->codec_type == type && !cover) return i;
    }
    return -1;
}

int framelane_open(struct framelane_input **out, const char *url, const char *const *options,
                   int (*interrupt)(void *), void *interrupted) {
    struct framelane_input *input = av_mallocz(sizeof *input);
    if (!input) return AVERROR(ENOMEM);
    *out = input;
    if (avformat_version() >> 16 != LIBAVFORMAT_VERSION_MAJOR ||
        avcodec_version() >> 16 != LIBAVCODEC_VERSION_MAJOR ||
        avfilter_version() >> 16 != LIBAVFILTER_VERSION_MAJOR ||
        avutil_version() >> 16 != LIBAVUTIL_VERSION_MAJOR)
        return framelane_fail(AVERROR_BUG, "built for another version of ffmpeg's libraries");
    input->video = input->audio = -1;
    input->container = avformat_alloc_context();
    input->packet = av_packet_alloc();
    input->decoded = av_frame_alloc();
    input->picture = av_frame_alloc();
    if (!input->container || !input->packet || !input->decoded || !input->picture)
        return framelane_fail(AVERROR(ENOMEM), url);
    input->container->interrupt_callback = (AVIOInterruptCB){interrupt, interrupted};
    // The type of the format is const since 5.0.
    void *format = NULL;
    for (; *options; options += 2) {
        if (!strcmp(options[0], "f")) {
            format = (void *)av_find_input_format(options[1]);
            if (!format) {
                av_log(NULL, AV_LOG_ERROR, "Unknown input format: '%s'\n", options[1]);
                return AVERROR(EINVAL);
            }
        } else if (av_dict_set(&input->options, options[0], options[1], 0) < 0) {
            return framelane_fail(AVERROR(ENOMEM), url);
        }
    }
    if (av_dict_copy(&input->decoder_options, input->options, 0) < 0) return framelane_fail(AVERROR(ENOMEM), url);
    // Transport streams may describe a program in several tables.
    av_dict_set(&input->options, "scan_all_pmts", "1", AV_DICT_DONT_OVERWRITE);
    int error = avformat_open_input(&input->container, url, format, &input->options);
    if (error < 0) return framelane_fail(error, url);
    av_dict_set(&input->options, "scan_all_pmts", NULL, 0);
    error = avformat_find_stream_info(input->container, NULL);
    if (error < 0) return framelane_fail(error, url);
    input->video = first_stream(input->container, AVMEDIA_TYPE_VIDEO);
    input->audio = first_stream(input->container, AVMEDIA_TYPE_AUDIO);
    return 0;
}

void framelane_close(struct framelane_input *input) {
    if (!input) return;
    avfilter_graph_free(&input->graph);
    avcodec_free_context(&input->decoder);
    avformat_close_input(&input->container);
    av_dict_free(&input->options);
    av_dict_free(&input->decoder_options);
    av_packet_free(&input->packet);
    av_frame_free(&input->decoded);
    av_frame_free(&input->picture);
    av_freep(&input->filters);
    av_free(input);
}

static void set_name(framelane_name out, const char *name) {
    av_strlcpy(out, name ? name : "", sizeof(framelane_name));
}

static const int32_t *display_matrix(const AVStream *stream) {
#if LIBAVCODEC_VERSION_INT >= AV_VERSION_INT(60, 31, 102)
    const AVPacketSideData *data =
        av_packet_side_data_get(stream->codecpar->coded_side_data,
                                stream->codecpar->nb_coded_side_data, AV_PKT_DATA_DISPLAYMATRIX);
    return data ? (const int32_t *)data->data : NULL;
#else
    return (const int32_t *)av_stream_get_side_data(stream, AV_PKT_DATA_DISPLAYMATRIX, NULL);
#endif
}

static void describe_video(AVFormatContext *container, AVStream *stream,
                           struct framelane_description *out) {
    const AVCodecParameters *parameters = stream->codecpar;
    set_name(out->video_codec, avcodec_get_name(parameters->codec_id));
    out->width = parameters->width;
    out->height = parameters->height;
    set_name(out->pixel_format, av_get_pix_fmt_name(parameters->format));
    set_name(out->range, av_color_range_name(parameters->color_range));
    set_name(out->matrix, av_color_space_name(parameters->color_space));
    set_name(out->primaries, av_color_primaries_name(parameters->color_primaries));
    set_name(out->transfer, av_color_transfer_name(parameters->color_trc));
    out->interlaced = parameters->field_order > AV_FIELD_PROGRESSIVE;
    const int32_t *matrix = display_matrix(stream);
    if (matrix) {
        memcpy(out->display_matrix, matrix, sizeof out->display_matrix);
        out->rotation = av_display_rotation_get(matrix);
    }
    AVRational rate = stream->avg_frame_rate.num ? stream->avg_frame_rate : stream->r_frame_rate;
    AVRational aspect = av_guess_sample_aspect_ratio(container, stream, NULL);
    out->frame_rate[0] = rate.num, out->frame_rate[1] = rate.den;
    out->sample_aspect[0] = aspect.num, out->sample_aspect[1] = aspect.den;
}

static void describe_audio(const AVStream *stream, struct framelane_description *out) {
    const AVCodecParameters *parameters = stream->codecpar;
    const AVOutputFormat *nut = av_guess_format("nut", NULL, NULL);
    set_name(out->audio_codec, avcodec_get_name(parameters->codec_id));
    out->audio_tag = nut ? av_codec_get_tag(nut->codec_tag, parameters->codec_id) : 0;
    out->sample_rate = parameters->sample_rate;
#if LIBAVCODEC_VERSION_INT >= AV_VERSION_INT(59, 24, 100)
    out->channels = parameters->ch_layout.nb_channels;
#else
    out->channels = parameters->channels;
#endif
    out->codec_specific = parameters->extradata;
    out->codec_specific_bytes = parameters->extradata_size;
}

void framelane_describe(struct framelane_input *input, struct framelane_description *out) {
    AVFormatContext *container = input->container;
    *out = (struct framelane_description){0};
    if (input->video >= 0) describe_video(container, container->streams[input->video], out);
    if (input->audio >= 0) describe_audio(container->streams[input->audio], out);
}

void framelane_audio_codec(struct framelane_input *input, framelane_name out) {
    // Not `input->audio`: that of a live stream may have turned up since.
    int audio = first_stream(input->container, AVMEDIA_TYPE_AUDIO);
    AVStream *stream = audio < 0 ? NULL : input->container->streams[audio];
    set_name(out, stream ? avcodec_get_name(stream->codecpar->codec_id) : "");
}
