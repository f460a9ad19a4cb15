/*
 * The question `tls`, the same for all: how much processor time does a KiB take that one side of a TLS 1.3
 * connection sends to the other, in the same process? A variant is the number of bytes in each
 * write. Both sides are counted, and so are the kernel's copies.
 *
 * `full` and `resumed`: what a connection takes, both sides of it, over a Unix socket: the handshake, one
 * byte from the server, behind its tickets, and the goodbyes. Certificates are not verified.
 */
#ifndef BENCH_TLS_H
#define BENCH_TLS_H

#include "bench.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <unistd.h>

/* The reader's buffer. */
#define TLS_READ_BYTES 65536
#define TLS_CIPHER "TLS_AES_256_GCM_SHA384"

/* A certificate with its key, for as long as the process runs; both in one file. */
static inline const char *tls_make_certificate(void)
{
    static char path[64];
    X509 *certificate = X509_new();
    EVP_PKEY *key = EVP_EC_gen("P-256");
    BENCH_CHECK(certificate && key);
    X509_set_version(certificate, X509_VERSION_3);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 86400);
    X509_set_pubkey(certificate, key);
    BENCH_CHECK(X509_sign(certificate, key, EVP_sha256()) > 0);
    snprintf(path, sizeof path, "/tmp/asyncio-bench-tls-%d.pem", (int)getpid());
    FILE *file = fopen(path, "we");
    BENCH_CHECK(file && PEM_write_X509(file, certificate) == 1);
    BENCH_CHECK(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) == 1);
    fclose(file);
    X509_free(certificate);
    EVP_PKEY_free(key);
    return path;
}

/* Two ends of one TCP connection. */
static inline void tls_connect(int fds[2])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    BENCH_CHECK(bind(listener, (struct sockaddr *)&address, length) == 0 && listen(listener, 1) == 0);
    BENCH_CHECK(getsockname(listener, (struct sockaddr *)&address, &length) == 0);
    fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    BENCH_CHECK(connect(fds[0], (struct sockaddr *)&address, length) == 0);
    fds[1] = accept(listener, NULL, NULL);
    BENCH_CHECK(fds[1] >= 0);
    for (int i = 0; i < 2; i++)
        setsockopt(fds[i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    close(listener);
}

static inline int64_t tls_cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* How much is sent for one figure. */
static inline size_t tls_total(size_t each)
{
    size_t total = (size_t)(bench_is_quick() ? 32 : 128) << 20;
    return each < 4096 ? total / 8 : total;
}

/* transfer(arg, bytes, of so many each): all of it, from one side to the other. */
static inline void tls_measure(const char *variant, void (*transfer)(void *, size_t, size_t), void *arg)
{
    size_t each = strtoul(variant, NULL, 10), total = tls_total(each);
    double samples[BENCH_REPETITIONS_MAX];
    size_t repetitions = bench_is_quick() ? 3 : BENCH_REPETITIONS_MAX;
    BENCH_CHECK(each > 0);
    total -= total % each;
    transfer(arg, total / 8 / each * each, each);
    for (size_t i = 0; i < repetitions; i++) {
        int64_t began = tls_cpu_ns();
        transfer(arg, total, each);
        samples[i] = (double)(tls_cpu_ns() - began) / ((double)total / 1024);
    }
    double median = bench_median(samples, repetitions);
    bench_print("tls", variant, median, "ns", samples[0]);
}

/* connect_once(arg): as above. */
static inline void tls_measure_handshakes(const char *variant, void (*connect_once)(void *), void *arg)
{
    double samples[BENCH_REPETITIONS_MAX];
    size_t repetitions = bench_is_quick() ? 3 : BENCH_REPETITIONS_MAX, times = bench_is_quick() ? 50 : 300;
    for (size_t i = 0; i < 10; i++)
        connect_once(arg);
    for (size_t i = 0; i < repetitions; i++) {
        int64_t began = tls_cpu_ns();
        for (size_t k = 0; k < times; k++)
            connect_once(arg);
        samples[i] = (double)(tls_cpu_ns() - began) / (double)times;
    }
    double median = bench_median(samples, repetitions);
    bench_print("tls", variant, median, "ns", samples[0]);
}

static inline int tls_is_handshakes(const char *variant)
{
    return strcmp(variant, "full") == 0 || strcmp(variant, "resumed") == 0;
}

#endif
