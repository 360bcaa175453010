/* SPDX-License-Identifier: MIT
 * Reads the table of vectors in docs/spec/framing.md: the specification is the test's
 * only source of them.
 */
#ifndef IPCF_TESTS_FRAME_VECTORS_H
#define IPCF_TESTS_FRAME_VECTORS_H

#include "tests/frame_driver.h"

#define VECTOR_MAX ((size_t)1 << 16)

typedef struct frame_vector {
    char id[64];
    ipcf_framing framing;
    bool skip_noise;
    bool takes_times;
    uint64_t limit;
    uint8_t input[VECTOR_MAX];
    size_t input_size;
    event_log says;
} frame_vector;

static inline unsigned hex_digit(char digit)
{
    static const char digits[] = "0123456789abcdef";
    const char *found = memchr(digits, digit, 16);
    CHECK(found != NULL);
    return (unsigned)(found - digits);
}

/* One byte of the table's notation; returns where the next one starts. */
static inline const char *unescape_byte(const char *text, uint8_t *byte)
{
    static const char letters[] = "rnt\\", bytes[] = "\r\n\t\\";
    if (*text != '\\') {
        *byte = (uint8_t)*text;
        return text + 1;
    }
    if (text[1] == 'x') {
        *byte = (uint8_t)(hex_digit(text[2]) << 4 | hex_digit(text[3]));
        return text + 4;
    }
    const char *letter = strchr(letters, text[1]);
    CHECK(letter != NULL && *letter != '\0');
    *byte = (uint8_t)bytes[letter - letters];
    return text + 2;
}

/* The bytes that text[0..end) means; returns how many. */
static inline size_t unescape(const char *text, const char *end, uint8_t *bytes)
{
    size_t size = 0;
    while (text < end) {
        size_t count = 1;
        uint8_t byte;
        bool repeats = *text == '<';
        text = unescape_byte(text + repeats, &byte);
        if (repeats) {
            char *after;
            CHECK(*text == '*');
            count = strtoul(text + 1, &after, 10);
            CHECK(*after == '>');
            text = after + 1;
        }
        CHECK(size + count <= VECTOR_MAX);
        memset(bytes + size, byte, count);
        size += count;
    }
    CHECK(text == end);
    return size;
}

static inline ipcf_framing framing_named(const char *name, size_t size)
{
    for (size_t i = 0; i < sizeof framing_names / sizeof framing_names[0]; i++)
        if (strlen(framing_names[i]) == size &&
            memcmp(framing_names[i], name, size) == 0)
            return (ipcf_framing)i;
    fprintf(stderr, "unknown framing: %s\n", name);
    abort();
}

/* The last cell: events, each within backquotes. */
static inline void read_says(const char *cell, frame_vector *vector)
{
    static uint8_t detail[VECTOR_MAX];
    for (const char *open = strchr(cell, '`'); open != NULL; open = strchr(open, '`')) {
        const char *close = strchr(open + 1, '`');
        const char *colon = strchr(open, ':');
        CHECK(close != NULL && colon != NULL && colon < close);
        char name[16] = {0};
        CHECK((size_t)(colon - open) < sizeof name);
        memcpy(name, open + 1, (size_t)(colon - open) - 1);
        log_event(&vector->says, name, detail, unescape(colon + 1, close, detail));
        open = close + 1;
    }
}

/* One row; false: the line is none. */
static inline bool read_vector(char *line, frame_vector *vector)
{
    char *cells[7];
    size_t count = 0;
    for (char *bar = strchr(line, '|'); bar != NULL && count < 7;
         bar = strchr(bar + 1, '|'))
        cells[count++] = bar;
    if (line[0] != '|' || count != 6 || line[1] == '-' ||
        strncmp(line, "| id |", 6) == 0)
        return false;
    for (size_t i = 0; i < count; i++)
        *cells[i]++ = '\0';
    char noise_mark[] = "+noise", times_mark[] = "+times";
    char *noise = strstr(cells[1], noise_mark);
    size_t name_size = strcspn(cells[1] + 1, " +");
    vector->says.size = 0;
    vector->skip_noise = noise != NULL;
    vector->takes_times = strstr(cells[1], times_mark) != NULL;
    CHECK(sscanf(cells[0], " %63s", vector->id) == 1);
    vector->framing = framing_named(cells[1] + 1, name_size);
    vector->limit = strtoull(cells[2], NULL, 10);
    char *open = strchr(cells[3], '`'), *close = strrchr(cells[3], '`');
    vector->input_size = open == NULL ? 0 : unescape(open + 1, close, vector->input);
    read_says(cells[4], vector);
    return true;
}

/* Call `visit` with every vector of the file; returns how many there are. */
static inline size_t for_each_vector(const char *path,
                                     void (*visit)(const frame_vector *vector))
{
    static frame_vector vector;
    static char line[1 << 12];
    FILE *file = fopen(path, "r");
    size_t count = 0;
    bool in_table = false;
    CHECK(file != NULL);
    while (fgets(line, sizeof line, file) != NULL) {
        CHECK(strchr(line, '\n') != NULL);
        in_table = in_table || strncmp(line, "## Vectors", 10) == 0;
        if (in_table && read_vector(line, &vector)) {
            visit(&vector);
            count++;
        }
    }
    fclose(file);
    free(vector.says.bytes);
    vector.says = (event_log){0};
    return count;
}

#endif
