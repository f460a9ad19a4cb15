/*
 * Files by path: names, directories, copies.
 */
#include "fd/file_test.h"
#include "support/ledger.h"
#include <sys/resource.h>

/* ---- Names ---------------------------------------------------------------------------------- */

FILE_TEST(names)
{
    struct stat status, expected;
    CHECK_EQUAL(asyncio_mkdir("folder", 0750), 0);
    CHECK_EQUAL(asyncio_mkdir("folder", 0750), -EEXIST);
    CHECK_TEXT(asyncio_error_message(), "make directory folder: file exists");
    put_file("folder/one", "1", 1);
    CHECK_EQUAL(asyncio_rename("folder/one", "folder/two"), 0);
    CHECK_EQUAL(asyncio_rename("folder/one", "folder/three"), -ENOENT);
    CHECK_TEXT(asyncio_error_message(), "rename folder/one to folder/three: no such file or directory");
    CHECK_EQUAL(asyncio_rmdir("folder"), -ENOTEMPTY);
    CHECK_TEXT(asyncio_error_message(), "remove directory folder: directory not empty");
    CHECK_EQUAL(symlink("two", "folder/link"), 0);
    CHECK_EQUAL(asyncio_stat("folder/link", &status), 0);
    CHECK(S_ISREG(status.st_mode));
    CHECK_EQUAL(asyncio_lstat("folder/link", &status), 0);
    CHECK(S_ISLNK(status.st_mode));
    CHECK_EQUAL(asyncio_unlink("folder/link"), 0);
    CHECK_EQUAL(asyncio_unlink("folder/link"), -ENOENT);
    CHECK_TEXT(asyncio_error_message(), "unlink folder/link: no such file or directory");
    for (int i = 0; i < 2; i++) { /* the first time, perhaps, not at once */
        memset(&status, 1, sizeof status);
        CHECK_EQUAL(asyncio_stat("folder/two", &status), 0);
        CHECK_EQUAL(stat("folder/two", &expected), 0);
        CHECK_EQUAL(status.st_dev, expected.st_dev);
        CHECK_EQUAL(status.st_ino, expected.st_ino);
        CHECK_EQUAL(status.st_mode, expected.st_mode);
        CHECK_EQUAL(status.st_nlink, expected.st_nlink);
        CHECK_EQUAL(status.st_uid, expected.st_uid);
        CHECK_EQUAL(status.st_size, expected.st_size);
        CHECK_EQUAL(status.st_blocks, expected.st_blocks);
        CHECK_EQUAL(status.st_blksize, expected.st_blksize);
        CHECK_EQUAL(status.st_mtim.tv_sec, expected.st_mtim.tv_sec);
        CHECK_EQUAL(status.st_mtim.tv_nsec, expected.st_mtim.tv_nsec);
        CHECK_EQUAL(status.st_ctim.tv_nsec, expected.st_ctim.tv_nsec);
    }
    CHECK_EQUAL(asyncio_stat("folder/none", &status), -ENOENT);
    CHECK_TEXT(asyncio_error_message(), "stat folder/none: no such file or directory");
    CHECK_EQUAL(asyncio_stat("folder/two/three", &status), -ENOTDIR);
    CHECK_EQUAL(asyncio_stat("/dev/null", &status), 0);
    CHECK_EQUAL(stat("/dev/null", &expected), 0);
    CHECK_EQUAL(status.st_rdev, expected.st_rdev);
    CHECK_EQUAL(asyncio_unlink("folder/two"), 0);
    CHECK_EQUAL(asyncio_rmdir("folder"), 0);
    CHECK_EQUAL(asyncio_rmdir("folder"), -ENOENT);
    CHECK_EQUAL(asyncio_unlink(NULL), -EINVAL);
    CHECK_EQUAL(asyncio_rename("a", NULL), -EINVAL);
    CHECK_EQUAL(asyncio_stat("a", NULL), -EINVAL);
    CHECK_EQUAL(asyncio_stat(NULL, &status), -EINVAL);
    CHECK_EQUAL(asyncio_scandir(".", NULL), -EINVAL);
    return 0;
}

TEST(outside_a_task)
{
    CHECK_EQUAL(asyncio_unlink("x"), ASYNCIO_ENOTASK);
    CHECK_EQUAL(asyncio_rename("x", "y"), ASYNCIO_ENOTASK);
    CHECK_EQUAL(asyncio_copyfile("x", "y"), ASYNCIO_ENOTASK);
    CHECK_EQUAL(asyncio_copyfile(NULL, "y"), ASYNCIO_ENOTASK);
    harness_settle();
}

/* ---- Directories ------------------------------------------------------------------------------ */

FILE_TEST(directory)
{
    asyncio_dirents dirents = {.count = 77};
    CHECK_EQUAL(asyncio_scandir("none", &dirents), -ENOENT);
    CHECK_TEXT(asyncio_error_message(), "read directory none: no such file or directory");
    CHECK_EQUAL(dirents.count, 77);
    CHECK_EQUAL(mkdir("listed", 0700), 0);
    CHECK_EQUAL(asyncio_scandir("listed", &dirents), 0);
    CHECK_EQUAL(dirents.count, 0);
    asyncio_dirents_destroy(&dirents);
    put_file("listed/b", "", 0);
    put_file("listed/.hidden", "", 0);
    CHECK_EQUAL(mkdir("listed/a", 0700), 0);
    CHECK_EQUAL(symlink("nowhere", "listed/\xc3\xa9"), 0);
    CHECK_EQUAL(asyncio_scandir("listed", &dirents), 0);
    CHECK_EQUAL(dirents.count, 4);
    const char *const names[] = {".hidden", "a", "b", "\xc3\xa9"};
    const unsigned char types[] = {DT_REG, DT_DIR, DT_REG, DT_LNK};
    for (size_t i = 0; i < dirents.count && i < 4; i++) {
        CHECK_TEXT(dirents.entries[i].name, names[i]);
        CHECK(dirents.entries[i].type == types[i] || dirents.entries[i].type == DT_UNKNOWN);
    }
    asyncio_dirents_destroy(&dirents);
    CHECK(!dirents.entries && !dirents.count);
    asyncio_dirents_destroy(&dirents);
    asyncio_dirents_destroy(NULL);
    CHECK_EQUAL(asyncio_scandir("listed/b", &dirents), -ENOTDIR);
    CHECK_EQUAL(system("rm -r listed"), 0);
    return 0;
}

ASYNC_TEST(many_entries)
{
    int many = (int)repeats(5000, 10000, 100000);
    asyncio_dirents dirents;
    char name[64], file[64], expected[64];
    CHECK_EQUAL(mkdir("many", 0700), 0);
    for (int i = 0; i < many; i++) {
        snprintf(name, sizeof name, "many/entry-%06d", i);
        if (i % 10000) { /* hard links are cheap, but one file has no more than this everywhere */
            CHECK_EQUAL(link(file, name), 0);
        } else {
            put_file(name, "", 0);
            memcpy(file, name, sizeof file);
        }
    }
    CHECK_EQUAL(asyncio_scandir("many", &dirents), 0);
    CHECK_EQUAL(dirents.count, many);
    for (int i = 0; i < many; i++) {
        snprintf(expected, sizeof expected, "entry-%06d", i);
        if (strcmp(dirents.entries[i].name, expected) != 0) {
            CHECK_TEXT(dirents.entries[i].name, expected);
            break;
        }
    }
    asyncio_dirents_destroy(&dirents);
    return system("rm -r many");
}

/* ---- Copies -------------------------------------------------------------------------------------- */

static enum { INSIDE_REAL, INSIDE_REFUSED, INSIDE_SHORT } inside;
static int inside_error = EXDEV;    /* where it is refused */
static void (*before_inside)(void); /* runs once: what another program does to the source meanwhile */

ssize_t copy_file_range(int from, off64_t *from_at, int to, off64_t *to_at, size_t n, unsigned flags)
{
    if (before_inside)
        before_inside();
    before_inside = NULL;
    if (inside == INSIDE_REFUSED) {
        errno = inside_error;
        return -1;
    }
    if (inside == INSIDE_SHORT && n > 1000)
        n = 1000;
    return syscall(SYS_copy_file_range, from, from_at, to, to_at, n, flags);
}

FILE_TEST(copies)
{
    static char data[700000];
    struct stat status;
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (char)(i * 13 >> 4);
    for (inside = INSIDE_REAL; inside <= INSIDE_SHORT; inside++) {
        put_file("from", data, sizeof data);
        CHECK_EQUAL(chmod("from", 0640), 0);
        CHECK_EQUAL(asyncio_copyfile("from", "to"), sizeof data);
        check_file("to", data, sizeof data);
        CHECK_EQUAL(stat("to", &status), 0);
        CHECK_EQUAL(status.st_mode & 0777, 0640);
        put_file("from", "short", 5);
        CHECK_EQUAL(chmod("to", 0600), 0);
        CHECK_EQUAL(asyncio_copyfile("from", "to"), 5); /* in its place */
        check_file("to", "short", 5);
        CHECK_EQUAL(stat("to", &status), 0);
        CHECK_EQUAL(status.st_mode & 0777, 0600);
        put_file("from", "", 0);
        CHECK_EQUAL(asyncio_copyfile("from", "to"), 0);
        check_file("to", "", 0);
        unlink("to");
    }
    inside = INSIDE_REAL;
    CHECK(asyncio_copyfile("/proc/self/status", "to") > 100); /* which says that it is empty */
    CHECK_EQUAL(stat("to", &status), 0);
    CHECK(status.st_size > 100);
    return unlink("to");
}

/* Holes stay holes, at the end as well. */
FILE_TEST(sparse)
{
    struct stat from, to;
    off_t length = (off_t)3 << 30;
    for (inside = INSIDE_REAL; inside <= INSIDE_REFUSED; inside++) {
        int fd = open("sparse", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        CHECK_EQUAL(pwrite(fd, "middle", 6, (off_t)1 << 30), 6);
        CHECK_EQUAL(ftruncate(fd, length), 0);
        close(fd);
        CHECK_EQUAL(asyncio_copyfile("sparse", "copy"), length);
        CHECK_EQUAL(stat("sparse", &from), 0);
        CHECK_EQUAL(stat("copy", &to), 0);
        CHECK_EQUAL(to.st_size, length);
        CHECK(to.st_blocks <= from.st_blocks + 64);
        char block[6];
        fd = open("copy", O_RDONLY | O_CLOEXEC);
        CHECK_EQUAL(pread(fd, block, 6, (off_t)1 << 30), 6);
        CHECK(memcmp(block, "middle", 6) == 0);
        close(fd);
        unlink("copy");
    }
    inside = INSIDE_REAL;
    return unlink("sparse");
}

/* A kernel, a filter or a file system that does not copy within itself says so in many ways. */
FILE_TEST(inside_errors)
{
    static const int errors[] = {EXDEV, EINVAL, ENOSYS, EOPNOTSUPP, EPERM, EACCES, ENOENT, EIO, ETXTBSY};
    put_file("from", "text", 4);
    inside = INSIDE_REFUSED;
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        inside_error = errors[i];
        CHECK_EQUAL(asyncio_copyfile("from", "to"), 4);
        check_file("to", "text", 4);
    }
    inside = INSIDE_REAL;
    inside_error = EXDEV;
    return unlink("to");
}

/* Other files tell where their data are, or one system call says what it does not know. */
static int no_data_error; /* what SEEK_DATA says, unless 0 */

off64_t lseek64(int fd, off64_t offset, int whence)
{
    if (whence == SEEK_DATA && no_data_error) {
        errno = no_data_error;
        return -1;
    }
    return syscall(SYS_lseek, fd, offset, whence);
}

FILE_TEST(unknown_holes)
{
    static const int errors[] = {EINVAL, EOPNOTSUPP, ENOSYS, EIO};
    put_file("from", "text\0\0\0\0", 8);
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        no_data_error = errors[i];
        CHECK_EQUAL(asyncio_copyfile("from", "to"), 8);
        check_file("to", "text\0\0\0\0", 8);
    }
    no_data_error = 0;
    return unlink("to");
}

/* The contents of a file of the kernel's, which says that it is empty, or as long as a page. */
static void check_copy_of(const char *path)
{
    char expected[8192];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return; /* not in this kernel */
    ssize_t n = read(fd, expected, sizeof expected);
    close(fd);
    CHECK(n > 0);
    CHECK_EQUAL(asyncio_copyfile(path, "to"), n);
    check_file("to", expected, (size_t)n);
    unlink("to");
}

FILE_TEST(kernel_files)
{
    check_copy_of("/sys/kernel/mm/transparent_hugepage/enabled");
    check_copy_of("/sys/kernel/notes");
    check_copy_of("/proc/self/cmdline");
    check_copy_of("/proc/sys/kernel/ostype");
    check_copy_of("/proc/version");
    return 0;
}

/* ---- A source that changes meanwhile ---------------------------------------------------------- */

static void cut_source(void)
{
    CHECK_EQUAL(truncate("from", 1000), 0);
}

static void empty_source(void)
{
    CHECK_EQUAL(truncate("from", 0), 0);
}

static void lengthen_source(void)
{
    int fd = open("from", O_WRONLY | O_APPEND | O_CLOEXEC);
    CHECK_EQUAL(write(fd, "more", 4), 4);
    close(fd);
}

/* Cut: the copy ends where the source does. Longer: it has what was there when the copy came there. */
FILE_TEST(changing_source)
{
    static char data[300004];
    memset(data, 'x', 300000);
    memcpy(data + 300000, "more", 4);
    for (inside = INSIDE_REAL; inside <= INSIDE_SHORT; inside++) {
        put_file("from", data, 300000);
        before_inside = cut_source;
        CHECK_EQUAL(asyncio_copyfile("from", "to"), 1000);
        check_file("to", data, 1000);
        put_file("from", data, 300000);
        before_inside = empty_source;
        CHECK_EQUAL(asyncio_copyfile("from", "to"), 0);
        check_file("to", data, 0);
        put_file("from", data, 300000);
        before_inside = lengthen_source;
        CHECK_EQUAL(asyncio_copyfile("from", "to"), 300004);
        check_file("to", data, 300004);
    }
    inside = INSIDE_REAL;
    return unlink("to");
}

/* What followed a hole is cut off: the copy is no longer than the number that the call returns. */
FILE_TEST(cut_after_hole)
{
    struct stat status;
    for (inside = INSIDE_REAL; inside <= INSIDE_REFUSED; inside++) {
        int fd = open("from", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        CHECK_EQUAL(pwrite(fd, "end", 3, 1 << 20), 3);
        close(fd);
        before_inside = cut_source;
        ssize_t n = asyncio_copyfile("from", "to");
        CHECK(n >= 1000);
        CHECK_EQUAL(stat("to", &status), 0);
        CHECK_EQUAL(status.st_size, n);
    }
    inside = INSIDE_REAL;
    return unlink("to");
}

/* A device keeps what it has where nothing is written: holes are written to it. */
FILE_TEST(to_device)
{
    int fd = open("from", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    CHECK_EQUAL(pwrite(fd, "middle", 6, 1 << 20), 6);
    CHECK_EQUAL(ftruncate(fd, 3 << 20), 0);
    close(fd);
    CHECK_EQUAL(asyncio_copyfile("from", "/dev/null"), 3 << 20);
    CHECK_EQUAL(asyncio_copyfile("from", "/dev/full"), -ENOSPC);
    return unlink("from");
}

/* A link to nothing: the file that it names is made. */
FILE_TEST(to_link)
{
    put_file("from", "text", 4);
    CHECK_EQUAL(symlink("named", "link"), 0);
    CHECK_EQUAL(asyncio_copyfile("from", "link"), 4);
    check_file("named", "text", 4);
    unlink("named");
    return unlink("link");
}

FILE_TEST(copy_errors)
{
    put_file("from", "text", 4);
    CHECK_EQUAL(asyncio_copyfile("none", "to"), -ENOENT);
    CHECK_TEXT(asyncio_error_message(), "open none: no such file or directory");
    CHECK_EQUAL(asyncio_copyfile(".", "to"), -EISDIR);
    CHECK_EQUAL(asyncio_copyfile("/dev/zero", "to"), -EINVAL);
    CHECK_TEXT(asyncio_error_message(), "copy /dev/zero: not a regular file");
    CHECK_EQUAL(asyncio_copyfile("from", "none/to"), -ENOENT);
    CHECK_EQUAL(asyncio_copyfile("from", "from"), -EINVAL);
    CHECK_TEXT(asyncio_error_message(), "copy to from: it is the same file");
    check_file("from", "text", 4);
    CHECK_EQUAL(link("from", "other"), 0);
    CHECK_EQUAL(asyncio_copyfile("from", "other"), -EINVAL);
    check_file("from", "text", 4);
    CHECK_EQUAL(asyncio_copyfile("from", "/dev/full"), -ENOSPC);
    CHECK_TEXT(asyncio_error_message(), "copy from to /dev/full: no space left on device");
    CHECK_EQUAL(access("to", F_OK), -1);
    CHECK_EQUAL(mkfifo("to", 0600), 0);
    CHECK_EQUAL(asyncio_copyfile("from", "to"), -ENXIO); /* nobody is there to read */
    unlink("to");
    return unlink("other");
}

/* No room for all of it: nothing is left. */
ASYNC_TEST(copy_without_room)
{
    static char data[100000];
    put_file("from", data, sizeof data);
    struct rlimit before, limit;
    getrlimit(RLIMIT_FSIZE, &before);
    limit = (struct rlimit){8192, before.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
    CHECK_EQUAL(asyncio_copyfile("from", "to"), -EFBIG);
    setrlimit(RLIMIT_FSIZE, &before);
    CHECK_EQUAL(access("to", F_OK), -1);
    return 0;
}

/* ---- Sweeps ------------------------------------------------------------------------------------------- */

ASYNC(main_sweep)
{
    struct stat status;
    asyncio_dirents dirents;
    int err = asyncio_mkdir("swept", 0700);
    int last = asyncio_scandir(".", &dirents);
    if (!last)
        asyncio_dirents_destroy(&dirents);
    err = err ? err : last;
    last = asyncio_stat("swept", &status);
    err = err ? err : last;
    last = asyncio_rename("swept", "swept-2");
    err = err ? err : last;
    last = asyncio_rmdir(last ? "swept" : "swept-2");
    if (last) {
        rmdir("swept");
        rmdir("swept-2");
    }
    return err ? err : last;
}

/* Whatever happens, there is all of the copy or nothing. */
ASYNC(main_sweep_copy)
{
    ssize_t n = asyncio_copyfile("from", "to");
    if (n >= 0)
        CHECK_EQUAL(n, 4);
    struct stat status;
    bool is_there = stat("to", &status) == 0;
    /* When everything fails, so does the removal. */
    CHECK(n >= 0 ? is_there && status.st_size == 4 : !is_there || status.st_size <= 4);
    unlink("to");
    return n < 0 ? n : 0;
}

/* A cancel does not keep it from removing what it has made. */
ASYNC(main_cancelled_copy)
{
    ssize_t n = asyncio_copyfile("from", "to");
    CHECK_EQUAL(access("to", F_OK), n < 0 ? -1 : 0);
    unlink("to");
    return n < 0 ? n : 0;
}

static void check_copy(intptr_t result, unsigned suspension)
{
    CHECK(result == 0 || (suspension && result == -ECANCELED));
}

/* Nor do many. */
ASYNC(main_pestered_copy)
{
    for (int i = 0; i < 50; i++) {
        asyncio_task *copy = asyncio_create_task(main_cancelled_copy());
        while (!asyncio_done(copy)) {
            asyncio_sleep(0);
            if (i % 2 || access("to", F_OK) == 0)
                asyncio_cancel(copy);
        }
        asyncio_await(copy);
    }
    return 0;
}

TEST(failures)
{
    sweep_failures(main_sweep);
    put_file("from", "text", 4);
    for (inside = INSIDE_REAL; inside <= INSIDE_REFUSED; inside++)
        sweep_failures(main_sweep_copy);
    inside = INSIDE_REAL;
}

TEST(cancelled_anywhere)
{
    sweep_cancels(main_sweep, NULL);
    put_file("from", "text", 4);
    for (inside = INSIDE_REAL; inside <= INSIDE_REFUSED; inside++)
        sweep_cancels(main_cancelled_copy, check_copy);
    CHECK_EQUAL(run(main_pestered_copy), 0);
    harness_settle();
    inside = INSIDE_REAL;
}

/* The loop closes over a listing that a thread is in: what comes of it is freed. */
ASYNC(scan_gated)
{
    static asyncio_dirents never;
    return asyncio_scandir(GATED, &never);
}

ASYNC(leave_a_scan)
{
    asyncio_release(asyncio_create_task(scan_gated()));
    wait_at_gate(1);
    return 0;
}

TEST(scan_abandoned)
{
    CHECK_EQUAL(mkdir(GATED, 0700), 0);
    put_file(GATED "/entry", "", 0);
    asyncio_loop *loop = asyncio_loop_new(NULL);
    record_reports(loop);
    set_gate(true);
    asyncio_task *task = asyncio_loop_create_task(loop, leave_a_scan());
    CHECK_EQUAL(asyncio_loop_run_until_complete(loop, (asyncio_future *)task), 0);
    asyncio_loop_close(loop);
    long held = ledger_now().allocations;
    set_gate(false);
    for (int i = 0; i < 5000 && ledger_now().allocations != held - 1; i++)
        usleep(1000);
    CHECK_EQUAL(ledger_now().allocations, held - 1); /* the work itself is gone, and nothing has come */
    asyncio_loop_release(loop);
    harness_settle();
}

int main(void)
{
    static const struct test_fixtures fixtures = {.group_setup = enter_folder,
                                                  .group_teardown = leave_folder};
    use_descriptors();
    return tests_run(&fixtures);
}
