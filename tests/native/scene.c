/* scene.c: memory whose neighbours are guard pages. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "harness.h"

static size_t page_bytes(void) { return (size_t)sysconf(_SC_PAGESIZE); }

static int guard_protection = PROT_NONE;

void guards_readable(void) { guard_protection = PROT_READ; }

struct guarded guarded_open(int64_t bytes, int at_end) {
    size_t page = page_bytes(), inner = ((size_t)bytes + page - 1) / page * page;
    struct guarded g = {.mapped = inner + 2 * page};
    g.mapping = mmap(NULL, g.mapped, guard_protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (g.mapping == MAP_FAILED ||
        (inner > 0 && mprotect(g.mapping + page, inner, PROT_READ | PROT_WRITE))) {
        perror("guarded memory");
        exit(2);
    }
    g.base = g.mapping + page + (at_end ? inner - (size_t)bytes : 0);
    memset(g.base, 0xA5, (size_t)bytes);
    return g;
}

void guarded_close(const struct guarded *guarded) { munmap(guarded->mapping, guarded->mapped); }

void scene_open(struct scene *scene, uint64_t seed) {
    *scene = (struct scene){.count = 1, .random = {seed}};
}

void scene_close(struct scene *scene) {
    for (int s = 1; s < scene->count; s++)
        guarded_close(&(struct guarded){NULL, scene->mapping[s], scene->mapped[s]});
    scene->count = 0;
}

int scene_slot(struct scene *scene, int64_t bytes) {
    int slot = scene->count++;
    struct guarded g = guarded_open(bytes, random_range(&scene->random, 0, 3) > 0);
    scene->slots[slot] = g.base;
    scene->bytes[slot] = bytes;
    scene->mapping[slot] = g.mapping;
    scene->mapped[slot] = g.mapped;
    return slot;
}

void scene_protect(struct scene *scene, int slot) {
    size_t page = page_bytes(), inner = scene->mapped[slot] - 2 * page;
    if (inner > 0 && mprotect(scene->mapping[slot] + page, inner, PROT_READ)) {
        perror("read-only memory");
        exit(2);
    }
}
