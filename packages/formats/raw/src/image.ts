import type { Attempt, ChildHandle, Extent, Instance, OptionsOf, Preallocation } from '@blockloom/block-driver'
import { BlockError, DONE, isBlockError, limits, MAX_IMAGE_SIZE, RequestFlag } from '@blockloom/block-driver'
import type { rawOptions } from './options.ts'
import type { Window } from './window.ts'
import { windowOf } from './window.ts'

type RawOptions = OptionsOf<typeof rawOptions>

// Passed on as they are: the child's own pipeline does or emulates them.
const HONOURED = RequestFlag.FUA | RequestFlag.MAY_UNMAP | RequestFlag.NO_FALLBACK | RequestFlag.WRITE_UNCHANGED
const PREALLOCATIONS: readonly Preallocation[] = ['off', 'metadata', 'falloc', 'full']

/**
 * A raw image: the bytes of `file`, from `window.start` on. Requests are handed to the child unchanged but for
 * the offset, in the same turn.
 *
 * @internal
 */
export function rawImage(file: ChildHandle, initial: Window, readOnly: boolean): Instance<RawOptions> {
  let { start, size } = initial
  const below = file.limits

  const shown: Instance<RawOptions> = {
    // The child aligns and splits; only what helps a caller to choose its requests is repeated here.
    limits: limits({ memoryAlignment: below.memoryAlignment, optimalTransfer: below.optimalTransfer, clusterSize: below.clusterSize }),
    size: () => {
      if (size !== undefined) return size
      const actual = file.size()
      return typeof actual === 'number' ? Math.max(actual - start, 0) : actual.then((bytes) => Math.max(bytes - start, 0))
    },
    read: (offset, into, flags) => file.read(offset + start, into, flags),
    close: () => DONE,
    extents: (offset, bytes) => {
      const at = offset + start
      const extent = file.extents(at, bytes)
      return extent instanceof Promise ? extent.then((known) => shift(known, file, at)) : shift(extent, file, at)
    },
    get zeroInit() {
      return file.zeroInit
    },
    reopen: async (next) => {
      const prepared = await windowOf(file, next)
      return {
        commit: () => void ({ start, size } = prepared),
        abort: () => undefined,
      }
    },
  }
  if (readOnly) return shown

  const writable: Partial<Instance<RawOptions>> = {
    writer: {
      honours: HONOURED,
      write: (offset, from, flags) => file.write(offset + start, from, flags),
      flush: (scope) => file.flush(scope),
    },
    zero: (offset, bytes, flags) => attempt(file.zero(offset + start, bytes, flags), flags),
    discard: async (offset, bytes) => {
      await file.discard(offset + start, bytes)
      return 'done'
    },
    resize: {
      preallocations: PREALLOCATIONS,
      resize: async (bytes, options) => {
        if (size !== undefined) throw new BlockError('unsupported', 'Cannot resize fixed-size raw disks')
        if (bytes > MAX_IMAGE_SIZE - start) throw new BlockError('range', 'Disk size too large for the chosen offset')
        await file.resize(bytes + start, options)
      },
    },
  }
  // Not a spread: it would call the getter once and for all.
  return Object.defineProperties(shown, Object.getOwnPropertyDescriptors(writable))
}

async function attempt(zeroed: Promise<void>, flags: number): Promise<Attempt> {
  try {
    await zeroed
    return 'done'
  } catch (error) {
    if (flags & RequestFlag.NO_FALLBACK && isBlockError(error, 'unsupported')) return 'unsupported'
    throw error
  }
}

/** What the child says about its bytes, said about ours: they lie in the child at the same place. */
function shift(extent: Extent, file: ChildHandle, offset: number): Extent {
  switch (extent.kind) {
    case 'zero':
      return { kind: 'zero', bytes: extent.bytes, host: { child: file, offset } }
    case 'absent':
      return extent
    case 'data':
    case 'encoded':
      return { kind: 'data', bytes: extent.bytes, host: { child: file, offset } }
  }
}
