/* SPDX-License-Identifier: MIT
 * The ring's protocol (docs/spec/ring.md) for spin: no lost wake-up, no overwrite, no record lost at an orderly end.
 *
 * A store is not seen by the other side at once: it is pending until the process Memory lets it land, at any time and
 * in any order, but for a release (left after tail). A full fence waits until all stores of its side have landed.
 * Sleeps have no time limit: a lost wake-up is a deadlock, which spin reports as an invalid end state. A record is one
 * unit; sizes and padding are the business of the C tests. EVENT_LOOP: the data bell is kept equal to "there is
 * something", instead of being cleared after a sleep. NO_... takes a step away, CLEAR_LATE adds a wrong one.
 */
#define CAPACITY 4
#define RECORDS 7

#define VARIABLE(name) byte name; byte name##_stored; bool name##_pending
#define LAND(name) name##_pending -> name = name##_stored; name##_pending = false
#define STORE(name, value) atomic { if :: LAND(name) :: else fi; name##_stored = value; name##_pending = true }
#define RING_IF_WANTED(wants, bell) atomic { old = wants; wants = 0 }; if :: old != 0 -> bell = true :: else fi; old = 0
#define PRODUCER_FENCE !tail_pending && !left_pending && !wants_space_pending
#define CONSUMER_FENCE !head_pending && !wants_data_pending

VARIABLE(tail); VARIABLE(left); VARIABLE(wants_space); /* stored by the producer */
VARIABLE(head); VARIABLE(wants_data);                  /* stored by the consumer */
bool data_bell, space_bell;
byte slot[CAPACITY], taken; /* taken: records the consumer is done with, for the checks alone */

active proctype Memory()
{
end:
    do
    :: atomic { LAND(tail) }
    :: atomic { !tail_pending && LAND(left) }
    :: atomic { LAND(wants_space) }
    :: atomic { LAND(head) }
    :: atomic { LAND(wants_data) }
    od
}

inline publish()
{
    STORE(tail, committed);
#ifndef NO_PUBLISH_FENCE
    PRODUCER_FENCE;
#endif
    if :: wants_data != 0 -> RING_IF_WANTED(wants_data, data_bell) :: else fi
}

inline wait_for_space()
{
    if :: wanted = 1 :: wanted = CAPACITY / 2 fi; /* exactly, generously */
    STORE(wants_space, wanted);
#ifndef NO_SPACE_FENCE
    PRODUCER_FENCE;
#endif
#ifndef NO_SPACE_CHECK
    cached_head = head;
#endif
    if :: committed - cached_head < CAPACITY :: else -> atomic { space_bell -> space_bell = false } fi;
    STORE(wants_space, 0)
}

active proctype Producer()
{
    byte committed, cached_head, wanted, old;
    do
    :: committed == RECORDS -> break
    :: committed < RECORDS ->
        if :: committed - cached_head == CAPACITY -> cached_head = head :: else fi;
        if
        :: committed - cached_head == CAPACITY -> publish(); wait_for_space()
        :: else ->
            assert(committed - taken < CAPACITY); /* nothing unread is overwritten */
            slot[committed % CAPACITY] = committed; committed++;
            if :: publish() :: skip fi /* or in one batch with the next */
        fi
    od;
    publish();
    STORE(left, 1);
#ifndef NO_LEAVE_FENCE
    PRODUCER_FENCE;
#endif
    RING_IF_WANTED(wants_data, data_bell)
}

inline read_record() { assert(slot[position % CAPACITY] == position); taken = position + 1 }

inline release()
{
#ifndef NO_READ_BEFORE_RELEASE
    read_record();
#endif
    if
    :: STORE(head, position + 1); /* the spec says when; the model allows it at any time */
#ifndef NO_RELEASE_FENCE
       CONSUMER_FENCE;
#endif
       wanted = wants_space;
       if :: wanted != 0 && CAPACITY - (tail - position - 1) >= wanted ->
                 RING_IF_WANTED(wants_space, space_bell) :: else fi;
       wanted = 0
    :: position + 1 != known_tail /* lazily: but not when it knows of no more */
    fi;
#ifdef NO_READ_BEFORE_RELEASE
    read_record();
#endif
    position++
}

inline wait_for_data()
{
#ifdef EVENT_LOOP
    data_bell = false;
#endif
    STORE(wants_data, 1);
#ifndef NO_PARK_FENCE
    CONSUMER_FENCE;
#endif
#ifndef NO_PARK_CHECK
    is_news = tail != position || left != 0;
#endif
#ifdef CLEAR_LATE
    data_bell = false;
#endif
#ifdef EVENT_LOOP
    if :: is_news -> data_bell = true :: else fi;
    data_bell; /* select() */
#else
    if :: is_news :: else -> atomic { data_bell -> data_bell = false } fi;
    STORE(wants_data, 0);
#endif
    is_news = false
}

active proctype Consumer()
{
    byte position, known_tail, wanted, old;
    bool is_news, is_over;
    do
    :: position != known_tail -> release()
    :: position == known_tail && tail != position -> known_tail = tail
    :: position == known_tail && tail == position ->
        is_over = left != 0;
#ifndef NO_LAST_LOOK
        known_tail = tail;
#endif
        if :: position != known_tail :: else -> if :: is_over -> break :: else -> wait_for_data() fi fi
    od;
    assert(position == RECORDS)
}
