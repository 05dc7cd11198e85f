/* SPDX-License-Identifier: MIT */
/*
 * detector_writer.c - streams the frames of a detector into an HDF5 file that is read meanwhile.
 *
 *     detector (this thread) -> ring of buffers -> N threads: h5bragg_encode()
 *                                               -> 1 thread:  H5Dwrite_chunk(), in order
 *
 * HDF5 itself runs filters one after the other, whatever the number of threads.  So frames are
 * encoded outside of it, on as many cores as are wanted, and HDF5 gets chunks that are ready.
 *
 * frame_ring.h is the ring, frame_file.h the file, simulated_detector.h what is to be replaced by a
 * detector.  docs/writers.md tells how to build this.
 */
#define _POSIX_C_SOURCE 200809L

#include <getopt.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "frame_file.h"
#include "frame_ring.h"
#include "simulated_detector.h"

#define MAX_THREADS 256
/* Enough for a disk that pauses for some frames. */
#define SLOTS_PER_THREAD 4

enum { EXIT_BAD_ARGUMENT = 2 };

static const char USAGE[] =
    "Usage: detector_writer -o FILE [options]\n"
    "Write frames of a simulated detector to FILE, which others may read meanwhile.\n\n"
    "  -o FILE        HDF5 file to create; it must not exist\n"
    "  -n FRAMES      how many [100]\n"
    "  -t THREADS     that encode [1]\n"
    "      --panels   many panels around the sample [this]\n"
    "      --flat     or one flat detector\n"
    "      --rate FPS frames a second; 0: as fast as they are written [0]\n"
    "  -h, --help     this text\n\n"
    "If writing fails, or with Ctrl-C, FILE stays valid and holds the frames written so far.\n";

typedef struct options {
    const char *path;
    uint64_t nframes;
    size_t nthreads;
    int is_flat;
    double rate_hz;
} options;

/* What the threads share. */
typedef struct series {
    detector source;
    h5bragg_params params;
    frame_ring ring;
    frame_file file;
    uint64_t nbytes; /* of chunks in the file */
} series;

static volatile sig_atomic_t is_interrupted;

static void interrupt(int number)
{
    (void)number;
    is_interrupted = 1;
}

static void *encode_frames(void *argument)
{
    series *s = argument;
    ring_slot *slot;
    while ((slot = frame_ring_take(&s->ring)) != NULL) {
        const h5bragg_status status =
            h5bragg_encode(slot->frame, H5BRAGG_U16, 1, &s->source.geometry, &s->params,
                           slot->chunk, s->ring.chunk_capacity, &slot->chunk_nbytes);
        if (status != H5BRAGG_OK) {
            frame_ring_fail(&s->ring, "a frame cannot be encoded", h5bragg_status_text(status));
            break;
        }
        frame_ring_encoded(&s->ring, slot);
    }
    return NULL;
}

/* Readers get frames in batches: of what has become ready while the last one was written. */
static int write_batch(series *s, size_t count)
{
    for (size_t k = 0; k < count; k++) {
        const ring_slot *slot = frame_ring_slot(&s->ring, s->ring.written + k);
        if (frame_file_append(&s->file, slot->chunk, slot->chunk_nbytes) < 0)
            return -1;
        s->nbytes += slot->chunk_nbytes;
    }
    return frame_file_publish(&s->file);
}

static void *write_frames(void *argument)
{
    series *s = argument;
    size_t count;
    while ((count = frame_ring_ready(&s->ring)) > 0) {
        if (write_batch(s, count) < 0) {
            frame_ring_fail(&s->ring, "a frame cannot be written", s->file.reason);
            break;
        }
        frame_ring_written(&s->ring, count);
    }
    return NULL;
}

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void sleep_until(double time_s)
{
    const struct timespec t = {(time_t)time_s, (long)(1e9 * (time_s - (double)(time_t)time_s))};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL); /* returns early on Ctrl-C */
}

/* The detector.  A real one would not wait for a buffer, but lose frames or buffer them itself. */
static void acquire_frames(series *s, const options *o)
{
    const double start_s = now_s();
    for (uint64_t number = 0; number < o->nframes && !is_interrupted; number++) {
        if (o->rate_hz > 0)
            sleep_until(start_s + (double)number / o->rate_hz);
        uint16_t *frame = frame_ring_acquire(&s->ring);
        if (frame == NULL)
            break;
        detector_read(&s->source, number, frame);
        frame_ring_filled(&s->ring);
    }
    frame_ring_end(&s->ring);
}

/* Runs all threads until the last frame is written, or one has failed. */
static void run_threads(series *s, const options *o)
{
    pthread_t threads[MAX_THREADS + 1];
    size_t nstarted;
    int error = 0;
    for (nstarted = 0; nstarted <= o->nthreads; nstarted++) {
        error =
            pthread_create(&threads[nstarted], NULL, nstarted ? encode_frames : write_frames, s);
        if (error)
            break;
    }
    if (error)
        frame_ring_fail(&s->ring, "a thread cannot be started", strerror(error));
    acquire_frames(s, o);
    for (size_t k = 0; k < nstarted; k++)
        pthread_join(threads[k], NULL);
}

/* Returns whether the series is written as asked for. */
static int write_series(series *s, const options *o)
{
    const size_t capacity = h5bragg_bound(H5BRAGG_U16, 1, &s->source.geometry);
    const size_t nslots = o->nthreads * SLOTS_PER_THREAD;
    const double start_s = now_s();
    if (frame_ring_make(&s->ring, nslots, DETECTOR_NPIXELS * sizeof(uint16_t), capacity) < 0)
        frame_ring_fail(&s->ring, o->path, "not enough memory");
    else if (frame_file_create(&s->file, o->path, &s->source, &s->params) < 0)
        frame_ring_fail(&s->ring, o->path, s->file.reason);
    else {
        run_threads(s, o);
        if (frame_file_close(&s->file) < 0)
            frame_ring_fail(&s->ring, o->path, s->file.reason);
        const double nraw = (double)s->file.nframes * (double)DETECTOR_NPIXELS * 2;
        const double elapsed_s = now_s() - start_s;
        printf(
            "%s: %llu frames, %.1f times smaller, %.1f frames/s, the detector waited %llu times\n",
            o->path, (unsigned long long)s->file.nframes, s->nbytes ? nraw / (double)s->nbytes : 0,
            (double)s->file.nframes / elapsed_s, (unsigned long long)s->ring.nwaits);
    }
    if (s->ring.has_failed)
        fprintf(stderr, "detector_writer: %s\n", s->ring.reason);
    return !s->ring.has_failed;
}

/* A number from `least` to `most`; anything else ends the program. */
static double read_number(const char *option, const char *text, double least, double most)
{
    char *end;
    const double number = strtod(text, &end);
    if (end == text || *end != '\0' || !(number >= least && number <= most)) {
        fprintf(stderr, "detector_writer: %s must be a number from %g to %g, not '%s'\n", option,
                least, most, text);
        exit(EXIT_BAD_ARGUMENT);
    }
    return number;
}

static options read_options(int argc, char **argv)
{
    enum { RATE = CHAR_MAX + 1 };
    options o = {.nframes = 100, .nthreads = 1};
    const struct option names[] = {{"panels", no_argument, &o.is_flat, 0},
                                   {"flat", no_argument, &o.is_flat, 1},
                                   {"rate", required_argument, NULL, RATE},
                                   {"help", no_argument, NULL, 'h'},
                                   {NULL, 0, NULL, 0}};
    int option;
    while ((option = getopt_long(argc, argv, "o:n:t:h", names, NULL)) != -1) {
        if (option == 'o')
            o.path = optarg;
        else if (option == 'n')
            o.nframes = (uint64_t)read_number("-n", optarg, 1, 1e9);
        else if (option == 't')
            o.nthreads = (size_t)read_number("-t", optarg, 1, MAX_THREADS);
        else if (option == RATE)
            o.rate_hz = read_number("--rate", optarg, 0, 1e6);
        else if (option == 'h') {
            fputs(USAGE, stdout);
            exit(EXIT_SUCCESS);
        } else if (option != 0)
            exit(EXIT_BAD_ARGUMENT); /* getopt_long has said why */
    }
    if (o.path == NULL || optind < argc) {
        fprintf(stderr,
                "detector_writer: give the file to write with -o FILE, and options alone\n");
        exit(EXIT_BAD_ARGUMENT);
    }
    return o;
}

int main(int argc, char **argv)
{
    static series s;
    const options o = read_options(argc, argv);
    H5dont_atexit(); /* where a file could not be closed, HDF5 crashes trying it again at exit */
    const struct sigaction action = {.sa_handler = interrupt};
    sigaction(SIGINT, &action, NULL);
    h5bragg_params_init(&s.params);
    if (detector_make(&s.source, o.is_flat) < 0) {
        fprintf(stderr, "detector_writer: not enough memory\n");
        return EXIT_FAILURE;
    }
    const int is_written = write_series(&s, &o);
    frame_ring_free(&s.ring);
    detector_free(&s.source);
    return is_written ? EXIT_SUCCESS : EXIT_FAILURE;
}
