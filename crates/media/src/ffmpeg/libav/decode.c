// Decodes the video of an input, filters its pictures, and passes on its packets of audio.

#include <stdio.h>

#include <libavfilter/buffersink.h>
#include <libavfilter/buffersrc.h>
#include <libavutil/avstring.h>
#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>
#include <libavutil/time.h>

#include "input.h"

#define NANOSECONDS ((AVRational){1, 1000000000})

// Whether an option was taken by nobody, and is none of another decoder, protocol or container.
static bool is_unknown(struct framelane_input *input, const char *key) {
    const AVClass *classes[] = {avcodec_get_class(), avformat_get_class()};
    if (!av_dict_get(input->options, key, NULL, AV_DICT_MATCH_CASE)) return false;
    for (int i = 0; i < 2; i++) {
        int search = AV_OPT_SEARCH_CHILDREN | AV_OPT_SEARCH_FAKE_OBJ;
        if (av_opt_find(&classes[i], key, NULL, 0, search)) return false;
    }
    return true;
}

int framelane_start(struct framelane_input *input, const char *filters, int with_audio) {
    if (input->video < 0 || input->decoder) return framelane_fail(AVERROR(EINVAL), "starting a decoder");
    AVStream *stream = input->container->streams[input->video];
    const AVCodec *codec = avcodec_find_decoder(stream->codecpar->codec_id);
    if (!codec) return framelane_fail(AVERROR_DECODER_NOT_FOUND, avcodec_get_name(stream->codecpar->codec_id));
    input->filters = av_strdup(filters);
    input->decoder = avcodec_alloc_context3(codec);
    if (!input->filters || !input->decoder) return framelane_fail(AVERROR(ENOMEM), codec->name);
    int error = avcodec_parameters_to_context(input->decoder, stream->codecpar);
    if (error < 0) return framelane_fail(error, codec->name);
    input->decoder->pkt_timebase = stream->time_base;
    input->decoder->framerate = stream->avg_frame_rate;
    av_dict_set(&input->decoder_options, "threads", "auto", AV_DICT_DONT_OVERWRITE);
    error = avcodec_open2(input->decoder, codec, &input->decoder_options);
    if (error < 0) return framelane_fail(error, codec->name);
    const AVDictionaryEntry *left = NULL;
    while ((left = av_dict_get(input->decoder_options, "", left, AV_DICT_IGNORE_SUFFIX)))
        if (is_unknown(input, left->key)) return framelane_fail(AVERROR_OPTION_NOT_FOUND, left->key);
    input->with_audio = with_audio && input->audio >= 0;
    for (unsigned i = 0; i < input->container->nb_streams; i++) {
        bool wanted = (int)i == input->video || (input->with_audio && (int)i == input->audio);
        if (!wanted) input->container->streams[i]->discard = AVDISCARD_ALL;
    }
    return 0;
}

// Makes the graph for frames like the one that was decoded last.
static int make_graph(struct framelane_input *input) {
    AVFrame *frame = input->decoded;
    AVStream *stream = input->container->streams[input->video];
    AVRational aspect = av_guess_sample_aspect_ratio(input->container, stream, frame);
    AVRational rate = av_guess_frame_rate(input->container, stream, frame);
    char from[256];
    int length = snprintf(from, sizeof from, "video_size=%dx%d:pix_fmt=%d:time_base=%d/%d:pixel_aspect=%d/%d",
                          frame->width, frame->height, frame->format, stream->time_base.num,
                          stream->time_base.den, aspect.num, FFMAX(aspect.den, 1));
    if (rate.num > 0 && rate.den > 0)
        length += snprintf(from + length, sizeof from - length, ":frame_rate=%d/%d", rate.num, rate.den);
#if LIBAVFILTER_VERSION_INT >= AV_VERSION_INT(10, 0, 100)
    snprintf(from + length, sizeof from - length, ":colorspace=%d:range=%d", frame->colorspace,
             frame->color_range);
#endif
    avfilter_graph_free(&input->graph);
    input->graph = avfilter_graph_alloc();
    AVFilterInOut *start = avfilter_inout_alloc(), *end = avfilter_inout_alloc();
    char *filters = NULL;
    int error = AVERROR(ENOMEM);
    if (!input->graph || !start || !end) goto out;
    // One picture at a time: what can be spared is for models.
    input->graph->nb_threads = 1;
    // For scalers that the graph adds by itself.
    input->graph->scale_sws_opts = av_strdup("flags=bicubic");
    error = avfilter_graph_create_filter(&input->from, avfilter_get_by_name("buffer"), "in", from, NULL,
                                         input->graph);
    if (error < 0) goto out;
    error = avfilter_graph_create_filter(&input->to, avfilter_get_by_name("buffersink"), "out", NULL,
                                         NULL, input->graph);
    if (error < 0) goto out;
    *start = (AVFilterInOut){av_strdup("in"), input->from, 0, NULL};
    *end = (AVFilterInOut){av_strdup("out"), input->to, 0, NULL};
    // Like ffmpeg: pictures keep the size of the first.
    filters = input->out_width ? av_asprintf("%s,scale=%d:%d:flags=bicubic", input->filters,
                                             input->out_width, input->out_height)
                               : av_strdup(input->filters);
    error = filters ? avfilter_graph_parse_ptr(input->graph, filters, &end, &start, NULL) : error;
    if (error < 0) goto out;
    error = avfilter_graph_config(input->graph, NULL);
    if (error < 0) goto out;
    input->out_width = av_buffersink_get_w(input->to);
    input->out_height = av_buffersink_get_h(input->to);
    input->width = frame->width;
    input->height = frame->height;
    input->pixel_format = frame->format;
    input->matrix = frame->colorspace;
    input->range = frame->color_range;
out:
    av_freep(&filters);
    avfilter_inout_free(&start);
    avfilter_inout_free(&end);
    if (error >= 0) return 0;
    avfilter_graph_free(&input->graph);
    return framelane_fail(error, input->filters);
}

// Sends the frame that was decoded last through the graph.
static int filter_frame(struct framelane_input *input) {
    AVFrame *frame = input->decoded;
    AVStream *stream = input->container->streams[input->video];
    AVRational rate = av_guess_frame_rate(input->container, stream, frame);
    // A frame without a time follows the last one at the stream's rate.
    if (frame->best_effort_timestamp != AV_NOPTS_VALUE) input->next_pts = frame->best_effort_timestamp;
    frame->pts = input->next_pts;
    input->next_pts += rate.num > 0 ? av_rescale_q(1, av_inv_q(rate), stream->time_base) : 1;
    bool fits = input->graph && frame->width == input->width && frame->height == input->height &&
                frame->format == input->pixel_format && frame->colorspace == input->matrix &&
                frame->color_range == input->range;
    int error = fits ? 0 : make_graph(input);
    if (error < 0) return error;
    error = av_buffersrc_add_frame(input->from, frame);
    return error < 0 ? framelane_fail(error, input->filters) : 0;
}

// Reads a packet and decodes it; says whether it is a packet of audio, which it then leaves there.
static int read_packet(struct framelane_input *input) {
    AVPacket *packet = input->packet;
    int error = av_read_frame(input->container, packet);
    if (error == AVERROR(EAGAIN)) {
        av_usleep(10000);
        return 0;
    }
    if (error == AVERROR_EXIT) return framelane_fail(error, "reading the input");
    if (error < 0) {
        // An input that can't be read any further ends there.
        if (error != AVERROR_EOF) input->read_error = framelane_fail(error, "reading the input");
        error = avcodec_send_packet(input->decoder, NULL);
        return error < 0 ? framelane_fail(error, "ending the decoder") : 0;
    }
    if (input->with_audio && packet->stream_index == input->audio) {
        if (packet->pts == AV_NOPTS_VALUE) packet->pts = packet->dts;
        if (packet->pts != AV_NOPTS_VALUE) return 1;
    } else if (packet->stream_index == input->video) {
        // What can't be decoded is left out; the decoder has said so.
        if (avcodec_send_packet(input->decoder, packet) < 0) input->errors++;
    }
    av_packet_unref(packet);
    return 0;
}

// Takes a frame from the decoder or, if it has none, gives it more to decode.
static int advance(struct framelane_input *input) {
    int error = avcodec_receive_frame(input->decoder, input->decoded);
    if (error == AVERROR(EAGAIN)) return read_packet(input);
    if (error == 0) {
        input->frames++;
        return filter_frame(input);
    }
    if (error != AVERROR_EOF) {
        input->errors++;
        return 0;
    }
    input->frames_ended = true;
    // Like ffmpeg: an input of which hardly anything could be decoded has failed.
    if (input->errors > 2 * input->frames) return framelane_fail(AVERROR_INVALIDDATA, "decoding");
    if (!input->graph) return 0;
    error = av_buffersrc_close(input->from, input->next_pts, AV_BUFFERSRC_FLAG_PUSH);
    return error < 0 ? framelane_fail(error, input->filters) : 0;
}

// Copies a picture whose rows lie from the last to the first into one where they don't.
static int turn_over(struct framelane_input *input) {
    AVFrame *upright = av_frame_alloc(), *picture = input->picture;
    if (!upright) return AVERROR(ENOMEM);
    upright->width = picture->width;
    upright->height = picture->height;
    upright->format = picture->format;
    int error = av_frame_get_buffer(upright, 0);
    if (error >= 0) error = av_frame_copy(upright, picture);
    if (error >= 0) error = av_frame_copy_props(upright, picture);
    if (error >= 0) {
        av_frame_unref(picture);
        av_frame_move_ref(picture, upright);
    }
    av_frame_free(&upright);
    return error;
}

static int give_audio(struct framelane_input *input, struct framelane_event *out) {
    AVPacket *packet = input->packet;
    AVRational base = input->container->streams[input->audio]->time_base;
    *out = (struct framelane_event){.data = {packet->data}, .bytes = packet->size};
    out->pts_ns = av_rescale_q(packet->pts, base, NANOSECONDS);
    return FRAMELANE_AUDIO;
}

static int give_picture(struct framelane_input *input, struct framelane_event *out) {
    AVFrame *picture = input->picture;
    if (picture->linesize[0] < 0) {
        int error = turn_over(input);
        if (error < 0) return framelane_fail(error, "copying a picture");
    }
    AVRational aspect = av_buffersink_get_sample_aspect_ratio(input->to);
    *out = (struct framelane_event){
        .width = picture->width,
        .height = picture->height,
        .sample_aspect = {aspect.num, aspect.den},
        .pts_ns = av_rescale_q(picture->pts, av_buffersink_get_time_base(input->to), NANOSECONDS),
    };
    const char *format = av_get_pix_fmt_name(picture->format);
    av_strlcpy(out->pixel_format, format ? format : "", sizeof out->pixel_format);
    for (int i = 0; i < FRAMELANE_PLANES; i++) {
        out->data[i] = picture->data[i];
        out->stride[i] = picture->linesize[i];
    }
    return FRAMELANE_PICTURE;
}

int framelane_next(struct framelane_input *input, struct framelane_event *out) {
    if (!input->decoder) return framelane_fail(AVERROR(EINVAL), "decoding");
    AVIOInterruptCB *interrupt = &input->container->interrupt_callback;
    av_packet_unref(input->packet);
    av_frame_unref(input->picture);
    for (;;) {
        if (interrupt->callback(interrupt->opaque)) return framelane_fail(AVERROR_EXIT, "decoding");
        int error = input->frames_ended ? AVERROR_EOF : AVERROR(EAGAIN);
        if (input->graph) error = av_buffersink_get_frame(input->to, input->picture);
        if (error == 0) return give_picture(input, out);
        if (error == AVERROR_EOF) {
            *out = (struct framelane_event){.error = input->read_error};
            return FRAMELANE_END;
        }
        if (error != AVERROR(EAGAIN)) return framelane_fail(error, input->filters);
        int advanced = advance(input);
        if (advanced < 0) return advanced;
        if (advanced > 0) return give_audio(input, out);
    }
}
