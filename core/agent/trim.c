#include "agent/trim.h"

#include <link.h>
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

/* Program text is a clean copy of a file: dropped pages come back from the page cache when they are executed again.
 * What only the start needed (a TLS library's set-up is megabytes of it) does not. Segments that are writable, or were
 * for relocation, are left alone. */
static int drop_text(struct dl_phdr_info *info, size_t size, void *ctx)
{
	uintptr_t page = *(const uintptr_t *)ctx;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];
		if (p->p_type != PT_LOAD || !(p->p_flags & PF_X) || (p->p_flags & PF_W))
			continue;
		uintptr_t from = (info->dlpi_addr + p->p_vaddr) & ~(page - 1),
			  to = (info->dlpi_addr + p->p_vaddr + p->p_filesz + page - 1) & ~(page - 1);
		/* A hint: where it is refused (the vdso), nothing is lost. */
		(void)madvise((void *)from, to - from, MADV_DONTNEED);
	}
	return 0;
}

void agent_trim(void)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	malloc_trim(0);
	dl_iterate_phdr(drop_text, &page);
}
