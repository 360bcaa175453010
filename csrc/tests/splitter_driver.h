/* SPDX-License-Identifier: MIT
 * Feeds a frame splitter and writes down what it says, for tests and fuzzing.
 */
#ifndef IPCF_TESTS_SPLITTER_DRIVER_H
#define IPCF_TESTS_SPLITTER_DRIVER_H

#include "ipcf/frame_splitter.h"
#include "tests/frame_driver.h"

typedef struct splitter_driver {
    ipcf_frame_splitter splitter;
    event_log log;
    bool uses_runs; /* set after splitter_begin */
    bool is_sniffing;
    bool has_failed;
} splitter_driver;

static inline void splitter_begin(splitter_driver *driver, ipcf_framing framing,
                                  uint64_t limit, bool skip_noise)
{
    ipcf_frame_splitter_free(&driver->splitter);
    ipcf_frame_splitter_init(&driver->splitter, framing, limit, skip_noise);
    driver->log.size = 0;
    driver->uses_runs = false;
    driver->is_sniffing = framing == IPCF_FRAMING_SNIFF;
    driver->has_failed = false;
}

static inline void splitter_log_part(splitter_driver *driver, ipcf_status status,
                                     const ipcf_frame_part *part,
                                     const ipcf_error *error)
{
    char text[120];
    if (status == IPCF_NOISE) {
        log_event(&driver->log, "noise", part->data, (size_t)part->size);
    } else if (status == IPCF_TOO_LARGE) {
        CHECK(part->size == error->found && part->data == NULL);
        snprintf(text, sizeof text, "%llu", (unsigned long long)part->size);
        log_text(&driver->log, "large", text);
    } else if (status == IPCF_BAD_FRAME) {
        snprintf(text, sizeof text, "%s:%llu:%llu", error->what,
                 (unsigned long long)error->expected, (unsigned long long)error->found);
        log_text(&driver->log, "bad", text);
        driver->has_failed = true;
    } else if (status == IPCF_OK) {
        snprintf(text, sizeof text, part->kind == IPCF_KIND_ANY ? "body" : "body%u",
                 part->kind);
        log_event(&driver->log, text, part->data, (size_t)part->size);
    } else {
        CHECK(status == IPCF_AGAIN);
    }
}

/* The lent bytes are a copy that is freed right after, so that a pointer kept into it
 * shows. */
static inline void splitter_feed(splitter_driver *driver, const uint8_t *data,
                                 size_t size)
{
    ipcf_error error = {0};
    ipcf_frame_part part;
    ipcf_status status;
    if (driver->has_failed || size == 0)
        return;
    uint8_t *lent = malloc(size);
    CHECK(lent != NULL);
    memcpy(lent, data, size);
    ipcf_frame_splitter_give(&driver->splitter, lent, size);
    do {
        ipcf_frame_part run[3];
        size_t count = 0;
        if (driver->uses_runs)
            count = ipcf_frame_splitter_next_run(&driver->splitter, run, 3);
        for (size_t i = 0; i < count; i++)
            splitter_log_part(driver, IPCF_OK, &run[i], &error);
        status = ipcf_frame_splitter_next(&driver->splitter, &part, &error);
        ipcf_framing framing = driver->splitter.decoder.framing;
        if (driver->is_sniffing && framing != IPCF_FRAMING_SNIFF) {
            log_text(&driver->log, "is", framing_names[framing]);
            driver->is_sniffing = false;
        }
        splitter_log_part(driver, status, &part, &error);
    } while (!driver->has_failed && status != IPCF_AGAIN);
    if (!driver->has_failed)
        CHECK_OK(ipcf_frame_splitter_keep(&driver->splitter, &error));
    free(lent);
}

static inline void splitter_end(splitter_driver *driver)
{
    char text[32];
    size_t pending = ipcf_frame_splitter_pending(&driver->splitter);
    if (pending == 0 || driver->has_failed)
        return;
    snprintf(text, sizeof text, "%zu", pending);
    log_text(&driver->log, "left", text);
}

#endif
