/*
 * Our own certificate and its key: loaded from files or memory, and again while the context is in use.
 *
 * All of it is read and checked before anything changes. A context in use gets a new inner one (SSL_CTX)
 * with the settings of the old one; each connection holds the one that it began with, and the last of
 * them frees it.
 */
#include "asyncio/errors.h"
#include "asyncio/messages.h"
#include "tls/tls.h"
#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <string.h>

/* ---- PEM -------------------------------------------------------------------------------- */

/* A text in PEM, and what messages call it. */
struct pem {
    const char *name;
    BIO *bio;
};

static int refuse_pem(const struct pem *pem)
{
    return (int)asyncio_raise(ASYNCIO_ETLS, "TLS: %s cannot be used: %s", pem->name, asy_tls_reason());
}

/* OpenSSL's words for a file without the part that is looked for are those of its parser. */
static int refuse_without(const struct pem *pem, const char *part)
{
    unsigned long error = ERR_peek_error();
    int library = ERR_GET_LIB(error), reason = ERR_GET_REASON(error);
    if (!(library == ERR_LIB_PEM && reason == PEM_R_NO_START_LINE) &&
        !(library == ERR_LIB_OSSL_DECODER && reason == ERR_R_UNSUPPORTED))
        return refuse_pem(pem);
    ERR_clear_error();
    return (int)asyncio_raise(ASYNCIO_ETLS, "TLS: %s cannot be used: it has no %s in PEM", pem->name, part);
}

/* A file that is not there, or may not be read, has an error of its own. */
static int open_pem_file(struct pem *pem, const char *path)
{
    int saved = errno;
    *pem = (struct pem){.name = path, .bio = BIO_new_file(path, "r")};
    errno = saved;
    unsigned long error = ERR_peek_error();
    if (pem->bio || !ERR_SYSTEM_ERROR(error))
        return pem->bio ? 0 : refuse_pem(pem);
    ERR_clear_error();
    int err = -ERR_GET_REASON(error);
    return (int)asyncio_raise(err, "TLS: %s: %s", path, asyncio_strerror(err));
}

static int open_pem_memory(struct pem *pem, const char *name, const void *data, size_t n)
{
    *pem = (struct pem){.name = name};
    if (!data || !n)
        return (int)asyncio_raise(-EINVAL, "TLS: %s is empty", name);
    if (n > INT_MAX)
        return (int)asyncio_raise(-EINVAL, "TLS: %s is too long", name);
    pem->bio = BIO_new_mem_buf(data, (int)n);
    return pem->bio ? 0 : -ENOMEM;
}

/* ---- Passwords ------------------------------------------------------------------------------ */

#define PASSWORD_BYTES 1024

/* The program is asked at most once for a key. */
struct password {
    int (*ask)(char *buf, size_t size, void *arg); /* NULL: there is nobody to ask */
    void *arg;
    bool is_needed;
    int length; /* or an error */
    char text[PASSWORD_BYTES];
};

/* OpenSSL's callback. */
static int give_password(char *buf, int size, int writing, void *arg)
{
    struct password *password = arg;
    (void)writing;
    if (!password->is_needed)
        password->length = password->ask ? password->ask(password->text, PASSWORD_BYTES, password->arg) : -1;
    password->is_needed = true;
    if (password->length < 0 || password->length > PASSWORD_BYTES || password->length > size)
        return -1; /* and nobody is asked on the terminal */
    memcpy(buf, password->text, (size_t)password->length);
    return password->length;
}

static int refuse_key(const struct pem *pem, const struct password *password)
{
    if (!password->is_needed)
        return refuse_without(pem, "private key");
    int length = password->length;
    const char *why = !password->ask            ? "the key has a password"
                      : length < 0              ? "no password was given for the key"
                      : length > PASSWORD_BYTES ? "the password is longer than there is room for"
                                                : "the password does not open the key";
    int err = !password->ask || length >= 0 ? ASYNCIO_ETLS : length;
    ERR_clear_error();
    return (int)asyncio_raise(err, "TLS: %s cannot be used: %s", pem->name, why);
}

/* ---- An identity ------------------------------------------------------------------------------ */

static void clear_identity(struct tls_identity *identity)
{
    X509_free(identity->certificate);
    sk_X509_pop_free(identity->chain, X509_free);
    EVP_PKEY_free(identity->key);
    *identity = (struct tls_identity){0};
}

void asy_tls_identities_clear(asyncio_tls_context *context)
{
    for (size_t i = 0; i < context->identity_count; i++)
        clear_identity(&context->identities[i]);
    context->identity_count = 0;
}

/* The certificate comes first; then those between it and the authority, to the end of the text. */
static int read_chain(const struct pem *pem, struct tls_identity *identity)
{
    X509 *next;
    identity->certificate = PEM_read_bio_X509_AUX(pem->bio, NULL, NULL, NULL);
    identity->chain = sk_X509_new_null();
    if (!identity->certificate || !identity->chain)
        return refuse_without(pem, "certificate");
    while ((next = PEM_read_bio_X509(pem->bio, NULL, NULL, NULL)))
        if (!sk_X509_push(identity->chain, next)) {
            X509_free(next);
            return -ENOMEM;
        }
    unsigned long error = ERR_peek_last_error();
    if (ERR_GET_LIB(error) != ERR_LIB_PEM || ERR_GET_REASON(error) != PEM_R_NO_START_LINE)
        return refuse_pem(pem);
    ERR_clear_error();
    return 0;
}

static int read_key(const struct pem *pem, struct password *password, struct tls_identity *identity)
{
    identity->key = PEM_read_bio_PrivateKey(pem->bio, NULL, give_password, password);
    int err = identity->key ? 0 : refuse_key(pem, password);
    OPENSSL_cleanse(password->text, sizeof password->text);
    if (!err && X509_check_private_key(identity->certificate, identity->key) != 1)
        err = refuse_pem(pem);
    return err;
}

/* 0 or an error; then the identity is empty. Both texts are closed. */
static int read_identity(const struct pem *chain, const struct pem *key, struct password *password,
                         struct tls_identity *identity)
{
    *identity = (struct tls_identity){0};
    int err = read_chain(chain, identity);
    if (!err)
        err = read_key(key, password, identity);
    BIO_free(chain->bio);
    BIO_free(key->bio);
    if (err)
        clear_identity(identity);
    return err;
}

static int read_identity_files(const char *chain_file, const char *key_file, struct password *password,
                               struct tls_identity *identity)
{
    struct pem chain, key;
    ERR_clear_error();
    int err = open_pem_file(&chain, chain_file);
    if (err)
        return err;
    err = open_pem_file(&key, key_file ? key_file : chain_file);
    if (err) {
        BIO_free(chain.bio);
        return err;
    }
    return read_identity(&chain, &key, password, identity);
}

/* ---- Into the context ------------------------------------------------------------------------- */

/* The place of the identity whose key is of the same kind, or the next one. */
static size_t find_place(const asyncio_tls_context *context, const struct tls_identity *identity)
{
    size_t i = 0;
    while (i < context->identity_count &&
           EVP_PKEY_get_base_id(context->identities[i].key) != EVP_PKEY_get_base_id(identity->key))
        i++;
    return i;
}

static bool use_identity(SSL_CTX *ssl, const struct tls_identity *identity)
{
    return SSL_CTX_use_cert_and_key(ssl, identity->certificate, identity->key, identity->chain, 1) == 1;
}

/* A copy of the inner context, with the same settings and keys for tickets, and no certificate. The
 * reload lock is held. NULL: OpenSSL refuses, or there is no memory. */
static SSL_CTX *copy_inner(asyncio_tls_context *context)
{
    unsigned char ticket_keys[TLS_TICKET_KEY_BYTES];
    SSL_CTX *old = context->ssl, *copy = SSL_CTX_new(SSL_CTX_get_ssl_method(old));
    if (!copy)
        return NULL;
    asy_tls_set_up(context, copy);
    SSL_CTX_set1_cert_store(copy, SSL_CTX_get_cert_store(old));
    SSL_CTX_set_options(copy, SSL_CTX_get_options(old));
    SSL_CTX_set_verify(copy, SSL_CTX_get_verify_mode(old), NULL);
    SSL_CTX_set_min_proto_version(copy, (int)SSL_CTX_get_min_proto_version(old));
    SSL_CTX_set_max_proto_version(copy, (int)SSL_CTX_get_max_proto_version(old));
    STACK_OF(X509_NAME) *names = SSL_CTX_get_client_CA_list(old);
    STACK_OF(X509_NAME) *copied = context->is_server && names ? SSL_dup_CA_list(names) : NULL;
    if (copied)
        SSL_CTX_set_client_CA_list(copy, copied);
    bool is_whole = (!context->is_server || !names || copied) && !asy_tls_apply_alpn(context, copy) &&
                    SSL_CTX_get_tlsext_ticket_keys(old, ticket_keys, sizeof ticket_keys) == 1 &&
                    SSL_CTX_set_tlsext_ticket_keys(copy, ticket_keys, sizeof ticket_keys) == 1 &&
                    asy_tls_apply_settings(context, copy);
    OPENSSL_cleanse(ticket_keys, sizeof ticket_keys);
    if (is_whole)
        return copy;
    SSL_CTX_free(copy);
    return NULL;
}

/* A new inner context with this identity in place of the one of its kind, and the others. The reload lock is
 * held. NULL: as above. */
static SSL_CTX *make_inner(asyncio_tls_context *context, const struct tls_identity *identity, size_t place)
{
    SSL_CTX *made = copy_inner(context);
    for (size_t i = 0; made && i < context->identity_count; i++)
        if (i != place && !use_identity(made, &context->identities[i])) {
            SSL_CTX_free(made);
            made = NULL;
        }
    if (made && use_identity(made, identity)) /* last: it is the one to begin with */
        return made;
    SSL_CTX_free(made);
    return NULL;
}

/* Takes the identity over. 0, or an error, and nothing has changed. `name`: for messages. */
static int swap_identity(asyncio_tls_context *context, struct tls_identity *identity, const char *name)
{
    pthread_mutex_lock(&context->reload_lock); /* handshakes begin meanwhile */
    size_t place = find_place(context, identity);
    SSL_CTX *made = place < TLS_IDENTITIES_MAX ? make_inner(context, identity, place) : NULL;
    struct tls_identity old = *identity;
    SSL_CTX *old_ssl = made;
    if (made) {
        old = context->identities[place]; /* empty at the end of the list */
        context->identities[place] = *identity;
        context->identity_count += place == context->identity_count;
        pthread_mutex_lock(&context->lock);
        old_ssl = context->ssl;
        context->ssl = made;
        pthread_mutex_unlock(&context->lock);
    }
    pthread_mutex_unlock(&context->reload_lock);
    SSL_CTX_free(old_ssl);
    clear_identity(&old);
    if (!made)
        return (int)asyncio_raise(ASYNCIO_ETLS, "TLS: %s cannot be used: %s", name, asy_tls_reason());
    ERR_clear_error();
    asy_tls_sessions_clear(context); /* they are of who it was before */
    return 0;
}

static int load_files(asyncio_tls_context *context, const char *chain_file, const char *key_file,
                      struct password *password)
{
    struct tls_identity identity;
    int err = read_identity_files(chain_file, key_file, password, &identity);
    return err ? err : swap_identity(context, &identity, chain_file);
}

int asyncio_tls_context_load_cert(asyncio_tls_context *context, const char *chain_file, const char *key_file)
{
    return asyncio_tls_context_reload_cert(context, chain_file, key_file);
}

int asyncio_tls_context_reload_cert(asyncio_tls_context *context, const char *chain_file,
                                    const char *key_file)
{
    struct password nobody = {.ask = NULL};
    if (!context || !chain_file)
        return -EINVAL;
    return load_files(context, chain_file, key_file, &nobody);
}

int asyncio_tls_context_load_cert_password(asyncio_tls_context *context, const char *chain_file,
                                           const char *key_file,
                                           int (*ask)(char *buf, size_t size, void *arg), void *arg)
{
    struct password password = {.ask = ask, .arg = arg};
    if (!context || !chain_file || !ask)
        return -EINVAL;
    int err = asy_tls_check_unused(context);
    return err ? err : load_files(context, chain_file, key_file, &password);
}

int asyncio_tls_context_load_cert_memory(asyncio_tls_context *context, const void *chain, size_t chain_bytes,
                                         const void *key, size_t key_bytes)
{
    static const char chain_name[] = "the certificate in memory", key_name[] = "the key in memory";
    struct password nobody = {.ask = NULL};
    struct tls_identity identity;
    struct pem chain_pem, key_pem;
    int err = asy_tls_check_unused(context);
    if (err)
        return err;
    ERR_clear_error();
    err = open_pem_memory(&chain_pem, chain_name, chain, chain_bytes);
    if (err)
        return err;
    err = key ? open_pem_memory(&key_pem, key_name, key, key_bytes)
              : open_pem_memory(&key_pem, key_name, chain, chain_bytes);
    if (err) {
        BIO_free(chain_pem.bio);
        return err;
    }
    err = read_identity(&chain_pem, &key_pem, &nobody, &identity);
    return err ? err : swap_identity(context, &identity, chain_name);
}
