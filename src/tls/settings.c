/*
 * What is set up before the first use and belongs to each inner context: ciphers, groups, keys for
 * tickets, the key log; and lists of revoked certificates.
 */
#include "asyncio/errors.h"
#include "asyncio/messages.h"
#include "tls/tls.h"
#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

/* ---- Ciphers and groups ---------------------------------------------------------------- */

#define LIST_BYTES 4096

/* Cuts the next element off a list that any of `seams` part; *length: of it. NULL: there is none. */
static const char *next_element(const char **list, const char *seams, size_t *length)
{
    const char *at = *list + strspn(*list, seams);
    *length = strcspn(at, seams);
    *list = at + *length;
    return *length ? at : NULL;
}

static bool append_element(char list[LIST_BYTES], const char *element, size_t length)
{
    size_t have = strlen(list);
    int n = snprintf(list + have, LIST_BYTES - have, "%s%.*s", have ? ":" : "", (int)length, element);
    return n > 0 && (size_t)n < LIST_BYTES - have;
}

/* A suite of TLS 1.3. */
static bool is_suite(const char *element)
{
    return strncmp(element, "TLS_", 4) == 0;
}

/* OpenSSL leaves out what it does not know, as long as something is left. Here each element must stand
 * for some cipher, so that a slip of the pen is found; but for those that take ciphers away, and orders.
 * */
static bool is_known_cipher(SSL_CTX *scratch, const char *element)
{
    if (is_suite(element)) {
        STACK_OF(SSL_CIPHER) * ciphers;
        if (SSL_CTX_set_ciphersuites(scratch, element) != 1)
            return false;
        ciphers = SSL_CTX_get_ciphers(scratch);
        for (int i = 0; i < sk_SSL_CIPHER_num(ciphers); i++)
            if (strcmp(SSL_CIPHER_get_name(sk_SSL_CIPHER_value(ciphers, i)), element) == 0)
                return true;
        return false;
    }
    bool is_order = strchr("!-+@", *element) != NULL;
    return is_order || SSL_CTX_set_cipher_list(scratch, element) == 1;
}

static int refuse_element(const char *what, const char *element)
{
    ERR_clear_error();
    return (int)asyncio_raise(-EINVAL, "TLS: \"%s\" is no %s that this OpenSSL has", element, what);
}

/* Parts the list in two, one for TLS 1.3 and one for 1.2. 0 or -EINVAL with a message. */
static int part_ciphers(SSL_CTX *scratch, const char *list, char ciphers[LIST_BYTES], char suites[LIST_BYTES])
{
    const char *element;
    size_t length;
    *ciphers = *suites = '\0';
    while ((element = next_element(&list, ":, ;", &length))) {
        char copy[256];
        snprintf(copy, sizeof copy, "%.*s", (int)(length < 255 ? length : 255), element);
        if (!is_known_cipher(scratch, copy))
            return refuse_element("cipher", copy);
        if (!append_element(is_suite(copy) ? suites : ciphers, element, length))
            return (int)asyncio_raise(-EINVAL, "TLS: the list of ciphers is too long");
    }
    if (!*ciphers && !*suites)
        return (int)asyncio_raise(-EINVAL, "TLS: the list of ciphers is empty");
    return 0;
}

/* Takes the place of an older text. 0 or -ENOMEM. */
static int keep_text(char **place, const char *text)
{
    char *copy = asy_tls_copy_text(text);
    if (!copy)
        return -ENOMEM;
    asyncio_filter_free_(*place);
    *place = copy;
    return 0;
}

static bool apply_lists(const asyncio_tls_context *context, SSL_CTX *ssl)
{
    return (!context->ciphers || SSL_CTX_set_cipher_list(ssl, context->ciphers) == 1) &&
           (!context->suites || SSL_CTX_set_ciphersuites(ssl, context->suites) == 1) &&
           (!context->groups || SSL_CTX_set1_groups_list(ssl, context->groups) == 1);
}

static int use_lists(asyncio_tls_context *context, const char *what)
{
    if (apply_lists(context, context->ssl))
        return 0;
    return (int)asyncio_raise(-EINVAL, "TLS: the list of %s cannot be used: %s", what, asy_tls_reason());
}

int asyncio_tls_context_set_ciphers(asyncio_tls_context *context, const char *list)
{
    char ciphers[LIST_BYTES], suites[LIST_BYTES];
    int err = list ? asy_tls_check_unused(context) : -EINVAL;
    if (err)
        return err;
    ERR_clear_error();
    SSL_CTX *scratch = SSL_CTX_new(TLS_method());
    err = scratch ? part_ciphers(scratch, list, ciphers, suites) : -ENOMEM;
    SSL_CTX_free(scratch);
    if (!err && *ciphers)
        err = keep_text(&context->ciphers, ciphers);
    if (!err && *suites)
        err = keep_text(&context->suites, suites);
    return err ? err : use_lists(context, "ciphers");
}

int asyncio_tls_context_set_groups(asyncio_tls_context *context, const char *list)
{
    char groups[LIST_BYTES] = "", copy[256];
    const char *element, *rest = list;
    size_t length;
    int err = list ? asy_tls_check_unused(context) : -EINVAL;
    if (err)
        return err;
    ERR_clear_error();
    SSL_CTX *scratch = SSL_CTX_new(TLS_method());
    err = scratch ? 0 : -ENOMEM;
    while (!err && (element = next_element(&rest, ":, ;", &length))) {
        snprintf(copy, sizeof copy, "%.*s", (int)(length < 255 ? length : 255), element);
        if (SSL_CTX_set1_groups_list(scratch, copy) != 1)
            err = refuse_element("group", copy);
        else if (!append_element(groups, element, length))
            err = (int)asyncio_raise(-EINVAL, "TLS: the list of groups is too long");
    }
    SSL_CTX_free(scratch);
    if (!err && !*groups)
        err = (int)asyncio_raise(-EINVAL, "TLS: the list of groups is empty");
    if (!err)
        err = keep_text(&context->groups, groups);
    return err ? err : use_lists(context, "groups");
}

/* ---- Keys for tickets ------------------------------------------------------------------------ */

struct ticket_key {
    unsigned char name[16], mac[32], cipher[32];
};
_Static_assert(sizeof(struct ticket_key) == TLS_TICKET_KEY_BYTES, "OpenSSL's layout");

static const struct ticket_key *find_ticket_key(const asyncio_tls_context *context, const unsigned char *name)
{
    const struct ticket_key *keys = (const struct ticket_key *)context->ticket_keys;
    for (size_t i = 0; i < context->ticket_key_count; i++)
        if (memcmp(keys[i].name, name, sizeof keys[i].name) == 0)
            return &keys[i];
    return NULL;
}

/* OpenSSL's callback. 1: go on; 2: and make the client a new ticket; 0: the ticket is of no use; -1: an
 * error. */
static int choose_ticket_key(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                             EVP_MAC_CTX *mac, int is_new)
{
    const struct tls_filter *filter = SSL_get_app_data(ssl);
    const struct ticket_key *first = (const struct ticket_key *)filter->context->ticket_keys;
    const struct ticket_key *key = is_new ? first : find_ticket_key(filter->context, name);
    char digest[] = "SHA256";
    if (!key)
        return 0;
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)key->mac, sizeof key->mac),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };
    if (is_new) {
        memcpy(name, key->name, sizeof key->name);
        if (RAND_bytes(iv, 16) != 1)
            return -1;
    }
    if (EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, key->cipher, iv, is_new) != 1 ||
        EVP_MAC_CTX_set_params(mac, params) != 1)
        return -1;
    /* In TLS 1.3 a client uses a ticket once, so it needs another one. */
    return key == first && (is_new || SSL_version(ssl) != TLS1_3_VERSION) ? 1 : 2;
}

static bool apply_ticket_keys(const asyncio_tls_context *context, SSL_CTX *ssl)
{
    /* Sessions are shared on purpose: those of another process with these keys are our own. */
    static const unsigned char shared[] = "asyncio: shared";
    if (!context->ticket_keys)
        return true;
    return SSL_CTX_set_session_id_context(ssl, shared, sizeof shared) == 1 &&
           SSL_CTX_set_tlsext_ticket_key_evp_cb(ssl, choose_ticket_key) == 1;
}

int asyncio_tls_context_set_ticket_keys(asyncio_tls_context *context, const void *keys, size_t bytes)
{
    int err = asy_tls_check_unused(context);
    if (err)
        return err;
    if (!context->is_server)
        return (int)asyncio_raise(-EINVAL, "TLS: only a server makes tickets");
    if (!keys || !bytes || bytes % TLS_TICKET_KEY_BYTES)
        return (int)asyncio_raise(-EINVAL, "TLS: keys for tickets have %d bytes each, and these are %zu",
                                  TLS_TICKET_KEY_BYTES, keys ? bytes : 0);
    unsigned char *copy = asyncio_filter_alloc_(bytes);
    if (!copy)
        return -ENOMEM;
    memcpy(copy, keys, bytes);
    if (context->ticket_keys)
        OPENSSL_cleanse(context->ticket_keys, context->ticket_key_count * TLS_TICKET_KEY_BYTES);
    asyncio_filter_free_(context->ticket_keys);
    context->ticket_keys = copy;
    context->ticket_key_count = bytes / TLS_TICKET_KEY_BYTES;
    return apply_ticket_keys(context, context->ssl) ? 0 : -ENOMEM;
}

/* ---- The key log -------------------------------------------------------------------------------- */

#define LOG_LINE_BYTES 512 /* a label, and two numbers of 64 bytes at most, in hexadecimal digits */

/* OpenSSL's callback. */
static void log_key(const SSL *ssl, const char *line)
{
    const struct tls_filter *filter = SSL_get_app_data(ssl);
    char text[LOG_LINE_BYTES];
    int n = snprintf(text, sizeof text, "%s\n", line);
    if (n > 0 && (size_t)n < sizeof text)
        asyncio_filter_log_(filter->site->keylog_fd, text, (size_t)n);
    OPENSSL_cleanse(text, sizeof text);
}

int asyncio_tls_context_set_keylog(asyncio_tls_context *context, const char *path)
{
    int err = path ? asy_tls_check_unused(context) : -EINVAL;
    if (err)
        return err;
    int fd = asyncio_filter_open_log_(path);
    if (fd < 0)
        return (int)asyncio_raise(fd, "TLS: %s: %s", path, asyncio_strerror(fd));
    if (context->keylog_fd >= 0)
        asyncio_filter_close_log_(context->keylog_fd);
    context->keylog_fd = fd;
    SSL_CTX_set_keylog_callback(context->ssl, log_key);
    return 0;
}

bool asy_tls_apply_settings(const asyncio_tls_context *context, SSL_CTX *ssl)
{
    if (context->keylog_fd >= 0)
        SSL_CTX_set_keylog_callback(ssl, log_key);
    return apply_lists(context, ssl) && apply_ticket_keys(context, ssl);
}

/* ---- Revoked certificates -------------------------------------------------------------------------- */

/* How many lists the file has, in PEM or, if it is one, in DER; or an error. */
static int add_revocations(X509_STORE *store, const char *file)
{
    X509_LOOKUP *lookup = X509_STORE_add_lookup(store, X509_LOOKUP_file());
    int saved = errno, count = lookup ? X509_load_crl_file(lookup, file, X509_FILETYPE_PEM) : 0;
    if (count <= 0 && lookup)
        count = X509_load_crl_file(lookup, file, X509_FILETYPE_ASN1);
    errno = saved;
    return count;
}

int asyncio_tls_context_load_crl(asyncio_tls_context *context, const char *file)
{
    int err = file ? asy_tls_check_unused(context) : -EINVAL;
    if (!err)
        err = asy_tls_check_file(file);
    if (err)
        return err;
    ERR_clear_error();
    X509_STORE *store = SSL_CTX_get_cert_store(context->ssl);
    if (add_revocations(store, file) <= 0) {
        ERR_clear_error();
        return (int)asyncio_raise(ASYNCIO_ETLS,
                                  "TLS: %s cannot be used: it has no list of revoked certificates", file);
    }
    ERR_clear_error();
    X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
    asy_tls_sessions_clear(context);
    return 0;
}
