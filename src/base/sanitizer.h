/*
 * Which checkers this build runs under, and the calls they want to hear: AddressSanitizer and
 * ThreadSanitizer by the compiler's own word, Valgrind when its header is installed (ASY_VALGRIND, set by
 * the build; its requests are a few no-op instructions outside Valgrind).
 */
#ifndef ASY_BASE_SANITIZER_H
#define ASY_BASE_SANITIZER_H

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ASY_ASAN 1
#endif
#if __has_feature(thread_sanitizer)
#define ASY_TSAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define ASY_ASAN 1
#endif
#if defined(__SANITIZE_THREAD__)
#define ASY_TSAN 1
#endif
#ifndef ASY_ASAN
#define ASY_ASAN 0
#endif
#ifndef ASY_TSAN
#define ASY_TSAN 0
#endif
#ifndef ASY_VALGRIND
#define ASY_VALGRIND 0
#endif

#if ASY_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if ASY_TSAN
#include <sanitizer/tsan_interface.h>
#endif
#if ASY_VALGRIND
#include <valgrind/memcheck.h>
#include <valgrind/valgrind.h>
#else
#define RUNNING_ON_VALGRIND 0
#define VALGRIND_DISABLE_ERROR_REPORTING
#define VALGRIND_ENABLE_ERROR_REPORTING
#endif

#endif
