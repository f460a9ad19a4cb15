/*
 * The BIO under an SSL: its input is what the stream has received, its output is added to what the stream
 * is to send. Nothing waits here.
 */
#include "tls/tls.h"
#include <openssl/bio.h>

static int bio_read(BIO *bio, char *buf, int n)
{
    struct tls_filter *filter = BIO_get_data(bio);
    bool has_ended;
    BIO_clear_retry_flags(bio);
    if (n <= 0)
        return 0;
    size_t got = asyncio_filter_take_(filter->stream, buf, (size_t)n, &has_ended);
    if (got)
        return (int)got;
    if (has_ended)
        return 0;
    BIO_set_retry_read(bio);
    return -1;
}

/* A peer that asks for answers, to new keys or another handshake, and does not read them, is not worth the
 * memory. */
#define ANSWERS_MAX (64 * 1024)

static bool is_too_much(struct tls_filter *filter, size_t n)
{
    if (!asyncio_filter_queued_(filter->stream))
        filter->answers = 0;
    filter->answers += n;
    return filter->answers > ANSWERS_MAX;
}

static int bio_write(BIO *bio, const char *buf, int n)
{
    struct tls_filter *filter = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (n <= 0)
        return 0;
    if (filter->reads && is_too_much(filter, (size_t)n)) {
        filter->is_swamped = true;
        return -1;
    }
    if (asyncio_filter_give_(filter->stream, buf, (size_t)n) == 0)
        return n;
    filter->lacks_memory = true;
    return -1;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
    const struct tls_filter *filter = BIO_get_data(bio);
    bool has_ended;
    (void)number;
    (void)pointer;
    switch (command) {
    case BIO_CTRL_FLUSH:
        return 1;
    case BIO_CTRL_EOF:
        asyncio_filter_take_(filter->stream, NULL, 0, &has_ended);
        return has_ended;
    default:
        return 0;
    }
}

static int bio_create(BIO *bio)
{
    BIO_set_init(bio, 1);
    return 1;
}

/* One for the process, and for good. */
static BIO_METHOD *method;

static void make_method(void)
{
    method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "asyncio stream");
    if (!method)
        return;
    BIO_meth_set_read(method, bio_read);
    BIO_meth_set_write(method, bio_write);
    BIO_meth_set_ctrl(method, bio_ctrl);
    BIO_meth_set_create(method, bio_create);
}

BIO *asy_tls_bio_new(struct tls_filter *filter)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_method);
    BIO *bio = method ? BIO_new(method) : NULL;
    if (bio)
        BIO_set_data(bio, filter);
    return bio;
}
