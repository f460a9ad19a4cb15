/*
 * Fuzzed: PROXY headers of both versions. Whatever is parsed is parsed the same with fewer bytes, or needs
 * more of them; and nothing is read behind those that are there.
 */
#include "net/proxy.h"
#include "fd/address.h"
#include "fuzz/fuzz.h"
#include <errno.h>

/* In memory of their own, so that a sanitizer sees the end. */
static int parse(int version, const uint8_t *data, size_t n, struct proxy_header *header)
{
    const char *words = NULL;
    uint8_t *copy = malloc(n ? n : 1);
    MUST(copy);
    memcpy(copy, data, n);
    int state = asy_proxy_parse(version, copy, n, header, &words);
    MUST(state == 0 || state == 1 || (state == -EPROTO && words && *words));
    free(copy);
    return state;
}

static void check_header(const struct proxy_header *header)
{
    char text[ASY_ADDRESS_TEXT];
    MUST(header->length >= 15 && header->length <= PROXY_V2_FIXED + 65535);
    if (!header->peer_length)
        return;
    MUST(header->peer_length <= sizeof header->peer);
    asy_address_text(&header->peer.any, text);
    MUST(*text && strlen(text) < sizeof text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct proxy_header whole, part;
    int version = size && data[0] % 2 ? 1 : 2;
    data += size > 0;
    size -= size > 0;
    int state = parse(version, data, size, &whole);
    if (state > 0)
        check_header(&whole);
    for (size_t n = 0; n < size && n < 400; n++) {
        int earlier = parse(version, data, n, &part);
        if (earlier > 0) {
            MUST(state > 0 && part.length == whole.length && part.peer_length == whole.peer_length);
            MUST(memcmp(&part.peer, &whole.peer, sizeof part.peer) == 0);
        }
        MUST(earlier >= 0 || state < 0);
    }
    return 0;
}
