/*
 * PROXY headers, parsed. See proxy.h.
 *
 * The parser is strict, since the bytes decide whom the server takes its client for. It knows no spaces,
 * zeros or line ends but those of the specification, and refuses at the first byte that cannot belong to
 * a header.
 */
#include "net/proxy.h"
#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

static int refuse_header(const char **words, const char *why)
{
    *words = why;
    return -EPROTO;
}

/* ---- Version 1: a line of text ------------------------------------------------------- */

/* The next word of the line, up to a single space or the end; NULL: there is none. */
static char *take_word(char **line)
{
    char *word = *line;
    if (!word || !*word)
        return NULL;
    char *space = strchr(word, ' ');
    if (space)
        *space = '\0';
    *line = space ? space + 1 : NULL;
    return *word ? word : NULL;
}

/* A decimal number without zeros in front, in the order of the network. */
static bool read_proxy_port(const char *word, in_port_t *port)
{
    unsigned number = 0;
    size_t length = word ? strlen(word) : 0;
    if (length == 0 || length > 5 || (length > 1 && *word == '0'))
        return false;
    for (const char *at = word; *at; at++) {
        if (*at < '0' || *at > '9')
            return false;
        number = 10 * number + (unsigned)(*at - '0');
    }
    *port = htons((uint16_t)number);
    return number <= UINT16_MAX;
}

/* "TCP4 192.0.2.1 198.51.100.7 5000 80": from, to, and their ports. */
static bool read_line(char *line, struct proxy_header *header)
{
    const char *protocol = take_word(&line), *from = take_word(&line), *to = take_word(&line);
    const char *from_port = take_word(&line), *to_port = take_word(&line);
    bool is_v4 = protocol && strcmp(protocol, "TCP4") == 0;
    struct in6_addr ignored;
    in_port_t port, other;
    if (!protocol || (!is_v4 && strcmp(protocol, "TCP6") != 0) || !from || !to || line)
        return false;
    if (!read_proxy_port(from_port, &port) || !read_proxy_port(to_port, &other))
        return false;
    if (is_v4) {
        header->peer.v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = port};
        header->peer_length = sizeof header->peer.v4;
        return inet_pton(AF_INET, from, &header->peer.v4.sin_addr) == 1 &&
               inet_pton(AF_INET, to, &ignored) == 1;
    }
    header->peer.v6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = port};
    header->peer_length = sizeof header->peer.v6;
    return inet_pton(AF_INET6, from, &header->peer.v6.sin6_addr) == 1 &&
           inet_pton(AF_INET6, to, &ignored) == 1;
}

static int parse_v1(const unsigned char *data, size_t n, struct proxy_header *header, const char **words)
{
    static const char start[] = "PROXY ", unknown[] = "UNKNOWN";
    const size_t start_length = sizeof start - 1, unknown_length = sizeof unknown - 1;
    char line[PROXY_V1_MAX + 1];
    if (memcmp(data, start, n < start_length ? n : start_length) != 0)
        return refuse_header(words, "the connection begins with no header of version 1");
    size_t most = n < PROXY_V1_MAX ? n : PROXY_V1_MAX;
    const unsigned char *end = memchr(data, '\n', most);
    if (!end)
        return n < PROXY_V1_MAX ? 0 : refuse_header(words, "the line is longer than 107 bytes");
    size_t length = (size_t)(end - data); /* with the '\r' */
    if (length <= start_length || data[length - 1] != '\r')
        return refuse_header(words, "the line does not end with \\r\\n");
    size_t rest = length - 1 - start_length;
    memcpy(line, data + start_length, rest);
    line[rest] = '\0';
    header->length = length + 1;
    if (strncmp(line, unknown, unknown_length) == 0 &&
        (rest == unknown_length || line[unknown_length] == ' ')) /* whatever follows */
        return 1;
    if (strlen(line) != rest || !read_line(line, header))
        return refuse_header(words, "the line is not PROXY TCP4|TCP6 FROM TO PORT PORT");
    return 1;
}

/* ---- Version 2: bytes ------------------------------------------------------------------ */

/* Bytes of the two addresses, with their ports; a path is padded. */
#define V4_BYTES 12
#define V6_BYTES 36
#define PATHS_BYTES 216

/* The addresses of a known kind: their bytes, or 0 for AF_UNSPEC; -1: there is no such kind. */
static int count_address_bytes(unsigned char kind)
{
    switch (kind) {
    case 0x00:
        return 0;
    case 0x11: /* IPv4, over a stream or datagrams */
    case 0x12:
        return V4_BYTES;
    case 0x21:
    case 0x22:
        return V6_BYTES;
    case 0x31:
    case 0x32:
        return PATHS_BYTES;
    default:
        return -1;
    }
}

/* The one that comes first is the client's. */
static void read_addresses(int count, const unsigned char *data, struct proxy_header *header)
{
    if (count == V4_BYTES) {
        header->peer.v4 = (struct sockaddr_in){.sin_family = AF_INET};
        memcpy(&header->peer.v4.sin_addr, data, 4);
        memcpy(&header->peer.v4.sin_port, data + 8, 2);
        header->peer_length = sizeof header->peer.v4;
    } else if (count == V6_BYTES) {
        header->peer.v6 = (struct sockaddr_in6){.sin6_family = AF_INET6};
        memcpy(&header->peer.v6.sin6_addr, data, 16);
        memcpy(&header->peer.v6.sin6_port, data + 32, 2);
        header->peer_length = sizeof header->peer.v6;
    } else if (count == PATHS_BYTES) {
        header->peer.path = (struct sockaddr_un){.sun_family = AF_UNIX};
        memcpy(header->peer.path.sun_path, data, sizeof header->peer.path.sun_path);
        header->peer_length = sizeof header->peer.path;
    }
}

static int parse_v2(const unsigned char *data, size_t n, struct proxy_header *header, const char **words)
{
    static const unsigned char start[] = "\r\n\r\n\0\r\nQUIT\n";
    const size_t start_length = sizeof start - 1;
    if (memcmp(data, start, n < start_length ? n : start_length) != 0)
        return refuse_header(words, "the connection begins with no header of version 2");
    if (n > 12 && data[12] != 0x20 && data[12] != 0x21)
        return refuse_header(words, "the version is not 2, or there is no such command");
    bool is_local =
        n > 12 && data[12] == 0x20; /* the proxy's own connection, such as to look at our health */
    if (n > 13 && !is_local && count_address_bytes(data[13]) < 0)
        return refuse_header(words, "there is no such family or protocol");
    if (n < PROXY_V2_FIXED)
        return 0;
    size_t rest = (size_t)data[14] << 8 | data[15];
    size_t count = is_local ? 0 : (size_t)count_address_bytes(data[13]);
    if (rest < count)
        return refuse_header(words, "the header is too short for its addresses");
    if (n < PROXY_V2_FIXED + count)
        return 0;
    header->length = PROXY_V2_FIXED + rest; /* what follows the addresses (TLV) is left out */
    read_addresses((int)count, data + PROXY_V2_FIXED, header);
    return 1;
}

int asy_proxy_parse(int version, const unsigned char *data, size_t n, struct proxy_header *header,
                    const char **words)
{
    memset(header, 0, sizeof *header);
    if (n == 0)
        return 0;
    return version == 1 ? parse_v1(data, n, header, words) : parse_v2(data, n, header, words);
}
