/* SPDX-License-Identifier: MIT
 * Both ends of a ring in one process: `straight COUNT` sends and receives that many messages of 64 B. Nobody waits, so
 * the same instructions run each time, and can be counted.
 */
#include <stdlib.h>
#include <string.h>

#include "ends.h"

#define SIZE 64

int main(int count, char **arguments)
{
    ipcf_error error;
    ipcf_stream here, there;
    ipcf_ring_segment made;
    uint8_t body[SIZE], returned[SIZE];
    if (count != 2)
        fail("usage: straight COUNT", IPCF_INVALID);
    ipcf_status status = ipcf_stream_pair(&here, &there, &error);
    if (status != IPCF_OK)
        fail("stream_pair", status);
    prepare_ring(&made);
    ipcf_ring_segment taken = made;
    /* first: the creator lets go of the memory's handle when its end is ready */
    ipcf_channel *receiver = end_of_ring(&there, &taken, false);
    ipcf_channel *sender = end_of_ring(&here, &made, true);
    memset(body, '.', SIZE);
    for (long left = strtol(arguments[1], NULL, 10); left > 0; left--) {
        end_send(sender, body, SIZE);
        end_receive(receiver, returned, SIZE);
        if (memcmp(returned, body, SIZE) != 0)
            fail("a message was altered", IPCF_OK);
    }
    return 0;
}
