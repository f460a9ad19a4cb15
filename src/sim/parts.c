/*
 * The parts of a message's memory, for sockets that send or take it whole.
 */
#include "sim/net.h"
#include <string.h>

size_t asy_sim_parts_bytes(const struct msghdr *message)
{
    size_t bytes = 0;
    for (size_t i = 0; i < message->msg_iovlen; i++)
        bytes += message->msg_iov[i].iov_len;
    return bytes;
}

void asy_sim_parts_gather(const struct msghdr *message, char *to)
{
    for (size_t i = 0; i < message->msg_iovlen; i++) {
        if (message->msg_iov[i].iov_len)
            memcpy(to, message->msg_iov[i].iov_base, message->msg_iov[i].iov_len);
        to += message->msg_iov[i].iov_len;
    }
}

size_t asy_sim_parts_scatter(const struct msghdr *message, const char *from, size_t bytes)
{
    size_t done = 0;
    for (size_t i = 0; i < message->msg_iovlen && done < bytes; i++) {
        size_t part = message->msg_iov[i].iov_len < bytes - done ? message->msg_iov[i].iov_len : bytes - done;
        if (part)
            memcpy(message->msg_iov[i].iov_base, from + done, part);
        done += part;
    }
    return done;
}
