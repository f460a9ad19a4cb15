/*
 * Prints the SHA-256 of all files below some directories, as sha256sum does, in the order of
 * their names. A few files are in work at a time, and other threads compute the sums, so
 * that all processors have work.
 */
#include <asyncio.h>
#include <dirent.h>
#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define AT_ONCE 8
#define PIECE_BYTES (256 * 1024)
#define SUM_TEXT (2 * 32 + 1)

/* ---- What there is ---------------------------------------------------------------------- */

struct file {
    char *path;
    char sum[SUM_TEXT]; /* "": it could not be read */
};

struct found {
    struct file *at;
    size_t count, capacity;
};

struct tree {
    struct found files, folders; /* folders: those that are still to be read */
    size_t next, done, failed;   /* files begun, finished, and those of them that could not be read */
    double bytes;
    bool shows_progress;
};

static void complain(struct tree *tree)
{
    fprintf(stderr, "%s\n", asyncio_error_message());
    tree->failed++;
}

/* Takes the path, which is NULL if memory ran out. */
static int add(struct found *found, char *path)
{
    if (path && found->count == found->capacity) {
        size_t capacity = found->capacity ? 2 * found->capacity : 64;
        struct file *at = realloc(found->at, capacity * sizeof *at);
        if (!at) {
            free(path);
            return -ENOMEM;
        }
        found->at = at;
        found->capacity = capacity;
    }
    if (path)
        found->at[found->count++] = (struct file){.path = path};
    return path ? 0 : -ENOMEM;
}

static void free_found(struct found *found)
{
    for (size_t i = 0; i < found->count; i++)
        free(found->at[i].path);
    free(found->at);
}

static int add_entry(struct tree *tree, const char *folder, const asyncio_dirent *entry)
{
    char *path;
    unsigned char type = entry->type;
    struct stat status;
    if (asprintf(&path, "%s/%s", folder, entry->name) < 0)
        return -ENOMEM;
    if (type == DT_UNKNOWN && asyncio_lstat(path, &status) == 0)
        type = S_ISDIR(status.st_mode) ? DT_DIR : S_ISREG(status.st_mode) ? DT_REG : DT_LNK;
    else if (type == DT_UNKNOWN)
        complain(tree);
    if (type == DT_REG || type == DT_DIR)
        return add(type == DT_REG ? &tree->files : &tree->folders, path);
    free(path); /* anything else is skipped */
    return 0;
}

/* Names a file that cannot be read; the others go on. */
static int read_folder(struct tree *tree, const char *folder)
{
    asyncio_dirents dirents;
    int err = asyncio_scandir(folder, &dirents);
    if (err == -ECANCELED)
        return err;
    if (err) {
        complain(tree);
        return 0;
    }
    for (size_t i = 0; i < dirents.count && !err; i++)
        err = add_entry(tree, folder, &dirents.entries[i]);
    asyncio_dirents_destroy(&dirents);
    return err;
}

/* Keeps a folder's files together, before those of "folder-2": a slash sorts before everything. */
static int by_path(const void *a, const void *b)
{
    const char *one = ((const struct file *)a)->path, *other = ((const struct file *)b)->path;
    while (*one && *one == *other)
        one++, other++;
    return (*one == '/' ? 0 : (unsigned char)*one) - (*other == '/' ? 0 : (unsigned char)*other);
}

/* A list in place of recursion: a tree may be deeper than a stack. */
static int walk(struct tree *tree, const char *root)
{
    size_t first = tree->files.count;
    int err = add(&tree->folders, strdup(root));
    while (!err && tree->folders.count) {
        char *folder = tree->folders.at[--tree->folders.count].path;
        err = read_folder(tree, folder);
        free(folder);
    }
    if (tree->files.count > first)
        qsort(tree->files.at + first, tree->files.count - first, sizeof(struct file), by_path);
    return err;
}

/* ---- Sums --------------------------------------------------------------------------------- */

struct piece {
    EVP_MD_CTX *digest;
    const void *data;
    size_t n;
};

static int no_sum(void)
{
    return (int)asyncio_raise(-EIO, "OpenSSL makes no sum");
}

/* Runs on another thread. */
static intptr_t add_piece(void *arg)
{
    struct piece *piece = arg;
    return EVP_DigestUpdate(piece->digest, piece->data, piece->n) == 1 ? 0 : no_sum();
}

static int add_contents(struct tree *tree, EVP_MD_CTX *digest, asyncio_file *file, char *buffer)
{
    ssize_t n;
    while ((n = asyncio_file_read(file, buffer, PIECE_BYTES)) > 0) {
        struct piece piece = {digest, buffer, (size_t)n};
        int err = (int)asyncio_to_thread(add_piece, &piece);
        if (err)
            return err;
        tree->bytes += (double)n;
    }
    return (int)n;
}

static int finish_sum(EVP_MD_CTX *digest, char sum[SUM_TEXT])
{
    unsigned char bytes[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    if (EVP_DigestFinal_ex(digest, bytes, &length) != 1 || 2 * length + 1 != SUM_TEXT)
        return no_sum();
    for (unsigned i = 0; i < length; i++)
        snprintf(sum + 2 * (size_t)i, 3, "%02x", bytes[i]);
    return 0;
}

static int sum_file(struct tree *tree, struct file *it, EVP_MD_CTX *digest, char *buffer)
{
    asyncio_file *file;
    int err = asyncio_file_open(it->path, O_RDONLY | O_NOFOLLOW, 0, &file);
    if (err)
        return err;
    err = EVP_DigestInit_ex(digest, EVP_sha256(), NULL) == 1 ? 0 : no_sum();
    if (!err)
        err = add_contents(tree, digest, file, buffer);
    asyncio_file_close(file);
    return err ? err : finish_sum(digest, it->sum);
}

/* Like sha256sum: a name may contain a newline, and must not look like two lines. */
static void print_file(const struct file *it)
{
    const char *path = it->path;
    printf("%s%s  ", strpbrk(path, "\\\n\r") ? "\\" : "", it->sum);
    for (; *path; path++) {
        const char *escape = *path == '\\' ? "\\\\" : *path == '\n' ? "\\n" : *path == '\r' ? "\\r" : NULL;
        if (escape)
            fputs(escape, stdout);
        else
            putchar(*path);
    }
    putchar('\n');
}

static void show_progress(const struct tree *tree)
{
    if (tree->shows_progress)
        fprintf(stderr, "\r%zu of %zu files, %.1f MB ", tree->done, tree->files.count, tree->bytes / 1e6);
}

/* Takes one file after the other, beside others that do the same. */
ASYNC(sum_files, struct tree *, tree)
{
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    char *buffer = malloc(PIECE_BYTES);
    int err = digest && buffer ? 0 : -ENOMEM;
    while (!err && tree->next < tree->files.count) {
        err = sum_file(tree, &tree->files.at[tree->next++], digest, buffer);
        if (err && err != -ECANCELED) {
            complain(tree);
            err = 0;
        }
        tree->done++;
        show_progress(tree);
    }
    free(buffer);
    EVP_MD_CTX_free(digest);
    return err;
}

ASYNC(async_main, int, count, char **, folders)
{
    struct tree tree = {.shows_progress = isatty(STDERR_FILENO)};
    asyncio_task_group group;
    int err = 0;
    for (int i = 0; i < count && !err; i++)
        err = walk(&tree, folders[i]);
    if (!err) {
        ASYNCIO_TASK_GROUP(group, err) {
            for (int i = 0; i < AT_ONCE; i++)
                asyncio_task_group_create_task(&group, sum_files(&tree));
        }
    }
    if (tree.shows_progress)
        fputc('\n', stderr);
    for (size_t i = 0; i < tree.files.count && !err; i++)
        if (tree.files.at[i].sum[0])
            print_file(&tree.files.at[i]);
    if (!err && fflush(stdout))
        err = (int)asyncio_raise(-EIO, "the sums cannot be written");
    free_found(&tree.files);
    free_found(&tree.folders);
    return !err && tree.failed ? asyncio_raise(-EIO, "%zu could not be read", tree.failed) : err;
}

int main(int argc, char **argv)
{
    return asyncio_main(async_main(argc - 1, argv + 1));
}
