import type { ChildHandle, FilterInstance, Instance } from '@blockloom/block-driver'

const CHANGING: readonly (string | symbol)[] = ['writer', 'zero', 'discard', 'resize', 'compress']

/** Fills in what a filter leaves out, as the core does: it goes to the filtered child. @internal */
export function forwarding(filter: FilterInstance, next: ChildHandle): Instance {
  const plain: Instance = {
    limits: next.limits,
    size: () => next.size(),
    read: (offset, into, flags) => next.read(offset, into, flags),
    close: () => filter.close(),
    extents: async (offset, bytes) => {
      const extent = await next.extents(offset, bytes)
      return extent.kind === 'data' || (extent.kind === 'zero' && extent.host)
        ? { ...extent, host: { child: next, offset } }
        : extent
    },
    ...(next.writable && {
      writer: {
        write: (offset: number, from: Uint8Array, flags: number) => next.write(offset, from, flags),
        flush: (scope: 'host' | 'stable') => next.flush(scope),
      },
      zero: async (offset: number, bytes: number, flags: number) => {
        await next.zero(offset, bytes, flags)
        return 'done' as const
      },
      discard: async (offset: number, bytes: number) => {
        await next.discard(offset, bytes)
        return 'done' as const
      },
      resize: {
        preallocations: ['off'],
        resize: (size: number) => next.resize(size),
      },
    }),
  }
  // Not a spread: a filter's instance may be of a class, with getters on its prototype.
  return new Proxy(plain, {
    get: (target, key) => {
      // The core lets nobody write through a filter above something read-only.
      if (!next.writable && CHANGING.includes(key)) return undefined
      const own: unknown = Reflect.get(filter, key, filter)
      if (own === undefined) return Reflect.get(target, key) as unknown
      return typeof own === 'function' ? (own as (...args: unknown[]) => unknown).bind(filter) : own
    },
  })
}
