/*
 * Names of servers: what a client calls the one that it wants, and what clients call this one.
 */
#include "tls/tls.h"
#include <arpa/inet.h>
#include <string.h>

/* As DNS has it, without the last dot. */
#define NAME_MAX_LENGTH 253
#define PART_MAX_LENGTH 63

/* Python's ssl refuses an empty part, too: to OpenSSL ".example.org" is every name that ends so. */
static const char *look_at_part(size_t length)
{
    return length == 0                ? "nothing stands before one of its dots"
           : length > PART_MAX_LENGTH ? "a part of it is longer than 63 characters"
                                      : NULL;
}

const char *asy_tls_normalize(char to[TLS_NAME_BYTES], const char *name, size_t length)
{
    size_t part = 0; /* where it begins */
    if (length && name[length - 1] == '.')
        length--;
    if (!length || length > NAME_MAX_LENGTH)
        return length ? "it is longer than 253 characters" : "it is empty";
    for (size_t i = 0; i < length; i++) {
        char c = name[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (c & 0x80)
            return "it is not in ASCII (its other form begins with xn--)";
        if (!is_letter && !(c >= '0' && c <= '9') && c != '-' && c != '_' && c != '.')
            return "it has a character that no name has";
        if (c == '.') {
            const char *fault = look_at_part(i - part);
            if (fault)
                return fault;
            part = i + 1;
        }
        to[i] = (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
    }
    to[length] = '\0';
    return look_at_part(length - part);
}

/* "127.1" as well, and whatever else the C library connects to without asking anybody. */
static bool read_v4(const char *normal, struct in_addr *address)
{
    return inet_aton(normal, address) != 0;
}

bool asy_tls_is_address(const char *normal)
{
    struct in_addr address;
    return read_v4(normal, &address);
}

/* "::1", "[::1]", "fe80::1%eth0": the zone says where the server is, and is no part of what it is called. */
static bool read_v6(const char *given, struct in6_addr *address)
{
    char text[INET6_ADDRSTRLEN];
    size_t length = strlen(given);
    if (length > 2 && given[0] == '[' && given[length - 1] == ']') {
        given++;
        length -= 2;
    }
    const char *zone = memchr(given, '%', length);
    if (zone && zone + 1 == given + length)
        return false;
    length = zone ? (size_t)(zone - given) : length;
    if (length >= sizeof text)
        return false;
    memcpy(text, given, length);
    text[length] = '\0';
    return inet_pton(AF_INET6, text, address) == 1;
}

const char *asy_tls_read_name(const char *given, struct tls_name *name)
{
    struct in6_addr v6;
    struct in_addr v4;
    *name = (struct tls_name){.address_bytes = 0};
    if (read_v6(given, &v6)) {
        name->address_bytes = sizeof v6;
        memcpy(name->address, &v6, sizeof v6);
        return NULL;
    }
    const char *fault = asy_tls_normalize(name->text, given, strlen(given));
    if (!fault && read_v4(name->text, &v4)) {
        name->address_bytes = sizeof v4;
        memcpy(name->address, &v4, sizeof v4);
    }
    return fault;
}
