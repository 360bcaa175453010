/* SPDX-License-Identifier: MIT
 * Names the operating system, the processor and the compiler for all other files.
 *
 * This file and atomic.h are the only ones that may ask which system they are built
 * for. Everything else is written against the names defined here, or lives in posix/ or
 * win32/.
 */
#ifndef IPCF_PLATFORM_H
#define IPCF_PLATFORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32)
#define IPCF_WINDOWS 1
#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#include <windows.h>
typedef SRWLOCK ipcf_os_mutex;
typedef CONDITION_VARIABLE ipcf_os_condition;
#else
#define IPCF_POSIX 1
#include <pthread.h>
#include <sched.h>
typedef pthread_mutex_t ipcf_os_mutex;
typedef pthread_cond_t ipcf_os_condition;
#endif

/* IPCF_SYSTEM_HEADER: for posix/ only, the system calls that differ between these two,
 * under common names. */
#if defined(__linux__)
#define IPCF_LINUX 1
#define IPCF_SYSTEM_HEADER "ipcf/posix/linux.h"
#elif defined(__APPLE__)
#define IPCF_MACOS 1
#define IPCF_SYSTEM_HEADER "ipcf/posix/macos.h"
#endif

#if defined(_MSC_VER) && !defined(__clang__)
#include <intrin.h>
#define IPCF_LIKELY(condition) (condition)
#define IPCF_UNLIKELY(condition) (condition)
#define IPCF_MUST_CHECK _Check_return_
#define IPCF_PREFETCH(address) _mm_prefetch((const char *)(address), _MM_HINT_T0)
#define IPCF_RARELY_CALLED __declspec(noinline)
#else
#define IPCF_LIKELY(condition) __builtin_expect(!!(condition), 1)
#define IPCF_UNLIKELY(condition) __builtin_expect(!!(condition), 0)
#define IPCF_MUST_CHECK __attribute__((warn_unused_result))
#define IPCF_PREFETCH(address) __builtin_prefetch(address)
/* Kept out of its callers, which it would make slower. */
#define IPCF_RARELY_CALLED __attribute__((noinline, cold))
#endif

/* Under ThreadSanitizer some system calls are replaced by others (vfork by fork). */
#if defined(__SANITIZE_THREAD__)
#define IPCF_THREAD_SANITIZER true
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define IPCF_THREAD_SANITIZER true
#endif
#endif
#if !defined(IPCF_THREAD_SANITIZER)
#define IPCF_THREAD_SANITIZER false
#endif

/* A descriptor on POSIX, a HANDLE on Windows. */
typedef intptr_t ipcf_handle;
#define IPCF_NO_HANDLE ((ipcf_handle) - 1)

/* Two cache lines: the prefetcher of x86 fetches lines in pairs, and Apple's cores have
 * 128-byte lines. */
#define IPCF_LINE_SIZE 128

/* The CPU that cannot be told. */
#define IPCF_CPU_UNKNOWN UINT32_MAX

/* Hint to the processor that this is a spin-wait turn. */
static inline void ipcf_cpu_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(_M_X64) || defined(_M_IX86)
    _mm_pause();
#elif defined(_MSC_VER) && defined(_M_ARM64)
    __yield();
#elif defined(__aarch64__)
    __asm__ __volatile__("isb" ::: "memory");
#endif
}

/* Give the CPU to another runnable thread on it. */
static inline void ipcf_thread_yield(void)
{
#if defined(IPCF_WINDOWS)
    SwitchToThread();
#else
    sched_yield();
#endif
}

/* The CPU this thread runs on at the moment, or IPCF_CPU_UNKNOWN. About 2 ns on Linux
 * (rseq or vDSO). */
static inline uint32_t ipcf_current_cpu(void)
{
#if defined(IPCF_WINDOWS)
    return (uint32_t)GetCurrentProcessorNumber();
#elif defined(IPCF_LINUX)
    extern int sched_getcpu(void);
    int cpu = sched_getcpu();
    return cpu < 0 ? IPCF_CPU_UNKNOWN : (uint32_t)cpu;
#else
    return IPCF_CPU_UNKNOWN;
#endif
}

/* Test builds only (testing.h): a step after which a test may end the process, a call
 * that a test may make fail (true: errno is set, do not make the call), and how many
 * bytes a read or a write may move. */
#if defined(IPCF_TESTING)
#include "ipcf/testing.h"
#define IPCF_TEST_STEP(name) ipcf_test_step(name)
#define IPCF_TEST_FAILS(name) ipcf_test_fails(name)
#define IPCF_TEST_SHORTENS() ipcf_test_shortens()
#define IPCF_TEST_SHORT(size) ipcf_test_short(size)
#else
#define IPCF_TEST_STEP(name) ((void)0)
#define IPCF_TEST_FAILS(name) false
#define IPCF_TEST_SHORTENS() false
#define IPCF_TEST_SHORT(size) (size)
#endif

#endif
