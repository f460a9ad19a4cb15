/*
 * The end of the library: with the program, or with the plugin that it is part of.
 */
#ifndef ASY_SYS_UNLOAD_H
#define ASY_SYS_UNLOAD_H

/* Watches for the end from now on. A second call does nothing. */
void asy_sys_unload_begin(void);

#endif
