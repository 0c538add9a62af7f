import type { Clock, Extent, Instance, OpenContext, OptionsOf } from '@blockloom/block-driver'
import { DONE, limits, RequestFlag } from '@blockloom/block-driver'
import type { nullOptions } from './options.ts'

type NullOptions = OptionsOf<typeof nullOptions>

const LIMITS = limits()
// What is dropped can be dropped in any manner.
const HONOURED = RequestFlag.FUA | RequestFlag.MAY_UNMAP | RequestFlag.NO_FALLBACK | RequestFlag.WRITE_UNCHANGED
const DEFAULT_SIZE = 1024 ** 3

/** One opened null disk; `protocol` names the driver. @internal */
export function nullImage(protocol: string, context: OpenContext<NullOptions>): Instance<NullOptions> {
  const { size } = context.options
  let options = context.options
  let clock: Clock | null = context.clock

  const latency = (): Promise<void> => {
    const ns = options['latency-ns']
    return ns === 0 || clock === null ? DONE : clock.sleep(ns / 1e6)
  }
  const attempt = async () => {
    await latency()
    return 'done' as const
  }
  const shown: Instance<NullOptions> = {
    limits: LIMITS,
    size: () => size,
    read: (_offset, into) => {
      into.fill(0)
      return latency()
    },
    close: () => DONE,
    extents: (offset, bytes): Extent =>
      options['read-zeroes'] ? { kind: 'zero', bytes, host: { child: null, offset } } : { kind: 'data', bytes },
    allocatedSize: async () => 0,
    aioContext: {
      detach: () => void (clock = null),
      attach: (to) => void (clock = to),
    },
    reopen: async (next) => ({
      commit: () => void (options = next),
      abort: () => undefined,
    }),
    ...(isDefault(options) ? { filename: `${protocol}://` } : {}),
  }
  if (context.mode.readOnly) return shown
  return { ...shown, writer: { honours: HONOURED, write: latency, flush: latency }, zero: attempt, discard: attempt }
}

function isDefault(options: NullOptions): boolean {
  return options.size === DEFAULT_SIZE && options['latency-ns'] === 0 && !options['read-zeroes']
}
