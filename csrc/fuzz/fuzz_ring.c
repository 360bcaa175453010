/* SPDX-License-Identifier: MIT
 * libFuzzer entry for the ring: the input is a script of what both ends do, and of what a hostile peer writes.
 *
 * Each step is one byte of operation (modulo 8) and its arguments, little-endian, zero past the end of the input:
 *   0 size16 kind8 flags8    claim, fill, commit        4                  the consumer parks and unparks
 *   1                        publish                    5 size16           the producer likewise; generously if odd
 *   2                        peek twice, release        6 word8 value64    write tail, head or a header at either
 *   3                        has_record                 7 at16 value64     write anywhere
 * Up to the first write (6, 7) every answer is known; after it, nothing may be touched outside the ring, and the first
 * CORRUPT ends the script. The ring lies between closed pages.
 */
#include "tests/ring_guarded.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct script {
    const uint8_t *at, *end;
    ipcf_ring_producer producer;
    ipcf_ring_consumer consumer;
    bool is_honest;
    uint64_t committed, published, taken; /* numbers of records */
    uint64_t tail;                        /* the position the producer should be at */
    ipcf_record records[4096 / 8];        /* by number; data is not used */
} script;

static script play;

static uint64_t argument(unsigned bytes)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes && play.at < play.end; i++)
        value |= (uint64_t)*play.at++ << (8 * i);
    return value;
}

static ipcf_record *record_number(uint64_t n)
{
    return &play.records[n % COUNT(play.records)];
}

/* Whether a record fits, by the spec and the published head alone. */
static ipcf_status claim_due(uint64_t size)
{
    uint64_t head, stride = 8 + (size + 7) / 8 * 8,
                   to_end = capacity - play.tail % capacity;
    memcpy(&head, memory + AT_HEAD, 8);
    uint64_t needed = stride <= to_end ? stride : to_end + stride;
    return needed <= capacity - (play.tail - head) ? IPCF_OK : IPCF_AGAIN;
}

static ipcf_status produce(void)
{
    uint32_t size = (uint32_t)argument(2) % (ipcf_ring_record_max(capacity) + 1);
    uint8_t kind = (uint8_t)(argument(1) % 0xff), flags = argument(1) & 7u;
    uint8_t *payload = NULL;
    ipcf_status due = claim_due(size);
    ipcf_status status = ipcf_ring_claim(&play.producer, size, &payload, NULL);
    CHECK(status == due || !play.is_honest);
    if (status != IPCF_OK)
        return status;
    CHECK(is_inside(payload, size));
    traffic_fill(payload, size, play.committed);
    ipcf_ring_commit(&play.producer, kind, flags);
    *record_number(play.committed++) =
        (ipcf_record){.size = size, .kind = kind, .flags = flags};
    play.tail = play.producer.tail;
    return IPCF_OK;
}

static void publish(void)
{
    uint64_t tail;
    CHECK(!ipcf_ring_publish(&play.producer) ||
          !play.is_honest); /* nobody sleeps between two steps */
    play.published = play.committed;
    memcpy(&tail, memory + AT_TAIL, 8);
    CHECK(tail == play.tail);
}

static ipcf_status consume(void)
{
    ipcf_record record, again;
    ipcf_status due = play.taken < play.published ? IPCF_OK : IPCF_AGAIN;
    ipcf_status status = ipcf_ring_peek(&play.consumer, &record, NULL);
    CHECK(status == due || !play.is_honest);
    if (status != IPCF_OK)
        return status;
    CHECK(is_inside(record.data, record.size));
    CHECK(record.size <= ipcf_ring_record_max(capacity) && record.flags <= 7);
    CHECK_OK(ipcf_ring_peek(&play.consumer, &again, NULL));
    CHECK(again.data == record.data && again.size == record.size);
    if (play.is_honest) {
        const ipcf_record *sent = record_number(play.taken);
        CHECK(record.size == sent->size && record.kind == sent->kind);
        CHECK(record.flags == sent->flags);
        CHECK(traffic_is_intact(record.data, record.size, play.taken));
    }
    CHECK(!ipcf_ring_release(&play.consumer) || !play.is_honest);
    play.taken++;
    return IPCF_OK;
}

static ipcf_status park_consumer(void)
{
    ipcf_status due = play.taken < play.published ? IPCF_OK : IPCF_AGAIN;
    ipcf_status status = ipcf_ring_consumer_park(&play.consumer);
    CHECK(status == due || !play.is_honest);
    ipcf_ring_consumer_unpark(&play.consumer);
    return status;
}

static ipcf_status park_producer(void)
{
    uint32_t size = (uint32_t)argument(2);
    bool generously = (size & 1) != 0;
    size %= ipcf_ring_record_max(capacity) + 1;
    ipcf_status due = claim_due(size);
    ipcf_status status =
        ipcf_ring_producer_park(&play.producer, size, generously, NULL);
    CHECK(status == due || !play.is_honest);
    ipcf_ring_producer_unpark(&play.producer);
    return status;
}

/* The words that decide most: tail, head, and the headers that they point at. */
static void write_word(void)
{
    uint64_t word = argument(1), value = argument(8), position;
    uint64_t at = (word & 1) != 0 ? AT_TAIL : AT_HEAD;
    if ((word & 2) != 0) {
        memcpy(&position, memory + at, 8);
        at = AT_DATA + position % capacity / 8 * 8;
    }
    put(at, value);
    play.is_honest = false;
}

static ipcf_status step(void)
{
    switch (argument(1) % 8) {
    case 0:
        return produce();
    case 1:
        publish();
        return IPCF_OK;
    case 2:
        return consume();
    case 3:
        CHECK(ipcf_ring_has_record(&play.consumer) == (play.taken < play.published) ||
              !play.is_honest);
        return IPCF_OK;
    case 4:
        return park_consumer();
    case 5:
        return park_producer();
    case 6:
        write_word();
        return IPCF_OK;
    default: {
        uint64_t at = argument(2) % (AT_DATA + capacity - 7);
        put(at, argument(8));
        play.is_honest = false;
        return IPCF_OK;
    }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (memory == NULL)
        open_memory(IPCF_RING_CAPACITY_MIN);
    memset(memory, 0, (size_t)ipcf_ring_size(capacity));
    ipcf_ring_format(memory, capacity);
    play = (script){.at = data, .end = data + size, .is_honest = true};
    CHECK_OK(ipcf_ring_attach_producer(&play.producer, memory, capacity, NULL));
    CHECK_OK(ipcf_ring_attach_consumer(&play.consumer, memory, capacity, NULL));
    play.consumer.known_flags |= IPCF_RING_TIMED;
    while (play.at < play.end)
        if (step() == IPCF_CORRUPT) {
            CHECK(!play.is_honest);
            break;
        }
    return 0;
}
