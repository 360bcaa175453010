/* SPDX-License-Identifier: MIT
 * A consumer of ipcf_frame_decode that writes down what the decoder says, for tests and
 * fuzzing.
 *
 * Input comes in pieces; every call of the decoder sees the unconsumed bytes right
 * before an unmapped page, so that reading one byte too many crashes.
 */
#ifndef IPCF_TESTS_FRAME_DRIVER_H
#define IPCF_TESTS_FRAME_DRIVER_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "ipcf/frame.h"
#include "tests/check.h"

#define GUARDED_SIZE ((size_t)1 << 20)
#define GUARD_SIZE ((size_t)1 << 16) /* a whole number of pages on every system */

/* By ipcf_framing. */
static const char *const framing_names[] = {"sniff", "length", "u32be", "lines",
                                            "content-length"};

/* Events one after the other: name, NUL, size of the detail (native size_t), detail. */
typedef struct event_log {
    uint8_t *bytes;
    size_t size, room;
} event_log;

static inline void log_event(event_log *log, const char *name, const void *detail,
                             size_t size)
{
    size_t name_size = strlen(name) + 1,
           due = log->size + name_size + sizeof size + size;
    if (due > log->room) {
        log->room = due * 2;
        log->bytes = realloc(log->bytes, log->room);
        CHECK(log->bytes != NULL);
    }
    memcpy(log->bytes + log->size, name, name_size);
    memcpy(log->bytes + log->size + name_size, &size, sizeof size);
    if (size != 0)
        memcpy(log->bytes + log->size + name_size + sizeof size, detail, size);
    log->size = due;
}

static inline bool logs_equal(const event_log *one, const event_log *other)
{
    return one->size == other->size &&
           (one->size == 0 || memcmp(one->bytes, other->bytes, one->size) == 0);
}

static inline void log_text(event_log *log, const char *name, const char *text)
{
    log_event(log, name, text, strlen(text));
}

typedef struct frame_driver {
    ipcf_frame_decoder decoder;
    bool is_sniffing;
    /* bytes that AGAIN says may be consumed are kept until a frame is told */
    bool keeps_skipped;
    bool has_failed;
    uint64_t drop_left; /* of a frame that is too large */
    size_t held;        /* unconsumed bytes; they end at guard */
    size_t most_held;
    uint8_t *guard;
    event_log log;
} frame_driver;

static inline void driver_init(frame_driver *driver, ipcf_framing framing,
                               uint64_t limit, bool skip_noise)
{
    uint8_t *guard = driver->guard;
    event_log log = driver->log;
    if (guard == NULL) {
        uint8_t *start = mmap(NULL, GUARDED_SIZE + GUARD_SIZE, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        CHECK(start != MAP_FAILED);
        guard = start + GUARDED_SIZE;
        CHECK(mprotect(guard, GUARD_SIZE, PROT_NONE) == 0);
    }
    log.size = 0;
    *driver = (frame_driver){.guard = guard, .log = log};
    driver->is_sniffing = framing == IPCF_FRAMING_SNIFF;
    ipcf_frame_decoder_init(&driver->decoder, framing, limit, skip_noise);
}

static inline void driver_consume(frame_driver *driver, uint64_t size)
{
    size_t now = size < driver->held ? (size_t)size : driver->held;
    driver->drop_left = size - now;
    driver->held -= now;
    ipcf_frame_consumed(&driver->decoder, (size_t)size);
}

static inline void log_failure(frame_driver *driver, const ipcf_error *error)
{
    char text[120];
    CHECK(error->what != NULL);
    snprintf(text, sizeof text, "%s:%llu:%llu", error->what,
             (unsigned long long)error->expected, (unsigned long long)error->found);
    log_text(&driver->log, "bad", text);
    driver->has_failed = true;
}

static inline void log_too_large(frame_driver *driver, const ipcf_frame *frame,
                                 const ipcf_error *error)
{
    char text[32];
    CHECK(error->expected == driver->decoder.body_limit);
    CHECK(error->found == frame->body_size);
    CHECK(frame->body_size > driver->decoder.body_limit);
    snprintf(text, sizeof text, "%llu", (unsigned long long)frame->body_size);
    log_text(&driver->log, "large", text);
    driver_consume(driver, frame->skip != 0 ? frame->skip
                                            : frame->header_size + frame->body_size +
                                                  frame->trailer_size);
}

static inline void log_body(frame_driver *driver, const ipcf_frame *frame)
{
    char name[16];
    const uint8_t *data = driver->guard - driver->held;
    if (frame->kind == IPCF_KIND_ANY)
        snprintf(name, sizeof name, "body");
    else
        snprintf(name, sizeof name, "body%u", frame->kind);
    log_event(&driver->log, name, data + frame->header_size, (size_t)frame->body_size);
}

/* Take what the decoder says next. False: it needs more bytes. */
static inline bool driver_step(frame_driver *driver)
{
    ipcf_frame frame;
    ipcf_error error = {0};
    const uint8_t *data = driver->guard - driver->held;
    ipcf_status status =
        ipcf_frame_decode(&driver->decoder, data, driver->held, &frame, &error);
    if (driver->is_sniffing && driver->decoder.framing != IPCF_FRAMING_SNIFF) {
        log_text(&driver->log, "is", framing_names[driver->decoder.framing]);
        driver->is_sniffing = false;
    }
    CHECK(frame.skip <= driver->held);
    switch (status) {
    case IPCF_OK: {
        uint64_t whole = frame.header_size + frame.body_size + frame.trailer_size;
        CHECK(frame.body_size <= driver->decoder.body_limit);
        if (whole > driver->held)
            return false;
        log_body(driver, &frame);
        driver_consume(driver, whole);
        return true;
    }
    case IPCF_TOO_LARGE:
        log_too_large(driver, &frame, &error);
        return true;
    case IPCF_NOISE:
        CHECK(frame.header_size < frame.skip);
        log_event(&driver->log, "noise", data + frame.header_size,
                  frame.skip - frame.header_size);
        driver_consume(driver, frame.skip);
        return true;
    case IPCF_BAD_FRAME:
        log_failure(driver, &error);
        return false;
    default:
        CHECK(status == IPCF_AGAIN);
        if (!driver->keeps_skipped)
            driver_consume(driver, frame.skip);
        return false;
    }
}

static inline void driver_feed(frame_driver *driver, const uint8_t *data, size_t size)
{
    size_t dropped = driver->drop_left < size ? (size_t)driver->drop_left : size;
    driver->drop_left -= dropped;
    data += dropped;
    size -= dropped;
    if (driver->has_failed || size == 0)
        return;
    CHECK(driver->held + size <= GUARDED_SIZE);
    memmove(driver->guard - driver->held - size, driver->guard - driver->held,
            driver->held);
    memcpy(driver->guard - size, data, size);
    driver->held += size;
    while (driver->drop_left == 0 && !driver->has_failed && driver_step(driver))
        continue;
    if (driver->held > driver->most_held)
        driver->most_held = driver->held;
}

/* End of input: write down what is left of an unfinished frame. */
static inline void driver_end(frame_driver *driver)
{
    char text[32];
    if (driver->held == 0 || driver->has_failed)
        return;
    driver_consume(driver, ipcf_frame_blank_size(&driver->decoder));
    if (driver->held == 0)
        return;
    snprintf(text, sizeof text, "%zu", driver->held);
    log_text(&driver->log, "left", text);
}

#endif
